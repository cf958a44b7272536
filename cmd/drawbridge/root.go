package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The exit codes, as the help text and docs/commands.md tell them.
const (
	exitDone        = 0 // done, or yes
	exitNo          = 1 // a negative answer: a finding, nobody by that name
	exitUsage       = 2 // wrong flags, or a configuration that does not hold
	exitUnreachable = 3 // no running bridge answers
	exitNotAllowed  = 4 // the token opens nothing
	exitStale       = 5 // what was reviewed is no longer what would happen
	exitGuard       = 6 // a guard refuses
)

// exit is an error that has been told, or whose text is all there is to tell, with
// the code the process ends with.
type exit struct {
	code int
	err  error // nil: everything has been printed
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func failed(code int, format string, args ...any) error {
	return &exit{code: code, err: fmt.Errorf(format, args...)}
}

// cli is what every command shares: where to read and write, and the global flags.
type cli struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	json     bool
	data     string // folder of a running bridge, for commands that ask it
	url      string
	token    string // file with the administrator's token
	author   string // of a change of the scope tree
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args, env []string, in io.Reader, out, errOut io.Writer) int {
	c := &cli{in: in, out: out, err: errOut, env: env}
	root := c.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(errOut, visible(text)) // it may show what a file says
	}
	var e *exit
	if errors.As(err, &e) {
		return e.code
	}
	fmt.Fprintln(errOut, "Usage:", cmd.UseLine()) // cobra's own errors are about flags and arguments
	return exitUsage
}

const help = `drawbridge: SCIM provisioning in, rules in the middle, OpenID Connect out.

Start with "drawbridge demo". Exit codes: 0 done or yes, 1 a negative answer,
2 usage or configuration, 3 no bridge reachable, 4 not allowed, 5 stale (what was
reviewed is no longer what would happen), 6 refused by a guard.`

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{Use: "drawbridge", Short: "SCIM provisioning in, OpenID Connect out", Long: help,
		SilenceErrors: true, SilenceUsage: true, Version: version()}
	root.SetVersionTemplate("drawbridge {{.Version}}\n")
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	f := root.PersistentFlags()
	f.BoolVar(&c.json, "json", false, "print JSON instead of text")
	f.StringVar(&c.data, "data", "", "data folder of the running bridge (default: ./data, or a demo without --data, whichever was started last)")
	f.StringVar(&c.url, "url", "", "address of the running bridge's admin API, instead of the data folder's")
	f.StringVar(&c.token, "token-file", "", "file with the administrator's token, instead of the data folder's")
	root.AddCommand(
		c.serve(),
		c.demo(),
		c.check(),
		c.test(),
		c.plan(),
		c.apply(),
		c.policy(),
		c.explain(),
		c.whoCanSee(),
		c.whoHas(),
		c.whoWasIn(),
		c.simulate(),
		c.signIn(), c.request(), c.grant(), c.accessCase(),
		c.status(),
		c.doctor(),
		c.restore(),
		c.connection(),
		c.delivery(), c.webhook(),
		c.register(),
		c.person(),
		c.exception(),
		c.tokens(),
		c.session(),
		c.key(),
		c.db(),
		c.scope(),
		c.review(), c.access(),
		c.scim(),
		c.drive(),
		c.bench(),
		c.fmt(),
		c.schema(),
		c.version(),
	)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.RunE, cmd.Args = family("", "").RunE, cobra.ArbitraryArgs
		}
	}
	return root
}

// family is a command that does nothing but hold others: without one of them it
// shows its help, and a word that is none of them is wrong usage.
func family(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		err := fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			err = fmt.Errorf("%w; did you mean %q?", err, near[0])
		}
		return err
	}}
}

func (c *cli) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if c.json {
			return c.print(map[string]string{"version": version()})
		}
		fmt.Fprintln(c.out, "drawbridge", version())
		return nil
	}}
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

// print writes one JSON document.
func (c *cli) print(v any) error {
	return c.printed(printable(v, "  "))
}

func (c *cli) printed(document []byte, err error) error {
	if err == nil {
		_, err = c.out.Write(document)
	}
	return err
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// simulateFlags are what is supposed, as somebody types it.
type simulateFlags struct {
	connection, from       string
	add, in, remove        []string
	attributes             []string
	certification          string
	active                 string
	at, policy, save, name string
	hypothetical           bool
}

func (c *cli) simulate() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{Use: "simulate [PERSON]", Short: "Say what somebody would hold if something about them were otherwise",
		Long: "simulate asks the running bridge what a person would hold if they joined or left a group, or if another\nfact about them were otherwise; or what somebody made up would hold. It changes nothing.",
		Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			req, err := c.supposed(f, args, time.Now())
			if err != nil {
				return err
			}
			var got bridge.Simulation
			if err := c.ask(cmd.Context(), http.MethodPost, "/simulate", req, &got); err != nil {
				return err
			}
			if f.name != "" {
				got.Test.Name = f.name
			}
			if c.json {
				if err := c.print(got); err != nil {
					return err
				}
			} else {
				c.tellSimulation(got, f.save != "")
			}
			return c.saveTest(got.Test, f.save)
		}}
	cmd.Flags().StringVar(&f.connection, "connection", "", "the person's connection, if several people answer to PERSON")
	cmd.Flags().StringVar(&f.from, "from", "", "the connection of somebody made up, instead of PERSON")
	cmd.Flags().StringArrayVar(&f.add, "add-group", nil, "a group that the person is supposed to join, by name, id or externalId; may be repeated")
	cmd.Flags().StringArrayVar(&f.in, "group", nil, "the same, for somebody made up")
	cmd.Flags().StringArrayVar(&f.remove, "remove-group", nil, "a group that the person is supposed to leave; may be repeated")
	cmd.Flags().BoolVar(&f.hypothetical, "hypothetical", false, "groups to join need not exist")
	cmd.Flags().StringArrayVar(&f.attributes, "attribute", nil, "NAME=VALUE of an attribute that the policy names; repeated for a list, NAME= for none")
	cmd.Flags().StringVar(&f.certification, "certification", "", "LEVEL or LEVEL,UNTIL of a technician's certification")
	cmd.Flags().StringVar(&f.active, "active", "", "true or false: whether the person is active")
	cmd.Flags().StringVar(&f.at, "at", "", "the instant to decide at: a time, or a duration before now (default: now)")
	cmd.Flags().StringVar(&f.policy, "policy", "", "a configuration whose rules decide, instead of those in force")
	cmd.Flags().StringVar(&f.save, "save-test", "", "also write this as a test: alone onto standard output, =FILE behind the tests of that file")
	cmd.Flags().Lookup("save-test").NoOptDefVal = "-"
	cmd.Flags().StringVar(&f.name, "name", "", "what the saved test is called")
	return cmd
}

// supposed is the request that flags make.
func (c *cli) supposed(f simulateFlags, args []string, now time.Time) (req api.SimulateRequest, err error) {
	if (len(args) == 1) == (f.from != "") {
		return req, failed(exitUsage, "name a PERSON, or the connection of somebody made up with --from")
	}
	req = api.SimulateRequest{Connection: access.ConnectionID(f.from + f.connection), AddGroups: slices.Concat(f.add, f.in), RemoveGroups: f.remove, Hypothetical: f.hypothetical}
	if len(args) == 1 {
		req.Person = args[0]
	} else if f.connection != "" {
		return req, failed(exitUsage, "--connection is for a PERSON; --from names the connection of somebody made up")
	}
	if req.Attributes, err = attributesOf(f.attributes); err != nil {
		return req, err
	}
	if f.certification != "" {
		if req.Certification, err = certificationOf(f.certification, now); err != nil {
			return req, err
		}
	}
	switch f.active {
	case "":
	case "true", "false":
		is := f.active == "true"
		req.Active = &is
	default:
		return req, failed(exitUsage, "--active is true or false, not %q", f.active)
	}
	if f.at != "" {
		if req.At, err = instant("--at", f.at, now); err != nil {
			return req, err
		}
	}
	if f.policy != "" {
		cfg, err := c.load(f.policy)
		if err != nil {
			return req, err
		}
		req.Policy, err = json.Marshal(cfg.Policy)
		return req, err
	}
	return req, nil
}

// attributesOf reads NAME=VALUE; a name that comes again makes a list, one without a
// value takes the attribute away.
func attributesOf(flags []string) (map[string]any, error) {
	values := map[string]any{}
	for _, text := range flags {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, failed(exitUsage, "--attribute is NAME=VALUE, not %q", text)
		}
		switch before := values[name].(type) {
		case nil:
			if values[name] = value; value == "" {
				values[name] = nil
			}
		case []any:
			values[name] = append(before, value)
		default:
			values[name] = []any{before, value}
		}
	}
	return values, nil
}

// certificationOf reads LEVEL or LEVEL,UNTIL.
func certificationOf(text string, now time.Time) (*access.Certification, error) {
	level, until, timed := strings.Cut(text, ",")
	c := &access.Certification{Level: strings.TrimSpace(level)}
	if timed {
		var err error
		if c.Until, err = instant("--certification", strings.TrimSpace(until), now); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cli) tellSimulation(s bridge.Simulation, saves bool) {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	if s.Now != nil {
		tellHoldings(w, "now", *s.Now, func(bridge.Holding) string { return "" })
	}
	tellHoldings(w, "then", s.Then, func(h bridge.Holding) string { return becomes(s.Now, h) })
	for _, h := range lostIn(s) {
		fmt.Fprintf(w, "lost\t%s\t%s\n", h.Is, h.Risk)
	}
	w.Flush() //nolint:errcheck // c.out reports nothing that could be told elsewhere
	if told := newReasons(s); len(told) > 0 {
		fmt.Fprintln(c.out, "rules, in order:")
		for _, r := range told {
			fmt.Fprintf(c.out, "  %s%s\n", r, inFile(r.Pos))
		}
	}
	if s.Then.Refusal != "" {
		fmt.Fprintf(c.out, "At sign-in this person would be refused: %s.\n", s.Then.Refusal)
	}
	hint := ""
	if !saves {
		hint = " --save-test writes this as a test."
	}
	fmt.Fprintln(c.out, "Nothing was changed."+hint)
}

// tellHoldings writes what is held, a line each, the first with a word before it.
func tellHoldings(w io.Writer, word string, s bridge.Simulated, more func(bridge.Holding) string) {
	if len(s.Holds) == 0 {
		fmt.Fprintf(w, "%s\tnothing\n", word)
	}
	for _, h := range s.Holds {
		until := ""
		if !h.Until.IsZero() {
			until = "  until " + h.Until.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s%s%s\n", word, h.Is, h.Risk, h.Standing, until, more(h))
		word = ""
	}
}

// becomes says how a holding differs from what is held now; nobody made up holds any.
func becomes(now *bridge.Simulated, h bridge.Holding) string {
	by := ""
	if len(h.Sources) > 0 {
		by = fmt.Sprintf(", by %s %s", h.Sources[0].Kind, h.Sources[0].ID)
	}
	if now == nil {
		return "  (" + strings.TrimPrefix(by, ", ") + ")"
	}
	at := slices.IndexFunc(now.Holds, func(was bridge.Holding) bool { return was.Is == h.Is })
	if at < 0 {
		return "  (new" + by + ")"
	}
	switch was := now.Holds[at]; {
	case was.Standing != h.Standing:
		return fmt.Sprintf("  (was %s)", was.Standing)
	case was.Flags != h.Flags:
		return fmt.Sprintf("  (had events %s, video %t; has events %s, video %t)", was.Flags.Events, was.Flags.Video, h.Flags.Events, h.Flags.Video)
	}
	return ""
}

func lostIn(s bridge.Simulation) []bridge.Holding {
	if s.Now == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Now.Holds), func(was bridge.Holding) bool {
		return slices.ContainsFunc(s.Then.Holds, func(h bridge.Holding) bool { return h.Is == was.Is })
	})
}

// newReasons are what rules say then and do not say now; of somebody made up, what
// matched or nearly did.
func newReasons(s bridge.Simulation) []mapping.Reason {
	return slices.DeleteFunc(slices.Clone(s.Then.Reasons), func(r mapping.Reason) bool {
		if s.Now == nil {
			return !r.Matched && !r.Near
		}
		return slices.ContainsFunc(s.Now.Reasons, func(was mapping.Reason) bool { return was.String() == r.String() })
	})
}

// inFile is where a rule or a test stands, behind what is said of it.
func inFile(p mapping.Pos) string {
	if at := p.String(); at != "" {
		return "  (" + at + ")"
	}
	return ""
}

// saveTest writes a simulation as a test: onto standard output, or behind the tests of
// a file, all else of which stays as it is.
func (c *cli) saveTest(t mapping.TestSource, to string) error {
	switch {
	case to == "":
		return nil
	case to == "-" && c.json: // it stands in the JSON
		return nil
	case to == "-":
		fmt.Fprintf(c.out, "\ntests:\n%s", config.TestYAML(t, "  "))
		return nil
	}
	file, err := config.ReadFile(to)
	if err != nil {
		return failed(exitUsage, "--save-test: %w", err)
	}
	after, err := config.WithTest(file, t)
	if err != nil {
		return failed(exitUsage, "--save-test: %s: %w", to, err)
	}
	if err := replaceFile(to, after); err != nil {
		return failed(exitUsage, "--save-test: %w", err)
	}
	if !c.json {
		fmt.Fprintf(c.out, "A test was added to %s.\n", to)
	}
	return nil
}

// replaceFile puts a file in the place of another at once, with its mode.
func replaceFile(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) //nolint:errcheck // it is gone when all went well
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(info.Mode().Perm()), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/register"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) register() *cobra.Command {
	cmd := family("register", "The vendor's register of technicians' certifications")
	cmd.AddCommand(c.registerImport(), c.registerList(), c.registerShow(), c.registerSet(), c.registerRemove())
	return cmd
}

// registerPart is how many entries are sent at once.
const registerPart = 2000

func (c *cli) registerImport() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{Use: "import FILE", Short: "Take a table of certifications in", Args: cobra.ExactArgs(1),
		Long: "import reads CSV (RFC 4180) with the columns connection, user, level, until and, if you like, note. user is a\n" +
			"userName, an e-mail address or an id; until a day, at the end of which (UTC) the certification is over, or an\n" +
			"instant, or nothing. All that is wrong is said at once, and then nothing is changed. Whom nobody answers to waits.\n" +
			"Interrupted, it goes on when it is done again; done twice, it does nothing. What the table does not name stays.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.importRegister(cmd.Context(), args[0], dryRun)
		}}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what it would do, and do nothing")
	authorFlag(cmd, &c.author)
	return cmd
}

// authorFlag says who acts, for what is kept with the act.
func authorFlag(cmd *cobra.Command, author *string) {
	cmd.Flags().StringVar(author, "author", "", "who does it; kept with it (default: who is logged in here)")
}

func (c *cli) importRegister(ctx context.Context, file string, dryRun bool) error {
	data, err := readTableFile(file)
	if err != nil {
		return failed(exitUsage, "%w", err)
	}
	rows, faults := register.Parse(data)
	if len(faults) > 0 {
		return registerFaults(file, faults)
	}
	whole, err := c.sendRegister(ctx, file, rows, true)
	if err != nil {
		return err
	}
	if len(whole.Faults) > 0 {
		return registerFaults(file, whole.Faults)
	}
	if dryRun {
		return c.tellImport(whole, true)
	}
	shown := c.showSteps("importing", int64(max(1, len(rows))))
	defer shown.end()
	for from := 0; from < len(rows); from += registerPart {
		part, err := c.sendRegister(ctx, file, rows[from:min(len(rows), from+registerPart)], false)
		if err != nil {
			var e *exit
			if errors.As(err, &e) {
				return failed(e.code, "%w\n%d of %d lines are done; import the same file again to go on", err, from, len(rows))
			}
			return err
		}
		if len(part.Faults) > 0 {
			return registerFaults(file, part.Faults)
		}
		shown.at(int64(from))
	}
	return c.tellImport(whole, false)
}

func (c *cli) sendRegister(ctx context.Context, file string, rows []register.Row, dryRun bool) (done steward.Import, err error) {
	sent := make([]api.RegisterRow, len(rows))
	for i, r := range rows {
		sent[i] = api.RegisterRow{Line: r.Line, Connection: r.Connection, User: r.User, Level: r.Level, Until: r.Until, Note: r.Note}
	}
	in := map[string]any{"rows": sent, "source": "import " + filepath.Base(file), "dry_run": dryRun, "author": authorOr(c.author)}
	err = c.ask(ctx, http.MethodPost, "/register/imports", in, &done)
	return done, err
}

// registerFaults tells all that is wrong with a table, as compilers do.
func registerFaults(file string, faults []register.Fault) error {
	var said []string
	for i, f := range faults {
		if i == register.MaxFaults {
			said = append(said, "… and more")
			break
		}
		said = append(said, fmt.Sprintf("%s:%d:%d: %s", file, f.Line, f.Column, f.Text))
	}
	return failed(exitUsage, "%s\n%s. Nothing was changed.", strings.Join(said, "\n"), plural(min(len(faults), register.MaxFaults), "problem", "problems"))
}

func (c *cli) tellImport(done steward.Import, dryRun bool) error {
	done.DryRun = dryRun
	if c.json {
		return c.print(done)
	}
	fmt.Fprintf(c.out, "%s: %d new or other, %d as before. %d wait for their person, %d are over already.\n",
		plural(done.Rows, "entry", "entries"), done.Set, done.Same, done.Waiting, done.Lapsed)
	if dryRun {
		fmt.Fprintln(c.out, "Nothing was changed; without --dry-run it is done.")
	}
	return nil
}

func (c *cli) registerList() *cobra.Command {
	var connection, state, form string
	cmd := &cobra.Command{Use: "list", Short: "List the register", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if form != "text" && form != "csv" {
				return failed(exitUsage, "--format is text or csv, not %q", form)
			}
			all := []steward.Entry{}
			for q := (url.Values{"limit": {"1000"}, "connection": {connection}, "state": {state}}); ; {
				var page steward.EntryPage
				if err := c.ask(cmd.Context(), http.MethodGet, "/register?"+given(q).Encode(), nil, &page); err != nil {
					return err
				}
				all = append(all, page.Entries...)
				if page.Next == 0 {
					break
				}
				q.Set("after", strconv.FormatInt(int64(page.Next), 10))
			}
			return c.listRegister(all, form)
		}}
	cmd.Flags().StringVar(&connection, "connection", "", "only this connection")
	cmd.Flags().StringVar(&state, "state", "", "only those that are waiting for their person, or lapsed")
	cmd.Flags().StringVar(&form, "format", "text", "text, or csv as import reads it")
	return cmd
}

// given leaves out of a query what is empty.
func given(q url.Values) url.Values {
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	return q
}

func (c *cli) listRegister(all []steward.Entry, form string) error {
	switch {
	case form == "csv":
		rows := make([]register.Row, len(all))
		for i, e := range all {
			rows[i] = e.Row()
		}
		return register.Write(c.out, rows)
	case c.json:
		return c.print(all)
	case len(all) == 0:
		fmt.Fprintln(c.out, "The register has no such entry.")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "CONNECTION\tUSER\tPERSON\tLEVEL\tUNTIL\tSTATE\tNOTE")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Connection, e.User, orDash(string(e.Person)), e.Level, lastDay(e.Until), e.State, e.Note)
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// untilWords is an end as people here read it.
func untilWords(t time.Time) string {
	if t.IsZero() {
		return "no end"
	}
	return t.Local().Format(minute)
}

// lastDay is the end of a certification: the day, where it counts until that is over.
func lastDay(t time.Time) string {
	if t.IsZero() || !t.Equal(t.UTC().Truncate(24*time.Hour)) {
		return untilWords(t)
	}
	return t.UTC().AddDate(0, 0, -1).Format(time.DateOnly) + " (end of day, UTC)"
}

func entryPath(connection, user, author string) string {
	return "/register/entry?" + given(url.Values{"connection": {connection}, "user": {user}, "author": {author}}).Encode()
}

func (c *cli) registerShow() *cobra.Command {
	return &cobra.Command{Use: "show CONNECTION USER", Short: "Show what the register says of one person", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var e steward.Entry
			if err := c.ask(cmd.Context(), http.MethodGet, entryPath(args[0], args[1], ""), nil, &e); err != nil {
				return err
			}
			return c.tellEntry(e)
		}}
}

func (c *cli) tellEntry(e steward.Entry) error {
	if c.json {
		return c.print(e)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, line := range [][2]string{{"User", e.User}, {"Connection", string(e.Connection)}, {"Person", orDash(string(e.Person))}, {"Level", e.Level}, {"Until", lastDay(e.Until)},
		{"State", e.State}, {"Note", orDash(e.Note)}, {"Set", e.Set.Local().Format(minute) + " by " + orDash(e.By) + " (" + e.Source + ")"}} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	return w.Flush()
}

func (c *cli) registerSet() *cobra.Command {
	var level, until, note string
	cmd := &cobra.Command{Use: "set CONNECTION USER", Short: "Record one certification, which counts at once", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := register.ParseUntil(until)
			if err != nil {
				return failed(exitUsage, "--%w", err)
			}
			in := map[string]any{"connection": args[0], "user": args[1], "level": level, "note": note, "author": authorOr(c.author)}
			if !end.IsZero() {
				in["until"] = end
			}
			var e steward.Entry
			if err := c.ask(cmd.Context(), http.MethodPut, "/register/entry", in, &e); err != nil {
				return err
			}
			return c.tellEntry(e)
		}}
	cmd.Flags().StringVar(&level, "level", "", "the certification, as the guide calls it")
	cmd.Flags().StringVar(&until, "until", "", "a day, at the end of which (UTC) it is over, or an instant (default: no end)")
	cmd.Flags().StringVar(&note, "note", "", "for who looks at it")
	authorFlag(cmd, &c.author)
	cmd.MarkFlagRequired("level") //nolint:errcheck // the flag is there
	return cmd
}

func (c *cli) registerRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "remove CONNECTION USER", Short: "Take an entry back: it counts for nothing from then on", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.ask(cmd.Context(), http.MethodDelete, entryPath(args[0], args[1], authorOr(c.author)), nil, nil); err != nil {
				return err
			}
			if c.json {
				return c.print(map[string]string{"removed": args[1]})
			}
			fmt.Fprintln(c.out, "Removed: what needed it has ended.")
			return nil
		}}
	authorFlag(cmd, &c.author)
	return cmd
}

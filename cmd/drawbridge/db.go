package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/dump"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/postgres"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

func (c *cli) db() *cobra.Command {
	cmd := family("db", "Look after the database that a configuration names; no running bridge is asked")
	cmd.AddCommand(c.dbMigrate(), c.dbCheck(), c.dbBackup(), c.dbRestore(), c.dbExport(), c.dbImport())
	return cmd
}

// ofDatabase is a command about the database of a configuration, and a file if it names one.
func (c *cli) ofDatabase(use, short, long string, do func(ctx context.Context, cfg *config.Config, file string) error) *cobra.Command {
	from := "drawbridge.yaml"
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(from)
		if err != nil {
			return err
		}
		file := ""
		if len(args) > 0 {
			file = args[0]
		}
		return do(cmd.Context(), cfg, file)
	}}
	if use != cmd.Name() {
		cmd.Args = cobra.ExactArgs(1)
	}
	cmd.Flags().StringVar(&from, "config", from, "configuration file, which names the database")
	return cmd
}

func (c *cli) dbMigrate() *cobra.Command {
	plan := false
	cmd := c.ofDatabase("migrate", "Bring the database to this program's schema",
		"migrate brings the database to the schema of this program, as a start of the bridge does, unless database.migrate is false.\nThe bridge of the version before goes on meanwhile. With --plan it says what would be done, and changes nothing.",
		func(ctx context.Context, cfg *config.Config, _ string) error { return c.migrate(ctx, cfg, plan) })
	cmd.Flags().BoolVar(&plan, "plan", false, "say what would be done, and change nothing")
	return cmd
}

// pending is what a start would bring into the database.
func pending(ctx context.Context, cfg *config.Config) ([]string, error) {
	if cfg.Database.URL.Empty() {
		return sqlite.Pending(databaseFile(cfg))
	}
	return postgres.Pending(ctx, cfg.Database.URL.Reveal())
}

func (c *cli) migrate(ctx context.Context, cfg *config.Config, plan bool) error {
	steps, err := pending(ctx, cfg)
	if err != nil {
		return ofDatabase(err)
	}
	if !plan {
		cfg.Database.Migrate = true
		e, err := openEngine(ctx, cfg)
		if err == nil {
			err = e.Close()
		}
		if err != nil {
			return ofDatabase(err)
		}
	}
	if c.json {
		return c.print(map[string]any{"steps": append([]string{}, steps...), "done": !plan})
	}
	verb := "done "
	if plan {
		verb = "would do "
	}
	for _, s := range steps {
		fmt.Fprintln(c.out, verb+s)
	}
	if len(steps) == 0 {
		fmt.Fprintln(c.out, "The schema is up to date.")
	}
	return nil
}

// ofDatabase is an error about the database, with what somebody can do about it.
func ofDatabase(err error) error {
	code := exitUsage
	switch {
	case fault.Is(err, fault.Unavailable):
		code = exitUnreachable
	case fault.Is(err, fault.Conflict):
		code = exitGuard
	}
	if said := fault.DetailOf(err); said != "" {
		return failed(code, "%s", said)
	}
	if code == exitUnreachable {
		return failed(code, "the database does not answer: %w", err)
	}
	return &exit{code: code, err: err}
}

// openEngine opens the database bare, to be changed as a whole: of the data folder, only if no
// bridge has it.
func openEngine(ctx context.Context, cfg *config.Config) (store.Engine, error) {
	d := cfg.Database
	if !d.URL.Empty() {
		return postgres.OpenEngine(ctx, d.URL.Reveal(), postgres.Options{Lanes: 1, Readers: 2, LeaveSchema: !d.Migrate})
	}
	return sqlite.OpenEngine(ctx, databaseFile(cfg))
}

// openBeside opens the database to be looked at, beside a bridge that goes on.
func openBeside(ctx context.Context, cfg *config.Config) (store.Engine, error) {
	if cfg.Database.URL.Empty() {
		return sqlite.OpenBeside(ctx, databaseFile(cfg))
	}
	return postgres.OpenEngine(ctx, cfg.Database.URL.Reveal(), postgres.Options{Lanes: 1, Readers: 2, LeaveSchema: true})
}

func (c *cli) dbCheck() *cobra.Command {
	return c.ofDatabase("check", "Compare what is in the database with itself",
		"check asks the engine whether it is sound, and compares what is in the database with itself: counters with rows, assignments with\nthe ceilings and permits that they stand on, the audit chains, what has been told and what waits. It changes nothing, and the bridge\nmay go on. Exit code 1 if something is wrong.",
		func(ctx context.Context, cfg *config.Config, _ string) (err error) {
			e, err := openBeside(ctx, cfg)
			if err != nil {
				return ofDatabase(err)
			}
			defer func() { err = errors.Join(err, e.Close()) }()
			return c.tellFindings(dump.Check(ctx, e))
		})
}

func (c *cli) tellFindings(found []dump.Finding, err error) error {
	if err != nil {
		return ofDatabase(err)
	}
	if c.json {
		err = c.print(map[string]any{"ok": len(found) == 0, "findings": append([]dump.Finding{}, found...)})
	}
	for _, f := range found {
		if !c.json {
			fmt.Fprintf(c.out, "%s: %s\n", f.Check, f.What)
		}
	}
	switch {
	case err != nil:
		return err
	case len(found) > 0 && c.json:
		return &exit{code: exitNo}
	case len(found) > 0:
		return failed(exitNo, "%s contradict what is there.", plural(len(found), "thing", "things"))
	case !c.json:
		fmt.Fprintln(c.out, "The database is sound: the engine, its references, counters, what assignments stand on, audit chains and marks.")
	}
	return nil
}

// ticker tells on a terminal how far something is, and wipes that out at its end.
func (c *cli) ticker(what string) (progress dump.Progress, end func()) {
	if !isTerminal(c.err) {
		return func(int64) {}, func() {}
	}
	var told time.Time
	return func(rows int64) {
		if now := time.Now(); now.Sub(told) > 200*time.Millisecond {
			told = now
			fmt.Fprintf(c.err, "\r%s: %d rows", what, rows)
		}
	}, func() { fmt.Fprint(c.err, "\r\x1b[K") }
}

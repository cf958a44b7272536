package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (c *cli) scope() *cobra.Command {
	cmd := family("scope", "Look at the scope tree, and change it where it is kept in the store")
	cmd.Long = "A scope is named by its path, such as pacific/ironbark/adelaide; . is the host. A former path leads to it, too.\n" +
		"The tree stands in the configuration file, or is kept in the store (scopes: store) and changed by these commands."
	cmd.AddCommand(c.scopeList(), c.scopeShow(), c.scopeExport())
	for _, change := range []*cobra.Command{c.scopeAdd(), c.scopeRename(), c.scopeMove(), c.scopeRetire(), c.scopeRestore(), c.scopeImport()} {
		change.Flags().StringVar(&c.author, "author", "", "who changes the tree; kept with the version (default: who is logged in here)")
		cmd.AddCommand(change)
	}
	return cmd
}

// scopePage is how many scopes are asked for at a time.
const scopePage = bridge.MaxScopes

// eachScope asks for a part of the tree after the other, until fn is not content.
func (c *cli) eachScope(ctx context.Context, under string, most int, fn func(bridge.ScopeList) error) error {
	query := url.Values{"under": {under}, "limit": {strconv.Itoa(min(most, scopePage))}}
	for shown := 0; ; {
		var list bridge.ScopeList
		if err := c.ask(ctx, http.MethodGet, "/scopes?"+query.Encode(), nil, &list); err != nil {
			return err
		}
		if err := fn(list); err != nil {
			return err
		}
		if shown += len(list.Scopes); list.Next == "" || shown >= most {
			return nil
		}
		query.Set("after", list.Next)
		query.Set("limit", strconv.Itoa(min(most-shown, scopePage)))
	}
}

func (c *cli) scopeList() *cobra.Command {
	var under string
	var most int
	cmd := &cobra.Command{Use: "list", Short: "Show the scope tree, with how many assignments there are at each scope", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 1 {
				return failed(exitUsage, "--limit is at least 1")
			}
			if c.json {
				all := bridge.ScopeList{Scopes: []bridge.ScopeView{}}
				err := c.eachScope(cmd.Context(), under, most, func(l bridge.ScopeList) error {
					l.Scopes = append(all.Scopes, l.Scopes...)
					all = l
					return nil
				})
				if err != nil {
					return err
				}
				return c.print(all)
			}
			w := bufio.NewWriter(c.out)
			d := &drawing{w: w}
			left := 0
			err := c.eachScope(cmd.Context(), under, most, func(l bridge.ScopeList) error {
				for _, s := range l.Scopes {
					d.draw(s)
				}
				left = l.Total - d.drawn
				return w.Flush()
			})
			if err == nil && left > 0 {
				fmt.Fprintf(c.out, "… and %d more; --limit shows them, --under one part of the tree\n", left)
			}
			return err
		}}
	cmd.Flags().StringVar(&under, "under", ".", "only this scope and what lies below it")
	cmd.Flags().IntVar(&most, "limit", 500, "how many scopes are shown at most")
	return cmd
}

// drawing draws a tree whose scopes come depth first.
type drawing struct {
	w     io.Writer
	last  []bool // of each scope from the second drawn down to the present one
	root  access.Level
	drawn int
}

func (d *drawing) draw(s bridge.ScopeView) {
	if d.drawn++; d.drawn == 1 {
		d.root = s.Level
		fmt.Fprintf(d.w, "%s  %s%s\n", s.Path, s.Name, aside(s))
		return
	}
	depth := max(1, int(s.Level-d.root))
	d.last = append(d.last[:min(len(d.last), depth-1)], s.Last)
	var lines strings.Builder
	for _, last := range d.last[:len(d.last)-1] {
		if last {
			lines.WriteString("   ")
		} else {
			lines.WriteString("│  ")
		}
	}
	if s.Last {
		lines.WriteString("└─ ")
	} else {
		lines.WriteString("├─ ")
	}
	fmt.Fprintf(d.w, "%s%s  %s%s\n", &lines, s.Slug, s.Name, aside(s))
}

// aside is what stands beside a scope's name: its time zone, since when it is retired,
// and what is held at it.
func aside(s bridge.ScopeView) string {
	var said []string
	if s.TimeZone != "" {
		said = append(said, s.TimeZone)
	}
	if s.Retired != nil {
		said = append(said, "retired "+s.Retired.Local().Format(time.DateOnly))
	}
	if held := grantsHeld(s.Holds); held != "" {
		said = append(said, held)
	}
	if len(said) == 0 {
		return ""
	}
	return "  · " + strings.Join(said, " · ")
}

// grantsHeld is "3 standard, 1 administrator", in the order of the grants.
func grantsHeld(counts bridge.GrantCounts) string {
	var said []string
	for _, g := range access.Grants() {
		if n := counts[g]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, g))
		}
	}
	return strings.Join(said, ", ")
}

func (c *cli) scopeShow() *cobra.Command {
	return &cobra.Command{Use: "show PATH", Short: "Show a scope, what lies above and below it, and how much is held there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var s bridge.ScopeDetail
			if err := c.ask(cmd.Context(), http.MethodGet, "/scope?"+url.Values{"at": {args[0]}}.Encode(), nil, &s); err != nil {
				return err
			}
			if c.json {
				return c.print(s)
			}
			c.showScope(s)
			return nil
		}}
}

func (c *cli) showScope(s bridge.ScopeDetail) {
	line := func(what, value string) {
		if value != "" {
			fmt.Fprintf(c.out, "%-14s %s\n", what, value)
		}
	}
	fmt.Fprintf(c.out, "%s  %s\n", s.Path, s.Name)
	line("id", string(s.ID))
	line("level", strings.ReplaceAll(s.Level.String(), "_", " "))
	line("time zone", s.TimeZone)
	line("location", s.Location)
	line("former slugs", strings.Join(s.Was, ", "))
	line("former paths", strings.Join(s.Formerly, ", "))
	if s.Retired != nil {
		line("retired", s.Retired.Local().Format(time.DateTime))
	}
	or := func(counts bridge.GrantCounts) string {
		if held := grantsHeld(counts); held != "" {
			return held
		}
		return "nothing"
	}
	line("held here", or(s.Holds))
	for _, a := range s.Above {
		line("held above", or(a.Holds)+" @ "+a.Path)
	}
	if s.Below > 0 {
		line("held below", fmt.Sprintf("%s, at %s", or(s.Inside), plural(s.Below, "scope", "scopes")))
	}
	if !s.InStore {
		line("kept", "in the configuration file")
	}
}

// named splits a path that is to be added into its parent's and the slug.
func splitPath(path string) (under, slug string) {
	if at := strings.LastIndexByte(path, '/'); at >= 0 {
		return path[:at], path[at+1:]
	}
	return ".", path
}

func (c *cli) scopeAdd() *cobra.Command {
	in := map[string]string{}
	var name, zone, location, id string
	cmd := &cobra.Command{Use: "add PATH", Short: "Add a service provider, an account or a fleet", Args: cobra.ExactArgs(1),
		Long: "add adds a scope under the one that its path begins with, which says its level: pacific is a service provider,\npacific/ironbark an account, pacific/ironbark/adelaide a fleet. A fleet has one time zone. Whose groups name the\nnew scope gains what the rules give there.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in["under"], in["slug"] = splitPath(args[0])
			in["name"], in["author"] = name, authorOr(c.author)
			for key, value := range map[string]string{"timezone": zone, "location": location, "id": id} {
				if value != "" {
					in[key] = value
				}
			}
			var done bridge.ScopeChanged
			if err := c.ask(cmd.Context(), http.MethodPost, "/scopes", in, &done); err != nil {
				return err
			}
			return c.scopeDone(done, "Added")
		}}
	cmd.Flags().StringVar(&name, "name", "", "its name")
	cmd.Flags().StringVar(&zone, "timezone", "", "of a fleet: its time zone, such as Australia/Perth")
	cmd.Flags().StringVar(&location, "location", "", "of a fleet: where it is")
	cmd.Flags().StringVar(&id, "id", "", "its id, which never changes (default: made by the bridge)")
	return cmd
}

func (c *cli) scopeRename() *cobra.Command {
	words := []string{"slug", "name", "timezone", "location"}
	given := map[string]*string{}
	cmd := &cobra.Command{Use: "rename PATH", Short: "Give a scope another slug, name, time zone or location", Args: cobra.ExactArgs(1),
		Long: "rename changes what a scope is called. Its id stays, and so does what everybody holds; its former slug still leads\nto it. Tokens show the new path and name when they are made anew.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := map[string]string{"scope": args[0]}
			for _, w := range words {
				if cmd.Flags().Changed(w) {
					in[w] = *given[w]
				}
			}
			if len(in) == 1 {
				return failed(exitUsage, "say what it is called: --slug, --name, --timezone or --location")
			}
			in["author"] = authorOr(c.author)
			var done bridge.ScopeChanged
			err := c.ask(cmd.Context(), http.MethodPost, "/scope/rename", in, &done)
			if err != nil && strings.HasSuffix(err.Error(), bridge.PlanItFirst) {
				in["do"] = string(bridge.RenameScope)
				return c.planScope(cmd.Context(), in, "")
			}
			if err != nil {
				return err
			}
			return c.scopeDone(done, "Renamed")
		}}
	for _, w := range words {
		given[w] = cmd.Flags().String(w, "", "its new "+strings.Replace(w, "timezone", "time zone", 1))
	}
	return cmd
}

func (c *cli) scopeMove() *cobra.Command {
	var under, plan string
	cmd := &cobra.Command{Use: "move PATH", Short: "Plan to put a scope, and all below it, under another parent", Args: cobra.ExactArgs(1),
		Long: "move says who would gain and lose what; nothing is changed until the plan is applied by its hash. The id stays, and\nthe former path still leads to the scope.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.planScope(cmd.Context(), map[string]string{"do": string(bridge.MoveScope), "scope": args[0], "under": under}, plan)
		}}
	addScopePlan(cmd, &plan)
	cmd.Flags().StringVar(&under, "under", "", "path of its parent to be")
	_ = cmd.MarkFlagRequired("under") //nolint:errcheck // the flag is there
	return cmd
}

func (c *cli) scopeRetire() *cobra.Command {
	return c.scopeDeed(bridge.RetireScope, "Plan to end a scope and all below it", "retire says who would lose what; nothing is changed until the plan is applied by its hash. A retired scope gives nothing:\nwhat is held at it, or below it, ends. It keeps its path, and can be restored.")
}

func (c *cli) scopeRestore() *cobra.Command {
	return c.scopeDeed(bridge.RestoreScope, "Plan to take a scope back that was retired", "restore says who would gain what; nothing is changed until the plan is applied by its hash. What was retired by itself\nbelow the scope stays retired.")
}

func (c *cli) scopeDeed(do bridge.ScopeDeed, short, long string) *cobra.Command {
	var plan string
	cmd := &cobra.Command{Use: string(do) + " PATH", Short: short, Long: long, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.planScope(cmd.Context(), map[string]string{"do": string(do), "scope": args[0]}, plan)
	}}
	addScopePlan(cmd, &plan)
	return cmd
}

func addScopePlan(cmd *cobra.Command, plan *string) {
	cmd.Flags().StringVar(plan, "plan", "", "do what the plan of this hash showed, as drawbridge apply does")
}

// planScope plans a change of the tree and shows the plan, or applies the one of a hash.
func (c *cli) planScope(ctx context.Context, in map[string]string, hash string) error {
	if hash != "" {
		return c.applyPlan(ctx, api.ApplyRequest{Plan: hash, Author: authorOr(c.author)})
	}
	in["author"] = authorOr(c.author)
	plan, err := c.askForPlanAt(ctx, "/scope/plans", in, func(bridge.PersonChange) error { return nil })
	if err != nil {
		return err
	}
	if c.json {
		return c.print(plan)
	}
	return c.planAsText(plan, nil, "", planFlags{})
}

func (c *cli) scopeDone(done bridge.ScopeChanged, what string) error {
	if c.json {
		return c.print(done)
	}
	if !done.Changed {
		fmt.Fprintf(c.out, "%s is so already; nothing was changed.\n", done.Scope.Path)
		return nil
	}
	fmt.Fprintf(c.out, "%s %s, %s, %s. Policy version %d.\n", what, done.Scope.Path, strings.ReplaceAll(done.Scope.Level.String(), "_", " "), done.Scope.ID, done.Policy)
	return nil
}

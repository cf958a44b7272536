package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// restoring is what the command was asked for.
type restoring struct {
	at     string
	groups []string
	applyFlags
}

func (c *cli) restore() *cobra.Command {
	var r restoring
	cmd := &cobra.Command{Use: "restore CONNECTION", Short: "Put a connection's groups and memberships back to how they were", Args: cobra.ExactArgs(1),
		Long: "restore shows what putting the groups and memberships of a connection back to an instant would do: which groups\ncome back, who joins and leaves them, and what everybody gains and loses by it. With --plan and the hash that it\nprints, it does exactly that. It activates nobody and brings no deleted person back.\n\nTIME is an instant (2026-11-27T09:00:00Z) or how long ago it was (90s, 1h, 2d), within the last 30 days.\n" +
			"Exit codes: 5 if it would be something else by now, 6 if a guard refuses.",
		RunE: func(cmd *cobra.Command, args []string) error { return c.runRestore(cmd, args[0], r) }}
	f := cmd.Flags()
	f.StringVar(&r.at, "at", "", "the instant, or how long ago it was")
	f.StringArrayVar(&r.groups, "group", nil, "only this group, by its id; may be given several times")
	f.StringVar(&r.plan, "plan", "", "carry out the plan with this hash")
	r.approve(cmd)
	return cmd
}

// instantOf reads an instant, or how long ago it was.
func instantOf(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	ago, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		ago = time.Duration(min(n, 1000)) * 24 * time.Hour
	}
	if err != nil || ago <= 0 {
		return time.Time{}, failed(exitUsage, "--at is an instant such as 2026-11-27T09:00:00Z, or how long ago it was: 90s, 1h, 2d; not %q", text)
	}
	return now.Add(-ago).UTC().Truncate(time.Millisecond), nil
}

func (c *cli) runRestore(cmd *cobra.Command, connection string, r restoring) error {
	at, err := instantOf(r.at, time.Now())
	if err != nil {
		return err
	}
	if r.plan != "" && !strings.Contains(r.at, "T") {
		return failed(exitUsage, "with --plan, give --at as the instant that the plan printed: it names exactly one")
	}
	base := "/connections/" + url.PathEscape(connection)
	var p bridge.RestorePlan
	if r.plan == "" {
		if err := c.askLong(cmd.Context(), base+"/restore-plans", map[string]any{"at": at, "groups": r.groups}, &p); err != nil {
			return err
		}
		if c.json {
			return c.print(p)
		}
		c.showRestore(p, connection, r)
		return nil
	}
	ask := api.RestoreRequest{At: at, Plan: r.plan, Author: authorOr(r.author), Reason: r.reason, Approvals: r.approvals()}
	for _, g := range r.groups {
		ask.Groups = append(ask.Groups, access.GroupID(g))
	}
	if err := c.askLong(cmd.Context(), base+"/restores", ask, &p); err != nil {
		return err
	}
	if c.json {
		return c.print(p)
	}
	fmt.Fprintf(c.out, "Restored: %s. What people hold follows within seconds.\n", restoreSum(p))
	return nil
}

func restoreSum(p bridge.RestorePlan) string {
	joins, leaves, returns := 0, 0, 0
	for _, g := range p.Groups {
		joins, leaves = joins+g.Joins+g.Resumes, leaves+g.Leaves
		if g.Returns && g.Note == "" {
			returns++
		}
	}
	return fmt.Sprintf("%s, of which %d come back; %d members join, %d leave", plural(len(p.Groups), "group", "groups"), returns, joins, leaves)
}

func (c *cli) showRestore(p bridge.RestorePlan, connection string, r restoring) {
	at := p.At.Format(time.RFC3339Nano)
	fmt.Fprintf(c.out, "Back to %s: %s.\n", at, restoreSum(p))
	fmt.Fprintf(c.out, "%d people gain access, %d lose some, %d of them all; %d sessions end or have to choose.\n\n", p.Summary.Gaining, p.Summary.Losing, p.Summary.WithoutAccess, p.Summary.Sessions)
	for _, g := range p.Groups {
		line := fmt.Sprintf("~ %s %q", g.Group, g.Name)
		if g.Returns {
			line = "+" + line[1:] + " comes back"
		}
		if g.Renamed != "" {
			line += fmt.Sprintf(", now %q", g.Renamed)
		}
		fmt.Fprintf(c.out, "%s: +%d -%d members", line, g.Joins, g.Leaves)
		if g.Resumes > 0 {
			fmt.Fprintf(c.out, ", %d since the earlier instant again", g.Resumes)
		}
		if g.Note != "" {
			fmt.Fprintf(c.out, "; %s", g.Note)
		}
		fmt.Fprintln(c.out)
	}
	for _, g := range p.Left {
		fmt.Fprintf(c.out, "  %s %q: %s\n", g.Group, g.Name, g.Note)
	}
	if p.GoneCount > 0 {
		fmt.Fprintf(c.out, "  deleted since, and left out: %s\n", some(p.GoneCount, p.Gone))
	}
	for i, x := range p.People {
		if i == 0 {
			fmt.Fprintln(c.out)
		}
		for _, h := range x.Gains {
			fmt.Fprintf(c.out, "  %-32s + %s (%s)\n", x.UserName, h.Is, h.Standing)
		}
		for _, h := range x.Loses {
			fmt.Fprintf(c.out, "  %-32s - %s (%s)\n", x.UserName, h.Is, h.Standing)
		}
		for _, h := range x.Alters {
			fmt.Fprintf(c.out, "  %-32s ~ %s (%s; was %s)\n", x.UserName, h.Is, h.Standing, strings.Join(h.Was, ", "))
		}
	}
	if more := p.Summary.Changing - int64(len(p.People)); more > 0 {
		fmt.Fprintf(c.out, "  and %d more\n", more)
	}
	if len(p.Groups) == 0 {
		return
	}
	command := fmt.Sprintf("drawbridge restore %s --at %s --plan %s", connection, at, p.Hash)
	for _, g := range r.groups {
		command += " --group " + g
	}
	for _, g := range p.Guards {
		fmt.Fprintf(c.out, "\nguard %s: %s.", g.Guard, g.Message)
	}
	command += approving(p.Guards)
	fmt.Fprintf(c.out, "\nTo do it: %s\n", command)
}

// some lists the first of many.
func some[T ~string](count int64, all []T) string {
	var words []string
	for _, id := range all[:min(len(all), 10)] {
		words = append(words, string(id))
	}
	text := strings.Join(words, ", ")
	if more := count - int64(len(words)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

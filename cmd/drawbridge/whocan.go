package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// who are the flags of every question of this kind.
type who struct {
	conn, at, after string
	limit           int
}

func (w *who) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.conn, "connection", "", "only this connection")
	atFlag(cmd, &w.at)
	f.IntVar(&w.limit, "limit", 100, "how many to show, at most 1000")
	f.StringVar(&w.after, "after", "", "go on behind the page that gave this")
}

// query puts the flags to what is asked.
func (w who) query(q url.Values) (url.Values, error) {
	if w.conn != "" {
		q.Set("connection", w.conn)
	}
	if w.after != "" {
		q.Set("after", w.after)
	}
	q.Set("limit", strconv.Itoa(w.limit))
	return q, atInstant(q, w.at)
}

func (c *cli) whoCanSee() *cobra.Command {
	var w who
	cmd := &cobra.Command{Use: "who-can-see SCOPE", Short: "List who sees a scope, and through what", Args: cobra.ExactArgs(1),
		Long: "who-can-see lists everybody who holds a grant that may sign in at the scope or at one that covers it: counted\nfirst, then one line for each assignment, those at the scope itself before those from above.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := w.query(url.Values{"scope": {args[0]}})
			if err != nil {
				return err
			}
			return c.reach(cmd.Context(), "/who-can-see?"+q.Encode(), w)
		}}
	w.flags(cmd)
	return cmd
}

func (c *cli) whoHas() *cobra.Command {
	var w who
	var scope string
	cmd := &cobra.Command{Use: "who-has GRANT", Short: "List who holds a grant", Args: cobra.ExactArgs(1),
		Long: "who-has lists everybody who holds a grant, anywhere or at one scope: counted first, then one line for each\nassignment.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"grant": {args[0]}}
			if scope != "" {
				q.Set("at_scope", scope)
			}
			q, err := w.query(q)
			if err != nil {
				return err
			}
			return c.reach(cmd.Context(), "/who-has?"+q.Encode(), w)
		}}
	cmd.Flags().StringVar(&scope, "at-scope", "", "held at this scope, not above or below it")
	w.flags(cmd)
	return cmd
}

func (c *cli) reach(ctx context.Context, path string, asked who) error {
	var found bridge.Holders
	if err := c.ask(ctx, http.MethodGet, path, nil, &found); err != nil {
		return err
	}
	if c.json {
		return c.print(found)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, n := range found.Counts {
		fmt.Fprintf(w, "%d\t%s @ %s\n", n.Count, n.Grant, n.Path)
	}
	if len(found.Counts) > 0 {
		fmt.Fprintln(w)
	}
	for _, h := range found.Holders {
		name := h.UserName
		if name == "" {
			name = string(h.Person)
		}
		times := ""
		if !h.NotBefore.IsZero() {
			times += "  from " + localMinute(h.NotBefore)
		}
		if !h.Until.IsZero() {
			times += "  until " + localMinute(h.Until)
		}
		for _, t := range h.Permits {
			times += "  by " + cmp.Or(string(t.Request), string(t.ID))
			if t.Case != "" {
				times += ", case " + string(t.Case)
			}
		}
		if len(h.Limits) > 0 {
			times += "  (limited)"
		}
		if h.FromAbove {
			times += "  (from above)"
		}
		if h.Stale != "" {
			times += "  (" + h.Stale + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s%s\n", name, h.Connection, h.Standing, h.Is, h.Risk, times)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(found.Holders) == 0 {
		fmt.Fprintln(c.out, "Nobody.")
	}
	for _, n := range found.Notes {
		fmt.Fprintln(c.out, "note: "+n)
	}
	c.more(asked, found.Next, found.At)
	return nil
}

// more says how to go on. A duration before now would be another instant by then.
func (c *cli) more(asked who, next string, at time.Time) {
	if next == "" {
		return
	}
	hint := "There are more:"
	if asked.at != "" {
		hint += " --at " + at.UTC().Format(time.RFC3339Nano)
	}
	fmt.Fprintln(c.out, hint+" --after "+next)
}

func (c *cli) whoWasIn() *cobra.Command {
	var w who
	cmd := &cobra.Command{Use: "who-was-in GROUP", Short: "List who was in a group at an instant of the past", Args: cobra.ExactArgs(1),
		Long: "who-was-in lists who was in a group (name, id or externalId of today, or the id of one that is gone), with\nwhen and by which SCIM request each came into it, from the audit trail.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := w.query(url.Values{"group": {args[0]}})
			if err != nil {
				return err
			}
			var found bridge.Roll
			if err := c.ask(cmd.Context(), http.MethodGet, "/who-was-in?"+q.Encode(), nil, &found); err != nil {
				return err
			}
			if c.json {
				return c.print(found)
			}
			return c.roll(found, w)
		}}
	w.flags(cmd)
	return cmd
}

func (c *cli) roll(found bridge.Roll, asked who) error {
	name := fmt.Sprintf("%q", found.Name)
	if found.Name == "" {
		name = string(found.Group)
	}
	if !found.Deleted.IsZero() {
		name += ", deleted " + localMinute(found.Deleted)
	}
	fmt.Fprintf(c.out, "group %s   via %s   at %s: %d in it\n", name, found.Connection, found.At.Local().Format(second), found.Total)
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, m := range found.Members {
		who := m.UserName
		if who == "" {
			who = string(m.Person)
		}
		by := ""
		if m.Request != "" {
			by = " by request " + m.Request
		}
		fmt.Fprintf(w, "%s\tsince %s%s\n", who, localMinute(m.Since), by)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	c.more(asked, found.Next, found.At)
	return nil
}

package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) accessCase() *cobra.Command {
	cmd := family("case", "Tickets, projects, engagements and investigations that access was given for")
	cmd.AddCommand(c.caseList(), c.caseShow(), c.caseClose())
	return cmd
}

func (c *cli) caseList() *cobra.Command {
	var open bool
	var limit int
	var after string
	cmd := &cobra.Command{Use: "list", Short: "List cases, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"count": {strconv.Itoa(limit)}}
			setTrue(q, "open", open)
			if after != "" {
				q.Set("after", after)
			}
			var page steward.CasePage
			if err := c.ask(cmd.Context(), http.MethodGet, "/cases?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			if c.json {
				return c.print(page)
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "CASE\tOPENED\tCLOSED\tWAITING\tGIVEN")
			for _, v := range page.Cases {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", v.ID, localMinute(v.Opened), closedAt(v), v.Requests, v.Permits)
			}
			if err := w.Flush(); err != nil || page.Next == "" {
				return err
			}
			fmt.Fprintf(c.out, "There are more: --after %s\n", page.Next)
			return nil
		}}
	cmd.Flags().BoolVar(&open, "open", false, "those that are open")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most, up to 200")
	cmd.Flags().StringVar(&after, "after", "", "go on after this one")
	return cmd
}

func closedAt(v steward.CaseView) string {
	if v.Closed.IsZero() {
		return "open"
	}
	return localMinute(v.Closed)
}

func casePath(id string) string { return "/cases/" + url.PathEscape(id) }

func (c *cli) caseShow() *cobra.Command {
	return &cobra.Command{Use: "show CASE", Short: "Show one case, and what closing it would end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v steward.CaseView
			if err := c.ask(cmd.Context(), http.MethodGet, casePath(args[0]), nil, &v); err != nil {
				return err
			}
			if c.json {
				return c.print(v)
			}
			return c.showCase(v)
		}}
}

func (c *cli) showCase(v steward.CaseView) error {
	if !v.Closed.IsZero() {
		by := "somebody"
		if v.ClosedBy != nil {
			by = whoIs(*v.ClosedBy)
		}
		fmt.Fprintf(c.out, "Case %s was closed by %s, %s: %s\n", v.ID, by, localMinute(v.Closed), cmp.Or(v.Reason, "no reason was given"))
		return nil
	}
	fmt.Fprintf(c.out, "Case %s is open since %s. Closing it ends what was given for it (%d) and what waits (%d), and begins a review:\n", v.ID, localMinute(v.Opened), v.Permits, v.Requests)
	if err := c.listPermits(v.Ends); err != nil {
		return err
	}
	for _, area := range v.Last {
		fmt.Fprintf(c.out, "%s would have no administrator: name one with --successor, or say --confirm-last.\n", area.Path)
	}
	return nil
}

func (c *cli) caseClose() *cobra.Command {
	in := steward.CloseCase{}
	var last lastOne
	cmd := &cobra.Command{Use: "close CASE", Short: "Close a case: show what that ends, then end it by the hash of what was shown", Args: cobra.ExactArgs(1),
		Long: "close shows what closing the case would end, and the plan's hash. With --plan HASH exactly that ends, all of it at\none instant; if something else would end by now, nothing does and the exit code is 5.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Plan == "" {
				return c.planClosing(cmd, args[0])
			}
			body := map[string]any{"kind": in.Kind, "reason": in.Reason, "plan": in.Plan, "author": authorOr(c.author)}
			if in.Kind == "" {
				delete(body, "kind")
			}
			if err := last.put(cmd.Context(), c, body); err != nil {
				return err
			}
			var v steward.CaseView
			if err := c.ask(cmd.Context(), http.MethodPost, casePath(args[0])+"/close", body, &v); err != nil {
				return err
			}
			if c.json {
				return c.print(v)
			}
			fmt.Fprintf(c.out, "Case %s is closed. What was given for it has ended, with the tokens that stood on it.\n", v.ID)
			if v.Review != "" {
				fmt.Fprintf(c.out, "Review %s writes down what was given for it, and asks about what of that is still held.\n", v.Review)
			}
			return nil
		}}
	f := cmd.Flags()
	f.StringVar(&in.Kind, "kind", "", "ticket, project, engagement or investigation")
	f.StringVar(&in.Reason, "reason", "", "why")
	f.StringVar(&in.Plan, "plan", "", "the hash of what was shown")
	last.flags(cmd)
	c.authored(cmd)
	return cmd
}

// planClosing shows what closing a case would end.
func (c *cli) planClosing(cmd *cobra.Command, id string) error {
	var v steward.CaseView
	if err := c.ask(cmd.Context(), http.MethodGet, casePath(id), nil, &v); err != nil {
		return err
	}
	if c.json {
		return c.print(v)
	}
	if err := c.showCase(v); err != nil || !v.Closed.IsZero() {
		return err
	}
	fmt.Fprintf(c.out, "Nothing has ended yet. To close it: drawbridge case close %s --plan %s\n", v.ID, v.Plan)
	return nil
}

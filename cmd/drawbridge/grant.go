package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) grant() *cobra.Command {
	cmd := family("grant", "What people gave beside what groups give: ask for it by its name, list it, extend it, take it back, hand it over")
	cmd.AddCommand(c.grantGive(), c.grantList(), c.grantExtend(), c.grantRevoke(), c.grantVerify(), c.grantHandover())
	for _, change := range cmd.Commands() {
		c.authored(change)
	}
	return cmd
}

func (c *cli) grantGive() *cobra.Command {
	var w wish
	cmd := &cobra.Command{Use: "give PERSON GRANT", Short: `Ask for one grant at one scope, "standard @ southern/banksia": a request like any other, that others decide`, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			grant, at, both := strings.Cut(args[1], "@")
			if !both {
				return failed(exitUsage, `%q is not a grant at a scope, such as "standard @ southern/banksia"`, args[1])
			}
			w.grant, w.at = strings.ToLower(strings.TrimSpace(grant)), strings.TrimSpace(at)
			in, err := w.ask(time.Now())
			if err != nil {
				return err
			}
			var v steward.RequestView
			if err := c.asks(cmd.Context(), "/requests", args[0], w, in, &v); err != nil {
				return err
			}
			return c.tellRequest(v)
		}}
	w.flags(cmd)
	for _, name := range []string{"at", "grant"} {
		cmd.Flags().MarkHidden(name) //nolint:errcheck // the flag is there
	}
	return cmd
}

func (c *cli) grantList() *cobra.Command {
	var q listing
	var all bool
	cmd := &cobra.Command{Use: "list [PERSON]", Short: "List what people gave, the newest first", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.person = args[0]
			}
			values, err := q.values(cmd.Context(), c)
			if err != nil {
				return err
			}
			setTrue(values, "live", !all)
			var page steward.PermitPage
			if err := c.ask(cmd.Context(), http.MethodGet, "/permits?"+values.Encode(), nil, &page); err != nil {
				return err
			}
			if c.json {
				return c.print(page)
			}
			if err := c.listPermits(page.Permits); err != nil || page.Next == "" {
				return err
			}
			fmt.Fprintf(c.out, "There are more: --after %s\n", page.Next)
			return nil
		}}
	q.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "also what has ended")
	return cmd
}

func (c *cli) listPermits(all []steward.PermitView) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tRISK\tWHO\tHOLDS\tSTANDING\tUNTIL\tCASE\tREQUEST\tSTATE")
	for _, p := range all {
		until := "no end"
		if !p.Terms.Until.IsZero() {
			until = localMinute(p.Terms.Until)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Risk, whoIs(p.For), terms(p.Terms), p.Standing, until, dash(string(p.Case)), dash(string(p.Request)),
			strings.TrimSpace(strings.ReplaceAll(p.State+" "+p.EndReason, "_", " ")))
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c *cli) grantExtend() *cobra.Command {
	var w wish
	cmd := &cobra.Command{Use: "extend REQUEST", Short: "Ask that what a request gave lasts longer: a new decision", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.extend(cmd.Context(), args[0], w) }}
	w.timeFlags(cmd)
	return cmd
}

func (c *cli) grantRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "revoke PERMIT", Short: "Take back what people gave, at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var p steward.PermitView
			in := map[string]any{"reason": reason, "author": authorOr(c.author)}
			if err := c.ask(cmd.Context(), http.MethodPost, "/permits/"+url.PathEscape(args[0])+"/revoke", in, &p); err != nil {
				return err
			}
			if c.json {
				return c.print(p)
			}
			fmt.Fprintf(c.out, "Revoked: %s of %s has ended, with the tokens that stood on it. What groups give stays.\n", terms(p.Terms), whoIs(p.For))
			return nil
		}}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept for ever")
	cmd.MarkFlagRequired("reason") //nolint:errcheck // the flag is there
	return cmd
}

// personNamed finds the one person whom a name means, among those whom whoever acts may
// know: in the connection that is named, or in whichever has one.
func (c *cli) personNamed(ctx context.Context, name, connection string) (steward.PersonRef, error) {
	var found []steward.Who
	q := given(url.Values{"person": {name}, "connection": {connection}})
	if err := c.ask(ctx, http.MethodGet, "/people?"+q.Encode(), nil, &found); err != nil {
		return steward.PersonRef{}, err
	}
	if len(found) == 1 {
		return found[0].PersonRef, nil
	}
	var where []string
	for _, w := range found {
		where = append(where, fmt.Sprintf("%s of %s", w.Person, w.Connection))
	}
	return steward.PersonRef{}, failed(exitNo, "%s is several people: %s. Name one by id, or say which connection with --connection", name, strings.Join(where, ", "))
}

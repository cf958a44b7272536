package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
)

func (c *cli) doctor() *cobra.Command {
	return &cobra.Command{Use: "doctor", Short: "Find what is wrong or soon will be, and say what to do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var found []api.Finding
			if err := c.ask(cmd.Context(), http.MethodGet, "/doctor", nil, &found); err != nil {
				return err
			}
			bad := 0
			for _, f := range found {
				if f.Level == api.LevelFail {
					bad++
				}
			}
			if c.json {
				if err := c.print(found); err != nil {
					return err
				}
			} else {
				c.findings(found)
			}
			if bad > 0 {
				return &exit{code: exitNo}
			}
			return nil
		}}
}

func (c *cli) findings(found []api.Finding) {
	for _, f := range found {
		fmt.Fprintf(c.out, "%-5s %s\n", f.Level, f.What)
		if f.Fix != "" {
			fmt.Fprintf(c.out, "      fix: %s\n", f.Fix)
		}
	}
}

func (c *cli) allConnections(ctx context.Context) ([]api.Connection, error) {
	var all []api.Connection
	err := c.ask(ctx, http.MethodGet, "/connections", nil, &all)
	return all, err
}

func ago(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return time.Since(*t).Round(time.Second).String() + " ago"
}

func (c *cli) tokens() *cobra.Command {
	cmd := family("token", "SCIM bearer tokens of a connection")
	cmd.AddCommand(c.tokenCreate(), c.tokenList(), c.tokenRevoke())
	return cmd
}

func (c *cli) tokenCreate() *cobra.Command {
	var note string
	var days int
	cmd := &cobra.Command{Use: "create CONNECTION", Short: "Make a SCIM token; it is shown once", Args: cobra.ExactArgs(1),
		Long: "create makes a SCIM token and prints it once: only its digest is kept. Two may live at once, so that\na new one can be put in place before the old one is revoked.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var made api.NewToken
			in := map[string]any{"note": note, "days": days}
			if err := c.ask(cmd.Context(), http.MethodPost, "/connections/"+url.PathEscape(args[0])+"/tokens", in, &made); err != nil {
				return err
			}
			if c.json {
				return c.print(made)
			}
			fmt.Fprintf(c.out, "SCIM URL     %s\nSecret token %s\nExpires      %s\nThe token is not shown again.\n", made.SCIMURL, made.Secret, made.Expires.Local().Format(time.DateOnly))
			return nil
		}}
	cmd.Flags().StringVar(&note, "note", "", "where the token will be used")
	cmd.Flags().IntVar(&days, "days", 365, "how long it lives, 1 to 1095 days")
	return cmd
}

func (c *cli) tokenList() *cobra.Command {
	return &cobra.Command{Use: "list CONNECTION", Short: "List tokens, without their secrets", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := c.allConnections(cmd.Context())
			if err != nil {
				return err
			}
			for _, x := range all {
				if string(x.ID) == args[0] {
					return c.listTokens(x)
				}
			}
			return failed(exitNo, "there is no connection %q", args[0])
		}}
}

func (c *cli) listTokens(x api.Connection) error {
	if c.json {
		return c.print(x.Tokens)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tENDS WITH\tNOTE\tEXPIRES\tLAST USED\tREVOKED")
	for _, t := range x.Tokens {
		fmt.Fprintf(w, "%s\t…%s\t%s\t%s\t%s\t%s\n", t.ID, t.Tail, t.Note, t.Expires.Local().Format(time.DateOnly), ago(t.LastUsed), revoked(t.Revoked))
	}
	if err := w.Flush(); err != nil || len(x.Clients) == 0 {
		return err
	}
	fmt.Fprintln(c.out, "\nOAuth clients, which get access tokens of an hour (drawbridge connection client):")
	return listClients(c.out, x.Clients)
}

func (c *cli) tokenRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke CONNECTION TOKEN-ID", Short: "Revoke a token at once", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/connections/" + url.PathEscape(args[0]) + "/tokens/" + url.PathEscape(args[1])
			if err := c.ask(cmd.Context(), http.MethodDelete, path, nil, nil); err != nil {
				return err
			}
			if c.json {
				return c.print(map[string]string{"revoked": args[1]})
			}
			fmt.Fprintln(c.out, "Revoked: the next request with it is refused.")
			return nil
		}}
}

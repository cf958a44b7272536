package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
)

func (c *cli) scimClients() *cobra.Command {
	cmd := family("client", "OAuth clients of a connection's identity provider (client credentials)")
	cmd.AddCommand(c.clientCreate(), c.clientSecret(), c.clientList(), c.clientRevoke())
	return cmd
}

func clientsPath(connection string, more ...string) string {
	path := "/connections/" + url.PathEscape(connection) + "/clients"
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

func (c *cli) clientCreate() *cobra.Command {
	var name string
	var days int
	var secretless bool
	cmd := &cobra.Command{Use: "create CONNECTION", Short: "Make an OAuth client; its secret is shown once", Args: cobra.ExactArgs(1),
		Long: "create makes an OAuth client for the connection's identity provider, and prints what is typed in there. Only a\ndigest of the secret is kept. With --without-secret the client proves itself by assertions that are signed with the\nkeys under scim.jwks_file or scim.jwks_uri, or by what scim.federation pins.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := map[string]any{"name": name, "days": days}
			if secretless {
				in = map[string]any{"name": name, "secretless": true}
			}
			var made api.NewClient
			if err := c.ask(cmd.Context(), http.MethodPost, clientsPath(args[0]), in, &made); err != nil {
				return err
			}
			return c.showNew(made)
		}}
	cmd.Flags().StringVar(&name, "name", "", "where the client will be used")
	cmd.Flags().IntVar(&days, "days", 365, "how long its secret lives, 1 to 1095 days")
	cmd.Flags().BoolVar(&secretless, "without-secret", false, "no secret: signed assertions only")
	return cmd
}

func (c *cli) clientSecret() *cobra.Command {
	var note string
	var days int
	cmd := &cobra.Command{Use: "secret CONNECTION CLIENT-ID", Short: "Give a client one more secret; it is shown once", Args: cobra.ExactArgs(2),
		Long: "secret makes a further secret for a client. Those it has live on, so that the new one can be put in place\nbefore the old one is revoked.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var made api.NewClient
			in := map[string]any{"note": note, "days": days}
			if err := c.ask(cmd.Context(), http.MethodPost, clientsPath(args[0], args[1], "secrets"), in, &made); err != nil {
				return err
			}
			return c.showNew(made)
		}}
	cmd.Flags().StringVar(&note, "note", "", "where the secret will be used")
	cmd.Flags().IntVar(&days, "days", 365, "how long it lives, 1 to 1095 days")
	return cmd
}

func (c *cli) showNew(made api.NewClient) error {
	if c.json {
		return c.print(made)
	}
	fmt.Fprintf(c.out, "SCIM URL       %s\nToken URL      %s\nClient id      %s\n", made.SCIMURL, made.TokenURL, made.ID)
	if made.Secret == "" {
		fmt.Fprintln(c.out, "It has no secret: it proves itself by signed assertions.")
		return nil
	}
	fmt.Fprintf(c.out, "Client secret  %s\nExpires        %s\nThe secret is not shown again.\n", made.Secret, made.Expires.Local().Format(time.DateOnly))
	return nil
}

func (c *cli) clientList() *cobra.Command {
	return &cobra.Command{Use: "list CONNECTION", Short: "List clients and their secrets, without the secrets themselves", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := c.allConnections(cmd.Context())
			if err != nil {
				return err
			}
			for _, x := range all {
				if string(x.ID) != args[0] {
					continue
				}
				if c.json {
					return c.print(x.Clients)
				}
				return listClients(c.out, x.Clients)
			}
			return failed(exitNo, "there is no connection %q", args[0])
		}}
}

// listClients prints a line for each client, and below it one for each secret.
func listClients(out io.Writer, clients []api.Client) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "CLIENT / SECRET\tENDS WITH\tNAME\tEXPIRES\tLAST USED\tREVOKED")
	for _, k := range clients {
		used := ago(k.LastUsed)
		if k.LastUsedBy != "" {
			used += " by " + k.LastUsedBy
		}
		fmt.Fprintf(w, "%s\t\t%s\t\t%s\t%s\n", k.ID, k.Name, used, revoked(k.Revoked))
		for _, s := range k.Secrets {
			fmt.Fprintf(w, "  %s\t…%s\t%s\t%s\t%s\t%s\n", s.ID, s.Tail, s.Note, s.Expires.Local().Format(time.DateOnly), ago(s.LastUsed), revoked(s.Revoked))
		}
	}
	return w.Flush()
}

func revoked(at *time.Time) string {
	if at == nil {
		return "no"
	}
	return at.Local().Format(time.DateTime)
}

func (c *cli) clientRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke CONNECTION CLIENT-ID [SECRET-ID]", Short: "Revoke a client, or one of its secrets, at once", Args: cobra.RangeArgs(2, 3),
		Long: "revoke ends a client with all its secrets, or the one secret that is named. The access tokens that they gave end\nwith them, at the next request.",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := clientsPath(args[0], args[1])
			if len(args) == 3 {
				path = clientsPath(args[0], args[1], "secrets", args[2])
			}
			if err := c.ask(cmd.Context(), http.MethodDelete, path, nil, nil); err != nil {
				return err
			}
			if c.json {
				return c.print(map[string]string{"revoked": args[len(args)-1]})
			}
			fmt.Fprintln(c.out, "Revoked: the next request with what it gave is refused.")
			return nil
		}}
}

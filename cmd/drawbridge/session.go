package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

func (c *cli) session() *cobra.Command {
	cmd := family("session", "Sign-ins: who is signed in, on what, and how to end it")
	cmd.AddCommand(c.sessionList(), c.sessionShow(), c.sessionEnd())
	return cmd
}

func (c *cli) sessionList() *cobra.Command {
	var person, conn, client string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List live sessions of a person, a connection or an application", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, value := range map[string]string{"person": person, "connection": conn, "client": client} {
				if value != "" {
					q.Set(name, value)
				}
			}
			var found bridge.SessionList
			if err := c.ask(cmd.Context(), http.MethodGet, "/sessions?"+q.Encode(), nil, &found); err != nil {
				return err
			}
			if c.json {
				return c.print(found)
			}
			return c.listSessions(found)
		}}
	cmd.Flags().StringVar(&person, "person", "", "of this userName, e-mail address or person id")
	cmd.Flags().StringVar(&conn, "connection", "", "of this connection")
	cmd.Flags().StringVar(&client, "client", "", "that reached this application")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most, up to 1000")
	cmd.MarkFlagsOneRequired("person", "connection", "client")
	return cmd
}

func (c *cli) listSessions(found bridge.SessionList) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tPERSON\tCONNECTION\tSTANDS ON\tAPPLICATIONS\tSIGNED IN\tUNTIL")
	for _, s := range found.Sessions {
		on := s.Active
		if on == "" {
			on = "(must choose)"
		}
		if s.Offline != "" {
			on += " (kept by " + string(s.Offline) + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, visible(s.UserName), s.Connection, on, applications(s.Applications), s.Created.Local().Format(minute), s.Expires.Local().Format(minute))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if found.More {
		fmt.Fprintln(c.out, "There are more: ask for more with --limit, or name a person.")
	}
	return nil
}

func applications(ids []access.ClientID) string {
	if len(ids) == 0 {
		return "none"
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}

func (c *cli) sessionShow() *cobra.Command {
	return &cobra.Command{Use: "show SESSION", Short: "Show one session, also one that ended, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var s bridge.SessionEntry
			if err := c.ask(cmd.Context(), http.MethodGet, "/sessions/"+url.PathEscape(args[0]), nil, &s); err != nil {
				return err
			}
			if c.json {
				return c.print(s)
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			fmt.Fprintf(w, "session\t%s\nperson\t%s (%s)\nconnection\t%s\nstate\t%s\n", s.ID, visible(s.UserName), s.Person, s.Connection, s.State)
			if s.Active != "" {
				fmt.Fprintf(w, "stands on\t%s\n", s.Active)
			}
			fmt.Fprintf(w, "applications\t%s\nsigned in\t%s\nuntil\t%s\n", applications(s.Applications), s.Created.Local().Format(minute), s.Expires.Local().Format(minute))
			if s.Offline != "" {
				fmt.Fprintf(w, "kept by\t%s, beyond the browser's session\n", s.Offline)
			}
			if !s.Ended.IsZero() {
				fmt.Fprintf(w, "ended\t%s\n", s.Ended.Local().Format(minute))
			}
			if s.Reason != "" {
				fmt.Fprintf(w, "because\t%s\n", s.Reason)
			}
			return w.Flush()
		}}
}

// everything is what has to be typed to end everything.
const everything = "everything"

func (c *cli) sessionEnd() *cobra.Command {
	var e bridge.Ending
	var person, conn, client, confirm string
	var all bool
	cmd := &cobra.Command{Use: "end [SESSION]", Short: "End a session, or all of a person, an application or a connection",
		Long: "end ends one session, or with a flag instead of it all sessions of a person or a connection. --client signs an\napplication out of every session and leaves the sessions. What was handed out is refused when the command returns,\nand applications that asked to be told are told. --all refuses everything that anybody was ever given.",
		Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			e.Person, e.Connection, e.Client, e.Everything = person, access.ConnectionID(conn), access.ClientID(client), all
			if len(args) == 1 {
				e.Session = session.ID(args[0])
			}
			if e == (bridge.Ending{Note: e.Note}) {
				return failed(exitUsage, "name a session, or give --person, --client, --connection or --all")
			}
			if all && !c.confirmed(confirm) {
				return failed(exitNo, "nothing was ended: type %q, or give --confirm %s", everything, everything)
			}
			var ended bridge.EndedSessions
			if err := c.askLong(cmd.Context(), "/sessions/end", e, &ended); err != nil {
				return err
			}
			if c.json {
				return c.print(ended)
			}
			fmt.Fprintln(c.out, tellEnded(ended))
			return nil
		}}
	f := cmd.Flags()
	f.StringVar(&person, "person", "", "all that this userName, e-mail address or person id has")
	f.StringVar(&client, "client", "", "sign this application out of every session")
	f.StringVar(&conn, "connection", "", "all sessions of this connection; beside --person, the connection of the person")
	f.BoolVar(&all, "all", false, "everything that anybody has")
	f.StringVar(&confirm, "confirm", "", "the word that --all asks for")
	f.StringVar(&e.Note, "reason", "", "why, for the audit trail")
	return cmd
}

// confirmed reports whether the word for ending everything was given, or is typed now.
func (c *cli) confirmed(given string) bool {
	if given != "" {
		return given == everything
	}
	fmt.Fprintf(c.err, "This signs everybody out of everything. Type %q to go on: ", everything)
	line, err := bufio.NewReader(c.in).ReadString('\n')
	return (err == nil || line != "") && strings.TrimSpace(line) == everything
}

func tellEnded(e bridge.EndedSessions) string {
	sessions := strconv.Itoa(e.Sessions) + " sessions"
	if e.Sessions == 1 {
		sessions = "1 session"
	}
	switch {
	case e.Everything:
		return "Ended: nothing that anybody was given before is accepted any more."
	case e.Client != "":
		return "Ended: what " + string(e.Client) + " was given is refused, and it was signed out of " + sessions + "."
	}
	return "Ended: " + sessions + "."
}

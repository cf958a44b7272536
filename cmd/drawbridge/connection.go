package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

func (c *cli) connection() *cobra.Command {
	cmd := family("connection", "Customers' links to their identity providers")
	cmd.AddCommand(c.connectionList(), c.connectionShow(), c.connectionDrift(), c.scimClients())
	return cmd
}

func (c *cli) connectionList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List connections with their counters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := c.allConnections(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return c.print(all)
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tCUSTOMER\tIDP\tSTATE\tPEOPLE\tGROUPS\tTOKENS\tCLIENTS\tLAST ENDS\tLAST SCIM\tSOUNDS LIKE\tTODAY\tLENIENT")
			for _, x := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\n", x.ID, x.Name, x.IdP, x.State, x.People, x.Groups,
					live(x.Tokens), liveClients(x), lastEnds(x), ago(x.LastSCIM), soundsLike(x.Speaks), x.Speaks.Requests, x.Speaks.Lenient)
			}
			return w.Flush()
		}}
}

func live(tokens []api.Token) int {
	n := 0
	for _, t := range tokens {
		if t.Revoked == nil && time.Now().Before(t.Expires) {
			n++
		}
	}
	return n
}

// liveClients counts the clients that could get an access token now.
func liveClients(x api.Connection) int {
	n := 0
	for _, k := range x.Clients {
		if k.Revoked == nil && (x.Signed || slices.ContainsFunc(k.Secrets, liveSecret)) {
			n++
		}
	}
	return n
}

func liveSecret(s api.ClientSecret) bool { return s.Revoked == nil && time.Now().Before(s.Expires) }

// lastEnds is the day on which the last credential of a connection ends: from then on
// its identity provider is refused.
func lastEnds(x api.Connection) string {
	var last time.Time
	for _, t := range x.Tokens {
		if t.Revoked == nil && t.Expires.After(last) {
			last = t.Expires
		}
	}
	for _, k := range x.Clients {
		if k.Revoked != nil {
			continue
		}
		if x.Signed {
			return "never"
		}
		for _, s := range k.Secrets {
			if s.Revoked == nil && s.Expires.After(last) {
				last = s.Expires
			}
		}
	}
	switch {
	case last.IsZero():
		return "-"
	case !last.After(time.Now()):
		return "ended"
	}
	return last.Local().Format(time.DateOnly)
}

// soundsLike is a verdict in a table: names, a question mark where others speak like
// that too, an exclamation mark where the connection is set up for somebody else.
func soundsLike(s api.Speaks) string {
	said := cmp.Or(strings.Join(s.Detected, "|"), "-")
	switch {
	case s.Contradicts:
		said += " (!)"
	case len(s.Detected) > 0 && !s.Sure:
		said += " (?)"
	}
	return said
}

func (c *cli) connectionShow() *cobra.Command {
	return &cobra.Command{Use: "show CONNECTION", Short: "Show a connection, whom it sounds like, and which leniencies it relies on", Args: cobra.ExactArgs(1),
		Long: "show prints what a connection is set up as and what its SCIM requests were like: whom they sound like, and\nby UTC day how many relied on a leniency, and on which.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var x api.ConnectionDetail
			if err := c.ask(cmd.Context(), http.MethodGet, "/connections/"+url.PathEscape(args[0]), nil, &x); err != nil {
				return err
			}
			if c.json {
				return c.print(x)
			}
			return c.showConnection(x)
		}}
}

func (c *cli) showConnection(x api.ConnectionDetail) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, line := range [][2]string{
		{"Connection", string(x.ID) + ", " + x.State},
		{"Customer", x.Name},
		{"Contact", cmp.Or(x.Contact, "-")},
		{"SCIM URL", x.SCIMURL},
		{"People", fmt.Sprintf("%d in %d groups", x.People, x.Groups)},
		{"Credentials", fmt.Sprintf("%d live tokens, %d live clients, the last ends %s", live(x.Tokens), liveClients(x.Connection), lastEnds(x.Connection))},
		{"Last SCIM", ago(x.LastSCIM)},
		{"Set up for", setUpFor(x)},
		{"This connection", x.Speaks.Sentence},
	} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if x.Speaks.Contradicts {
		fmt.Fprintln(c.out, "That is not whom it is set up for: change idp, or find out who holds its token.")
	}
	if len(x.Speaks.Beyond) > 0 {
		fmt.Fprintf(c.out, "Its identity provider is not known to need: %s.\n", kindsCalled(x.Speaks.Beyond))
	}
	for _, a := range x.Alarms {
		fmt.Fprintf(c.out, "Alarm %s: %s.\n", a.At.Local().Format(time.DateTime), a.Sentence)
	}
	if len(x.Days) == 0 {
		return nil
	}
	fmt.Fprintln(c.out)
	fmt.Fprintln(w, "DAY (UTC)\tREQUESTS\tLENIENT\tLENIENCIES")
	for _, d := range x.Days {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", d.Day, d.Requests, d.Lenient, cmp.Or(counted(d.Leniencies), "-"))
	}
	return w.Flush()
}

func setUpFor(x api.ConnectionDetail) string {
	d, _ := dialect.Named(x.IdP)
	if x.Strict {
		return d.Title + ", strictly"
	}
	return d.Title
}

func kindsCalled(kinds []string) string {
	var words []string
	for _, kind := range kinds {
		words = append(words, dialect.Called(kind))
	}
	return strings.Join(words, ", ")
}

// counted lists what was counted, the most first.
func counted(by map[string]int64) string {
	kinds := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) })
	var words []string
	for _, kind := range kinds {
		words = append(words, fmt.Sprintf("%s %d", dialect.Called(kind), by[kind]))
	}
	return strings.Join(words, ", ")
}

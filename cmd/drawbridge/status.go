package main

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
)

func (c *cli) status() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Say how the running bridge stands: what is in force, and what became of its configuration", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s api.Status
			if err := c.ask(cmd.Context(), http.MethodGet, "/status", nil, &s); err != nil {
				return err
			}
			if c.json {
				return c.print(s)
			}
			return c.statusAsText(s)
		}}
}

func (c *cli) statusAsText(s api.Status) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 3, ' ', 0)
	fmt.Fprintf(w, "drawbridge\t%s\t%s\n", s.Version, s.PublicURL)
	fmt.Fprintf(w, "policy\t%s\n", policyInForce(s))
	k := s.Configuration
	fmt.Fprintf(w, "configuration\t%s\t%s\n", k.Path, configurationStands(k))
	fmt.Fprintf(w, "directory\t%s\t%s, %s\n", plural(s.Connections, "connection", "connections"), plural(int(s.People), "person", "people"), plural(int(s.Groups), "group", "groups"))
	waiting := "nobody is to be decided anew"
	if s.Waiting > 0 {
		waiting = plural(int(s.Waiting), "person is", "people are") + " to be decided anew"
	}
	if s.LargeChanges > 0 {
		waiting += ", " + plural(s.LargeChanges, "large change of a group is", "large changes of groups are") + " under way"
	}
	fmt.Fprintf(w, "work\t%s\n", waiting)
	fmt.Fprintf(w, "reconciliation\t%s\n", comparedAsText(s.Reconciled))
	fmt.Fprintf(w, "alarms\t%d in the last seven days\n", s.Alarms)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := c.nodesAsText(s.Nodes); err != nil {
		return err
	}
	for _, r := range s.Receivers {
		fmt.Fprintf(c.out, "NOT ARRIVING at %s (%s): %s; %s\n", legible(r.Receiver), r.State, plural(int(r.Pending), "delivery waits", "deliveries wait"), legible(r.Error))
	}
	for _, p := range k.Problems {
		fmt.Fprintf(c.out, "  %s\n", p)
	}
	if k.Fix != "" {
		fmt.Fprintf(c.out, "To go on: %s\n", k.Fix)
	}
	if len(k.AtRestart) > 0 {
		fmt.Fprintf(c.out, "Takes effect at a restart: %s\n", strings.Join(k.AtRestart, ", "))
	}
	return nil
}

func policyInForce(s api.Status) string {
	if s.Policy == 0 {
		return "none is in force"
	}
	text := fmt.Sprintf("version %d\t%.12s", s.Policy, s.PolicyHash)
	if s.PolicyApplied != nil {
		text += ", applied " + s.PolicyApplied.Local().Format(time.DateTime)
	}
	if s.PolicyAuthor != "" {
		text += " by " + s.PolicyAuthor
	}
	if s.PolicyFile != "" {
		text += " from " + s.PolicyFile
	}
	return text
}

func configurationStands(k api.Configuration) string {
	at := k.At.Local().Format(time.DateTime)
	switch {
	case k.Outcome == api.OutcomeFailed:
		return fmt.Sprintf("NOT TAKEN at %s (%s): %s", at, k.Reason, k.Problem)
	case !k.InForce:
		return "not in force: " + k.Problem + "; read " + at
	}
	return "in force, read " + at
}

// nodesAsText is a table of the nodes, if there are any.
func (c *cli) nodesAsText(nodes []api.Node) error {
	if len(nodes) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 3, ' ', 0)
	fmt.Fprintln(w, "\nnode\tversion\tstarted\theard of\tlag\tlease\tapplied")
	for _, n := range nodes {
		notes := ""
		if n.This {
			notes = "\tthis one"
		}
		if n.Draining {
			notes += "\tis being stopped"
		}
		lease := "NONE: it asks the database for everything"
		if n.Gone {
			lease = "GONE: killed, or cut off from the database"
		} else if n.Lease > 0 {
			lease = fmt.Sprintf("%d ms", n.Lease)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s ago\t%d ms\t%s\t%d%s\n", legible(n.Name), legible(n.Version), n.Started.Local().Format(time.DateTime), beatAge(n), n.Lag, lease, n.Applied, notes)
	}
	return w.Flush()
}

// beatAge is in milliseconds while those matter.
func beatAge(n api.Node) string {
	age := time.Duration(n.BeatAge) * time.Millisecond
	if n.Gone {
		return age.Round(time.Second).String()
	}
	return fmt.Sprintf("%d ms", n.BeatAge)
}

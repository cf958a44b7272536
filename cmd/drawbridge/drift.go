package main

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// drifted is a finding with the connection that it is about.
type drifted struct {
	Connection string `json:"connection"`
	bridge.Drift
}

func (c *cli) connectionDrift() *cobra.Command {
	var acknowledge bool
	var group string
	cmd := &cobra.Command{Use: "drift [CONNECTION]", Short: "List member ids that an identity provider names and nobody here has", Args: cobra.MaximumNArgs(1),
		Long: "drift lists what identity providers named as members of groups although nobody here has that id: somebody\ndeleted, or another customer's. The others named with them counted. A finding goes when the group is sent\nwithout the id, or with --acknowledge; what is named again is shown again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if acknowledge {
				if len(args) == 0 {
					return failed(exitUsage, "name the connection whose findings you have seen")
				}
				return c.acknowledge(cmd, args[0], group)
			}
			found, err := c.allDrift(cmd, args, group)
			if err != nil {
				return err
			}
			if c.json {
				return c.print(found)
			}
			if len(found) == 0 {
				fmt.Fprintln(c.out, "No identity provider names members that are not here.")
				return nil
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "CONNECTION\tGROUP\tNAME\tMEMBER\tFIRST\tLAST\tTIMES")
			for _, x := range found {
				fmt.Fprintf(w, "%s\t%s\t\"%s\"\t\"%s\"\t%s\t%s\t%d\n", x.Connection, x.Group, x.GroupName, x.Member, x.First.Local().Format(time.DateTime), x.Last.Local().Format(time.DateTime), x.Times)
			}
			return w.Flush()
		}}
	cmd.Flags().BoolVar(&acknowledge, "acknowledge", false, "forget the findings of the connection")
	cmd.Flags().StringVar(&group, "group", "", "only this group, by its id")
	return cmd
}

func driftOf(connection string) string {
	return "/connections/" + url.PathEscape(connection) + "/drift"
}

// allDrift asks for the findings of the named connection, or of all that are active.
func (c *cli) allDrift(cmd *cobra.Command, args []string, group string) ([]drifted, error) {
	if len(args) == 0 {
		all, err := c.allConnections(cmd.Context())
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			if x.State == string(store.ConnectionActive) {
				args = append(args, string(x.ID))
			}
		}
	}
	found := []drifted{}
	for _, id := range args {
		var some []bridge.Drift
		if err := c.ask(cmd.Context(), http.MethodGet, driftOf(id), nil, &some); err != nil {
			return nil, err
		}
		for _, x := range some {
			if group == "" || string(x.Group) == group {
				found = append(found, drifted{id, x})
			}
		}
	}
	return found, nil
}

func (c *cli) acknowledge(cmd *cobra.Command, connection, group string) error {
	path := driftOf(connection)
	if group != "" {
		path += "?" + url.Values{"group": {group}}.Encode()
	}
	var done api.Acknowledged
	if err := c.ask(cmd.Context(), http.MethodDelete, path, nil, &done); err != nil {
		return err
	}
	if c.json {
		return c.print(done)
	}
	fmt.Fprintf(c.out, "%d findings forgotten.\n", done.Count)
	return nil
}

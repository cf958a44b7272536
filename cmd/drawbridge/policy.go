package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (c *cli) policy() *cobra.Command {
	cmd := family("policy", "The versions of the policy: who applied what, what is different, and the way back")
	cmd.AddCommand(c.policyList(), c.policyShow(), c.policyDiff(), c.policyRevert())
	return cmd
}

func (c *cli) policyList() *cobra.Command {
	var limit int
	var before int64
	cmd := &cobra.Command{Use: "list", Short: "List the versions of the policy, the latest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var all []bridge.PolicyApplication
		if err := c.ask(cmd.Context(), http.MethodGet, fmt.Sprintf("/policy/applications?limit=%d&before=%d", limit, before), nil, &all); err != nil {
			return err
		}
		if c.json {
			return c.print(all)
		}
		w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "VERSION\tAPPLIED\tBY\tPLAN\tGAIN\tLOSE\tNO ACCESS\tFROM")
		for _, a := range all {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", a.Version, a.At.Local().Format("2006-01-02 15:04"), orNone(a.Author), orNone(a.Plan),
				a.Summary.Gaining, a.Summary.Losing, a.Summary.WithoutAccess, appliedFrom(a))
		}
		return w.Flush()
	}}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many, at most 200")
	cmd.Flags().Int64Var(&before, "before", 0, "only versions below this one")
	return cmd
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func appliedFrom(a bridge.PolicyApplication) string {
	if a.Reverts > 0 {
		return fmt.Sprintf("version %d again", a.Reverts)
	}
	return orNone(a.File)
}

func (c *cli) policyShow() *cobra.Command {
	return &cobra.Command{Use: "show VERSION", Short: "Show one version of the policy: how it came to be, and all that it says", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		version, err := versionArg(args[0])
		if err != nil {
			return err
		}
		var a bridge.PolicyVersionText
		whole := *c
		whole.json = true // the text keeps its lines: each is made legible below
		if err := whole.ask(cmd.Context(), http.MethodGet, fmt.Sprintf("/policy/applications/%d", version), nil, &a); err != nil {
			return err
		}
		if c.json {
			return c.print(a)
		}
		return c.showPolicy(a)
	}}
}

func versionArg(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "v"), 10, 64)
	if err != nil || n < 1 {
		return 0, failed(exitUsage, "%q is no version: policy list shows them", text)
	}
	return n, nil
}

func (c *cli) showPolicy(a bridge.PolicyVersionText) error {
	fmt.Fprintf(c.out, "version %d   applied %s by %s   from %s\n", a.Version, a.At.Local().Format("2006-01-02 15:04:05"), legible(orNone(a.Author)), legible(appliedFrom(a.PolicyApplication)))
	fmt.Fprintf(c.out, "hash %s   plan %s   after version %d\n", a.Hash, orNone(a.Plan), a.Base)
	fmt.Fprintf(c.out, "%d gained, %d lost, %d ended with no access\n", a.Summary.Gaining, a.Summary.Losing, a.Summary.WithoutAccess)
	for _, approved := range []struct {
		what  string
		names []string
	}{{"losing", a.Approvals.Losing}, {"ending with no access", a.Approvals.WithoutAccess}, {"too few administrators", a.Approvals.Administrators}} {
		if len(approved.names) > 0 {
			fmt.Fprintf(c.out, "approved %s: %s\n", approved.what, legible(strings.Join(approved.names, ", ")))
		}
	}
	if a.Reason != "" {
		fmt.Fprintf(c.out, "reason: %s\n", legible(a.Reason))
	}
	fmt.Fprintln(c.out)
	text := a.Text
	if text == "" {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, a.Source, "", "  "); err != nil {
			return err
		}
		text = pretty.String()
	}
	for line := range strings.Lines(text) {
		fmt.Fprintln(c.out, legible(strings.TrimRight(line, "\r\n")))
	}
	return nil
}

func (c *cli) policyDiff() *cobra.Command {
	return &cobra.Command{Use: "diff FROM [TO]", Short: "Say what is different in a version of the policy, rule by rule", Args: cobra.RangeArgs(1, 2),
		Long: "diff compares two versions; without TO, with the one in force.",
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := versionArg(args[0])
			if err != nil {
				return err
			}
			path := fmt.Sprintf("/policy/diff?from=%d", from)
			if len(args) == 2 {
				to, err := versionArg(args[1])
				if err != nil {
					return err
				}
				path += fmt.Sprintf("&to=%d", to)
			}
			var d bridge.PolicyDiff
			if err := c.ask(cmd.Context(), http.MethodGet, path, nil, &d); err != nil {
				return err
			}
			if c.json {
				return c.print(d)
			}
			c.tellDiff(d)
			return nil
		}}
}

func (c *cli) tellDiff(d bridge.PolicyDiff) {
	if len(d.Changes) == 0 {
		fmt.Fprintf(c.out, "Version %d says the same as version %d.\n", d.To, d.From)
		return
	}
	for _, ch := range d.Changes {
		mark := map[string]string{"added": "+", "removed": "-"}[ch.Change]
		if mark == "" {
			mark = "~"
		}
		fmt.Fprintf(c.out, "%s %s", mark, ch.Part)
		if ch.ID != "" {
			fmt.Fprintf(c.out, " %s", ch.ID)
		}
		if ch.Change == "reordered" {
			fmt.Fprint(c.out, " stand in another order: the first that gives a primary wins")
		}
		fmt.Fprintln(c.out)
		for _, f := range ch.Fields {
			switch ch.Change {
			case "added":
				fmt.Fprintf(c.out, "    %s: %s\n", f.Field, f.Is)
			case "removed":
				fmt.Fprintf(c.out, "    %s: %s\n", f.Field, f.Was)
			default:
				fmt.Fprintf(c.out, "    %s: %s -> %s\n", f.Field, orNone(f.Was), orNone(f.Is))
			}
		}
	}
}

func (c *cli) policyRevert() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{Use: "revert VERSION", Short: "Bring an older version of the policy back: planned first, then applied by its plan", Args: cobra.ExactArgs(1),
		Long: "Without --plan, revert shows what bringing that version back would do, and changes nothing. With --plan, it does\nexactly that, through the same door as apply.",
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := versionArg(args[0])
			if err != nil {
				return err
			}
			if f.plan != "" {
				return c.applyPlan(cmd.Context(), f.request())
			}
			return c.planRevert(cmd.Context(), version, f.author)
		}}
	f.add(cmd)
	return cmd
}

func (c *cli) planRevert(ctx context.Context, version int64, author string) error {
	var plan bridge.PolicyPlan
	if err := c.askLong(ctx, fmt.Sprintf("/policy/applications/%d/plans", version), map[string]string{"author": authorOr(author)}, &plan); err != nil {
		return err
	}
	if c.json {
		return c.print(plan)
	}
	return c.planAsText(plan, nil, "", planFlags{})
}

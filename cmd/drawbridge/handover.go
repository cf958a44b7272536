package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) grantVerify() *cobra.Command {
	var tick, untick, comment string
	cmd := &cobra.Command{Use: "verify PERMIT", Short: "Show what is to be tried after access was given, and what of it was seen", Args: cobra.ExactArgs(1),
		Long: "verify shows the check-list of a permit. The bridge ticks what it sees itself: that a session stood on it, what its\ntokens opened, and what was refused. The list of vehicles only a person sees: --tick vehicles.\nIt ends with 1 as long as something is missing.",
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/permits/" + url.PathEscape(args[0]) + "/handover"
			var l steward.CheckList
			var err error
			if point := tick + untick; point != "" {
				in := map[string]any{"point": point, "undo": untick != "", "comment": comment, "author": authorOr(c.author)}
				err = c.ask(cmd.Context(), http.MethodPost, path, in, &l)
			} else {
				err = c.ask(cmd.Context(), http.MethodGet, path, nil, &l)
			}
			if err != nil {
				return err
			}
			return c.tellCheckList(l)
		}}
	cmd.Flags().StringVar(&tick, "tick", "", "a point that you have seen: vehicles")
	cmd.Flags().StringVar(&untick, "untick", "", "take that back")
	cmd.Flags().StringVar(&comment, "comment", "", "what you have seen")
	cmd.MarkFlagsMutuallyExclusive("tick", "untick")
	return cmd
}

func (c *cli) tellCheckList(l steward.CheckList) error {
	if c.json {
		if err := c.print(l); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "%s @ %s of %s: %s\n", l.Grant, l.Area.Path, l.For.UserName, l.Permit.State)
		for _, p := range l.Points {
			c.tellPoint(p)
		}
	}
	if !l.Done {
		return &exit{code: exitNo}
	}
	return nil
}

func (c *cli) tellPoint(p steward.Point) {
	mark := map[string]string{"open": "[ ]", "wrong": "[!]"}[p.State]
	if mark == "" {
		mark = "[x]"
	}
	fmt.Fprintf(c.out, "%s %-12s  %s", mark, p.Name, p.What)
	if !p.At.IsZero() {
		fmt.Fprintf(c.out, " (%s)", strings.TrimSpace(p.At.Local().Format(minute)+" "+p.By))
	}
	fmt.Fprintln(c.out)
	for _, line := range [][2]string{{"seen: ", strings.Join(p.Seen, ", ")}, {"not tried yet: ", strings.Join(p.Missing, ", ")}, {"", p.Comment}} {
		if line[1] != "" {
			fmt.Fprintf(c.out, "    %-12s  %s%s\n", "", line[0], line[1])
		}
	}
}

func (c *cli) grantHandover() *cobra.Command {
	var form, out, message string
	cmd := &cobra.Command{Use: "handover PERMIT", Short: "Make the note for the customer", Args: cobra.ExactArgs(1),
		Long: "handover writes what was given in words that a customer may read: what, which area, until when by the clock there,\nwho makes changes, and where support is. Nothing internal is in it, and it says whom to ask instead.",
		RunE: func(cmd *cobra.Command, args []string) error {
			exact := *c
			exact.json = true // the note is what the bridge made, byte for byte
			var n steward.Handed
			in := map[string]string{"format": form, "message": message, "author": authorOr(c.author)}
			if err := exact.ask(cmd.Context(), http.MethodPost, "/permits/"+url.PathEscape(args[0])+"/handover/note", in, &n); err != nil {
				return err
			}
			return c.tellNote(n, out)
		}}
	cmd.Flags().StringVar(&form, "format", "text", "text, html or json")
	cmd.Flags().StringVar(&out, "out", "", "the file to write it to (default: standard output)")
	cmd.Flags().StringVar(&message, "message", "", "a sentence for the customer")
	return cmd
}

// tellNote writes a note to its file as it is, or shows it without what a terminal would
// obey.
func (c *cli) tellNote(n steward.Handed, out string) error {
	if out == "" {
		fmt.Fprint(c.out, visible(n.Content))
		return nil
	}
	if err := os.WriteFile(out, []byte(n.Content), 0o644); err != nil { //nolint:gosec // it is for the customer
		return failed(exitUsage, "%w", err)
	}
	fmt.Fprintf(c.out, "Written to %s.\n", out)
	return nil
}

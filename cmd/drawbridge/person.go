package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) person() *cobra.Command {
	cmd := family("person", "What an administrator takes from one person, and gives back")
	cmd.AddCommand(c.personNarrow(), c.personLimits(), c.personLift())
	return cmd
}

// limitsOf is where the limits of somebody are; "-" is the connection of the person who asks.
func limitsOf(ref steward.PersonRef) string {
	ref.Connection = cmp.Or(ref.Connection, "-")
	return "/connections/" + url.PathEscape(string(ref.Connection)) + "/people/" + url.PathEscape(string(ref.Person)) + "/limits"
}

func (c *cli) personNarrow() *cobra.Command {
	var at, connection, events, reason, grant string
	var noVideo bool
	cmd := &cobra.Command{Use: "narrow PERSON", Short: "Lower what one person sees of events and video, within an area", Args: cobra.ExactArgs(1),
		Long: "narrow sets a limit: it lowers what the person sees at a scope and below, whoever gives it, until it is lifted. It\nnever gives anything. The tokens that the person has there end.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := map[string]any{"area": at, "reason": reason, "author": authorOr(c.author), "no_video": noVideo}
			if events != "" {
				in["events"] = events
			}
			if grant != "" {
				in["grant"] = grant
			}
			ref, err := c.personNamed(cmd.Context(), args[0], connection)
			if err != nil {
				return err
			}
			var l steward.LimitView
			if err := c.ask(cmd.Context(), http.MethodPost, limitsOf(ref), in, &l); err != nil {
				return err
			}
			return c.tellLimits([]steward.LimitView{l}, l)
		}}
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "path or id of a scope: it binds there and below")
	f.StringVar(&connection, "connection", "", "of this connection")
	f.StringVar(&events, "events", "", "the most that they may see: none or standard")
	f.BoolVar(&noVideo, "no-video", false, "no in-cabin video and stills")
	f.StringVar(&grant, "grant", "", "of this grant alone")
	f.StringVar(&reason, "reason", "", "why; kept with the limit")
	authorFlag(cmd, &c.author)
	for _, name := range []string{"at", "reason"} {
		cmd.MarkFlagRequired(name) //nolint:errcheck // the flag is there
	}
	cmd.MarkFlagsOneRequired("events", "no-video")
	return cmd
}

func (c *cli) personLimits() *cobra.Command {
	var connection string
	cmd := &cobra.Command{Use: "limits PERSON", Short: "List what was taken from one person", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := c.personNamed(cmd.Context(), args[0], connection)
			if err != nil {
				return err
			}
			all := []steward.LimitView{}
			if err := c.ask(cmd.Context(), http.MethodGet, limitsOf(ref), nil, &all); err != nil {
				return err
			}
			return c.tellLimits(all, all)
		}}
	cmd.Flags().StringVar(&connection, "connection", "", "of this connection")
	return cmd
}

func (c *cli) tellLimits(all []steward.LimitView, printed any) error {
	if c.json {
		return c.print(printed)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.out, "Nothing was taken from them.")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "LIMIT\tAT\tTAKES\tSET\tBY\tREASON\tLIFTED")
	for _, l := range all {
		lifted := "-"
		if !l.Lifted.IsZero() {
			lifted = l.Lifted.Local().Format(minute) + " by " + orDash(l.LiftedBy)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Area.Path, takes(l), l.Set.Local().Format(minute), orDash(l.By), orDash(oneLine(l.Reason)), lifted)
	}
	return w.Flush()
}

// takes says what a limit takes.
func takes(l steward.LimitView) string {
	var said []string
	if l.Withheld {
		said = append(said, "what rules give")
	}
	if l.Events != nil {
		said = append(said, "events above "+l.Events.String())
	}
	if l.NoVideo {
		said = append(said, "video")
	}
	text := strings.Join(said, ", ")
	if l.Grant != "" {
		text += " of " + string(l.Grant)
	}
	return text
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (c *cli) personLift() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "lift LIMIT", Short: "Take a limit back, by its id", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l steward.LimitView
			in := map[string]string{"reason": reason, "author": authorOr(c.author)}
			if err := c.ask(cmd.Context(), http.MethodPost, "/limits/"+url.PathEscape(args[0])+"/lift", in, &l); err != nil {
				return err
			}
			return c.tellLimits([]steward.LimitView{l}, l)
		}}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept with the limit")
	authorFlag(cmd, &c.author)
	cmd.MarkFlagRequired("reason") //nolint:errcheck // the flag is there
	return cmd
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/steward"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func (c *cli) review() *cobra.Command {
	cmd := family("review", "Look at access that people hold, and decide whether it is still needed")
	cmd.AddCommand(c.reviewList(), c.reviewStart(), c.reviewShow(), c.reviewCards(), c.reviewDecide(), c.reviewClose(), c.reviewReport())
	return cmd
}

func reviewPath(id string, more ...string) string {
	path := "/reviews/" + url.PathEscape(id)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

func (c *cli) reviewList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List reviews, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []steward.ReviewView{}
			for after, more := access.ReviewID(""), true; more && len(all) < limit; {
				var page steward.ReviewPage
				q := url.Values{"after": {string(after)}, "count": {strconv.Itoa(min(limit-len(all), 200))}}
				if err := c.ask(cmd.Context(), http.MethodGet, "/reviews?"+q.Encode(), nil, &page); err != nil {
					return err
				}
				all = append(all, page.Reviews...)
				after, more = page.Next, page.Next != ""
			}
			if c.json {
				return c.print(all)
			}
			if len(all) == 0 {
				fmt.Fprintln(c.out, "There is no review.")
				return nil
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "REVIEW\tSTATE\tABOUT\tITEMS\tUNDECIDED\tUNTIL")
			for _, r := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", r.ID, r.State, r.About, r.Counts.Items, r.Counts.Open, r.Deadline.Local().Format(time.DateTime))
			}
			return w.Flush()
		}}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many are listed at most")
	return cmd
}

func (c *cli) reviewStart() *cobra.Command {
	var in struct {
		steward.NewReview
		Days   float64 `json:"days,omitempty"`
		Author string  `json:"author,omitempty"`
	}
	cmd := &cobra.Command{Use: "start", Short: "Begin a review by hand", Args: cobra.NoArgs,
		Long: "start begins a review of what is held at a scope and below it. What it is about is gathered at once, in the\nbackground; it ends by itself.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r steward.ReviewView
			if err := c.ask(cmd.Context(), http.MethodPost, "/reviews", in, &r); err != nil {
				return err
			}
			return c.showReview(r)
		}}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "what it is called")
	f.StringVar(&in.Area, "scope", "", "path or id of a scope (default: all that you administer)")
	f.StringVar((*string)(&in.Connection), "connection", "", "only people of that connection")
	f.StringVar(&in.Select, "select", "", strings.Join(review.Selections(), ", ")+", or CEL over an assignment (default: everything)")
	f.Float64Var(&in.Days, "days", 14, "it ends by itself after so many days: one at least")
	f.StringVar((*string)(&in.Reviewers), "reviewers", string(mapping.ScopeAdministrators), "scope_administrators or service_owners")
	f.StringVar((*string)(&in.Unanswered), "unanswered", string(mapping.KeepUnanswered), "what becomes of what nobody answers: keep or remove")
	f.StringVar(&in.Author, "author", "", "who begins it, where the operator does")
	return cmd
}

func (c *cli) reviewShow() *cobra.Command {
	return &cobra.Command{Use: "show REVIEW", Short: "Show a review, and how far it has come", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r steward.ReviewView
			if err := c.ask(cmd.Context(), http.MethodGet, reviewPath(args[0]), nil, &r); err != nil {
				return err
			}
			return c.showReview(r)
		}}
}

func (c *cli) showReview(r steward.ReviewView) error {
	if c.json {
		return c.print(r)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	line("Review", string(r.ID))
	line("Name", r.Name)
	line("Began because", r.About)
	line("Looks at", r.Select)
	line("State", string(r.State))
	line("Answers until", r.Deadline.Local().Format(time.DateTime))
	if !r.Ended.IsZero() {
		line("Ended", r.Ended.Local().Format(time.DateTime))
	}
	if r.Nothing {
		line("Found", "nothing that is to be decided: it ended by itself")
	}
	if r.Closed != nil {
		line("Closed early", r.Closed.Text)
	}
	line("Reviewers", strings.ReplaceAll(string(r.Reviewers), "_", " "))
	line("Without an answer", map[mapping.Unanswered]string{mapping.KeepUnanswered: "kept", mapping.RemoveUnanswered: "removed"}[r.Unanswered])
	n := r.Counts
	line("Items", fmt.Sprintf("%d: %d undecided, %d kept, %d removed, %d lowered, %d had ended, %d unanswered", n.Items, n.Open, n.Kept, n.Removed, n.Lowered, n.Gone, n.Lapsed))
	return w.Flush()
}

func (c *cli) reviewCards() *cobra.Command {
	var open bool
	var limit int
	cmd := &cobra.Command{Use: "cards REVIEW", Short: "Show the cards of a review, one for each person, the riskiest first", Args: cobra.ExactArgs(1),
		Long: "cards shows what each person has under review, as far as it lies in your scope: what, why, since when, used\nwhen. What stands before each item names it, in the form that you see: decide takes that.",
		RunE: func(cmd *cobra.Command, args []string) error {
			all := []steward.CardView{}
			for after, more := "", true; more && len(all) < limit; {
				var page steward.CardPage
				q := url.Values{"after": {after}, "count": {strconv.Itoa(min(limit-len(all), 100))}, "open": {strconv.FormatBool(open)}}
				if err := c.ask(cmd.Context(), http.MethodGet, reviewPath(args[0], "cards")+"?"+q.Encode(), nil, &page); err != nil {
					return err
				}
				all = append(all, page.Cards...)
				after, more = page.Next, page.Next != ""
			}
			if c.json {
				return c.print(all)
			}
			for _, card := range all {
				c.showCard(card)
			}
			if len(all) == 0 {
				fmt.Fprintln(c.out, "There is no card.")
			}
			return nil
		}}
	cmd.Flags().BoolVar(&open, "open", false, "only cards with something undecided")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many are shown at most")
	return cmd
}

func (c *cli) showCard(card steward.CardView) {
	name := card.For.UserName
	if name == "" {
		name = "somebody who was deleted"
	}
	if card.For.DisplayName != "" {
		name = card.For.DisplayName + " (" + name + ")"
	}
	fmt.Fprintf(c.out, "%s, %s/%s, risk %s\n", name, card.For.Connection, card.For.Person, card.Risk)
	for _, i := range card.Items {
		c.showItem(i)
	}
	if card.Own {
		fmt.Fprintln(c.out, "  This is your own access: somebody else decides.")
	}
	if card.Elsewhere {
		fmt.Fprintln(c.out, "  More of this person's access is under review outside your scope.")
	}
	if card.Undecided > 0 {
		fmt.Fprintf(c.out, "  Answers until %s. %s\n", card.Deadline.Local().Format(time.DateTime), card.Otherwise)
	}
	fmt.Fprintln(c.out)
}

func (c *cli) showItem(i steward.ItemView) {
	id := i.ID
	if i.Seen != "" {
		id += "-" + i.Seen
	}
	until := "without an end"
	if !i.Until.IsZero() {
		until = "until " + i.Until.Local().Format(time.DateTime)
	}
	fmt.Fprintf(c.out, "  %s  %s @ %s, %s, %s, risk %s, events %s, video %t\n", id, i.Grant, i.Area.Path, i.Standing, until, i.Risk, i.Flags.Events, i.Flags.Video)
	for _, w := range i.Why {
		fmt.Fprintf(c.out, "      because of %s\n", w.Text)
	}
	since := ""
	if !i.Since.IsZero() {
		since = "held since " + i.Since.Local().Format(time.DateTime) + ", "
	}
	fmt.Fprintf(c.out, "      %s%s\n", since, i.Used)
	for _, note := range itemNotes(i) {
		fmt.Fprintf(c.out, "      %s\n", note)
	}
}

// itemNotes are what else is to be known before an item is decided, or what was decided.
func itemNotes(i steward.ItemView) (notes []string) {
	add := func(holds bool, format string, args ...any) {
		if holds {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	add(i.Same > 0, "the same is held by %d others", i.Same)
	add(i.HeldBack && i.Grant.NeedsCertification(), "held back: no certification is in date")
	add(i.Changed, "it has changed since it was gathered")
	add(i.Last, "nobody else administers the scope without an end: name a successor (--successor), or --confirm-last")
	add(len(i.AlsoTakes) > 0, "to remove it takes %s as well (--confirm-more)", strings.Join(i.AlsoTakes, ", "))
	add(i.AtIdP && i.Verdict == review.Undecided, "a rule gives it: to remove it for good the group must be changed at the identity provider, too")
	if i.Decided != nil {
		notes = append(notes, i.Decided.Text)
	}
	return notes
}

func (c *cli) reviewDecide() *cobra.Command {
	var in steward.Decision
	var card, successor, events string
	var video bool
	cmd := &cobra.Command{Use: "decide REVIEW VERDICT [ITEM]...", Short: "Keep, remove or lower what is under review", Args: cobra.MinimumNArgs(2),
		Long: "decide says of items of one person's card what becomes of them (keep, remove or lower), all or none. An item\nis named as review cards shows it, with the form that you saw; to remove it the number before the hyphen is\nenough. Without items, --card names the person, of whose card everything undecided is removed, or kept (--seen)\nwhere nothing on it is of high risk. What is removed is gone at once. It takes a person's access token (--url, --token-file): the operator does\nnot decide.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Verdict = review.Verdict(args[1])
			for _, item := range args[2:] {
				id, seen, _ := strings.Cut(item, "-")
				in.Items = append(in.Items, steward.ItemSeen{ID: id, Seen: seen})
			}
			if in.Verdict == review.Lower {
				in.Flags = &access.Flags{Video: video}
				if err := in.Flags.Events.UnmarshalText([]byte(events)); err != nil {
					return failed(exitUsage, "--events: %w", err)
				}
			}
			var err error
			if in.Card, err = personRef("--card", card); err != nil {
				return err
			}
			if in.Successor, err = personRef("--successor", successor); err != nil {
				return err
			}
			var done api.ReviewDecided
			if err := c.ask(cmd.Context(), http.MethodPost, reviewPath(args[0], "decisions"), in, &done); err != nil {
				return err
			}
			if c.json {
				return c.print(done)
			}
			for _, i := range done.Items {
				fmt.Fprintf(c.out, "%s @ %s: %s\n", i.Grant, i.Area.Path, i.Decided.Text)
			}
			return nil
		}}
	f := cmd.Flags()
	f.StringVar(&in.Comment, "comment", "", "why; it stands in the report")
	f.StringVar(&card, "card", "", "CONNECTION/PERSON: all that is undecided on that card")
	f.StringVar(&in.Seen, "seen", "", "the form of the card that you saw, to keep all of it (seen of review cards --json)")
	f.StringVar(&events, "events", "none", "to lower: the most sensitive events that are left")
	f.BoolVar(&video, "video", false, "to lower: video is left")
	f.StringVar(&successor, "successor", "", "CONNECTION/PERSON who administers the scope from now on")
	f.BoolVar(&in.ConfirmLast, "confirm-last", false, "the scope may be left without an administrator")
	f.BoolVar(&in.ConfirmMore, "confirm-more", false, "what withholding takes beside the item may go, too")
	return cmd
}

// personRef reads CONNECTION/PERSON; nil if nothing was said.
func personRef(flag, text string) (*steward.PersonRef, error) {
	if text == "" {
		return nil, nil
	}
	conn, person, ok := strings.Cut(text, "/")
	if !ok || conn == "" || person == "" {
		return nil, failed(exitUsage, "%s takes CONNECTION/PERSON, such as banksia-entra/per_…", flag)
	}
	return &steward.PersonRef{Connection: access.ConnectionID(conn), Person: access.PersonID(person)}, nil
}

func (c *cli) reviewClose() *cobra.Command {
	var confirm bool
	var author string
	cmd := &cobra.Command{Use: "close REVIEW", Short: "End a review before its time: what is undecided is kept", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r steward.ReviewView
			in := map[string]any{"confirm": confirm, "author": author}
			if err := c.ask(cmd.Context(), http.MethodPost, reviewPath(args[0], "close"), in, &r); err != nil {
				return err
			}
			return c.showReview(r)
		}}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "what is undecided is kept, whatever the review says of what nobody answers")
	cmd.Flags().StringVar(&author, "author", "", "who ends it, where the operator does")
	return cmd
}

// reporting are the flags of a command that writes a report.
type reporting struct{ format, out string }

func (r *reporting) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.format, "format", "csv", strings.Join(review.Formats(), ", "))
	cmd.Flags().StringVar(&r.out, "out", "", "the file to write (default: standard output)")
}

func (c *cli) reviewReport() *cobra.Command {
	var r reporting
	cmd := &cobra.Command{Use: "report REVIEW", Short: "Write down for an auditor what became of each item", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.report(cmd, r, reviewPath(args[0], "report")+"?")
		}}
	r.flags(cmd)
	return cmd
}

func (c *cli) access() *cobra.Command {
	var r reporting
	var area string
	cmd := family("access", "Who holds what")
	report := &cobra.Command{Use: "report", Short: "Write down who holds what at a scope and below, why, and who looked at it last", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.report(cmd, r, "/access/report?"+url.Values{"area": {area}}.Encode()+"&")
		}}
	report.Flags().StringVar(&area, "scope", "", "path or id of a scope (default: all that you administer)")
	r.flags(report)
	cmd.AddCommand(report)
	return cmd
}

// report writes a report page by page. A file appears when it is whole.
func (c *cli) report(cmd *cobra.Command, r reporting, path string) error {
	if r.out == "" {
		head, err := c.pages(cmd, c.out, r.format, path)
		if err == nil {
			fmt.Fprintf(c.err, "%d lines, items_sha256 %s\n", head.Items, head.SHA256)
		}
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(r.out), ".report-*")
	if err != nil {
		return failed(exitUsage, "cannot write %s: %w", r.out, err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it has its name by then
	head, err := c.pages(cmd, file, r.format, path)
	if closed := file.Close(); err == nil && closed != nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), r.out)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %d lines, items_sha256 %s\n", r.out, head.Items, head.SHA256)
	return nil
}

func (c *cli) pages(cmd *cobra.Command, out io.Writer, format, path string) (review.Head, error) {
	exact := *c
	exact.json = true // texts as they are: the hash is theirs
	var written *review.Report
	for after := ""; ; {
		var page steward.ReportPage
		if err := exact.ask(cmd.Context(), http.MethodGet, path+url.Values{"after": {after}}.Encode(), nil, &page); err != nil {
			return review.Head{}, err
		}
		if written == nil {
			var err error
			if written, err = review.NewReport(out, format, page.Head); err != nil {
				return page.Head, err
			}
			if written == nil {
				return page.Head, failed(exitUsage, "there is no format %q; there are %s", format, strings.Join(review.Formats(), ", "))
			}
		}
		for _, l := range page.Lines {
			if err := written.Add(l); err != nil {
				return page.Head, err
			}
		}
		if after = page.Next; after == "" {
			return written.End(page.Head)
		}
	}
}

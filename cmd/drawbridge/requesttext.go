package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	asking "github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) tellProposal(p steward.Proposal, named bool) error {
	t := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "for\t%s\nproposed\t%s (%s)\nopens\t%s\n", whoIs(p.For), terms(p.Terms), p.Terms.PublicName, plain(p.Workflows))
	if len(p.Beyond) > 0 {
		why := "and nothing smaller opens the rest"
		if named {
			why = "and something smaller may do; without --grant the smallest is proposed"
		}
		fmt.Fprintf(t, "beyond\t%s: nobody asked for that, %s\n", plain(p.Beyond), why)
	}
	fmt.Fprintf(t, "standing\t%s\nrisk\t%s now, %s then\nsees newly\t%s\n", p.Standing, p.RiskNow, p.RiskAfter, visibleAreas(p.Visible))
	fmt.Fprintf(t, "decided by\t%s\n", approvers(p.Need, p.Class, p.Approvers, p.More))
	if p.Longest != "" {
		fmt.Fprintf(t, "at most\t%s\n", p.Longest)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if p.Visible.Several {
		fmt.Fprintln(c.out, "It shows several customers: two must agree, and it is an exception until it ends.")
	}
	if p.Held != nil {
		fmt.Fprintf(c.out, "The person has that already: %s @ %s%s.\n", p.Held.Grant, p.Held.Area.Path, lasting(p.Held.Until))
	}
	for _, m := range p.Missing {
		fmt.Fprintf(c.out, "missing: %s (%s)\n", m.Text, m.Reason)
	}
	return nil
}

func visibleAreas(v steward.Visible) string {
	if len(v.Areas) == 0 {
		return "nothing"
	}
	var paths []string
	for _, a := range v.Areas {
		paths = append(paths, a.Path)
	}
	if v.More {
		paths = append(paths, "…")
	}
	return strings.Join(paths, ", ")
}

func approvers(need int, class string, of []steward.Who, more bool) string {
	var names []string
	for _, w := range of {
		names = append(names, whoIs(w))
	}
	if more {
		names = append(names, "…")
	}
	if len(names) == 0 {
		names = []string{"nobody who may"}
	}
	return fmt.Sprintf("%d of: %s (class %s)", need, strings.Join(names, ", "), class)
}

func plain(workflows []access.Workflow) string {
	words := make([]string, len(workflows))
	for i, w := range workflows {
		words[i] = asking.PlainWord(w)
	}
	return cmp.Or(strings.Join(words, ", "), "nothing")
}

// whoIs is somebody as people type them.
func whoIs(w steward.Who) string {
	return cmp.Or(w.UserName, w.Operator, string(w.Person))
}

// terms are what is asked for or given: standard (events standard) @ path.
func terms(t steward.Terms) string {
	var flags []string
	if e := t.Flags.Events.String(); e != "none" {
		flags = append(flags, "events "+e)
	}
	if t.Flags.Video {
		flags = append(flags, "video")
	}
	text := string(t.Grant)
	if len(flags) > 0 {
		text += " (" + strings.Join(flags, ", ") + ")"
	}
	return text + " @ " + t.Area.Path
}

func lasting(until time.Time) string {
	if until.IsZero() {
		return ", without an end"
	}
	return ", until " + localMinute(until)
}

// tellRequest prints a request, and what happens next.
func (c *cli) tellRequest(v steward.RequestView) error {
	if c.json {
		return c.print(v)
	}
	given := v.Asked
	if v.Granted != nil {
		given = *v.Granted
	}
	fmt.Fprintf(c.out, "Request %s for %s: %s%s.\n", v.ID, whoIs(v.For), terms(given), lasting(given.Until))
	fmt.Fprintln(c.out, next(v))
	return nil
}

// next says what happens next with a request.
func next(v steward.RequestView) string {
	switch v.State {
	case asking.Open:
		return fmt.Sprintf("It waits: %d of %d said yes; by %s, or it lapses. Who may decide: %s.", len(v.Approvals), v.Need, localMinute(v.DecideBy), deciders(v))
	case asking.Unconfirmed:
		return fmt.Sprintf("The access is there. %d of %d confirmed it; by %s, or it ends. Who may confirm: %s.", len(v.Approvals), v.Need, localMinute(v.DecideBy), deciders(v))
	case asking.Granted:
		if v.Permit != nil && v.Permit.State == "ended" {
			return "It was granted, and has ended: " + strings.ReplaceAll(v.Permit.EndReason, "_", " ") + "."
		}
		return granted(v)
	case asking.Denied, asking.Withdrawn:
		return fmt.Sprintf("It was %s: %s", v.State, cmp.Or(v.Because, "no reason was given"))
	case asking.Lapsed:
		return "Nobody decided in time. Ask anew, and tell one of those who may decide."
	case asking.Expired:
		return "Nobody confirmed it in time: the access has ended."
	}
	return string(v.State)
}

// granted says what is left to do with what was given.
func granted(v steward.RequestView) string {
	text := "It is granted."
	if v.Permit != nil {
		text += fmt.Sprintf(" Once they have signed in, try it: drawbridge grant verify %s. The note for the customer: drawbridge grant handover %s.", v.Permit.ID, v.Permit.ID)
	}
	if v.Granted != nil && !v.Granted.Until.IsZero() {
		text += " It ends by itself when its time is over."
	}
	return text
}

func deciders(v steward.RequestView) string {
	var names []string
	for _, w := range v.Eligible {
		names = append(names, whoIs(w))
	}
	if v.More {
		names = append(names, "…")
	}
	return cmp.Or(strings.Join(names, ", "), "see drawbridge request show")
}

func (c *cli) listRequests(page steward.RequestPage, now time.Time) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tAGE\tRISK\tWHO\tASKS\tUNTIL\tCASE\tSTATE\tAPPROVERS")
	for _, v := range page.Requests {
		until := "no end"
		if !v.Until.IsZero() {
			until = localMinute(v.Until)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d of %d\n", v.ID, age(now.Sub(v.Created)), v.RiskAfter, whoIs(v.For), terms(v.Asked), until, cmp.Or(string(v.Case), "-"), v.State, len(v.Approvals), v.Need)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(c.out, "There are more: --after %s\n", page.Next)
	}
	return nil
}

// age is how old something is, in its largest unit.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(0, d/time.Second))
}

func (c *cli) showAsked(v steward.RequestView) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", key, value)
		}
	}
	line("request", string(v.ID))
	line("state", string(v.State))
	line("asked by", whoIs(v.By))
	line("for", whoIs(v.For))
	line("organisation", v.Organisation)
	line("needs", plain(v.Workflows))
	line("asked", terms(v.Asked)+lasting(v.Asked.Until))
	if v.Granted != nil {
		line("granted", terms(*v.Granted)+lasting(v.Granted.Until))
	}
	line("standing", string(v.Standing))
	if v.State == asking.Open { // afterwards what they hold has changed
		line("risk", fmt.Sprintf("%s now, %s with it", v.RiskNow, v.RiskAfter))
		line("sees newly", visibleAreas(v.Visible))
	}
	line("case", string(v.Case))
	line("reason", v.Reason)
	line("extends", string(v.Extends))
	line("class", v.Class)
	for _, a := range v.Approvals {
		line("yes", fmt.Sprintf("%s, %s: %s%s %s", whoIs(a.By), localMinute(a.At), terms(a.Terms), lasting(a.Terms.Until), a.Comment))
	}
	if v.DecidedBy != nil {
		line("decided by", whoIs(*v.DecidedBy)+", "+localMinute(v.Decided))
	}
	if v.RevokedBy != nil {
		line("taken back by", whoIs(*v.RevokedBy)+": "+v.Revoked)
	}
	if v.Permit != nil {
		line("permit", fmt.Sprintf("%s, %s %s", v.Permit.ID, strings.ReplaceAll(v.Permit.State, "_", " "), strings.ReplaceAll(v.Permit.EndReason, "_", " ")))
	}
	line("attention", v.Last)
	line("told", v.Told)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(c.out, next(v))
	return nil
}

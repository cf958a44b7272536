package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func (c *cli) explain() *cobra.Command {
	var conn, at string
	cmd := &cobra.Command{Use: "explain PERSON", Short: "Say why a person holds what they hold, or held it",
		Long: "explain prints the chain group → rule → grant @ scope of a person (userName, e-mail address or id), with the\nrules that nearly matched, what they see, and why they cannot sign in. One address may name people of several\nconnections. With --at the past is answered, from the audit trail.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			var found []bridge.Explanation
			q := url.Values{"person": {args[0]}}
			if conn != "" {
				q.Set("connection", conn)
			}
			if err := atInstant(q, at); err != nil {
				return err
			}
			if err := c.ask(cmd.Context(), http.MethodGet, "/explain?"+q.Encode(), nil, &found); err != nil {
				return err
			}
			if c.json {
				return c.print(found)
			}
			for i, e := range found {
				if i > 0 {
					fmt.Fprintln(c.out)
				}
				c.tell(e)
			}
			return nil
		}}
	cmd.Flags().StringVar(&conn, "connection", "", "only this connection")
	atFlag(cmd, &at)
	return cmd
}

func atFlag(cmd *cobra.Command, at *string) {
	cmd.Flags().StringVar(at, "at", "", "an instant of the past: a time, or a duration before now (default: now)")
}

// atInstant puts an instant into a query, if one is asked for.
func atInstant(q url.Values, text string) error {
	if text == "" {
		return nil
	}
	t, err := instant("--at", text, time.Now())
	q.Set("at", t.UTC().Format(time.RFC3339Nano))
	return err
}

const (
	minute = "2006-01-02 15:04"
	second = time.DateTime + " -07:00"
)

// tell prints an explanation for people to read.
func (c *cli) tell(e bridge.Explanation) {
	fmt.Fprintln(c.out, headline(e))
	c.tellHolds(e)
	c.tellDecided(e)
	c.tellRenames(e.Memberships)
	for _, s := range e.Sees {
		fmt.Fprintf(c.out, "sees     %s%s\n", s.Path, belowIt(s))
	}
	if len(e.ByName) > 0 {
		var paths []string
		for _, s := range e.ByName {
			paths = append(paths, s.Path)
		}
		fmt.Fprintf(c.out, "by name  %s\n", strings.Join(paths, ", "))
	}
	if e.Past == nil {
		fmt.Fprintln(c.out, "rules, in order:")
	}
	for _, r := range e.Reasons {
		c.tellReason(r)
	}
	if e.Refusal != "" {
		fmt.Fprintf(c.out, "At sign-in this person is refused: %s.\n", e.Refusal)
	}
	if e.Says != "" {
		fmt.Fprintf(c.out, "They see: %q\n", e.Says)
	}
	if e.Past != nil {
		for _, n := range e.Past.Notes {
			fmt.Fprintln(c.out, "note: "+n)
		}
	}
}

func headline(e bridge.Explanation) string {
	who := e.UserName
	if who == "" {
		who = string(e.Person)
	}
	groups := strings.Join(e.Groups, ", ")
	if groups == "" {
		groups = "none"
	}
	state := ""
	switch {
	case e.Past != nil && !e.Past.Here:
		state = "   deleted " + localMinute(e.Past.Deleted)
	case !e.Active:
		state = "   inactive"
	}
	line := fmt.Sprintf("%s   via %s%s   groups: %s", who, e.Connection, state, groups)
	if e.Past != nil {
		line += fmt.Sprintf("\nas it was at %s, under version %d of the policy", e.Past.At.Local().Format(second), e.Policy)
	}
	return line
}

func localMinute(t time.Time) string { return t.Local().Format(minute) }

func belowIt(s bridge.Sight) string {
	switch s.Below {
	case 0:
		return ""
	case 1:
		return " and the scope below it"
	}
	return fmt.Sprintf(" and %d scopes below it", s.Below)
}

// tellHolds prints what is held, and below each why.
func (c *cli) tellHolds(e bridge.Explanation) {
	var lines strings.Builder
	w := tabwriter.NewWriter(&lines, 0, 4, 2, ' ', 0)
	if len(e.Holds) == 0 {
		fmt.Fprintf(w, "none\t\t\treason %s\n", e.Refusal)
	}
	for _, h := range e.Holds {
		fmt.Fprintf(w, "%s\t%s\t%s\tevents %s, video %t%s\n", h.Standing, h.Is, h.Risk, h.Flags.Events, h.Flags.Video, times(e, h))
	}
	w.Flush() //nolint:errcheck // a strings.Builder takes everything
	for i, line := range strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n") {
		fmt.Fprintln(c.out, line)
		if i < len(e.Holds) {
			c.tellChain(e.Holds[i], e.Past != nil)
		}
	}
}

func times(e bridge.Explanation, h bridge.Holding) string {
	text := ""
	if !h.NotBefore.IsZero() {
		text += "  from " + localMinute(h.NotBefore)
	}
	if !h.Until.IsZero() {
		text += "  until " + localMinute(h.Until)
	}
	if e.Past == nil {
		if h.LastUsed.IsZero() {
			text += "  never used"
		} else {
			text += "  last used " + localMinute(h.LastUsed)
		}
	}
	if h.Sessions > 0 {
		text += fmt.Sprintf("  <- active in %d session(s)", h.Sessions)
		if h.Offline > 0 {
			text += fmt.Sprintf(", %d of them kept by applications", h.Offline)
		}
	}
	return text
}

func (c *cli) tellChain(h bridge.Holding, past bool) {
	if h.Demands != "" {
		fmt.Fprintln(c.out, "         demands a sign-in with "+h.Demands)
	}
	for _, l := range h.Chain {
		fmt.Fprintln(c.out, "         "+chain(l))
	}
	for _, id := range h.Limits {
		fmt.Fprintf(c.out, "         bound by limit %s\n", id)
	}
	if text := otherwise(h); text != "" {
		fmt.Fprintln(c.out, "         "+text)
	}
	if h.Stale != "" && past {
		fmt.Fprintln(c.out, "         counted for nothing: "+h.Stale)
	} else if h.Stale != "" {
		fmt.Fprintln(c.out, "         "+h.Stale)
	}
}

// otherwise says what made an assignment what it is, where that was not somebody's
// joining of a group that it is held for: the group was renamed, another policy was
// applied, another assignment ended.
func otherwise(h bridge.Holding) string {
	joined := func(l bridge.Link) bool {
		return l.Kind != access.SourceRule || l.Group == nil || l.Group.Request == "" || l.Group.Request == h.Request
	}
	if h.Given.IsZero() || len(h.Chain) == 0 || slices.ContainsFunc(h.Chain, joined) {
		return ""
	}
	text := "as it is since " + localMinute(h.Given)
	if h.Request != "" {
		text += " by request " + h.Request
	}
	return text
}

// chain is one reason for which something is held: the group, and the rule it feeds.
func chain(l bridge.Link) string {
	if l.Kind != access.SourceRule {
		return fmt.Sprintf("by %s %s", l.Kind, l.ID) + permitted(l)
	}
	text := ""
	if g := l.Group; g != nil {
		text = fmt.Sprintf("group %q", g.Name)
		if g.Name == "" {
			text = "group " + string(g.Group)
		}
		text += matched(l)
		if !g.Since.IsZero() {
			text += ", since " + localMinute(g.Since)
		}
		if g.Request != "" {
			text += " by request " + g.Request
		}
		text += " -> "
	}
	text += "rule " + l.ID
	if l.Pos.Line > 0 {
		text += fmt.Sprintf(" (%s:%d)", l.Pos.File, l.Pos.Line)
	}
	return text
}

// permitted is what a permit says beside who gave it.
func permitted(l bridge.Link) string {
	until := ""
	if !l.Until.IsZero() {
		until = ", until " + localMinute(l.Until)
	}
	if l.Permit == nil {
		return until
	}
	return askedAndApproved(*l.Permit) + until
}

func askedAndApproved(t bridge.PermitHeld) string {
	text := ""
	if t.AskedBy != "" {
		text += ", asked by " + t.AskedBy
	}
	if len(t.ApprovedBy) > 0 {
		text += ", approved by " + strings.Join(t.ApprovedBy, " and ")
	}
	if t.Case != "" {
		text += ", case " + string(t.Case)
	}
	return text
}

// tellDecided prints what people decided that gives nothing at that instant, and what they
// took away.
func (c *cli) tellDecided(e bridge.Explanation) {
	for _, t := range e.Permits {
		if t.Waits == "" {
			continue
		}
		times := ""
		if !t.NotBefore.IsZero() {
			times += ", from " + localMinute(t.NotBefore)
		}
		if !t.Until.IsZero() {
			times += ", until " + localMinute(t.Until)
		}
		fmt.Fprintf(c.out, "permit   %s by %s %s%s%s: gives nothing now (%s)\n", t.Is, t.Kind, cmp.Or(string(t.Request), string(t.ID)), askedAndApproved(t), times, t.Waits)
	}
	for _, l := range e.Limits {
		fmt.Fprintf(c.out, "limit    %s  %s\n", l.ID, l.Says())
		for _, w := range l.Withholds {
			fmt.Fprintf(c.out, "         withholds %s, which rules would give\n", w)
		}
	}
}

// tellRenames prints which groups got another name, and what rules made of it.
func (c *cli) tellRenames(groups []bridge.Belonging) {
	for _, g := range groups {
		for _, r := range g.Renames {
			line := fmt.Sprintf("renamed  group %q at %s", g.Name, localMinute(r.At))
			if g.Name == "" {
				line = fmt.Sprintf("renamed  group %s at %s", g.Group, localMinute(r.At))
			}
			if r.Request != "" {
				line += " by request " + r.Request
			}
			var so []string
			if len(r.Left) > 0 {
				so = append(so, "no longer matched by "+strings.Join(r.Left, ", "))
			}
			if len(r.Entered) > 0 {
				so = append(so, "matched since by "+strings.Join(r.Entered, ", "))
			}
			if so == nil {
				so = []string{"the same rules match"}
			}
			fmt.Fprintf(c.out, "%s: %s\n", line, strings.Join(so, "; "))
		}
	}
}

func matched(l bridge.Link) string {
	switch l.MatchedBy {
	case "group_id":
		return " (matched by id)"
	case "":
		return ""
	}
	how := " (matched by name"
	for _, name := range slices.Sorted(maps.Keys(l.Captures)) {
		how += fmt.Sprintf(", %s = %s", name, l.Captures[name])
	}
	return how + ")"
}

// tellReason prints what one rule says: + for what matched, ~ for what nearly did.
func (c *cli) tellReason(r mapping.Reason) {
	mark := "-"
	switch {
	case r.Matched:
		mark = "+"
	case r.Near:
		mark = "~"
	}
	group := ""
	if r.Group != "" {
		group = fmt.Sprintf("\"%s\"  ", r.Group)
	}
	fmt.Fprintf(c.out, "  %s %s  %s%s  (%s:%d)\n", mark, r.Rule, group, r.Because, r.Pos.File, r.Pos.Line)
	for _, l := range r.Looked {
		value := strconv.Quote(l.Value)
		if l.None {
			value = "none"
		}
		fmt.Fprintf(c.out, "      %s = %s\n", l.What, value)
	}
	for _, g := range r.Gives {
		fmt.Fprintf(c.out, "      -> %s\n", g)
	}
}

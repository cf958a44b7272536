package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	asking "github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) request() *cobra.Command {
	cmd := family("request", "Ask for access, and decide about what was asked")
	cmd.AddCommand(c.requestCreate(), c.requestPropose(), c.requestList(), c.requestShow(), c.requestApprove(), c.requestDeny(), c.requestWithdraw(), c.requestConfirm(), c.requestExtend())
	for _, change := range cmd.Commands() {
		c.authored(change)
	}
	return cmd
}

// authored lets the operator say who they are; a person is who their token says.
func (c *cli) authored(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.author, "author", "", "who does it, where the operator does (default: who is logged in here)")
}

// wish is what somebody asks for, as it is typed.
type wish struct {
	needs                        []string
	at, grant, events            string
	video, permanent, breakGlass bool
	from, until, lasts           string
	organisation, reason, caseID string
	approver, connection         string
}

func (w *wish) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&w.needs, "need", nil, `what they need to do, in plain words: "live view", playback, reports, administration, "in-vehicle dashboard", recordings …; may repeat`)
	f.StringVar(&w.at, "at", "", "path or id of a scope: where they need it")
	f.StringVar(&w.grant, "grant", "", "this grant, instead of the smallest that opens what they need")
	f.StringVar(&w.events, "events", "", "the events that they must see: standard or restricted")
	f.BoolVar(&w.video, "video", false, "in-cabin video and stills")
	f.StringVar(&w.connection, "connection", "", "of this connection, where the name is several people's")
	f.StringVar(&w.from, "from", "", "it begins then, an instant (default: at once)")
	f.BoolVar(&w.permanent, "permanent", false, "without an end, where the policy lets that be")
	f.StringVar(&w.organisation, "organisation", "", "who asks: the company, or the team")
	f.StringVar(&w.approver, "approver", "", "whom it is sent to first: userName or id, of the same connection")
	f.BoolVar(&w.breakGlass, "break-glass", false, "take it at once; others confirm it afterwards, or it ends")
	w.timeFlags(cmd)
}

// timeFlags are the flags of an extension, too.
func (w *wish) timeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.lasts, "for", "", "how long: 14d, 8h, 30m")
	f.StringVar(&w.until, "until", "", "or until when: an instant such as 2026-12-12T17:00:00Z")
	f.StringVar(&w.reason, "reason", "", "what it is needed for")
	f.StringVar(&w.caseID, "case", "", "the ticket, project or engagement that it belongs to")
	cmd.MarkFlagsMutuallyExclusive("for", "until")
}

// ask is what is sent.
func (w wish) ask(now time.Time) (steward.Ask, error) {
	in := steward.Ask{Area: w.at, Grant: access.Grant(w.grant), Permanent: w.permanent, Organisation: w.organisation, Reason: w.reason, Case: access.CaseID(w.caseID), BreakGlass: w.breakGlass}
	for _, n := range w.needs {
		workflows, err := asking.ParseWorkflow(n)
		if err != nil {
			return in, failed(exitUsage, "--need: %w", err)
		}
		for _, f := range workflows {
			if !slices.Contains(in.Workflows, f) {
				in.Workflows = append(in.Workflows, f)
			}
		}
	}
	in.Flags.Video = w.video
	if w.events != "" {
		if err := in.Flags.Events.UnmarshalText([]byte(w.events)); err != nil {
			return in, failed(exitUsage, "--events is none, standard or restricted, not %q", w.events)
		}
	}
	var err error
	if in.NotBefore, err = instantFlag("--from", w.from); err != nil {
		return in, err
	}
	in.Until, err = untilFlags(w.lasts, w.until, cmp.Or(in.NotBefore, now))
	return in, err
}

// untilFlags reads how long something lasts from an instant, or until when.
func untilFlags(lasts, until string, from time.Time) (time.Time, error) {
	if lasts == "" {
		return instantFlag("--until", until)
	}
	d, err := lifetime(lasts)
	if err != nil {
		return time.Time{}, err
	}
	return from.Add(d).UTC().Truncate(time.Second), nil
}

// lifetime reads 14d, 1d12h or 30m.
func lifetime(text string) (time.Duration, error) {
	days, rest, dayed := strings.Cut(text, "d")
	if !dayed {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 12)
	d := time.Duration(n) * 24 * time.Hour //nolint:gosec // at most 4095 days
	if err == nil && rest != "" {
		var more time.Duration
		more, err = time.ParseDuration(rest)
		d += more
	}
	if err != nil || d <= 0 {
		return 0, failed(exitUsage, "--for is a duration such as 14d, 8h or 30m, not %q", text)
	}
	return d, nil
}

func instantFlag(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, failed(exitUsage, "%s is an instant such as 2026-12-12T17:00:00Z, not %q", flag, text)
}

// asks sends what somebody asks for to a route.
func (c *cli) asks(ctx context.Context, route, person string, w wish, in steward.Ask, out any) error {
	if person != "" {
		ref, err := c.personNamed(ctx, person, w.connection)
		if err != nil {
			return err
		}
		in.For = ref
	}
	if w.approver != "" {
		ref, err := c.approverNamed(ctx, w.approver, w.connection)
		if err != nil {
			return err
		}
		in.Approver = &ref
	}
	return c.ask(ctx, http.MethodPost, route, struct {
		steward.Ask
		Author string `json:"author"`
	}{in, authorOr(c.author)}, out)
}

// approverNamed finds an approver. Whoever asks for themselves may name one of their own
// connection whom they may not look up.
func (c *cli) approverNamed(ctx context.Context, name, connection string) (steward.PersonRef, error) {
	ref, err := c.personNamed(ctx, name, connection)
	var e *exit
	if errors.As(err, &e) && e.code == exitNo {
		return steward.PersonRef{Connection: access.ConnectionID(connection), Person: access.PersonID(name)}, nil
	}
	return ref, err
}

func (c *cli) requestCreate() *cobra.Command {
	var w wish
	cmd := &cobra.Command{Use: "create [PERSON]", Short: "Ask for access: for a person, or for yourself with your own access token", Args: cobra.MaximumNArgs(1),
		Long: "create asks for the smallest grant that opens what is needed, and says who decides. Where the person has it\nalready, or something that the policy asks for is missing, nothing is asked and the sentence says what.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := w.ask(time.Now())
			if err != nil {
				return err
			}
			var v steward.RequestView
			if err := c.asks(cmd.Context(), "/requests", strings.Join(args, ""), w, in, &v); err != nil {
				return err
			}
			return c.tellRequest(v)
		}}
	w.flags(cmd)
	return cmd
}

func (c *cli) requestPropose() *cobra.Command {
	var w wish
	cmd := &cobra.Command{Use: "propose [PERSON]", Short: "Say what a request would come to, and change nothing", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := w.ask(time.Now())
			if err != nil {
				return err
			}
			var p steward.Proposal
			if err := c.asks(cmd.Context(), "/requests/proposals", strings.Join(args, ""), w, in, &p); err != nil {
				return err
			}
			if c.json {
				err = c.print(p)
			} else {
				err = c.tellProposal(p, w.grant != "")
			}
			if err == nil && (len(p.Missing) > 0 || p.Held != nil) {
				return &exit{code: exitNo}
			}
			return err
		}}
	w.flags(cmd)
	return cmd
}

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

func (c *cli) requestList() *cobra.Command {
	var q listing
	var state string
	var mine, toDecide bool
	cmd := &cobra.Command{Use: "list", Short: "List requests, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, err := q.values(cmd.Context(), c)
			if err != nil {
				return err
			}
			if state != "" {
				values.Set("state", state)
			}
			setTrue(values, "mine", mine)
			setTrue(values, "to_decide", toDecide)
			var page steward.RequestPage
			if err := c.ask(cmd.Context(), http.MethodGet, "/requests?"+values.Encode(), nil, &page); err != nil {
				return err
			}
			if c.json {
				return c.print(page)
			}
			return c.listRequests(page, time.Now())
		}}
	q.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "open, granted, denied, withdrawn, lapsed, unconfirmed or expired")
	cmd.Flags().BoolVar(&mine, "mine", false, "that you made, or that are for you")
	cmd.Flags().BoolVar(&toDecide, "to-decide", false, "that wait for you")
	return cmd
}

// listing is what lists of requests and of what was given are looked for by.
type listing struct {
	person, connection, caseID, at, after string
	limit                                 int
}

func (l *listing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.person, "person", "", "for this userName or person id")
	f.StringVar(&l.connection, "connection", "", "of this connection, where the name is several people's")
	f.StringVar(&l.caseID, "case", "", "for this case")
	f.StringVar(&l.at, "at", "", "at this scope and below")
	f.StringVar(&l.after, "after", "", "go on after this one")
	f.IntVar(&l.limit, "limit", 50, "how many at most, up to 200")
}

func (l listing) values(ctx context.Context, c *cli) (url.Values, error) {
	q := url.Values{"count": {strconv.Itoa(l.limit)}}
	for name, value := range map[string]string{"case": l.caseID, "area": l.at, "after": l.after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if l.person == "" {
		return q, nil
	}
	ref, err := c.personNamed(ctx, l.person, l.connection)
	q.Set("person", string(ref.Person))
	q.Set("connection", string(ref.Connection))
	return q, err
}

func setTrue(q url.Values, name string, is bool) {
	if is {
		q.Set(name, "true")
	}
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

func (c *cli) requestShow() *cobra.Command {
	return &cobra.Command{Use: "show REQUEST", Short: "Show one request: who asks, what it would open, who decided what", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v steward.RequestView
			if err := c.ask(cmd.Context(), http.MethodGet, requestPath(args[0], ""), nil, &v); err != nil {
				return err
			}
			if c.json {
				return c.print(v)
			}
			return c.showAsked(v)
		}}
}

func requestPath(id, act string) string {
	path := "/requests/" + url.PathEscape(id)
	if act != "" {
		path += "/" + act
	}
	return path
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

// decides is a command by which somebody decides about a request.
func (c *cli) decides(cmd *cobra.Command, act string, in func(context.Context) (map[string]any, error)) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := in(cmd.Context())
		if err != nil {
			return err
		}
		body["author"] = authorOr(c.author)
		var v steward.RequestView
		if err := c.ask(cmd.Context(), http.MethodPost, requestPath(args[0], act), body, &v); err != nil {
			return err
		}
		return c.tellRequest(v)
	}
	return cmd
}

func (c *cli) requestApprove() *cobra.Command {
	var w wish
	var comment string
	var last lastOne
	cmd := c.decides(&cobra.Command{Use: "approve REQUEST", Short: "Say yes, or yes to less: a smaller grant or area, fewer flags, an earlier end"}, "approve", func(ctx context.Context) (map[string]any, error) {
		in := map[string]any{"comment": comment}
		until, err := untilFlags(w.lasts, w.until, time.Now())
		if err != nil {
			return nil, err
		}
		less := steward.Less{Grant: access.Grant(w.grant), Area: w.at, Until: until}
		if w.events != "" {
			less.Flags = &access.Flags{Video: w.video}
			if err := less.Flags.Events.UnmarshalText([]byte(w.events)); err != nil {
				return nil, failed(exitUsage, "--events is none, standard or restricted, not %q", w.events)
			}
		}
		if less != (steward.Less{}) {
			in["less"] = less
		}
		return in, last.put(ctx, c, in)
	})
	f := cmd.Flags()
	f.StringVar(&w.grant, "grant", "", "this grant, which opens less")
	f.StringVar(&w.at, "at", "", "this area, which lies inside the one that was asked for")
	f.StringVar(&w.events, "events", "", "the most that they see of events: none, standard or restricted; with it, --video says whether they see that")
	f.BoolVar(&w.video, "video", false, "with --events: in-cabin video and stills")
	f.StringVar(&w.lasts, "for", "", "how long from now: 14d, 8h, 30m")
	f.StringVar(&w.until, "until", "", "or until when")
	f.StringVar(&comment, "comment", "", "for whoever reads the decision")
	last.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("for", "until")
	return cmd
}

// lastOne is what is said where an area would be left without an administrator.
type lastOne struct {
	successor, connection string
	confirm               bool
}

func (l *lastOne) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.successor, "successor", "", "who administers the area when this ends: userName or id")
	f.StringVar(&l.connection, "connection", "", "of the successor")
	f.BoolVar(&l.confirm, "confirm-last", false, "nobody will, and that is meant")
}

func (l lastOne) put(ctx context.Context, c *cli, in map[string]any) error {
	in["confirm_last"] = l.confirm
	if l.successor == "" {
		return nil
	}
	ref, err := c.personNamed(ctx, l.successor, l.connection)
	in["successor"] = ref
	return err
}

func (c *cli) requestDeny() *cobra.Command {
	var reason string
	cmd := c.decides(&cobra.Command{Use: "deny REQUEST", Short: "Say no, and why"}, "deny", func(context.Context) (map[string]any, error) {
		return map[string]any{"reason": reason}, nil
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; whoever asked reads it")
	cmd.MarkFlagRequired("reason") //nolint:errcheck // the flag is there
	return cmd
}

func (c *cli) requestWithdraw() *cobra.Command {
	var reason string
	cmd := c.decides(&cobra.Command{Use: "withdraw REQUEST", Short: "Take a request back that nobody has decided"}, "withdraw", func(context.Context) (map[string]any, error) {
		return map[string]any{"reason": reason}, nil
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func (c *cli) requestConfirm() *cobra.Command {
	var comment string
	cmd := c.decides(&cobra.Command{Use: "confirm REQUEST", Short: "Confirm access that somebody took by breaking glass"}, "confirm", func(context.Context) (map[string]any, error) {
		return map[string]any{"comment": comment}, nil
	})
	cmd.Flags().StringVar(&comment, "comment", "", "for whoever reads the decision")
	return cmd
}

func (c *cli) requestExtend() *cobra.Command {
	var w wish
	cmd := &cobra.Command{Use: "extend REQUEST", Short: "Ask that what a request gave lasts longer: a new decision", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.extend(cmd.Context(), args[0], w) }}
	w.timeFlags(cmd)
	return cmd
}

func (c *cli) extend(ctx context.Context, id string, w wish) error {
	in, err := w.ask(time.Now())
	if err != nil {
		return err
	}
	in.Extends = access.RequestID(id)
	var v steward.RequestView
	if err := c.asks(ctx, "/requests", "", w, in, &v); err != nil {
		return err
	}
	return c.tellRequest(v)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// followEvery is how often a running bridge is asked for what is new.
const followEvery = 500 * time.Millisecond

// logFlags are the flags of scim log.
type logFlags struct {
	connection, person, since string
	failed, follow, full      bool
	limit                     int
}

func (c *cli) scimLog() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{Use: "log [REQUEST]", Short: "Show the SCIM requests that came in, and what came of them", Args: cobra.MaximumNArgs(1),
		Long: "log shows the newest SCIM requests of a running bridge, the oldest of them first: when, how it ended, how long it\ntook, what was asked and what came of it. With a request's number it shows that one whole.\nNo personal value and no secret is kept: people are named as they are called now, by their ids.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return c.oneRequest(cmd.Context(), args[0])
			}
			return c.requests(cmd.Context(), f)
		}}
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on showing what comes, until interrupted")
	flags.StringVar(&f.connection, "connection", "", "only this connection")
	flags.StringVar(&f.person, "person", "", "only requests about, touching or naming this person (userName, e-mail address or id)")
	flags.BoolVar(&f.failed, "failed", false, "only what was refused")
	flags.StringVar(&f.since, "since", "", "only from then on: a duration such as 2h, or a time such as 2026-11-27T03:00:00Z")
	flags.IntVar(&f.limit, "limit", 50, "how many at most, 1 to 500; with --follow, to begin with")
	flags.BoolVar(&f.full, "full", false, "each request whole")
	return cmd
}

// query is what the admin API is asked for.
func (f logFlags) query(now time.Time) (url.Values, error) {
	q := url.Values{"limit": {strconv.Itoa(f.limit)}}
	if f.limit < 1 || f.limit > bridge.MaxTraffic {
		return nil, failed(exitUsage, "--limit is 1 to %d", bridge.MaxTraffic)
	}
	if f.connection != "" {
		q.Set("connection", f.connection)
	}
	if f.person != "" {
		q.Set("person", f.person)
	}
	if f.failed {
		q.Set("failed", "true")
	}
	if f.since != "" {
		since, err := instant("--since", f.since, now)
		if err != nil {
			return nil, err
		}
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	return q, nil
}

// instant reads a flag's time, or a duration before now.
func instant(flag, text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, failed(exitUsage, "%s is a duration such as 2h or a time such as 2026-11-27T03:00:00Z, not %q", flag, text)
}

func (c *cli) requests(ctx context.Context, f logFlags) error {
	q, err := f.query(time.Now())
	if err != nil {
		return err
	}
	if f.follow {
		return c.follow(ctx, f, q)
	}
	page, err := c.trafficPage(ctx, q)
	switch {
	case err != nil:
		return err
	case c.json && !f.full:
		return c.print(page)
	}
	slices.Reverse(page.Requests)
	if err := c.showAll(ctx, f, page.Requests); err != nil || c.json {
		return err
	}
	if len(page.Requests) == 0 {
		fmt.Fprintln(c.err, "No such request is kept.")
	}
	return nil
}

func (c *cli) trafficPage(ctx context.Context, q url.Values) (api.Traffic, error) {
	var page api.Traffic
	err := c.ask(ctx, http.MethodGet, "/scim/requests?"+q.Encode(), nil, &page)
	return page, err
}

// follow shows what there is and then what comes. Whoever interrupts it is done.
func (c *cli) follow(ctx context.Context, f logFlags, q url.Values) error {
	last, err := c.newest(ctx, f.connection)
	if err != nil {
		return interrupted(ctx, err)
	}
	page, err := c.trafficPage(ctx, q)
	if err != nil && !(f.person != "" && isNo(err)) { // nobody is called that yet: the request that creates them may come
		return interrupted(ctx, err)
	}
	slices.Reverse(page.Requests)
	for {
		if err := c.showAll(ctx, f, page.Requests); err != nil {
			return interrupted(ctx, err)
		}
		for _, r := range page.Requests {
			last = max(last, r.ID)
		}
		if len(page.Requests) < bridge.MaxTraffic {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(followEvery):
			}
		}
		q.Set("after", strconv.FormatInt(last, 10))
		q.Set("limit", strconv.Itoa(bridge.MaxTraffic))
		if page, err = c.trafficPage(ctx, q); err != nil {
			return interrupted(ctx, err)
		}
		if last == 0 { // there was nothing yet: what came is answered newest first
			slices.Reverse(page.Requests)
		}
	}
}

// newest is the id of the last request that was recorded; 0 if none was.
func (c *cli) newest(ctx context.Context, connection string) (int64, error) {
	q := url.Values{"limit": {"1"}}
	if connection != "" {
		q.Set("connection", connection)
	}
	page, err := c.trafficPage(ctx, q)
	if err != nil || len(page.Requests) == 0 {
		return 0, err
	}
	return page.Requests[0].ID, nil
}

func isNo(err error) bool {
	var e *exit
	return errors.As(err, &e) && e.code == exitNo
}

// interrupted is nil where whoever follows has ended it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *cli) showAll(ctx context.Context, f logFlags, requests []bridge.TrafficEntry) error {
	for _, r := range requests {
		if f.full {
			whole, err := c.trafficEntry(ctx, r.ID)
			if isNo(err) {
				continue // it has made room for newer ones since
			}
			if err != nil {
				return err
			}
			r = whole
		}
		switch {
		case c.json:
			if err := c.printed(printable(r, "")); err != nil {
				return err
			}
		case f.full:
			c.showRequest(r)
			fmt.Fprintln(c.out)
		default:
			c.showLine(r, f.connection == "")
		}
	}
	return nil
}

func (c *cli) trafficEntry(ctx context.Context, id int64) (bridge.TrafficEntry, error) {
	var e bridge.TrafficEntry
	err := c.ask(ctx, http.MethodGet, "/scim/requests/"+strconv.FormatInt(id, 10), nil, &e)
	return e, err
}

func (c *cli) oneRequest(ctx context.Context, arg string) error {
	id, err := strconv.ParseInt(strings.TrimPrefix(arg, "#"), 10, 64)
	if err != nil || id < 1 {
		return failed(exitUsage, "%q is no request's number; scim log lists them", arg)
	}
	e, err := c.trafficEntry(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(e)
	}
	c.showRequest(e)
	return nil
}

// showLine is one request in one line.
func (c *cli) showLine(r bridge.TrafficEntry, naming bool) {
	said := r.Asked
	switch {
	case r.Refusal != "":
		said += "  ->  refused: " + r.Refusal
	case r.Effect != "":
		said += "  ->  " + r.Effect
	}
	where := ""
	if naming {
		where = fmt.Sprintf("%-16s  ", r.Connection)
	}
	if len(r.Leniencies) > 0 {
		said += fmt.Sprintf("  (%s)", plural(len(r.Leniencies), "leniency", "leniencies"))
	}
	fmt.Fprintf(c.out, "%7d  %s  %s  %8s  %s%s%s\n", r.ID, r.At.Local().Format("01-02 15:04:05"), c.statusOf(r.Record), took(r.Record), where, target(r), said)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// statusOf is the status, in three characters and the colour of its kind.
func (c *cli) statusOf(r traffic.Record) string {
	word := strconv.Itoa(r.Status)
	if r.Status == 0 {
		word = " - "
	}
	switch {
	case !c.terminal(c.out) || c.noColour():
		return word
	case r.Status >= http.StatusInternalServerError:
		return "\x1b[1;31m" + word + "\x1b[0m"
	case r.Failed():
		return "\x1b[31m" + word + "\x1b[0m"
	case len(r.Leniencies) > 0:
		return "\x1b[33m" + word + "\x1b[0m"
	}
	return "\x1b[32m" + word + "\x1b[0m"
}

func took(r traffic.Record) string {
	if r.Kind != "" {
		return ""
	}
	return fmt.Sprintf("%.1f ms", float64(r.Micros)/1000)
}

// target is what a request was sent to, by the name of the person if it is one.
func target(r bridge.TrafficEntry) string {
	if r.Kind != "" {
		return ""
	}
	text := fmt.Sprintf("%-6s %s", r.Method, r.Resource)
	switch {
	case r.Person != nil && r.Person.UserName != "":
		text += "/" + r.Person.UserName
	case r.Item != "":
		text += "/" + r.Item
	}
	return text + "  "
}

// showRequest is one request, whole.
func (c *cli) showRequest(r bridge.TrafficEntry) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(c.out, "%-13s %s\n", name, value)
		}
	}
	list := func(name string, values []string) {
		for i, v := range values {
			if i > 0 {
				name = ""
			}
			line(name, v)
		}
	}
	line("request", fmt.Sprintf("%d  %s", r.ID, r.At.Local().Format("2006-01-02 15:04:05.000 -07:00")))
	line("connection", string(r.Connection))
	if r.Kind == "" {
		line("sent", strings.TrimSpace(target(r)))
		line("answered", fmt.Sprintf("%d in %s", r.Status, took(r.Record)))
	}
	list("query", r.Query)
	line("asked", r.Asked)
	list("operations", r.Operations)
	line("refused", r.Refusal)
	line("effect", r.Effect)
	list("leniencies", r.Leniencies)
	if r.Person != nil {
		line("person", named(*r.Person))
	}
	list("touched", touched(r))
	line("token", r.Token)
	line("user agent", r.Agent)
	line("reference", r.Request)
	list("body", r.Body)
}

func named(p bridge.TrafficPerson) string {
	if p.UserName == "" {
		return string(p.ID) + " (not there any more)"
	}
	return string(p.ID) + " " + p.UserName
}

// touchedShown is how many people are shown by name.
const touchedShown = 20

func touched(r bridge.TrafficEntry) []string {
	var names []string
	for _, p := range r.Touched[:min(len(r.Touched), touchedShown)] {
		names = append(names, named(p))
	}
	if left := len(r.Touched) - len(names) + r.More; left > 0 {
		names = append(names, fmt.Sprintf("and %d more", left))
	}
	return names
}

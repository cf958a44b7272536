package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func (c *cli) bench() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure the running deployment"}
	cmd.AddCommand(c.benchDeprovision())
	return cmd
}

// mostBenched bounds how many people a measurement makes up.
const mostBenched = 10_000

func (c *cli) benchDeprovision() *cobra.Command {
	m := leavers{cli: c, run: credential.NewID("bench"), http: &http.Client{Timeout: 30 * time.Second}}
	var token string
	cmd := &cobra.Command{Use: "deprovision CONNECTION", Args: cobra.ExactArgs(1),
		Short: "Measure how long it takes until nobody accepts a person who has left, with people made up for it",
		Long:  "bench deprovision creates people over SCIM, deactivates one after the other and times each request until its\nanswer, by which time no node accepts them. It removes them again, also when it is interrupted. Without\n--token-file it makes a SCIM token of the connection by the admin API, and revokes it at the end.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if m.people < 1 || m.people > mostBenched {
				return failed(exitUsage, "--people is a number from 1 to %d", mostBenched)
			}
			m.connection = args[0]
			if token != "" {
				if m.token, err = readToken(token); err != nil {
					return err
				}
			}
			return m.measure(cmd.Context())
		}}
	f := cmd.Flags()
	f.IntVar(&m.people, "people", 50, "how many people are made up")
	f.StringVar(&m.url, "url", "", "SCIM base URL of the connection, if it is not reached by the public one")
	f.StringVar(&token, "token-file", "", "file with a SCIM token of the connection")
	return cmd
}

// leavers are people made up to leave.
type leavers struct {
	*cli
	run        string // marks their names
	connection string
	people     int
	url        string
	token      secret.String
	http       *http.Client
}

// Deprovisioned is what a measurement has found.
type Deprovisioned struct {
	Connection string     `json:"connection"`
	People     int        `json:"people"`
	P50        float64    `json:"p50_ms"`
	P90        float64    `json:"p90_ms"`
	P99        float64    `json:"p99_ms"`
	Max        float64    `json:"max_ms"`
	Server     []bucket   `json:"server,omitempty"`
	Nodes      []api.Node `json:"nodes,omitempty"`
}

// bucket is how many of the ends of access since the beginning took at most so long, by the server's own measure.
type bucket struct {
	Seconds string `json:"le"`
	Count   int64  `json:"count"`
}

func (m *leavers) measure(ctx context.Context) (err error) {
	var before, after api.Status
	if err := m.ask(ctx, http.MethodGet, "/status", nil, &before); err != nil {
		return err
	}
	drop, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	counted := m.histogram(ctx)
	took, err := m.leave(ctx)
	if err != nil {
		return err
	}
	if err := m.ask(ctx, http.MethodGet, "/status", nil, &after); err != nil {
		return err
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
	found := Deprovisioned{Connection: m.connection, People: len(took), P50: at(.5), P90: at(.9), P99: at(.99), Max: at(1), Nodes: after.Nodes, Server: less(m.histogram(ctx), counted)}
	if m.json {
		return m.print(found)
	}
	return m.tell(found)
}

// open makes what is missing of an address and a token; drop takes the token back.
func (m *leavers) open(ctx context.Context) (drop func() error, err error) {
	drop = func() error { return nil }
	if m.token.Empty() {
		var made api.NewToken
		path := "/connections/" + m.connection + "/tokens"
		if err := m.ask(ctx, http.MethodPost, path, map[string]any{"note": "drawbridge bench deprovision", "days": 1}, &made); err != nil {
			return nil, err
		}
		m.token = secret.New(made.Secret)
		m.url = cmp.Or(m.url, made.SCIMURL)
		drop = func() error {
			return m.ask(context.WithoutCancel(ctx), http.MethodDelete, path+"/"+made.ID, nil, nil)
		}
	}
	if m.url == "" {
		return nil, errors.Join(failed(exitUsage, "--token-file needs --url, too"), drop())
	}
	return drop, nil
}

// leave creates people, times the end of each and removes them all.
func (m *leavers) leave(ctx context.Context) (took []time.Duration, err error) {
	var ids []string
	defer func() {
		for _, id := range ids {
			err = errors.Join(err, m.scim(context.WithoutCancel(ctx), http.MethodDelete, "/Users/"+id, nil, nil))
		}
	}()
	for i := range m.people {
		var made struct{ ID string }
		name := fmt.Sprintf("%s-%d@bench.example", m.run, i)
		user := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name, "active": true}
		if err := m.scim(ctx, http.MethodPost, "/Users", user, &made); err != nil {
			return took, err
		}
		ids = append(ids, made.ID)
	}
	off := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{map[string]any{"op": "replace", "path": "active", "value": false}}}
	for _, id := range ids {
		var one time.Duration
		if err := m.timed(ctx, http.MethodPatch, "/Users/"+id, off, nil, &one); err != nil {
			return took, err
		}
		took = append(took, one)
	}
	return took, nil
}

func (m *leavers) scim(ctx context.Context, method, path string, in, out any) error {
	var took time.Duration
	return m.timed(ctx, method, path, in, out, &took)
}

// timed sends one request until it is not told to wait, and says how long the last attempt took.
func (m *leavers) timed(ctx context.Context, method, path string, in, out any, took *time.Duration) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for {
		req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(m.url, "/")+path, bytes.NewReader(body))
		if err != nil {
			return failed(exitUsage, "%s is not an address: %w", m.url, err)
		}
		req.Header.Set("Authorization", "Bearer "+m.token.Reveal())
		req.Header.Set("Content-Type", "application/scim+json")
		began := time.Now()
		resp, err := m.http.Do(req)
		if err != nil {
			return failed(exitUnreachable, "%w", err)
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		*took = time.Since(began)
		err = errors.Join(err, resp.Body.Close())
		switch {
		case err != nil:
			return failed(exitUnreachable, "%w", err)
		case resp.StatusCode == http.StatusTooManyRequests:
			if err := waitFor(ctx, resp.Header.Get("Retry-After")); err != nil {
				return err
			}
			continue
		case resp.StatusCode >= http.StatusMultipleChoices:
			return failed(exitNo, "%s %s: %s\n%s", method, path, resp.Status, legible(string(answer)))
		case out != nil:
			return json.Unmarshal(answer, out)
		}
		return nil
	}
}

// waitFor waits for as long as a server asks for, at least a second.
func waitFor(ctx context.Context, seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 1 || n > 60 {
		n = 1
	}
	t := time.NewTimer(time.Duration(n) * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// histogram is the server's own, where this machine reaches its metrics; nil elsewhere.
func (m *leavers) histogram(ctx context.Context) []bucket {
	a, err := m.find()
	if err != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(a.APIURL, api.Prefix)+"/metrics", nil)
	if err != nil {
		return nil
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	var all []bucket
	for line := range strings.Lines(string(text)) {
		rest, ours := strings.CutPrefix(line, `drawbridge_deprovision_duration_seconds_bucket{le="`)
		le, count, _ := strings.Cut(rest, `"} `)
		if n, err := strconv.ParseFloat(strings.TrimSpace(count), 64); ours && err == nil {
			all = append(all, bucket{le, int64(n)})
		}
	}
	return all
}

// less is what has been counted since.
func less(now, before []bucket) []bucket {
	for i := range now {
		if i < len(before) {
			now[i].Count -= before[i].Count
		}
	}
	return now
}

func (m *leavers) tell(d Deprovisioned) error {
	fmt.Fprintf(m.out, "%s of %s left. From the request to the answer, by which nobody accepts them:\n", plural(d.People, "person", "people"), legible(d.Connection))
	w := tabwriter.NewWriter(m.out, 0, 4, 3, ' ', 0)
	fmt.Fprintf(w, "half within\t%.1f ms\n9 of 10\t%.1f ms\n99 of 100\t%.1f ms\nall\t%.1f ms\n", d.P50, d.P90, d.P99, d.Max)
	if len(d.Server) > 0 {
		fmt.Fprint(w, "\nby the server's own measure, of this node\t\n")
	}
	last := int64(0)
	for _, b := range d.Server {
		if b.Count > last {
			fmt.Fprintf(w, "up to %s s\t%d\n", b.Seconds, b.Count-last)
		}
		last = b.Count
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return m.nodesAsText(d.Nodes)
}

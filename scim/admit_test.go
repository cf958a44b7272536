package scim

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// paced is a fixture with a rate, and a clock that stands still until it is moved.
func paced(t *testing.T, r admission.Rate) (f *fixture, wait func(time.Duration)) {
	f = newFixture(t)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f.server = New(Config{Gate: f.gate, PublicURL: publicURL, Rate: r, Now: func() time.Time { return now }})
	return f, func(d time.Duration) { now = now.Add(d) }
}

// as sends a GET of the people with that token to that connection.
func (f *fixture) as(connection, token, from string) reply {
	r := httptest.NewRequest("GET", Prefix+connection+"/Users?count=0", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.RemoteAddr = from + ":1"
	return f.serve(r)
}

// many is how many of n such requests were answered with each status.
func (f *fixture) many(n int, connection, token string) map[int]int {
	got := map[int]int{}
	for range n {
		got[f.as(connection, token, "192.0.2.1").status]++
	}
	return got
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// A connection may ask so much at once and then so much a second, and is told in
// whole seconds when to come again. What it uses up is its own.
func TestAConnectionHoldsItsRateAndNobodyElseFeelsIt(t *testing.T) {
	f, wait := paced(t, admission.Rate{PerSecond: 25, Burst: 50})
	same(t, "a storm", f.many(1000, southern, southernToken), map[int]int{200: 50, 429: 950})
	refused := f.as(southern, southernToken, "192.0.2.1").refusal(429, "")
	same(t, "Retry-After", refused.header.Get("Retry-After"), "1")
	same(t, "the other connection meanwhile", f.many(50, northern, northernToken), map[int]int{200: 50})
	wait(time.Second)
	same(t, "a second later", f.many(1000, southern, southernToken), map[int]int{200: 25, 429: 975})
	own := f.gate.dirs[southern]
	own.Rate = admission.Rate{PerSecond: 1, Burst: 3}
	f.gate.dirs[southern] = own
	wait(time.Hour)
	same(t, "with a rate of its own", f.many(10, southern, southernToken), map[int]int{200: 3, 429: 7})
}

// What a request makes of work is what it weighs: each operation of a bulk is one,
// and so is each 64 KiB that is read or written.
func TestBulksAndLargeAnswersWeighMore(t *testing.T) {
	left := func(f *fixture) int { return f.many(500, southern, southernToken)[200] }
	r := admission.Rate{PerSecond: 1, Burst: 200}
	f, _ := paced(t, r)
	f.send("GET", "/Users?count=0", "").is(200)
	same(t, "after one request", left(f), 199)
	f, _ = paced(t, r)
	var ops []string
	for i := range 100 {
		ops = append(ops, bulkUser(fmt.Sprint(i), fmt.Sprint("p", i)))
	}
	f.bulk(ops)
	same(t, "after a bulk of 100", left(f), 100)
	f, _ = paced(t, r)
	f.send("POST", "/Users", `{"userName":"big","title":"`+strings.Repeat("x", 60<<10)+`","displayName":"`+strings.Repeat("y", 1000)+`","nickName":"`+strings.Repeat("z", 60<<10)+`"}`).is(201)
	same(t, "after 120 KiB in and 120 KiB out", left(f), 196)
	f, _ = paced(t, admission.Rate{PerSecond: 1, Burst: 10})
	f.bulk(ops)
	after := f.send("GET", "/Users?count=0", "").refusal(429, "").header.Get("Retry-After")
	same(t, "a bulk larger than the burst is let in, and paid", after, "91")
}

// Whoever tries tokens that do not count takes nothing from the connection, and is
// slowed down alone.
func TestWrongTokensCostTheConnectionNothing(t *testing.T) {
	f, wait := paced(t, admission.Rate{PerSecond: 25, Burst: 50})
	f.server.from = func(r *http.Request) netip.Addr { return netip.MustParseAddrPort(r.RemoteAddr).Addr() }
	same(t, "an attacker", f.many(1000, southern, "wrong"), map[int]int{401: 200, 429: 800})
	same(t, "the connection", f.many(50, southern, southernToken), map[int]int{200: 50})
	same(t, "somebody elsewhere with a wrong token", f.as(southern, "wrong", "198.51.100.7").status, 401)
	wait(time.Second)
	same(t, "the attacker a second later", f.many(100, southern, "wrong"), map[int]int{401: 20, 429: 80})
	for _, connection := range []string{southern, "nowhere"} { // one refusal must not tell who exists
		f, _ := paced(t, admission.Rate{})
		f.many(200, connection, "wrong")
		r := f.as(connection, "wrong", "192.0.2.1").refusal(429, "")
		same(t, connection, r.text, strings.ReplaceAll(r.text, connection, ""))
	}
}

// held is a collection whose reads wait until they are let go.
type held struct {
	Collection
	entered chan<- struct{}
	hold    <-chan struct{}
}

func (h held) List(ctx context.Context, q Query) (Page, error) {
	h.entered <- struct{}{}
	select {
	case <-h.hold:
	case <-ctx.Done():
		return Page{}, ctx.Err()
	}
	return h.Collection.List(ctx, q)
}

// However many requests one connection has under way, so many are worked on at
// once, the others wait in its own line, and another connection's are not behind them.
func TestAStormWaitsInItsOwnLine(t *testing.T) {
	f, _ := paced(t, admission.Rate{})
	entered, hold := make(chan struct{}, 10*inLine), make(chan struct{})
	dir := f.gate.dirs[southern]
	dir.Users = held{dir.Users, entered, hold}
	f.gate.dirs[southern] = dir
	answers := make(chan int, 10*inLine)
	var all sync.WaitGroup
	storm := func(n int) {
		for range n {
			all.Go(func() { answers <- f.as(southern, southernToken, "192.0.2.1").status })
		}
	}
	storm(atOnce)
	for range atOnce {
		<-entered
	}
	storm(inLine + 100)
	for range 100 {
		same(t, "who finds the line full", <-answers, 429)
	}
	same(t, "of the storm, worked on beyond its places", len(entered), 0)
	same(t, "another connection", f.as(northern, northernToken, "192.0.2.1").status, 200)
	close(hold)
	all.Wait()
	close(answers)
	got := map[int]int{}
	for status := range answers {
		got[status]++
	}
	same(t, "the storm in the end", got, map[int]int{200: atOnce + inLine})
}

// What people ask about themselves is not their identity provider's.
func TestPeoplesOwnRequestsAreCountedApart(t *testing.T) {
	f, _ := paced(t, admission.Rate{PerSecond: 25, Burst: 50})
	id := f.addUser("kim@southern.example")
	f.server.selves = selves{id, f.southern.directory(southern).Users.Get}
	f.token = kimsToken
	got := map[int]int{}
	for range 60 {
		got[f.send("GET", "/Me", "").status]++
	}
	same(t, "people", got, map[int]int{200: 50, 429: 10})
	same(t, "their identity provider", f.many(49, southern, southernToken), map[int]int{200: 49})
}

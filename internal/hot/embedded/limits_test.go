package embedded

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

func at(d time.Duration) time.Time {
	return time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC).Add(d)
}

func requestAt(id string, d time.Duration) hot.AuthRequest {
	return hot.AuthRequest{ID: id, Client: "fleet-web", Created: at(d), Expires: at(d + 10*time.Minute)}
}

func codeAt(n int, d time.Duration) (credential.Digest, hot.CodeGrant) {
	return credential.DigestOf(fmt.Sprint(n)), hot.CodeGrant{Request: requestAt("r", d), Session: "ses_1",
		Family: fmt.Sprint("fam_", n), Expires: at(d + time.Minute)}
}

func putRequest(t *testing.T, e *Engine, r hot.AuthRequest) {
	t.Helper()
	if err := e.PutAuthRequest(t.Context(), r); err != nil {
		t.Fatalf("%s was refused: %v", r.ID, err)
	}
}

func bind(t *testing.T, e *Engine, id string) {
	t.Helper()
	u := hot.Upstream{Connection: "c", State: "state of " + id, Nonce: "n", CodeVerifier: "v"}
	if err := e.BindUpstream(t.Context(), id, u, at(0)); err != nil {
		t.Fatal(err)
	}
}

// under names those of ids that are under way.
func under(t *testing.T, e *Engine, now time.Time, ids ...string) string {
	t.Helper()
	var found []string
	for _, id := range ids {
		_, err := e.AuthRequest(t.Context(), id, now)
		if err == nil {
			found = append(found, id)
		} else if !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
	}
	return strings.Join(found, " ")
}

// Whoever fills the shelf shuts nobody out: what was abandoned goes, the oldest
// first, and who is at the identity provider, or back from there, stays.
func TestAFullShelfTakesNewRequests(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Requests: 4})
	for _, id := range []string{"there", "back", "old", "young"} {
		putRequest(t, e, requestAt(id, 0))
	}
	bind(t, e, "there")
	bind(t, e, "back")
	if _, err := e.TakeUpstream(t.Context(), "c", "state of back", at(0)); err != nil {
		t.Fatal(err)
	}
	putRequest(t, e, requestAt("new", time.Minute))
	if got := under(t, e, at(time.Minute), "there", "back", "old", "young", "new"); got != "there back young new" {
		t.Errorf("under way: %s", got)
	}
	putRequest(t, e, requestAt("newer", time.Minute))
	if got := under(t, e, at(time.Minute), "there", "back", "young", "new", "newer"); got != "there back new newer" {
		t.Errorf("under way: %s", got)
	}
}

func TestOfRequestsAllUnderWayTheOldestGoes(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Requests: 3})
	for _, id := range []string{"a", "b", "c"} {
		putRequest(t, e, requestAt(id, 0))
		bind(t, e, id)
	}
	putRequest(t, e, requestAt("d", time.Minute))
	if got := under(t, e, at(time.Minute), "a", "b", "c", "d"); got != "b c d" {
		t.Errorf("under way: %s", got)
	}
	if _, err := e.TakeUpstream(t.Context(), "c", "state of a", at(time.Minute)); !fault.Is(err, fault.NotFound) {
		t.Errorf("the state of what is gone: %v", err)
	}
}

// Legs are as cheap as requests: a flood of them must not leave so little room that
// each newcomer goes with the next one.
func TestAFloodOfLegsLeavesNewcomersTheirReserve(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Requests: 80})
	flood := func(name string, n int) {
		for i := range n {
			id := fmt.Sprint(name, i)
			putRequest(t, e, requestAt(id, 0))
			bind(t, e, id)
		}
	}
	flood("before", 200)
	putRequest(t, e, requestAt("person", 0))
	flood("after", 200)
	if under(t, e, at(0), "person") == "" {
		t.Error("the person at the address page was pushed out")
	}
}

func requestFrom(network, id string) hot.AuthRequest {
	r := requestAt(id, 0)
	r.From = network
	return r
}

// A full shelf takes from the network that holds most, until it holds as much as another: then
// they share. In it, what never began a leg goes first.
func TestAFullShelfTakesFromWhoHoldsMost(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Requests: 6})
	for _, id := range []string{"c1", "b1", "b2", "a1", "a2", "a3"} {
		putRequest(t, e, requestFrom(id[:1], id))
		bind(t, e, id)
	}
	all := []string{"a1", "a2", "a3", "b1", "b2", "c1", "c2", "c3", "c4", "c5"}
	for _, step := range []struct{ put, want string }{
		{"c2", "a2 a3 b1 b2 c1 c2"}, // three of a
		{"c3", ""}, {"c4", ""}, {"c5", ""},
	} {
		putRequest(t, e, requestFrom("c", step.put))
		if got := under(t, e, at(0), all...); step.want != "" && got != step.want {
			t.Errorf("after %s: %s", step.put, got)
		}
	}
	got := under(t, e, at(0), all...)
	if left := strings.Count(got, "a") + strings.Count(got, "b"); left < 3 || !strings.HasSuffix(got, "c5") {
		t.Errorf("after a flood from c: %s", got)
	}
}

// Who holds next to nothing is no heavier than others like that: a longer request is no reason
// to go, and what was abandoned goes before who is at the provider.
func TestOfManyNetworksTheAbandonedGo(t *testing.T) {
	e := open(t, t.TempDir(), Limits{RequestBytes: 8 << 20})
	person := requestFrom("192.0.2.1", "person")
	person.LoginHint = strings.Repeat("p", 512)
	putRequest(t, e, person)
	bind(t, e, "person")
	for n := range 20_000 {
		putRequest(t, e, requestFrom(fmt.Sprint("network ", n), fmt.Sprint(n)))
	}
	if under(t, e, at(0), "person") == "" {
		t.Error("who is at the provider made room for what was abandoned")
	}
	if accounts := len(e.requests.shelf.accounts); accounts != len(e.requests.shelf.byKey) {
		t.Errorf("%d networks are remembered for %d requests", accounts, len(e.requests.shelf.byKey))
	}
}

func TestExpiredRequestsGoFirst(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Requests: 3})
	for i := range 3 {
		putRequest(t, e, requestAt(fmt.Sprint(i), time.Duration(2-i)*time.Minute))
	}
	putRequest(t, e, requestAt("later", 10*time.Minute))
	if got := under(t, e, at(10*time.Minute), "0", "1", "2", "later"); got != "0 1 later" {
		t.Errorf("under way: %s", got)
	}
}

func TestRequestsAreBoundedInBytes(t *testing.T) {
	e := open(t, t.TempDir(), Limits{RequestBytes: 100 << 10})
	for i := range 50 {
		r := requestAt(fmt.Sprint(i), 0)
		r.State = strings.Repeat("s", 10<<10)
		putRequest(t, e, r)
		if n := e.requests.shelf.used(); n > 100<<10 {
			t.Fatalf("%d bytes are held", n)
		}
	}
	if n := len(e.requests.shelf.byKey); n < 5 || n > 10 {
		t.Errorf("%d requests of 10 KiB in 100 KiB", n)
	}
	r := requestAt("huge", 0)
	r.State = strings.Repeat("s", 100<<10)
	if err := e.PutAuthRequest(t.Context(), r); !fault.Is(err, fault.Limited) {
		t.Errorf("a request larger than the shelf: %v", err)
	}
	if n := len(e.requests.shelf.byKey); n < 5 {
		t.Errorf("what cannot be kept pushed others out: %d are left", n)
	}
}

func putCode(t *testing.T, e *Engine, n int, s session.ID, now time.Duration) {
	t.Helper()
	d, g := codeAt(n, now)
	g.Session = s
	if err := e.PutCode(t.Context(), d, g, at(now)); err != nil {
		t.Fatalf("code %d was refused: %v", n, err)
	}
}

func outcome(t *testing.T, e *Engine, n int, now time.Duration) hot.Outcome {
	t.Helper()
	d, _ := codeAt(n, 0)
	_, found, err := e.ConsumeCode(t.Context(), d, hot.Showing{Client: "fleet-web"}, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The memory of used codes makes room before a code that somebody waits with.
func TestAFullShelfTakesNewCodes(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Codes: 3})
	for n := 1; n <= 3; n++ {
		putCode(t, e, n, "ses_1", 0)
	}
	for _, n := range []int{3, 2} {
		if got := outcome(t, e, n, 0); got != hot.OK {
			t.Fatal(got)
		}
	}
	putCode(t, e, 4, "ses_1", 0)
	if got := outcome(t, e, 3, 0); got != hot.Unknown {
		t.Errorf("the code used first is %d", got)
	}
	if got := outcome(t, e, 2, 0); got != hot.Replayed {
		t.Errorf("the code used last is %d", got)
	}
	putCode(t, e, 5, "ses_1", 0)
	putCode(t, e, 6, "ses_1", 0)
	for n, want := range map[int]hot.Outcome{1: hot.Unknown, 2: hot.Unknown, 4: hot.OK, 5: hot.OK, 6: hot.OK} {
		if got := outcome(t, e, n, 0); got != want {
			t.Errorf("code %d: %d, want %d", n, got, want)
		}
	}
	if len(e.byFamily) != 3 || len(e.live) != 0 {
		t.Errorf("%d families, %d holders of three used codes", len(e.byFamily), len(e.live))
	}
}

// One person, however busy, holds no more than the cap; unused codes leave at their
// end, and used ones are small.
func TestOnePersonCannotFillTheShelfOfCodes(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Codes: 100})
	putCode(t, e, -1, "ses_other", 0)
	for n := range 1000 {
		putCode(t, e, n, "ses_1", 0)
	}
	if n := len(e.codes.shelf.byKey); n != 1+hot.MaxLiveCodes {
		t.Errorf("%d codes are held", n)
	}
	if got := outcome(t, e, -1, 0); got != hot.OK {
		t.Errorf("somebody else's code: %d", got)
	}
	putCode(t, e, 2000, "ses_1", time.Minute)
	if n := len(e.codes.shelf.byKey); n != 2 {
		t.Errorf("%d codes are held, want the new one and the memory of the used one", n)
	}
}

// A code keeps what its redemption needs, not all that a browser sent.
func TestCodesHoldNoMoreThanTheyNeed(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	d, g := codeAt(1, 0)
	long := strings.Repeat("x", 4<<10)
	g.Request.State, g.Request.LoginHint, g.Request.Prompt = long, long, []string{long}
	if err := e.PutCode(t.Context(), d, g, at(0)); err != nil {
		t.Fatal(err)
	}
	if n := e.codes.shelf.used(); n > 2<<10 {
		t.Errorf("a code holds %d bytes", n)
	}
}

func TestUsedCodesMakeRoomWhenForgotten(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	putCode(t, e, 1, "ses_1", 0)
	if got := outcome(t, e, 1, 0); got != hot.OK {
		t.Fatal(got)
	}
	putCode(t, e, 2, "ses_1", 11*time.Minute-time.Nanosecond)
	if len(e.byFamily) != 2 {
		t.Errorf("%d families are remembered for two codes", len(e.byFamily))
	}
	putCode(t, e, 3, "ses_1", 11*time.Minute)
	if _, known := e.byFamily["fam_1"]; known {
		t.Error("the used code is remembered beyond its time")
	}
}

// What goes is given back: the byte count of an empty shelf is zero.
func TestBytesAreGivenBack(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	for i := range 100 {
		id := fmt.Sprint(i)
		if err := e.PutAuthRequest(t.Context(), requestAt(id, 0)); err != nil {
			t.Fatal(err)
		}
		u := hot.Upstream{Connection: "c", State: id, Nonce: "n", CodeVerifier: strings.Repeat("v", i)}
		if err := e.BindUpstream(t.Context(), id, u, at(0)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.TakeUpstream(t.Context(), "c", id, at(0)); i%2 == 0 && err != nil {
			t.Fatal(err)
		}
		d, g := codeAt(i, 0)
		if err := e.PutCode(t.Context(), d, g, g.Request.Created); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.ConsumeCode(t.Context(), d, hot.Showing{Client: "fleet-web"}, at(0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PutAuthRequest(t.Context(), requestAt("last", time.Hour)); err != nil {
		t.Fatal(err)
	}
	d, g := codeAt(1000, time.Hour)
	if err := e.PutCode(t.Context(), d, g, g.Request.Created); err != nil {
		t.Fatal(err)
	}
	r, c := e.requests.shelf, e.codes.shelf
	if len(r.accounts) != 1 || len(r.byWeight) != 1 || r.byWeight[0].bytes() != r.used() || r.byWeight[0].weight != r.weigh(r.byWeight[0]) {
		t.Errorf("%d accounts, %d weighed, the first of %+v", len(r.accounts), len(r.byWeight), r.byWeight[0])
	}
	if len(r.byKey) != 1 || len(r.byEnd) != 1 || r.used() != r.byEnd[0].bytes || len(e.byState) != 0 {
		t.Errorf("requests: %d, %d bytes, %d states", len(r.byKey), r.used(), len(e.byState))
	}
	if len(c.byKey) != 1 || len(c.byEnd) != 1 || c.used() != c.byEnd[0].bytes || len(e.byFamily) != 1 || len(e.live) != 1 {
		t.Errorf("codes: %d, %d bytes, %d families", len(c.byKey), c.used(), len(e.byFamily))
	}
}

func familyAt(id string, d time.Duration) hot.Family {
	return hot.Family{ID: id, N: 1, Salt: "salt", Rotated: at(d), Expires: at(d + time.Hour),
		Bound: credential.Bound{Subject: credential.Subject{Connection: "c", Client: "fleet-web", Person: "p", Session: "s", Family: id}}}
}

func TestFamiliesInMemoryAreBounded(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Families: stripes})
	for i := range 2000 {
		if err := e.PutFamily(t.Context(), familyAt(fmt.Sprint(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	known := 0
	for i := range e.stripes {
		known += len(e.stripes[i].known)
	}
	if known > stripes {
		t.Errorf("%d families in memory, at most %d wanted", known, stripes)
	}
	for i := range 2000 {
		if _, err := e.Family(t.Context(), fmt.Sprint(i), at(0)); err != nil {
			t.Fatalf("family %d is only in the file: %v", i, err)
		}
	}
}

// Nobody sweeps: each new family takes two expired ones with it.
func TestExpiredFamiliesLeaveTheFile(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	for i := range 40 {
		if err := e.PutFamily(t.Context(), familyAt(fmt.Sprint(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 25 {
		if err := e.PutFamily(t.Context(), familyAt(fmt.Sprint("new", i), time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if n := rows(t, e); n != 25 {
		t.Errorf("%d rows, want the 25 that live", n)
	}
}

func TestMistakesOfTheCallerAreRefused(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	ctx := t.Context()
	if err := e.PutAuthRequest(ctx, hot.AuthRequest{ID: "r"}); !fault.Is(err, fault.Internal) {
		t.Errorf("a request without an end: %v", err)
	}
	if err := e.PutCode(ctx, credential.Digest{}, hot.CodeGrant{Expires: at(1)}, at(0)); !fault.Is(err, fault.Internal) {
		t.Errorf("a code without a digest: %v", err)
	}
	if err := e.PutCode(ctx, credential.DigestOf("c"), hot.CodeGrant{Expires: at(0)}, at(0)); !fault.Is(err, fault.Internal) {
		t.Errorf("a code that has ended already: %v", err)
	}
	if err := e.PutFamily(ctx, hot.Family{ID: "f"}); !fault.Is(err, fault.Internal) {
		t.Errorf("a family without a salt: %v", err)
	}
	if err := e.BindUpstream(ctx, "r", hot.Upstream{}, at(0)); !fault.Is(err, fault.Internal) {
		t.Errorf("a leg without a state: %v", err)
	}
}

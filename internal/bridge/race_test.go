package bridge_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const crowd = 64

// together runs fn in as many goroutines as a crowd has, all at once, and counts
// those that report true.
func together(fn func(i int) bool) int64 {
	var all sync.WaitGroup
	var yes atomic.Int64
	start := make(chan struct{})
	for i := range crowd {
		all.Go(func() {
			<-start
			if fn(i) {
				yes.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	return yes.Load()
}

// TestI4_ACodeIsRedeemedOnce: of any number of redemptions at once one succeeds at most
// (none where a replay came before its tokens were stored), and since the others are
// replays, nothing that it gave lives on. That is recorded once, and all else that the
// session has lives (I-4).
// Threats: T-B10.
func TestI4_ACodeIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	w := withTwo(t)
	w.kim()
	var recorded []string
	for range 5 {
		s := w.session(southern, "oid-kim")
		check := w.neighbours(s)
		code, err := w.code(s.browser)
		w.do(err)
		var got visit
		if n := together(func(int) bool {
			tokens, err := w.redeem(code)
			if err == nil {
				got.tokens = tokens // a second success would be a race as well
			}
			return err == nil
		}); n > 1 {
			t.Errorf("one code was redeemed %d times", n)
		}
		w.tokensDead(visit{s.cookie, s.browser, got.tokens}, "after a code came twice")
		check("after a code came twice")
		recorded = append(recorded, "code.replayed")
		w.wantHappened(recorded...)
	}
}

// TestI4_ReuseOfARefreshTokenEndsItsFamily: without a grace, of any number of
// refreshes at once with one token one succeeds, and the others end the family.
// Threats: T-B9.
func TestI4_ReuseOfARefreshTokenEndsItsFamily(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.lives.RefreshGrace = 0 })
	w.kim()
	for range 5 {
		s := w.session(southern, "oid-kim")
		var got visit
		if n := together(func(int) bool {
			tokens, err := w.refresh(s.tokens.RefreshToken)
			if err == nil {
				got.tokens = tokens
			}
			return err == nil
		}); n > 1 {
			t.Errorf("one refresh token was exchanged %d times", n)
		}
		w.allDead(got, "after a reuse")
	}
}

// TestI4_ARetryInsideTheGraceGetsTheSameSuccessor: a client that lost the answer
// asks again and gets the same token, never a second branch; after the grace the
// retry is a reuse.
// Threats: T-B9.
func TestI4_ARetryInsideTheGraceGetsTheSameSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	var successors sync.Map
	if n := together(func(int) bool {
		tokens, err := w.refresh(s.tokens.RefreshToken)
		successors.Store(tokens.RefreshToken, err == nil)
		return err == nil
	}); n != crowd {
		t.Errorf("inside the grace %d of %d retries were answered", n, crowd)
	}
	var leaf string
	branches := 0
	successors.Range(func(token, _ any) bool { leaf = token.(string); branches++; return true })
	if branches != 1 {
		t.Errorf("one refresh token has %d successors", branches)
	}
	w.clock.Add(w.lives.RefreshGrace + time.Millisecond)
	if _, err := w.refresh(s.tokens.RefreshToken); err == nil {
		t.Error("after the grace the old token is exchanged")
	}
	if _, err := w.refresh(leaf); err == nil {
		t.Error("the family lives on after a reuse")
	}
}

// TestEqualRequestsAtOnceMakeOnePerson: the database decides who was first.
func TestEqualRequestsAtOnceMakeOnePerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var conflicts atomic.Int64
	if n := together(func(int) bool {
		status, _ := w.send(banksia, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"sam@banksia.example","externalId":"oid-sam","active":true}`)
		if status == 409 {
			conflicts.Add(1)
		}
		return status == 201
	}); n != 1 || conflicts.Load() != crowd-1 {
		t.Errorf("%d were created and %d refused, want 1 and %d", n, conflicts.Load(), crowd-1)
	}
}

// TestMembersPushedAtOnceAreAllThere: no acknowledged change of members is lost.
func TestMembersPushedAtOnceAreAllThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for i := range crowd {
		ids = append(ids, w.person(banksia, userName(i), externalID(i)))
	}
	group := w.group(banksia, "GL Geelong Managers", ids[:crowd/2]...)
	if n := together(func(i int) bool { // the first half leaves while the second comes
		op := fmt.Sprintf(`{"op":"add","path":"members","value":%s}`, memberList(ids[i:i+1]))
		if i < crowd/2 {
			op = fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, ids[i])
		}
		status, _ := w.send(banksia, "PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+op+`]}`)
		return status == 204
	}); n != crowd {
		t.Errorf("%d of %d changes were acknowledged", n, crowd)
	}
	var there []string
	for _, m := range w.must(200, banksia, "GET", "/Groups/"+group, "")["members"].([]any) {
		there = append(there, m.(map[string]any)["value"].(string))
	}
	want := slices.Clone(ids[crowd/2:])
	slices.Sort(there)
	slices.Sort(want)
	if !slices.Equal(there, want) {
		t.Errorf("the group has %d members, want %d", len(there), len(want))
	}
	for i := range ids {
		want := 0
		if i >= crowd/2 {
			want = 1
		}
		if got := w.holds(userName(i)); len(got) != want {
			t.Errorf("%s holds %v", userName(i), got)
		}
	}
}

// TestAStormEndsWithTheDeactivation: switches, refreshes, redemptions and sign-ins
// run while the person is disabled; what any of them gave is dead afterwards, and
// none of them failed for a reason of ours.
// Threats: T-B5.
func TestAStormEndsWithTheDeactivation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	var mu sync.Mutex
	var given []visit
	note := func(v visit, err error) bool {
		if err == nil {
			mu.Lock()
			given = append(given, v)
			mu.Unlock()
		} else if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		return err == nil
	}
	s := w.session(southern, "oid-kim")
	together(func(i int) bool {
		switch i % 4 {
		case 0:
			cookie, b, err := w.signIn(southern, "oid-kim")
			return note(visit{cookie: cookie, browser: b}, err)
		case 1:
			tokens, err := w.refresh(s.tokens.RefreshToken)
			return note(visit{tokens: tokens}, err)
		case 2:
			renewed, b, err := w.bridge.Switch(w.ctx, s.cookie, guestPlace(s))
			return note(visit{cookie: renewed.Reveal(), browser: b}, err)
		}
		if i == crowd-1 {
			status, _ := w.send(southern, "PATCH", "/Users/"+kim, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
			return status == 200
		}
		code, err := w.code(s.browser)
		if err != nil {
			return note(visit{}, err)
		}
		tokens, err := w.redeem(code)
		return note(visit{tokens: tokens}, err)
	})
	for _, v := range given {
		w.allDead(v, "after the storm")
	}
}

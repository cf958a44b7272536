package hottest

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func rotate(t *testing.T, e hot.Engine, r hot.Rotation, want hot.Outcome) hot.Family {
	t.Helper()
	f, got, err := e.Rotate(t.Context(), r)
	must(t, err)
	if got != want {
		t.Errorf("Rotate #%d: outcome %d, want %d", r.N, got, want)
	}
	return f
}

func gone(t *testing.T, e hot.Engine, id string) {
	t.Helper()
	_, err := e.Family(t.Context(), id, instant())
	wantKind(t, id, err, fault.NotFound)
}

func familyRoundTrip(t *testing.T, e hot.Engine) {
	want := family("fam_1")
	must(t, e.PutFamily(t.Context(), want))
	wantKind(t, "the same id again", e.PutFamily(t.Context(), want), fault.Conflict)
	got, err := e.Family(t.Context(), "fam_1", instant())
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got.OAuthScopes[0] = "users.manage"
	again, err := e.Family(t.Context(), "fam_1", instant())
	must(t, err)
	if !reflect.DeepEqual(again, family("fam_1")) {
		t.Errorf("a stored family was changed from outside: %+v", again)
	}
}

func familyEnds(t *testing.T, e hot.Engine) {
	f := family("fam_1")
	must(t, e.PutFamily(t.Context(), f))
	_, err := e.Family(t.Context(), "fam_1", f.Expires.Add(-time.Nanosecond))
	must(t, err)
	_, err = e.Family(t.Context(), "fam_1", f.Expires)
	wantKind(t, "at its end", err, fault.NotFound)
	r := rotation("fam_1", 1)
	r.Now = f.Expires
	rotate(t, e, r, hot.Unknown)
	must(t, e.EndFamily(t.Context(), "fam_1"))
	gone(t, e, "fam_1")
	rotate(t, e, rotation("fam_1", 1), hot.Unknown)
	must(t, e.EndFamily(t.Context(), "fam_1"))
}

// OneLiveLeafPerFamily is invariant I-4, which Run asserts too: of 64 uses of one
// token at once, one gets the successor; the reuse that the others are kills the
// family, so at most one leaf ever lives.
func OneLiveLeafPerFamily(t *testing.T, e hot.Engine) {
	for i := range 20 {
		id := fmt.Sprint("fam_", i)
		must(t, e.PutFamily(t.Context(), family(id)))
		var ok, replayed atomic.Int64
		race(func() {
			switch _, outcome, err := e.Rotate(t.Context(), rotation(id, 1)); {
			case err != nil:
				t.Error(err)
			case outcome == hot.OK:
				ok.Add(1)
			case outcome == hot.Replayed:
				replayed.Add(1)
			}
		})
		if ok.Load() != 1 || replayed.Load() != 1 {
			t.Fatalf("family %d: %d OK, %d replayed; want one of each, the rest unknown", i, ok.Load(), replayed.Load())
		}
		gone(t, e, id)
		rotate(t, e, rotation(id, 2), hot.Unknown)
	}
}

func chain(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	for n := int64(1); n <= 100; n++ {
		r := rotation("fam_1", n)
		r.Now = r.Now.Add(time.Duration(n) * time.Second)
		f := rotate(t, e, r, hot.OK)
		if f.N != n+1 || !f.Rotated.Equal(r.Now) || f.Salt != "salt of fam_1" || f.Bound != ofFamily("fam_1") {
			t.Fatalf("rotation %d gave %+v", n, f)
		}
	}
}

// keys: a family follows the key of its last rotation; a retry by another key, or a
// rotation by none, changes nothing.
func keys(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	by := func(key string, n int64) hot.Rotation {
		r := rotation("fam_1", n)
		r.Grace, r.DPoPKey = 10*time.Second, key
		return r
	}
	rotate(t, e, by("", 1), hot.Unknown)
	if f := rotate(t, e, by("another", 1), hot.OK); f.DPoPKey != "another" || f.N != 2 {
		t.Errorf("the family is #%d of %q", f.N, f.DPoPKey)
	}
	rotate(t, e, by("thumbprint", 1), hot.Unknown)
	rotate(t, e, by("", 1), hot.Unknown)
	if f := rotate(t, e, by("another", 1), hot.Retried); f.DPoPKey != "another" || f.N != 2 {
		t.Errorf("the retry gave #%d of %q", f.N, f.DPoPKey)
	}
	bearer := family("fam_2")
	bearer.DPoPKey = ""
	must(t, e.PutFamily(t.Context(), bearer))
	r := rotation("fam_2", 1)
	r.DPoPKey = ""
	rotate(t, e, r, hot.OK)
	if f := rotate(t, e, rotation("fam_2", 2), hot.OK); f.DPoPKey != "thumbprint" {
		t.Errorf("a family that is shown a key is bound to %q", f.DPoPKey)
	}
}

func graceRetries(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	r := rotation("fam_1", 1)
	r.Grace = 10 * time.Second
	rotate(t, e, r, hot.OK)
	r.Now = r.Now.Add(r.Grace - time.Nanosecond)
	if f := rotate(t, e, r, hot.Retried); f.N != 2 {
		t.Errorf("a retry must not move the family: #%d", f.N)
	}
	r.Now = r.Now.Add(time.Nanosecond)
	rotate(t, e, r, hot.Replayed)
	gone(t, e, "fam_1")
}

func reuseEnds(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	rotate(t, e, rotation("fam_1", 1), hot.OK)
	rotate(t, e, rotation("fam_1", 2), hot.OK)
	old := rotation("fam_1", 1) // two behind: no grace covers it
	old.Grace = time.Hour
	if f := rotate(t, e, old, hot.Replayed); f.Bound != ofFamily("fam_1") || f.ID != "fam_1" {
		t.Errorf("a replay must name what ended: %+v", f)
	}
	rotate(t, e, rotation("fam_1", 3), hot.Unknown)
	gone(t, e, "fam_1")
}

func otherClient(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	rotate(t, e, rotation("fam_1", 1), hot.OK)
	for n := range int64(5) {
		r := rotation("fam_1", n)
		r.Client, r.Verified, r.Grace = "another-app", true, time.Hour
		if f := rotate(t, e, r, hot.Unknown); f.ID != "" {
			t.Errorf("another client learns %+v", f)
		}
	}
	f, err := e.Family(t.Context(), "fam_1", instant())
	must(t, err)
	if f.N != 2 {
		t.Errorf("another client moved the family to #%d", f.N)
	}
}

func unfit(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	var shown []hot.Family
	r := rotation("fam_1", 1)
	r.Fits = func(f hot.Family) error {
		shown = append(shown, f)
		return fault.New(fault.Invalid, "test", "it does not fit")
	}
	refused := func(n int64) {
		t.Helper()
		r.N = n
		f, outcome, err := e.Rotate(t.Context(), r)
		wantKind(t, fmt.Sprint("#", n), err, fault.Invalid)
		if outcome != hot.Unknown || f.ID != "" {
			t.Errorf("what does not fit gives %d, %+v", outcome, f)
		}
	}
	refused(1)
	if !reflect.DeepEqual(shown, []hot.Family{family("fam_1")}) {
		t.Errorf("it was held against %+v", shown)
	}
	rotate(t, e, rotation("fam_1", 1), hot.OK)
	rotate(t, e, rotation("fam_1", 2), hot.OK)
	refused(1) // nor does it end the family
	rotate(t, e, rotation("fam_1", 3), hot.OK)
	r.Family = "fam_never"
	rotate(t, e, r, hot.Unknown)
	fits := rotation("fam_1", 4)
	fits.Fits = func(f hot.Family) error {
		f.OAuthScopes[0] = "users.manage" // it is a copy
		return nil
	}
	if f := rotate(t, e, fits, hot.OK); f.OAuthScopes[0] != family("fam_1").OAuthScopes[0] {
		t.Errorf("a family was changed from outside: %+v", f)
	}
}

func forward(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	r := rotation("fam_1", 5)
	rotate(t, e, r, hot.Unknown)
	if f := rotate(t, e, rotation("fam_1", 1), hot.OK); f.N != 2 {
		t.Fatalf("an unproven number moved the family to #%d", f.N)
	}
	r.Verified = true
	if f := rotate(t, e, r, hot.OK); f.N != 6 {
		t.Errorf("the family moved to #%d, want 6", f.N)
	}
	rotate(t, e, rotation("fam_1", 6), hot.OK)
	for _, n := range []int64{0, -1} {
		rotate(t, e, rotation("fam_1", n), hot.Unknown)
	}
}

func sessionEnds(t *testing.T, e hot.Engine) {
	for i := range 10 {
		must(t, e.PutFamily(t.Context(), ofSession(family(fmt.Sprint("fam_", i)), "ses_1")))
		must(t, e.PutFamily(t.Context(), ofSession(family(fmt.Sprint("other_", i)), "ses_2")))
	}
	must(t, e.EndSession(t.Context(), "ses_1"))
	must(t, e.EndSession(t.Context(), "ses_never"))
	for i := range 10 {
		gone(t, e, fmt.Sprint("fam_", i))
		rotate(t, e, rotation(fmt.Sprint("fam_", i), 1), hot.Unknown)
		rotate(t, e, rotation(fmt.Sprint("other_", i), 1), hot.OK)
	}
}

func graceRaced(t *testing.T, e hot.Engine) {
	must(t, e.PutFamily(t.Context(), family("fam_1")))
	var ok, retried atomic.Int64
	race(func() {
		r := rotation("fam_1", 1)
		r.Grace = 10 * time.Second
		f, outcome, err := e.Rotate(t.Context(), r)
		if err != nil || f.N != 2 {
			t.Errorf("#%d, %v", f.N, err)
		}
		switch outcome {
		case hot.OK:
			ok.Add(1)
		case hot.Retried:
			retried.Add(1)
		}
	})
	if ok.Load() != 1 || retried.Load() != racers-1 {
		t.Errorf("%d OK, %d retried", ok.Load(), retried.Load())
	}
	rotate(t, e, rotation("fam_1", 2), hot.OK)
}

// endWhileRotating: whichever comes first, once both are done nothing lives.
func endWhileRotating(t *testing.T, e hot.Engine) {
	for i := range 50 {
		id := fmt.Sprint("fam_", i)
		must(t, e.PutFamily(t.Context(), family(id)))
		var all sync.WaitGroup
		all.Go(func() {
			var err error
			if i%2 == 0 {
				err = e.EndFamily(t.Context(), id)
			} else {
				err = e.EndSession(t.Context(), "ses_1")
			}
			if err != nil {
				t.Error(err)
			}
		})
		var last hot.Family
		all.Go(func() {
			for n := int64(1); n <= 5; n++ {
				f, outcome, err := e.Rotate(t.Context(), rotation(id, n))
				if err != nil {
					t.Error(err)
				}
				if outcome != hot.OK {
					return
				}
				last = f
			}
		})
		all.Wait()
		gone(t, e, id)
		rotate(t, e, rotation(id, max(1, last.N)), hot.Unknown)
	}
}

package session

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// drawHeld makes what a person may hold: each id is one grant at one scope for
// ever, as the bridge keeps it.
func drawHeld(t *rapid.T, now time.Time) []access.Assignment {
	var held []access.Assignment
	ends := []time.Duration{0, -time.Hour, time.Nanosecond, time.Hour, 48 * time.Hour}
	for i, g := range []access.Grant{access.Standard, access.Technician, access.Associate, access.Administrator} {
		if !rapid.Bool().Draw(t, "holds") {
			continue
		}
		a := access.Assignment{ID: access.AssignmentID(fmt.Sprintf("asg_%d", i)), Person: "per_1", Grant: g, Scope: "adl", Standing: access.Guest}
		if len(held) == 0 && rapid.Bool().Draw(t, "primary") {
			a.Standing = access.Primary
		}
		a.Flags.Video = rapid.Bool().Draw(t, "video")
		if d := rapid.SampledFrom(ends).Draw(t, "until"); d != 0 {
			a.Until = now.Add(d)
		}
		if rapid.IntRange(0, 4).Draw(t, "later") == 0 {
			a.NotBefore = now.Add(time.Hour)
		}
		held = append(held, a)
	}
	return held
}

func find(held []access.Assignment, id access.AssignmentID) (access.Assignment, bool) {
	at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.ID == id })
	if at < 0 {
		return access.Assignment{}, false
	}
	return held[at], true
}

// standsRight is invariant I-6: a session is active exactly on an assignment that
// the person holds at that instant and that may sign in.
func standsRight(t *rapid.T, s Session, held []access.Assignment, now time.Time) {
	t.Helper()
	a, ok := find(held, s.Active)
	switch s.State {
	case Active:
		if !ok || !a.MaySignIn(now) {
			t.Fatalf("active on %q, held %+v", s.Active, held)
		}
	default:
		if s.Active != "" {
			t.Fatalf("%s, and yet on %s", s.State, s.Active)
		}
	}
	if s.State == MustChoose && len(Choices(held, now)) == 0 {
		t.Fatalf("must choose among nothing: %+v", held)
	}
}

// TestI6ASessionStandsOnAHeldAssignmentOrNone walks sessions through changes of
// what is held, switches and time.
func TestI6ASessionStandsOnAHeldAssignmentOrNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		held := drawHeld(t, now)
		s, _, err := Start(Opening{ID: "ses_1", Person: "per_1", Held: held, Now: now, Expires: now.Add(1000 * time.Hour)})
		if err != nil {
			if len(Choices(held, now)) > 0 || s.State != Ended {
				t.Fatalf("refused, though %+v: %v", held, err)
			}
			return
		}
		standsRight(t, s, held, now)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			was := s
			switch rapid.SampledFrom([]string{"reconcile", "reconcile", "switch", "wait", "revoke"}).Draw(t, "step") {
			case "reconcile":
				after := drawHeld(t, now)
				s, _ = Reconcile(s, held, after, now)
				noticed(t, was, s, held, after, now)
				held = after
			case "switch":
				to := access.AssignmentID(rapid.SampledFrom([]string{"asg_0", "asg_1", "asg_2", "asg_3", "asg_9", ""}).Draw(t, "to"))
				next, _, err := Switch(s, held, to, access.Catalogue{}, now)
				if a, ok := find(held, to); (err == nil) != (ok && a.MaySignIn(now) && s.LiveAt(now)) {
					t.Fatalf("switch to %q with %+v: %v", to, held, err)
				}
				s = next
			case "wait": // time passes; the queue of due people reconciles
				now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "hours")) * time.Hour)
				s, _ = Reconcile(s, held, held, now)
			case "revoke":
				s, _ = Revoke(s, EndAdministrator, now)
			}
			standsRight(t, s, held, now)
			unbroken(t, was, s)
		}
	})
}

// noticed: tokens die when, and only when, the active assignment means something else.
func noticed(t *rapid.T, was, s Session, before, after []access.Assignment, now time.Time) {
	t.Helper()
	if was.State != Active {
		return
	}
	b, _ := find(before, was.Active)
	a, ok := find(after, was.Active)
	same := ok && a.MaySignIn(now) && b.GoesOn(a)
	if same != (s.Version == was.Version) {
		t.Fatalf("was %+v, is %+v, session %+v became %+v", b, a, was, s)
	}
	if s.State == Active && s.Active != was.Active {
		t.Fatalf("moved from %s to %s without being asked", was.Active, s.Active)
	}
}

// unbroken holds between any two states of one session.
func unbroken(t *rapid.T, was, s Session) {
	t.Helper()
	switch {
	case s.Version < was.Version:
		t.Fatalf("the version fell from %d to %d", was.Version, s.Version)
	case (s.State != was.State || s.Active != was.Active) && s.Version == was.Version:
		t.Fatalf("%+v became %+v under the same version", was, s)
	case was.State == Ended && !reflect.DeepEqual(was, s):
		t.Fatalf("an ended session changed: %+v, %+v", was, s)
	case s.ID != was.ID || s.Person != was.Person || s.Connection != was.Connection || s.Epochs != was.Epochs:
		t.Fatalf("%+v became another session: %+v", was, s)
	}
}

func TestTheZeroSessionIsEnded(t *testing.T) {
	var s Session
	if s.State != Ended || s.LiveAt(noon) {
		t.Error("a forgotten field refuses")
	}
	if _, _, err := Switch(s, []access.Assignment{{ID: "a", Grant: access.Standard}}, "a", access.Catalogue{}, noon); err == nil {
		t.Error("and nothing revives it")
	}
}

func TestChoicesComePrimaryFirst(t *testing.T) {
	held := []access.Assignment{
		{ID: "c", Grant: access.Associate, Standing: access.Primary},
		{ID: "b", Grant: access.Technician, Standing: access.Guest, Scope: "x"},
		{ID: "a", Grant: access.Standard, Standing: access.Primary, Scope: "y"},
		{ID: "d", Grant: access.Standard, Standing: access.Guest, Until: noon},
	}
	may := Choices(held, noon)
	if len(may) != 2 || may[0].ID != "a" || may[1].ID != "b" {
		t.Errorf("%+v", may)
	}
}

func TestStartRemembersTheSignIn(t *testing.T) {
	o := Opening{ID: "ses_1", Connection: "c", Person: "p", Now: noon, AuthTime: noon.Add(-time.Minute), Expires: noon.Add(time.Hour),
		Held: []access.Assignment{{ID: "a", Grant: access.Standard, Standing: access.Primary}}, Epochs: Epochs{1, 2, 3},
		Upstream: Upstream{Issuer: "https://login.example", Subject: "s", Session: "up", AMR: []string{"pwd"}, ACR: "1"}}
	s, _, err := Start(o)
	want := Session{ID: "ses_1", Connection: "c", Person: "p", State: Active, Active: "a", Version: 1, Epochs: o.Epochs,
		AuthTime: o.AuthTime, Created: noon, Expires: o.Expires, Upstream: o.Upstream}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Errorf("%+v, %v", s, err)
	}
	if !s.LiveAt(noon) || s.LiveAt(o.Expires) {
		t.Error("live until its end, and not at it")
	}
}

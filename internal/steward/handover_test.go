package steward

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/handover"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// points are a check-list as words.
func points(l CheckList) string {
	var said []string
	for _, p := range l.Points {
		said = append(said, p.Name+":"+p.State)
	}
	return fmt.Sprintf("%s done=%t", strings.Join(said, " "), l.Done)
}

func TestTheCheckListIsTickedByWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	boss := w.acts(banksia, w.person(banksia, "boss", accountAdmins), access.Administrator)
	kim := w.person(southern, "kim", "Service Desk")
	id := w.given(southern, kim, access.Standard, "southern/banksia/hobart", w.clock.Now().Add(48*time.Hour))
	verify := func(want string) CheckList {
		t.Helper()
		l, err := w.steward.Verify(w.ctx, boss, id)
		if err != nil || points(l) != want {
			t.Errorf("%s, %v; want %s", points(l), err, want)
		}
		return l
	}
	verify("sign_in:open scope:open workflows:open refused:open nothing_else:open vehicles:open done=false")
	var a access.AssignmentID
	for _, h := range w.held(southern, kim) {
		if h.Grant == access.Standard {
			a = h.ID
		}
	}
	w.clock.Add(time.Minute)
	see := func(kind string, what access.Workflow) {
		t.Helper()
		err := w.store.Update(w.ctx, func(tx *store.Tx) error {
			return tx.Observe(store.Observation{Connection: southern, Assignment: a, Kind: kind, What: what}, w.clock.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	see(store.SeenToken, "")
	see(store.SeenOpened, access.LiveView)
	l := verify("sign_in:observed scope:observed workflows:observed refused:open nothing_else:observed vehicles:open done=false")
	if p := l.Points[2]; len(p.Seen) != 1 || p.Seen[0] != "Live view" || len(p.Missing) == 0 || !p.At.Equal(w.clock.Now()) {
		t.Errorf("%+v", p)
	}
	see(store.SeenRefused, access.UsersManage)
	by, err := w.steward.TickPoint(w.ctx, boss, id, Ticking{Point: PointVehicles, Comment: "all twelve"})
	if err != nil || !by.Done || by.Points[5].By != "boss" || by.Points[5].Comment != "all twelve" {
		t.Errorf("%+v, %v", by, err)
	}
	verify("sign_in:observed scope:observed workflows:observed refused:observed nothing_else:observed vehicles:ticked done=true")
	see(store.SeenOpened, access.UsersManage)
	verify("sign_in:observed scope:observed workflows:observed refused:observed nothing_else:wrong vehicles:ticked done=false")
	if undone, err := w.steward.TickPoint(w.ctx, boss, id, Ticking{Point: PointVehicles, Undo: true}); err != nil || undone.Points[5].State != "open" {
		t.Errorf("%+v, %v", undone.Points, err)
	}
	if n := w.events(event.HandoverChecked); n != 2 {
		t.Errorf("%d events", n)
	}
	if _, err := w.steward.TickPoint(w.ctx, boss, id, Ticking{Point: PointScope}); fault.ReasonOf(err) != ReasonObservedOnly {
		t.Errorf("ticked by hand: %v", err)
	}
	elsewhere := w.acts(tundra, w.person(tundra, "far", "gl-safety"), access.Elevated)
	if _, err := w.steward.Verify(w.ctx, elsewhere, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("seen from elsewhere: %v", err)
	}
	if _, err := w.steward.Verify(w.ctx, boss, "prm_none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	own := Actor{Connection: southern, Person: kim, Assignment: a}
	if _, err := w.steward.Verify(w.ctx, own, id); err != nil {
		t.Errorf("one's own: %v", err)
	}
	if _, err := w.steward.Handover(w.ctx, own, id, NoteText, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("a note made by whoever it is for: %v", err)
	}
}

// Of all that is known about a permit the note says what customers may read.
func TestTheNoteSaysNothingInternal(t *testing.T) {
	w := newWorld(t)
	w.steward.Of(handover.Vendor{Name: "Lantern Fleet Safety", Support: "Lantern Support", Email: "support@lantern.example"})
	kim := w.person(southern, "kim", "Service Desk")
	until := time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)
	id := w.given(southern, kim, access.Standard, "southern/banksia/hobart", until)
	for format, want := range map[string][]string{
		NoteText: {"Standard user", "Banksia Freight", "Hobart Depot", "Tuesday, 1 December 2026, 17:00 (Australia/Hobart)", "Lantern Support", "Ask Lee"},
		NoteHTML: {"Standard user", "Banksia Freight, Hobart Depot", "17:00 (Australia/Hobart)", "support@lantern.example"},
		NoteJSON: {`"what": "Standard user"`, `"temporary": true`}} {
		got, err := w.steward.Handover(w.ctx, operator, id, format, "Ask Lee at the depot.")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if !strings.Contains(got.Content, s) {
				t.Errorf("%s lacks %q in\n%s", format, s, got.Content)
			}
		}
		for _, secret := range []string{string(id), string(kim), "kim", "southern", "Southern", "hobart@", "CASE-7", "an incident", "req_", "scp_", "per_", "asg_", "live_view", "lee\n", "standard\"", "request"} {
			if strings.Contains(strings.ReplaceAll(got.Content, "Australia/Hobart", ""), secret) {
				t.Errorf("%s tells %q", format, secret)
			}
		}
		if format == NoteJSON && !json.Valid([]byte(got.Content)) {
			t.Error(got.Content)
		}
	}
	if n := w.events(event.HandoverNoted); n != 3 {
		t.Errorf("%d events", n)
	}
	for _, c := range []struct{ format, message, reason string }{{NoteText, "see " + string(id), ReasonNotForThem}, {NoteText, "see CASE-7", ReasonNotForThem}, {NoteText, "for kim@southern.example", ReasonNotForThem}, {"pdf", "", ""}} {
		if _, err := w.steward.Handover(w.ctx, operator, id, c.format, c.message); !fault.Is(err, fault.Invalid) || fault.ReasonOf(err) != c.reason {
			t.Errorf("%+v: %v", c, err)
		}
	}
	w.clock.Add(until.Sub(w.clock.Now()))
	if _, err := w.steward.Handover(w.ctx, operator, id, NoteText, ""); fault.ReasonOf(err) != ReasonPermitEnded {
		t.Errorf("%v", err)
	}
}

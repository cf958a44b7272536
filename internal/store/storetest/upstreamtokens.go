package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// An identity provider is asked about live sessions, the one that waits longest first,
// and what it is asked by is forgotten with them.
func testUpstreamTokens(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	sessions := []store.SessionRow{newSession("ses_1", p), newSession("ses_2", p), newSession("ses_3", p)}
	for i, s := range sessions {
		s.Expires = day.Add(time.Duration(i+1) * time.Hour)
		f.update(func(tx *store.Tx) error { return tx.InsertSession(s) })
		f.update(func(tx *store.Tx) error {
			return tx.PutUpstreamToken(store.UpstreamToken{Session: s.ID, Sealed: []byte(s.ID), Proved: day, Due: day.Add(-time.Duration(i) * time.Minute)})
		})
		sessions[i] = s
	}
	if err := f.Store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutUpstreamToken(store.UpstreamToken{Session: "ses_9", Sealed: []byte("x"), Proved: day, Due: day})
	}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a token of no session: %v", err)
	}
	due := func(now time.Time, limit int) (all []store.UpstreamToken) {
		t.Helper()
		looked := errors.New("it was only looked")
		err := f.Store.Update(t.Context(), func(tx *store.Tx) (err error) {
			if all, err = tx.ClaimUpstreamTokens(now, now.Add(time.Hour), limit); err == nil {
				err = looked
			}
			return err
		})
		if !errors.Is(err, looked) {
			t.Fatal(err)
		}
		return all
	}
	if all := due(day, 2); len(all) != 2 || all[0].Session != "ses_3" || all[1].Session != "ses_2" || all[0].Connection != north ||
		string(all[0].Sealed) != "ses_3" || !all[0].Proved.Equal(day) || !all[0].Due.Equal(day.Add(-2*time.Minute)) {
		t.Errorf("due: %+v", all)
	}
	f.update(func(tx *store.Tx) error { return tx.UpstreamAsked("ses_3", day.Add(time.Second), day.Add(2*time.Hour)) })
	f.update(func(tx *store.Tx) error { return tx.UpstreamAsked("ses_9", day, day) })
	f.update(func(tx *store.Tx) error {
		return tx.PutUpstreamToken(store.UpstreamToken{Session: "ses_2", Sealed: []byte("next"), Proved: day, Due: day.Add(-time.Hour)})
	})
	if all := due(day, 10); len(all) != 2 || all[0].Session != "ses_2" || string(all[0].Sealed) != "next" || all[1].Session != "ses_1" {
		t.Errorf("after one was asked about and one renewed: %+v", all)
	}
	var unproved []store.Unproved
	f.view(func(v *store.View) (err error) { unproved, err = v.Unproved(); return err })
	if len(unproved) != 1 || unproved[0].Connection != north || unproved[0].Sessions != 3 || !unproved[0].Since.Equal(day) {
		t.Errorf("unproved: %+v", unproved)
	}
	ended := sessions[1]
	ended.State, ended.EndReason, ended.EndedAt = session.Ended, session.EndSignedOut, day
	ended.Version++
	f.update(func(tx *store.Tx) error { return tx.UpdateSession(ended.Session, nil) })
	later := day.Add(time.Hour) // ses_1 is over, ses_2 has ended
	if all := due(later, 10); len(all) != 0 {
		t.Errorf("a session that has ended is asked about: %+v", all)
	}
	for _, want := range []int64{1, 1, 0} {
		f.update(func(tx *store.Tx) error {
			if n, err := tx.DropUpstreamTokens(later, 1); err != nil || n != want {
				t.Errorf("forgot %d, want %d (%v)", n, want, err)
			}
			return nil
		})
	}
	if all := due(day.Add(2*time.Hour), 10); len(all) != 1 || all[0].Session != "ses_3" {
		t.Errorf("what is left: %+v", all)
	}
}

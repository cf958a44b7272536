package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// A signal counts once for its connection, until it is too old to be heard again.
func testIdPSignals(t *testing.T, f *fixture) {
	what := credential.DigestOf("a signal")
	for _, c := range []struct {
		dir  func(tx *store.Tx) (*store.DirectoryTx, error)
		now  time.Time
		want bool
	}{
		{func(tx *store.Tx) (*store.DirectoryTx, error) { return tx.In(north) }, day, true},
		{func(tx *store.Tx) (*store.DirectoryTx, error) { return tx.In(north) }, day.Add(59 * time.Minute), false},
		{func(tx *store.Tx) (*store.DirectoryTx, error) { return tx.In(south) }, day, true},
		{func(tx *store.Tx) (*store.DirectoryTx, error) { return tx.In(north) }, day.Add(time.Hour), true},
	} {
		f.update(func(tx *store.Tx) error {
			dir, err := c.dir(tx)
			if err != nil {
				return err
			}
			first, err := dir.HearSignal(what, c.now, c.now.Add(time.Hour))
			if first != c.want {
				t.Errorf("at %s: first is %t", c.now, first)
			}
			return err
		})
	}
}

// A connection has one stream at its identity provider, which is read as it was stored.
func testIdPStreams(t *testing.T, f *fixture) {
	all := func() (all []store.IdPStream) {
		f.view(func(v *store.View) (err error) { all, err = v.IdPStreams(); return err })
		return all
	}
	s := store.IdPStream{Connection: north, Issuer: "https://idp.example", Stream: "str_1", Audience: []string{"a", "b"}, Method: "m", PushedBy: []byte{1}, Sealed: []byte{2},
		Status: "enabled", State: "x", Created: day, Asked: day.Add(time.Second)}
	f.update(func(tx *store.Tx) error { return tx.PutIdPStream(s) })
	if got := all(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(s) {
		t.Errorf("read %+v, stored %+v", got, s)
	}
	s.Stream, s.Method, s.Endpoint, s.PushedBy, s.Sealed, s.Status, s.Reason, s.State = "str_2", "n", "https://idp.example/poll", nil, nil, "paused", "because", ""
	s.Checked, s.Verified, s.Heard, s.Polled = day.Add(time.Minute), day.Add(2*time.Minute), day.Add(3*time.Minute), day.Add(4*time.Minute)
	f.update(func(tx *store.Tx) error { return tx.PutIdPStream(s) })
	if got := all(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(s) || got[0].PushedBy != nil {
		t.Errorf("read %+v, stored %+v", got, s)
	}
	f.view(func(v *store.View) error {
		if got, err := v.IdPStream(north); err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
			t.Errorf("read %+v (%v), stored %+v", got, err, s)
		}
		if _, err := v.IdPStream(south); !fault.Is(err, fault.NotFound) {
			t.Errorf("another connection's stream: %v", err)
		}
		return nil
	})
	s.Connection = "nowhere"
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.PutIdPStream(s) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stream of no connection: %v", err)
	}
	f.update(func(tx *store.Tx) error { return tx.DropIdPStream(north) })
	if got := all(); len(got) != 0 {
		t.Errorf("what was dropped is there: %+v", got)
	}
}

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func deliveriesTo(receiver string, n int) []store.Delivery {
	all := make([]store.Delivery, n)
	for i := range all {
		all[i] = store.Delivery{Receiver: receiver, Kind: "logout", JTI: fmt.Sprintf("j%d", i), Event: int64(i + 1), Body: []byte(`{}`), At: day.Add(time.Duration(i) * time.Second)}
	}
	return all
}

func (f *fixture) receiver(name string) (r store.Receiver) {
	f.t.Helper()
	f.view(func(v *store.View) (err error) { r, err = v.Receiver(name); return err })
	return r
}

func (f *fixture) queue(receiver string, after int64) (all []store.Delivery) {
	f.t.Helper()
	f.view(func(v *store.View) (err error) { all, err = v.Deliveries(receiver, after, 100); return err })
	return all
}

// A queue is in order, holds each delivery once, and counts what becomes of it.
func testDeliveries(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error { return tx.PutDeliveries(deliveriesTo("logout:app", 4)) })
	f.update(func(tx *store.Tx) error {
		return tx.PutDeliveries(append(deliveriesTo("logout:app", 5), deliveriesTo("webhook:w", 1)...))
	})
	queued := f.queue("logout:app", 0)
	if len(queued) != 5 || queued[4].JTI != "j4" || queued[4].Event != 5 || !queued[4].At.Equal(day.Add(4*time.Second)) || string(queued[0].Body) != "{}" {
		t.Fatalf("queued %+v", queued)
	}
	if behind := f.queue("logout:app", queued[3].ID); len(behind) != 1 || behind[0].JTI != "j4" {
		t.Errorf("behind the fourth: %+v", behind)
	}
	f.update(func(tx *store.Tx) error {
		if err := tx.DeliveryFailed("logout:app", "j0", "503", day.Add(time.Minute), day); err != nil {
			return err
		}
		return tx.DeliveryFailed("logout:app", "j0", "504", day.Add(2*time.Minute), day.Add(time.Minute))
	})
	if r := f.receiver("logout:app"); r.Failures != 2 || r.Error != "504" || !r.Next.Equal(day.Add(2*time.Minute)) || r.Pending != 5 || !r.Oldest.Equal(day) {
		t.Errorf("after two failures: %+v", r)
	}
	if q := f.queue("logout:app", 0); q[0].Attempts != 2 || q[1].Attempts != 0 {
		t.Errorf("attempts: %+v", q)
	}
	f.update(func(tx *store.Tx) error {
		n, err := tx.Delivered("logout:app", []string{"j0", "j1", "j9"}, day.Add(time.Hour))
		if n != 2 {
			t.Errorf("%d arrived", n)
		}
		return err
	})
	f.update(func(tx *store.Tx) error {
		_, err := tx.DeliveryRefused("logout:app", []string{"j2"}, "400", day.Add(time.Hour))
		return err
	})
	want := store.Receiver{Name: "logout:app", Kind: "logout", Pending: 2, Sent: 2, Failed: 2, Refused: 1, LastOK: day.Add(time.Hour), LastError: day.Add(time.Hour), Error: "400", Oldest: day.Add(3 * time.Second)}
	if r := f.receiver("logout:app"); r != want {
		t.Errorf("%+v\nwant %+v", r, want)
	}
	f.update(func(tx *store.Tx) error {
		n, err := tx.DropReceiver("logout:app")
		if n != 2 {
			t.Errorf("%d were dropped", n)
		}
		return err
	})
	f.view(func(v *store.View) error {
		all, err := v.Receivers()
		if len(all) != 1 || all[0].Name != "webhook:w" || all[0].Pending != 1 {
			t.Errorf("left: %+v", all)
		}
		return err
	})
}

// Who is ready has something to be sent, is not paused and need not wait.
func testReadyReceivers(t *testing.T, f *fixture) {
	ready := func(now time.Time) (names []string) {
		f.view(func(v *store.View) error {
			all, err := v.ReadyReceivers(now, 10)
			for _, r := range all {
				names = append(names, r.Name)
			}
			return err
		})
		return names
	}
	f.update(func(tx *store.Tx) error {
		for _, r := range []string{"stream:a", "stream:b"} {
			if err := tx.PutDeliveries(deliveriesTo(r, 1)); err != nil {
				return err
			}
		}
		return tx.DeliveryFailed("stream:a", "j0", "down", day.Add(time.Minute), day)
	})
	if got := fmt.Sprint(ready(day)); got != "[stream:b]" {
		t.Errorf("ready now: %s", got)
	}
	if got := fmt.Sprint(ready(day.Add(time.Minute))); got != "[stream:b stream:a]" {
		t.Errorf("ready in a minute: %s", got)
	}
	f.update(func(tx *store.Tx) error { return tx.PauseReceiver("stream:b", "stream", true) })
	if got := fmt.Sprint(ready(day)); got != "[]" {
		t.Errorf("ready while paused: %s", got)
	}
	f.update(func(tx *store.Tx) error {
		if err := tx.PauseReceiver("stream:b", "stream", false); err != nil {
			return err
		}
		return tx.RetryReceiver("stream:a")
	})
	if got := fmt.Sprint(ready(day)); got != "[stream:a stream:b]" {
		t.Errorf("ready again: %s", got)
	}
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.RetryReceiver("stream:c") }); !fault.Is(err, fault.NotFound) {
		t.Errorf("retrying nobody: %v", err)
	}
}

// What is too old or too much is given up, the oldest first, and counted.
func testAbandon(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error { return tx.PutDeliveries(deliveriesTo("logout:app", 10)) })
	abandon := func(before time.Time, keep int64) (n int64, oldest time.Time) {
		f.update(func(tx *store.Tx) (err error) { n, oldest, err = tx.Abandon("logout:app", before, keep); return err })
		return n, oldest
	}
	if n, _ := abandon(day, 10); n != 0 {
		t.Errorf("%d were given up with no reason", n)
	}
	if n, oldest := abandon(day, 8); n != 2 || !oldest.Equal(day) {
		t.Errorf("%d beyond the newest eight, from %s", n, oldest)
	}
	if n, oldest := abandon(day.Add(5*time.Second), 8); n != 3 || !oldest.Equal(day.Add(2*time.Second)) {
		t.Errorf("%d too old, from %s", n, oldest)
	}
	if r := f.receiver("logout:app"); r.Pending != 5 || r.Abandoned != 5 {
		t.Errorf("%+v", r)
	}
	if q := f.queue("logout:app", 0); len(q) != 5 || q[0].JTI != "j5" {
		t.Errorf("left: %+v", q)
	}
	f.update(func(tx *store.Tx) error {
		n, _, err := tx.Abandon("nobody", day, 0)
		if n != 0 {
			t.Errorf("%d of nobody's", n)
		}
		return err
	})
}

// What the relay has not read is not trimmed, and one reader at a time moves the mark.
func testRelayMark(t *testing.T, f *fixture) {
	heard := f.Listen()
	f.update(func(tx *store.Tx) error {
		return tx.Append(event.Event{Type: event.ConnectionAdded, Actor: event.ByBridge, At: day, Connection: north},
			event.Event{Type: event.ConnectionAdded, Actor: event.ByBridge, At: day, Connection: north})
	})
	select {
	case <-heard:
	default:
		t.Error("nobody was told of the commit")
	}
	f.update(func(*store.Tx) error { return nil })
	select {
	case <-heard:
		t.Error("a commit without events was told")
	default:
	}
	rows := f.outbox()
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	trim := func() (removed int64) {
		f.update(func(tx *store.Tx) (err error) { removed, err = tx.TrimOutbox(day.Add(time.Hour)); return err })
		return removed
	}
	if n := trim(); n != 0 {
		t.Errorf("%d rows were removed unread", n)
	}
	move := func(from, to int64) error {
		return f.Update(t.Context(), func(tx *store.Tx) error { return tx.MoveRelayMark(from, to) })
	}
	if err := move(0, rows[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := move(0, rows[1].ID); !fault.Is(err, fault.Stale) {
		t.Errorf("moved from where it was: %v", err)
	}
	f.view(func(v *store.View) error {
		mark, err := v.RelayMark()
		if mark != rows[0].ID {
			t.Errorf("the mark is %d", mark)
		}
		return err
	})
	if n := trim(); n != 1 {
		t.Errorf("%d rows were removed", n)
	}
}

package outbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

var day = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func happen(t testing.TB, s *store.Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		for range n {
			if err := tx.Append(event.Event{Type: event.SigningKeyCreated, Actor: event.ByBridge, At: day}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// each tells one receiver of every event, and fails as it is told.
type each struct {
	fails func(store.OutboxRow) error
	asked int
}

func (e *each) Translate(_ *store.View, facts []store.OutboxRow) ([]store.Delivery, error) {
	e.asked++
	var all []store.Delivery
	for _, f := range facts {
		if strings.Contains(string(f.Body), string(event.DeliveryAbandoned)) {
			continue
		}
		if e.fails != nil {
			if err := e.fails(f); err != nil {
				return nil, err
			}
		}
		all = append(all, store.Delivery{Receiver: "webhook:w", Kind: "webhook", JTI: fmt.Sprint("j", f.ID), Event: f.ID, Body: []byte("{}"), At: f.At})
	}
	return all, nil
}

func told(t testing.TB, s *store.Store) (events []int64) {
	t.Helper()
	err := s.View(t.Context(), func(v *store.View) error {
		all, err := v.Deliveries("webhook:w", 0, 10_000)
		for _, d := range all {
			events = append(events, d.Event)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func relay(s *store.Store, by ...Translator) *Relay {
	return New(Config{Store: s, Now: func() time.Time { return day }}, by...)
}

func catchUp(t testing.TB, r *Relay) int {
	t.Helper()
	n, err := r.CatchUp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEveryEventIsTranslatedOnceAlsoByTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	s := openStore(t, path)
	happen(t, s, 2*page+7)
	if n := catchUp(t, relay(s, &each{})); n != 2*page+7 {
		t.Errorf("%d deliveries were written", n)
	}
	happen(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path)
	if n := catchUp(t, relay(s, &each{})); n != 3 {
		t.Errorf("the next process wrote %d", n)
	}
	if events := told(t, s); len(events) != 2*page+10 || events[0] != 1 || events[len(events)-1] != 2*page+10 {
		t.Errorf("told of %d events: %v", len(events), events)
	}
}

// A crash between two pages, or an error in the transaction, begins again at the mark.
func TestWhatCouldNotBeWrittenIsTranslatedAgain(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "data.db"))
	happen(t, s, 5)
	down := true
	by := &each{fails: func(store.OutboxRow) error {
		if down {
			return fault.New(fault.Unavailable, "test", "the store is down")
		}
		return nil
	}}
	r := relay(s, by)
	if _, err := r.CatchUp(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("while the store is down: %v", err)
	}
	down = false
	if n := catchUp(t, r); n != 5 {
		t.Errorf("%d deliveries afterwards", n)
	}
}

func TestOneEventThatCannotBeTranslatedStopsNoOther(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "data.db"))
	happen(t, s, 5)
	var seen []error
	r := New(Config{Store: s, Now: func() time.Time { return day }, Observe: func(err error) { seen = append(seen, err) }}, &each{fails: func(o store.OutboxRow) error {
		if o.ID == 3 {
			return errors.New("what is this")
		}
		return nil
	}})
	if n := catchUp(t, r); n != 4 || len(seen) != 1 {
		t.Errorf("%d deliveries, %v", n, seen)
	}
	var last []store.OutboxRow
	if err := s.View(t.Context(), func(v *store.View) (err error) { last, err = v.Outbox(5, 10); return err }); err != nil {
		t.Fatal(err)
	}
	if len(last) != 1 || !strings.Contains(string(last[0].Body), `"delivery.abandoned"`) || !strings.Contains(string(last[0].Body), `"event":"3"`) {
		t.Errorf("recorded: %v", last)
	}
}

// What nobody is told of costs no commit of its own.
func TestTheMarkMovesOverSilenceOnceASecond(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "data.db"))
	now := day
	r := New(Config{Store: s, Now: func() time.Time { return now }})
	mark := func() (at int64) {
		if err := s.View(t.Context(), func(v *store.View) (err error) { at, err = v.RelayMark(); return err }); err != nil {
			t.Fatal(err)
		}
		return at
	}
	happen(t, s, 1)
	catchUp(t, r)
	happen(t, s, 1)
	catchUp(t, r)
	if got := mark(); got != 1 {
		t.Errorf("the mark is %d within a second", got)
	}
	now = now.Add(poll)
	catchUp(t, r)
	if got := mark(); got != 2 {
		t.Errorf("the mark is %d after a second", got)
	}
}

func TestRunTranslatesAfterACommit(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "data.db"))
	written := make(chan struct{}, 10)
	r := New(Config{Store: s, Now: time.Now, Written: func() { written <- struct{}{} }}, &each{})
	done := make(chan struct{})
	go func() { r.Run(t.Context()); close(done) }()
	for range 3 {
		happen(t, s, 1)
		<-written
	}
	t.Cleanup(func() { <-done })
}

// Two relays at once, for one of them was slow and another has taken its work over: who comes
// second finds the mark moved, and nobody is told anything twice.
func TestTwoRelaysTellEverythingOnce(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "data.db"))
	a, b := relay(s, &each{}), relay(s, &each{})
	happen(t, s, 3)
	if n := catchUp(t, a); n != 3 {
		t.Fatalf("%d deliveries", n)
	}
	happen(t, s, 3)
	catchUp(t, b) // begins at the mark
	if _, err := a.CatchUp(t.Context()); !fault.Is(err, fault.Stale) {
		t.Errorf("the slow one wrote, too: %v", err)
	}
	happen(t, s, 1)
	if n := catchUp(t, a); n != 1 {
		t.Errorf("the slow one goes on with %d", n)
	}
	if events := told(t, s); len(events) != 7 {
		t.Errorf("told of %v", events)
	}
}

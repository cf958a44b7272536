// Package outbox reads committed events in their order and writes down whom they are
// to be told to: back-channel logout, signals, webhooks. What it writes is sent by
// internal/deliver.
//
// The relay has a durable mark. Deliveries are written in the transaction that moves
// the mark over the events they tell of, so that a crash loses and doubles none.
package outbox

import (
	"context"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Translator says whom events are to be told to. It reads what it needs on v, a
// snapshot in which the events have been committed, and may be asked again about the
// same ones: it has no other effect than its answer. Order is kept for each receiver.
//
// An error other than fault.Unavailable says that it cannot: it is asked about each
// event alone then, and one that it cannot translate alone is passed over for this
// translator, with an event of its own (event.DeliveryAbandoned).
type Translator interface {
	Translate(v *store.View, facts []store.OutboxRow) ([]store.Delivery, error)
}

// Config is what a Relay works with. Store and Now are required.
type Config struct {
	Store   *store.Store
	Now     func() time.Time
	Written func()      // is called after deliveries were written; nil: nobody waits
	Observe func(error) // is told what did not work; nil: nobody listens
}

// Relay reads the outbox. There is one of each store, and one goroutine uses it.
type Relay struct {
	Config
	translators []Translator
	ready       bool  // mark and read are known
	mark        int64 // as stored
	read        int64 // all up to it has been translated: at least mark
	moved       time.Time
}

// New makes a relay. Run does the work.
func New(c Config, translators ...Translator) *Relay {
	if c.Written == nil {
		c.Written = func() {}
	}
	if c.Observe == nil {
		c.Observe = func(error) {}
	}
	return &Relay{Config: c, translators: translators}
}

// page is how many events are translated at once, and written in one transaction:
// some milliseconds of the writer.
const page = 100

// poll is how often the outbox is read even though nobody said that there is something,
// and how often the mark is moved over events that nobody is told of.
const poll = time.Second

// pollOthers is how often it is read where other nodes commit, too: nobody says so here.
const pollOthers = 200 * time.Millisecond

// Run relays until ctx ends: at once after each commit.
func (r *Relay) Run(ctx context.Context) {
	heard := r.Store.Listen()
	look := poll
	if r.Store.Shared() {
		look = pollOthers
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if _, err := r.CatchUp(ctx); err != nil && ctx.Err() == nil {
			r.Observe(err)
		}
		select {
		case <-ctx.Done():
			if err := r.put(context.WithoutCancel(ctx), nil, nil); err != nil {
				r.Observe(err)
			}
			return
		case <-heard:
		case <-tick.C:
		}
	}
}

// CatchUp relays all that has been committed, and says how many deliveries came of it.
func (r *Relay) CatchUp(ctx context.Context) (written int, err error) {
	for ctx.Err() == nil {
		n, more, err := r.step(ctx)
		written += n
		if err != nil || !more {
			return written, err
		}
	}
	return written, ctx.Err()
}

// step relays one page; more says that there may be another.
func (r *Relay) step(ctx context.Context) (written int, more bool, err error) {
	var rows []store.OutboxRow
	var found translated
	err = r.Store.View(ctx, func(v *store.View) (err error) {
		if !r.ready {
			if r.mark, err = v.RelayMark(); err != nil {
				return err
			}
			r.read, r.ready = r.mark, true
		}
		if rows, err = v.Outbox(r.read, page); err != nil || len(rows) == 0 {
			return err
		}
		found, err = r.translate(v, rows)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	if len(rows) > 0 {
		r.read = rows[len(rows)-1].ID
	}
	if len(found.deliveries)+len(found.lost) > 0 || r.Now().Sub(r.moved) >= poll {
		if err := r.put(ctx, found.deliveries, found.lost); err != nil {
			r.read, r.ready = r.mark, false // begin again where the mark is
			return 0, false, err
		}
	}
	return len(found.deliveries), len(rows) == page, nil
}

// translated is what came of a page of events.
type translated struct {
	deliveries []store.Delivery
	lost       []store.OutboxRow // that a translator failed on
}

func (r *Relay) translate(v *store.View, rows []store.OutboxRow) (t translated, err error) {
	for _, by := range r.translators {
		found, err := by.Translate(v, rows)
		if err == nil {
			t.deliveries = append(t.deliveries, found...)
			continue
		}
		if fault.Is(err, fault.Unavailable) {
			return translated{}, err
		}
		if err := r.oneByOne(v, by, rows, &t); err != nil {
			return translated{}, err
		}
	}
	return t, nil
}

// oneByOne keeps one event that cannot be translated from stopping all others.
func (r *Relay) oneByOne(v *store.View, by Translator, rows []store.OutboxRow, t *translated) error {
	for _, row := range rows {
		found, err := by.Translate(v, []store.OutboxRow{row})
		switch {
		case err == nil:
			t.deliveries = append(t.deliveries, found...)
		case fault.Is(err, fault.Unavailable):
			return err
		default:
			r.Observe(err)
			t.lost = append(t.lost, row)
		}
	}
	return nil
}

// put writes deliveries and moves the mark up to what has been read.
func (r *Relay) put(ctx context.Context, deliveries []store.Delivery, lost []store.OutboxRow) error {
	if r.read == r.mark && len(deliveries)+len(lost) == 0 {
		return nil
	}
	now := r.Now()
	err := r.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutDeliveries(deliveries); err != nil {
			return err
		}
		for _, row := range lost {
			if err := tx.Append(event.Event{Type: event.DeliveryAbandoned, Actor: event.ByBridge, At: now,
				Data: map[string]string{"reason": event.AbandonedUnreadable, "count": "1", "event": strconv.FormatInt(row.ID, 10)}}); err != nil {
				return err
			}
		}
		return tx.MoveRelayMark(r.mark, r.read)
	})
	if err != nil {
		return err
	}
	r.mark, r.moved = r.read, now
	if len(deliveries) > 0 {
		r.Written()
	}
	return nil
}

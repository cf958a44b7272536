package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Followed is what Follow has found.
type Followed struct {
	News    int           // how many pieces
	Last    int64         // the id of one of the latest; 0: none
	Lag     time.Duration // between the writing of the oldest and its being read; 0: none
	Begun   bool          // everything was forgotten: what had happened could not be known
	Standby bool          // the server that answered follows another, and what it says is of the past
}

// Follow applies the news that were not there the last time, of whichever node. An error: some
// may not be applied, and what is remembered may not be believed. It begins with the directory
// as it is.
func (s *Store) Follow(ctx context.Context) (f Followed, err error) {
	w := s.window
	w.follows.Lock()
	defer w.follows.Unlock()
	for more := true; more; {
		page, err := s.readNews(ctx, w.place)
		if err == nil && page.now.history == "" {
			if err = s.beginHistory(ctx); err == nil {
				page, err = s.readNews(ctx, w.place)
			}
		}
		if err != nil {
			f.Standby = page.standby
			return f, refused(err)
		}
		if more = page.more; !page.whole {
			f.Begun, more = true, false // what happens from that position on is met as news
			w.people.clear()
			w.sessions.clear()
			w.changes.wake()
			w.wanted.add(ref{Kind: refAll})
			if _, err := s.rereading.do(ctx); err != nil {
				return f, err
			}
		} else if err := s.apply(ctx, page.all); err != nil {
			return f, err
		}
		w.place = page.now
		f.found(page.all, page.clock)
	}
	s.known.polled(w.place, time.Now())
	return f, nil
}

// newsRead is what was new after a position, as newsSince has it.
type newsRead struct {
	all         []News
	now         Position
	more, whole bool
	clock       int64 // the database's
	standby     bool
}

func (s *Store) readNews(ctx context.Context, after Position) (r newsRead, err error) {
	err = s.aside(ctx, false, func(q Querier) (err error) {
		v := s.over(ctx, q)
		if r.clock, r.standby, err = v.primary(); err != nil {
			return err
		}
		r.all, r.now, r.more, r.whole, err = v.newsSince(after)
		return err
	})
	return r, err
}

// primary gives the database's clock. fault.Unavailable if another server's changes are only
// copied there: something between may send what reads elsewhere than where was connected to.
func (v *View) primary() (clock int64, standby bool, err error) {
	const op = "store.primary"
	d := v.engine.Dialect()
	if err := v.q.QueryRow(`select `+d.Now+`, `+d.Standby).Scan(&clock, &standby); err != nil {
		return 0, false, v.failed(err, op)
	}
	if standby {
		return 0, true, fault.New(fault.Unavailable, op, "what reads is answered by a standby, which may be behind: let the database's address lead to the primary alone")
	}
	return clock, false, nil
}

func (f *Followed) found(all []News, clock int64) {
	for _, n := range all {
		f.News++
		f.Last = max(f.Last, n.ID)
		f.Lag = max(f.Lag, at(clock).Sub(n.At))
	}
}

// apply applies what was read, with one reading of what is wide.
func (s *Store) apply(ctx context.Context, all []News) error {
	wide := false
	for _, n := range all {
		var refs []ref
		if err := json.Unmarshal(n.Refs, &refs); err != nil {
			return fault.Wrap(fault.Internal, "store.Follow", err)
		}
		wide = s.window.hear(refs) || wide
	}
	if !wide {
		return nil
	}
	_, err := s.rereading.do(ctx)
	return err
}

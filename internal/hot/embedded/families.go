package embedded

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
)

// stripes is how many families can be worked on at once. The stripe's lock is held
// while its family is written, so that the answer in memory is never ahead of, nor
// behind, the file.
const stripes = 256

type families struct {
	db      *sqlitedb.DB
	codes   *codes
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	mu    sync.Mutex // guards what follows
	known map[string]hot.Family
	most  int
}

func newFamilies(db *sqlitedb.DB, most int, c *codes) *families {
	f := &families{db: db, codes: c, seed: maphash.MakeSeed()}
	for i := range f.stripes {
		f.stripes[i].known = map[string]hot.Family{}
		f.stripes[i].most = max(1, most/stripes)
	}
	return f
}

func (f *families) stripe(id string) *stripe {
	return &f.stripes[maphash.String(f.seed, id)%stripes]
}

// PutFamily implements hot.Engine.
func (f *families) PutFamily(ctx context.Context, x hot.Family) error {
	const op = "embedded.PutFamily"
	if err := x.Check(op); err != nil {
		return err
	}
	s := f.stripe(x.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.codes.isDoomed(x.ID) {
		return hot.CodeReplayed(op)
	}
	x = x.Own()
	if err := f.db.Update(ctx, func(q sqlitedb.Querier) error { return insert(q, x) }, nil); err != nil {
		return err
	}
	s.keepLocked(x)
	return nil
}

// Family implements hot.Engine.
func (f *families) Family(ctx context.Context, id string, now time.Time) (hot.Family, error) {
	const op = "embedded.Family"
	s := f.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, found, err := f.liveLocked(ctx, s, id, now)
	if err != nil {
		return hot.Family{}, err
	}
	if !found {
		return hot.Family{}, hot.NoFamily(op)
	}
	return x.Own(), nil
}

// Rotate implements hot.Engine.
func (f *families) Rotate(ctx context.Context, r hot.Rotation) (hot.Family, hot.Outcome, error) {
	s := f.stripe(r.Family)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, found, err := f.liveLocked(ctx, s, r.Family, r.Now)
	if err == nil && found {
		err = r.Allowed(x)
	}
	if err != nil || !found {
		return hot.Family{}, hot.Unknown, err
	}
	switch x.Judge(r) {
	case hot.OK:
		return f.advanceLocked(ctx, s, x, r)
	case hot.Retried:
		return x.Own(), hot.Retried, nil
	case hot.Replayed:
		if err := f.endLocked(ctx, s, x.ID); err != nil {
			return hot.Family{}, hot.Unknown, err
		}
		return x.Own(), hot.Replayed, nil
	}
	return hot.Family{}, hot.Unknown, nil
}

// advanceLocked moves the family to r.N+1, in the file first.
func (f *families) advanceLocked(ctx context.Context, s *stripe, x hot.Family, r hot.Rotation) (hot.Family, hot.Outcome, error) {
	was := x.N
	x = x.Rotate(r)
	moved := false
	err := f.db.Update(ctx, func(q sqlitedb.Querier) (err error) {
		moved, err = advance(q, x, was)
		return err
	}, nil)
	if err != nil || !moved {
		// The file knows better: read it again next time.
		delete(s.known, x.ID)
		return hot.Family{}, hot.Unknown, err
	}
	s.keepLocked(x)
	return x.Own(), hot.OK, nil
}

// EndFamily implements hot.Engine.
func (f *families) EndFamily(ctx context.Context, id string) error {
	s := f.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.codes.doom(id)
	return f.endLocked(ctx, s, id)
}

func (f *families) endLocked(ctx context.Context, s *stripe, id string) error {
	delete(s.known, id)
	return f.db.Update(ctx, func(q sqlitedb.Querier) error { return remove(q, id) }, nil)
}

// EndSession implements hot.Engine.
func (f *families) EndSession(ctx context.Context, id session.ID) error {
	var ended []string
	err := f.db.Update(ctx, func(q sqlitedb.Querier) (err error) {
		ended, err = removeSession(q, id)
		return err
	}, nil)
	if err != nil {
		return err
	}
	// Whoever read a row before the commit holds its stripe until it is in memory, so
	// forgetting it now is forgetting it for good.
	for _, family := range ended {
		s := f.stripe(family)
		s.mu.Lock()
		delete(s.known, family)
		s.mu.Unlock()
	}
	return nil
}

// liveLocked finds a family in memory or in the file; found is false when it has
// ended or expired.
func (f *families) liveLocked(ctx context.Context, s *stripe, id string, now time.Time) (x hot.Family, found bool, err error) {
	x, found = s.known[id]
	if !found {
		err = f.db.View(ctx, func(q sqlitedb.Querier) error {
			x, found, err = read(q, id)
			return err
		})
		if err != nil || !found {
			return hot.Family{}, false, err
		}
		s.keepLocked(x)
	}
	return x, now.Before(x.Expires), nil
}

// keepLocked remembers a family, in the place of any other when the stripe is full.
func (s *stripe) keepLocked(x hot.Family) {
	if _, known := s.known[x.ID]; !known && len(s.known) >= s.most {
		for other := range s.known {
			delete(s.known, other)
			break
		}
	}
	s.known[x.ID] = x
}

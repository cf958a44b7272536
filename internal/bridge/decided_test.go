package bridge_test

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// deciding runs fn as people do who decide.
func (w *world) deciding(fn func(*bridge.Deciding) error) error {
	return w.bridge.Deciding(w.ctx, event.ByPerson, fn)
}

// permit gives somebody something as people do.
func (w *world) permit(conn access.ConnectionID, t access.Permit) {
	w.t.Helper()
	if t.Kind == "" {
		t.Kind = access.SourceRequest
	}
	if t.Standing == "" {
		t.Standing = access.Guest
	}
	w.do(w.deciding(func(d *bridge.Deciding) error {
		t.Given = d.Now()
		p, err := d.Settled(conn, t.Person)
		if err != nil {
			return err
		}
		dir, err := d.In(conn)
		if err != nil {
			return err
		}
		if err := dir.PutPermit(p, t); err != nil {
			return err
		}
		return d.Decide(conn, p)
	}))
}

// limit takes something from somebody as people do.
func (w *world) limit(conn access.ConnectionID, l access.Limit) {
	w.t.Helper()
	w.do(w.deciding(func(d *bridge.Deciding) error {
		l.Set = d.Now()
		p, err := d.Settled(conn, l.Person)
		if err != nil {
			return err
		}
		dir, err := d.In(conn)
		if err != nil {
			return err
		}
		if err := dir.PutLimit(p, l); err != nil {
			return err
		}
		return d.Decide(conn, p)
	}))
}

func (w *world) permits(conn access.ConnectionID, p access.PersonID) (all []access.Permit) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		all, err = dir.PermitsOf(store.Person{ID: p})
		return err
	}))
	return all
}

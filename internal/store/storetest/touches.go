package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Touch is one kind of thing that a commit changes of what nodes remember.
type Touch struct {
	Name string
	// Do changes it.
	Do func(tx *store.Tx) error
	// Known reports whether a node knows of it. Before Do, it makes the node remember what was.
	Known func(ctx context.Context, s *store.Store) (bool, error)
}

// Touched is who stands behind Touches: somebody who is signed in, in a store that Prepare made.
var Touched = credential.Subject{Connection: north, Client: "app", Person: "per_1", Session: "ses_1", Family: "fam_1"}

// Prepare puts into a store what Touches change.
func Prepare(t testing.TB, s *store.Store) {
	t.Helper()
	f := newFixture(t, s)
	p := f.person(north, "per_1", "one@north.example")
	f.group(north, "grp_1", "Team", p)
	f.update(func(tx *store.Tx) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		if err := d.SetDecided(p.Key, 1, time.Time{}); err != nil {
			return err
		}
		if err := tx.PutClient("app", true); err != nil {
			return err
		}
		if err := tx.InsertSession(newSession("ses_1", p)); err != nil {
			return err
		}
		if err := tx.PutSCIMToken(store.SCIMToken{PublicID: "tok_1", Connection: north, Created: day}); err != nil {
			return err
		}
		return tx.PutSCIMClient(store.SCIMClient{ID: "client", Connection: north, Name: "Entra", Created: day})
	})
}

// Touches are all kinds, each for a store of its own.
func Touches() []Touch {
	current := func(judge func(credential.Current) bool) func(context.Context, *store.Store) (bool, error) {
		return func(ctx context.Context, s *store.Store) (bool, error) {
			c, err := s.Current(ctx, Touched)
			return err == nil && judge(c), err
		}
	}
	ended := current(func(c credential.Current) bool { return !c.Alive })
	undecided := current(func(c credential.Current) bool { return !c.Decided })
	return []Touch{
		{"person", inNorth(func(d *store.DirectoryTx, p store.Person) error {
			p.Active = false
			p.Epoch++
			return d.UpdatePerson(p)
		}), ended},
		{"person deleted", inNorth(func(d *store.DirectoryTx, p store.Person) error { return d.DeletePerson(p, day) }), ended},
		{"decision", inNorth(func(d *store.DirectoryTx, p store.Person) error { return d.MarkDue([]store.PersonKey{p.Key}) }), current(func(c credential.Current) bool { return !c.ValidUntil.IsZero() })},
		{"session", func(tx *store.Tx) error {
			s, err := tx.Session("ses_1")
			if err != nil {
				return err
			}
			s.State, s.EndReason, s.EndedAt = session.Ended, session.EndSignedOut, day
			s.Version++
			return tx.UpdateSession(s.Session, nil)
		}, ended},
		{"family", func(tx *store.Tx) error {
			_, err := tx.EndFamily(store.EndedFamily{ID: "fam_1", Client: "app"}, day.Add(time.Hour))
			return err
		}, ended},
		{"host", func(tx *store.Tx) error { return tx.BumpHost(time.Time{}) }, current(func(c credential.Current) bool { return c.Epochs.Host == 2 })},
		{"policy", func(tx *store.Tx) error { _, err := tx.PutPolicy("next", []byte("{}"), day); return err }, undecided},
		{"fence", inNorth(func(d *store.DirectoryTx, _ store.Person) error {
			g, err := d.Group("grp_1")
			if err != nil {
				return err
			}
			return d.FenceGroup(g)
		}), undecided},
		{"connection", func(tx *store.Tx) error { return tx.EndConnection(north, day) }, ended},
		{"client", func(tx *store.Tx) error { return tx.PutClient("app", false) }, ended},
		{"token", func(tx *store.Tx) error { return tx.RevokeSCIMToken("tok_1", day) }, func(ctx context.Context, s *store.Store) (bool, error) {
			token, _, _, err := s.Door(ctx, "tok_1")
			return err == nil && !token.Revoked.IsZero(), err
		}},
		{"SCIM client", func(tx *store.Tx) error { return tx.RevokeSCIMClient("client", day) }, func(ctx context.Context, s *store.Store) (bool, error) {
			client, _, _, _, err := s.ClientDoor(ctx, "client")
			return err == nil && !client.Revoked.IsZero(), err
		}},
		{"application's own tokens", func(tx *store.Tx) error { return tx.BumpClient("app") }, func(ctx context.Context, s *store.Store) (bool, error) {
			_, epoch, _, err := s.ClientNow(ctx, "app")
			return err == nil && epoch == 2, err
		}},
	}
}

func inNorth(fn func(*store.DirectoryTx, store.Person) error) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		p, err := d.Person(access.PersonID("per_1"))
		if err != nil {
			return err
		}
		return fn(d, p)
	}
}

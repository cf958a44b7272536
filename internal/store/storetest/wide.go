package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// WideChange draws a change of what is wide: of a host, policies, connections, applications, tokens
// and SCIM clients of which there are few, so that changes meet. It is for a store that Prepare made;
// one that finds nothing to change is refused.
func WideChange(t *rapid.T) func(tx *store.Tx) error {
	conn := rapid.SampledFrom([]access.ConnectionID{north, south, "east", "west"}).Draw(t, "connection")
	client := rapid.SampledFrom([]access.ClientID{"app", "other"}).Draw(t, "application")
	id := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "id")
	flag := rapid.Bool().Draw(t, "flag")
	now := day.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "second")) * time.Second)
	changes := []func(tx *store.Tx) error{
		func(tx *store.Tx) error { return tx.BumpHost(now) },
		func(tx *store.Tx) error { _, err := tx.PutPolicy(id, []byte("{}"), now); return err },
		func(tx *store.Tx) error { _, err := tx.PutPolicy(id, []byte("{}"), now, conn); return err },
		func(tx *store.Tx) error {
			_, err := tx.PutConnection(access.Connection{ID: conn, Name: id, IdP: "other", Root: "scp_north"}, now)
			return err
		},
		func(tx *store.Tx) error { return tx.EndConnection(conn, now) },
		func(tx *store.Tx) error { return tx.ResumeConnection(conn, now) },
		func(tx *store.Tx) error { return tx.PutClient(client, flag) },
		func(tx *store.Tx) error { return tx.BumpClient(client) },
		func(tx *store.Tx) error {
			return tx.PutSCIMToken(store.SCIMToken{PublicID: id, Connection: conn, Created: now})
		},
		func(tx *store.Tx) error { return tx.RevokeSCIMToken(id, now) },
		func(tx *store.Tx) error { return tx.TouchSCIMTokens(map[string]time.Time{id: now}) },
		func(tx *store.Tx) error {
			return tx.PutSCIMClient(store.SCIMClient{ID: id, Connection: conn, Created: now})
		},
		func(tx *store.Tx) error {
			return tx.PutClientSecret(id, store.ClientSecret{PublicID: id + fmt.Sprint(now.Second()%5), Created: now, Expires: now.Add(time.Hour)})
		},
		func(tx *store.Tx) error {
			return tx.RevokeClientSecret(id, id+fmt.Sprint(now.Second()%5), now)
		},
		func(tx *store.Tx) error { return tx.RevokeSCIMClient(id, now) },
		func(tx *store.Tx) error { return fenceTeam(tx, flag) },
	}
	return rapid.SampledFrom(changes).Draw(t, "change")
}

// fenceTeam lays a fence over the group that Prepare made, or lifts it.
func fenceTeam(tx *store.Tx, lay bool) error {
	d, err := tx.In(north)
	if err != nil {
		return err
	}
	g, err := d.Group("grp_1")
	if err != nil {
		return err
	}
	if lay {
		return d.FenceGroups([]store.GroupKey{g.Key})
	}
	_, _, err = d.TakeFenced(g, 10)
	return err
}

// WideChanges draws a transaction of some changes, of which some may be undone.
func WideChanges(t *rapid.T) func(tx *store.Tx) error {
	type step struct {
		do   func(*store.Tx) error
		fail bool
	}
	steps := make([]step, rapid.IntRange(1, 4).Draw(t, "changes"))
	for i := range steps {
		steps[i] = step{WideChange(t), rapid.IntRange(0, 4).Draw(t, "fails") == 0}
	}
	return func(tx *store.Tx) error {
		for _, s := range steps {
			_ = tx.Step(func() error { // one that is refused leaves the others as they are
				if err := s.do(tx); err != nil || !s.fail {
					return err
				}
				return errUndone
			})
		}
		return nil
	}
}

var errUndone = errors.New("undone")

// testWideNews: whatever changes, and whoever changes it, each node that has followed the news knows of
// what is wide what a node knows that has just read all of it; and so does one that asks each time.
func testWideNews(t *testing.T, a, b *store.Store, raw store.Engine) {
	Prepare(t, a)
	from := &believer{}
	a.JoinPeers(from)
	b.JoinPeers(&believer{})
	follow1(t, a)
	follow1(t, b)
	for seed := range 15 {
		do := rapid.Custom(func(t *rapid.T) []func(*store.Tx) error {
			return rapid.SliceOfN(rapid.Custom(WideChanges), 1, 5).Draw(t, "transactions")
		}).Example(seed)
		for i, one := range do {
			if err := []*store.Store{a, b}[(seed+i)%2].Update(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(from.news); n > 0 { // also what is long over
			if err := b.Hear(t.Context(), from.news[n/2]); err != nil {
				t.Fatal(err)
			}
		}
		follow1(t, a)
		follow1(t, b)
		whole, err := store.New(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		want := knownWide(t, whole) // it has no lease, and asks
		whole.JoinPeers(&believer{})
		for name, s := range map[string]*store.Store{"who has read everything": whole, "a": a, "b": b} {
			if got := knownWide(t, s); !reflect.DeepEqual(got, want) {
				t.Fatalf("after %d: %s knows\n%+v\nwho asks is told\n%+v", seed, name, got, want)
			}
		}
	}
}

// knownWide is what a store says of what is wide, from its memory; of when something was used it
// says nothing.
func knownWide(t testing.TB, s *store.Store) (all []any) {
	t.Helper()
	ctx := context.Background()
	host, epochs := s.Epochs()
	all = append(all, host, s.PolicyVersion(), epochs)
	for _, id := range []string{"tok_1", "one", "two", "three"} {
		token, row, known, err := s.Door(ctx, id)
		token.LastUsed = time.Time{}
		all = append(all, token, row.Connection, row.State, row.Epoch, known, err)
	}
	for _, id := range []string{"client", "one", "two", "three"} {
		client, row, _, known, err := s.ClientDoor(ctx, id)
		all = append(all, client, row.Connection, row.State, row.Epoch, known, err)
	}
	for _, id := range []access.ClientID{"app", "other"} {
		_, epoch, active, err := s.ClientNow(ctx, id)
		all = append(all, epoch, active, err)
	}
	rulesOf := map[access.ConnectionID]any{}
	for id := range epochs {
		err := s.View(ctx, func(v *store.View) error {
			d, err := v.In(id)
			if err != nil {
				return err
			}
			rules := []int64{}
			for version := range s.PolicyVersion() + 1 {
				p := store.Person{Policy: version}
				rules = append(rules, d.Rules(p))
				if d.ByPolicy(p) {
					rules = append(rules, -1)
				}
			}
			rulesOf[id] = rules
			return nil
		})
		all = append(all, err)
	}
	return append(all, rulesOf)
}

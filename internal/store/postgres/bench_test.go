//go:build lanes

package postgres

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

const someConn access.ConnectionID = "some"

var someDay = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

func must(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// populated is a store with connections in which nobody is.
func populated(t testing.TB, s *store.Store, connections ...access.ConnectionID) *store.Store {
	t.Helper()
	must(t, s, func(tx *store.Tx) error {
		for _, id := range connections {
			if _, err := tx.PutConnection(access.Connection{ID: id}, someDay); err != nil {
				return err
			}
		}
		_, err := tx.PutPolicy("hash", []byte(`{}`), someDay)
		return err
	})
	return s
}

func somePerson(i int64) store.Person {
	id := fmt.Sprintf("per_%d", i)
	name := id + "@some.example"
	doc := schema.Object{"userName": name, "externalId": id, "active": true, "displayName": "Person " + id, "title": "Driver",
		"name":   schema.Object{"familyName": "Person", "givenName": id},
		"emails": []any{schema.Object{"type": "work", "value": name, "primary": true}}}
	return store.Person{ID: access.PersonID(id), UserName: name, ExternalID: id, DisplayName: "Person " + id, Email: name, Active: true,
		Epoch: 1, Version: 1, Doc: doc.Encode(), Created: someDay, Updated: someDay}
}

// from runs fn from so many goroutines at once.
func from(b *testing.B, callers int, fn func(i int64) error) {
	b.Helper()
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	var n atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := fn(n.Add(1) - 1); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// insert is what POST /Users writes: a person, decided, with one event.
func insert(ctx context.Context, s *store.Store, conn access.ConnectionID, p store.Person) error {
	return s.UpdateFor(ctx, conn, func(tx *store.Tx) error {
		d, err := tx.In(conn)
		if err != nil {
			return err
		}
		if err := d.InsertPerson(&p); err != nil {
			return err
		}
		if err := d.SetDecided(p.Key, 1, time.Time{}); err != nil {
			return err
		}
		return tx.Append(event.Event{Type: event.PersonProvisioned, Actor: event.ByScim, At: someDay, Connection: conn, Person: p.ID})
	})
}

// People are provisioned by 16 callers: all of one connection, and of eight.
func BenchmarkInsertPerson(b *testing.B) {
	for _, connections := range []int64{1, 8} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			var ids []access.ConnectionID
			for i := range connections {
				ids = append(ids, access.ConnectionID(fmt.Sprint("c", i)))
			}
			s, w := watched(b, migrated(b), 4, maxBatchTime)
			populated(b, s, ids...)
			cost(b, w, func() {
				from(b, 16, func(i int64) error { return insert(b.Context(), s, ids[i%connections], somePerson(i)) })
			})
		})
	}
}

func fill(t testing.TB, s *store.Store, people int) {
	t.Helper()
	for from := 0; from < people; from += 1000 {
		must(t, s, func(tx *store.Tx) error {
			d, err := tx.In(someConn)
			if err != nil {
				return err
			}
			for i := from; i < min(people, from+1000); i++ {
				p := somePerson(int64(i))
				if err := d.InsertPerson(&p); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func hotGroup(t testing.TB, s *store.Store) store.Group {
	t.Helper()
	g := store.Group{ID: "grp_hot", DisplayName: "Everybody", Version: 1, Doc: []byte(`{}`), Created: someDay, Updated: someDay}
	must(t, s, func(tx *store.Tx) error {
		d, err := tx.In(someConn)
		if err != nil {
			return err
		}
		return d.InsertGroup(&g)
	})
	return g
}

// join is what adding a member writes, with one event.
func join(ctx context.Context, s *store.Store, g store.Group, key store.PersonKey) error {
	return s.UpdateFor(ctx, someConn, func(tx *store.Tx) error {
		g := g
		d, err := tx.In(someConn)
		if err != nil {
			return err
		}
		if _, err := d.AddMembers(&g, []store.PersonKey{key}, someDay); err != nil {
			return err
		}
		return tx.Append(event.Event{Type: event.MemberAdded, Actor: event.ByScim, At: someDay, Connection: someConn})
	})
}

// Members of one hot group, each recorded as an event, by 64 callers: by the engine, and as
// it would be with a transaction of its own for each, on 64 connections.
func BenchmarkHotGroup(b *testing.B) {
	const people = 20_000
	b.Run("engine", func(b *testing.B) {
		s, w := watched(b, migrated(b), 4, maxBatchTime)
		populated(b, s, someConn)
		fill(b, s, people)
		g, keys := hotGroup(b, s), keysOf(b, s, people)
		cost(b, w, func() {
			from(b, 64, func(i int64) error { return join(b.Context(), s, g, keys[i%people]) })
		})
	})
	b.Run("naive", func(b *testing.B) {
		url := migrated(b)
		s := populated(b, node(b, url), someConn)
		fill(b, s, people)
		g, keys := hotGroup(b, s), keysOf(b, s, people)
		pool, err := pgxpool.New(b.Context(), url+" pool_max_conns=64")
		if err != nil {
			b.Fatal(err)
		}
		defer pool.Close()
		cost(b, &wire{}, func() {
			from(b, 64, func(i int64) error {
				return pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error { return naive(b.Context(), tx, g.Key, int64(keys[i%people])) })
			})
		})
	})
}

func naive(ctx context.Context, tx pgx.Tx, group store.GroupKey, person int64) error {
	var id int64
	if _, err := tx.Exec(ctx, `insert into memberships (conn, grp, person, since) values (1, $1, $2, 1) on conflict do nothing`, int64(group), person); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update groups set member_count = member_count + 1, version = version + 1 where key = $1`, int64(group)); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `insert into audit (conn, body) values (1, '{}') returning id`).Scan(&id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `insert into outbox (id, at) values ($1, 1)`, id)
	return err
}

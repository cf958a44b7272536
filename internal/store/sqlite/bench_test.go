package sqlite

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

const benchConn access.ConnectionID = "bench"

func benchStore(b *testing.B) *store.Store {
	b.Helper()
	s := open(b)
	must(b, s, func(tx *store.Tx) error {
		if _, err := tx.PutConnection(access.Connection{ID: benchConn}, crashDay); err != nil {
			return err
		}
		_, err := tx.PutPolicy("hash", []byte(`{}`), crashDay)
		return err
	})
	return s
}

func must(b *testing.B, s *store.Store, fn func(*store.Tx) error) {
	b.Helper()
	if err := s.Update(b.Context(), fn); err != nil {
		b.Fatal(err)
	}
}

func benchPerson(i int64) store.Person {
	id := fmt.Sprintf("per_%d", i)
	name := id + "@bench.example"
	doc := schema.Object{"userName": name, "externalId": id, "active": true, "displayName": "Person " + id, "title": "Driver",
		"name":   schema.Object{"familyName": "Person", "givenName": id},
		"emails": []any{schema.Object{"type": "work", "value": name, "primary": true}}}
	return store.Person{ID: access.PersonID(id), UserName: name, ExternalID: id, DisplayName: "Person " + id, Email: name, Active: true,
		Epoch: 1, Version: 1, Doc: doc.Encode(), Created: crashDay, Updated: crashDay}
}

// in16 runs fn from 16 goroutines at once, as 16 HTTP connections would.
func in16(b *testing.B, fn func(i int64) error) {
	b.Helper()
	b.SetParallelism(max(1, 16/runtime.GOMAXPROCS(0)))
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

// A person, decided, with one event: what POST /Users writes.
func BenchmarkInsertPerson(b *testing.B) {
	s := benchStore(b)
	in16(b, func(i int64) error {
		p := benchPerson(i)
		return s.Update(b.Context(), func(tx *store.Tx) error {
			d, err := tx.In(benchConn)
			if err != nil {
				return err
			}
			if err := d.InsertPerson(&p); err != nil {
				return err
			}
			if err := d.SetDecided(p.Key, 1, time.Time{}); err != nil {
				return err
			}
			return tx.Append(event.Event{Type: event.PersonProvisioned, Actor: event.ByScim, At: crashDay, Connection: benchConn, Person: p.ID})
		})
	})
}

func fill(b *testing.B, s *store.Store, people int) {
	b.Helper()
	for from := 0; from < people; from += 1000 {
		must(b, s, func(tx *store.Tx) error {
			d, err := tx.In(benchConn)
			if err != nil {
				return err
			}
			for i := from; i < min(people, from+1000); i++ {
				p := benchPerson(int64(i))
				if err := d.InsertPerson(&p); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func BenchmarkReadPerson(b *testing.B) {
	const people = 20_000
	s := benchStore(b)
	fill(b, s, people)
	for name, find := range map[string]func(*store.Directory, int64) error{
		"id": func(d *store.Directory, i int64) error {
			_, err := d.Person(access.PersonID(fmt.Sprintf("per_%d", i)))
			return err
		},
		"userName": func(d *store.Directory, i int64) error {
			_, err := d.PersonByUserName(fmt.Sprintf("PER_%d@bench.example", i))
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			in16(b, func(i int64) error {
				return s.View(b.Context(), func(v *store.View) error {
					d, err := v.In(benchConn)
					if err != nil {
						return err
					}
					return find(d, i*7919%people)
				})
			})
		})
	}
}

// One member more, recorded as an event, in a small and in a huge group.
func BenchmarkAddMember(b *testing.B) {
	const people = 100_000
	s := benchStore(b)
	fill(b, s, people)
	for _, size := range []int{10, people / 2} {
		g := store.Group{ID: access.GroupID(fmt.Sprintf("grp_%d", size)), DisplayName: fmt.Sprint("Group ", size), Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}
		keys := make([]store.PersonKey, size)
		for i := range keys {
			keys[i] = store.PersonKey(i + 1)
		}
		must(b, s, func(tx *store.Tx) error {
			d, err := tx.In(benchConn)
			if err != nil {
				return err
			}
			if err := d.InsertGroup(&g); err != nil {
				return err
			}
			_, err = d.AddMembers(&g, keys, crashDay)
			return err
		})
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in16(b, func(i int64) error {
				key := store.PersonKey(int64(size) + 1 + i%(people/2))
				return s.Update(b.Context(), func(tx *store.Tx) error {
					d, err := tx.In(benchConn)
					if err != nil {
						return err
					}
					if _, err := d.RemoveMembers(&g, []store.PersonKey{key}, crashDay); err != nil {
						return err
					}
					if _, err := d.AddMembers(&g, []store.PersonKey{key}, crashDay); err != nil {
						return err
					}
					return tx.Append(event.Event{Type: event.MemberAdded, Actor: event.ByScim, At: crashDay, Connection: benchConn})
				})
			})
		})
	}
}

func BenchmarkCurrent(b *testing.B) {
	const people = 10_000
	s := benchStore(b)
	fill(b, s, people)
	subjects := make([]credential.Subject, people)
	for i := range subjects {
		subjects[i] = credential.Subject{Connection: benchConn, Person: access.PersonID(fmt.Sprintf("per_%d", i))}
		if _, err := s.Current(b.Context(), subjects[i]); err != nil {
			b.Fatal(err)
		}
	}
	in16(b, func(i int64) error {
		c, err := s.Current(b.Context(), subjects[i%people])
		if err == nil && !c.Alive {
			b.Error("not alive")
		}
		return err
	})
}

package bridge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// live gives everybody in a group a session on what they hold.
func (w *world) live(c access.ConnectionID, people []string) {
	w.t.Helper()
	for page := range slices.Chunk(people, 1000) {
		w.do(w.store.Update(w.ctx, func(tx *store.Tx) error {
			dir, err := tx.In(c)
			if err != nil {
				return err
			}
			for _, id := range page {
				p, err := dir.Person(access.PersonID(id))
				if err != nil {
					return err
				}
				held, err := dir.Assignments(p)
				if err != nil {
					return err
				}
				if len(held) != 1 {
					w.t.Fatalf("%s holds %v", id, held)
				}
				s := store.SessionRow{Session: session.Session{ID: session.ID(credential.NewID("ses")), Connection: c, Person: p.ID, State: session.Active, Active: held[0].ID,
					Version: 1, Epochs: session.Epochs{Host: 1, Connection: 1, Person: 1}, AuthTime: w.clock.Now(), Created: w.clock.Now(), Expires: w.clock.Now().Add(12 * time.Hour)},
					Cookie: credential.DigestOf(credential.NewID("cookie"))}
				if err := tx.InsertSession(s); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// sessionsOf counts the live sessions of people.
func (w *world) sessionsOf(c access.ConnectionID, people []string) (live int) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(c)
		if err != nil {
			return err
		}
		live = 0
		for _, id := range people {
			rows, err := dir.Sessions(store.Person{ID: access.PersonID(id)})
			if err != nil {
				return err
			}
			live += len(rows)
		}
		return nil
	}))
	return live
}

// BenchmarkARuleGoesThat50000SessionsStandOn: how long applying takes, after which
// everything that stands on the rule is refused, and how long until the last of these
// sessions has ended in the directory. 10,000 people beside them notice nothing.
func BenchmarkARuleGoesThat50000SessionsStandOn(b *testing.B) {
	const concerned, others = 50_000, 10_000
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b)
		people := w.people(banksia, concerned+others)
		w.hugeGroup(banksia, "GL Account Admins", people[:concerned])
		w.hugeGroup(banksia, "GL Geelong Managers", people[concerned:])
		w.policy(withoutRule("banksia-contacts"))
		w.policy(withoutRule("tundra-safety"))
		w.do(w.store.Update(w.ctx, func(tx *store.Tx) error {
			dir, err := tx.In(banksia)
			if err != nil {
				return err
			}
			ids := make([]access.PersonID, len(people))
			for i, id := range people {
				ids[i] = access.PersonID(id)
			}
			keys, err := dir.Keys(ids)
			if err != nil {
				return err
			}
			var all []store.PersonKey
			for _, k := range keys {
				all = append(all, k)
			}
			return dir.MarkDue(all)
		}))
		w.settled()
		w.live(banksia, people)
		loses, keeps := w.session(banksia, externalID(7)), w.session(banksia, externalID(concerned+7))
		b.StartTimer()
		began := time.Now()
		w.policy(withoutRule("banksia-admins"))
		applied := time.Since(began)
		w.allDead(loses, "the rule has gone")
		if browser, token, refresh := w.alive(keeps); !browser || !token || !refresh {
			b.Fatal("somebody whom the rule does not concern was signed out")
		}
		w.settled()
		b.ReportMetric(applied.Seconds()*1000, "ms/applied")
		b.ReportMetric(time.Since(began).Seconds(), "s/all-ended")
		b.StopTimer()
		if n := w.sessionsOf(banksia, people[:concerned]); n != 0 {
			b.Fatalf("%d sessions that stood on the rule live", n)
		}
		if n := w.sessionsOf(banksia, people[concerned:]); n != others+1 {
			b.Fatalf("%d of %d other sessions live", n, others+1)
		}
		w.close()
		b.StartTimer()
	}
}

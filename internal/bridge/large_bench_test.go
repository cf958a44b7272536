package bridge_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// hugeGroup is a group that feeds a rule, with members who have been decided.
func (w *world) hugeGroup(c access.ConnectionID, name string, people []string) string {
	w.t.Helper()
	group := w.group(c, name)
	for page := range slices.Chunk(people, 1000) {
		w.do(w.store.Update(w.ctx, func(tx *store.Tx) error {
			dir, err := tx.In(c)
			if err != nil {
				return err
			}
			g, err := dir.Group(access.GroupID(group))
			if err != nil {
				return err
			}
			var ids []access.PersonID
			for _, id := range page {
				ids = append(ids, access.PersonID(id))
			}
			keys, err := dir.Keys(ids)
			if err != nil {
				return err
			}
			var list []store.PersonKey
			for _, k := range keys {
				list = append(list, k)
			}
			slices.Sort(list)
			_, err = dir.AddMembers(&g, list, w.clock.Now())
			return err
		}))
	}
	return group
}

// meanwhile runs a large change and gives how long it took to be answered, and how
// long another connection's member PATCHes took meanwhile, in order.
func (w *world) meanwhile(change func()) (took time.Duration, others []time.Duration) {
	sam := w.person(southern, "sam@southern.example", "oid-sam")
	small := w.group(southern, "Field Installers")
	var over atomic.Bool
	done := make(chan time.Duration)
	go func() {
		began := time.Now()
		change()
		done <- time.Since(began)
		over.Store(true)
	}()
	for verbs, n := []string{"add", "remove"}, 0; ; n++ {
		began := time.Now()
		w.must(204, southern, "PATCH", "/Groups/"+small, memberOp(verbs[n%2], []string{sam}))
		others = append(others, time.Since(began))
		select {
		case took = <-done:
			slices.Sort(others)
			return took, others
		default:
		}
	}
}

// BenchmarkLargeChange is a large change of a group of 200,000 that feeds a rule:
// until it is answered, and what another connection's member PATCH costs meanwhile.
func BenchmarkLargeChange(b *testing.B) {
	const size = 200_000
	for name, change := range map[string]func(w *world, group string, people []string){
		"nothing, for comparison": func(*world, string, []string) { time.Sleep(2 * time.Second) },
		"emptied": func(w *world, group string, _ []string) {
			w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", nil))
		},
		"replaced by 50,000, half of them new": func(w *world, group string, people []string) {
			w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", people[size-25_000:]))
		},
		"50,000 added": func(w *world, group string, people []string) {
			w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("add", append(slices.Clone(people[:25_000]), people[size:]...)))
		},
		"50,000 removed": func(w *world, group string, people []string) {
			w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("remove", people[:50_000]))
		},
		"deleted": func(w *world, group string, _ []string) { w.must(204, banksia, "DELETE", "/Groups/"+group, "") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b)
				people := w.people(banksia, size+25_000)
				group := w.hugeGroup(banksia, "GL Geelong Managers", people[:size])
				b.StartTimer()
				took, others := w.meanwhile(func() { change(w, group, people) })
				b.ReportMetric(took.Seconds(), "s/answer")
				b.ReportMetric(float64(others[len(others)/2].Microseconds())/1000, "other-p50-ms")
				b.ReportMetric(float64(others[len(others)*99/100].Microseconds())/1000, "other-p99-ms")
				b.ReportMetric(float64(others[len(others)-1].Microseconds())/1000, "other-max-ms")
				w.close()
			}
		})
	}
}

//go:build lanes

package redis

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

func benched(b *testing.B) *Engine {
	b.Helper()
	return engine(b, start(b).where(), Limits{})
}

// BenchmarkRefresh is what a refresh asks of the engine, a rotation; each worker has a family of its own.
func BenchmarkRefresh(b *testing.B) {
	e := benched(b)
	var workers atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		id := fmt.Sprint("fam_", workers.Add(1))
		if err := e.PutFamily(b.Context(), familyOf(id, "ses_"+id)); err != nil {
			b.Error(err)
			return
		}
		for n := int64(1); pb.Next(); n++ {
			if _, outcome, err := e.Rotate(b.Context(), rotationOf(id, n)); outcome != hot.OK || err != nil {
				b.Error(outcome, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
}

// BenchmarkRotateAlone is one rotation after another, as one caller waits for it.
func BenchmarkRotateAlone(b *testing.B) {
	e := benched(b)
	if err := e.PutFamily(b.Context(), familyOf("fam", "ses")); err != nil {
		b.Fatal(err)
	}
	for n := int64(1); b.Loop(); n++ {
		if _, outcome, err := e.Rotate(b.Context(), rotationOf("fam", n)); outcome != hot.OK || err != nil {
			b.Fatal(outcome, err)
		}
	}
}

// BenchmarkCode is a code made and redeemed, each of a session of its own.
func BenchmarkCode(b *testing.B) {
	e := benched(b)
	var all atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d, g := codeOf(int(all.Add(1)))
			if err := e.PutCode(b.Context(), d, g, at(0)); err != nil {
				b.Error(err)
				return
			}
			if _, outcome, err := e.ConsumeCode(b.Context(), d, owner, at(time.Second)); outcome != hot.OK || err != nil {
				b.Error(outcome, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "codes/s")
}

// BenchmarkConsumeAlone is the redemption alone, one after another.
func BenchmarkConsumeAlone(b *testing.B) {
	e := benched(b)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		d, g := codeOf(n)
		if err := e.PutCode(b.Context(), d, g, at(0)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, outcome, err := e.ConsumeCode(b.Context(), d, owner, at(time.Second)); outcome != hot.OK || err != nil {
			b.Fatal(outcome, err)
		}
	}
}

// BenchmarkEndSession ends a session that has three families.
func BenchmarkEndSession(b *testing.B) {
	e := benched(b)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		id := fmt.Sprint("ses_", n)
		for f := range 3 {
			if err := e.PutFamily(b.Context(), familyOf(fmt.Sprint("fam_", n, "_", f), id)); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if err := e.EndSession(b.Context(), session.ID(id)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFeed is a change from its publication to a reader at another node that waits for it.
func BenchmarkFeed(b *testing.B) {
	s := start(b)
	from, to := engine(b, s.where(), Limits{}).Feed("news"), engine(b, s.where(), Limits{}).Feed("news")
	p, err := to.End(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	heard := make(chan int, 1)
	waiting := make(chan struct{})
	go func() {
		defer close(heard)
		for {
			select {
			case waiting <- struct{}{}:
			case <-b.Context().Done():
				return
			}
			changes, next, err := to.Next(b.Context(), p, 30*time.Second)
			if err != nil {
				return
			}
			p = next
			heard <- len(changes)
		}
	}()
	c := hot.Entry("of a person, or of a session")
	for b.Loop() {
		<-waiting
		if err := from.Publish(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		if _, open := <-heard; !open {
			b.Fatal("the reader has stopped")
		}
	}
}

package sqlitedb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// served is in which order the lanes of those who wait are served, when a request of
// each lane costs what is said, or 1 ms.
func served(l *lines, costs map[string]time.Duration, names map[*request]string) string {
	var order []string
	for r := l.next(); r != nil; r = l.next() {
		order = append(order, names[r])
		cost := costs[names[r]]
		if cost == 0 {
			cost = time.Millisecond
		}
		l.charge(r.lane, cost)
	}
	return strings.Join(order, " ")
}

func TestWhoSendsLittleDoesNotWaitBehindWhoSendsMuch(t *testing.T) {
	for name, c := range map[string]struct {
		sent  string
		costs map[string]time.Duration
		want  string
	}{
		"one lane is a line":                {"a1 a2 a3", nil, "a1 a2 a3"},
		"a storm, and one request":          {"a a a a a a b", nil, "a b a a a a a"},
		"two storms take turns":             {"a a a b b b", nil, "a b a b a b"},
		"three lanes":                       {"a a a b c", nil, "a b c a a"},
		"turns are of time, not of number":  {"a a a b b b b b b", map[string]time.Duration{"a": 3 * time.Millisecond}, "a b b b a b b b a"},
		"who comes first is served first":   {"b a", nil, "b a"},
		"one that is dear waits its time":   {"a b b b b b", map[string]time.Duration{"a": 9 * time.Millisecond}, "a b b b b b"},
		"nobody is behind two of the other": {"a a a a b a a a a b", nil, "a b a b a a a a a a"},
	} {
		l, names := newLines(), map[*request]string{}
		for _, word := range strings.Fields(c.sent) {
			r := &request{}
			names[r] = word
			l.join(word[:1], r)
		}
		if got := served(l, c.costs, names); got != c.want {
			t.Errorf("%s: %s are served as %s, want %s", name, c.sent, got, c.want)
		}
		if len(l.lanes) != 0 || len(l.waiting) != 0 {
			t.Errorf("%s: something is kept of those who have gone", name)
		}
	}
}

// A lane that was away saved nothing up: it is next, and then takes turns.
func TestNobodySavesUpTimeByWaiting(t *testing.T) {
	l, names := newLines(), map[*request]string{}
	join := func(name string) {
		r := &request{}
		names[r] = name
		l.join(name, r)
	}
	for range 10 {
		join("a")
	}
	for range 5 {
		l.charge(l.next().lane, time.Millisecond)
	}
	join("b")
	join("b")
	join("b")
	if got, want := served(l, nil, names), "b a b a b a a a"; got != want {
		t.Errorf("after five of a, they are served as %s, want %s", got, want)
	}
}

func TestWhoGivesUpLeavesTheLine(t *testing.T) {
	l := newLines()
	gone, stays := &request{}, &request{}
	l.join("a", gone)
	l.join("a", stays)
	l.drop(gone)
	l.drop(gone)
	if got := l.next(); got != stays {
		t.Error("the one who stayed is not served")
	}
	if l.drop(stays); l.next() != nil {
		t.Error("somebody is left")
	}
}

// While the writer is busy, a storm of one lane lines up and one request of another
// comes last: it is written second.
func TestALanesStormLeavesTheWriterToOthers(t *testing.T) {
	d := open(t)
	hold, entered := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var order []string
	write := func(lane string, before func()) func() error {
		return func() error {
			return d.UpdateIn(context.Background(), lane, func(Querier) error {
				before()
				mu.Lock()
				order = append(order, lane)
				mu.Unlock()
				return nil
			}, nil)
		}
	}
	var all sync.WaitGroup
	start := func(do func() error) {
		all.Go(func() {
			if err := do(); err != nil {
				t.Error(err)
			}
		})
	}
	start(write("storm", func() { close(entered); <-hold }))
	<-entered
	inLine := func() (n int) {
		d.writer.lines.mu.Lock()
		defer d.writer.lines.mu.Unlock()
		for _, at := range d.writer.lines.waiting {
			n += len(at.line)
		}
		return n
	}
	for i := range 100 {
		start(write("storm", func() {}))
		for inLine() < i+1 {
			time.Sleep(time.Microsecond)
		}
	}
	start(write("other", func() {}))
	for inLine() < 101 {
		time.Sleep(time.Microsecond)
	}
	close(hold)
	all.Wait()
	if order[1] != "other" || len(order) != 102 {
		t.Errorf("it was written behind %d of the storm", slices.Index(order, "other"))
	}
}

// Those who are still in line when the file is closed are told so.
func TestWhoIsInLineAtTheEndIsToldSo(t *testing.T) {
	d := open(t)
	hold, entered := make(chan struct{}), make(chan struct{})
	errs := make(chan error, 3)
	go func() {
		errs <- d.Update(context.Background(), func(Querier) error { close(entered); <-hold; return nil }, nil)
	}()
	<-entered
	for i := range 2 {
		go func() {
			errs <- d.UpdateIn(context.Background(), fmt.Sprint(i), func(Querier) error { return nil }, nil)
		}()
	}
	closed := make(chan error)
	go func() { closed <- d.Close() }()
	for !d.writer.isStopping() {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	for range 3 {
		if err := <-errs; err != nil && !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

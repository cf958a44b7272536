//go:build lanes

package redis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func changeOf(n int) hot.Entry {
	return fmt.Appendf(nil, "per_%d is elsewhere", n)
}

func publish(t *testing.T, f *Feed, from, to int) {
	t.Helper()
	var changes []hot.Entry
	for n := from; n < to; n++ {
		changes = append(changes, changeOf(n))
	}
	ok(t, f.Publish(t.Context(), changes...))
}

// follow reads all that there is.
func follow(t *testing.T, f *Feed, p hot.Offset) (all []hot.Entry, _ hot.Offset) {
	t.Helper()
	for {
		changes, next, err := f.Next(t.Context(), p, 0)
		ok(t, err)
		if len(changes) == 0 {
			return all, next
		}
		all, p = append(all, changes...), next
	}
}

func TestTheFeedResumesExactly(t *testing.T) {
	s := start(t)
	f := engine(t, s.where(), Limits{}).Feed("news")
	other := engine(t, s.where(), Limits{}).Feed("news")
	p, err := other.End(t.Context())
	ok(t, err)
	publish(t, f, 0, 2500)
	published, err := f.End(t.Context())
	ok(t, err)
	seen, p := follow(t, other, p)
	if p != published {
		t.Errorf("read up to %+v, published up to %+v", p, published)
	}
	for range 3 {
		was := len(seen)
		publish(t, f, was, was+7)
		var more []hot.Entry
		more, p = follow(t, engine(t, s.where(), Limits{}).Feed("news"), p) // another connection goes on where the one before was
		seen = append(seen, more...)
	}
	for n, c := range seen {
		if string(c) != string(changeOf(n)) {
			t.Fatalf("change %d is %s", n, c)
		}
	}
	if len(seen) != 2521 {
		t.Errorf("%d changes were seen", len(seen))
	}
}

// Many publish at once: each reader sees every change once, in the same order.
func TestTheFeedHasOneOrder(t *testing.T) {
	s := start(t)
	feeds := []*Feed{engine(t, s.where(), Limits{}).Feed("news"), engine(t, s.where(), Limits{}).Feed("news")}
	from, err := feeds[0].End(t.Context())
	ok(t, err)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 50 {
				if err := feeds[worker%2].Publish(t.Context(), changeOf(worker*50+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	one, _ := follow(t, feeds[0], from)
	two, _ := follow(t, feeds[1], from)
	seen := map[string]bool{}
	for n := range one {
		if seen[string(one[n])] || string(one[n]) != string(two[n]) {
			t.Fatalf("change %d is %s and %s", n, one[n], two[n])
		}
		seen[string(one[n])] = true
	}
	if len(seen) != 400 || len(two) != 400 {
		t.Errorf("%d and %d changes were seen", len(one), len(two))
	}
}

// A reader that waits is told at once; one that is told of nothing knows that there was nothing.
func TestTheFeedWakesWhoWaits(t *testing.T) {
	s := start(t)
	f := engine(t, s.where(), Limits{}).Feed("news")
	p, err := f.End(t.Context())
	ok(t, err)
	began := time.Now()
	if changes, next, err := f.Next(t.Context(), p, 200*time.Millisecond); err != nil || len(changes) != 0 || next != p || time.Since(began) < 150*time.Millisecond {
		t.Errorf("without a change: %v, %v after %s", changes, err, time.Since(began))
	}
	told := make(chan error, 1)
	go func() {
		told <- f.Publish(context.WithoutCancel(t.Context()), changeOf(1))
	}()
	began = time.Now()
	changes, _, err := f.Next(t.Context(), p, 20*time.Second)
	if err != nil || len(changes) != 1 || time.Since(began) > 10*time.Second {
		t.Errorf("with a change: %v, %v after %s", changes, err, time.Since(began))
	}
	ok(t, <-told)
}

// Who was away for longer than the feed is long is told so, and so is who comes from a feed that was.
func TestWhatTheFeedHasLostIsSaid(t *testing.T) {
	lostBy := map[string]func(*testing.T, *server, *Feed){
		"trimmed": func(t *testing.T, _ *server, f *Feed) {
			f.length = 100
			for n := range 20 {
				publish(t, f, n*100, n*100+100)
			}
		},
		"trimmed by hand": func(t *testing.T, s *server, f *Feed) {
			publish(t, f, 0, 10)
			p, err := f.place(t.Context(), "test")
			ok(t, err)
			s.do("XTRIM", p.key, "MAXLEN", 3)
		},
		"emptied by hand": func(t *testing.T, s *server, f *Feed) {
			publish(t, f, 0, 10)
			p, err := f.place(t.Context(), "test")
			ok(t, err)
			s.do("XTRIM", p.key, "MAXLEN", 0)
		},
		"forgotten by hand": func(t *testing.T, s *server, f *Feed) {
			p, err := f.place(t.Context(), "test")
			ok(t, err)
			s.do("DEL", p.key, p.key+":n")
			publish(t, f, 0, 5) // as many as there were: the numbers are others
		},
		"written to by others": func(t *testing.T, s *server, f *Feed) {
			p, err := f.End(t.Context())
			ok(t, err)
			at, err := f.place(t.Context(), "test")
			ok(t, err)
			s.do("INCR", at.key+":n")
			s.do("XADD", at.key, fmt.Sprintf("%d-0", p.Number+1), "c", "not ours")
		},
		"flushed":   func(t *testing.T, s *server, f *Feed) { s.do("FLUSHALL"); publish(t, f, 0, 50) },
		"restarted": func(_ *testing.T, s *server, _ *Feed) { s.Kill(); s.launch() },
		"restored": func(t *testing.T, s *server, f *Feed) {
			s.keep()
			publish(t, f, 0, 50)
			s.restore()
		},
	}
	for name, lose := range lostBy {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := start(t)
			e := engine(t, s.where(), Limits{})
			f := e.Feed("news")
			publish(t, f, 0, 5)
			p, err := f.End(t.Context())
			ok(t, err)
			lose(t, s, f)
			eventually(t, "the server answers", func() bool { return e.Answers(t.Context()) == nil })
			changes, next, err := f.Next(t.Context(), p, 0)
			if !fault.Is(err, fault.Stale) || len(changes) != 0 || next != p {
				t.Fatalf("%d changes, %v", len(changes), err)
			}
			p, err = f.End(t.Context())
			ok(t, err)
			publish(t, f, 7, 8)
			if got, _ := follow(t, f, p); len(got) != 1 || string(got[0]) != string(changeOf(7)) {
				t.Errorf("after that: %+v", got)
			}
		})
	}
}

// Without an answer nothing is confirmed.
func TestTheFeedOfADeadServerIsUnavailable(t *testing.T) {
	s := start(t)
	where := s.where()
	where.Timeout = 200 * time.Millisecond
	f := engine(t, where, Limits{}).Feed("news")
	p, err := f.End(t.Context())
	ok(t, err)
	s.freeze(t)
	began := time.Now()
	if _, _, err := f.Next(t.Context(), p, time.Second); !fault.Is(err, fault.Unavailable) || time.Since(began) > 5*time.Second {
		t.Errorf("a frozen server: %v after %s", err, time.Since(began))
	}
	s.Kill()
	if err := f.Publish(t.Context(), changeOf(1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a dead server: %v", err)
	}
}

// Two feeds know nothing of each other, and a feed takes no entry that is too large.
func TestFeedsAreApart(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	news, acks := e.Feed("news"), e.Feed("acks")
	p, err := acks.End(t.Context())
	ok(t, err)
	publish(t, news, 0, 5)
	if got, now := follow(t, acks, p); len(got) != 0 || now != p {
		t.Errorf("the other feed has %s", got)
	}
	if err := acks.Publish(t.Context(), make(hot.Entry, hot.MaxEntry+1)); !fault.Is(err, fault.Limited) {
		t.Errorf("an entry that is too large: %v", err)
	}
	ok(t, acks.Publish(t.Context(), make(hot.Entry, hot.MaxEntry), nil))
	if got, _ := follow(t, acks, p); len(got) != 2 || len(got[0]) != hot.MaxEntry || len(got[1]) != 0 {
		t.Errorf("%d entries", len(got))
	}
}

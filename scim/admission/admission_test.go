package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A bucket lets through what has been saved up, then so much a second, and says
// exactly when to come back.
func TestABucketHoldsToItsRate(t *testing.T) {
	var b Buckets
	r := Rate{PerSecond: 25, Burst: 100}
	now := start
	taken := func(tries int) (n int) {
		for range tries {
			if b.Take("a", r, now) == 0 {
				n++
			}
		}
		return n
	}
	if got := taken(200); got != 100 {
		t.Errorf("%d at once, want the burst of 100", got)
	}
	if wait := b.Take("a", r, now); wait != 40*time.Millisecond {
		t.Errorf("the next one is told to wait %s, want 40 ms", wait)
	}
	now = now.Add(39 * time.Millisecond)
	if taken(1) != 0 {
		t.Error("one came through too early")
	}
	now = now.Add(time.Millisecond)
	if taken(2) != 1 {
		t.Error("nobody, or two, came through in time")
	}
	total := 0
	for range 600 { // a minute, ten times a second, as much as it gets
		now = now.Add(100 * time.Millisecond)
		total += taken(50)
	}
	if total != 1500 {
		t.Errorf("%d in a minute, want 25 a second", total)
	}
	now = now.Add(time.Hour)
	if got := taken(200); got != 100 {
		t.Errorf("%d after an hour of silence, want the burst", got)
	}
	now = now.Add(-time.Hour)
	if taken(1) != 0 {
		t.Error("a clock that goes back gave tokens")
	}
}

// What one key uses up is its own.
func TestBucketsAreEachKeysOwn(t *testing.T) {
	var b Buckets
	r := Rate{PerSecond: 1, Burst: 10}
	for range 1000 {
		b.Take("storm", r, start)
	}
	for i := range 10 {
		if b.Take("other", r, start) != 0 {
			t.Errorf("request %d of the other was refused", i)
		}
	}
}

// What weighs more than one is charged afterwards, and held against what follows.
func TestWhatWeighsMoreIsPaidAfterwards(t *testing.T) {
	var b Buckets
	r := Rate{PerSecond: 10, Burst: 10}
	b.Take("a", r, start)
	b.Charge("a", 1000)
	b.Charge("nobody", 1000)
	if wait := b.Take("a", r, start); wait != 99200*time.Millisecond {
		t.Errorf("wait %s, want 99.2 s", wait)
	}
	if b.Take("a", r, start.Add(100*time.Second)) != 0 {
		t.Error("refused after it was paid")
	}
}

func TestFullBucketsAreForgotten(t *testing.T) {
	var b Buckets
	r := Rate{PerSecond: 10, Burst: 10}
	for i := range 50 * sweepAt {
		b.Take(fmt.Sprint(i), r, start.Add(time.Duration(i)*time.Millisecond))
	}
	if len(b.all) > 2*sweepAt {
		t.Errorf("%d buckets are held", len(b.all))
	}
}

// let makes a turnstile, lets the words in one after the other, each a key, and
// then empties it place by place: "a b" inside, then who followed.
func let(t *testing.T, most, each, line int, words string) string {
	t.Helper()
	turn := NewTurnstile(most, each, line)
	var mu sync.Mutex
	var order, inside []string
	var all sync.WaitGroup
	for _, w := range strings.Fields(words) {
		all.Go(func() {
			if err := turn.Enter(t.Context(), w); err != nil {
				order = append(order, w+":full")
				return
			}
			mu.Lock()
			order, inside = append(order, w), append(inside, w)
			mu.Unlock()
		})
		synctest.Wait()
	}
	order = append(order, "|")
	for len(inside) > 0 {
		out := inside[0]
		inside = inside[1:]
		turn.Leave(out)
		synctest.Wait()
	}
	all.Wait()
	if turn.inside != 0 || len(turn.keys) != 0 || len(turn.lines) != 0 {
		t.Errorf("%s: something is left: %+v", words, turn)
	}
	return strings.Join(order, " ")
}

func TestAPlaceGoesToWhoHasFewestInside(t *testing.T) {
	for _, c := range []struct {
		name             string
		most, each, line int
		words, want      string
	}{
		{"one key in its own line", 2, 2, 9, "a a a a", "a a | a a"},
		{"no key takes every place", 2, 1, 9, "a a b", "a b | a"},
		{"a newcomer goes before a storm", 2, 2, 9, "a a a a a b", "a a | b a a a"},
		{"then in turn", 2, 2, 9, "a a a a b b", "a a | b a b a"},
		{"without a bound, only one's own counts", 0, 2, 9, "a a a b b b c", "a a b b c | a b"},
		{"a line has an end", 1, 1, 2, "a a a a b", "a a:full | a b a"},
		{"no line is passed by", 1, 1, 9, "a a a a b b c", "a | a b c a b a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := let(t, c.most, c.each, c.line, c.words); got != c.want {
				t.Errorf("%s: %s goes in as %s, want %s", c.name, c.words, got, c.want)
			}
		})
	}
}

// Those who come one by one, again and again, take turns with a line; they are no
// newcomers each time.
func TestALineIsNotPassedByWhoComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := NewTurnstile(1, 1, 100)
		var order []string
		pass := func(key string) {
			if err := turn.Enter(t.Context(), key); err != nil {
				t.Error(err)
			}
			order = append(order, key) // one is inside
			time.Sleep(time.Millisecond)
			turn.Leave(key)
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { pass("line") })
		}
		synctest.Wait()
		for _, key := range []string{"b", "c", "d"} {
			all.Go(func() {
				for range 10 {
					pass(key)
				}
			})
		}
		all.Wait()
		for _, key := range []string{"line", "b", "c", "d"} {
			n := 0
			for _, k := range order[:20] {
				if k == key {
					n++
				}
			}
			if n < 4 || n > 8 {
				t.Errorf("%s had %d of the first 20 turns: %v", key, n, order)
			}
		}
	})
}

func TestWhoGivesUpWaitingTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := NewTurnstile(1, 1, 9)
		if err := turn.Enter(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := turn.Enter(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it is told %v", err)
		}
		turn.Leave("a")
		if err := turn.Enter(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		turn.Leave("c")
		if len(turn.keys) != 0 || turn.inside != 0 {
			t.Errorf("something is left: %+v", turn)
		}
	})
}

// Whatever many do at once, never more are inside than may be, and everybody gets in.
func TestATurnstileKeepsItsBounds(t *testing.T) {
	const most, each = 5, 2
	turn := NewTurnstile(most, each, 1000)
	var mu sync.Mutex
	inside := map[string]int{}
	var all sync.WaitGroup
	for i := range 400 {
		key := fmt.Sprint(i % 7)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%3)*time.Second*time.Duration(1+i%2*100))
			defer cancel()
			if err := turn.Enter(ctx, key); err != nil {
				return
			}
			mu.Lock()
			inside[key]++
			inside["all"]++
			if inside[key] > each || inside["all"] > most {
				t.Errorf("%d of %s and %d in all are inside", inside[key], key, inside["all"])
			}
			mu.Unlock()
			time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
			mu.Lock()
			inside[key]--
			inside["all"]--
			mu.Unlock()
			turn.Leave(key)
		})
	}
	all.Wait()
	if turn.inside != 0 || len(turn.keys) != 0 || len(turn.lines) != 0 {
		t.Errorf("something is left: %+v", turn)
	}
}

func BenchmarkAdmission(b *testing.B) {
	turn, buckets, r := NewTurnstile(0, 64, 512), &Buckets{}, Rate{1 << 30, 1 << 30}
	ctx := context.Background()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			buckets.Take("a", r, start)
			if turn.Enter(ctx, "a") == nil {
				turn.Leave("a")
			}
			buckets.Charge("a", 1)
		}
	})
}

package store

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// FuzzPosition: what is read is written the same way, and nothing else is a position.
func FuzzPosition(f *testing.F) {
	for _, text := range []string{"his_1.0", "a.12", "a.12-3-7", "a.12-7-3", "a.3-3", "", "a", ".12", "12", "a.-1", "a.1-", "A.1", "a.b.1", "a.9223372036854775808"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParsePosition(text)
		if !ok {
			return
		}
		again, ok := ParsePosition(p.String())
		if !ok || again.next != p.next || again.history != p.history || again.history == "" || !slices.Equal(again.open, p.open) || again.lowest() > again.next {
			t.Errorf("%q is read as %+v, and that as %+v", text, p, again)
		}
	})
}

// TestAPositionMissesNothing: transactions begin in the order of their numbers and end in any; who
// goes on from each position to the next, however far at a time, meets each that was committed.
func TestAPositionMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		next := int64(1)
		open, committed := map[int64]bool{}, map[int64]bool{}
		snapshot := func() Position {
			p := Position{history: "his_1", next: next}
			for x := range open {
				p.open = append(p.open, x)
			}
			slices.Sort(p.open)
			return p
		}
		unseen := func(p Position, x int64) bool { return x >= p.next || slices.Contains(p.open, x) }
		at, met := snapshot(), map[int64]int{}
		read := func(limit int) {
			now := snapshot()
			var news []int64
			for x := range committed {
				if unseen(at, x) {
					news = append(news, x)
				}
			}
			slices.Sort(news)
			cut := func(x int64) bool { return x >= at.next && limit == 0 }
			for _, x := range news {
				if cut(x) {
					break
				}
				met[x]++
				if x >= at.next {
					if limit--; limit == 0 {
						now = now.upTo(x)
					}
				}
			}
			at = now
			if rapid.Bool().Draw(t, "over the wire") {
				var ok bool
				if at, ok = ParsePosition(at.String()); !ok {
					t.Fatalf("%v cannot be read", now)
				}
			}
		}
		for range rapid.IntRange(1, maxOpen).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				open[next] = true
				next++
			case 1, 2:
				if len(open) == 0 {
					continue
				}
				x := rapid.SampledFrom(snapshot().open).Draw(t, "which")
				delete(open, x)
				committed[x] = rapid.IntRange(0, 4).Draw(t, "outcome") > 0
				if !committed[x] {
					delete(committed, x)
				}
			case 3:
				read(rapid.IntRange(1, 3).Draw(t, "limit"))
			}
		}
		for range next {
			read(1)
		}
		for x := range committed {
			if met[x] != 1 {
				t.Fatalf("transaction %d was met %d times", x, met[x])
			}
		}
	})
}

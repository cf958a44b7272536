package mapping

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Moment is what was so of a person from an instant on, as either of two policies looks
// at it (they may look at different attributes), and the request that made it so.
type Moment struct {
	At        time.Time
	Request   string
	Was, Next Facts
}

// Stretch is a time for which two policies differ about one person in one way.
type Stretch struct {
	From, Until  time.Time
	Request      string // that made it begin; "": time did, or it was so from the beginning
	Gains, Loses []Pair // what the next policy gives more, and less
}

// Replayed is what two policies make of the same history of a person.
type Replayed struct {
	Decisions int64 // instants at which both decided
	Differing int64 // of these, at which they gave something else
	Stretches []Stretch
}

// maxReplayed bounds how often time alone makes a person be decided again.
const maxReplayed = 10_000

// Replay decides at each moment, in the order of time, and whenever time alone ends a
// decision, until end. It compares which grants are held at which scopes by rules alone;
// flags and standing are not compared.
func Replay(was, next *Policy, moments []Moment, end time.Time) Replayed {
	var r Replayed
	for i, m := range moments {
		until := end
		if i+1 < len(moments) {
			until = moments[i+1].At
		}
		r.stretch(was, next, m, until)
	}
	return r
}

func (r *Replayed) stretch(was, next *Policy, m Moment, until time.Time) {
	for turn, at := 0, m.At; at.Before(until) && turn < maxReplayed; turn++ {
		before, beforeEnds := pairsAt(was, m.Was, at)
		after, afterEnds := pairsAt(next, m.Next, at)
		ends := earlier(until, earlier(beforeEnds, afterEnds))
		r.Decisions++
		one := Stretch{From: at, Until: ends, Request: m.Request, Gains: without(after, before), Loses: without(before, after)}
		if turn > 0 {
			one.Request = ""
		}
		if len(one.Gains)+len(one.Loses) > 0 {
			r.Differing++
			r.add(one)
		}
		at = ends
	}
}

// add appends a stretch, or makes the last one longer if it says the same.
func (r *Replayed) add(s Stretch) {
	if n := len(r.Stretches); n > 0 {
		last := &r.Stretches[n-1]
		if last.Until.Equal(s.From) && slices.Equal(last.Gains, s.Gains) && slices.Equal(last.Loses, s.Loses) {
			last.Until = s.Until
			return
		}
	}
	r.Stretches = append(r.Stretches, s)
}

// pairsAt is what the rules give at an instant, and when time alone changes that.
func pairsAt(p *Policy, f Facts, at time.Time) (held []Pair, ends time.Time) {
	d := Decide(p, f, at)
	all := p.Diff(nil, d.Want, access.Decided{}, at).After()
	for _, a := range all {
		if a.ValidAt(at) {
			held = append(held, Pair{a.Grant, a.Scope})
		}
	}
	ends = earlier(d.ValidUntil, NextChange(all, at))
	if !ends.After(at) {
		ends = time.Time{}
	}
	return held, ends
}

func without(a, b []Pair) []Pair {
	left := slices.DeleteFunc(slices.Clone(a), func(p Pair) bool { return slices.Contains(b, p) })
	slices.SortFunc(left, func(x, y Pair) int {
		return access.CompareAssignments(access.Assignment{Grant: x.Grant, Scope: x.Scope}, access.Assignment{Grant: y.Grant, Scope: y.Scope})
	})
	return left
}

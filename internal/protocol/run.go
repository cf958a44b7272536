package protocol

import (
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history"
	"github.com/drawbridge-id/drawbridge/internal/lease"
)

// Result is what came of a history.
type Result struct {
	Unsafe []string // what was accepted though it had ended; empty: nothing
	Wrong  []string // what took too long, or was refused though it is good; empty: nothing
	Steps  int      // how many things happened
	Uses   int      // how often a credential was shown
}

// Run makes a history happen. Say is told what happens, for people; nil: nobody is.
func Run(p Plan, f Fault, say func(string)) Result {
	w := newWorld(p, f)
	w.say, w.feed.never = say, p.NoFeed
	w.act(p)
	w.mend()
	w.runUntil(rest)
	w.restored()
	w.runUntil(Length)
	w.judge(p.Calm)
	return Result{w.unsafe, w.wrong, w.steps, len(w.record.Uses)}
}

func (w *world) act(p Plan) {
	for who := range people { // so that there is something to end
		w.after(time.Duration(300+who)*ms, func() { w.mint(w.nodes[0], who, w.everywhere) })
	}
	for _, o := range p.Ops {
		w.runUntil(o.At)
		w.do(p, o)
	}
	w.runUntil(acted)
}

func (w *world) do(p Plan, o Op) {
	n := w.nodes[o.Node%len(w.nodes)]
	w.tell("%s", o)
	switch {
	case o.Kind < Mint:
		w.change(wish{o.Kind, o.Who, w.dir.latest[o.Who]}, o.Node, 3)
	case o.Kind == Mint:
		w.mint(n, o.Who, w.everywhere)
	case o.Kind == Use:
		for _, c := range w.creds[max(0, len(w.creds)-4):] {
			w.everywhere(c)
		}
	case o.Kind >= Trim:
		w.come(p, o, n)
	default:
		w.afflict(o, n)
	}
}

// come is of what is not mended.
func (w *world) come(p Plan, o Op, n *node) {
	running := 0
	for _, m := range w.nodes {
		if !m.dead && !m.left && !m.dying {
			running++
		}
	}
	switch {
	case o.Kind == Trim:
		w.dir.trim()
	case o.Kind == Join && len(w.nodes) < len(names):
		w.join(p.Seed)
	case o.Kind == Join || running < 2 || n.dead || n.left || n.dying: // somebody must be left
	case o.Kind == Leave:
		n.leave()
	case o.Kind == Kill:
		n.dead = true
	case o.Kind == DieAtCommit:
		n.dying = true
	}
}

// afflict is of what is mended after a while.
func (w *world) afflict(o Op, n *node) {
	during := func(begin, end func()) { begin(); w.after(o.For, end) }
	switch o.Kind {
	case Pause:
		during(n.pause, n.resume)
	case Freeze:
		if n.clocks.stop(w.now) {
			during(n.pause, func() { n.clocks.start(w.now); n.resume() })
		}
	case StandStill:
		if n.clocks.stop(w.now) {
			during(func() {}, func() { n.clocks.start(w.now) })
		}
	case Forward:
		n.clocks.set(w.now, 3*o.For)
	case Back:
		n.clocks.set(w.now, -o.For/2)
	case Database:
		w.dir.ahead += 2*o.For - 2500*ms
	case Cut:
		during(func() { n.cut = true }, func() { n.cut = false })
	case Gone:
		during(func() { w.dir.gone = true }, func() { w.dir.gone = false })
	case Crash:
		w.dir.crash()
		w.dir.gone = true
		w.after(o.For/10, func() { w.dir.gone = false })
	case Deaf:
		during(func() { n.deaf = true }, func() { n.deaf = false })
	case FeedGone:
		during(func() { w.feed.gone = true }, func() { w.feed.gone = false })
	case FeedRestart:
		w.restart()
	case FeedOld:
		w.old()
	}
}

// mend ends all that is wrong, but for clocks. Who is paused comes back by themselves.
func (w *world) mend() {
	w.weather, w.dir.gone, w.feed.gone = Weather{}, false, false
	for _, n := range w.nodes {
		n.cut, n.deaf = false, false
	}
}

// restored gives everybody back what they may have, and shows that everybody is accepted
// everywhere, and that what is old is not.
func (w *world) restored() {
	d := &w.dir
	w.tell("everything is mended")
	for _, c := range w.creds {
		w.everywhere(c)
	}
	if len(d.news) > 0 && w.now < d.news[len(d.news)-1].at+lease.Longest {
		return // something came late, and may not be known yet
	}
	for who := range people {
		if !d.people[who].active || !d.wide.enabled || d.people[who].policy < d.wide.since || !d.people[who].until.IsZero() {
			continue
		}
		var n *node
		for _, m := range w.nodes {
			if m.serving && !m.dead && !m.left && m.paused == 0 {
				n = m
			}
		}
		if n == nil {
			w.fail("no node serves, at rest")
			return
		}
		w.mint(n, who, func(c *cred) {
			for _, m := range w.nodes {
				if m.serving && !m.dead && !m.left {
					w.lives(m, c)
				}
			}
		})
	}
}

// lives says whether a node accepts what is good, and from memory if its clocks are.
func (w *world) lives(n *node, c *cred) {
	n.accept(c, func(accepted bool, how string) {
		if !accepted {
			w.fail("node %d, at rest, refuses %s", n.index, c.ID)
		}
		if how != Memory && n.clocks.since < 0 {
			w.fail("node %d, at rest, has no lease", n.index)
		}
	})
}

func (w *world) judge(calm bool) {
	for _, v := range history.Outlived(w.record) {
		w.unsafe = append(w.unsafe, v.String())
	}
	w.undecided()
	for _, u := range history.Unasked(w.record) {
		if !w.excused(u) {
			w.fail("%s was refused by %s from %s, and nobody had ended it", u.Credential, u.Node, u.At)
		}
	}
	for _, s := range w.waits {
		if s.took > lease.Longest+5*ms && !s.excused {
			w.fail("a commit waited %v for the others", s.took)
		}
		if calm && !s.acked {
			w.fail("a commit waited %v for the others, though all of them heard of it", s.took)
		}
	}
}

// undecided finds what was accepted though the last decision about the person had lost its force
// (I-2), or had come to its end by any right clock (I-12).
func (w *world) undecided() {
	people := make(map[string]int, len(w.creds))
	for _, c := range w.creds {
		people[c.ID] = c.who
	}
	for at, d := range w.decides {
		if d.kind == Decide || d.at.To == history.Open {
			continue
		}
		over := d.at.To
		if d.kind == Until {
			over += d.lasts() + Bound
		}
		for i, u := range w.record.Uses {
			who := people[u.Credential]
			if u.Accepted && u.At.From > over && (d.kind == Policy || who == d.who && w.right[i]) && !w.decidedAgain(at, who, u) {
				w.unsafe = append(w.unsafe, fmt.Sprintf("%s was accepted by %s from %s, after %s at %s had been acknowledged", u.Credential, u.Node, u.At, d.wish, d.at))
			}
		}
	}
}

// decidedAgain reports whether a later decision may have come between.
func (w *world) decidedAgain(at, who int, u history.Use) bool {
	d := w.decides[at]
	for i, later := range w.decides {
		again := later.kind == Decide || d.kind == Until && later.kind == Until
		if i != at && again && later.who == who && later.at.To >= d.at.From && later.at.From <= u.At.To {
			return true
		}
	}
	return false
}

// excused reports whether a decision may have lost its force before a refusal.
func (w *world) excused(u history.Use) bool {
	for _, d := range w.decides {
		if d.kind != Decide && d.at.From <= u.At.To {
			return true
		}
	}
	return false
}

// String is a plan for people.
func (p Plan) String() string {
	text := fmt.Sprintf("seed %d: %d nodes, no feed %t, of a thousand messages %+v", p.Seed, p.Nodes, p.NoFeed, p.Weather)
	for _, o := range p.Ops {
		text += "\n  " + o.String()
	}
	return text
}

// Shrink leaves out of a history whatever it goes wrong without. Of two histories in which an Op
// differs, the messages may take otherwise: what is left is not always the least.
func Shrink(p Plan, f Fault) Plan {
	wrong := func(p Plan) bool {
		r := Run(p, f, nil)
		return len(r.Unsafe)+len(r.Wrong) > 0
	}
	for some := len(p.Ops); some >= 1; some /= 2 {
		for at := 0; at < len(p.Ops); {
			less := p
			less.Ops = slices.Delete(slices.Clone(p.Ops), at, min(at+some, len(p.Ops)))
			if wrong(less) {
				p = less
			} else {
				at += some
			}
		}
	}
	return p
}

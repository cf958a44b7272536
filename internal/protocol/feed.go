package protocol

import "time"

// entry is one of the feed's: news, or which news a node knows.
type entry struct {
	from int
	news *news
	know []int64
}

// feed brings entries to nodes: late, twice, in another order, or not at all.
type feed struct {
	log   []entry
	life  int // rises when it begins anew
	gone  bool
	never bool // there is no feed
}

// publish sends an entry to whoever listens.
func (n *node) publish(e entry) {
	w := n.w
	d := w.way(n.random)
	if d == lost || n.deaf || w.feed.never {
		return
	}
	w.after(d, func() {
		if w.feed.gone {
			return
		}
		w.feed.log = append(w.feed.log, e)
		for _, m := range w.nodes {
			w.bring(m, e)
			if w.random.IntN(1000) < w.weather.Doubled {
				w.bring(m, e)
			}
		}
	})
}

func (w *world) bring(m *node, e entry) {
	d, life := w.way(w.random), w.feed.life
	if d == lost || m.index == e.from {
		return
	}
	m.later(d, func() {
		if life == w.feed.life && !w.feed.gone && !m.deaf {
			m.take(e)
		}
	})
}

// restart loses what is under way; listeners know that there is a gap.
func (w *world) restart() {
	w.feed.life++
	w.feed.log = nil
	for _, m := range w.nodes {
		m.later(time.Duration(w.random.IntN(50))*ms, m.pollNow)
	}
}

// old makes the feed what it was some time ago: entries come again, and the latest are lost.
func (w *world) old() {
	w.feed.life++
	half := len(w.feed.log) / 2
	w.feed.log = w.feed.log[:half]
	for _, e := range w.feed.log[max(0, half-4):] {
		for _, m := range w.nodes {
			w.bring(m, e)
		}
	}
}

// take is what a node does with what it hears.
func (n *node) take(e entry) {
	for _, id := range e.know {
		n.acknowledged(e.from, id)
	}
	if e.news == nil || n.left {
		return
	}
	id := e.news.id
	known := func(ok bool) {
		if ok {
			n.publish(entry{from: n.index, know: []int64{id}})
		}
	}
	switch n.w.fault {
	case AckBeforeApply:
		known(true)
		n.later(20*ms, func() { n.hear([]news{*e.news}, func(bool) {}) })
		return
	case FeedRenews:
		n.lease = n.lease.Renewed(n.look())
	}
	n.hear([]news{*e.news}, known)
}

package bridge

import "time"

// recent are those counted within a time: each once, however often. It forgets a
// sixtieth of the time at once, and beyond mostRemembered it counts without asking who.
type recent struct {
	slice time.Duration
	last  map[uint64]int64   // who → the slice in which they were counted last
	of    map[int64][]uint64 // the other way round; whoever was counted later again is in both
	many  tally
}

// tally counts within a time.
type tally struct {
	slice time.Duration
	parts []part
	sum   int64
}

type part struct{ slice, n int64 }

// mostRemembered bounds what is remembered of one connection or group: some 60 bytes each.
const mostRemembered = 200_000

func sliceOf(within time.Duration) time.Duration { return max(within/60, time.Millisecond) }

func newRecent(within time.Duration) *recent {
	return &recent{slice: sliceOf(within), last: map[uint64]int64{}, of: map[int64][]uint64{}, many: tally{slice: sliceOf(within)}}
}

func (r *recent) add(who uint64, at time.Time) {
	n := at.UnixNano() / int64(r.slice)
	switch was, known := r.last[who]; {
	case known && was >= n:
		return
	case !known && len(r.last) >= mostRemembered:
		r.many.more(at)
		return
	}
	r.last[who] = n
	r.of[n] = append(r.of[n], who)
}

func (r *recent) remove(who uint64) { delete(r.last, who) }

func (r *recent) has(who uint64) bool { _, known := r.last[who]; return known }

func (r *recent) len() int64 { return int64(len(r.last)) + r.many.sum }

func (r *recent) forget(before time.Time) {
	first := before.UnixNano() / int64(r.slice)
	for n, all := range r.of {
		if n >= first {
			continue
		}
		for _, who := range all {
			if last, known := r.last[who]; known && last == n {
				delete(r.last, who)
			}
		}
		delete(r.of, n)
	}
	r.many.forget(before)
}

func (t *tally) more(at time.Time) { t.add(1, at) }

func (t *tally) add(n int64, at time.Time) {
	slice := at.UnixNano() / int64(t.slice)
	t.sum += n
	if last := len(t.parts) - 1; last >= 0 && t.parts[last].slice >= slice {
		t.parts[last].n += n // a little out of order counts as the latest
		return
	}
	t.parts = append(t.parts, part{slice, n})
}

func (t *tally) forget(before time.Time) {
	first := before.UnixNano() / int64(t.slice)
	for len(t.parts) > 0 && t.parts[0].slice < first {
		t.sum -= t.parts[0].n
		t.parts = t.parts[1:]
	}
}

package resource

import (
	"sync"
	"time"
)

// page is an answer of the feed (docs/applications.md).
type page struct {
	Cursor  string   `json:"cursor"`
	At      int64    `json:"at"`
	Reset   bool     `json:"reset"`
	More    bool     `json:"more"`
	Changes []change `json:"changes"`
}

type change struct {
	Claim string `json:"claim"`
	ID    string `json:"id"`
	Epoch int64  `json:"epoch"`
	Ended bool   `json:"ended"`
	Ask   int64  `json:"ask"`
	Until int64  `json:"until"`
}

// named is a claim of a token and its value.
type named struct{ claim, id string }

// names are the five of a token, in the order of its epochs, and its family, which has
// none: it ends, or lives.
func (t Token) names() [6]named {
	return [6]named{{"host", ""}, {"connection", t.Connection}, {"client_id", t.Client}, {"sub", t.Subject}, {"sid", t.Session}, {"family", t.family}}
}

// mark is the latest that was heard about one of them.
type mark struct {
	epoch int64
	ended bool
	until int64
	ask   int64     // Unix seconds
	turn  uint64    // when ask was heard
	old   time.Time // no token that it concerns is left then
}

// feed is what has been heard. Before anything was, it is silent.
type feed struct {
	mu    sync.RWMutex // guards what follows
	at    string
	marks map[named]mark
	turn  uint64    // rises with every answer
	heard time.Time // when all that there is was heard
	swept time.Time
}

func newFeed() *feed { return &feed{marks: map[named]mark{}} }

func (f *feed) cursor() string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.at
}

func (f *feed) turnNow() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.turn
}

// silent reports whether nothing was heard for so long.
func (f *feed) silent(now time.Time, lease time.Duration) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.heard.IsZero() || now.Sub(f.heard) > lease
}

// maxMarks is how much is remembered. When there is more, all that is known is that
// something ended, and every token that exists is asked about.
const maxMarks = 1 << 18

func (f *feed) apply(p page, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
	f.at = p.Cursor
	if !p.More { // else there is something that was not heard yet
		f.heard = now
	}
	if p.Reset || len(f.marks)+len(p.Changes) > maxMarks {
		f.marks = map[named]mark{}
		f.putLocked(change{Claim: "host", Ask: p.At}, now)
	}
	for _, c := range p.Changes {
		f.putLocked(c, now)
	}
	if now.Sub(f.swept) > time.Minute {
		f.sweepLocked(now)
	}
}

// putLocked replaces what was known: epochs only rise. That something must be asked
// stays so for as long as there are tokens that it concerns.
func (f *feed) putLocked(c change, now time.Time) {
	n := named{c.Claim, c.ID}
	m := mark{epoch: c.Epoch, ended: c.Ended, until: c.Until, ask: c.Ask, turn: f.turn, old: now.Add(2 * maxLife)}
	was := f.marks[n]
	m.epoch = max(m.epoch, was.epoch)
	if c.Ask == 0 {
		m.ask, m.turn = was.ask, was.turn
	}
	if until := time.Unix(c.Until, 0).Add(maxLife); c.Until > 0 && until.After(m.old) {
		m.old = until
	}
	f.marks[n] = m
}

func (f *feed) sweepLocked(now time.Time) {
	f.swept = now
	for n, m := range f.marks {
		if now.After(m.old) {
			delete(f.marks, n)
		}
	}
}

type verdict uint8

const (
	dead    verdict = iota // it counts no longer
	unknown                // the bridge must be asked, unless it was in this turn or later
	counts
)

// judge holds a token against what was heard.
func (f *feed) judge(t Token, now time.Time) (verdict, uint64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v, turn := counts, uint64(0)
	for i, n := range t.names() {
		m, there := f.marks[n]
		switch {
		case !there:
		case m.ended, i < len(t.epochs) && t.epochs[i] < m.epoch, m.until > 0 && now.Unix() >= m.until && t.IssuedAt.Unix() < m.until:
			return dead, 0
		case t.IssuedAt.Unix() <= m.ask:
			v, turn = unknown, max(turn, m.turn)
		}
	}
	return v, turn
}

// answer is what the bridge said about a token.
type answer struct {
	turn      uint64 // of the feed, before it was asked
	ends      time.Time
	workflows []string
	grant     Grant
}

// answers are kept by the digest of the token.
type answers struct {
	mu  sync.Mutex // guards all
	all map[[16]byte]answer
}

const maxAnswers = 1 << 15

func (a *answers) get(digest [16]byte, turn uint64) (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.all[digest]
	return found, ok && found.turn >= turn
}

func (a *answers) put(digest [16]byte, x answer, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) >= maxAnswers {
		for d, old := range a.all {
			if now.After(old.ends) {
				delete(a.all, d)
			}
		}
	}
	if len(a.all) >= maxAnswers || a.all == nil {
		a.all = map[[16]byte]answer{} // what is missing is asked again
	}
	a.all[digest] = x
}

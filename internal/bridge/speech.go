package bridge

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

// speechEvery is how often counts of requests are written down: a crash loses those
// since.
const speechEvery = 10 * time.Second

// mostHeard bounds the counts that wait to be written, in connections and days. A
// connection beyond it is not counted until then; it is answered like any other.
const mostHeard = 4096

// speech counts what connections' requests are like until Run writes it down.
type speech struct {
	mu      sync.Mutex // guards what follows
	heard   map[heardAt]*dialect.Speech
	written time.Time
}

type heardAt struct {
	conn access.ConnectionID
	day  time.Time
}

// Hear counts a request that was answered: signs and notes as package dialect has
// them. It writes nothing.
func (b *Bridge) Hear(conn access.ConnectionID, signs, notes []string) {
	key := heardAt{conn, store.DayOf(b.now())}
	b.speech.mu.Lock()
	defer b.speech.mu.Unlock()
	s := b.speech.heard[key]
	if s == nil {
		if len(b.speech.heard) >= mostHeard {
			return
		}
		s = &dialect.Speech{}
		b.speech.keep(key, s)
	}
	s.Hear(signs, notes)
}

func (s *speech) keep(key heardAt, said *dialect.Speech) {
	if s.heard == nil {
		s.heard = map[heardAt]*dialect.Speech{}
	}
	s.heard[key] = said
}

// take hands out what has been counted, if it is time to write it down.
func (s *speech) take(now time.Time, all bool) map[heardAt]*dialect.Speech {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heard) == 0 || !all && now.Sub(s.written) < speechEvery {
		return nil
	}
	taken := s.heard
	s.heard, s.written = nil, now
	return taken
}

// restore puts back what could not be written.
func (s *speech) restore(taken map[heardAt]*dialect.Speech) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, said := range taken {
		if have := s.heard[key]; have != nil {
			have.Add(*said)
		} else if len(s.heard) < mostHeard {
			s.keep(key, said)
		}
	}
}

// since is a copy of what has been counted for a connection and not been written.
func (s *speech) since(conn access.ConnectionID) map[time.Time]dialect.Speech {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[time.Time]dialect.Speech{}
	for key, said := range s.heard {
		if key.conn == conn {
			var c dialect.Speech
			c.Add(*said)
			found[key.day] = c
		}
	}
	return found
}

// writeSpeech writes down what has been counted; all: at once, since the end is near.
func (b *Bridge) writeSpeech(ctx context.Context, all bool) error {
	now := b.now()
	taken := b.speech.take(now, all)
	if taken == nil {
		return nil
	}
	var counts []store.SpeechCount
	for key, said := range taken {
		for word, n := range words(*said) {
			counts = append(counts, store.SpeechCount{Connection: key.conn, Day: key.day, Word: word, Count: n})
		}
	}
	if len(counts) == 0 {
		return nil
	}
	err := b.store.Update(ctx, func(tx *store.Tx) error { return tx.AddSpeech(counts, now) })
	if err != nil {
		b.speech.restore(taken)
	}
	return err
}

// The words under which counts are stored; kinds of leniency and signs stand behind
// their prefix.
const (
	wordRequests   = "requests"
	wordLenient    = "lenient"
	prefixLeniency = "leniency:"
	prefixSign     = "sign:"
)

func words(s dialect.Speech) map[string]int64 {
	if s.Requests == 0 {
		return nil // a checker's, which are not counted
	}
	all := map[string]int64{wordRequests: s.Requests}
	if s.Lenient > 0 {
		all[wordLenient] = s.Lenient
	}
	for kind, n := range s.Leniencies {
		all[prefixLeniency+kind] = n
	}
	for sign, n := range s.Signs {
		all[prefixSign+sign] = n
	}
	return all
}

// spoken is words the other way round. A word of a later version is passed over.
func spoken(s *dialect.Speech, word string, n int64) {
	add := dialect.Speech{}
	switch kind, isKind := strings.CutPrefix(word, prefixLeniency); {
	case word == wordRequests:
		add.Requests = n
	case word == wordLenient:
		add.Lenient = n
	case isKind:
		add.Leniencies = map[string]int64{kind: n}
	default:
		if sign, isSign := strings.CutPrefix(word, prefixSign); isSign {
			add.Signs = map[string]int64{sign: n}
		}
	}
	s.Add(add)
}

// SpeechDay is what a connection's requests were like on one UTC day.
type SpeechDay struct {
	Day time.Time // its beginning
	dialect.Speech
}

// SpeechOf is what a connection's requests were like, the present day first even if
// it is silent, then each day that was not, of as many days as asked for.
func (b *Bridge) SpeechOf(ctx context.Context, conn access.ConnectionID, days int) ([]SpeechDay, error) {
	today := store.DayOf(b.now())
	since := today.AddDate(0, 0, 1-min(max(days, 1), store.SpeechDays))
	by := b.speech.since(conn)
	var counts []store.SpeechCount
	err := b.store.View(ctx, func(v *store.View) (err error) {
		counts, err = v.Speech(conn, since)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, c := range counts {
		s := by[c.Day]
		spoken(&s, c.Word, c.Count)
		by[c.Day] = s
	}
	all := []SpeechDay{{Day: today, Speech: by[today]}}
	delete(by, today)
	for _, day := range slices.SortedFunc(maps.Keys(by), func(x, y time.Time) int { return y.Compare(x) }) {
		if !day.Before(since) {
			all = append(all, SpeechDay{Day: day, Speech: by[day]})
		}
	}
	return all, nil
}

// speaksDays is how far back one looks for whom a connection sounds like.
const speaksDays = 7

// Speaks is what a connection's requests say about who sends them.
type Speaks struct {
	Configured dialect.Dialect
	Verdict    dialect.Verdict // by the latest day that gives something away
	Today      dialect.Speech
	Beyond     []string // the leniencies of these days that its dialect is not known to need
}

// Speaks looks at the last seven days of a connection.
func (b *Bridge) Speaks(ctx context.Context, c access.Connection) (Speaks, error) {
	days, err := b.SpeechOf(ctx, c.ID, speaksDays)
	if err != nil {
		return Speaks{}, err
	}
	configured, _ := dialect.Named(c.IdP) // a name that nobody knows says as little as other
	s := Speaks{Configured: configured, Today: days[0].Speech}
	var week dialect.Speech
	for _, day := range days {
		week.Add(day.Speech)
		if v := day.Detect(); len(s.Verdict.Names) == 0 {
			s.Verdict = v
		}
	}
	s.Beyond = week.Beyond(configured)
	return s, nil
}

// String tells whom the connection speaks like and what it relied on today.
func (s Speaks) String() string {
	return "speaks " + s.Verdict.String() + "; today " + s.Today.Reliance()
}

// Contradicts says that the connection is set up for another identity provider than
// it hears.
func (s Speaks) Contradicts() bool { return s.Verdict.Contradicts(s.Configured.Name) }

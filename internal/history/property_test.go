package history

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// lived draws a history of one person in a system that keeps its promise: every request
// takes effect at one instant inside its span.
type lived struct {
	t       *rapid.T
	now     time.Duration
	active  bool
	epoch   int
	epochOf map[string]int
	record  Record
}

// span is of a request that takes effect now.
func (l *lived) span() Span {
	l.now += 10
	before, after := rapid.IntRange(1, 30).Draw(l.t, "before"), rapid.IntRange(1, 30).Draw(l.t, "after")
	return Span{max(0, l.now-time.Duration(before)), l.now + time.Duration(after)}
}

func (l *lived) step() {
	switch rapid.IntRange(0, 3).Draw(l.t, "verb") {
	case 0:
		l.active, l.epoch = false, l.epoch+1
		l.record.Ends = append(l.record.Ends, End{Key: "ada", What: "off", At: l.span(), Acked: rapid.Bool().Draw(l.t, "acked")})
	case 1:
		l.active = true
		at := l.span()
		if rapid.IntRange(0, 4).Draw(l.t, "unanswered") == 0 {
			at.To = Open
		}
		l.record.Begins = append(l.record.Begins, Begin{Key: "ada", At: at})
	case 2:
		if id := fmt.Sprint("t", len(l.epochOf)); l.active {
			l.epochOf[id] = l.epoch
			l.record.Credentials = append(l.record.Credentials, Credential{ID: id, Made: l.span(), Keys: []string{"ada"}})
		}
	case 3:
		for id, epoch := range l.epochOf {
			l.record.Uses = append(l.record.Uses, Use{Credential: id, At: l.span(), Accepted: l.active && epoch == l.epoch})
		}
	}
}

func live(t *rapid.T) *lived {
	l := &lived{t: t, active: true, epochOf: map[string]int{}}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		l.step()
	}
	return l
}

func TestARightHistoryIsRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if found := Outlived(live(t).record); len(found) > 0 {
			t.Fatalf("%s", found[0])
		}
	})
}

// What is accepted after everything else, though an end was acknowledged after it had been
// made, is always found.
func TestAWrongHistoryIsWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := live(t)
		l.now += 100
		l.record.Credentials = append(l.record.Credentials, Credential{ID: "planted", Made: l.span(), Keys: []string{"ada"}})
		l.now += 100
		l.record.Ends = append(l.record.Ends, End{Key: "ada", At: l.span(), Acked: true})
		l.now += 100
		l.record.Uses = append(l.record.Uses, Use{Credential: "planted", At: l.span(), Accepted: true})
		if len(Outlived(l.record)) == 0 {
			t.Fatal("not found")
		}
	})
}

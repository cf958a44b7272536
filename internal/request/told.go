package request

import (
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Told is what the person is told of the request, in words that customers may read: no
// grant by its own name, and nothing of the case.
func (r Request) Told(s Setting) string {
	t := r.Result()
	what := fmt.Sprintf("%s at %s", s.Catalogue.PublicName(t.Grant), strings.Join(s.Tree.Names(t.Scope), ", "))
	switch r.StateAt(s.Now) {
	case Open:
		return fmt.Sprintf("Asked for: %s. It will be decided by %s.", what, stamp(r.DecideBy))
	case Unconfirmed:
		return fmt.Sprintf("You have %s now. Unless it is confirmed, it ends on %s.", what, stamp(r.DecideBy))
	case Granted:
		return fmt.Sprintf("Granted: %s%s.", what, span(r.Wish.NotBefore, t.Until, s.Now))
	case Denied:
		return fmt.Sprintf("Refused: %s.%s", what, because(r.Because))
	case Withdrawn:
		return fmt.Sprintf("Taken back: %s.", what)
	case Lapsed:
		return fmt.Sprintf("Not decided in time: %s. Ask again if it is still needed.", what)
	case Expired:
		return fmt.Sprintf("Ended: %s. Nobody confirmed it in time.", what)
	}
	return ""
}

// ToldEnded is what the person is told of what was granted and is over.
func (r Request) ToldEnded(s Setting) string {
	t := r.Result()
	return fmt.Sprintf("Ended: %s at %s. Ask again if it is still needed.", s.Catalogue.PublicName(t.Grant), strings.Join(s.Tree.Names(t.Scope), ", "))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " " + strings.TrimRight(reason, ". ") + "."
}

func span(from, until, now time.Time) string {
	var s string
	if from.After(now) {
		s = ", from " + stamp(from)
	}
	if !until.IsZero() {
		s += ", until " + stamp(until)
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") }

// LastHint is what an approver must know of the last administrator of a scope; "" if they
// need not.
func LastHint(t *access.Tree, of Terms, others bool) string {
	if !EndsLast(of, others) {
		return ""
	}
	return fmt.Sprintf("%s has no other administrator without an end: name a successor, or confirm that there will be none", t.Path(of.Scope))
}

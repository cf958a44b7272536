package credential

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// The reason codes of a refusal, beside Current.Why when something has ended.
const (
	ReasonMalformed   = "malformed"    // not a credential of ours
	ReasonExpired     = "expired"      // its own end, or its session's, has come
	ReasonSuperseded  = "superseded"   // made before an integer was raised
	ReasonSubject     = "subject"      // made for somebody or something else
	ReasonEnded       = "ended"        // not alive, and nobody said why
	ReasonFamilyEnded = "tokens_ended" // what the sign-in led to has ended, and its session lives
	// ReasonUndecided: everything else is good, but the person's last decision is
	// of an older policy or ran out. Recompute and ask again.
	ReasonUndecided = "undecided"
)

// Accept is the one comparison. It gives nil only if the credential and the
// directory name the same subject under the same five integers, all that stands
// above it is alive and decided, and no end has come; otherwise
// fault.Unauthenticated with a reason.
//
// ReasonUndecided is given last, when nothing else speaks against the credential,
// so that the caller may recompute the person's decision and try once more.
func Accept(b Bound, c Current, now time.Time) error {
	why := refusal(b, c, now)
	if why == "" {
		return nil
	}
	return fault.New(fault.Unauthenticated, "credential.Accept", "the credential is no longer accepted").Because(why)
}

func refusal(b Bound, c Current, now time.Time) string {
	if planted.Bug(planted.SweeperOnlyExpiry) {
		c.ValidUntil = time.Time{}
	}
	switch {
	case !now.Before(b.Expires):
		return ReasonExpired
	case !c.Alive && c.Why != "":
		return c.Why
	case !c.Alive:
		return ReasonEnded
	case b.Subject != c.Subject || !b.Subject.whole():
		return ReasonSubject
	case b.Epochs != c.Epochs || !b.Epochs.live(b.Subject):
		return ReasonSuperseded
	case !now.Before(c.SessionExpires):
		return ReasonExpired
	case !c.Decided || !c.ValidUntil.IsZero() && !now.Before(c.ValidUntil):
		return ReasonUndecided
	}
	return ""
}

// whole reports whether every part that is always there is there.
func (s Subject) whole() bool { return s.Connection != "" && s.Person != "" && s.Session != "" }

// live reports whether every counter has started. A browser session's cookie has
// no client, and so no client's counter.
func (e Epochs) live(s Subject) bool {
	client := e.Client >= 1
	if s.Client == "" {
		client = e.Client == 0
	}
	return e.Host >= 1 && e.Connection >= 1 && client && e.Person >= 1 && e.Session >= 1
}

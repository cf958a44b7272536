package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// loss is one thing that somebody loses: what a plan shows, and apply holds against it.
type loss uint64

// The kinds of losses.
const (
	lostAll      = "lost"     // an assignment
	lostSome     = "narrowed" // flags, standing or time of one
	lostSight    = "sight"    // what lay below the scope of one
	lostAnything = "nothing"  // the person ends with nothing
)

func lossOf(kind string, conn access.ConnectionID, person access.PersonID, a access.Assignment) loss {
	sum := sha256.Sum256([]byte(kind + "\x00" + string(conn) + "\x00" + string(person) + "\x00" + string(a.Grant) + "\x00" + string(a.Scope)))
	return loss(binary.BigEndian.Uint64(sum[:8]))
}

// visible reports whether there is anything to tell: an assignment that only changes
// its source is none.
func (c PersonChange) visible() bool {
	return len(c.Gains)+len(c.Loses)+len(c.Alters) > 0 || c.Sessions > 0
}

// losing reports whether the person loses an assignment, or something of one.
func (c PersonChange) losing() bool {
	return len(c.Loses) > 0 || slices.ContainsFunc(c.Alters, func(h PlannedHolding) bool { return h.Narrows })
}

// changeOf puts what becomes of somebody into words, in those of the policy before and
// of the one to come.
func changeOf(who PersonName, old, next *mapping.Policy, plan mapping.Plan, before, after []access.Assignment, now time.Time) PersonChange {
	c := PersonChange{Connection: who.Connection, Person: who.Person, UserName: who.UserName}
	holds := func(a access.Assignment) bool { return holdsAt(a, now) }
	for _, a := range plan.Drop {
		if holds(a) {
			c.Loses = append(c.Loses, holdingOf(old, a))
			c.losses = append(c.losses, lossOf(lostAll, who.Connection, who.Person, a))
		}
	}
	for _, a := range plan.Give {
		if holds(a) {
			c.Gains = append(c.Gains, holdingOf(next, a))
		}
	}
	for _, ch := range plan.Change {
		switch {
		case ch.From.SameUse(ch.To):
		case !holds(ch.From):
			c.Gains = append(c.Gains, holdingOf(next, ch.To))
		default:
			h := holdingOf(next, ch.To)
			h.Was, h.Narrows = differences(ch.From, ch.To)
			c.Alters = append(c.Alters, h)
			if h.Narrows {
				c.losses = append(c.losses, lossOf(lostSome, who.Connection, who.Person, ch.To))
			}
		}
	}
	if slices.ContainsFunc(before, holds) && !slices.ContainsFunc(after, holds) {
		c.WithoutAccess = true
		c.losses = append(c.losses, lossOf(lostAnything, who.Connection, who.Person, access.Assignment{}))
	}
	return c
}

// holdingOf is an assignment as people read it.
func holdingOf(p *mapping.Policy, a access.Assignment) PlannedHolding {
	s, _ := p.Tree().Scope(a.Scope)
	h := PlannedHolding{Is: p.Describe(a.Grant, a.Scope), Standing: a.Standing, Flags: a.Flags, Risk: p.Catalogue().RiskOf(s.Level, a.Grant, a.Flags),
		Demands: p.Catalogue().Demands(a.Grant).String(), Until: a.Until, LastUsed: a.LastUsed}
	for _, s := range a.Sources {
		by := s.ID
		if s.Kind != access.SourceRule {
			by = string(s.Kind) + ":" + s.ID
		}
		if !slices.Contains(h.Rules, by) {
			h.Rules = append(h.Rules, by)
		}
	}
	return h
}

// differences are what was different, and whether any of it is lost.
func differences(from, to access.Assignment) (was []string, narrows bool) {
	if from.Standing != to.Standing {
		was = append(was, string(from.Standing))
		narrows = narrows || from.Standing == access.Primary
	}
	if from.Flags.Events != to.Flags.Events {
		was = append(was, "events "+from.Flags.Events.String())
	}
	if from.Flags.Video != to.Flags.Video {
		was = append(was, "video "+strconv.FormatBool(from.Flags.Video))
	}
	if !from.Until.Equal(to.Until) {
		until := "no end"
		if !from.Until.IsZero() {
			until = "until " + from.Until.UTC().Format(time.RFC3339)
		}
		was = append(was, until)
	}
	if !from.NotBefore.Equal(to.NotBefore) {
		since := "begun"
		if !from.NotBefore.IsZero() {
			since = "from " + from.NotBefore.UTC().Format(time.RFC3339)
		}
		was = append(was, since)
	}
	sooner := !to.Until.IsZero() && (from.Until.IsZero() || to.Until.Before(from.Until))
	return was, narrows || sooner || to.NotBefore.After(from.NotBefore) || from.Flags.Union(to.Flags) != to.Flags
}

// hashOf names a plan: what it was compared with, the policy, and exactly what is
// lost, in order.
func hashOf(base int64, policy string, losses []loss) string {
	var b bytes.Buffer
	b.WriteString("drawbridge plan 1\n" + strconv.FormatInt(base, 10) + "\n" + policy + "\n")
	b.Write(lossBytes(losses))
	sum := sha256.Sum256(b.Bytes())
	return hexOf(sum[:planHashBytes])
}

// lossBytes are losses as they are stored: 8 bytes each, in order.
func lossBytes(losses []loss) []byte {
	b := make([]byte, 0, 8*len(losses))
	for _, l := range losses {
		b = binary.BigEndian.AppendUint64(b, uint64(l))
	}
	return b
}

// shownLosses are the losses that a plan showed.
type shownLosses []byte

// has reports whether the plan showed it.
func (s shownLosses) has(l loss) bool {
	want := binary.BigEndian.AppendUint64(nil, uint64(l))
	lo, hi := 0, len(s)/8
	for lo < hi {
		mid := (lo + hi) / 2
		if bytes.Compare(s[8*mid:8*mid+8], want) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(s)/8 && bytes.Equal(s[8*lo:8*lo+8], want)
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

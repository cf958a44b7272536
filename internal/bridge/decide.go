package bridge

import (
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why something is given, where no identity provider did anything: another policy was
// applied, or it is given anew after several changes (settleAfter).
const (
	becausePolicy = "policy"
	becauseAgain  = "again"
)

// decide makes one person's assignments what the active policy wants now, and
// moves their sessions accordingly. It is the only writer of assignments.
func (c *change) decide(p store.Person) error {
	held, err := c.dir.Stored(p)
	if err != nil {
		return err
	}
	facts, err := c.dir.Facts(p, c.policy.Attributes(c.conn))
	if err != nil {
		return err
	}
	by, err := c.dir.Decided(p)
	if err != nil {
		return err
	}
	return c.settle(p, held, c.wanted(facts), by)
}

// decideAll is decide for several people, whose rows are read together.
func (c *change) decideAll(people []store.Person) error {
	switch len(people) {
	case 0:
		return nil
	case 1:
		return c.decide(people[0])
	}
	bases, err := c.dir.Bases(people, c.policy.Attributes(c.conn))
	if err != nil {
		return err
	}
	for i, p := range people {
		if err := c.decideBy(p, bases[i]); err != nil {
			return err
		}
	}
	return nil
}

// decideBy is decide for a person of whom everything has been read.
func (c *change) decideBy(p store.Person, b store.Basis) error {
	live := func() ([]store.SessionRow, error) { return b.Sessions, nil }
	return c.settleWith(p, b.Held, live, c.wanted(b.Facts), b.Decided)
}

// decideNew is decide for a person inserted in this transaction, who holds
// nothing and is in no group.
func (c *change) decideNew(p store.Person) error {
	facts := mapping.Facts{Connection: c.conn, Person: p.ID, Active: p.Active, Certification: p.Claimed}
	return c.settle(p, nil, c.wanted(facts), access.Decided{})
}

func (c *change) settle(p store.Person, held []access.Assignment, d mapping.Decision, by access.Decided) error {
	return c.settleWith(p, held, func() ([]store.SessionRow, error) { return c.dir.Sessions(p) }, d, by)
}

// settleWith is settle where live has the person's live sessions.
func (c *change) settleWith(p store.Person, held []access.Assignment, live func() ([]store.SessionRow, error), d mapping.Decision, by access.Decided) error {
	plan := c.policy.Diff(held, d.Want, by, c.now)
	if !p.Active { // deactivation ends what people decided, too
		plan = mapping.DropAll(held)
	}
	ended, err := c.endPermits(p, by)
	if err != nil {
		return err
	}
	for _, a := range plan.Drop {
		c.keepUse(a)
	}
	for i := range plan.Give {
		plan.Give[i].ID = access.AssignmentID(credential.NewIDAt("asg", c.now))
		plan.Give[i].Person = p.ID
		plan.Give[i].LastUsed = c.lastUsed[useOf(plan.Give[i])]
	}
	after := plan.After()
	if !plan.Empty() {
		if err := c.dir.ApplyPlan(p, plan); err != nil {
			return err
		}
		c.tell(p.ID, plan)
		rows, err := live()
		if err != nil {
			return err
		}
		if err := c.moveSessions(rows, held, after); err != nil {
			return err
		}
		if err := c.findExceptions(p, held, after, by); err != nil {
			return err
		}
		if err := c.claimLapsed(p, plan.Drop); err != nil {
			return err
		}
	}
	validUntil := earliest(d.ValidUntil, mapping.NextChange(after, c.now))
	if !ended && p.Policy == c.policy.version && p.ValidUntil.Equal(validUntil) {
		return nil
	}
	return c.dir.SetDecided(p.Key, c.policy.version, validUntil)
}

// pairOf is what stays the same when an assignment is dropped and given again.
type pairOf struct {
	person access.PersonID
	mapping.Pair
}

func useOf(a access.Assignment) pairOf {
	return pairOf{a.Person, mapping.Pair{Grant: a.Grant, Scope: a.Scope}}
}

// keepUse remembers when an assignment was last used that is dropped: where all is
// dropped to be given again (settleAfter), that is still when it was used.
func (c *change) keepUse(a access.Assignment) {
	if a.LastUsed.IsZero() {
		return
	}
	if c.lastUsed == nil {
		c.lastUsed = map[pairOf]time.Time{}
	}
	c.lastUsed[useOf(a)] = a.LastUsed
}

// tell records what a plan did, so that it can be answered later what was held: ids
// and words only, no names.
func (c *change) tell(p access.PersonID, plan mapping.Plan) {
	about := func(a access.Assignment) map[string]string {
		data := map[string]string{"assignment": string(a.ID), "grant": string(a.Grant), "scope": string(a.Scope),
			"standing": string(a.Standing), "events": a.Flags.Events.String(), "video": strconv.FormatBool(a.Flags.Video)}
		noteInstant(data, "not_before", a.NotBefore)
		noteInstant(data, "until", a.Until)
		if len(a.Sources) > 0 {
			data["source"] = sourceName(a.Sources[0])
			if a.Sources[0].Group != "" {
				data["group"] = string(a.Sources[0].Group)
			}
		}
		if len(a.Sources) > 1 {
			data["more_sources"] = sourceNames(a.Sources[1:])
		}
		return data
	}
	for _, a := range plan.Give {
		data := about(a)
		because := c.notByIdP(a)
		if because == "" && slices.ContainsFunc(plan.Drop, func(d access.Assignment) bool { return d.Grant == a.Grant && d.Scope == a.Scope }) {
			because = becauseAgain // its time was over meanwhile
		}
		if because != "" {
			data["because"] = because
		}
		c.say(event.AssignmentGiven, p, data)
	}
	for _, ch := range plan.Change {
		c.say(event.AssignmentChanged, p, c.putRightNoted(about(ch.To)))
	}
	for _, a := range plan.Drop {
		c.say(event.AssignmentDropped, p, c.putRightNoted(about(a)))
	}
}

// putRightNoted notes with what is changed or dropped that nobody did anything: it had not
// been decided so.
func (c *change) putRightNoted(data map[string]string) map[string]string {
	if c.because == becauseReconciled {
		data["because"] = becauseReconciled
	}
	return data
}

// notByIdP says why an assignment that is given is no gain by what an identity provider
// did; "" if it is.
func (c *change) notByIdP(a access.Assignment) string {
	switch {
	case c.because != "":
		return c.because
	case c.had[mapping.Pair{Grant: a.Grant, Scope: a.Scope}]:
		return becauseAgain
	}
	return ""
}

// moveSessions reconciles a person's live sessions with what is held now: a
// session whose active assignment is untouched is untouched.
func (c *change) moveSessions(rows []store.SessionRow, before, after []access.Assignment) error {
	for _, row := range rows {
		next, events := session.Reconcile(row.Session, before, after, c.now)
		if next.Version == row.Version && next.State == row.State {
			continue
		}
		if err := c.keep(next, events); err != nil {
			return err
		}
	}
	return nil
}

// endSessions ends every live session of a person for one reason.
func (c *change) endSessions(p store.Person, reason string) error {
	rows, err := c.dir.Sessions(p)
	if err != nil {
		return err
	}
	return c.end(rows, reason)
}

func (c *change) keep(s session.Session, events []event.Event) error {
	if err := c.tx.UpdateSession(s, nil); err != nil {
		return err
	}
	c.add(events)
	c.ended = append(c.ended, s.ID)
	return nil
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

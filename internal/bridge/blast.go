package bridge

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// The blast guard. What an identity provider does by itself is done at once, above all
// when it takes access away: nothing of it is delayed, held or asked about. What is
// large is told: an alarm is an event of the audit trail, a line of doctor and
// connection show, and a count. restore is what can be done about it.

// The kinds of alarms.
const (
	KindMassGain     = "mass_gain"
	KindReconciled   = "reconciled"
	KindGroupDeleted = "group_deleted"
	KindGroupShrunk  = "group_shrunk"
	// KindLastUnanswered is no identity provider's doing: nobody answered a review about
	// the last administrator of a scope, who is kept.
	KindLastUnanswered = "last_administrator_unanswered"
	// KindGlassBroken: somebody took access at once; KindGlassUnconfirmed: nobody said in
	// time that this was right.
	KindGlassBroken      = "glass_broken"
	KindGlassUnconfirmed = "glass_unconfirmed"
)

var alarmEvents = map[string]event.Type{KindReconciled: event.AlarmReconciled, KindMassGain: event.AlarmMassGain, KindGroupDeleted: event.AlarmGroupDeleted, KindGroupShrunk: event.AlarmGroupShrunk}

// limit is from when on something is told: so many people, who are at least that part
// of all.
type limit struct{ people, percent int64 }

func (l limit) reached(n, all int64) bool {
	return n >= max(1, l.people) && n*100 >= l.percent*all
}

// limits are a policy's alarms, with the usual ones where it names none.
type limits struct {
	gaining, shrunk, deleted limit
	within                   time.Duration
}

// fewest is how many people a percentage is about at least: of five people, one is
// twenty percent.
const fewest = 10

func limitsOf(a mapping.Alarm) limits {
	or := func(s *mapping.Share, usual limit) limit {
		switch {
		case s == nil:
			return usual
		case s.Percent > 0:
			return limit{fewest, s.Percent}
		}
		return limit{people: s.People}
	}
	l := limits{gaining: or(a.Gaining, limit{50, 10}), shrunk: or(a.Shrunk, limit{fewest, 50}), deleted: or(a.Deleted, limit{people: 25}), within: time.Hour}
	if a.Within > 0 {
		l.within = a.Within
	}
	return l
}

// sayDeleted says that a group is gone, with how many members if rules look at it. Of a
// large one an alarm tells, in the transaction that deletes it.
func (c *change) sayDeleted(g store.Group) error {
	data := map[string]string{"group": string(g.ID)}
	if !c.looksAt(g) {
		c.say(event.GroupDeleted, "", data)
		return nil
	}
	data["members"] = strconv.FormatInt(g.MemberCount, 10)
	people, large, err := c.large(g)
	if err != nil {
		return err
	}
	if large {
		data["alarm"] = KindGroupDeleted // and so it is not counted among the small ones
	}
	c.say(event.GroupDeleted, "", data)
	if !large {
		return nil
	}
	return c.alarm(store.Alarm{Kind: KindGroupDeleted, Group: g.ID, Count: g.MemberCount, Base: people})
}

// large reports whether an identity provider's deletion of a group is told by itself,
// and how many people the connection has then.
func (c *change) large(g store.Group) (people int64, large bool, err error) {
	l := limitsOf(c.policy.Source().Guard.Alarm)
	if c.by != event.ByScim || !l.deleted.reached(g.MemberCount, 0) {
		return 0, false, nil
	}
	people, err = c.dir.CountPeople()
	return people, err == nil && l.deleted.reached(g.MemberCount, people), err
}

// alarm records one: as an event and, for those who look, as a row.
func (c *change) alarm(a store.Alarm) error {
	a.Connection, a.At = c.conn, c.now
	data := map[string]string{"people": strconv.FormatInt(a.Count, 10), "of": strconv.FormatInt(a.Base, 10)}
	if a.Group != "" {
		data["group"] = string(a.Group)
	}
	if a.Within > 0 {
		data["within_seconds"] = strconv.FormatInt(int64(a.Within/time.Second), 10)
	}
	e := fact(alarmEvents[a.Kind], event.ByBridge, c.conn, "", c.now, data)
	c.events = append(c.events, e)
	return c.tx.PutAlarm(a)
}

// RaisedFor is how long doctor and connection show tell of an alarm.
const RaisedFor = 7 * 24 * time.Hour

// raisedShown is how many alarms are shown at most.
const raisedShown = 20

func raised(v *store.View, conn access.ConnectionID, now time.Time) ([]store.Alarm, error) {
	return v.Alarms(conn, now.Add(-RaisedFor), raisedShown)
}

// Raised lists the alarms of the last days of a connection, the newest first.
func (b *Bridge) Raised(ctx context.Context, conn access.ConnectionID) ([]store.Alarm, error) {
	var all []store.Alarm
	err := b.store.View(ctx, func(v *store.View) (err error) { all, err = raised(v, conn, b.now()); return err })
	return all, err
}

// Sentence says what an alarm is about.
func Sentence(a store.Alarm) string {
	switch a.Kind {
	case KindMassGain:
		return fmt.Sprintf("%d of %d people came to access within %s", a.Count, a.Base, a.Within)
	case KindGroupShrunk:
		return fmt.Sprintf("group %s lost %d of %d members within %s", a.Group, a.Count, a.Base, a.Within)
	case KindGroupDeleted:
		if a.Group == "" {
			return fmt.Sprintf("groups with %d members in all were deleted within %s", a.Count, a.Within)
		}
		return fmt.Sprintf("group %s was deleted with %d members", a.Group, a.Count)
	case KindReconciled:
		return fmt.Sprintf("%d of %d people who were compared did not hold what rules and people give, and do now", a.Count, a.Base)
	case KindGlassBroken:
		return fmt.Sprintf("access was taken at once, without an approval; %d others must confirm it", a.Base)
	case KindGlassUnconfirmed:
		return fmt.Sprintf("access that was taken at once has ended: not all of the %d who must have confirmed it", a.Base)
	case KindLastUnanswered:
		return fmt.Sprintf("a review ended without an answer about %d last administrators of scopes, who are kept: its report names them", a.Count)
	}
	return a.Kind
}

package bridge

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// The most that one replay looks at.
const (
	maxReplaySpan   = 31 * 24 * time.Hour
	maxReplayPeople = 100_000
	replayPeople    = 50 // read at once
	maxReplayShown  = 1_000
	replayShown     = 50 // if nobody says how many
)

// PolicyReplay is what a policy would have decided otherwise than the active one about
// a recorded span of changes. Nothing of it has happened.
type PolicyReplay struct {
	From        time.Time            `json:"from"`
	To          time.Time            `json:"to"`
	Changes     int64                `json:"changes" doc:"of people and memberships, that were recorded in the span"`
	People      int64                `json:"people" doc:"whom they were about"`
	Decisions   int64                `json:"decisions" doc:"that both policies made"`
	Differing   int64                `json:"differing" doc:"of these, in which they gave something else"`
	Affected    int64                `json:"affected" doc:"people about whom any differs"`
	AtEnd       int64                `json:"at_end" doc:"people about whom they differ at the end of the span"`
	Differences []ReplayedDifference `json:"differences" doc:"the first, by instant"`
	Totals      []ReplayedPerson     `json:"totals" doc:"those about whom they differ longest"`
	Unknown     []string             `json:"unknown" doc:"what of the past cannot be told, and what was taken instead"`
}

// ReplayedDifference is when two policies began to differ about somebody.
type ReplayedDifference struct {
	At         time.Time           `json:"at"`
	Until      time.Time           `json:"until"`
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	UserName   string              `json:"user_name,omitzero" doc:"of those who are still here"`
	Request    string              `json:"request,omitzero" doc:"the id of the SCIM request that made it so"`
	Gains      []string            `json:"gains,omitempty"`
	Loses      []string            `json:"loses,omitempty"`
}

// ReplayedPerson is what somebody would have had more and less, and for how long.
type ReplayedPerson struct {
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	UserName   string              `json:"user_name,omitzero"`
	Gains      []ReplayedHolding   `json:"gains,omitempty"`
	Loses      []ReplayedHolding   `json:"loses,omitempty"`
	AtEnd      bool                `json:"at_end,omitzero"`
}

// ReplayedHolding is a grant at a scope, and how long it was held by one policy alone.
type ReplayedHolding struct {
	Is      string `json:"is"`
	Seconds int64  `json:"seconds"`
}

// ReplayPolicy decides about the recorded changes from since on under the active policy
// and under src, and tells where they differ; most bounds what is listed. It reads, and
// writes nothing.
func (b *Bridge) ReplayPolicy(ctx context.Context, src mapping.PolicySource, since time.Time, most int) (PolicyReplay, error) {
	const op = "bridge.ReplayPolicy"
	now := b.now()
	if span := now.Sub(since); span <= 0 || span > maxReplaySpan {
		return PolicyReplay{}, fault.New(fault.Invalid, op, "a replay begins in the past, at most 31 days ago")
	}
	if most <= 0 {
		most = replayShown
	}
	run := &replayRun{bridge: b, most: min(most, maxReplayShown), touched: map[touchedPerson]bool{}, gone: map[access.GroupID]bool{}, shared: map[access.GroupID]bool{},
		out: PolicyReplay{From: since, To: now, Differences: []ReplayedDifference{}, Totals: []ReplayedPerson{}, Unknown: []string{}}}
	err := b.store.View(ctx, func(v *store.View) (err error) {
		if run.was, err = b.active(v); err != nil {
			return err
		}
		run.next, err = proposed(run.was, src)
		return err
	})
	if err == nil {
		err = run.meet(ctx)
	}
	if err == nil {
		err = run.everybody(ctx)
	}
	if err != nil {
		return PolicyReplay{}, err
	}
	run.conclude()
	return run.out, nil
}

type touchedPerson struct {
	conn access.ConnectionID
	id   access.PersonID
}

// replayRun is one replay on its way.
type replayRun struct {
	bridge    *Bridge
	was, next *activePolicy
	most      int
	touched   map[touchedPerson]bool
	gone      map[access.GroupID]bool // groups that are no longer here, so that nobody knows their names
	shared    map[access.GroupID]bool // whether another group has the same externalId now, of those that were looked at
	deleted   int64                   // people who are no longer here
	renamed   int64                   // groups that were renamed or changed
	retold    int64                   // people whose attributes or certification were changed
	policies  int64                   // that were applied in the span
	out       PolicyReplay
}

// meet reads the span of the audit trail once, and notes whom its changes were about.
func (r *replayRun) meet(ctx context.Context) error {
	var after int64
	err := r.bridge.store.View(ctx, func(v *store.View) (err error) {
		after, err = auditedBefore(v, r.out.From.Add(-skewOfRequests))
		return err
	})
	for more := true; more && err == nil; {
		err = r.bridge.store.View(ctx, func(v *store.View) error {
			rows, err := v.AuditAfter(after, recordPage)
			if err != nil {
				return err
			}
			for _, row := range rows {
				one, err := recordOf(row)
				if err != nil {
					return err
				}
				after = row.ID
				r.note(row.Connection, one.Event)
			}
			more = len(rows) == recordPage
			return nil
		})
		if len(r.touched) > maxReplayPeople {
			return fault.New(fault.Limited, "bridge.ReplayPolicy", "more than %d people changed in that time; replay a shorter one", maxReplayPeople)
		}
	}
	return err
}

// auditedBefore is the last row of the trail that was recorded before an instant.
func auditedBefore(v *store.View, at time.Time) (int64, error) {
	last, err := v.AuditPosition()
	if err != nil {
		return 0, err
	}
	low, high := int64(0), last // rows up to low are earlier; the first behind high is not, or there is none
	for low < high {
		middle := low + (high-low)/2
		rows, err := v.AuditAfter(middle, 1)
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 {
			high = middle
			continue
		}
		first, err := recordOf(rows[0])
		if err != nil {
			return 0, err
		}
		if first.At.Before(at) {
			low = min(rows[0].ID, high)
		} else {
			high = middle
		}
	}
	return low, nil
}

func (r *replayRun) note(conn access.ConnectionID, e event.Event) {
	if e.At.Before(r.out.From) {
		return
	}
	switch e.Type {
	case event.PersonProvisioned, event.PersonDeactivated, event.PersonReactivated, event.PersonDeleted, event.MemberAdded, event.MemberRemoved:
		r.out.Changes++
		r.touched[touchedPerson{conn, e.Person}] = true
	case event.PersonChanged, event.CertificationSet:
		r.retold++
	case event.GroupRenamed:
		r.renamed++
	case event.PolicyApplied:
		r.policies++
	default:
	}
}

func (r *replayRun) everybody(ctx context.Context) error {
	people := slices.SortedFunc(maps.Keys(r.touched), func(a, b touchedPerson) int { return cmp.Or(cmp.Compare(a.conn, b.conn), cmp.Compare(a.id, b.id)) })
	r.out.People = int64(len(people))
	for chunk := range slices.Chunk(people, replayPeople) {
		err := r.bridge.store.View(ctx, func(v *store.View) error {
			for _, p := range chunk {
				if err := r.person(v, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// person replays what was recorded of one person.
func (r *replayRun) person(v *store.View, who touchedPerson) error {
	dir, err := v.In(who.conn)
	if fault.Is(err, fault.NotFound) {
		return nil // the connection has ended
	}
	if err != nil {
		return err
	}
	all, err := recorded(v, who.conn, event.Subject{Kind: event.KindPerson, ID: string(who.id)}, time.Time{})
	if err != nil {
		return err
	}
	p, err := dir.Person(who.id)
	was, next := mapping.Facts{Connection: who.conn, Person: who.id}, mapping.Facts{Connection: who.conn, Person: who.id}
	switch {
	case fault.Is(err, fault.NotFound):
		r.deleted++
	case err != nil:
		return err
	default:
		if was, err = dir.Facts(p, r.was.Attributes(who.conn)); err == nil {
			next, err = dir.Facts(p, r.next.Attributes(who.conn))
		}
		if err != nil {
			return err
		}
	}
	moments, err := r.moments(dir, all, was, next)
	if err != nil {
		return err
	}
	r.take(who, p.UserName, mapping.Replay(r.was.Policy, r.next.Policy, moments, r.out.To))
	return nil
}

// moments are the facts of a person at the beginning of the span and after each change
// in it.
func (r *replayRun) moments(dir *store.Directory, all []record, was, next mapping.Facts) ([]mapping.Moment, error) {
	state := then{groups: map[access.GroupID]joining{}, held: map[access.AssignmentID]giving{}}
	var moments []mapping.Moment
	add := func(at time.Time, request string) error {
		ms, err := r.memberships(dir, state)
		if err != nil {
			return err
		}
		m := mapping.Moment{At: at, Request: request, Was: was, Next: next}
		m.Was.Active, m.Next.Active = state.active, state.active
		m.Was.Memberships, m.Next.Memberships = ms, ms
		moments = append(moments, m)
		return nil
	}
	began := false
	for i, rec := range all {
		if rec.at.After(r.out.To) {
			break
		}
		if !began && !rec.at.Before(r.out.From) {
			began = true
			if err := add(r.out.From, ""); err != nil {
				return nil, err
			}
		}
		state.take(rec, all[i+1:])
		if !began || i+1 < len(all) && all[i+1].at.Equal(rec.at) { // what took effect at one instant did so at once
			continue
		}
		if err := add(rec.at, rec.Request); err != nil {
			return nil, err
		}
	}
	return moments, nil
}

func (r *replayRun) memberships(dir *store.Directory, state then) ([]mapping.Membership, error) {
	var ms []mapping.Membership
	for _, id := range slices.Sorted(maps.Keys(state.groups)) {
		if r.gone[id] {
			continue
		}
		g, err := dir.Group(id)
		if fault.Is(err, fault.NotFound) {
			r.gone[id] = true
			continue
		}
		if err != nil {
			return nil, err
		}
		shared, err := r.isShared(dir, g)
		if err != nil {
			return nil, err
		}
		ms = append(ms, mapping.Membership{Group: id, Name: g.DisplayName, ExternalID: g.ExternalID, Shared: shared, Since: state.groups[id].since})
	}
	return ms, nil
}

func (r *replayRun) isShared(dir *store.Directory, g store.Group) (bool, error) {
	shared, known := r.shared[g.ID]
	if known || g.ExternalID == "" {
		return shared, nil
	}
	same, err := dir.GroupsByExternalID(g.ExternalID)
	r.shared[g.ID] = len(same) > 1
	return len(same) > 1, err
}

// take adds what came of one person.
func (r *replayRun) take(who touchedPerson, userName string, got mapping.Replayed) {
	r.out.Decisions += got.Decisions
	r.out.Differing += got.Differing
	if len(got.Stretches) == 0 {
		return
	}
	r.out.Affected++
	person := ReplayedPerson{Connection: who.conn, Person: who.id, UserName: userName}
	gains, loses := map[string]time.Duration{}, map[string]time.Duration{}
	for _, s := range got.Stretches {
		one := ReplayedDifference{At: s.From, Until: s.Until, Connection: who.conn, Person: who.id, UserName: userName, Request: s.Request,
			Gains: r.describe(s.Gains), Loses: r.describe(s.Loses)}
		r.out.Differences = append(r.out.Differences, one)
		for _, is := range one.Gains {
			gains[is] += s.Until.Sub(s.From)
		}
		for _, is := range one.Loses {
			loses[is] += s.Until.Sub(s.From)
		}
		person.AtEnd = s.Until.Equal(r.out.To)
	}
	if person.AtEnd {
		r.out.AtEnd++
	}
	person.Gains, person.Loses = lasting(gains), lasting(loses)
	r.out.Totals = append(r.out.Totals, person)
	if max(len(r.out.Differences), len(r.out.Totals)) > 4*r.most {
		r.trim()
	}
}

// describe names a grant at a scope by the policy that knows the scope.
func (r *replayRun) describe(pairs []mapping.Pair) (texts []string) {
	for _, p := range pairs {
		policy := r.next
		if _, known := policy.Tree().Scope(p.Scope); !known {
			policy = r.was
		}
		texts = append(texts, policy.Describe(p.Grant, p.Scope))
	}
	return texts
}

func lasting(held map[string]time.Duration) (all []ReplayedHolding) {
	for _, is := range slices.Sorted(maps.Keys(held)) {
		all = append(all, ReplayedHolding{Is: is, Seconds: int64(held[is].Round(time.Second) / time.Second)})
	}
	return all
}

// trim keeps the first differences and those who differ longest.
func (r *replayRun) trim() {
	slices.SortStableFunc(r.out.Differences, func(a, b ReplayedDifference) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Person, b.Person))
	})
	slices.SortStableFunc(r.out.Totals, func(a, b ReplayedPerson) int { return cmp.Compare(b.longest(), a.longest()) })
	r.out.Differences = r.out.Differences[:min(r.most, len(r.out.Differences))]
	r.out.Totals = r.out.Totals[:min(r.most, len(r.out.Totals))]
}

func (p ReplayedPerson) longest() (seconds int64) {
	for _, h := range slices.Concat(p.Gains, p.Loses) {
		seconds = max(seconds, h.Seconds)
	}
	return seconds
}

// conclude says what of the past could not be told.
func (r *replayRun) conclude() {
	r.trim()
	say := func(n int64, format string) {
		if n > 0 {
			r.out.Unknown = append(r.out.Unknown, fmt.Sprintf(format, n))
		}
	}
	say(int64(len(r.gone)), "Groups that are no longer here: %d. Nobody knows their names, so they fed no rule.")
	say(r.renamed, "Groups that were renamed: %d. They were taken as they are called now.")
	say(r.retold, "Changes of people's attributes or certification: %d. They were taken as they are now.")
	say(r.deleted, "People who are no longer here: %d. They were taken without attributes and certification.")
	say(r.policies, "Policies that were applied in that time: %d. The active one was taken for all of it.")
}

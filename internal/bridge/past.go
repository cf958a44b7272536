package bridge

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// The past is answered from the audit trail: what was recorded of a person, a group or
// a scope is found by an index that the sealer fills, and what it has not come to yet
// is read. Nothing of the present goes into the answer that the trail does not say.

// The most that one answer reads.
const (
	recordPage     = 1_000
	mostRecorded   = 200_000 // rows about one person, group or scope
	mostUnindexed  = 5_000   // rows that the index has not come to
	skewOfRequests = time.Minute
)

// record is one event with its place in the trail.
type record struct {
	row int64
	event.Event
	at time.Time // when it took effect
}

// recorded reads what the trail has about something in a connection, in the order in
// which it took effect. fault.Conflict while the index has not come as far as at (zero:
// now).
func recorded(v *store.View, conn access.ConnectionID, about event.Subject, at time.Time) ([]record, error) {
	all, err := indexed(v, conn, about)
	if err != nil {
		return nil, err
	}
	late, err := unindexed(v, at, func(r store.AuditRow, e event.Event) bool {
		return r.Connection == conn && slices.Contains(event.About(e.Type, string(e.Person), e.Data["group"], e.Data["scope"]), about)
	})
	return inEffect(append(all, late...)), err
}

func indexed(v *store.View, conn access.ConnectionID, about event.Subject) (all []record, err error) {
	for after := int64(0); ; {
		rows, err := v.AuditAbout(conn, about, after, recordPage)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			one, err := recordOf(r)
			if err != nil {
				return nil, err
			}
			all, after = append(all, one), r.ID
		}
		if len(rows) < recordPage {
			return all, nil
		}
		if len(all) >= mostRecorded {
			return nil, fault.New(fault.Limited, "bridge.recorded", "more than %d events are recorded about this; that is more than one answer reads", mostRecorded)
		}
	}
}

// unindexed reads what is asked for of the end of the trail, which the index has not come to. It is short,
// but for the first minutes after a program without an index was replaced.
func unindexed(v *store.View, at time.Time, asked func(store.AuditRow, event.Event) bool) (all []record, err error) {
	upto, err := v.AuditIndexed()
	if err != nil {
		return nil, err
	}
	rows, err := v.AuditAfter(upto, mostUnindexed+1)
	if err != nil {
		return nil, err
	}
	if len(rows) > mostUnindexed {
		first, err := recordOf(rows[0])
		if err != nil {
			return nil, err
		}
		if at.IsZero() || at.After(first.At.Add(-skewOfRequests)) {
			return nil, fault.New(fault.Conflict, "bridge.recorded", "the audit trail is still being indexed; so far the past can be answered up to %s", stamp(first.At.Add(-skewOfRequests)))
		}
		return nil, nil // what the index has not come to happened later
	}
	for _, r := range rows {
		one, err := recordOf(r)
		if err != nil {
			return nil, err
		}
		if asked(r, one.Event) {
			all = append(all, one)
		}
	}
	return all, nil
}

func recordOf(r store.AuditRow) (record, error) {
	one := record{row: r.ID}
	if err := json.Unmarshal(r.Body, &one.Event); err != nil {
		return record{}, fault.New(fault.Internal, "bridge.recorded", "row %d of the audit trail cannot be read: %v", r.ID, err)
	}
	return one, nil
}

// inEffect orders records by when they took effect: as they were committed, but for
// what was told later than it happened (moved).
func inEffect(all []record) []record {
	slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.row, b.row) })
	var latest time.Time
	for i := range all {
		if all[i].at = toldInstant(all[i].Data, "at"); !all[i].at.IsZero() {
			continue
		}
		if all[i].At.After(latest) { // requests read the clock before they commit: the order of commits counts
			latest = all[i].At
		}
		all[i].at = latest
	}
	slices.SortStableFunc(all, func(a, b record) int { return a.at.Compare(b.at) })
	return all
}

// joining is how somebody came into a group.
type joining struct {
	since   time.Time // since when they count as a member
	at      time.Time // when it took effect
	request string
	actor   event.Actor
}

// giving is an assignment as it was recorded last.
type giving struct {
	access.Assignment
	at      time.Time
	request string
	actor   event.Actor
}

// then is what the trail says of a person at an instant.
type then struct {
	known      bool // the trail has anything about them by then
	exists     bool
	active     bool
	deleted    time.Time
	groups     map[access.GroupID]joining
	held       map[access.AssignmentID]giving
	lastActive time.Time // when they were last switched on or off
}

// replay is what the records of a person come to at an instant; zero: at their end.
func replay(all []record, at time.Time) then {
	now := then{groups: map[access.GroupID]joining{}, held: map[access.AssignmentID]giving{}}
	for i, r := range all {
		if !at.IsZero() && r.at.After(at) {
			break
		}
		now.known = true
		now.take(r, all[i+1:])
	}
	return now
}

func (n *then) take(r record, later []record) {
	switch r.Type {
	case event.PersonProvisioned:
		n.exists, n.active = true, r.Data["active"] != "false" && nextTurn(later) != event.PersonReactivated
	case event.PersonDeactivated:
		n.active, n.lastActive = false, r.at
	case event.PersonReactivated:
		n.active, n.lastActive = true, r.at
	case event.PersonDeleted:
		n.exists, n.active, n.deleted = false, false, r.at
		clear(n.groups)
		clear(n.held)
	case event.MemberAdded:
		since := toldInstant(r.Data, "since")
		if since.IsZero() {
			since = r.at
		}
		n.groups[access.GroupID(r.Data["group"])] = joining{since: since, at: r.at, request: r.Request, actor: r.Actor}
	case event.MemberRemoved:
		delete(n.groups, access.GroupID(r.Data["group"]))
	case event.AssignmentGiven, event.AssignmentChanged:
		a := toldAssignment(r.Event)
		n.held[a.ID] = giving{a, r.at, r.Request, r.Actor}
	case event.AssignmentDropped:
		delete(n.held, access.AssignmentID(r.Data["assignment"]))
	}
}

// nextTurn is how somebody was switched on or off next, "" if never.
func nextTurn(later []record) event.Type {
	for _, r := range later {
		if r.Type == event.PersonDeactivated || r.Type == event.PersonReactivated || r.Type == event.PersonDeleted {
			return r.Type
		}
	}
	return ""
}

// assignments are those that were held and not over at that instant.
func (n then) assignments(at time.Time) []access.Assignment {
	var all []access.Assignment
	for _, g := range n.held {
		if g.Until.IsZero() || at.Before(g.Until) {
			all = append(all, g.Assignment)
		}
	}
	slices.SortFunc(all, access.CompareAssignments)
	return all
}

// toldAssignment is the assignment that an event tells of.
func toldAssignment(e event.Event) access.Assignment {
	video, err := strconv.ParseBool(e.Data["video"])
	flags := access.Flags{Video: err == nil && video}
	if err := flags.Events.UnmarshalText([]byte(e.Data["events"])); err != nil {
		flags.Events = access.EventsNone // a word of another program's: the least
	}
	return access.Assignment{ID: access.AssignmentID(e.Data["assignment"]), Person: e.Person, Grant: access.Grant(e.Data["grant"]), Scope: access.ScopeID(e.Data["scope"]),
		Standing: access.Standing(e.Data["standing"]), Flags: flags, NotBefore: toldInstant(e.Data, "not_before"), Until: toldInstant(e.Data, "until"), Sources: toldSources(e.Data)}
}

// toldInstant is what noteInstant wrote. What cannot be read is none.
func toldInstant(data map[string]string, key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, data[key])
	if err != nil {
		return time.Time{}
	}
	return t
}

// toldSources are the sources that an event of an assignment names.
func toldSources(data map[string]string) (sources []access.Source) {
	add := func(name, group string) {
		if kind, id, ok := strings.Cut(name, ":"); ok {
			sources = append(sources, access.Source{Kind: access.SourceKind(kind), ID: id, Group: access.GroupID(group)})
		}
	}
	add(data["source"], data["group"])
	var more []string
	if err := json.Unmarshal([]byte(data["more_sources"]), &more); err != nil {
		return sources // there is one
	}
	for pair := range slices.Chunk(more, 2) {
		add(pair[0], pair[len(pair)-1])
	}
	return sources
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

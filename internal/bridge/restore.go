package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// restore puts a connection's groups and memberships back to how they were at an
// instant. What was is read from the present and the audit trail: the first thing that
// happened to a membership since then says what it was. Only groups and memberships
// move. People are neither activated nor brought back, and rules decide as always what
// comes of it.

// RestorePlan is what restoring would do now, as data.
type RestorePlan struct {
	Hash       string              `json:"hash"` // names exactly this plan: what restoring asks for
	Connection access.ConnectionID `json:"connection"`
	At         time.Time           `json:"at"` // the instant that is restored
	Groups     []RestoredGroup     `json:"groups"`
	Left       []RestoredGroup     `json:"left_alone"` // groups that did not exist then
	Gone       []access.PersonID   `json:"gone"`       // members then who have been deleted since; the first of them
	GoneCount  int64               `json:"gone_count"`
	Summary    PlanSummary         `json:"summary"`
	People     []PersonChange      `json:"people"` // the first of them
	Guards     []GuardFinding      `json:"guards"`

	work   []groupWork
	policy int64
}

// RestoredGroup is what becomes of one group.
type RestoredGroup struct {
	Group   access.GroupID `json:"group"`
	Name    string         `json:"name"`                  // as it will be
	Renamed string         `json:"renamed_from,omitzero"` // what it is called now, where that changes
	Returns bool           `json:"returns,omitzero"`      // it has been deleted
	Joins   int            `json:"joins"`                 // members that come back
	Leaves  int            `json:"leaves"`                // members who came since
	Resumes int            `json:"resumes,omitzero"`      // members who left and came again: since the earlier instant once more
	Note    string         `json:"note,omitzero"`         // what cannot be put back, and why
}

// groupWork is one group's part of a plan, as it is carried out.
type groupWork struct {
	id      access.GroupID
	now     store.Group // zero: it returns
	then    store.FormerGroup
	returns bool
	rename  bool
	set     []store.Joined
	remove  []store.PersonKey
}

// The limits of one restore.
const (
	restoredGroups = 10_000    // groups that were renamed or deleted since
	restoredMoves  = 1_000_000 // memberships that moved since
	restoredShown  = 1_000     // people, and members who have gone, that are named
	restoreChunkOf = 500       // people evaluated in one read transaction
)

// PlanRestore says what restoring a connection to an instant would do. groups: only
// these; none: all that existed then.
func (b *Bridge) PlanRestore(ctx context.Context, conn access.ConnectionID, at time.Time, groups []access.GroupID) (*RestorePlan, error) {
	const op = "bridge.PlanRestore"
	now := b.now()
	at = at.UTC().Truncate(time.Millisecond)
	switch {
	case !at.Before(now):
		return nil, fault.New(fault.Invalid, op, "%s lies in the future", at.Format(time.RFC3339))
	case at.Before(now.Add(-store.FormerKept)):
		return nil, fault.New(fault.Invalid, op, "what groups were is known for %d days; %s lies before that", int(store.FormerKept.Hours()/24), at.Format(time.RFC3339))
	}
	p := &RestorePlan{Connection: conn, At: at, Groups: []RestoredGroup{}, Left: []RestoredGroup{}, Gone: []access.PersonID{}, People: []PersonChange{}, Guards: []GuardFinding{}}
	r := restoring{b: b, plan: p, now: now, only: groups, admins: map[access.ScopeID]administrators{}, counted: map[access.PersonID]bool{},
		changes: firsts[PersonChange]{most: restoredShown, compare: func(a, b PersonChange) int { return compareNames(a.name(), b.name()) }},
		losing:  firsts[PersonName]{most: restoredShown, compare: compareNames}, without: firsts[PersonName]{most: restoredShown, compare: compareNames}}
	if err := r.gather(ctx); err != nil {
		return nil, err
	}
	if err := r.evaluate(ctx); err != nil {
		return nil, err
	}
	return p, r.seal(ctx)
}

// restoring is the making of one plan.
type restoring struct {
	b    *Bridge
	plan *RestorePlan
	now  time.Time
	only []access.GroupID

	first   map[access.GroupID]map[access.PersonID]moveSince // the first thing that happened to each membership
	moves   int
	after   int64 // the last row of the trail that was read
	keys    map[access.PersonID]store.PersonKey
	touched map[store.PersonKey][]touchedBy // whom the plan touches, by which group's part

	changes         firsts[PersonChange]
	losing, without firsts[PersonName]
	admins          map[access.ScopeID]administrators // of those whom it touches
	counted         map[access.PersonID]bool          // who is among these
}

// moveSince is what happened first to a membership since the instant.
type moveSince struct {
	took  time.Time
	left  bool
	since time.Time // who left: since when they had been a member
}

type touchedBy struct {
	work  int
	leave bool
	since time.Time // zero, and no leave: the group's name changes about them
}

func (r *restoring) asked(id access.GroupID) bool {
	return len(r.only) == 0 || slices.Contains(r.only, id)
}

// gather finds out what was and what is.
func (r *restoring) gather(ctx context.Context) error {
	if err := r.readTrail(ctx); err != nil {
		return err
	}
	return r.b.store.View(ctx, func(v *store.View) error {
		for more := true; more; { // what has happened meanwhile, seen together with the rows
			var err error
			if more, err = r.readPage(v); err != nil {
				return err
			}
		}
		dir, err := v.In(r.plan.Connection)
		if err != nil {
			return err
		}
		if err := r.quiet(v); err != nil {
			return err
		}
		policy, err := r.b.active(v)
		if err != nil {
			return err
		}
		r.plan.policy = policy.version
		return r.compare(dir)
	})
}

// quiet refuses while a large change of the connection is being carried out: rows say
// one thing then, and events another.
func (r *restoring) quiet(v *store.View) error {
	changing, err := v.Changing(chunk)
	if err != nil {
		return err
	}
	going, err := v.Dissolving(chunk)
	if err != nil {
		return err
	}
	for _, g := range append(changing, going...) {
		if g.Connection == r.plan.Connection {
			return fault.New(fault.Conflict, "bridge.PlanRestore", "a large change of group %s is being carried out; nothing was done. Try again in a moment", g.Origin())
		}
	}
	return nil
}

// trailPage is how many rows of the audit trail are read at a time.
const trailPage = 2000

// readTrail reads what happened to memberships since the instant.
func (r *restoring) readTrail(ctx context.Context) error {
	r.first = map[access.GroupID]map[access.PersonID]moveSince{}
	err := r.b.store.View(ctx, func(v *store.View) (err error) { r.after, err = v.AuditBefore(r.plan.At); return err })
	for more := true; more && err == nil; {
		err = r.b.store.View(ctx, func(v *store.View) (err error) { more, err = r.readPage(v); return err })
	}
	return err
}

func (r *restoring) readPage(v *store.View) (more bool, err error) {
	rows, err := v.AuditOf(r.plan.Connection, r.after, trailPage)
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		r.after = row.ID
		if err := r.hear(row.Body); err != nil {
			return false, err
		}
	}
	return len(rows) == trailPage, nil
}

func (r *restoring) hear(body []byte) error {
	text := string(body[:min(len(body), 64)])
	if !strings.HasPrefix(text, string(countedJoined)) && !strings.HasPrefix(text, string(countedLeft)) {
		return nil
	}
	var e event.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return fault.Wrap(fault.Internal, "bridge.PlanRestore", err)
	}
	took := e.At
	if at, err := time.Parse(time.RFC3339Nano, e.Data["at"]); err == nil {
		took = at // told later than it took effect
	}
	group := access.GroupID(e.Data["group"])
	if !took.After(r.plan.At) || !r.asked(group) {
		return nil
	}
	of := r.first[group]
	if of == nil {
		of = map[access.PersonID]moveSince{}
		r.first[group] = of
	}
	before, known := of[e.Person]
	if known && !took.Before(before.took) {
		return nil // what happened first is what counts, whenever it was told
	}
	if r.moves++; r.moves > restoredMoves {
		return fault.New(fault.Limited, "bridge.PlanRestore", "more than %d memberships have moved since; restore single groups", restoredMoves)
	}
	m := moveSince{took: took, left: e.Type == event.MemberRemoved}
	m.since, _ = time.Parse(time.RFC3339Nano, e.Data["since"]) //nolint:errcheck // an older program did not say: seen below
	of[e.Person] = m
	return nil
}

// compare makes the plan's groups of what was and what is.
func (r *restoring) compare(dir *store.Directory) error {
	if err := r.findPeople(dir); err != nil {
		return err
	}
	former, err := dir.FormerGroups(r.plan.At, restoredGroups+1)
	if err != nil {
		return err
	}
	if len(former) > restoredGroups {
		return fault.New(fault.Limited, "bridge.PlanRestore", "more than %d groups were renamed or deleted since; restore single groups", restoredGroups)
	}
	then := map[access.GroupID]store.FormerGroup{}
	for _, f := range former {
		if _, known := then[f.ID]; !known && r.asked(f.ID) {
			then[f.ID] = f
		}
	}
	ids := map[access.GroupID]bool{}
	for id := range then {
		ids[id] = true
	}
	for id := range r.first {
		ids[id] = true
	}
	for _, id := range r.only {
		ids[id] = true
	}
	r.touched = map[store.PersonKey][]touchedBy{}
	for _, id := range slices.Sorted(mapKeys(ids)) {
		if err := r.compareGroup(dir, id, then); err != nil {
			return err
		}
	}
	return nil
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// findPeople finds who of those that moved is still here.
func (r *restoring) findPeople(dir *store.Directory) error {
	moved := map[access.PersonID]bool{}
	for _, of := range r.first {
		for id := range of {
			moved[id] = true
		}
	}
	r.keys = make(map[access.PersonID]store.PersonKey, len(moved))
	all := slices.Sorted(mapKeys(moved))
	for part := range slices.Chunk(all, trailPage) {
		found, err := dir.Keys(part)
		if err != nil {
			return err
		}
		for id, key := range found {
			r.keys[id] = key
		}
	}
	return nil
}

func (r *restoring) compareGroup(dir *store.Directory, id access.GroupID, then map[access.GroupID]store.FormerGroup) error {
	now, err := dir.Group(id)
	gone := fault.Is(err, fault.NotFound)
	if err != nil && !gone {
		return err
	}
	was, known := then[id]
	switch {
	case gone && !known:
		if slices.Contains(r.only, id) {
			return fault.New(fault.NotFound, "bridge.PlanRestore", "nothing is known of a group %s at that time", id)
		}
		return nil // deleted longer ago than it is known, or by an older program
	case known && was.Created.After(r.plan.At) || !known && now.Created.After(r.plan.At):
		if !gone {
			r.plan.Left = append(r.plan.Left, RestoredGroup{Group: id, Name: now.DisplayName, Note: "it did not exist then, and is left alone"})
		}
		return nil
	}
	w := groupWork{id: id, now: now, then: was, returns: gone}
	told := RestoredGroup{Group: id, Name: now.DisplayName, Returns: gone}
	if known {
		stop, err := r.name(dir, &w, &told)
		if err != nil || stop {
			return err
		}
	}
	if err := r.members(dir, &w, &told); err != nil {
		return err
	}
	if !w.returns && !w.rename && len(w.set) == 0 && len(w.remove) == 0 {
		if told.Note != "" {
			r.plan.Groups = append(r.plan.Groups, told)
		}
		return nil
	}
	if w.rename {
		keys, err := dir.MemberKeys(now)
		if err != nil {
			return err
		}
		for _, key := range keys {
			r.touched[key] = append(r.touched[key], touchedBy{work: len(r.plan.work)})
		}
	}
	r.plan.Groups, r.plan.work = append(r.plan.Groups, told), append(r.plan.work, w)
	return nil
}

// name says what the group will be called. stop: it cannot come back.
func (r *restoring) name(dir *store.Directory, w *groupWork, told *RestoredGroup) (stop bool, err error) {
	told.Name = w.then.DisplayName
	taken := ""
	other, err := dir.GroupNamed(w.then.DisplayName)
	switch {
	case err == nil && other.ID != w.id:
		taken = fmt.Sprintf("its name %q is now that of group %s", w.then.DisplayName, other.ID)
	case err != nil && !fault.Is(err, fault.NotFound):
		return false, err
	}
	if w.then.ExternalID != "" && taken == "" {
		holders, err := dir.GroupsByExternalID(w.then.ExternalID)
		if err != nil {
			return false, err
		}
		for _, h := range holders {
			if h.ID != w.id {
				taken = fmt.Sprintf("its externalId is now that of group %s", h.ID)
			}
		}
	}
	switch {
	case taken != "" && w.returns:
		told.Note = "it stays away: " + taken
		r.plan.Groups = append(r.plan.Groups, *told)
		return true, nil
	case taken != "":
		told.Name, told.Note = w.now.DisplayName, "it keeps its present name: "+taken
	case !w.returns:
		w.rename = w.then.DisplayName != w.now.DisplayName || w.then.ExternalID != w.now.ExternalID
		if w.then.DisplayName != w.now.DisplayName {
			told.Renamed = w.now.DisplayName
		}
	}
	return false, nil
}

// members says who joins and who leaves the group.
func (r *restoring) members(dir *store.Directory, w *groupWork, told *RestoredGroup) error {
	of := r.first[w.id]
	var keys []store.PersonKey
	for id := range of {
		if key := r.keys[id]; key != 0 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	there := map[store.PersonKey]time.Time{}
	if !w.returns {
		in, err := dir.JoinedAmong(w.now, keys)
		if err != nil {
			return err
		}
		for _, j := range in {
			there[j.Key] = j.Since
		}
	}
	created := w.now.Created
	if w.returns {
		created = w.then.Created
	}
	for _, id := range slices.Sorted(mapKeys(of)) {
		m, key := of[id], r.keys[id]
		since, in := there[key]
		if m.since.IsZero() && m.left {
			m.since = created // an older program did not say: never more time than there was
		}
		switch {
		case key == 0 && m.left:
			if r.plan.GoneCount++; len(r.plan.Gone) < restoredShown && !slices.Contains(r.plan.Gone, id) {
				r.plan.Gone = append(r.plan.Gone, id)
			}
		case key == 0, m.left && in && since.Equal(m.since), !m.left && !in:
		case m.left:
			if in {
				told.Resumes++
			} else {
				told.Joins++
			}
			w.set = append(w.set, store.Joined{Key: key, Since: m.since})
			r.touched[key] = append(r.touched[key], touchedBy{work: len(r.plan.work), since: m.since})
		default:
			told.Leaves++
			w.remove = append(w.remove, key)
			r.touched[key] = append(r.touched[key], touchedBy{work: len(r.plan.work), leave: true})
		}
	}
	slices.SortFunc(w.set, func(a, b store.Joined) int { return cmp.Compare(a.Key, b.Key) })
	slices.Sort(w.remove)
	return nil
}

package bridge

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// planner is two policies and what a plan between them looks at. It is read only, so
// any number of planWorkers share it.
type planner struct {
	was     *mapping.Policy // nil: none has been applied yet
	next    *mapping.Policy
	counted *mapping.Policy // next, with the rules that only count enforced; nil: there are none
	now     time.Time
	census  *store.Census
	conns   map[access.ConnectionID]*planConnection
	docs    []access.ConnectionID // whose people's documents are looked at
	groups  map[store.GroupKey]*planGroup
}

// planConnection is a connection under both policies.
type planConnection struct {
	row       store.ConnectionRow
	index     int
	lives     bool                // it is active now
	stays     bool                // the policy names it
	trusts    bool                // it will be trusted for certifications
	since     bool                // a rule counts time
	certified bool                // a rule may give what needs a certification
	looks     []mapping.Attribute // at which rules look
	looked    []mapping.Attribute // at which those of the present policy do
}

// planGroup is a group as rules see it.
type planGroup struct {
	mapping.Membership // but for when somebody joined
	conn               access.ConnectionID
	folded             string
	members            int64
	feeds              bool // the policy to come looks at it
	fed                bool // the present one does
	fenced             bool
	gone               bool
}

func newPlanner(was, next *mapping.Policy, rows []store.ConnectionRow, census *store.Census, now time.Time) (*planner, error) {
	p := &planner{was: was, next: next, now: now, census: census,
		conns: map[access.ConnectionID]*planConnection{}, groups: map[store.GroupKey]*planGroup{}}
	for i, row := range rows {
		def, stays := next.Connection(row.ID)
		c := &planConnection{row: row, index: i, lives: row.State == store.ConnectionActive, stays: stays,
			trusts: def.TrustsCertification, certified: slices.ContainsFunc(def.Ceiling.Grants, access.Grant.NeedsCertification)}
		c.looks = next.Attributes(row.ID)
		if was != nil {
			c.looked = was.Attributes(row.ID)
		}
		if p.conns[row.ID] = c; len(c.looks)+len(c.looked) > 0 {
			p.docs = append(p.docs, row.ID)
		}
	}
	src := next.Source()
	shadow := false
	src.Rules = slices.Clone(src.Rules)
	for i, r := range src.Rules {
		if c := p.conns[r.From]; c != nil && r.For > 0 {
			c.since = true
		}
		shadow = shadow || r.Mode == mapping.Shadow
		src.Rules[i].Mode = mapping.Enforce
	}
	if !shadow {
		return p, nil
	}
	var err error
	p.counted, err = mapping.Compile(src)
	return p, err
}

// group is a group of the census as both policies see it.
func (p *planner) group(g store.CensusGroup) *planGroup {
	return &planGroup{Membership: mapping.Membership{Group: g.ID, Name: g.Name, ExternalID: g.ExternalID, Shared: g.Shared},
		conn: g.Connection, folded: schema.Fold(g.Name), members: g.Members, fenced: g.Fenced, gone: g.Dissolving,
		feeds: !g.Dissolving && p.next.LooksAt(g.Connection, g.Name, g.ExternalID),
		fed:   !g.Dissolving && p.was != nil && p.was.LooksAt(g.Connection, g.Name, g.ExternalID)}
}

// loss is one thing that somebody loses: what a plan shows, and apply holds against it.
type loss uint64

// The kinds of losses.
const (
	lostAll      = "lost"     // an assignment
	lostSome     = "narrowed" // flags, standing or time of one
	lostAnything = "nothing"  // the person ends with nothing
)

func lossOf(kind string, conn access.ConnectionID, person access.PersonID, a access.Assignment) loss {
	sum := sha256.Sum256([]byte(kind + "\x00" + string(conn) + "\x00" + string(person) + "\x00" + string(a.Grant) + "\x00" + string(a.Scope)))
	return loss(binary.BigEndian.Uint64(sum[:8]))
}

// planned is what a plan says of some people.
type planned struct {
	looked  int64
	changes []PersonChange
	losses  []loss
	tally   planTally
}

// planTally are the numbers of a plan, for its summary, guards and findings.
type planTally struct {
	summary PlanSummary
	admins  map[access.ScopeID]administrators // who may sign in
	holding map[access.ConnectionID]int64     // people who hold something now
	rules   map[string]*ruleTally
	shadow  map[string]int64
}

// administrators are how many a scope has, and would have.
type administrators struct{ before, after int64 }

// ruleTally is what came of one rule.
type ruleTally struct {
	people    int64 // whom it gives something
	redundant int64 // of these, to whom an earlier rule gives at least as much, pair by pair
	beaten    int64 // of these, whose primary an earlier rule gives
}

func newTally() planTally {
	return planTally{admins: map[access.ScopeID]administrators{}, holding: map[access.ConnectionID]int64{}, rules: map[string]*ruleTally{}, shadow: map[string]int64{}}
}

func (t *planTally) add(o planTally) {
	a, b := &t.summary, o.summary
	a.People += b.People
	a.Holding += b.Holding
	a.Changing += b.Changing
	a.Gaining += b.Gaining
	a.Losing += b.Losing
	a.Altered += b.Altered
	a.WithoutAccess += b.WithoutAccess
	a.LosingInUse += b.LosingInUse
	a.Sessions += b.Sessions
	for scope, n := range o.admins {
		t.count(scope, n.before, n.after)
	}
	for id, n := range o.holding {
		t.holding[id] += n
	}
	for id, r := range o.rules {
		mine := t.rule(id)
		mine.people, mine.redundant, mine.beaten = mine.people+r.people, mine.redundant+r.redundant, mine.beaten+r.beaten
	}
	for id, n := range o.shadow {
		t.shadow[id] += n
	}
}

func (t *planTally) count(scope access.ScopeID, before, after int64) {
	n := t.admins[scope]
	t.admins[scope] = administrators{n.before + before, n.after + after}
}

func (t *planTally) rule(id string) *ruleTally {
	if t.rules[id] == nil {
		t.rules[id] = &ruleTally{}
	}
	return t.rules[id]
}

// verdict is what the policy to come says of people who are alike to it.
type verdict struct {
	want   []mapping.Wanted
	shape  string           // how it is stored where nobody but rules gave anything
	admins []access.ScopeID // of which it makes administrators
	shadow []string         // rules that only count, and would give something
	people int64
	same   int64 // who hold exactly this already
}

// maxVerdicts bounds what a worker remembers; beyond it all is counted and forgotten.
const maxVerdicts = 1 << 15

// planWorker judges people, one after another.
type planWorker struct {
	*planner
	ranks    map[string]int // the place of each rule in its file
	verdicts map[string]*verdict
	more     map[store.GroupKey]*planGroup // that came after the planner was made
	sources  map[string][]access.Source
	tally    planTally
	key      []byte
	shape    []byte
}

func (p *planner) worker() *planWorker {
	w := &planWorker{planner: p, ranks: map[string]int{}, verdicts: map[string]*verdict{}, more: map[store.GroupKey]*planGroup{},
		sources: map[string][]access.Source{}, tally: newTally()}
	for i, r := range p.next.Source().Rules {
		w.ranks[r.ID] = i
	}
	return w
}

// touched is somebody for whom something changes, until their sessions are known.
type touched struct {
	at            int // in changes
	before, after []access.Assignment
	ends          bool // with the connection
}

// judge plans for people of a census. Their sessions are read for those alone for whom
// something changes.
func (w *planWorker) judge(v *store.View, people []store.CensusPerson) (planned, error) {
	if err := w.meet(v, people); err != nil {
		return planned{}, err
	}
	w.tally.summary = PlanSummary{}
	out := planned{looked: int64(len(people))}
	moved := map[access.ConnectionID]map[access.PersonID]touched{}
	for i := range people {
		x := &people[i]
		c := w.conns[x.Connection]
		if c == nil || !c.lives && !c.stays {
			continue
		}
		change, t, err := w.one(c, x, &out)
		if err != nil {
			return planned{}, err
		}
		if change == nil {
			continue
		}
		t.at = len(out.changes)
		out.changes = append(out.changes, *change)
		if moved[x.Connection] == nil {
			moved[x.Connection] = map[access.PersonID]touched{}
		}
		moved[x.Connection][x.ID] = t
	}
	if err := w.sessions(v, moved, out.changes); err != nil {
		return planned{}, err
	}
	out.changes = slices.DeleteFunc(out.changes, func(c PersonChange) bool { return !c.visible() })
	for _, c := range out.changes {
		w.tally.summary.add(c, w.now)
	}
	out.tally = newTally()
	out.tally.summary = w.tally.summary
	return out, nil
}

// visible reports whether there is anything to tell: an assignment that only changes
// its source is none.
func (c PersonChange) visible() bool {
	return len(c.Gains)+len(c.Loses)+len(c.Alters) > 0 || c.Sessions > 0
}

// inUse is how recently something was used for its loss to be felt.
const inUse = 30 * 24 * time.Hour

func (s *PlanSummary) add(c PersonChange, now time.Time) {
	one := func(is bool) int64 {
		if is {
			return 1
		}
		return 0
	}
	used := func(h PlannedHolding) bool { return !h.LastUsed.IsZero() && now.Sub(h.LastUsed) < inUse }
	s.Changing++
	s.Gaining += one(len(c.Gains) > 0)
	s.Losing += one(c.losing())
	s.Altered += one(len(c.Alters) > 0)
	s.WithoutAccess += one(c.WithoutAccess)
	s.LosingInUse += one(slices.ContainsFunc(c.Loses, used) || slices.ContainsFunc(c.Alters, func(h PlannedHolding) bool { return h.Narrows && used(h) }))
	s.Sessions += int64(c.Sessions)
}

// losing reports whether the person loses an assignment, or something of one.
func (c PersonChange) losing() bool {
	return len(c.Loses) > 0 || slices.ContainsFunc(c.Alters, func(h PlannedHolding) bool { return h.Narrows })
}

// meet makes sure that every group of these people is known.
func (w *planWorker) meet(v *store.View, people []store.CensusPerson) error {
	var missing []store.GroupKey
	for _, x := range people {
		for _, m := range x.Groups {
			if w.groups[m.Group] == nil && w.more[m.Group] == nil {
				w.more[m.Group] = &planGroup{gone: true}
				missing = append(missing, m.Group)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := w.census.GroupsOf(v, missing)
	for _, g := range found {
		w.more[g.Key] = w.group(g)
	}
	return err
}

func (w *planWorker) known(key store.GroupKey) *planGroup {
	if g := w.groups[key]; g != nil {
		return g
	}
	return w.more[key]
}

// one plans for one person; nil if nothing at all is written anew.
func (w *planWorker) one(c *planConnection, x *store.CensusPerson, out *planned) (*PersonChange, touched, error) {
	s := &w.tally.summary
	s.People++
	var want *verdict
	if c.stays && x.Active {
		var err error
		if want, err = w.verdict(c, x); err != nil {
			return nil, touched{}, err
		}
		want.people++
	}
	settled := c.lives && w.settled(x)
	if settled && w.asWanted(x, want) {
		if want != nil {
			want.same++
		}
		if len(x.Held) > 0 {
			s.Holding++
			w.tally.holding[x.Connection]++
		}
		return nil, touched{}, nil
	}
	held, err := w.held(x)
	if err != nil {
		return nil, touched{}, err
	}
	before := held
	switch {
	case !c.lives: // an ended connection: nobody has anything until it opens
		before = nil
	case !settled:
		if before, err = w.settle(c, x, held); err != nil {
			return nil, touched{}, err
		}
	}
	var plan mapping.Plan
	switch {
	case want == nil:
		plan = mapping.DropAll(before)
	case !c.lives:
		plan.Give = mapping.Diff(held, want.want, w.now).After()
	default:
		plan = mapping.Diff(before, want.want, w.now)
	}
	after := plan.After()
	w.administrators(x.Active && c.lives, x.Active && c.stays, before, after)
	if slices.ContainsFunc(before, w.holds) {
		s.Holding++
		w.tally.holding[x.Connection]++
	}
	if plan.Empty() {
		return nil, touched{}, nil
	}
	change := w.change(x, plan, before, after, out)
	return &change, touched{before: before, after: after, ends: c.lives && !c.stays}, nil
}

// holds reports whether an assignment has not ended by itself.
func (p *planner) holds(a access.Assignment) bool { return holdsAt(a, p.now) }

func holdsAt(a access.Assignment, now time.Time) bool { return a.Until.IsZero() || now.Before(a.Until) }

// settled reports whether what is stored is what the present policy says now.
func (w *planWorker) settled(x *store.CensusPerson) bool {
	if !w.census.Decided(*x) || !x.ValidUntil.IsZero() && !w.now.Before(x.ValidUntil) {
		return false
	}
	return !slices.ContainsFunc(x.Groups, func(m store.CensusMembership) bool { return w.known(m.Group).fenced })
}

// settle is what somebody holds once the present policy has decided them anew, which
// happens whether or not another is applied.
func (w *planWorker) settle(c *planConnection, x *store.CensusPerson, held []access.Assignment) ([]access.Assignment, error) {
	if !x.Active {
		return nil, nil
	}
	if w.was == nil {
		return held, nil
	}
	f, err := w.facts(x, c.row.TrustsCertification, c.looked, func(g *planGroup) bool { return g.fed })
	if err != nil {
		return nil, err
	}
	return mapping.Diff(held, mapping.Decide(w.was, f, w.now).Want, w.now).After(), nil
}

// asWanted reports whether exactly what is wanted is stored.
func (w *planWorker) asWanted(x *store.CensusPerson, want *verdict) bool {
	if want == nil {
		return len(x.Held) == 0
	}
	w.shape = w.shape[:0]
	for _, a := range x.Held {
		w.shape = appendShape(w.shape, a)
	}
	return string(w.shape) == want.shape
}

// appendShape writes all of an assignment but its id.
func appendShape(b []byte, a store.CensusAssignment) []byte {
	for _, text := range []string{string(a.Grant), string(a.Scope), string(a.Flags.Events), string(a.Standing)} {
		b = append(append(b, text...), 0)
	}
	b = strconv.AppendBool(b, a.Flags.Video)
	b = strconv.AppendInt(append(b, 0), a.NotBefore, 10)
	b = strconv.AppendInt(append(b, 0), a.Until, 10)
	return append(append(append(b, 0), a.Sources...), 0)
}

func shapeOf(as []access.Assignment) (string, error) {
	as = slices.Clone(as)
	slices.SortFunc(as, func(a, b access.Assignment) int {
		return cmp.Or(cmp.Compare(a.Grant, b.Grant), cmp.Compare(a.Scope, b.Scope))
	})
	var b []byte
	for _, a := range as {
		sources, err := json.Marshal(a.Sources)
		if err != nil {
			return "", err
		}
		b = appendShape(b, store.CensusAssignment{Grant: a.Grant, Scope: a.Scope, Flags: a.Flags, Standing: a.Standing,
			NotBefore: milliseconds(a.NotBefore), Until: milliseconds(a.Until), Sources: sources})
	}
	return string(b), nil
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// facts are what the rules look at, of groups that feed one.
func (w *planWorker) facts(x *store.CensusPerson, trusts bool, looks []mapping.Attribute, feeds func(*planGroup) bool) (mapping.Facts, error) {
	f := mapping.Facts{Connection: x.Connection, Person: x.ID, Active: x.Active}
	switch {
	case x.Asserted != nil:
		f.Certification = *x.Asserted
	case trusts:
		f.Certification = x.Claimed
	}
	for _, m := range x.Groups {
		if g := w.known(m.Group); !g.gone && feeds(g) {
			joined := g.Membership
			joined.Since = time.UnixMilli(m.Since).UTC()
			f.Memberships = append(f.Memberships, joined)
		}
	}
	if len(looks) == 0 || x.Doc == nil {
		return f, nil
	}
	doc, err := schema.Stored(x.Doc)
	if err != nil {
		return f, fault.New(fault.Internal, "bridge.facts", "%s: %v", x.ID, err)
	}
	f.Attributes = mapping.Look(looks, doc)
	return f, nil
}

// verdict is what the policy to come wants a person to hold. It is the same for all
// who are in the same groups that feed rules, joined in the same order, and are alike
// in whatever else the connection's rules look at.
func (w *planWorker) verdict(c *planConnection, x *store.CensusPerson) (*verdict, error) {
	f, err := w.facts(x, c.trusts, c.looks, func(g *planGroup) bool { return g.feeds })
	if err != nil {
		return nil, err
	}
	w.key = binary.AppendUvarint(w.key[:0], uint64(c.index)) //nolint:gosec // an index
	before, in := int64(-1), w.inOrder(x.Groups)
	w.key = binary.AppendUvarint(w.key, uint64(len(in)))
	for _, m := range in {
		w.key = binary.AppendUvarint(w.key, uint64(m.Group)) //nolint:gosec // a row's key
		if m.Since == before {
			w.key = append(w.key, 0) // joined at one instant: no group's key is 0
		}
		before = m.Since
		if c.since {
			w.key = binary.AppendVarint(w.key, m.Since)
		}
	}
	if c.certified && f.Certification != (access.Certification{}) {
		w.key = append(append(w.key, 0), f.Certification.Level...)
		w.key = binary.AppendVarint(append(w.key, 0), milliseconds(f.Certification.Until))
	}
	if len(f.Attributes) > 0 {
		attributes, err := json.Marshal(f.Attributes) // in the order of their names
		if err != nil {
			return nil, fault.Wrap(fault.Internal, "bridge.verdict", err)
		}
		w.key = append(append(w.key, 0), attributes...)
	}
	if v := w.verdicts[string(w.key)]; v != nil {
		return v, nil
	}
	if len(w.verdicts) >= maxVerdicts {
		w.fold()
	}
	v := w.decide(f)
	w.verdicts[string(w.key)] = v
	return v, nil
}

// inOrder are the groups that feed rules, in the order in which rules see them.
func (w *planWorker) inOrder(all []store.CensusMembership) []store.CensusMembership {
	var feeding []store.CensusMembership
	for _, m := range all {
		if g := w.known(m.Group); !g.gone && g.feeds {
			feeding = append(feeding, m)
		}
	}
	if len(feeding) > 1 {
		slices.SortFunc(feeding, func(a, b store.CensusMembership) int {
			g, h := w.known(a.Group), w.known(b.Group)
			return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(g.folded, h.folded), cmp.Compare(g.Membership.Group, h.Membership.Group))
		})
	}
	return feeding
}

func (w *planWorker) decide(f mapping.Facts) *verdict {
	v := &verdict{want: mapping.Decide(w.next, f, w.now).Want}
	after := mapping.Diff(nil, v.want, w.now).After()
	shape, err := shapeOf(after)
	if err != nil {
		shape = "\x00" // equal to nothing: everybody is compared in full
	}
	v.shape = shape
	for _, a := range after {
		if a.Grant == access.Administrator && a.MaySignIn(w.now) {
			v.admins = append(v.admins, a.Scope)
		}
	}
	if w.counted != nil {
		would := map[string]bool{}
		for _, x := range mapping.Decide(w.counted, f, w.now).Want {
			for _, s := range x.Sources {
				if at, known := w.ranks[s.ID]; known && w.next.Source().Rules[at].Mode == mapping.Shadow {
					would[s.ID] = true
				}
			}
		}
		v.shadow = slices.Sorted(maps.Keys(would))
	}
	return v
}

// fold counts what was remembered, and forgets it.
func (w *planWorker) fold() {
	for _, v := range w.verdicts {
		for _, scope := range v.admins {
			w.tally.count(scope, v.same, v.same)
		}
		for _, id := range v.shadow {
			w.tally.shadow[id] += v.people
		}
		for id, g := range w.given(v) {
			r := w.tally.rule(id)
			r.people += v.people
			if g.redundant {
				r.redundant += v.people
			}
			if g.beaten {
				r.beaten += v.people
			}
		}
	}
	clear(w.verdicts)
}

// given is what one rule adds to what people hold.
type given struct{ redundant, beaten bool }

// given is by rule what each adds to a verdict.
func (w *planWorker) given(v *verdict) map[string]given {
	out := map[string]given{}
	first := len(w.ranks) // of the rules that give the primary
	for _, x := range v.want {
		for _, s := range x.Sources {
			if x.Standing == access.Primary && s.Standing == access.Primary {
				first = min(first, w.ranks[s.ID])
			}
		}
	}
	for _, x := range v.want {
		for _, s := range x.Sources {
			was, seen := out[s.ID]
			g := given{redundant: w.covered(s, x.Sources), beaten: first < w.ranks[s.ID]}
			if seen {
				g.redundant = g.redundant && was.redundant
			}
			out[s.ID] = g
		}
	}
	return out
}

// covered reports whether an earlier rule gives at least as much as s does.
func (w *planWorker) covered(s access.Source, all []access.Source) bool {
	return slices.ContainsFunc(all, func(o access.Source) bool {
		return w.ranks[o.ID] < w.ranks[s.ID] && o.Flags.Union(s.Flags) == o.Flags && (o.Standing == access.Primary || s.Standing != access.Primary) &&
			(o.Until.IsZero() || !s.Until.IsZero() && !o.Until.Before(s.Until)) && !o.NotBefore.After(s.NotBefore)
	})
}

// held reads what a person holds.
func (w *planWorker) held(x *store.CensusPerson) ([]access.Assignment, error) {
	if len(w.sources) > maxVerdicts {
		clear(w.sources)
	}
	held := make([]access.Assignment, len(x.Held))
	for i, a := range x.Held {
		var err error
		if held[i], err = a.Assignment(w.sources); err != nil {
			return nil, err
		}
		held[i].Person = x.ID
	}
	slices.SortFunc(held, access.CompareAssignments)
	return held, nil
}

func (w *planWorker) administrators(lives, stays bool, before, after []access.Assignment) {
	for _, a := range before {
		if lives && a.Grant == access.Administrator && a.MaySignIn(w.now) {
			w.tally.count(a.Scope, 1, 0)
		}
	}
	for _, a := range after {
		if stays && a.Grant == access.Administrator && a.MaySignIn(w.now) && !endsSooner(a, before) {
			w.tally.count(a.Scope, 0, 1)
		}
	}
}

// endsSooner reports whether an assignment has an end that the one of the same grant and
// scope before it did not have, or one before that: who is an administrator for a while
// yet does not stay one.
func endsSooner(a access.Assignment, before []access.Assignment) bool {
	if a.Until.IsZero() {
		return false
	}
	return !slices.ContainsFunc(before, func(b access.Assignment) bool {
		return b.Grant == a.Grant && b.Scope == a.Scope && !b.Until.IsZero() && !a.Until.Before(b.Until)
	})
}

// change puts a person's plan into words, and notes what is lost.
func (w *planWorker) change(x *store.CensusPerson, plan mapping.Plan, before, after []access.Assignment, out *planned) PersonChange {
	old := w.was
	if old == nil {
		old = w.next
	}
	c := changeOf(PersonName{x.Connection, x.ID, x.UserName}, old, w.next, plan, before, after, w.now)
	out.losses = append(out.losses, c.losses...)
	return c
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
	h := PlannedHolding{Is: p.Describe(a.Grant, a.Scope), Standing: a.Standing, Flags: a.Flags, Risk: p.Catalogue().RiskOf(s.Level, a.Grant, a.Flags), Until: a.Until, LastUsed: a.LastUsed}
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

// sessions counts those that would end or have to choose.
func (w *planWorker) sessions(v *store.View, moved map[access.ConnectionID]map[access.PersonID]touched, changes []PersonChange) error {
	for conn, people := range moved {
		c := w.conns[conn]
		if !c.lives {
			continue
		}
		ids := slices.Sorted(maps.Keys(people))
		rows, err := w.census.Sessions(v, conn, ids)
		if err != nil {
			return err
		}
		for id, t := range people {
			for _, row := range rows[id] {
				if !row.LiveAt(w.now) || row.Epochs.Connection != c.row.Epoch {
					continue
				}
				next, _ := session.Reconcile(row.Session, t.before, t.after, w.now)
				if t.ends || next.State != row.State {
					changes[t.at].Sessions++
				}
			}
		}
	}
	return nil
}

// finish is all that a worker has counted.
func (w *planWorker) finish() planTally {
	w.fold()
	w.tally.summary = PlanSummary{}
	return w.tally
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

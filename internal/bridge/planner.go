package bridge

import (
	"maps"
	"slices"
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
	sight   map[access.ScopeID]sightChange // of scopes that will cover others than now
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
	if was != nil {
		p.sight = sightOf(was.Tree(), next.Tree())
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

// planned is what a plan says of some people.
type planned struct {
	looked  int64
	changes []PersonChange
	losses  []loss
	tally   planTally
}

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
	if settled && w.asWanted(x, want) && !w.sighted(x) {
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
		plan.Give = w.next.Diff(held, want.want, by(x, c.trusts), w.now).After()
	default:
		plan = w.next.Diff(before, want.want, by(x, c.trusts), w.now)
	}
	after := plan.After()
	w.administrators(x.Active && c.lives, x.Active && c.stays, before, after)
	if slices.ContainsFunc(before, w.holds) {
		s.Holding++
		w.tally.holding[x.Connection]++
	}
	if plan.Empty() && !slices.ContainsFunc(before, w.moved) {
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
	return w.was.Diff(held, mapping.Decide(w.was, f, w.now).Want, by(x, c.row.TrustsCertification), w.now).After(), nil
}

// asWanted reports whether exactly what is wanted is stored. Of whom people decided
// something that is only told by comparing all of it: a verdict knows rules alone.
func (w *planWorker) asWanted(x *store.CensusPerson, want *verdict) bool {
	if want == nil {
		return len(x.Held) == 0
	}
	if x.Decided > 0 {
		return false
	}
	w.shape = w.shape[:0]
	for _, a := range x.Held {
		w.shape = appendShape(w.shape, a)
	}
	return string(w.shape) == want.shape
}

// facts are what the rules look at, of groups that feed one.
func (w *planWorker) facts(x *store.CensusPerson, trusts bool, looks []mapping.Attribute, feeds func(*planGroup) bool) (mapping.Facts, error) {
	f := mapping.Facts{Connection: x.Connection, Person: x.ID, Active: x.Active, Certification: certification(x, trusts)}
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

func certification(x *store.CensusPerson, trusts bool) access.Certification {
	switch {
	case x.Asserted != nil:
		return *x.Asserted
	case trusts:
		return x.Claimed
	}
	return access.Certification{}
}

// by is what people decided about somebody.
func by(x *store.CensusPerson, trusts bool) access.Decided {
	d := x.By
	d.Certification = certification(x, trusts)
	return d
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
	w.see(&c, before, after)
	out.losses = append(out.losses, c.losses...)
	return c
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

// planPeople plans for some people of one connection, inside a transaction or a view:
// what becomes of them, every loss of it, and the numbers that they add. Ids that are
// nobody's are left out.
func (p *planner) planPeople(v *store.View, conn access.ConnectionID, ids []access.PersonID) (planned, error) {
	rows, err := p.census.Of(v, conn, ids, p.docs)
	if err != nil {
		return planned{}, err
	}
	w := p.worker()
	out, err := w.judge(v, rows)
	out.tally.add(w.finish())
	return out, err
}

package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The reasons of refusals to store what a rule may not give, and what nobody gave.
const (
	ReasonAboveCeiling = string(mapping.AboveCeiling)
	ReasonNotPermitted = "not_permitted"
)

// Facts are what rules may look at about a person, with the attributes that they do look
// at (Policy.Attributes). The vendor's certification outranks the one that came over
// SCIM, which counts only where it is trusted.
func (d *Directory) Facts(p Person, look []mapping.Attribute) (mapping.Facts, error) {
	f := d.ownFacts(p)
	var err error
	if len(look) > 0 && p.Doc == nil {
		err = d.documents([]PersonKey{p.Key}, func(_ PersonKey, doc []byte) { p.Doc = doc })
		if err != nil {
			return f, err
		}
	}
	if f.Attributes, err = looked(p, look); err != nil {
		return f, err
	}
	f.Memberships, err = list(d.v, "store.Facts", func(r Row) (mapping.Membership, error) {
		var m mapping.Membership
		var since int64
		err := r.Scan(&m.Group, &m.Name, &m.ExternalID, &m.Shared, &since)
		m.Since = at(since)
		return m, err
	}, `select `+factColumns+`, m.since from memberships m join groups g on g.conn = $1 and g.key = m.grp and not g.dissolving
		where m.person = $2 and m.conn = $1 order by m.grp`, d.conn, int64(p.Key))
	return f, err
}

// factColumns are what rules look at about a group.
const factColumns = `g.id, g.display_name, coalesce(g.external_id, ''),
	exists (select 1 from groups o where o.conn = g.conn and o.external_id = g.external_id and o.key <> g.key and not o.dissolving)`

// ownFacts are the facts that stand in the person's own row.
func (d *Directory) ownFacts(p Person) mapping.Facts {
	f := mapping.Facts{Connection: d.row.ID, Person: p.ID, Active: p.Active}
	switch {
	case p.Asserted != nil:
		f.Certification = *p.Asserted
	case d.row.TrustsCertification:
		f.Certification = p.Claimed
	}
	return f
}

// documents reads those of people; nobody's is said for whom there is none.
func (d *Directory) documents(keys []PersonKey, say func(PersonKey, []byte)) error {
	return d.v.each("store.Facts", func(r Row) error {
		var key PersonKey
		var doc []byte
		err := r.Scan(&key, &doc)
		if err == nil {
			say(key, doc)
		}
		return err
	}, `select key, doc from people where conn = $1 and key in (`+d.dialect().Keys("$2")+`)`, d.conn, jsonList(keys))
}

// looked are the attributes that rules look at, out of the person's document.
func looked(p Person, look []mapping.Attribute) (map[string]any, error) {
	if len(look) == 0 || p.Doc == nil {
		return nil, nil
	}
	doc, err := schema.Stored(p.Doc)
	if err != nil {
		return nil, fault.New(fault.Internal, "store.Facts", "%s: %v", p.ID, err)
	}
	return mapping.Look(look, doc), nil
}

// Assignments lists what a person holds, with its sources, in the order of
// access.CompareAssignments. What neither a rule nor a living permit gives is not held,
// whatever its row says: every use of an assignment begins here.
func (d *Directory) Assignments(p Person) ([]access.Assignment, error) {
	return d.assignments(p, backed())
}

// backed leaves of assignments those that something gives.
func backed() string {
	if planted.Bug(planted.GuestWithoutPermit) {
		return ``
	}
	return ` and ` + backedSQL
}

// Stored is Assignments with what nothing stands behind any more, for whoever writes them
// anew.
func (d *Directory) Stored(p Person) ([]access.Assignment, error) { return d.assignments(p, ``) }

// backedSQL is whether a rule or a living permit gives the assignment a.
const backedSQL = `(a.ceiling_scope is not null or exists (select 1 from permits t
	where t.conn = a.conn and t.person = a.person and t.grant_kind = a.grant_kind and t.scope = a.scope and ` + livingSQL + `))`

func (d *Directory) assignments(p Person, which string) ([]access.Assignment, error) {
	held, err := list(d.v, "store.Assignments", func(r Row) (access.Assignment, error) {
		a, err := scanAssignment(r, nil)
		a.Person = p.ID
		return a, err
	}, `select `+assignmentColumns+` from assignments a where a.conn = $1 and a.person = $2`+which, d.conn, int64(p.Key))
	slices.SortFunc(held, access.CompareAssignments)
	return held, err
}

const assignmentColumns = `id, grant_kind, scope, events, video, standing, not_before, until, sources, last_used_at`

// knownSources are sources by how they are stored: those whom one group made what
// they are have the same ones. Who reads them together shares the slices.
type knownSources map[string][]access.Source

func (k knownSources) read(stored []byte) (sources []access.Source, err error) {
	if sources, ok := k[string(stored)]; ok {
		return sources, nil
	}
	if err := json.Unmarshal(stored, &sources); err != nil {
		return nil, err
	}
	if k != nil {
		k[string(stored)] = slices.Clip(sources)
	}
	return sources, nil
}

// scanAssignment reads all of an assignment but whose it is. known may be nil.
func scanAssignment(r Row, known knownSources, more ...any) (a access.Assignment, err error) {
	var notBefore, until, used int64
	var sources []byte
	err = r.Scan(append([]any{&a.ID, &a.Grant, &a.Scope, &a.Flags.Events, &a.Flags.Video, &a.Standing, &notBefore, &until, &sources, &used}, more...)...)
	if err != nil {
		return a, err
	}
	a.NotBefore, a.Until, a.LastUsed = at(notBefore), at(until), at(used)
	a.Sources, err = known.read(sources)
	return a, err
}

// ApplyPlan stores a plan whose assignments have their ids. fault.Denied with
// ReasonAboveCeiling if a rule gives what the connection's ceiling does not allow, with
// ReasonNotPermitted if neither a rule nor a living permit gives it: the database itself
// refuses.
func (d *DirectoryTx) ApplyPlan(p Person, plan mapping.Plan) error {
	for _, a := range plan.Drop {
		if err := d.dropAssignment(p, a); err != nil {
			return err
		}
	}
	changes := slices.Clone(plan.Change)
	slices.SortStableFunc(changes, func(a, b mapping.Change) int { return -access.CompareAssignments(a.To, b.To) }) // guests first: there is one primary
	for _, c := range changes {
		if err := d.changeAssignment(p, c); err != nil {
			return err
		}
	}
	for _, a := range plan.Give {
		if err := d.giveAssignment(p, a); err != nil {
			return err
		}
	}
	return failpoint.Hit(d.v.ctx, failpoint.AfterGrants)
}

func (d *DirectoryTx) dropAssignment(p Person, a access.Assignment) error {
	const op = "store.ApplyPlan"
	n, err := d.tx.exec(op, `delete from assignments where conn = $1 and person = $2 and id = $3`, d.conn, int64(p.Key), string(a.ID))
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "the assignment %s is no longer held", a.ID)
	}
	return err
}

// ceilingSQL is the ceiling that a rule's assignment points at, if it covers the
// scope; NULL where none does, which the table's check refuses.
const ceilingSQL = `(select c.scope from ceilings c join scope_ancestors s on s.scope = $4 and s.ancestor = c.scope and not s.retired
	where c.conn = $1 and c.grant_kind = $3 and not c.retired and $10)`

// permitSQL is the permit that lasts longest of those that an assignment which no rule gives
// may point at; NULL where there is none, which the table's check refuses.
const permitSQL = `(select t.id from permits t where t.conn = $1 and t.person = $2 and t.grant_kind = $3 and t.scope = $4 and not $10 and ` + livingSQL + `
	order by t.until = 0 desc, t.until desc, t.id limit 1)`

func (d *DirectoryTx) changeAssignment(p Person, c mapping.Change) error {
	const op = "store.ApplyPlan"
	args, err := d.assignmentArgs(p, c.To)
	if err != nil {
		return err
	}
	n, err := d.v.q.Exec(`update assignments set grant_kind = $3, scope = $4, events = $5, video = $6, standing = $7, not_before = $8, until = $9,
		by_rule = $10, ceiling_scope = `+ceilingSQL+`, permit = `+permitSQL+`, sources = $11, id = $12 where conn = $1 and person = $2 and id = $13`,
		append(args, string(c.From.ID))...)
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "the assignment %s is no longer held", c.From.ID)
	}
	return d.refused(c.To, err)
}

func (d *DirectoryTx) giveAssignment(p Person, a access.Assignment) error {
	args, err := d.assignmentArgs(p, a)
	if err != nil {
		return err
	}
	_, err = d.v.q.Expect(1, `insert into assignments (conn, person, grant_kind, scope, events, video, standing, not_before, until, by_rule, ceiling_scope, permit, sources, id, last_used_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, `+ceilingSQL+`, `+permitSQL+`, $11, $12, $13)`, append(args, ms(a.LastUsed))...)
	return d.refused(a, err)
}

func (d *DirectoryTx) assignmentArgs(p Person, a access.Assignment) ([]any, error) {
	sources, err := json.Marshal(a.Sources)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "store.ApplyPlan", err)
	}
	return []any{d.conn, int64(p.Key), string(a.Grant), string(a.Scope), string(a.Flags.Events), a.Flags.Video, string(a.Standing),
		ms(a.NotBefore), ms(a.Until), byRule(a), string(sources), string(a.ID)}, nil
}

func byRule(a access.Assignment) bool {
	return slices.ContainsFunc(a.Sources, func(s access.Source) bool { return s.Kind == access.SourceRule })
}

// refused says what it means that the database refuses an assignment.
func (d *DirectoryTx) refused(a access.Assignment, err error) error {
	const op = "store.ApplyPlan"
	err = d.v.failed(err, op)
	reason := fault.ReasonOf(err)
	if !fault.Is(err, fault.Conflict) || reason != ReasonForeignKey && reason != ReasonCheck {
		return err
	}
	denied := &fault.Error{Kind: fault.Denied, Op: op, Reason: ReasonAboveCeiling, Err: err, Detail: "a rule gives more than the connection's ceiling allows"}
	if !byRule(a) {
		denied.Reason, denied.Detail = ReasonNotPermitted, "neither a rule nor a permit gives this"
	}
	return denied
}

// TouchAssignments records when assignments were last used. One that is no longer held
// is passed over.
func (d *DirectoryTx) TouchAssignments(used map[access.AssignmentID]time.Time) error {
	for id, when := range used {
		_, err := d.tx.expect("store.TouchAssignments", AnyRows, `update assignments set last_used_at = $1 where conn = $2 and id = $3 and last_used_at < $1`, ms(when), d.conn, string(id))
		if err != nil {
			return err
		}
	}
	return nil
}

package store

import (
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Census reads everybody, of whatever connection, in the order in which they came: a
// part at a time, with what a decision looks at and without their documents. Each part
// is what its View sees.
type Census struct {
	conns map[int64]access.ConnectionID
	keys  map[access.ConnectionID]int64
	since map[access.ConnectionID]int64 // the version from which decisions count
}

// Census begins to read everybody. People of connections that are added later are left out.
func (v *View) Census() (*Census, error) {
	c := &Census{conns: map[int64]access.ConnectionID{}, keys: map[access.ConnectionID]int64{}, since: map[access.ConnectionID]int64{}}
	return c, v.each("store.Census", func(r Row) error {
		var key, since int64
		var id access.ConnectionID
		err := r.Scan(&key, &id, &since)
		c.conns[key], c.keys[id], c.since[id] = id, key, since
		return err
	}, `select key, id, decided_from from connections`)
}

// Decided reports whether the version of the person's last decision still counts.
func (c *Census) Decided(p CensusPerson) bool {
	return p.Policy > 0 && p.Policy >= c.since[p.Connection]
}

// CensusPerson is what planning looks at of one person.
type CensusPerson struct {
	Key        PersonKey
	Connection access.ConnectionID
	ID         access.PersonID
	UserName   string
	Active     bool
	Policy     int64     // the version of the last decision
	ValidUntil time.Time // until when it holds
	Claimed    access.Certification
	Asserted   *access.Certification
	Decided    int64              // how many Permits and Limits there are
	By         access.Decided     // by people; without the certification
	Groups     []CensusMembership // by group
	Held       []CensusAssignment // by grant and scope
	Doc        []byte             // nil unless it was asked for
}

// CensusMembership is a row of memberships.
type CensusMembership struct {
	Group GroupKey
	Since int64 // Unix milliseconds
}

// CensusAssignment is an assignment as it is stored: most are only compared.
type CensusAssignment struct {
	ID               access.AssignmentID
	Grant            access.Grant
	Scope            access.ScopeID
	Flags            access.Flags
	Standing         access.Standing
	NotBefore, Until int64  // Unix milliseconds; 0: none
	LastUsed         int64  // likewise
	Sources          []byte // JSON of []access.Source
}

// Assignment reads it whole, but for whose it is.
func (a CensusAssignment) Assignment(known map[string][]access.Source) (access.Assignment, error) {
	sources, err := knownSources(known).read(a.Sources)
	return access.Assignment{ID: a.ID, Grant: a.Grant, Scope: a.Scope, Flags: a.Flags, Standing: a.Standing,
		NotBefore: at(a.NotBefore), Until: at(a.Until), LastUsed: at(a.LastUsed), Sources: sources}, err
}

// CensusGroup is what planning looks at of one group.
type CensusGroup struct {
	Key        GroupKey
	Connection access.ConnectionID
	ID         access.GroupID
	Name       string
	ExternalID string
	Shared     bool // another live group of the connection has the same externalId
	Dissolving bool // it feeds nothing any more
	Fenced     bool // its members may have to be decided anew
	Members    int64
}

// Next is where the next part of at most limit people ends, behind after; 0 if there is
// nobody there.
func (c *Census) Next(v *View, after PersonKey, limit int) (upTo PersonKey, err error) {
	err = v.q.QueryRow(`select coalesce(max(key), 0) from (select key from people where key > $1 order by key limit $2) p`, int64(after), limit).Scan(&upTo)
	return upTo, v.failed(err, "store.Census")
}

// People reads the people behind after, up to upTo; with their documents, those of the
// connections docs.
func (c *Census) People(v *View, after, upTo PersonKey, docs []access.ConnectionID) ([]CensusPerson, error) {
	p := people{c, v, docs, nil}
	err := p.read(`p.key > $1 and p.key <= $2`, `person > $1 and person <= $2`, int64(after), int64(upTo))
	return p.all, err
}

// Of reads these people of one connection; ids that are nobody's are left out.
func (c *Census) Of(v *View, conn access.ConnectionID, ids []access.PersonID, docs []access.ConnectionID) ([]CensusPerson, error) {
	d, err := v.in(conn)
	if err != nil {
		return nil, err
	}
	found, err := d.Keys(ids)
	if err != nil {
		return nil, err
	}
	keys := make([]PersonKey, 0, len(found))
	for _, k := range found {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	p := people{c, v, docs, nil}
	in := `in (` + v.engine.Dialect().Keys("$1") + `)`
	err = p.read(`p.key `+in, `person `+in, jsonList(keys))
	return p.all, err
}

// people gathers a part of a census.
type people struct {
	*Census
	v    *View
	docs []access.ConnectionID
	all  []CensusPerson
}

func (p *people) read(own, others string, args ...any) error {
	if err := p.rows(own, args...); err != nil || len(p.all) == 0 {
		return err
	}
	if err := p.memberships(others, args...); err != nil {
		return err
	}
	held := map[int64]bool{}
	for _, x := range p.all {
		held[p.keys[x.Connection]] = true
	}
	conns := make([]int64, 0, len(held))
	for c := range held {
		conns = append(conns, c)
	}
	slices.Sort(conns)
	for _, c := range conns {
		if err := p.assignments(c, others, args...); err != nil {
			return err
		}
		if err := p.decided(c); err != nil {
			return err
		}
	}
	return nil
}

// decided reads what people decided about those of a connection about whom they did.
func (p *people) decided(conn int64) error {
	at := map[PersonKey]*access.Decided{}
	var some []PersonKey
	for i, x := range p.all {
		if x.Decided > 0 && p.keys[x.Connection] == conn {
			some = append(some, x.Key)
			at[x.Key] = &p.all[i].By
		}
	}
	if len(some) == 0 {
		return nil
	}
	return p.v.decided(`in (`+p.v.engine.Dialect().Keys("$2")+`)`, func(k PersonKey) *access.Decided { return at[k] }, conn, jsonList(some))
}

func (p *people) rows(where string, args ...any) error {
	doc := `null`
	if len(p.docs) > 0 {
		var keys []int64
		for _, id := range p.docs {
			keys = append(keys, p.keys[id])
		}
		slot := "$" + strconv.Itoa(len(args)+1)
		doc, args = `case when p.conn in (`+p.v.engine.Dialect().Keys(slot)+`) then p.doc end`, append(slices.Clone(args), jsonList(keys))
	}
	var x CensusPerson
	var conn, validUntil, claimed, assertedUntil int64
	var asserted bool
	var level string
	into := []any{&x.Key, &conn, &x.ID, &x.UserName, &x.Active, &x.Policy, &validUntil, &x.Claimed.Level, &claimed, &asserted, &level, &assertedUntil, &x.Decided, nil}
	if len(p.docs) > 0 {
		into[len(into)-1] = &x.Doc
	}
	return p.v.each("store.Census", func(r Row) error {
		x = CensusPerson{}
		if err := r.Scan(into...); err != nil {
			return err
		}
		var known bool
		if x.Connection, known = p.conns[conn]; !known {
			return nil
		}
		x.ValidUntil, x.Claimed.Until = at(validUntil), at(claimed)
		if asserted {
			x.Asserted = &access.Certification{Level: level, Until: at(assertedUntil)}
		}
		p.all = append(p.all, x)
		return nil
	}, `select p.key, p.conn, p.id, p.user_name, p.active, p.policy, p.valid_until, p.claimed_level, p.claimed_until,
		p.asserted, p.asserted_level, p.asserted_until, p.decided, `+doc+` from people p where `+where+` order by p.key`, args...)
}

// find is the person of a key, where at is a hint: rows come in the order of people.
func (p *people) find(key PersonKey, at *int) *CensusPerson {
	for *at < len(p.all) && p.all[*at].Key < key {
		*at++
	}
	if *at < len(p.all) && p.all[*at].Key == key {
		return &p.all[*at]
	}
	return nil
}

func (p *people) memberships(where string, args ...any) error {
	var key PersonKey
	var m CensusMembership
	into, at := []any{&key, &m.Group, &m.Since}, 0
	return p.v.each("store.Census", func(r Row) error {
		err := r.Scan(into...)
		if x := p.find(key, &at); x != nil {
			x.Groups = append(x.Groups, m)
		}
		return err
	}, `select person, grp, since from memberships where `+where+` order by person, grp`, args...)
}

func (p *people) assignments(conn int64, where string, args ...any) error {
	var key PersonKey
	var a CensusAssignment
	into, at := []any{&key, &a.ID, &a.Grant, &a.Scope, &a.Flags.Events, &a.Flags.Video, &a.Standing, &a.NotBefore, &a.Until, &a.LastUsed, &a.Sources}, 0
	slot := len(args) + 1
	return p.v.each("store.Census", func(r Row) error {
		a.Sources = nil
		err := r.Scan(into...)
		if x := p.find(key, &at); x != nil && p.keys[x.Connection] == conn {
			x.Held = append(x.Held, a)
		}
		return err
	}, `select person, id, grant_kind, scope, events, video, standing, not_before, until, last_used_at, sources from assignments
		where conn = $`+strconv.Itoa(slot)+` and `+where+` order by person, grant_kind, scope`, append(slices.Clone(args), conn)...)
}

const censusGroups = `select g.key, g.conn, g.id, g.display_name, coalesce(g.external_id, ''), g.dissolving, g.fence > 0, g.member_count,
	exists (select 1 from groups o where o.conn = g.conn and o.external_id = g.external_id and o.key <> g.key and not o.dissolving) from groups g `

func (c *Census) groups(v *View, where string, args ...any) ([]CensusGroup, error) {
	return list(v, "store.Census", func(r Row) (g CensusGroup, err error) {
		var conn int64
		err = r.Scan(&g.Key, &conn, &g.ID, &g.Name, &g.ExternalID, &g.Dissolving, &g.Fenced, &g.Members, &g.Shared)
		g.Connection = c.conns[conn]
		return g, err
	}, censusGroups+where, args...)
}

// Groups lists the groups behind a key, in their order, at most limit.
func (c *Census) Groups(v *View, after GroupKey, limit int) ([]CensusGroup, error) {
	return c.groups(v, `where g.key > $1 order by g.key limit $2`, int64(after), limit)
}

// GroupsOf lists the groups of keys; unknown keys are left out.
func (c *Census) GroupsOf(v *View, keys []GroupKey) ([]CensusGroup, error) {
	return c.groups(v, `where g.key in (`+v.engine.Dialect().Keys("$1")+`) order by g.key`, jsonList(keys))
}

// Sessions lists the live sessions of people of one connection.
func (c *Census) Sessions(v *View, conn access.ConnectionID, people []access.PersonID) (map[access.PersonID][]SessionRow, error) {
	found := map[access.PersonID][]SessionRow{}
	return found, v.each("store.Census", func(r Row) error {
		s, err := scanSession(r)
		found[s.Person] = append(found[s.Person], s)
		return err
	}, `select `+sessionColumns+` where s.conn = $1 and s.person in (`+v.engine.Dialect().Texts("$2")+`) and s.state <> 0 order by s.created_at, s.id`, c.keys[conn], jsonList(people))
}

// AuditPosition is the id of the newest audit row: what is recorded later has a higher one.
func (v *View) AuditPosition() (id int64, err error) {
	err = v.q.QueryRow(`select coalesce(max(id), 0) from audit`).Scan(&id)
	return id, v.failed(err, "store.AuditPosition")
}

package store

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Basis is what a decision about one person looks at, and the sessions it may move.
type Basis struct {
	Facts    mapping.Facts
	Held     []access.Assignment // in the order of access.CompareAssignments
	Decided  access.Decided      // by people
	Sessions []SessionRow        // that live
}

// Bases is Facts, Assignments, Decided and Sessions of several people at once, in their
// order: four statements, however many they are, a fifth where rules look at attributes and
// the people have been read without their documents, and two where people decided
// something about one of them.
func (d *Directory) Bases(people []Person, look []mapping.Attribute) ([]Basis, error) {
	bases := make([]Basis, len(people))
	at, keys, ids := make(map[PersonKey]*Basis, len(people)), make([]PersonKey, len(people)), make([]access.PersonID, len(people))
	byID := make(map[access.PersonID]*Basis, len(people))
	for i, p := range people {
		bases[i].Facts = d.ownFacts(p)
		at[p.Key], byID[p.ID] = &bases[i], &bases[i]
		keys[i], ids[i] = p.Key, p.ID
	}
	if err := d.look(people, look, at); err != nil {
		return nil, err
	}
	if err := d.membershipsOf(keys, at); err != nil {
		return nil, err
	}
	if err := d.assignmentsOf(keys, at); err != nil {
		return nil, err
	}
	if err := d.decidedOf(people, at); err != nil {
		return nil, err
	}
	return bases, d.v.each("store.Bases", func(r Row) error {
		s, err := scanSession(r)
		if b := byID[s.Person]; b != nil {
			b.Sessions = append(b.Sessions, s)
		}
		return err
	}, `select `+sessionColumns+` where s.conn = $1 and s.person in (`+d.dialect().Texts("$2")+`) and s.state <> 0 order by s.created_at, s.id`+d.v.own("s"), d.conn, jsonList(ids))
}

// look fills in the attributes that rules look at.
func (d *Directory) look(people []Person, look []mapping.Attribute, bases map[PersonKey]*Basis) error {
	if len(look) == 0 {
		return nil
	}
	docs := map[PersonKey][]byte{}
	var lean []PersonKey
	for _, p := range people {
		if p.Doc == nil {
			lean = append(lean, p.Key)
		}
	}
	if len(lean) > 0 {
		if err := d.documents(lean, func(key PersonKey, doc []byte) { docs[key] = doc }); err != nil {
			return err
		}
	}
	for _, p := range people {
		if p.Doc == nil {
			p.Doc = docs[p.Key]
		}
		var err error
		if bases[p.Key].Facts.Attributes, err = looked(p, look); err != nil {
			return err
		}
	}
	return nil
}

// membershipsOf reads the memberships of people, and then each of their groups once.
func (d *Directory) membershipsOf(keys []PersonKey, bases map[PersonKey]*Basis) error {
	const op = "store.Bases"
	rows, named, err := d.memberships(op, `m.person, m.grp, m.since`, `m.conn = $2 and `, keys, d.conn)
	if err != nil {
		return err
	}
	groups := make(map[GroupKey]mapping.Membership, len(named))
	err = d.v.each(op, func(r Row) error {
		var key GroupKey
		var m mapping.Membership
		err := r.Scan(&key, &m.Group, &m.Name, &m.ExternalID, &m.Shared)
		groups[key] = m
		return err
	}, `select g.key, `+factColumns+` from groups g where g.conn = $1 and g.key in (`+d.dialect().Keys("$2")+`) and not g.dissolving`, d.conn, jsonList(named))
	if err != nil {
		return err
	}
	for _, m := range rows {
		if g, lives := groups[m.group]; lives {
			g.Since = at(m.since)
			bases[m.person].Facts.Memberships = append(bases[m.person].Facts.Memberships, g)
		}
	}
	return nil
}

// GroupNamesOf is GroupNames of several people at once: two statements, however many
// they are.
func (d *Directory) GroupNamesOf(people []PersonKey) (map[PersonKey][]GroupName, error) {
	const op = "store.GroupNamesOf"
	// The index alone answers this: whose group it is, the next question asks.
	rows, named, err := d.memberships(op, `m.person, m.grp, 0`, ``, people)
	if err != nil {
		return nil, err
	}
	groups := make(map[GroupKey]GroupName, len(named))
	err = d.v.each(op, func(r Row) error {
		var key GroupKey
		var g GroupName
		err := r.Scan(&key, &g.ID, &g.DisplayName)
		groups[key] = g
		return err
	}, `select g.key, g.id, g.display_name from groups g where g.conn = $1 and g.key in (`+d.dialect().Keys("$2")+`) and not g.dissolving`, d.conn, jsonList(named))
	if err != nil {
		return nil, err
	}
	of := make(map[PersonKey][]GroupName, len(people))
	for _, m := range rows {
		if g, lives := groups[m.group]; lives {
			of[m.person] = append(of[m.person], g)
		}
	}
	return of, nil
}

// membership is a row of memberships.
type membership struct {
	person PersonKey
	group  GroupKey
	since  int64
}

// memberships reads those of people, in the order of their groups, and which groups these are.
func (d *Directory) memberships(op, what, where string, people []PersonKey, args ...any) (rows []membership, groups []GroupKey, err error) {
	var m membership
	into := []any{&m.person, &m.group, &m.since} // once: there may be thousands of rows
	err = d.v.each(op, func(r Row) error {
		err := r.Scan(into...)
		rows = append(rows, m)
		return err
	}, `select `+what+` from `+d.dialect().Probed("$1", "memberships", "m", where+`m.person = k.value`)+` order by m.person, m.grp`, append([]any{jsonList(people)}, args...)...)
	seen := map[GroupKey]bool{}
	for _, m := range rows {
		if !seen[m.group] {
			seen[m.group], groups = true, append(groups, m.group)
		}
	}
	slices.Sort(groups)
	return rows, groups, err
}

func (d *Directory) assignmentsOf(keys []PersonKey, bases map[PersonKey]*Basis) error {
	known := knownSources{}
	err := d.v.each("store.Bases", func(r Row) error {
		var person PersonKey
		a, err := scanAssignment(r, known, &person)
		if err != nil {
			return err
		}
		b := bases[person]
		a.Person = b.Facts.Person
		b.Held = append(b.Held, a)
		return nil
	}, `select `+assignmentColumns+`, person from `+d.dialect().Probed("$2", "assignments", "a", `a.conn = $1 and a.person = k.value`), d.conn, jsonList(keys))
	for _, b := range bases {
		slices.SortFunc(b.Held, access.CompareAssignments)
	}
	return err
}

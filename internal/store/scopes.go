package store

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const scopeColumns = `id, parent, level, name, timezone, location, retired_at`

func scanScope(r Row) (s access.Scope, err error) {
	var level, retired int64
	err = r.Scan(&s.ID, &s.Parent, &level, &s.Name, &s.TimeZone, &s.Location, &retired)
	s.Level, s.Retired = access.Level(level), at(retired)
	return s, err
}

// Scopes are all that are in force, by id, retired ones included.
func (v *View) Scopes() ([]access.Scope, error) {
	const op = "store.Scopes"
	all, err := list(v, op, scanScope, `select `+scopeColumns+` from scopes
		where not gone and (batch = 0 or batch in (select id from scope_batches where in_force)) order by id`)
	if err != nil {
		return nil, err
	}
	next := 0
	return all, v.each(op, func(r Row) error { // both lists are in the order of ids
		var id, parent access.ScopeID
		var slug string
		var rank int64
		if err := r.Scan(&id, &parent, &slug, &rank); err != nil {
			return err
		}
		for next < len(all) && all[next].ID < id {
			next++
		}
		if next < len(all) && all[next].ID == id {
			lead(&all[next], access.Place{Parent: parent, Slug: slug}, rank)
		}
		return nil
	}, `select scope, parent, slug, rank from scope_slugs order by scope, rank`)
}

// lead lets a place lead to a scope: today's, a former slug, or where it was before a move.
func lead(s *access.Scope, p access.Place, rank int64) {
	switch {
	case rank == 0:
		s.Slug = p.Slug
	case p.Parent == s.Parent:
		s.Was = append(s.Was, p.Slug)
	default:
		s.Formerly = append(s.Formerly, p)
	}
}

// ReasonSlug is the reason of a refusal to let one step of a path lead to two scopes.
const ReasonSlug = "slug"

// PutTree writes what leads from the tree in force to another: as many rows as have
// changed. fault.Conflict with the reason ReasonSlug if two scopes would answer to
// one step of a path.
//
// Where a scope leaves what covered it, or goes, the rows that assignments need until
// they are decided anew stay, and are refused to new ones; PruneTree takes them away.
func (tx *Tx) PutTree(d access.TreeDiff) error {
	if err := tx.alone("store.PutTree"); err != nil {
		return err
	}
	if err := tx.freeSlugs(d); err != nil {
		return err
	}
	if err := tx.putScopes(slices.Concat(d.New, d.Changed), 0); err != nil {
		return err
	}
	isNew := make(map[access.ScopeID]bool, len(d.New))
	for _, s := range d.New {
		isNew[s.ID] = true
	}
	for _, l := range d.Above {
		if err := tx.putLineage(l, isNew[l.Scope]); err != nil {
			return err
		}
	}
	return tx.PruneTree()
}

// freeSlugs takes away what leads to scopes that changed or went, so that in any
// order of writing no two lead to different ones.
func (tx *Tx) freeSlugs(d access.TreeDiff) error {
	const op = "store.PutTree"
	changed := slices.Clone(d.Gone)
	for _, s := range d.Changed {
		changed = append(changed, s.ID)
	}
	for _, id := range changed {
		if _, err := tx.exec(op, `delete from scope_slugs where scope = $1`, string(id)); err != nil {
			return err
		}
	}
	for _, id := range d.Gone {
		if _, err := tx.exec(op, `update scopes set gone = $1 where id = $2`, true, string(id)); err != nil {
			return err
		}
		if _, err := tx.exec(op, `update scope_ancestors set retired = $1 where scope = $2`, true, string(id)); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) putScopes(scopes []access.Scope, batch int64) error {
	const op = "store.PutTree"
	for _, s := range scopes {
		_, err := tx.exec(op, `insert into scopes (id, parent, level, name, timezone, location, retired_at, gone, batch) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (id) do update set parent = $2, level = $3, name = $4, timezone = $5, location = $6, retired_at = $7, gone = $8`,
			string(s.ID), string(s.Parent), int64(s.Level), s.Name, s.TimeZone, s.Location, ms(s.Retired), false, batch)
		if err != nil {
			return err
		}
		for rank, place := range places(s) {
			if err := tx.leadTo(place, s.ID, int64(rank)); err != nil {
				return err
			}
		}
	}
	return nil
}

// leadTo lets a place lead to a scope, also where an import has it that is not in force:
// that one will be begun again.
func (tx *Tx) leadTo(p access.Place, to access.ScopeID, rank int64) error {
	const op = "store.PutTree"
	n, err := tx.exec(op, `insert into scope_slugs (parent, slug, scope, rank) values ($1, $2, $3, $4)
		on conflict (parent, slug) do update set scope = $3, rank = $4
			where exists (select 1 from scopes o join scope_batches b on b.id = o.batch and not b.in_force where o.id = scope_slugs.scope)`,
		string(p.Parent), p.Slug, string(to), rank)
	if err == nil && n == 0 {
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: ReasonSlug, Detail: "another scope has the slug " + p.Slug + " there, or had it"}
	}
	return err
}

// places is where a scope is found, today's first.
func places(s access.Scope) []access.Place {
	if s.Level == access.Host {
		return nil
	}
	all := []access.Place{{Parent: s.Parent, Slug: s.Slug}}
	for _, slug := range s.Was {
		all = append(all, access.Place{Parent: s.Parent, Slug: slug})
	}
	return append(all, s.Formerly...)
}

func (tx *Tx) putLineage(l access.Lineage, isNew bool) error {
	const op = "store.PutTree"
	if !isNew {
		if _, err := tx.exec(op, `update scope_ancestors set retired = $1 where scope = $2`, true, string(l.Scope)); err != nil {
			return err
		}
	}
	for _, a := range l.Ancestors {
		_, err := tx.exec(op, `insert into scope_ancestors (scope, ancestor, retired) values ($1, $2, $3)
			on conflict (scope, ancestor) do update set retired = $3`, string(l.Scope), string(a), false)
		if err != nil {
			return err
		}
	}
	return nil
}

// pruned is how many rows PruneTree takes away at a time.
const pruned = 1000

// PruneTree removes what assignments needed of a former tree and need no more.
func (tx *Tx) PruneTree() error {
	const op = "store.PruneTree"
	_, err := tx.exec(op, `delete from scope_ancestors where (scope, ancestor) in (
		select r.scope, r.ancestor from scope_ancestors r where r.retired and not exists (
			select 1 from assignments a where a.scope = r.scope and a.ceiling_scope = r.ancestor) limit $1)`, int64(pruned))
	if err != nil {
		return err
	}
	_, err = tx.exec(op, `delete from scopes where id in (
		select g.id from scopes g where g.gone and not exists (select 1 from scope_ancestors a where a.scope = g.id) limit $1)`, int64(pruned))
	return err
}

// HeldAt counts the assignments at each of these scopes, by grant, of all connections.
func (v *View) HeldAt(scopes []access.ScopeID) (map[access.ScopeID]map[access.Grant]int64, error) {
	counts := map[access.ScopeID]map[access.Grant]int64{}
	return counts, v.each("store.HeldAt", func(r Row) error {
		var s access.ScopeID
		var g access.Grant
		var n int64
		if err := r.Scan(&s, &g, &n); err != nil {
			return err
		}
		if counts[s] == nil {
			counts[s] = map[access.Grant]int64{}
		}
		counts[s][g] = n
		return nil
	}, `select scope, grant_kind, count(*) from assignments where scope in (`+v.engine.Dialect().Texts("$1")+`) group by scope, grant_kind`, jsonList(scopes))
}

package store

import (
	"database/sql"
	"errors"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// ScopeBatch is an import of scopes: its rows are written in parts, seen by nobody, and
// put in force all at once.
type ScopeBatch struct {
	ID     int64
	Base   int64  // the version of the policy whose tree it adds to
	Digest string // of what is imported
	Staged int64  // how many scopes are written
}

// OpenScopeBatch is the import that is not in force yet; the zero ScopeBatch if there
// is none.
func (v *View) OpenScopeBatch() (b ScopeBatch, err error) {
	err = v.q.QueryRow(`select id, base, digest, (select count(*) from scopes where batch = scope_batches.id) from scope_batches where not in_force order by id limit 1`).
		Scan(&b.ID, &b.Base, &b.Digest, &b.Staged)
	if errors.Is(err, sql.ErrNoRows) {
		return ScopeBatch{}, nil
	}
	return b, v.failed(err, "store.OpenScopeBatch")
}

// BeginScopeBatch begins an import. There is at most one that is not in force.
func (tx *Tx) BeginScopeBatch(base int64, digest string) (b ScopeBatch, err error) {
	b = ScopeBatch{Base: base, Digest: digest}
	err = tx.q.QueryRow(`insert into scope_batches (id, base, digest, in_force) select coalesce(max(id), 0) + 1, $1, $2, $3 from scope_batches returning id`, base, digest, false).Scan(&b.ID)
	return b, tx.failed(err, "store.BeginScopeBatch")
}

// StageScopes writes scopes of an import, with what will cover each.
func (tx *Tx) StageScopes(b ScopeBatch, scopes []access.Scope, above []access.Lineage) error {
	if err := tx.putScopes(scopes, b.ID); err != nil {
		return err
	}
	for _, l := range above {
		if err := tx.putLineage(l, true); err != nil {
			return err
		}
	}
	return nil
}

// StagedScopes are those of an import by their ids, with their slugs.
func (v *View) StagedScopes(b ScopeBatch) ([]access.Scope, error) {
	const op = "store.StagedScopes"
	return list(v, op, func(r Row) (access.Scope, error) {
		var s access.Scope
		var level int64
		err := r.Scan(&s.ID, &s.Parent, &level, &s.Name, &s.TimeZone, &s.Location, &s.Slug)
		s.Level = access.Level(level)
		return s, err
	}, `select s.id, s.parent, s.level, s.name, s.timezone, s.location, l.slug from scopes s join scope_slugs l on l.scope = s.id and l.rank = 0
		where s.batch = $1 order by s.level, s.id`, b.ID)
}

// ForceScopeBatch puts an import in force.
func (tx *Tx) ForceScopeBatch(b ScopeBatch) error {
	if err := tx.alone("store.ForceScopeBatch"); err != nil {
		return err
	}
	_, err := tx.exec("store.ForceScopeBatch", `update scope_batches set in_force = $1 where id = $2`, true, b.ID)
	return err
}

// DropScopeBatch takes away a part of an import that is not in force, and at last the
// import itself; it says how many scopes went.
func (tx *Tx) DropScopeBatch(b ScopeBatch, limit int) (int64, error) {
	const op = "store.DropScopeBatch"
	some := `(select id from scopes where batch = $1 order by id limit $2)`
	for _, from := range []string{`scope_slugs where scope in ` + some, `scope_ancestors where scope in ` + some} {
		if _, err := tx.exec(op, `delete from `+from, b.ID, limit); err != nil {
			return 0, err
		}
	}
	n, err := tx.exec(op, `delete from scopes where id in `+some, b.ID, limit)
	if err != nil || n > 0 {
		return n, err
	}
	_, err = tx.exec(op, `delete from scope_batches where id = $1 and not in_force`, b.ID)
	return 0, err
}

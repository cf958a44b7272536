package store

import (
	"database/sql"
	"time"
)

// FormerKept is how long it is known what a group was called and what it was before it
// was deleted: as far back as restore reaches.
const FormerKept = 30 * 24 * time.Hour

// FormerGroup is what a group was until an instant.
type FormerGroup struct {
	Group   // without key, members and what counts them
	Until   time.Time
	Deleted bool // it was deleted then; false: it got another name or externalId
}

// KeepFormer remembers what a group was until now.
func (d *DirectoryTx) KeepFormer(was Group, deleted bool, until time.Time) error {
	_, err := d.tx.exec("store.KeepFormer", `insert into former_groups (conn, until, id, deleted, display_name, external_id, version, created_at, doc)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (conn, until, id, version) do nothing`,
		d.conn, ms(until), string(was.ID), deleted, was.DisplayName, nullable(was.ExternalID), was.Version, ms(was.Created), string(was.Doc))
	return err
}

// FormerGroups lists what groups of the connection were until instants after t, in the
// order of those.
func (d *Directory) FormerGroups(t time.Time, limit int) ([]FormerGroup, error) {
	return list(d.v, "store.FormerGroups", func(r Row) (FormerGroup, error) {
		var f FormerGroup
		var external sql.NullString
		var until, created int64
		err := r.Scan(&f.ID, &until, &f.Deleted, &f.DisplayName, &external, &f.Version, &created, &f.Doc)
		f.Connection, f.ExternalID, f.Until, f.Created = d.row.ID, external.String, at(until), at(created)
		return f, err
	}, `select id, until, deleted, display_name, external_id, version, created_at, doc from former_groups
		where conn = $1 and until > $2 order by until, id, version limit $3`, d.conn, ms(t), limit)
}

// TrimFormer forgets what groups were until instants before t, at most 1,000 at a time:
// call it until it returns 0.
func (tx *Tx) TrimFormer(t time.Time) (removed int64, err error) {
	const op = "store.TrimFormer"
	old, err := list(&tx.View, op, func(r Row) (until int64, err error) { return until, r.Scan(&until) },
		`select until from former_groups where until < $1 order by until limit $2`, ms(t), trimAtOnce)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return tx.exec(op, `delete from former_groups where until <= $1`, old[len(old)-1])
}

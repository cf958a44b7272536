package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// AuditMark says that a row is about something.
type AuditMark struct {
	Row        int64
	Connection access.ConnectionID // "" is the host
	Subject    event.Subject
}

// IndexAudit records what the next rows are about, up to the one with that id.
// fault.Stale if another has come that far already.
func (tx *Tx) IndexAudit(after, upto int64, marks []AuditMark) error {
	const op = "store.IndexAudit"
	n, err := tx.exec(op, `update audit_indexed set id = $1 where one = 1 and id = $2`, upto, after)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.Stale, op, "the audit trail is no longer indexed up to %d", after)
	}
	keys := map[access.ConnectionID]int64{}
	for _, m := range marks {
		key, known := keys[m.Connection]
		if !known {
			if key, err = tx.auditKey(m.Connection); err != nil {
				return err
			}
			keys[m.Connection] = key
		}
		_, err := tx.expect(op, AnyRows, `insert into audit_index (conn, kind, subject, id) values ($1, $2, $3, $4) on conflict do nothing`, key, int64(m.Subject.Kind), m.Subject.ID, m.Row)
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditSealed is the id of the last row that is in a chain.
func (v *View) AuditSealed() (id int64, err error) {
	err = v.q.QueryRow(`select id from audit_sealed where one = 1`).Scan(&id)
	return id, v.failed(err, "store.AuditSealed")
}

// AuditIndexed is the id of the last row that has been looked through.
func (v *View) AuditIndexed() (id int64, err error) {
	err = v.q.QueryRow(`select id from audit_indexed where one = 1`).Scan(&id)
	return id, v.failed(err, "store.AuditIndexed")
}

// AuditAfter lists rows in commit order, sealed or not, behind an id.
func (v *View) AuditAfter(id int64, limit int) ([]AuditRow, error) {
	return list(v, "store.AuditAfter", scanAudit, `select `+auditColumns+` where a.id > $1 order by a.id limit $2`, id, limit)
}

// AuditAbout lists the indexed rows about something, in commit order, behind an id.
func (v *View) AuditAbout(conn access.ConnectionID, about event.Subject, after int64, limit int) ([]AuditRow, error) {
	key, err := v.auditKey(conn)
	if err != nil {
		return nil, err
	}
	return list(v, "store.AuditAbout", scanAudit, `select `+auditColumns+`
		where a.id in (select id from audit_index where conn = $1 and kind = $2 and subject = $3 and id > $4 order by id limit $5) order by a.id`,
		key, int64(about.Kind), about.ID, after, limit)
}

// Departed is somebody who is here no more.
type Departed struct {
	Connection access.ConnectionID
	Person     access.PersonID
	Deleted    time.Time
}

// DepartedNamed lists who is here no more and had that id, or that externalId, in
// every connection.
func (v *View) DepartedNamed(name string) ([]Departed, error) {
	var all []Departed
	for _, column := range []string{"id", "external_id"} {
		some, err := list(v, "store.DepartedNamed", func(r Row) (d Departed, err error) {
			var deleted int64
			err = r.Scan(&d.Connection, &d.Person, &deleted)
			d.Deleted = at(deleted)
			return d, err
		}, `select c.id, t.id, t.deleted_at from connections c cross join tombstones t where t.conn = c.key and t.id in (
			select id from tombstones where conn = c.key and `+column+` = $1)`, name)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b Departed) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), a.Deleted.Compare(b.Deleted), cmp.Compare(a.Person, b.Person))
	})
	return slices.Compact(all), nil
}

// DeletedOf is when people of these ids were deleted; who was not is not in it.
func (d *Directory) DeletedOf(ids []access.PersonID) (map[access.PersonID]time.Time, error) {
	gone := map[access.PersonID]time.Time{}
	return gone, d.v.each("store.DeletedOf", func(r Row) error {
		var id access.PersonID
		var deleted int64
		err := r.Scan(&id, &deleted)
		gone[id] = at(deleted)
		return err
	}, `select id, deleted_at from tombstones where conn = $1 and id in (`+d.dialect().Texts("$2")+`)`, d.conn, jsonList(ids))
}

// GroupsNamed lists the groups of that id, name or externalId in the connection.
func (d *Directory) GroupsNamed(name string) ([]Group, error) {
	return list(d.v, "store.GroupsNamed", d.scanGroup, `select `+groupColumns+` from groups g where g.conn = $1 and not g.dissolving and g.key in (
		select key from groups where conn = $1 and id = $2 union
		select key from groups where conn = $1 and name_key = $3 and not dissolving union
		select key from groups where conn = $1 and external_id = $2) order by g.key`, d.conn, name, Fold(name))
}

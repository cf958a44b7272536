package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
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

// RestoreMembers makes people members since the instants given, and returns those who
// were members until now, since when.
func (d *DirectoryTx) RestoreMembers(g *Group, all []Joined, now time.Time) (were []Joined, err error) {
	const op = "store.RestoreMembers"
	if were, err = d.RemoveMembers(g, KeysOf(all), now); err != nil {
		return nil, err
	}
	was := *g
	for _, j := range all {
		_, err := d.tx.exec(op, `insert into memberships (conn, grp, person, since) values ($1, $2, $3, $4)`, d.conn, int64(g.Key), int64(j.Key), ms(j.Since))
		if err != nil {
			return nil, err
		}
	}
	g.moved(len(all), now)
	return were, d.countMembers(op, was, *g)
}

// JoinedAmong is Among with the instant each joined.
func (d *Directory) JoinedAmong(g Group, keys []PersonKey) ([]Joined, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(d.v, "store.JoinedAmong", func(r Row) (j Joined, err error) {
		var since int64
		err = r.Scan(&j.Key, &since)
		j.Since = at(since)
		return j, err
	}, `select person, since from memberships where grp = $1 and conn = $2 and person in (`+d.dialect().Keys("$3")+`) order by person`,
		int64(g.Key), d.conn, jsonList(keys))
}

// GroupNamed finds a live group by its name, whatever its case.
func (d *Directory) GroupNamed(name string) (Group, error) {
	g, err := d.scanGroup(d.v.q.QueryRow(`select `+groupColumns+` from groups g where g.conn = $1 and g.name_key = $2 and not g.dissolving`, d.conn, Fold(name)))
	if err != nil {
		return Group{}, d.v.found(err, "store.GroupNamed", "group")
	}
	return g, nil
}

// AuditBefore is the id of an audit row behind which all rows lie of what happened after
// that instant.
func (v *View) AuditBefore(t time.Time) (int64, error) {
	const op = "store.AuditBefore"
	t = t.Add(-orderSlack)
	var low, high int64
	if err := v.q.QueryRow(`select coalesce(max(id), 0) from audit`).Scan(&high); err != nil {
		return 0, v.failed(err, op)
	}
	for low < high {
		mid := low + (high-low)/2
		var id int64
		var body string
		err := v.q.QueryRow(`select id, body from audit where id > $1 order by id limit 1`, mid).Scan(&id, &body)
		if errors.Is(err, sql.ErrNoRows) {
			high = mid
			continue
		}
		var e event.Event
		if err == nil {
			err = json.Unmarshal([]byte(body), &e)
		}
		switch {
		case err != nil:
			return 0, v.failed(err, op)
		case e.At.Before(t):
			low = id
		default:
			high = mid
		}
	}
	return low, nil
}

// AuditOf lists the events of a connection behind an id, in commit order, whether sealed
// or not.
func (v *View) AuditOf(conn access.ConnectionID, after int64, limit int) ([]AuditRow, error) {
	key, err := v.auditKey(conn)
	if err != nil {
		return nil, err
	}
	return list(v, "store.AuditOf", scanAudit, `select `+auditColumns+` where a.id > $1 and +a.conn = $2 order by a.id limit $3`, after, key, limit)
}

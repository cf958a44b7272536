package store

import (
	"database/sql"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// LimitRow is a limit with the connection of the person it binds.
type LimitRow struct {
	access.Limit
	Connection access.ConnectionID
}

const limitColumns = `l.id, l.person_id, l.scope, l.grant_kind, l.withheld, l.events, l.no_video, l.set_at, l.lifted_at`

func scanLimit(r Row, more ...any) (l access.Limit, err error) {
	var events sql.NullString
	var set, lifted int64
	err = r.Scan(append([]any{&l.ID, &l.Person, &l.Scope, &l.Grant, &l.Withheld, &events, &l.NoVideo, &set, &lifted}, more...)...)
	if events.Valid {
		most := access.EventFlag(events.String)
		l.Events = &most
	}
	l.Set, l.Lifted = at(set), at(lifted)
	return l, err
}

func oneLimit(r Row) (access.Limit, error) { return scanLimit(r) }

// PutLimit records what is taken from a person. It binds from now on; its Person and Lifted
// are not looked at. The person is due to be decided anew.
func (d *DirectoryTx) PutLimit(p Person, l access.Limit) error {
	const op = "store.PutLimit"
	var events any
	if l.Events != nil {
		events = string(*l.Events)
	}
	_, err := d.tx.exec(op, `insert into limits (conn, person, person_id, id, scope, grant_kind, withheld, events, no_video, set_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		d.conn, int64(p.Key), string(p.ID), string(l.ID), string(l.Scope), string(l.Grant), l.Withheld, events, l.NoVideo, ms(l.Set))
	if err != nil {
		return err
	}
	return d.countDecided(op, p.Key, p.ID, 1)
}

// LiftLimit lifts a limit of the connection, and gives it as it is now. fault.NotFound if
// there is none, fault.Stale if it was lifted. The person is due to be decided anew.
func (d *DirectoryTx) LiftLimit(id access.LimitID, now time.Time) (access.Limit, error) {
	const op = "store.LiftLimit"
	var key PersonKey
	l, err := scanLimit(d.v.q.QueryRow(`select `+limitColumns+`, l.person from limits l where l.id = $1 and l.conn = $2`, string(id), d.conn), &key)
	if err != nil {
		return l, d.v.found(err, op, "limit")
	}
	n, err := d.tx.exec(op, `update limits set lifted_at = $1 where id = $2 and conn = $3 and lifted_at = 0`, ms(now), string(id), d.conn)
	if err == nil && n == 0 {
		return l, fault.New(fault.Stale, op, "the limit was lifted already")
	}
	if err != nil {
		return l, err
	}
	l.Lifted = at(ms(now))
	return l, d.countDecided(op, key, l.Person, -1)
}

// LimitsOf lists all that was ever taken from a person, who may be gone: the ID alone is
// looked at. The oldest come first.
func (d *Directory) LimitsOf(p Person) ([]access.Limit, error) {
	return list(d.v, "store.LimitsOf", oneLimit, `select `+limitColumns+` from limits l where l.conn = $1 and l.person_id = $2 order by l.id`, d.conn, string(p.ID))
}

// Limit finds a limit by its id, whoever it binds.
func (v *View) Limit(id access.LimitID) (l LimitRow, err error) {
	l.Limit, err = scanLimit(v.q.QueryRow(`select `+limitColumns+`, c.id from limits l join connections c on c.key = l.conn where l.id = $1`, string(id)), &l.Connection)
	return l, v.found(err, "store.Limit", "limit")
}

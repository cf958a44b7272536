package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Alarm is something that an identity provider did by itself, or that nobody did, and
// somebody should look at, in counts and ids.
type Alarm struct {
	ID         int64
	Connection access.ConnectionID
	At         time.Time
	Kind       string
	Group      access.GroupID // "" where it is about none
	Count      int64
	Base       int64 // out of how many
	Within     time.Duration
}

// AlarmsKept is how long alarms are kept beside the audit trail, which has them for good.
const AlarmsKept = 90 * 24 * time.Hour

// PutAlarm records an alarm.
func (tx *Tx) PutAlarm(a Alarm) error {
	const op = "store.PutAlarm"
	key, err := tx.connectionKey(a.Connection)
	if err != nil {
		return err
	}
	_, err = tx.exec(op, `insert into alarms (conn, at, kind, grp, count, base, within) values ($1, $2, $3, $4, $5, $6, $7)`,
		key, ms(a.At), a.Kind, string(a.Group), a.Count, a.Base, a.Within.Milliseconds())
	return err
}

// TrimAlarms removes alarms from before an instant.
func (tx *Tx) TrimAlarms(t time.Time) (removed int64, err error) {
	return tx.exec("store.TrimAlarms", `delete from alarms where at < $1`, ms(t))
}

// Alarms lists the alarms of a connection since an instant, the newest first; those of
// all connections where it is "".
func (v *View) Alarms(conn access.ConnectionID, since time.Time, limit int) ([]Alarm, error) {
	which, args := `a.at >= $1`, []any{ms(since), limit}
	if conn != "" {
		which, args = `a.at >= $1 and a.conn = (select key from connections where id = $3)`, append(args, string(conn))
	}
	return list(v, "store.Alarms", func(r Row) (Alarm, error) {
		var a Alarm
		var when, within int64
		err := r.Scan(&a.ID, &a.Connection, &when, &a.Kind, &a.Group, &a.Count, &a.Base, &within)
		a.At, a.Within = at(when), time.Duration(within)*time.Millisecond
		return a, err
	}, `select a.id, c.id, a.at, a.kind, a.grp, a.count, a.base, a.within from alarms a join connections c on c.key = a.conn
		where `+which+` order by a.at desc, a.id desc limit $2`, args...)
}

// OutboxBefore is an id behind which all events of the outbox lie that happened at
// that instant or later: rows are in the order of time, give or take what one clock
// reading per use case allows.
func (v *View) OutboxBefore(t time.Time) (int64, error) {
	const op = "store.OutboxBefore"
	t = t.Add(-orderSlack)
	var low, high int64
	err := v.q.QueryRow(`select coalesce(min(id), 1) - 1, coalesce(max(id), 0) from outbox`).Scan(&low, &high)
	if err != nil {
		return 0, v.failed(err, op)
	}
	for low < high { // all up to low lie before t, all behind high do not
		mid := low + (high-low)/2
		var id, when int64
		err := v.q.QueryRow(`select id, at from outbox where id > $1 order by id limit 1`, mid).Scan(&id, &when)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			high = mid
		case err != nil:
			return 0, v.failed(err, op)
		case when < ms(t):
			low = id
		default:
			high = mid
		}
	}
	return low, nil
}

// orderSlack is how far events may stand from the order of time.
const orderSlack = 10 * time.Second

// CountPeople is how many people the connection has.
func (d *Directory) CountPeople() (n int64, err error) {
	err = d.v.q.QueryRow(`select people from connections where key = $1`, d.conn).Scan(&n)
	return n, d.v.failed(err, "store.CountPeople")
}

// CountHolding is how many people of the connection hold something that is not over.
func (d *Directory) CountHolding(now time.Time) (n int64, err error) {
	const page = 5000
	for after, more := int64(0), true; more; {
		var some int64
		err = d.v.q.QueryRow(`select count(*), coalesce(max(person), 0) from (select distinct person from assignments
			where conn = $1 and person > $2 and (until = 0 or until > $3) order by person limit $4) s1`, d.conn, after, ms(now), page).Scan(&some, &after)
		if err != nil {
			return 0, d.v.failed(err, "store.CountHolding")
		}
		n, more = n+some, some == page
	}
	return n, nil
}

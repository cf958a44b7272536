package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Reconciled says how far everybody has been compared with what rules and people give.
type Reconciled struct {
	Person      PersonKey // the round under way goes on behind it
	Began       time.Time // when the round under way began; zero: there is none
	People      int64     // compared in it
	Ended       time.Time // when the last whole round ended; zero: none has
	LastPeople  int64     // compared in that one
	Differences int64     // people who were not as they should be, ever
}

// Reconciled reads it.
func (v *View) Reconciled() (r Reconciled, err error) {
	var began, ended int64
	err = v.q.QueryRow(`select person, began_at, people, ended_at, last_people, differences from reconciled`).
		Scan(&r.Person, &began, &r.People, &ended, &r.LastPeople, &r.Differences)
	r.Began, r.Ended = at(began), at(ended)
	return r, v.failed(err, "store.Reconciled")
}

// MoveReconciled puts another in its place. fault.Stale if it is not where the caller read
// it: another node goes on.
func (tx *Tx) MoveReconciled(from, to Reconciled) error {
	const op = "store.MoveReconciled"
	n, err := tx.exec(op, `update reconciled set person = $1, began_at = $2, people = $3, ended_at = $4, last_people = $5, differences = $6
		where person = $7 and began_at = $8 and people = $9 and ended_at = $10`,
		int64(to.Person), ms(to.Began), to.People, ms(to.Ended), to.LastPeople, to.Differences, int64(from.Person), ms(from.Began), from.People, ms(from.Ended))
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "another node compares everybody meanwhile")
	}
	return err
}

// PersonPlace is where a person is.
type PersonPlace struct {
	Key        PersonKey
	Connection access.ConnectionID
}

// PeopleBehind lists people of whatever connection, behind a key, in the order in which they came.
func (v *View) PeopleBehind(after PersonKey, limit int) ([]PersonPlace, error) {
	return list(v, "store.PeopleBehind", func(r Row) (p PersonPlace, err error) { return p, r.Scan(&p.Key, &p.Connection) },
		`select s1.key, c.id from (select key, conn from people where key > $1 order by key limit $2) s1 join connections c on c.key = s1.conn order by s1.key`, int64(after), limit)
}

// RecountDecided counts anew what people decided about a person, whose last decision counts
// for nothing then.
func (d *DirectoryTx) RecountDecided(p Person) error {
	const op = "store.RecountDecided"
	d.touchPerson(p.ID)
	_, err := d.tx.exec(op, `update people set valid_until = $1, decided = (select count(*) from permits t where t.conn = $2 and t.person = $3 and t.ended_at = 0)
		+ (select count(*) from limits l where l.conn = $2 and l.person = $3 and l.lifted_at = 0) where conn = $2 and key = $3`, due, d.conn, int64(p.Key))
	return err
}

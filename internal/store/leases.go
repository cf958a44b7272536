package store

import (
	"database/sql"
	"errors"
	"time"
)

// Lease is a piece of work that one node does at a time.
type Lease struct {
	Work string
	Node string
	Term int64 // rises whenever the work is taken, also by whom it was taken from
	// Left is for how long it lasts, by the database's clock, of which nothing else is
	// told; 0 or less: anybody may take it.
	Left time.Duration
}

// TakeLease takes a piece of work that nobody has, for life from now on. held is false if
// somebody has it, be it this very node: RenewLease is for that.
func (tx *Tx) TakeLease(work, node string, life time.Duration) (l Lease, held bool, err error) {
	const op = "store.TakeLease"
	now := tx.engine.Dialect().Now
	l = Lease{Work: work, Node: node, Left: life}
	err = tx.q.QueryRow(`insert into leases (work, node, term, until_at) values ($1, $2, 1, `+now+` + $3)
		on conflict (work) do update set node = $2, term = leases.term + 1, until_at = `+now+` + $3 where leases.until_at <= `+now+` returning term`,
		work, node, life.Milliseconds()).Scan(&l.Term)
	if errors.Is(err, sql.ErrNoRows) {
		return Lease{}, false, nil
	}
	return l, err == nil, tx.failed(err, op)
}

// RenewLease lets it last for life from now on: false if it is over, or another's.
func (tx *Tx) RenewLease(l Lease, life time.Duration) (held bool, err error) {
	now := tx.engine.Dialect().Now
	n, err := tx.exec("store.RenewLease", `update leases set until_at = `+now+` + $4 where work = $1 and node = $2 and term = $3 and until_at > `+now,
		l.Work, l.Node, l.Term, life.Milliseconds())
	return n == 1, err
}

// ReleaseLease lets anybody take the work at once. One that is over, or another's, stays as
// it is.
func (tx *Tx) ReleaseLease(l Lease) error {
	_, err := tx.exec("store.ReleaseLease", `update leases set until_at = 0 where work = $1 and node = $2 and term = $3`, l.Work, l.Node, l.Term)
	return err
}

// Leases lists who does which work, by its name.
func (v *View) Leases() ([]Lease, error) {
	return list(v, "store.Leases", func(r Row) (Lease, error) {
		var l Lease
		var left int64
		err := r.Scan(&l.Work, &l.Node, &l.Term, &left)
		l.Left = time.Duration(left) * time.Millisecond
		return l, err
	}, `select work, node, term, until_at - `+v.engine.Dialect().Now+` from leases order by work`)
}

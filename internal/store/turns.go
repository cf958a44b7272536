package store

import (
	"database/sql"
	"errors"
	"time"
)

// Turn is a node's at a piece of work that one node does at a time.
type Turn struct {
	Work string
	Node string
	Term int64 // rises whenever the work is taken, also by whom it was taken from
	// Left is for how long it lasts, by the database's clock, of which nothing else is
	// told; 0 or less: anybody may take the work.
	Left time.Duration
}

// TakeTurn takes a piece of work that nobody has, for so long from now on. taken is false if
// somebody has it, be it this very node: RenewTurn is for that.
func (tx *Tx) TakeTurn(work, node string, length time.Duration) (t Turn, taken bool, err error) {
	const op = "store.TakeTurn"
	now := tx.engine.Dialect().Now
	t = Turn{Work: work, Node: node, Left: length}
	err = tx.q.QueryRow(`insert into turns (work, node, term, until_at) values ($1, $2, 1, `+now+` + $3)
		on conflict (work) do update set node = $2, term = turns.term + 1, until_at = `+now+` + $3 where turns.until_at <= `+now+` returning term`,
		work, node, length.Milliseconds()).Scan(&t.Term)
	if errors.Is(err, sql.ErrNoRows) {
		return Turn{}, false, nil
	}
	return t, err == nil, tx.failed(err, op)
}

// RenewTurn lets it last for so long from now on: false if it is over, or another's.
func (tx *Tx) RenewTurn(t Turn, length time.Duration) (renewed bool, err error) {
	now := tx.engine.Dialect().Now
	n, err := tx.exec("store.RenewTurn", `update turns set until_at = `+now+` + $4 where work = $1 and node = $2 and term = $3 and until_at > `+now,
		t.Work, t.Node, t.Term, length.Milliseconds())
	return n == 1, err
}

// EndTurn lets anybody take the work at once. One that is over, or another's, stays as it is.
func (tx *Tx) EndTurn(t Turn) error {
	_, err := tx.exec("store.EndTurn", `update turns set until_at = 0 where work = $1 and node = $2 and term = $3`, t.Work, t.Node, t.Term)
	return err
}

// Turns lists who does which work, by its name.
func (v *View) Turns() ([]Turn, error) {
	return list(v, "store.Turns", func(r Row) (Turn, error) {
		var t Turn
		var left int64
		err := r.Scan(&t.Work, &t.Node, &t.Term, &left)
		t.Left = time.Duration(left) * time.Millisecond
		return t, err
	}, `select work, node, term, until_at - `+v.engine.Dialect().Now+` from turns order by work`)
}

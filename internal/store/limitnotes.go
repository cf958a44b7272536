package store

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
)

// LimitNote says who set and lifted a limit, and why, for people to read.
type LimitNote struct {
	Limit        access.LimitID
	SetBy        string
	SetScope     access.ScopeID // of the assignment that they acted by; "": the operator's
	SetReason    string
	LiftedBy     string
	LiftedReason string
}

// PutLimitNote keeps what is said of a limit; what was said before is replaced.
func (tx *Tx) PutLimitNote(n LimitNote) error {
	_, err := tx.exec("store.PutLimitNote", `insert into limit_notes (id, set_by, set_scope, set_reason, lifted_by, lifted_reason) values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do update set set_by = $2, set_scope = $3, set_reason = $4, lifted_by = $5, lifted_reason = $6`,
		string(n.Limit), n.SetBy, string(n.SetScope), n.SetReason, n.LiftedBy, n.LiftedReason)
	return err
}

// LimitNotes finds what is said of limits.
func (v *View) LimitNotes(ids []access.LimitID) (map[access.LimitID]LimitNote, error) {
	found := make(map[access.LimitID]LimitNote, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	return found, v.each("store.LimitNotes", func(r Row) error {
		var n LimitNote
		err := r.Scan(&n.Limit, &n.SetBy, &n.SetScope, &n.SetReason, &n.LiftedBy, &n.LiftedReason)
		found[n.Limit] = n
		return err
	}, `select id, set_by, set_scope, set_reason, lifted_by, lifted_reason from limit_notes where id in (`+v.engine.Dialect().Texts("$1")+`)`, jsonList(ids))
}

package store

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

const caseColumns = `c.id, c.number, c.opened_at, c.closed_at, c.waiting, c.mark, c.doc`

func scanCase(r Row) (c request.Case, err error) {
	var opened, closed int64
	var mark sql.NullString
	var doc []byte
	if err := r.Scan(&c.ID, &c.Number, &opened, &closed, &c.Waiting, &mark, &doc); err != nil {
		return c, err
	}
	c.Opened, c.Closed, c.Untold, c.Mark = at(opened), at(closed), mark.Valid, access.PermitID(mark.String)
	return c, json.Unmarshal(doc, &c)
}

// OpenCase writes down a case that is named first; the number is what cases sort by. It
// reports whether there was none of that id.
func (tx *Tx) OpenCase(id access.CaseID, number string, now time.Time) (bool, error) {
	n, err := tx.exec("store.OpenCase", `insert into cases (id, number, opened_at, doc) values ($1, $2, $3, '{}') on conflict (id) do nothing`, string(id), number, ms(now))
	return n > 0, err
}

// Case finds a case; fault.NotFound if nothing was ever asked for it.
func (v *View) Case(id access.CaseID) (request.Case, error) {
	c, err := scanCase(v.q.QueryRow(`select `+caseColumns+` from cases c where c.id = $1`, string(id)))
	return c, v.found(err, "store.Case", "case")
}

// MoveCase writes how a case stands: when and how it was closed, and what of it is told.
// Its counter is kept by CountWaiting.
func (tx *Tx) MoveCase(c request.Case) error {
	const op = "store.MoveCase"
	doc, err := json.Marshal(c)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	var mark any // null: all are told of
	if c.Untold {
		mark = string(c.Mark)
	}
	n, err := tx.exec(op, `update cases set closed_at = $2, mark = $3, doc = $4 where id = $1`, string(c.ID), ms(c.Closed), mark, string(doc))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such case")
	}
	return err
}

// CountCaseWaiting keeps how many requests of a case wait for a decision.
func (tx *Tx) CountCaseWaiting(id access.CaseID, by int) error {
	_, err := tx.exec("store.CountCaseWaiting", `update cases set waiting = waiting + $2 where id = $1`, string(id), by)
	return err
}

// Cases lists cases, the newest first, before the number of one ("": from the newest on):
// at most n.
func (v *View) Cases(open bool, before string, n int) ([]request.Case, error) {
	where := ``
	if open {
		where = ` and c.closed_at = 0`
	}
	return list(v, "store.Cases", scanCase, `select `+caseColumns+` from cases c where c.number < $1`+where+` order by c.number desc limit $2`, cmp.Or(before, beyond), n)
}

// UnfinishedCases lists closed cases of which something is still to be done: permits that
// ended with them to be told of, or requests that lapse with them.
func (v *View) UnfinishedCases(n int) ([]request.Case, error) {
	const op = "store.UnfinishedCases"
	untold, err := list(v, op, scanCase, `select `+caseColumns+` from cases c where c.mark is not null order by c.id limit $1`, n)
	if err != nil {
		return nil, err
	}
	lapsing, err := list(v, op, scanCase, `select `+caseColumns+` from cases c where c.closed_at > 0 and c.waiting > 0 and c.mark is null order by c.id limit $1`, n)
	return append(untold, lapsing...), err
}

// WaitingOf lists requests of a case that wait for a decision, the oldest first: at most n.
func (v *View) WaitingOf(id access.CaseID, n int) ([]access.RequestID, error) {
	return list(v, "store.WaitingOf", func(r Row) (id access.RequestID, err error) { return id, r.Scan(&id) },
		`select r.id from requests r where r.case_id = $1 and r.case_id <> '' and `+waitingSQL+` order by r.id limit $2`, string(id), n)
}

// LivePlaces are where the permits of a case lie that have not ended, by scope and id, at
// most n: what closing it would end.
func (v *View) LivePlaces(id access.CaseID, n int) ([]PermitPlace, error) {
	return list(v, "store.LivePlaces", func(r Row) (p PermitPlace, err error) { return p, r.Scan(&p.Scope, &p.ID) },
		`select t.scope, t.id from permits t where t.case_id = $1 and t.case_id <> '' and t.ended_at = 0 order by t.scope, t.id limit $2`, string(id), n)
}

// CasePlaces lists where access was asked for that belongs to a case: at most n scopes.
func (v *View) CasePlaces(id access.CaseID, n int) ([]access.ScopeID, error) {
	return list(v, "store.CasePlaces", func(r Row) (s access.ScopeID, err error) { return s, r.Scan(&s) },
		`select distinct r.scope from requests r where r.case_id = $1 and r.case_id <> '' order by r.scope limit $2`, string(id), n)
}

// AdministrationOf lists the scopes that somebody administers by a permit of a case that has not
// ended, at most n.
func (v *View) AdministrationOf(id access.CaseID, n int) ([]access.ScopeID, error) {
	return list(v, "store.AdministrationOf", func(r Row) (s access.ScopeID, err error) { return s, r.Scan(&s) },
		`select distinct t.scope from permits t where t.case_id = $1 and t.case_id <> '' and t.ended_at = 0 and t.grant_kind = 'administrator' order by t.scope limit $2`, string(id), n)
}

// EndedOf lists permits of a case that ended for a reason, behind one: at most n.
func (v *View) EndedOf(id access.CaseID, reason string, after access.PermitID, n int) ([]PermitRow, error) {
	return list(v, "store.EndedOf", scanPermitRow, permitRows+`t.case_id = $1 and t.case_id <> '' and t.id > $2 and t.ended_at > 0 and t.end_reason = $3 order by t.id limit $4`,
		string(id), string(after), reason, n)
}

// EndPermitsOf ends all that was given for a case, of all connections, by a few
// statements, and makes the last decisions about these people count for nothing: what they
// hold is refused until they are decided anew. Nothing is told of it.
func (tx *Tx) EndPermitsOf(id access.CaseID, reason string, now time.Time) (ended int, err error) {
	const op = "store.EndPermitsOf"
	byConn := map[access.ConnectionID]map[PersonKey]int64{}
	err = tx.each(op, func(r Row) error {
		var conn access.ConnectionID
		var person PersonKey
		if err := r.Scan(&conn, &person); err != nil {
			return err
		}
		if byConn[conn] == nil {
			byConn[conn] = map[PersonKey]int64{}
		}
		byConn[conn][person]++
		ended++
		return nil
	}, `update permits set ended_at = $2, end_reason = $3 where case_id = $1 and case_id <> '' and ended_at = 0
		returning (select c.id from connections c where c.key = permits.conn), person`, string(id), ms(now), reason)
	for conn, people := range byConn {
		if err == nil {
			err = tx.lessDecided(conn, people)
		}
	}
	return ended, err
}

// lessDecided counts down what people of a connection decided about these.
func (tx *Tx) lessDecided(conn access.ConnectionID, people map[PersonKey]int64) error {
	d, err := tx.In(conn)
	if err != nil {
		return err
	}
	bySize := map[int64][]PersonKey{}
	for p, n := range people {
		bySize[n] = append(bySize[n], p)
	}
	for n, keys := range bySize {
		err := tx.each("store.EndPermitsOf", func(r Row) error {
			var id access.PersonID
			err := r.Scan(&id)
			d.touchPerson(id)
			return err
		}, `update people set decided = decided - $4, valid_until = $1 where conn = $2 and key in (`+d.dialect().Keys("$3")+`) returning id`, due, d.conn, jsonList(keys), n)
		if err != nil {
			return err
		}
	}
	return nil
}

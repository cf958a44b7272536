package store

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const requestColumns = `r.id, r.state, r.by_conn, r.by_person, r.for_conn, r.for_person, r.scope, r.approvers, r.case_id, r.decide_by`

// partyRow is how a party is written: an operator by the name they gave, without a
// connection.
func partyRow(p request.Party) (conn, person string) {
	if p.Operator != "" {
		return "", p.Operator
	}
	return string(p.Connection), string(p.Person)
}

func partyOf(conn access.ConnectionID, person string) request.Party {
	if conn == "" {
		return request.Party{Operator: person}
	}
	return request.Party{Connection: conn, Person: access.PersonID(person)}
}

// RequestKey is what of a request lists choose by.
type RequestKey struct {
	ID        access.RequestID
	State     request.State
	By, For   request.Party
	Scope     access.ScopeID // that is asked for
	Approvers mapping.Approvers
	Case      access.CaseID
	DecideBy  time.Time
}

func scanRequestKey(r Row) (RequestKey, error) { return scanRequestKeyWith(r) }

func scanRequestKeyWith(r Row, more ...any) (k RequestKey, err error) {
	var byConn, forConn access.ConnectionID
	var byPerson, forPerson string
	var decideBy int64
	err = r.Scan(append([]any{&k.ID, &k.State, &byConn, &byPerson, &forConn, &forPerson, &k.Scope, &k.Approvers, &k.Case, &decideBy}, more...)...)
	k.By, k.For, k.DecideBy = partyOf(byConn, byPerson), partyOf(forConn, forPerson), at(decideBy)
	return k, err
}

func scanRequest(r Row) (one request.Request, err error) {
	var doc []byte
	k, err := scanRequestKeyWith(r, &doc)
	if err != nil {
		return one, err
	}
	err = json.Unmarshal(doc, &one)
	one.ID, one.State, one.By, one.For, one.Approvers, one.DecideBy = k.ID, k.State, k.By, k.For, k.Approvers, k.DecideBy
	return one, err
}

// PutRequest writes a request that was made. fault.Conflict if there is one of that id.
func (tx *Tx) PutRequest(r request.Request) error {
	const op = "store.PutRequest"
	doc, err := json.Marshal(r)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	byConn, byPerson := partyRow(r.By)
	_, err = tx.exec(op, `insert into requests (id, state, by_conn, by_person, for_conn, for_person, scope, approvers, case_id, decide_by, doc, waits)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, string(r.ID), string(r.State), byConn, byPerson, string(r.For.Connection), string(r.For.Person),
		string(r.Asked.Scope), string(r.Approvers), string(r.Wish.Case), ms(r.DecideBy), string(doc), waits(r.State))
	return err
}

// MoveRequest writes what has become of a request that was in that state; fault.Stale if
// it is not any more. Who asks for what, and its approvals, stay as they are.
func (tx *Tx) MoveRequest(r request.Request, from request.State) error {
	const op = "store.MoveRequest"
	doc, err := json.Marshal(r)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	n, err := tx.exec(op, `update requests set state = $2, waits = $5, doc = $3 where id = $1 and state = $4`, string(r.ID), string(r.State), string(doc), string(from), waits(r.State))
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "the request is not %s any more", from).Because(request.ReasonDecided)
	}
	return err
}

// waits is a state as waitingSQL compares it.
func waits(s request.State) int64 {
	if s.Waits() {
		return 1
	}
	return 0
}

// AddApproval writes the nth approval of a request, counted from 1. fault.Stale if it has
// one of that number, or of that person.
func (tx *Tx) AddApproval(id access.RequestID, n int, a request.Approval) error {
	const op = "store.AddApproval"
	doc, err := json.Marshal(a)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	conn, person := partyRow(a.By)
	_, err = tx.exec(op, `insert into request_approvals (request, n, conn, person, doc) values ($1, $2, $3, $4, $5)`, string(id), n, conn, person, string(doc))
	if fault.Is(err, fault.Conflict) {
		return &fault.Error{Kind: fault.Stale, Op: op, Reason: request.ReasonTwice, Err: err, Detail: "this has been approved by the same person"}
	}
	return err
}

// Request finds a request with its approvals; fault.NotFound if there is none of that id.
func (v *View) Request(id access.RequestID) (request.Request, error) {
	r, err := scanRequest(v.q.QueryRow(`select `+requestColumns+`, r.doc from requests r where r.id = $1`, string(id)))
	if err != nil {
		return r, v.found(err, "store.Request", "request")
	}
	all := []request.Request{r}
	err = v.approvals(all)
	return all[0], err
}

// RequestsBy reads those requests with their approvals, the newest first.
func (v *View) RequestsBy(ids []access.RequestID) ([]request.Request, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	all, err := list(v, "store.RequestsBy", scanRequest, `select `+requestColumns+`, r.doc from requests r
		where r.id in (`+v.engine.Dialect().Texts("$1")+`) order by r.id desc`, jsonList(ids))
	if err != nil {
		return nil, err
	}
	return all, v.approvals(all)
}

// approvals adds them to requests.
func (v *View) approvals(to []request.Request) error {
	ids, place := make([]access.RequestID, len(to)), make(map[access.RequestID]int, len(to))
	for i, r := range to {
		ids[i], place[r.ID] = r.ID, i
	}
	return v.each("store.Request", func(r Row) error {
		var id access.RequestID
		var conn access.ConnectionID
		var person string
		var doc []byte
		if err := r.Scan(&id, &conn, &person, &doc); err != nil {
			return err
		}
		a := request.Approval{By: partyOf(conn, person)}
		err := json.Unmarshal(doc, &a)
		to[place[id]].Approvals = append(to[place[id]].Approvals, a)
		return err
	}, `select a.request, a.conn, a.person, a.doc from request_approvals a where a.request in (`+v.engine.Dialect().Texts("$1")+`) order by a.request, a.n`, jsonList(ids))
}

// LikeRequest lists requests whose ids begin so, at most n.
func (v *View) LikeRequest(prefix string, n int) ([]access.RequestID, error) {
	return list(v, "store.LikeRequest", func(r Row) (id access.RequestID, err error) { return id, r.Scan(&id) },
		`select r.id from requests r where r.id >= $1 and r.id < $2 order by r.id limit $3`, prefix, prefix+beyond, n)
}

// beyond sorts after every character of an id.
const beyond = "~"

// RequestList says which requests are listed. The first of For, By, Case, Scopes and State
// that is set chooses the index; State counts beside Scopes alone.
type RequestList struct {
	For, By *request.Party
	Case    access.CaseID
	Scopes  []access.ScopeID // at one of these; nil: at any
	Waiting bool             // with Scopes: those that wait for a decision
	State   request.State
}

// RequestKeys lists requests, the newest first, before an id ("": from the newest on): at
// most n.
func (v *View) RequestKeys(l RequestList, before access.RequestID, n int) ([]RequestKey, error) {
	from := cmp.Or(string(before), beyond)
	keys := func(where string, args ...any) ([]RequestKey, error) {
		return list(v, "store.RequestKeys", scanRequestKey, `select `+requestColumns+` from requests r where `+where+` r.id < $1 order by r.id desc limit $2`,
			append([]any{from, n}, args...)...)
	}
	switch {
	case l.For != nil:
		return keys(`r.for_conn = $3 and r.for_person = $4 and`, string(l.For.Connection), string(l.For.Person))
	case l.By != nil:
		conn, person := partyRow(*l.By)
		return keys(`r.by_conn = $3 and r.by_person = $4 and`, conn, person)
	case l.Case != "":
		return keys(`r.case_id = $3 and r.case_id <> '' and`, string(l.Case))
	case l.Scopes != nil:
		return v.requestsAt(l, from, n)
	case l.State != "":
		return keys(`r.state = $3 and`, string(l.State))
	}
	return keys(``)
}

// waitingSQL is what all indexes of requests that wait begin with.
const waitingSQL = `r.waits = 1`

// requestsAt lists those at scopes.
func (v *View) requestsAt(l RequestList, from string, n int) ([]RequestKey, error) {
	const op = "store.RequestKeys"
	only := ``
	if l.Waiting {
		only = ` and ` + waitingSQL
	}
	return newestAt(v, op, `requests r`, only, atScopes{l.Scopes, from, n}, func(s access.ScopeID) ([]RequestKey, error) {
		return list(v, op, scanRequestKey, `select `+requestColumns+` from requests r where r.scope = $3 and r.id < $1`+only+` order by r.id desc limit $2`, from, n, string(s))
	}, func(k RequestKey) string { return string(k.ID) })
}

// OverdueRequests lists requests that nobody decided in time and nobody has noticed, the
// longest overdue first: at most n.
func (v *View) OverdueRequests(now time.Time, n int) ([]access.RequestID, error) {
	return list(v, "store.OverdueRequests", func(r Row) (id access.RequestID, err error) { return id, r.Scan(&id) },
		`select r.id from requests r where `+waitingSQL+` and r.decide_by <= $1 order by r.decide_by, r.id limit $2`, ms(now), n)
}

// WaitingRequests lists requests for a person that wait for a decision, among the last n.
func (v *View) WaitingRequests(of request.Party, n int) ([]request.Request, error) {
	keys, err := v.RequestKeys(RequestList{For: &of}, "", n)
	var ids []access.RequestID
	for _, k := range keys {
		if k.State.Waits() {
			ids = append(ids, k.ID)
		}
	}
	if err != nil {
		return nil, err
	}
	return v.RequestsBy(ids)
}

// PutWatch has the end of a permit told of before it comes, next at that instant.
func (tx *Tx) PutWatch(id access.PermitID, next time.Time) error {
	_, err := tx.exec("store.PutWatch", `insert into permit_watch (permit, next_at) values ($1, $2) on conflict (permit) do update set next_at = excluded.next_at`, string(id), ms(next))
	return err
}

// DropWatch forgets a permit of which nothing more is told before its end.
func (tx *Tx) DropWatch(id access.PermitID) error {
	_, err := tx.exec("store.DropWatch", `delete from permit_watch where permit = $1`, string(id))
	return err
}

// Watch is a permit of which something is next to be told at an instant.
type Watch struct {
	Permit access.PermitID
	Next   time.Time
}

// Watched lists permits of which something is to be told now, the longest due first.
func (v *View) Watched(now time.Time, n int) ([]Watch, error) {
	return list(v, "store.Watched", func(r Row) (w Watch, err error) {
		var next int64
		err = r.Scan(&w.Permit, &next)
		w.Next = at(next)
		return w, err
	}, `select w.permit, w.next_at from permit_watch w where w.next_at <= $1 order by w.next_at, w.permit limit $2`, ms(now), n)
}

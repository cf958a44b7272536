package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// ExceptionRow is an exception of somebody. Its Since is when it was found, where people did
// not give it.
type ExceptionRow struct {
	exception.Exception
	Key        int64
	Connection access.ConnectionID
	Person     access.PersonID
}

// exceptionDoc is what no list asks for.
type exceptionDoc struct {
	With     []exception.Pair   `json:"with,omitempty"`
	Rules    []string           `json:"rules,omitempty"`
	Requests []access.RequestID `json:"requests,omitempty"`
}

const exceptionColumns = `x.key, x.person_id, x.kind, x.grant_kind, x.scope, x.until, x.since, x.doc`

func scanException(r Row, more ...any) (x ExceptionRow, err error) {
	var until, since int64
	var doc string
	err = r.Scan(append([]any{&x.Key, &x.Person, &x.Kind, &x.Grant, &x.Scope, &until, &since, &doc}, more...)...)
	if err != nil {
		return x, err
	}
	var d exceptionDoc
	if err := json.Unmarshal([]byte(doc), &d); err != nil {
		return x, fault.Wrap(fault.Internal, "store.Exceptions", err)
	}
	x.Until, x.Since, x.With, x.Rules, x.Requests = at(until), at(since), d.With, d.Rules, d.Requests
	return x, nil
}

func (e ExceptionRow) doc() (string, error) {
	b, err := json.Marshal(exceptionDoc{With: e.With, Rules: e.Rules, Requests: e.Requests})
	return string(b), err
}

// ExceptionsOf lists the exceptions of a person, in their order.
func (d *Directory) ExceptionsOf(p Person) ([]ExceptionRow, error) {
	all, err := list(d.v, "store.ExceptionsOf", func(r Row) (ExceptionRow, error) {
		x, err := scanException(r)
		x.Connection = d.row.ID
		return x, err
	}, `select `+exceptionColumns+` from exceptions x where x.conn = $1 and x.person = $2`, d.conn, int64(p.Key))
	slices.SortFunc(all, func(a, b ExceptionRow) int { return exception.Compare(a.Exception, b.Exception) })
	return all, err
}

// Found makes the exceptions of a person those that were found, and says whether that
// changed anything. What was known before keeps the instant since which it is.
func (d *DirectoryTx) Found(p Person, found []exception.Exception, now time.Time) (changed bool, err error) {
	const op = "store.Found"
	had, err := d.ExceptionsOf(p)
	if err != nil {
		return false, err
	}
	for _, x := range had {
		if slices.ContainsFunc(found, x.is) {
			continue
		}
		changed = true
		if _, err := d.tx.exec(op, `delete from exceptions where conn = $1 and key = $2`, d.conn, x.Key); err != nil {
			return changed, err
		}
	}
	for _, f := range found {
		if f.Since.IsZero() {
			f.Since = now
		}
		at := slices.IndexFunc(had, func(x ExceptionRow) bool { return x.is(f) })
		if at >= 0 && f.Since.After(had[at].Since) {
			f.Since = had[at].Since
		}
		if at >= 0 && had[at].Same(stored(f)) {
			continue
		}
		changed = true
		if err := d.putException(p, f); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// stored is an exception with the instants that rows keep.
func stored(e exception.Exception) exception.Exception {
	e.Since, e.Until = at(ms(e.Since)), at(ms(e.Until))
	return e
}

// is reports whether a row is about that.
func (e ExceptionRow) is(o exception.Exception) bool { return e.Kind == o.Kind && e.Pair == o.Pair }

func (d *DirectoryTx) putException(p Person, e exception.Exception) error {
	const op = "store.Found"
	doc, err := ExceptionRow{Exception: e}.doc()
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	_, err = d.tx.exec(op, `insert into exceptions (conn, person, person_id, kind, grant_kind, scope, until, since, doc) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (conn, person, kind, grant_kind, scope) do update set until = $7, since = $8, doc = $9`,
		d.conn, int64(p.Key), string(p.ID), string(e.Kind), string(e.Grant), string(e.Scope), ms(e.Until), ms(e.Since), doc)
	return err
}

// ExceptionPlace is where a page of exceptions ended; zero: before the first.
type ExceptionPlace struct {
	Scope access.ScopeID
	Key   int64
}

const exceptionRows = `select ` + exceptionColumns + `, c.id from exceptions x join connections c on c.key = x.conn and c.active where `

func scanExceptionRow(r Row) (x ExceptionRow, err error) {
	var conn access.ConnectionID
	x, err = scanException(r, &conn)
	x.Connection = conn
	return x, err
}

// Exceptions lists those of active connections that are not over at that instant, by scope,
// behind that place: at most n. scopes are those asked for; nil: all.
func (v *View) Exceptions(scopes []access.ScopeID, after ExceptionPlace, n int, now time.Time) (all []ExceptionRow, err error) {
	const op, live = "store.Exceptions", ` and (x.until = 0 or x.until > $3) `
	if scopes == nil {
		return list(v, op, scanExceptionRow, exceptionRows+`(x.scope, x.key) > ($1, $2)`+live+`order by x.scope, x.key limit $4`, string(after.Scope), after.Key, ms(now), n)
	}
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s access.ScopeID) bool { return s < after.Scope })
	with, err := list(v, op, func(r Row) (s access.ScopeID, err error) { return s, r.Scan(&s) },
		`select j.value from (`+v.engine.Dialect().Texts("$1")+`) j where (select 1 from exceptions x where x.scope = j.value limit 1) = 1 order by j.value limit $2`, jsonList(scopes), n+1)
	for _, s := range with {
		if err != nil || len(all) >= n {
			break
		}
		from := int64(0)
		if s == after.Scope {
			from = after.Key
		}
		var some []ExceptionRow
		some, err = list(v, op, scanExceptionRow, exceptionRows+`x.scope = $1 and x.key > $2`+live+`order by x.key limit $4`, string(s), from, ms(now), n-len(all))
		all = append(all, some...)
	}
	return all, err
}

// ExceptionsPass says how far everybody has been looked at anew.
type ExceptionsPass struct {
	Found   int64     // the version of the policy under which all exceptions are found
	Working int64     // the one under which everybody is being looked at
	Conn    int64     // the connection that was looked at last, by its key
	Person  PersonKey // of it, the last person
	Looked  int64     // how many have been
}

// ExceptionsPass reads it.
func (v *View) ExceptionsPass() (p ExceptionsPass, err error) {
	err = v.q.QueryRow(`select found, working, conn, person, looked from exceptions_pass where id = 1`).Scan(&p.Found, &p.Working, &p.Conn, &p.Person, &p.Looked)
	return p, v.failed(err, "store.ExceptionsPass")
}

// MoveExceptionsPass puts another in its place. fault.Stale if it is not where the caller
// found it: somebody else does the work.
func (tx *Tx) MoveExceptionsPass(from, to ExceptionsPass) error {
	const op = "store.MoveExceptionsPass"
	n, err := tx.exec(op, `update exceptions_pass set found = $1, working = $2, conn = $3, person = $4, looked = $5
		where id = 1 and found = $6 and working = $7 and conn = $8 and person = $9`,
		to.Found, to.Working, to.Conn, int64(to.Person), to.Looked, from.Found, from.Working, from.Conn, int64(from.Person))
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "somebody else looks for exceptions")
	}
	return err
}

// NextHolding is the connection behind a place of which somebody holds something, or has an
// exception, with those people: at most n. last is where to go on; people is empty at the
// end of everybody. Connections that have ended are passed over.
func (v *View) NextHolding(p ExceptionsPass, n int) (conn access.ConnectionID, people []PersonKey, last ExceptionsPass, err error) {
	const op = "store.NextHolding"
	last = p
	for {
		people, err = list(v, op, scanKey, `select person from (
				select person from (select distinct person from assignments where conn = $1 and person > $2 order by person limit $3) s1
				union select person from (select distinct person from exceptions where conn = $1 and person > $2 order by person limit $3) s2) s3
			order by person limit $3`, last.Conn, int64(last.Person), n)
		if err != nil {
			return "", nil, last, err
		}
		if len(people) > 0 && last.Conn != 0 {
			err = v.q.QueryRow(`select id from connections where key = $1`, last.Conn).Scan(&conn)
			last.Person, last.Looked = people[len(people)-1], last.Looked+int64(len(people))
			return conn, people, last, v.failed(err, op)
		}
		next, err := list(v, op, func(r Row) (key int64, err error) { return key, r.Scan(&key) }, `select key from connections where key > $1 and active order by key limit 1`, last.Conn)
		if err != nil || len(next) == 0 {
			return "", nil, last, err
		}
		last.Conn, last.Person = next[0], 0
	}
}

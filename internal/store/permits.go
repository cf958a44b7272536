package store

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// PermitRow is a permit with the connection of the person it is of.
type PermitRow struct {
	access.Permit
	Connection access.ConnectionID
}

const permitColumns = `t.id, t.person_id, t.grant_kind, t.scope, t.events, t.video, t.standing, t.not_before, t.until, t.kind, t.request, t.case_id,
	t.given_at, t.ended_at, t.end_reason`

func scanPermit(r Row, more ...any) (p access.Permit, err error) {
	var notBefore, until, given, ended int64
	err = r.Scan(append([]any{&p.ID, &p.Person, &p.Grant, &p.Scope, &p.Flags.Events, &p.Flags.Video, &p.Standing, &notBefore, &until, &p.Kind, &p.Request, &p.Case,
		&given, &ended, &p.EndReason}, more...)...)
	p.NotBefore, p.Until, p.Given, p.Ended = at(notBefore), at(until), at(given), at(ended)
	return p, err
}

func onePermit(r Row) (access.Permit, error) { return scanPermit(r) }

func scanPermitRow(r Row) (p PermitRow, err error) {
	p.Permit, err = scanPermit(r, &p.Connection)
	return p, err
}

// livingSQL is whether the permit t counts, but for its time: it has not ended, nor has its
// connection since it was given.
const livingSQL = `t.ended_at = 0 and t.given_at >= (select c.permits_from from connections c where c.key = t.conn)`

const permitRows = `select ` + permitColumns + `, c.id from permits t join connections c on c.key = t.conn where `

// PutPermit records what people decided that a person may hold. It lives from now on; its
// Person, Ended and EndReason are not looked at. Nothing is held by it before the person is
// decided anew, which is due.
func (d *DirectoryTx) PutPermit(p Person, t access.Permit) error {
	const op = "store.PutPermit"
	_, err := d.tx.exec(op, `insert into permits (conn, person, person_id, id, grant_kind, scope, events, video, standing, not_before, until, kind, request, case_id, given_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		d.conn, int64(p.Key), string(p.ID), string(t.ID), string(t.Grant), string(t.Scope), string(t.Flags.Events), t.Flags.Video, string(t.Standing),
		ms(t.NotBefore), ms(t.Until), string(t.Kind), string(t.Request), string(t.Case), ms(t.Given))
	if err != nil {
		return err
	}
	return d.countDecided(op, p.Key, p.ID, 1)
}

// countDecided keeps the person's counter of what people decided, and makes the last
// decision about the person count for nothing. That there is no such person any more is
// no error where something ends.
func (d *DirectoryTx) countDecided(op string, key PersonKey, id access.PersonID, by int64) error {
	d.touchPerson(id)
	n, err := d.tx.exec(op, `update people set decided = decided + $1, valid_until = $2 where conn = $3 and key = $4`, by, due, d.conn, int64(key))
	if err == nil && n == 0 && by > 0 {
		return fault.New(fault.NotFound, op, "there is no such person")
	}
	return err
}

// EndPermit ends a permit of the connection, and gives it as it is now. fault.NotFound if
// there is none, fault.Stale if it has ended. The person is due to be decided anew.
func (d *DirectoryTx) EndPermit(id access.PermitID, reason string, now time.Time) (access.Permit, error) {
	const op = "store.EndPermit"
	var key PersonKey
	t, err := scanPermit(d.v.q.QueryRow(`select `+permitColumns+`, t.person from permits t where t.id = $1 and t.conn = $2`, string(id), d.conn), &key)
	if err != nil {
		return t, d.v.found(err, op, "permit")
	}
	if !t.Ended.IsZero() {
		return t, fault.New(fault.Stale, op, "the permit has ended already: %s", t.EndReason)
	}
	n, err := d.tx.exec(op, `update permits set ended_at = $1, end_reason = $2 where id = $3 and conn = $4 and ended_at = 0`, ms(now), reason, string(id), d.conn)
	if err == nil && n == 0 {
		return t, fault.New(fault.Stale, op, "the permit has ended already")
	}
	if err != nil {
		return t, err
	}
	t.Ended, t.EndReason = instant(now), reason
	return t, d.countDecided(op, key, t.Person, -1)
}

// leaveDecided ends what people decided about somebody who goes. Whoever wants it told ends
// it before.
func (d *DirectoryTx) leaveDecided(p Person, now time.Time) error {
	const op = "store.DeletePerson"
	_, err := d.tx.exec(op, `update permits set ended_at = $1, end_reason = $2 where conn = $3 and person = $4 and ended_at = 0`,
		ms(now), access.EndPermitDeactivated, d.conn, int64(p.Key))
	if err != nil {
		return err
	}
	_, err = d.tx.exec(op, `update limits set lifted_at = $1 where conn = $2 and person = $3 and lifted_at = 0`, ms(now), d.conn, int64(p.Key))
	return err
}

// instant is how an instant is read back.
func instant(t time.Time) time.Time { return at(ms(t)) }

// PermitsOf lists all that people ever permitted a person, who may be gone: the ID alone is
// looked at. The oldest come first.
func (d *Directory) PermitsOf(p Person) ([]access.Permit, error) {
	return list(d.v, "store.PermitsOf", onePermit, `select `+permitColumns+` from permits t where t.conn = $1 and t.person_id = $2 order by t.id`, d.conn, string(p.ID))
}

// Decided is what people decided about a person, as far as it counts. Nothing is read of
// a person whose row says that it is nothing: read the row anew after a change.
func (d *Directory) Decided(p Person) (access.Decided, error) {
	by := access.Decided{Certification: d.ownFacts(p).Certification}
	if p.Decided == 0 {
		return by, nil
	}
	return by, d.v.decided(`= $2`, func(PersonKey) *access.Decided { return &by }, d.conn, int64(p.Key))
}

// decidedOf is Decided of several people.
func (d *Directory) decidedOf(people []Person, bases map[PersonKey]*Basis) error {
	var some []PersonKey
	for _, p := range people {
		bases[p.Key].Decided.Certification = bases[p.Key].Facts.Certification
		if p.Decided > 0 {
			some = append(some, p.Key)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return d.v.decided(`in (`+d.dialect().Keys("$2")+`)`, func(k PersonKey) *access.Decided { return &bases[k].Decided }, d.conn, jsonList(some))
}

// decided reads what people decided about people of a connection, by their keys: who
// says which these are, and of is where it is put.
func (v *View) decided(who string, of func(PersonKey) *access.Decided, args ...any) error {
	const op = "store.Decided"
	err := v.each(op, func(r Row) error {
		var key PersonKey
		t, err := scanPermit(r, &key)
		if err == nil {
			of(key).Permits = append(of(key).Permits, t)
		}
		return err
	}, `select `+permitColumns+`, t.person from permits t where t.conn = $1 and t.person `+who+` and `+livingSQL+` order by t.id`, args...)
	if err != nil {
		return err
	}
	return v.each(op, func(r Row) error {
		var key PersonKey
		l, err := scanLimit(r, &key)
		if err == nil {
			of(key).Limits = append(of(key).Limits, l)
		}
		return err
	}, `select `+limitColumns+`, l.person from limits l where l.conn = $1 and l.person `+who+` and l.lifted_at = 0 order by l.id`, args...)
}

// Permit finds a permit by its id, whoever's it is.
func (v *View) Permit(id access.PermitID) (PermitRow, error) {
	p, err := scanPermitRow(v.q.QueryRow(permitRows+`t.id = $1`, string(id)))
	return p, v.found(err, "store.Permit", "permit")
}

// PermitPlace is a permit, and where what it gives lies.
type PermitPlace struct {
	Scope access.ScopeID
	ID    access.PermitID
}

// VoidPermits lists permits that were given before their connection ended: at most n.
// They count for nothing, and are to be ended.
func (v *View) VoidPermits(n int) ([]PermitRow, error) {
	return list(v, "store.VoidPermits", scanPermitRow, `select `+permitColumns+`, c.id from connections c
		cross join permits t where t.conn = c.key and t.given_at < c.permits_from and t.ended_at = 0 limit $1`, n)
}

// EndPermitsAt ends every permit at one of these scopes, whosever it is, and gives them as
// they are now. Their people are due to be decided anew.
func (tx *Tx) EndPermitsAt(scopes []access.ScopeID, reason string, now time.Time) (ended []PermitRow, err error) {
	const op = "store.EndPermitsAt"
	if len(scopes) == 0 {
		return nil, nil
	}
	at := `scope in (` + tx.engine.Dialect().Texts("$1") + `) and ended_at = 0`
	var people []PersonKey
	err = tx.each(op, func(r Row) error {
		var one PermitRow
		var key PersonKey
		one.Permit, err = scanPermit(r, &one.Connection, &key)
		one.Ended, one.EndReason = instant(now), reason
		ended, people = append(ended, one), append(people, key)
		return err
	}, `select `+permitColumns+`, c.id, t.person from permits t join connections c on c.key = t.conn where t.`+at+` order by t.scope, t.id`, jsonList(scopes))
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	if _, err := tx.exec(op, `update permits set ended_at = $2, end_reason = $3 where `+at, jsonList(scopes), ms(now), reason); err != nil {
		return nil, err
	}
	for _, t := range ended {
		tx.touched = append(tx.touched, touch{ref: ref{Kind: refPerson, Connection: t.Connection, ID: string(t.Person)}})
	}
	slices.Sort(people)
	_, err = tx.exec(op, `update people set valid_until = $1, decided =
			(select count(*) from permits t where t.conn = people.conn and t.person = people.key and t.ended_at = 0) +
			(select count(*) from limits l where l.conn = people.conn and l.person = people.key and l.lifted_at = 0)
		where key in (`+tx.engine.Dialect().Keys("$2")+`)`, due, jsonList(slices.Compact(people)))
	return ended, err
}

// PermitEnd is where a page of permits by their end was left; zero: before the first.
type PermitEnd struct {
	Until time.Time
	ID    access.PermitID
}

// PermitsEnding lists permits that have not been ended and whose own end comes before that
// instant, or is it, of all connections, the earliest first, behind that place: at most n.
func (v *View) PermitsEnding(before time.Time, after PermitEnd, n int) ([]PermitRow, error) {
	return list(v, "store.PermitsEnding", scanPermitRow, permitRows+`t.ended_at = 0 and t.until > 0 and t.until <= $1 and (t.until, t.id) > ($2, $3)
		order by t.until, t.id limit $4`, ms(before), ms(after.Until), string(after.ID), n)
}

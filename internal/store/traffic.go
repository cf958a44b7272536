package store

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TrafficRow is one SCIM request of a connection, as it is kept for people to look at.
type TrafficRow struct {
	ID         int64 // rises; never used again
	Connection access.ConnectionID
	At         time.Time
	Failed     bool // kept apart, so that what went well does not push it out
	Person     access.PersonID
	People     []access.PersonID // others whom it touched
	Marks      []string          // digests of names that it holds; forgotten with the person it is about
	Body       []byte            // JSON, without anything that names a person
}

// TrafficQuery asks for rows of one connection.
type TrafficQuery struct {
	Failed        bool              // only those
	Since         time.Time         // zero: from the oldest kept
	People        []access.PersonID // only requests about, or touching, one of these
	Marks         []string          // or that hold one of these
	Before, After int64             // ids, both excluded; 0: no bound
	Oldest        bool              // from the oldest; else from the newest
	Limit         int               // 1 to MaxPage
}

// AddTraffic appends rows in their order and sets their ids. Marks of a person who
// has been deleted are left out.
func (d *DirectoryTx) AddTraffic(rows []TrafficRow) error {
	for i := range rows {
		r := &rows[i]
		key, err := d.tx.q.Insert(`insert into scim_log (conn, at, failed, person, people, marks, body)
			values ($1, $2, $3, cast($4 as text), $5, case when cast($4 as text) is null or exists (select 1 from people where conn = $1 and id = cast($4 as text)) then $6 else '' end, $7)`,
			d.conn, ms(r.At), r.Failed, nullable(string(r.Person)), words(r.People), words(r.Marks), string(r.Body))
		if err != nil {
			return d.v.failed(err, "store.AddTraffic")
		}
		r.ID, r.Connection = key, d.row.ID
	}
	return nil
}

// SetTraffic replaces what a row says, if it is there still.
func (d *DirectoryTx) SetTraffic(id int64, body []byte) error {
	_, err := d.tx.exec("store.SetTraffic", `update scim_log set body = $1 where conn = $2 and id = $3`, string(body), d.conn, id)
	return err
}

// TrimTraffic removes the oldest of the connection's failed rows, or of the others,
// beyond the newest keep: at most 500, so call it until it returns fewer.
func (d *DirectoryTx) TrimTraffic(failed bool, keep int) (removed int64, err error) {
	return d.tx.exec("store.TrimTraffic", `delete from scim_log where id in (select id from scim_log where conn = $1 and failed = $2
		and id <= (select id from scim_log where conn = $1 and failed = $2 order by id desc limit 1 offset $3) order by id limit $4)`,
		d.conn, failed, keep, TrimmedAtOnce)
}

// TrimmedAtOnce is how many rows TrimTraffic removes at most: some milliseconds.
const TrimmedAtOnce = 500

// TrimTrafficBefore removes rows of all connections that are older, at most 1,000 of
// them: call it until it returns 0.
func (tx *Tx) TrimTrafficBefore(before time.Time) (removed int64, err error) {
	return tx.exec("store.TrimTrafficBefore", `delete from scim_log where id in (select id from (select id, at from scim_log where id > 0 order by id limit $1) o where o.at < $2)`, trimAtOnce, ms(before))
}

// forgetMarks takes the names out of what is kept of a person's requests.
func (d *DirectoryTx) forgetMarks(id access.PersonID) error {
	_, err := d.tx.exec("store.forgetMarks", `update scim_log set marks = '' where conn = $1 and person = $2`, d.conn, string(id))
	return err
}

const trafficColumns = `select id, at, failed, coalesce(person, ''), people, marks, body from scim_log where conn = $1 and `

func (d *Directory) scanTraffic(r Row) (TrafficRow, error) {
	t := TrafficRow{Connection: d.row.ID}
	var when int64
	var people, marks, body string
	err := r.Scan(&t.ID, &when, &t.Failed, &t.Person, &people, &marks, &body)
	for _, id := range strings.Fields(people) {
		t.People = append(t.People, access.PersonID(id))
	}
	t.At, t.Marks, t.Body = at(when), strings.Fields(marks), []byte(body)
	return t, err
}

// Traffic lists rows in the order of their ids. The failed and the others are two
// walks of one index, each no longer than the ring.
func (d *Directory) Traffic(q TrafficQuery) ([]TrafficRow, error) {
	const op = "store.Traffic"
	if q.Limit < 1 || q.Limit > MaxPage {
		return nil, fault.New(fault.Invalid, op, "a page holds 1 to %d rows", MaxPage)
	}
	before := q.Before
	if before == 0 {
		before = 1<<63 - 1
	}
	where, order := `failed = $2 and id < $3 and id > $4 and at >= $5`, ` order by id desc limit $6`
	if q.Oldest {
		order = ` order by id limit $6`
	}
	args := []any{d.conn, true, before, q.After, ms(q.Since), q.Limit}
	if len(q.People)+len(q.Marks) > 0 {
		where += ` and (person in (` + d.dialect().Texts("$7") + `)
			or exists (select 1 from (` + d.dialect().Texts("$7") + `) w where instr(people, ' ' || w.value || ' ') > 0)
			or exists (select 1 from (` + d.dialect().Texts("$8") + `) w where instr(marks, ' ' || w.value || ' ') > 0))`
		args = append(args, jsonList(q.People), jsonList(q.Marks))
	}
	rows, err := list(d.v, op, d.scanTraffic, trafficColumns+where+order, args...)
	if err != nil || q.Failed {
		return rows, err
	}
	args[1] = false
	others, err := list(d.v, op, d.scanTraffic, trafficColumns+where+order, args...)
	if err != nil {
		return nil, err
	}
	return q.first(append(rows, others...)), nil
}

// first are the first rows of several answers to q.
func (q TrafficQuery) first(rows []TrafficRow) []TrafficRow {
	slices.SortFunc(rows, func(a, b TrafficRow) int {
		if q.Oldest {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Compare(b.ID, a.ID)
	})
	return rows[:min(len(rows), q.Limit)]
}

// TrafficRow is one row of whichever connection; fault.NotFound if it is not kept.
func (v *View) TrafficRow(id int64) (TrafficRow, error) {
	const op = "store.TrafficRow"
	var conn access.ConnectionID
	err := v.q.QueryRow(`select c.id from scim_log l join connections c on c.key = l.conn where l.id = $1`, id).Scan(&conn)
	if err != nil {
		return TrafficRow{}, v.found(err, op, "request in the log")
	}
	d, err := v.In(conn)
	if err != nil {
		return TrafficRow{}, err
	}
	row, err := d.scanTraffic(v.q.QueryRow(trafficColumns+`id = $2`, d.conn, id))
	return row, v.found(err, op, "request in the log")
}

// words is a list that is searched for whole words; ids and digests hold no space.
func words[T ~string](list []T) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	for _, w := range list {
		b.WriteByte(' ')
		b.WriteString(string(w))
	}
	b.WriteByte(' ')
	return b.String()
}

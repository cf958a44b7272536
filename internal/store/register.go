package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// RegisterKey is a row's place in the register: lists go on behind it.
type RegisterKey int64

// Registered is an entry of the certification register: the vendor's word about one
// technician, who may not be here yet.
type Registered struct {
	Key        RegisterKey
	Connection access.ConnectionID
	Who        string          // a userName, an e-mail address or a person's id
	Person     access.PersonID // "": nobody answers to it yet
	Level      string
	Until      time.Time // zero: no end
	Note       string
	Source     string // "import FILE", "set", …
	Set        time.Time
	By         string // who set it, as they are called
	Lapsed     bool   // its end has been noticed
}

// Certification is what the entry says.
func (r Registered) Certification() access.Certification {
	return access.Certification{Level: r.Level, Until: r.Until}
}

// Says reports whether both say the same of the same person, or of the same name.
func (r Registered) Says(o Registered) bool {
	return Fold(r.Who) == Fold(o.Who) && r.Person == o.Person && r.Level == o.Level && r.Until.Equal(o.Until) && r.Note == o.Note
}

const registerColumns = `r.key, r.who, r.person, r.level, r.until, r.note, r.source, r.set_at, r.set_by, r.lapsed`

func (d *Directory) scanRegistered(r Row) (Registered, error) {
	e, err := scanRegistered(r)
	e.Connection = d.row.ID
	return e, err
}

func scanRegistered(r Row, more ...any) (e Registered, err error) {
	var until, set int64
	err = r.Scan(append([]any{&e.Key, &e.Who, &e.Person, &e.Level, &until, &e.Note, &e.Source, &set, &e.By, &e.Lapsed}, more...)...)
	e.Until, e.Set = at(until), at(set)
	return e, err
}

// RegisteredAs finds the entry of a name, in any case; fault.NotFound if there is none.
func (d *Directory) RegisteredAs(who string) (Registered, error) {
	e, err := d.scanRegistered(d.v.q.QueryRow(`select `+registerColumns+` from register r where r.conn = $1 and r.who_key = $2`, d.conn, Fold(who)))
	return e, d.v.found(err, "store.RegisteredAs", "entry in the register")
}

// RegisteredOf finds the entry that is about a person; fault.NotFound if there is none.
func (d *Directory) RegisteredOf(p access.PersonID) (Registered, error) {
	e, err := d.scanRegistered(d.v.q.QueryRow(`select `+registerColumns+` from register r where r.conn = $1 and r.person = $2 and r.person <> ''`, d.conn, string(p)))
	return e, d.v.found(err, "store.RegisteredOf", "entry in the register")
}

// Awaited finds the entry that waits for somebody of that userName, else of that e-mail
// address; ok is false if there is none.
func (d *Directory) Awaited(userName, email string) (e Registered, ok bool, err error) {
	if d.dialect().Shared { // asking is dear there, and mostly nobody is awaited
		var anybody bool
		err := d.v.q.Steady(`select exists (select 1 from register where conn = $1 and person = '')`, d.conn).Scan(&anybody)
		if err != nil || !anybody {
			return Registered{}, false, d.v.failed(err, "store.Awaited")
		}
	}
	e, err = d.scanRegistered(d.v.q.QueryRow(`select `+registerColumns+` from register r where r.conn = $1 and r.person = '' and r.who_key in ($2, $3)
		order by r.who_key <> $2 limit 1`, d.conn, Fold(userName), Fold(email)))
	if errors.Is(err, sql.ErrNoRows) {
		return Registered{}, false, nil
	}
	return e, err == nil, d.v.failed(err, "store.Awaited")
}

// Called lists who of the connection has that userName, in any case, or that e-mail
// address, or that id; by key. More than a few are not told apart.
func (d *Directory) Called(name string) ([]Person, error) {
	return list(d.v, "store.Called", func(r Row) (Person, error) { return d.scanPerson(r) },
		`select `+personColumns+` from people p where p.conn = $1 and p.key in (
			select key from people where conn = $1 and user_name_key = $2 union
			select key from people where conn = $1 and email_key = $2 union
			select person from more_emails where conn = $1 and email_key = $2 union
			select key from people where conn = $1 and id = $3) order by p.key limit 10`, d.conn, Fold(name), name)
}

// PutRegistered keeps an entry: that of its name, or that of its person, is replaced.
func (d *DirectoryTx) PutRegistered(e Registered) error {
	const op = "store.PutRegistered"
	d.v.q.Unsteady()
	_, err := d.tx.exec(op, `delete from register where conn = $1 and person = $2 and person <> '' and who_key <> $3`, d.conn, string(e.Person), Fold(e.Who))
	if err != nil {
		return err
	}
	_, err = d.tx.exec(op, `insert into register (conn, who_key, who, person, level, until, note, source, set_at, set_by, lapsed)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		on conflict (conn, who_key) do update set who = $3, person = $4, level = $5, until = $6, note = $7, source = $8, set_at = $9, set_by = $10, lapsed = $11`,
		d.conn, Fold(e.Who), e.Who, string(e.Person), e.Level, ms(e.Until), e.Note, e.Source, ms(e.Set), e.By, e.Lapsed)
	return err
}

// DropRegistered removes an entry; false if it was not there.
func (d *DirectoryTx) DropRegistered(k RegisterKey) (bool, error) {
	n, err := d.tx.exec("store.DropRegistered", `delete from register where conn = $1 and key = $2`, d.conn, int64(k))
	return n > 0, err
}

// MarkLapsed notes that the end of an entry has been noticed; false if it has been
// already, or is another by now.
func (d *DirectoryTx) MarkLapsed(k RegisterKey, until time.Time) (bool, error) {
	n, err := d.tx.exec("store.MarkLapsed", `update register set lapsed = true where conn = $1 and key = $2 and until = $3 and not lapsed`, d.conn, int64(k), ms(until))
	return n > 0, err
}

// Lapsing lists entries of active connections whose end is over and has not been noticed,
// the longest over first.
func (v *View) Lapsing(now time.Time, limit int) ([]Registered, error) {
	return list(v, "store.Lapsing", scanRegisteredOf, `select `+registerColumns+`, c.id from register r join connections c on c.key = r.conn and c.active
		where r.until > 0 and r.until <= $1 and not r.lapsed order by r.until, r.key limit $2`, ms(now), limit)
}

func scanRegisteredOf(r Row) (Registered, error) {
	var conn access.ConnectionID
	e, err := scanRegistered(r, &conn)
	e.Connection = conn
	return e, err
}

// Register lists entries behind a place, in the order in which they were made first; those
// of one connection, unless it is "".
func (v *View) Register(conn access.ConnectionID, after RegisterKey, limit int) ([]Registered, error) {
	where, args := ``, []any{int64(after), limit}
	if conn != "" {
		where, args = ` and r.conn = (select key from connections where id = $3)`, append(args, string(conn))
	}
	return list(v, "store.Register", scanRegisteredOf, `select `+registerColumns+`, c.id from register r join connections c on c.key = r.conn
		where r.key > $1`+where+` order by r.key limit $2`, args...)
}

package store

import (
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// MaxHeard is how much of what one identity provider said is remembered at once.
const MaxHeard = 50_000

// Hear remembers something that the connection's identity provider said, until it no
// longer matters: false if it is remembered already, which stays as it was.
// fault.Limited if too much is.
func (d *DirectoryTx) Hear(what credential.Digest, now, ends time.Time) (first bool, err error) {
	n, err := d.hear("store.Hear", what, now, ends, `do nothing`)
	return n == 1, err
}

// HearAgain is Hear for what may be said again: the last time counts.
func (d *DirectoryTx) HearAgain(what credential.Digest, now, ends time.Time) error {
	_, err := d.hear("store.HearAgain", what, now, ends, `(conn, digest) do update set heard_at = excluded.heard_at, expires_at = excluded.expires_at`)
	return err
}

func (d *DirectoryTx) hear(op string, what credential.Digest, now, ends time.Time, again string) (int64, error) {
	if _, err := d.tx.exec(op, `delete from heard where conn = $1 and expires_at <= $2`, d.conn, ms(now)); err != nil {
		return 0, err
	}
	var live int
	if err := d.v.q.QueryRow(`select count(*) from (select 1 from heard where conn = $1 limit $2) h`, d.conn, MaxHeard).Scan(&live); err != nil {
		return 0, d.v.failed(err, op)
	}
	if live >= MaxHeard {
		return 0, fault.New(fault.Limited, op, "the identity provider has said %d things that are still remembered; it is to try again in a few minutes", live)
	}
	return d.tx.exec(op, `insert into heard (conn, digest, heard_at, expires_at) values ($1, $2, $3, $4) on conflict `+again,
		d.conn, what[:], ms(now), ms(ends))
}

// HeardAt is when the identity provider said something that is still remembered; the
// zero time if it is not.
func (d *Directory) HeardAt(what credential.Digest) (time.Time, error) {
	var t int64
	err := d.v.q.QueryRow(`select heard_at from heard where conn = $1 and digest = $2`, d.conn, what[:]).Scan(&t)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return at(t), d.v.failed(err, "store.HeardAt")
}

// SessionsFrom lists the live sessions that stand on a session of the identity provider,
// or on its sign-ins of a subject; an empty one matches nothing, and where both are given,
// both must match.
func (d *Directory) SessionsFrom(issuer, idpSession, idpSubject string) ([]SessionRow, error) {
	where, by := `s.idp_session = $2 and s.idp_session <> ''`, idpSession
	if idpSession == "" {
		where, by = `s.idp_subject = $2 and s.idp_subject <> ''`, idpSubject
	}
	rows, err := list(d.v, "store.SessionsFrom", scanSession,
		`select `+sessionColumns+` where s.conn = $1 and s.state <> 0 and `+where+` order by s.id`, d.conn, by)
	return slices.DeleteFunc(rows, func(r SessionRow) bool {
		return r.Upstream.Issuer != issuer || idpSubject != "" && r.Upstream.NamedAs() != idpSubject
	}), err
}

// MustBeFresh asks that the person's sign-ins from now on are newer than an instant.
func (d *DirectoryTx) MustBeFresh(p Person, after time.Time) error {
	_, err := d.tx.exec("store.MustBeFresh", `insert into fresh_after (person, after_at) values ($1, $2)
		on conflict (person) do update set after_at = excluded.after_at`, int64(p.Key), ms(after))
	return err
}

// FreshAfter is the instant that a sign-in of the person must be newer than; zero: any.
func (d *Directory) FreshAfter(p Person) (time.Time, error) {
	var t int64
	err := d.v.q.QueryRow(`select after_at from fresh_after where person = $1`, int64(p.Key)).Scan(&t)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return at(t), d.v.failed(err, "store.FreshAfter")
}

// PeopleByEmail lists at most two people whose primary address that is, whatever its case.
func (d *Directory) PeopleByEmail(address string) ([]Person, error) {
	key := Fold(address)
	if key == "" {
		return nil, nil
	}
	return list(d.v, "store.PeopleByEmail", d.scanPerson,
		`select `+personColumns+` from people p where p.conn = $1 and p.email_key = $2 order by p.key limit 2`, d.conn, key)
}

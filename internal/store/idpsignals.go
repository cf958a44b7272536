package store

import (
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// MaxSignals is how many signals of one connection are remembered, give or take a
// thousand: the latest.
const MaxSignals = 100_000

// signalsAtOnce is how many signals come between two times that the oldest go.
const signalsAtOnce = 1000

// HearSignal remembers a security event of the connection's identity provider: false if it
// is remembered already. Beyond MaxSignals the oldest are forgotten.
func (d *DirectoryTx) HearSignal(what credential.Digest, now, ends time.Time) (first bool, err error) {
	const op = "store.HearSignal"
	if _, err := d.tx.exec(op, `delete from idp_signals where key in (select key from idp_signals where conn = $1 and expires_at <= $2 limit $3)`,
		d.conn, ms(now), signalsAtOnce); err != nil {
		return false, err
	}
	var known bool
	err = d.v.q.QueryRow(`select exists (select 1 from idp_signals where conn = $1 and digest = $2)`, d.conn, what[:]).Scan(&known)
	if err != nil || known {
		return false, d.v.failed(err, op)
	}
	key, err := d.tx.q.Insert(`insert into idp_signals (conn, digest, expires_at) values ($1, $2, $3)`, d.conn, what[:], ms(ends))
	if err != nil || key%signalsAtOnce != 0 {
		return true, d.tx.failed(err, op)
	}
	_, err = d.tx.exec(op, `delete from idp_signals where conn = $1 and key <= (select key from idp_signals where conn = $1 order by key desc limit 1 offset $2)`, d.conn, MaxSignals)
	return true, err
}

// IdPStream is a row of idp_streams: a stream of signals that the bridge has made at a
// connection's identity provider.
type IdPStream struct {
	Connection access.ConnectionID
	Issuer     string
	Stream     string // what the transmitter calls it
	Audience   []string
	Method     string
	Endpoint   string // where it is polled; "" where it is pushed
	PushedBy   []byte // the digest of the secret that pushes bring; nil where it is polled
	Sealed     []byte // how the bridge proves itself there
	Status     string
	Reason     string
	State      string    // of the verification that is waited for; "" where none is
	Created    time.Time // the zero time, of all of these: never
	Checked    time.Time // when the transmitter last confirmed the stream
	Asked      time.Time // when a verification was last asked for
	Verified   time.Time // when one last came
	Heard      time.Time // when a signal last came
	Polled     time.Time // when a poll was last answered
}

const idpStreamColumns = `c.id, s.issuer, s.stream, s.audience, s.method, s.endpoint, s.pushed_by, s.sealed, s.status, s.reason, s.state,
	s.created_at, s.checked_at, s.asked_at, s.verified_at, s.heard_at, s.polled_at from idp_streams s join connections c on c.key = s.conn`

// IdPStreams lists the streams that the bridge has made, by connection.
func (v *View) IdPStreams() ([]IdPStream, error) {
	return list(v, "store.IdPStreams", scanIdPStream, `select `+idpStreamColumns+` order by c.id`)
}

// IdPStream finds a connection's stream; fault.NotFound if it has none.
func (v *View) IdPStream(conn access.ConnectionID) (IdPStream, error) {
	s, err := scanIdPStream(v.q.QueryRow(`select `+idpStreamColumns+` where c.id = $1`, string(conn)))
	return s, v.found(err, "store.IdPStream", "stream")
}

func scanIdPStream(r Row) (s IdPStream, err error) {
	var audience []byte
	var created, checked, asked, verified, heard, polled int64
	if err := r.Scan(&s.Connection, &s.Issuer, &s.Stream, &audience, &s.Method, &s.Endpoint, &s.PushedBy, &s.Sealed, &s.Status, &s.Reason, &s.State,
		&created, &checked, &asked, &verified, &heard, &polled); err != nil {
		return IdPStream{}, err
	}
	s.Created, s.Checked, s.Asked, s.Verified, s.Heard, s.Polled = at(created), at(checked), at(asked), at(verified), at(heard), at(polled)
	return s, json.Unmarshal(audience, &s.Audience)
}

// PutIdPStream keeps a connection's stream in the place of the one before;
// fault.NotFound if there is no such connection.
func (tx *Tx) PutIdPStream(s IdPStream) error {
	const op = "store.PutIdPStream"
	audience, err := json.Marshal(append([]string{}, s.Audience...))
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	n, err := tx.exec(op, `insert into idp_streams (conn, issuer, stream, audience, method, endpoint, pushed_by, sealed, status, reason, state,
			created_at, checked_at, asked_at, verified_at, heard_at, polled_at)
		select key, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 from connections where id = $1
		on conflict (conn) do update set issuer = excluded.issuer, stream = excluded.stream, audience = excluded.audience, method = excluded.method,
			endpoint = excluded.endpoint, pushed_by = excluded.pushed_by, sealed = excluded.sealed, status = excluded.status, reason = excluded.reason,
			state = excluded.state, created_at = excluded.created_at, checked_at = excluded.checked_at, asked_at = excluded.asked_at,
			verified_at = excluded.verified_at, heard_at = excluded.heard_at, polled_at = excluded.polled_at`,
		string(s.Connection), s.Issuer, s.Stream, string(audience), s.Method, s.Endpoint, orNull(s.PushedBy), orNull(s.Sealed), s.Status, s.Reason, s.State,
		ms(s.Created), ms(s.Checked), ms(s.Asked), ms(s.Verified), ms(s.Heard), ms(s.Polled))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such connection")
	}
	return err
}

// DropIdPStream forgets a connection's stream. That there is none is no error.
func (tx *Tx) DropIdPStream(conn access.ConnectionID) error {
	_, err := tx.exec("store.DropIdPStream", `delete from idp_streams where conn = (select key from connections where id = $1)`, string(conn))
	return err
}

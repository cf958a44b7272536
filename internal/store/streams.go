package store

import (
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Stream is a row of streams: where an application hears of signals.
type Stream struct {
	ID          string
	Client      access.ClientID
	Method      string
	Endpoint    string   // where to push; "" where it is polled
	Header      []byte   // the Authorization header of pushes, sealed; nil: none
	Requested   []string // event types; nil: it did not say
	Description string
	Status      string
	Reason      string
	Created     time.Time
	Changed     time.Time
	Verified    time.Time // when the receiver last asked for a verification
	Active      time.Time // when it last did something with the stream; zero: nobody knows
}

// MaxMuted is how many subjects one stream may be silent about by name.
const MaxMuted = 10_000

const streamColumns = `id, client, method, endpoint, header, requested, description, status, reason, created_at, changed_at, verified_at, active_at from streams`

func scanStream(r Row) (s Stream, err error) {
	var created, changed, verified, active int64
	var requested []byte
	if err := r.Scan(&s.ID, &s.Client, &s.Method, &s.Endpoint, &s.Header, &requested, &s.Description, &s.Status, &s.Reason, &created, &changed, &verified, &active); err != nil {
		return Stream{}, err
	}
	s.Created, s.Changed, s.Verified, s.Active = at(created), at(changed), at(verified), at(active)
	if requested != nil {
		err = json.Unmarshal(requested, &s.Requested)
	}
	return s, err
}

// Stream finds a stream by its id.
func (v *View) Stream(id string) (Stream, error) {
	s, err := scanStream(v.q.QueryRow(`select `+streamColumns+` where id = $1`, id))
	return s, v.found(err, "store.Stream", "stream")
}

// StreamOf finds an application's stream; fault.NotFound if it has none.
func (v *View) StreamOf(client access.ClientID) (Stream, error) {
	s, err := scanStream(v.q.QueryRow(`select `+streamColumns+` where client = $1`, string(client)))
	return s, v.found(err, "store.StreamOf", "stream")
}

// Streams lists all streams: at most one of each application.
func (v *View) Streams() ([]Stream, error) {
	return list(v, "store.Streams", scanStream, `select `+streamColumns+` order by id`)
}

func (s Stream) requested() (any, error) {
	if s.Requested == nil {
		return nil, nil
	}
	b, err := json.Marshal(s.Requested)
	return string(b), err
}

func orNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// InsertStream adds an application's stream; fault.Conflict if it has one.
func (tx *Tx) InsertStream(s Stream) error {
	const op = "store.InsertStream"
	requested, err := s.requested()
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	_, err = tx.exec(op, `insert into streams (id, client, method, endpoint, header, requested, description, status, reason, created_at, changed_at, verified_at, active_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, s.ID, string(s.Client), s.Method, s.Endpoint, orNull(s.Header), requested, s.Description,
		s.Status, s.Reason, ms(s.Created), ms(s.Changed), ms(s.Verified), ms(s.Active))
	return err
}

// UpdateStream stores what a stream has become. Its id and its application stay.
func (tx *Tx) UpdateStream(s Stream) error {
	const op = "store.UpdateStream"
	requested, err := s.requested()
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	n, err := tx.exec(op, `update streams set method = $1, endpoint = $2, header = $3, requested = $4, description = $5, status = $6, reason = $7, changed_at = $8, verified_at = $9, active_at = $10
		where id = $11`, s.Method, s.Endpoint, orNull(s.Header), requested, s.Description, s.Status, s.Reason, ms(s.Changed), ms(s.Verified), ms(s.Active), s.ID)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such stream")
	}
	return err
}

// StreamActive notes that a stream's receiver did something with it. That there is none is
// no error.
func (tx *Tx) StreamActive(id string, now time.Time) error {
	_, err := tx.exec("store.StreamActive", `update streams set active_at = $1 where id = $2`, ms(now), id)
	return err
}

// DeleteStream removes a stream and whom it was silent about.
func (tx *Tx) DeleteStream(id string) error {
	const op = "store.DeleteStream"
	if _, err := tx.exec(op, `delete from stream_muted where stream = $1`, id); err != nil {
		return err
	}
	_, err := tx.exec(op, `delete from streams where id = $1`, id)
	return err
}

// Mute makes a stream silent about a subject; fault.Limited beyond MaxMuted.
func (tx *Tx) Mute(stream, subject string, now time.Time) error {
	const op = "store.Mute"
	var n int
	if err := tx.q.QueryRow(`select count(*) from stream_muted where stream = $1`, stream).Scan(&n); err != nil {
		return tx.failed(err, op)
	}
	if n >= MaxMuted {
		return fault.New(fault.Limited, op, "the stream has removed %d subjects already", n)
	}
	_, err := tx.exec(op, `insert into stream_muted (stream, subject, muted_at) values ($1, $2, $3) on conflict do nothing`, stream, subject, ms(now))
	return err
}

// Unmute makes a stream tell of a subject again.
func (tx *Tx) Unmute(stream, subject string) error {
	_, err := tx.exec("store.Unmute", `delete from stream_muted where stream = $1 and subject = $2`, stream, subject)
	return err
}

// Muted reports whether a stream is silent about one of the subjects.
func (v *View) Muted(stream string, subjects []string) (muted bool, err error) {
	const op = "store.Muted"
	err = v.q.QueryRow(`select exists (select 1 from stream_muted where stream = $1 and subject in (`+v.engine.Dialect().Texts("$2")+`))`, stream, jsonList(subjects)).Scan(&muted)
	return muted, v.failed(err, op)
}

// Knows reports whether somebody has ever signed in to an application, and not taken back
// since what they had agreed to for it.
func (v *View) Knows(client access.ClientID, conn access.ConnectionID, person access.PersonID) (known bool, err error) {
	err = v.q.QueryRow(`select exists (select 1 from client_people where conn = (select key from connections where id = $1) and person = $2 and client = $3)`,
		string(conn), string(person), string(client)).Scan(&known)
	return known, v.failed(err, "store.Knows")
}

// KnowsAnybody reports whether anybody of a connection has ever signed in to an application.
func (v *View) KnowsAnybody(client access.ClientID, conn access.ConnectionID) (known bool, err error) {
	err = v.q.QueryRow(`select exists (select 1 from client_people where conn = (select key from connections where id = $1) and client = $2)`,
		string(conn), string(client)).Scan(&known)
	return known, v.failed(err, "store.KnowsAnybody")
}

// PersonalOf is the personal part of a recorded event; nil if there is none, or it was
// erased.
func (v *View) PersonalOf(id int64) (map[string]string, error) {
	const op = "store.PersonalOf"
	var personal []byte
	if err := v.q.QueryRow(`select personal from audit where id = $1`, id).Scan(&personal); err != nil || personal == nil {
		return nil, v.found(err, op, "event")
	}
	var out map[string]string
	return out, fault.Wrap(fault.Internal, op, json.Unmarshal(personal, &out))
}

// SCIMResult is what became of a SCIM request that was answered with 202.
type SCIMResult struct {
	Txn  string
	Body []byte
	At   time.Time
}

// ResultsOfConnection is how many results are kept of one connection, give or take a
// hundred: the latest.
const ResultsOfConnection = 10_000

// resultsAtOnce is how many results come between two times that the oldest go.
const resultsAtOnce = 100

// PutSCIMResult keeps a result. Beyond ResultsOfConnection the oldest go.
func (d *DirectoryTx) PutSCIMResult(r SCIMResult) error {
	const op = "store.PutSCIMResult"
	key, err := d.tx.q.Insert(`insert into scim_results (conn, txn, body, at) values ($1, $2, $3, $4)`, d.conn, r.Txn, r.Body, ms(r.At))
	if err != nil || key%resultsAtOnce != 0 {
		return d.tx.failed(err, op)
	}
	_, err = d.tx.exec(op, `delete from scim_results where conn = $1 and key <= (select key from scim_results where conn = $1 order by key desc limit 1 offset $2)`, d.conn, ResultsOfConnection)
	return err
}

// SCIMResult finds what became of a request.
func (d *Directory) SCIMResult(txn string) (SCIMResult, error) {
	r := SCIMResult{Txn: txn}
	var when int64
	err := d.v.q.QueryRow(`select body, at from scim_results where conn = $1 and txn = $2`, d.conn, txn).Scan(&r.Body, &when)
	r.At = at(when)
	return r, d.v.found(err, "store.SCIMResult", "result")
}

// TrimSCIMResults forgets what is older than before, at most 1,000 of it: call it until
// it returns 0.
func (tx *Tx) TrimSCIMResults(before time.Time) (removed int64, err error) {
	return tx.exec("store.TrimSCIMResults", `delete from scim_results where key in (select key from scim_results where at < $1 order by at limit $2)`, ms(before), trimAtOnce)
}

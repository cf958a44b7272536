package store

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Append records events: for each, a row of the audit trail and one of the outbox.
func (tx *Tx) Append(events ...event.Event) error {
	const op = "store.Append"
	keys := map[access.ConnectionID]int64{tx.lastID: tx.lastKey, "": 0}
	for _, e := range events {
		conn, known := keys[e.Connection]
		if !known {
			var err error
			if conn, err = tx.connectionKey(e.Connection); err != nil {
				return err
			}
			keys[e.Connection] = conn
		}
		if err := tx.audit(op, conn, e); err != nil {
			return err
		}
		if err := failpoint.Hit(tx.ctx, failpoint.AfterOutbox); err != nil {
			return err
		}
		tx.appended = true
		tx.ends = tx.ends || e.Type.EndsAccess()
	}
	return nil
}

func (tx *Tx) audit(op string, conn int64, e event.Event) (err error) {
	if tx.scratch, err = e.AppendJSON(tx.scratch[:0]); err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	var personal, salt, digest any
	if len(e.Personal) > 0 {
		text, err := json.Marshal(e.Personal)
		if err != nil {
			return fault.Wrap(fault.Internal, op, err)
		}
		fresh := make([]byte, 16)
		_, _ = rand.Read(fresh) // never fails (crypto/rand)
		personal, salt, digest = string(text), fresh, PersonalDigest(fresh, text)
	}
	return tx.failed(tx.q.Record(Recorded{Conn: conn, Person: nullable(string(e.Person)), Body: string(tx.scratch),
		Personal: personal, Salt: salt, Digest: digest, At: ms(e.At)}), op)
}

// PersonalDigest is what the chain holds of an event's personal part.
func PersonalDigest(salt, personal []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), personal...))
	return sum[:]
}

const auditColumns = `a.id, coalesce(c.id, ''), a.seq, a.body, a.personal, a.salt, a.personal_digest, a.prev, a.hash
	from audit a left join connections c on c.key = a.conn`

func scanAudit(r Row) (AuditRow, error) {
	var a AuditRow
	var seq sql.NullInt64
	var body string
	var personal sql.NullString
	if err := r.Scan(&a.ID, &a.Connection, &seq, &body, &personal, &a.Salt, &a.PersonalDigest, &a.Prev, &a.Hash); err != nil {
		return AuditRow{}, err
	}
	a.Seq, a.Body = seq.Int64, []byte(body)
	if personal.Valid {
		a.Personal = []byte(personal.String)
	}
	return a, nil
}

// auditKey is 0 for the host's own chain.
func (v *View) auditKey(conn access.ConnectionID) (int64, error) {
	if conn == "" {
		return 0, nil
	}
	return v.connectionKey(conn)
}

// AuditTrail lists a chain's sealed rows behind a sequence number, in order. The
// connection "" is the host's own chain.
func (v *View) AuditTrail(conn access.ConnectionID, afterSeq int64, limit int) ([]AuditRow, error) {
	key, err := v.auditKey(conn)
	if err != nil {
		return nil, err
	}
	return list(v, "store.AuditTrail", scanAudit, `select `+auditColumns+` where a.conn = $1 and a.seq > $2 order by a.seq limit $3`, key, afterSeq, limit)
}

// Unsealed lists the oldest rows that are not yet in a chain, in commit order.
func (v *View) Unsealed(limit int) ([]AuditRow, error) {
	return list(v, "store.Unsealed", scanAudit, `select `+auditColumns+` where a.id > (select id from audit_sealed) order by a.id limit $1`, limit)
}

// AuditHead is the last link of a chain; zero if there is none.
func (v *View) AuditHead(conn access.ConnectionID) (seq int64, hash []byte, err error) {
	key, err := v.auditKey(conn)
	if err != nil {
		return 0, nil, err
	}
	err = v.q.QueryRow(`select seq, hash from audit_heads where conn = $1`, key).Scan(&seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	return seq, hash, v.failed(err, "store.AuditHead")
}

// Seal makes rows the next links of their chains, in commit order: each has its
// sequence number, the hash before it and its own. The heads move once.
func (tx *Tx) Seal(rows []AuditRow) error {
	const op = "store.Seal"
	heads := map[access.ConnectionID]AuditRow{}
	keys := map[access.ConnectionID]int64{}
	for _, r := range rows {
		key, known := keys[r.Connection]
		if !known {
			var err error
			if key, err = tx.auditKey(r.Connection); err != nil {
				return err
			}
			keys[r.Connection] = key
		}
		n, err := tx.expect(op, 1, `update audit set seq = $1, prev = $2, hash = $3 where id = $4 and conn = $5 and seq is null`, r.Seq, r.Prev, r.Hash, r.ID, key)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Stale, op, "audit row %d has been sealed already", r.ID)
		}
		heads[r.Connection] = r
	}
	if err := failpoint.Hit(tx.ctx, failpoint.DuringSealing); err != nil {
		return err
	}
	for conn, r := range heads {
		_, err := tx.expect(op, 1, `insert into audit_heads (conn, seq, hash) values ($1, $2, $3) on conflict (conn) do update set seq = $2, hash = $3`, keys[conn], r.Seq, r.Hash)
		if err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.expect(op, 1, `update audit_sealed set id = $1`, rows[len(rows)-1].ID)
	return err
}

// ErasePersonal removes the personal part of everything recorded about a person.
// The chain holds: it contains a digest only.
func (tx *Tx) ErasePersonal(conn access.ConnectionID, person access.PersonID) error {
	key, err := tx.auditKey(conn)
	if err != nil {
		return err
	}
	_, err = tx.exec("store.ErasePersonal", `update audit set personal = null, salt = null where conn = $1 and person = $2 and personal is not null`, key, string(person))
	return err
}

// Outbox lists events that wait to be told, behind an id, in commit order.
func (v *View) Outbox(after int64, limit int) ([]OutboxRow, error) {
	return list(v, "store.Outbox", func(r Row) (OutboxRow, error) {
		var o OutboxRow
		var when int64
		var body string
		err := r.Scan(&o.ID, &o.Connection, &when, &body)
		o.At, o.Body = at(when), []byte(body)
		return o, err
	}, `select o.id, coalesce(c.id, ''), o.at, o.body from (select id, at, (select conn from audit a where a.id = outbox.id) as conn,
		(select body from audit a where a.id = outbox.id) as body from outbox where id > $1 order by id limit $2) o left join connections c on c.key = o.conn order by o.id`, after, limit)
}

// trimAtOnce is how many outbox rows one transaction removes: some milliseconds.
const trimAtOnce = 1000

// TrimOutbox removes rows older than before that the relay has read, at most 1,000 of
// them: call it until it returns 0. Rows are in the order of time, give or take what one
// clock reading per use case allows.
func (tx *Tx) TrimOutbox(before time.Time) (removed int64, err error) {
	return tx.exec("store.TrimOutbox", `delete from outbox where id in (select id from (select id, at from outbox order by id limit $1) o where o.at < $2)
		and id <= (select mark from relay)`, trimAtOnce, ms(before))
}

package store

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const tokenColumns = `t.public_id, c.id, t.digest, t.note, t.tail, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
	from scim_tokens t join connections c on c.key = t.conn`

func scanToken(r Row) (SCIMToken, error) {
	var t SCIMToken
	var digest []byte
	var created, expires, used, revoked int64
	if err := r.Scan(&t.PublicID, &t.Connection, &digest, &t.Note, &t.Tail, &created, &expires, &used, &revoked); err != nil {
		return SCIMToken{}, err
	}
	if copy(t.Digest[:], digest) != len(t.Digest) {
		return SCIMToken{}, fault.New(fault.Internal, "store.SCIMToken", "a stored digest is %d bytes long", len(digest))
	}
	t.Created, t.Expires, t.LastUsed, t.Revoked = at(created), at(expires), at(used), at(revoked)
	return t, nil
}

// SCIMToken finds a token by the public part of its text.
func (v *View) SCIMToken(publicID string) (SCIMToken, error) {
	t, err := scanToken(v.q.QueryRow(`select `+tokenColumns+` where t.public_id = $1`, publicID))
	return t, v.found(err, "store.SCIMToken", "token")
}

// SCIMTokens lists a connection's tokens, oldest first.
func (v *View) SCIMTokens(conn access.ConnectionID) ([]SCIMToken, error) {
	return list(v, "store.SCIMTokens", scanToken, `select `+tokenColumns+` where c.id = $1 order by t.created_at, t.public_id`, string(conn))
}

// PutSCIMToken adds a token.
func (tx *Tx) PutSCIMToken(t SCIMToken) error {
	key, err := tx.connectionKey(t.Connection)
	if err != nil {
		return err
	}
	_, err = tx.exec("store.PutSCIMToken", `insert into scim_tokens (public_id, conn, digest, note, tail, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7)`, t.PublicID, key, t.Digest[:], t.Note, t.Tail, ms(t.Created), ms(t.Expires))
	if err != nil {
		return err
	}
	return tx.touchToken(t.PublicID)
}

// touchToken puts a token in the window as it stands in this transaction.
func (tx *Tx) touchToken(publicID string) error {
	t, err := tx.SCIMToken(publicID)
	if err != nil {
		return err
	}
	tx.touchWide(ref{Kind: refToken, ID: publicID}, func(w *wide) { w.tokens.put(publicID, t) })
	return nil
}

// Door is the token with that public id and the connection it belongs to, from the
// window: what every SCIM request asks first. LastUsed and the connection's
// counters and times are not kept up there. fault.Unavailable if the window may not be
// believed and the directory does not answer.
func (s *Store) Door(ctx context.Context, publicID string) (t SCIMToken, conn ConnectionRow, known bool, err error) {
	w, err := s.wideNow(ctx, func(v *View, w *wide) error {
		if err := v.readWide(w, wideRows{tokens: []string{publicID}}); err != nil {
			return err
		}
		t, _ := w.tokens.get(publicID)
		return v.readWide(w, wideRows{connections: []access.ConnectionID{t.Connection}})
	})
	if err != nil {
		return SCIMToken{}, ConnectionRow{}, false, err
	}
	if t, known = w.tokens.get(publicID); !known {
		return SCIMToken{}, ConnectionRow{}, false, nil
	}
	of, _ := w.connections.get(t.Connection)
	return t, of.row(), true, nil
}

// RevokeSCIMToken ends a token; the first time counts.
func (tx *Tx) RevokeSCIMToken(publicID string, now time.Time) error {
	const op = "store.RevokeSCIMToken"
	n, err := tx.exec(op, `update scim_tokens set revoked_at = case when revoked_at = 0 then $1 else revoked_at end where public_id = $2`, ms(now), publicID)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such token")
	}
	if err != nil {
		return err
	}
	return tx.touchToken(publicID)
}

// TouchSCIMTokens records when tokens were last used.
func (tx *Tx) TouchSCIMTokens(used map[string]time.Time) error {
	for publicID, when := range used {
		_, err := tx.expect("store.TouchSCIMTokens", AnyRows, `update scim_tokens set last_used_at = $1 where public_id = $2 and last_used_at < $1`, ms(when), publicID)
		if err != nil {
			return err
		}
	}
	return nil
}

// TouchSCIM records when the connection was last asked for something with a good credential. Whoever
// writes in it writes its row, too, so this waits in its lane.
func (d *DirectoryTx) TouchSCIM(when time.Time) error {
	_, err := d.tx.expect("store.TouchSCIM", AnyRows, `update connections set last_scim_at = $1 where key = $2 and last_scim_at < $1`, ms(when), d.conn)
	return err
}

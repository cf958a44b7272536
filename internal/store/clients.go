package store

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Clients lists every application that was ever configured, live or not.
func (v *View) Clients() ([]access.ClientID, error) {
	return list(v, "store.Clients", func(r Row) (id access.ClientID, err error) { return id, r.Scan(&id) }, `select id from clients order by id`)
}

// ClientNow is what an application's own tokens are held against: the host's epoch and
// its own, from the window; false unless it is active. Errors are Door's.
func (s *Store) ClientNow(ctx context.Context, id access.ClientID) (host, epoch int64, active bool, err error) {
	w, err := s.wideNow(ctx, func(v *View, w *wide) error {
		return v.readWide(w, wideRows{host: true, clients: []access.ClientID{id}})
	})
	if err != nil {
		return 0, 0, false, err
	}
	c, _ := w.clients.get(id)
	return w.host, c.epoch, c.active, nil
}

// MaxSpent is how many things of one application are remembered at once as used up. A
// client that signs an assertion of a minute for every request reaches it at 300 a second.
const MaxSpent = 20_000

// Spend remembers that an application has used something up, until that ends by itself:
// false if it had already. fault.Limited if it has used up too much that has not ended.
func (tx *Tx) Spend(client access.ClientID, what credential.Digest, ends, now time.Time) (first bool, err error) {
	const op = "store.Spend"
	if _, err := tx.exec(op, `delete from spent where client = $1 and expires_at <= $2`, string(client), ms(now)); err != nil {
		return false, err
	}
	var live int
	if err := tx.q.QueryRow(`select count(*) from spent where client = $1`, string(client)).Scan(&live); err != nil {
		return false, tx.failed(err, op)
	}
	if live >= MaxSpent {
		return false, fault.New(fault.Limited, op, "this client has used %d assertions that have not ended; give them a shorter life", live)
	}
	n, err := tx.exec(op, `insert into spent (client, digest, expires_at) values ($1, $2, $3) on conflict do nothing`, string(client), what[:], ms(ends))
	return n == 1, err
}

// Spent reports whether an application has used something up that may not have ended yet.
func (v *View) Spent(client access.ClientID, what credential.Digest) (bool, error) {
	var n int
	err := v.q.QueryRow(`select count(*) from spent where client = $1 and digest = $2`, string(client), what[:]).Scan(&n)
	return n > 0, v.found(err, "store.Spent", "client")
}

package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// UpstreamToken is a sealed refresh token of an identity provider, and how it stands
// with the session that it came with.
type UpstreamToken struct {
	Session    session.ID
	Connection access.ConnectionID
	Sealed     []byte
	Proved     time.Time // when the provider last said that the session stands
	Due        time.Time // when it is asked again
}

// PutUpstreamToken keeps a session's token in the place of the one before;
// fault.NotFound if there is no such session.
func (tx *Tx) PutUpstreamToken(t UpstreamToken) error {
	const op = "store.PutUpstreamToken"
	n, err := tx.exec(op, `insert into upstream_tokens (session, conn, sealed, proved_at, due_at)
		select s.id, s.conn, $2, $3, $4 from sessions s where s.id = $1
		on conflict (session) do update set sealed = excluded.sealed, proved_at = excluded.proved_at, due_at = excluded.due_at`,
		string(t.Session), t.Sealed, ms(t.Proved), ms(t.Due))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such session")
	}
	return err
}

// UpstreamAsked notes how the provider answered about a session, and when it is asked
// again. A session without a token is no error: it may have ended meanwhile.
func (tx *Tx) UpstreamAsked(id session.ID, proved, due time.Time) error {
	_, err := tx.exec("store.UpstreamAsked", `update upstream_tokens set proved_at = $2, due_at = $3 where session = $1`, string(id), ms(proved), ms(due))
	return err
}

// DropUpstreamTokens forgets up to limit tokens of sessions that have ended or are over
// by now, and says how many those were.
func (tx *Tx) DropUpstreamTokens(now time.Time, limit int) (int64, error) {
	return tx.exec("store.DropUpstreamTokens", `delete from upstream_tokens where session in (
		select u.session from upstream_tokens u join sessions s on s.id = u.session
		where s.state = $1 or s.expires_at <= $2 limit $3)`, int64(session.Ended), ms(now), limit)
}

// ClaimUpstreamTokens gives tokens of live sessions by which a provider is to be asked now, the one
// that waits longest first. Until until they are due to nobody else; what another node is claiming is
// passed over.
func (tx *Tx) ClaimUpstreamTokens(now, until time.Time, limit int) ([]UpstreamToken, error) {
	const op = "store.ClaimUpstreamTokens"
	claimed, err := list(&tx.View, op, func(r Row) (t UpstreamToken, err error) {
		var proved, due int64
		err = r.Scan(&t.Session, &t.Connection, &t.Sealed, &proved, &due)
		t.Proved, t.Due = at(proved), at(due)
		return t, err
	}, `select u.session, c.id, u.sealed, u.proved_at, u.due_at
		from upstream_tokens u join sessions s on s.id = u.session join connections c on c.key = u.conn
		where u.due_at <= $1 and s.state <> $2 and s.expires_at > $1 order by u.due_at limit $3`+tx.mine(tx.engine.Dialect().Free, "u"), ms(now), int64(session.Ended), limit)
	for _, t := range claimed {
		if _, err := tx.exec(op, `update upstream_tokens set due_at = $2 where session = $1`, string(t.Session), ms(until)); err != nil {
			return nil, err
		}
	}
	return claimed, err
}

// Unproved is how many sessions of a connection its identity provider is asked about,
// and when it last answered for the one that waits longest.
type Unproved struct {
	Connection access.ConnectionID
	Sessions   int64
	Since      time.Time
}

// Unproved lists the connections whose identity provider is asked about sessions.
func (v *View) Unproved() ([]Unproved, error) {
	return list(v, "store.Unproved", func(r Row) (u Unproved, err error) {
		var since int64
		err = r.Scan(&u.Connection, &u.Sessions, &since)
		u.Since = at(since)
		return u, err
	}, `select c.id, count(*), min(u.proved_at) from upstream_tokens u join connections c on c.key = u.conn group by c.id order by c.id`)
}

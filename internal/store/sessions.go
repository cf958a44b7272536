package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

const sessionColumns = `s.id, c.id, s.person, s.state, s.active, s.version, s.host_epoch, s.connection_epoch, s.person_epoch,
	s.auth_at, s.created_at, s.expires_at, s.ended_at, s.end_reason, s.upstream, s.cookie, s.cookie_until, s.offline
	from sessions s join connections c on c.key = s.conn`

func scanSession(r Row) (SessionRow, error) {
	var s SessionRow
	var state, auth, created, expires, ended, earlier int64
	var upstream string
	var cookie []byte
	err := r.Scan(&s.ID, &s.Connection, &s.Person, &state, &s.Active, &s.Version, &s.Epochs.Host, &s.Epochs.Connection, &s.Epochs.Person,
		&auth, &created, &expires, &ended, &s.EndReason, &upstream, &cookie, &earlier, &s.Offline)
	if err != nil {
		return SessionRow{}, err
	}
	if err := json.Unmarshal([]byte(upstream), &s.Upstream); err != nil {
		return SessionRow{}, err
	}
	s.State = stateOf(state)
	copy(s.Cookie[:], cookie)
	s.AuthTime, s.Created, s.Expires, s.EndedAt, s.EarlierUntil = at(auth), at(created), at(expires), at(ended), at(earlier)
	return s, nil
}

// stateOf reads a state; one that this program does not know has ended.
func stateOf(stored int64) session.State {
	if stored < 0 || stored > int64(session.MustChoose) {
		return session.Ended
	}
	return session.State(stored)
}

// Session finds a session, live or ended.
func (v *View) Session(id session.ID) (SessionRow, error) {
	s, err := scanSession(v.q.QueryRow(`select `+sessionColumns+` where s.id = $1`+v.own("s"), string(id)))
	return s, v.found(err, "store.Session", "session")
}

// SessionByCookie finds a session by the digest of its cookie's present secret.
func (v *View) SessionByCookie(d credential.Digest) (SessionRow, error) {
	s, err := scanSession(v.q.QueryRow(`select `+sessionColumns+` where s.cookie = $1`+v.own("s"), d[:]))
	return s, v.found(err, "store.SessionByCookie", "session")
}

// SessionByEarlierCookie finds a session by the digest of the secret before its cookie's
// present one, as long as that still does.
func (v *View) SessionByEarlierCookie(d credential.Digest, now time.Time) (SessionRow, error) {
	s, err := scanSession(v.q.QueryRow(`select `+sessionColumns+` where s.cookie_before = $1 and s.cookie_until > $2`+v.own("s"), d[:], ms(now)))
	return s, v.found(err, "store.SessionByEarlierCookie", "session")
}

// SessionClients lists the applications that were signed in to under a session.
func (v *View) SessionClients(id session.ID) ([]access.ClientID, error) {
	return list(v, "store.SessionClients", func(r Row) (c access.ClientID, err error) { return c, r.Scan(&c) },
		`select client from session_clients where session = $1 order by client`, string(id))
}

func (v *View) sessionState(id session.ID) (sessionState, error) {
	var s sessionState
	var state, expires int64
	err := v.q.QueryRow(`select c.id, s.person, s.state, s.version, s.end_reason, s.expires_at
		from sessions s join connections c on c.key = s.conn where s.id = $1`, string(id)).
		Scan(&s.connection, &s.person, &state, &s.version, &s.reason, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return sessionState{}, nil
	}
	s.exists, s.state, s.expires = true, stateOf(state), at(expires)
	return s, err
}

// ForgetEarlierCookie lets the secret before the cookie's present one find the session no
// more.
func (tx *Tx) ForgetEarlierCookie(id session.ID) error {
	_, err := tx.exec("store.ForgetEarlierCookie", `update sessions set cookie_before = null, cookie_until = 0 where id = $1 and cookie_before is not null`, string(id))
	return err
}

// InsertSession adds a session of a person that is there; fault.NotFound otherwise.
func (tx *Tx) InsertSession(s SessionRow) error {
	const op = "store.InsertSession"
	upstream, err := json.Marshal(s.Upstream)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	n, err := tx.exec(op, `insert into sessions (id, conn, person, state, active, version, host_epoch, connection_epoch, person_epoch,
		auth_at, created_at, expires_at, ended_at, end_reason, upstream, cookie, offline, idp_session, idp_subject)
		select $1, p.conn, p.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
		from connections c join people p on p.conn = c.key where c.id = $2 and p.id = $3`,
		string(s.ID), string(s.Connection), string(s.Person), int64(s.State), string(s.Active), s.Version,
		s.Epochs.Host, s.Epochs.Connection, s.Epochs.Person, ms(s.AuthTime), ms(s.Created), ms(s.Expires), ms(s.EndedAt),
		s.EndReason, string(upstream), s.Cookie[:], string(s.Offline), s.Upstream.Session, s.Upstream.NamedAs())
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such person")
	}
	tx.isNew(tx.touchSession(s.ID))
	return err
}

// UpdateSession stores what the session has become. A version below the stored one
// is refused (fault.Stale): versions never fall. renewed, if not nil, replaces the digest
// of the cookie's secret.
func (tx *Tx) UpdateSession(s session.Session, renewed *NewCookie) error {
	const op = "store.UpdateSession"
	var cookie any
	var earlier int64
	if renewed != nil {
		cookie, earlier = renewed.Cookie[:], ms(renewed.EarlierUntil)
	}
	n, err := tx.exec(op, `update sessions set state = $1, active = $2, version = $3, expires_at = $4, ended_at = $5, end_reason = $6,
		host_epoch = $7, connection_epoch = $8, person_epoch = $9, auth_at = $10, cookie = coalesce($11, cookie),
		cookie_before = case when $11 is null then cookie_before else cookie end, cookie_until = case when $11 is null then cookie_until else $13 end
		where id = $12 and version <= $3`,
		int64(s.State), string(s.Active), s.Version, ms(s.Expires), ms(s.EndedAt), s.EndReason,
		s.Epochs.Host, s.Epochs.Connection, s.Epochs.Person, ms(s.AuthTime), cookie, string(s.ID), earlier)
	if err != nil {
		return err
	}
	if n == 0 {
		if _, err := tx.Session(s.ID); err != nil {
			return err
		}
		return fault.New(fault.Stale, op, "the session has changed since version %d", s.Version)
	}
	tx.touchSession(s.ID)
	return nil
}

// AddSessionClient records that an application was signed in to, and that it knows the
// person from now on.
func (tx *Tx) AddSessionClient(id session.ID, client access.ClientID) error {
	const op = "store.AddSessionClient"
	n, err := tx.exec(op, `insert into session_clients (session, client) values ($1, $2) on conflict do nothing`, string(id), string(client))
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.exec(op, `insert into client_people (client, conn, person) select $1, s.conn, s.person from sessions s where s.id = $2 on conflict do nothing`, string(client), string(id))
	return err
}

func (tx *Tx) touchSession(id session.ID) ref {
	r := ref{Kind: refSession, ID: string(id)}
	tx.touched = append(tx.touched, touch{ref: r})
	return r
}

package embedded

import (
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
)

// insert stores a family, and tidies: two families whose end has come make room for
// each new one, so the file does not grow and nobody has to sweep it.
func insert(q sqlitedb.Querier, x hot.Family) error {
	_, err := q.Exec(`DELETE FROM families WHERE id IN (SELECT id FROM families WHERE expires <= ? ORDER BY expires LIMIT 2)`,
		nanos(x.Rotated))
	if err != nil {
		return err
	}
	b := x.Bound
	_, err = q.Exec(`INSERT INTO families (id, n, rotated, expires, salt, connection, client, person, session,
		host_epoch, connection_epoch, client_epoch, person_epoch, session_version, bound_until, active, scopes, auth_time, nonce,
		resources, claims, dpop_key, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		x.ID, x.N, nanos(x.Rotated), nanos(x.Expires), x.Salt,
		string(b.Subject.Connection), string(b.Subject.Client), string(b.Subject.Person), string(b.Subject.Session),
		b.Epochs.Host, b.Epochs.Connection, b.Epochs.Client, b.Epochs.Person, b.Epochs.Session, nanos(b.Expires),
		string(x.Active), strings.Join(x.OAuthScopes, " "), nanos(x.AuthTime), x.Nonce,
		strings.Join(x.Resources, " "), string(x.Claims), x.DPoPKey, x.Details)
	return err
}

// read finds a family by id.
func read(q sqlitedb.Querier, id string) (x hot.Family, found bool, err error) {
	var rotated, expires, until, authTime int64
	var scopes, resources, claims string
	s, e := &x.Bound.Subject, &x.Bound.Epochs
	err = q.QueryRow(`SELECT id, n, rotated, expires, salt, connection, client, person, session,
		host_epoch, connection_epoch, client_epoch, person_epoch, session_version, bound_until, active, scopes, auth_time, nonce,
		resources, claims, dpop_key, details FROM families WHERE id = ?`, id).Scan(&x.ID, &x.N, &rotated, &expires, &x.Salt, &s.Connection, &s.Client, &s.Person,
		&s.Session, &e.Host, &e.Connection, &e.Client, &e.Person, &e.Session, &until, &x.Active, &scopes, &authTime, &x.Nonce,
		&resources, &claims, &x.DPoPKey, &x.Details)
	if errors.Is(err, sql.ErrNoRows) {
		return hot.Family{}, false, nil
	}
	if err != nil {
		return hot.Family{}, false, err
	}
	x.Rotated, x.Expires, x.Bound.Expires, x.AuthTime = instant(rotated), instant(expires), instant(until), instant(authTime)
	s.Family = x.ID
	x.OAuthScopes = strings.Fields(scopes)
	if resources != "" { // a URI has no space in it
		x.Resources = strings.Fields(resources)
	}
	if claims != "" {
		x.Claims = json.RawMessage(claims)
	}
	return x, true, nil
}

// advance moves a family on from number was; false if it is not there any more.
func advance(q sqlitedb.Querier, x hot.Family, was int64) (bool, error) {
	rows, err := q.Exec(`UPDATE families SET n = ?, rotated = ?, dpop_key = ? WHERE id = ? AND n = ?`, x.N, nanos(x.Rotated), x.DPoPKey, x.ID, was)
	return rows == 1, err
}

func remove(q sqlitedb.Querier, id string) error {
	_, err := q.Exec(`DELETE FROM families WHERE id = ?`, id)
	return err
}

// removeSession ends every family of a session and names them.
func removeSession(q sqlitedb.Querier, id session.ID) (ended []string, err error) {
	err = q.Each(func(r sqlitedb.Row) error {
		var family string
		err := r.Scan(&family)
		ended = append(ended, family)
		return err
	}, `DELETE FROM families WHERE session = ? RETURNING id`, string(id))
	return ended, err
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// SCIMClient is an OAuth client of a connection's identity provider.
type SCIMClient struct {
	ID         string
	Connection access.ConnectionID
	Name       string
	Secrets    []ClientSecret // oldest first; never changed once read
	Created    time.Time
	LastUsed   time.Time
	LastUsedBy string // the kind of proof: "secret", "key" or "federation"
	Revoked    time.Time
}

// ClientSecret is one of a client's secrets, without the secret.
type ClientSecret struct {
	PublicID string
	Digest   credential.Digest
	Note     string
	Tail     string // the last 4 characters, for people to recognise it
	Created  time.Time
	Expires  time.Time
	LastUsed time.Time
	Revoked  time.Time
}

// Live reports whether the client has not been revoked.
func (c SCIMClient) Live() bool { return c.Revoked.IsZero() }

// Secret finds one of the client's secrets.
func (c SCIMClient) Secret(publicID string) (ClientSecret, bool) {
	for _, s := range c.Secrets {
		if s.PublicID == publicID {
			return s, true
		}
	}
	return ClientSecret{}, false
}

// LiveAt reports whether the secret proves anything at that instant.
func (s ClientSecret) LiveAt(now time.Time) bool {
	return s.Revoked.IsZero() && now.Before(s.Expires)
}

const scimClientColumns = `k.id, c.id, k.name, k.created_at, k.last_used_at, k.last_used_by, k.revoked_at
	from scim_clients k join connections c on c.key = k.conn`

func scanSCIMClient(r Row) (SCIMClient, error) {
	var c SCIMClient
	var created, used, revoked int64
	err := r.Scan(&c.ID, &c.Connection, &c.Name, &created, &used, &c.LastUsedBy, &revoked)
	c.Created, c.LastUsed, c.Revoked = at(created), at(used), at(revoked)
	return c, err
}

const clientSecretColumns = `client, public_id, digest, note, tail, created_at, expires_at, last_used_at, revoked_at from scim_client_secrets`

// ownedSecret is a secret with the client it belongs to.
type ownedSecret struct {
	client string
	ClientSecret
}

func scanClientSecret(r Row) (ownedSecret, error) {
	var s ownedSecret
	var digest []byte
	var created, expires, used, revoked int64
	if err := r.Scan(&s.client, &s.PublicID, &digest, &s.Note, &s.Tail, &created, &expires, &used, &revoked); err != nil {
		return s, err
	}
	if copy(s.Digest[:], digest) != len(s.Digest) {
		return s, fault.New(fault.Internal, "store.SCIMClient", "a stored digest is %d bytes long", len(digest))
	}
	s.Created, s.Expires, s.LastUsed, s.Revoked = at(created), at(expires), at(used), at(revoked)
	return s, nil
}

// SCIMClient finds a client and its secrets.
func (v *View) SCIMClient(id string) (SCIMClient, error) {
	const op = "store.SCIMClient"
	c, err := scanSCIMClient(v.q.QueryRow(`select `+scimClientColumns+` where k.id = $1`, id))
	if err != nil {
		return SCIMClient{}, v.found(err, op, "client")
	}
	return v.withSecrets(op, c)
}

// SCIMClients lists a connection's clients with their secrets, oldest first.
func (v *View) SCIMClients(conn access.ConnectionID) ([]SCIMClient, error) {
	const op = "store.SCIMClients"
	all, err := list(v, op, scanSCIMClient, `select `+scimClientColumns+` where c.id = $1 order by k.created_at, k.id`, string(conn))
	for i := range all {
		if err == nil {
			all[i], err = v.withSecrets(op, all[i])
		}
	}
	return all, err
}

func (v *View) withSecrets(op string, c SCIMClient) (SCIMClient, error) {
	owned, err := list(v, op, scanClientSecret, `select `+clientSecretColumns+` where client = $1 order by created_at, public_id`, c.ID)
	for _, s := range owned {
		c.Secrets = append(c.Secrets, s.ClientSecret)
	}
	return c, err
}

// AllSCIMClients lists every connection's clients with their secrets, oldest first.
func (v *View) AllSCIMClients() (map[access.ConnectionID][]SCIMClient, error) {
	all, err := v.scimClients("store.AllSCIMClients", true, nil)
	if err != nil {
		return nil, err
	}
	by := map[access.ConnectionID][]SCIMClient{}
	for _, c := range all {
		by[c.Connection] = append(by[c.Connection], c)
	}
	for _, of := range by {
		slices.SortFunc(of, func(a, b SCIMClient) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	}
	return by, nil
}

// scimClients reads all clients, or those of some ids.
func (v *View) scimClients(op string, all bool, ids []string) (map[string]SCIMClient, error) {
	found := map[string]SCIMClient{}
	where, args := among(v, `k.id`, all, ids)
	err := v.each(op, func(r Row) error {
		c, err := scanSCIMClient(r)
		found[c.ID] = c
		return err
	}, `select `+scimClientColumns+where, args...)
	if err != nil {
		return nil, err
	}
	where, args = among(v, `client`, all, ids)
	return found, v.each(op, func(r Row) error {
		s, err := scanClientSecret(r)
		c := found[s.client]
		c.Secrets = append(c.Secrets, s.ClientSecret)
		found[s.client] = c
		return err
	}, `select `+clientSecretColumns+where+` order by created_at, public_id`, args...)
}

// PutSCIMClient adds a client, without secrets.
func (tx *Tx) PutSCIMClient(c SCIMClient) error {
	key, err := tx.connectionKey(c.Connection)
	if err != nil {
		return err
	}
	_, err = tx.exec("store.PutSCIMClient", `insert into scim_clients (id, conn, name, created_at) values ($1, $2, $3, $4)`, c.ID, key, c.Name, ms(c.Created))
	if err != nil {
		return err
	}
	return tx.touchSCIMClient(c.ID)
}

// PutClientSecret adds a secret to a client.
func (tx *Tx) PutClientSecret(client string, s ClientSecret) error {
	_, err := tx.exec("store.PutClientSecret", `insert into scim_client_secrets (public_id, client, digest, note, tail, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7)`, s.PublicID, client, s.Digest[:], s.Note, s.Tail, ms(s.Created), ms(s.Expires))
	if err != nil {
		return err
	}
	return tx.touchSCIMClient(client)
}

// RevokeSCIMClient ends a client with all its secrets; the first time counts.
func (tx *Tx) RevokeSCIMClient(id string, now time.Time) error {
	const op = "store.RevokeSCIMClient"
	n, err := tx.exec(op, `update scim_clients set revoked_at = case when revoked_at = 0 then $1 else revoked_at end where id = $2`, ms(now), id)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such client")
	}
	if err != nil {
		return err
	}
	return tx.touchSCIMClient(id)
}

// RevokeClientSecret ends one secret of a client; the first time counts.
func (tx *Tx) RevokeClientSecret(client, publicID string, now time.Time) error {
	const op = "store.RevokeClientSecret"
	n, err := tx.exec(op, `update scim_client_secrets set revoked_at = case when revoked_at = 0 then $1 else revoked_at end
		where public_id = $2 and client = $3`, ms(now), publicID, client)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "the client has no such secret")
	}
	if err != nil {
		return err
	}
	return tx.touchSCIMClient(client)
}

// touchSCIMClient puts a client in the window as it stands in this transaction.
func (tx *Tx) touchSCIMClient(id string) error {
	c, err := tx.SCIMClient(id)
	if err != nil {
		return err
	}
	tx.touchWide(ref{Kind: refSCIMClient, ID: id}, func(w *wide) { w.scimClients.put(id, c) })
	return nil
}

// ClientUse is a use of a client: by which proof, and of which secret if it was one.
type ClientUse struct {
	Client string
	Kind   string // "secret", "key" or "federation"
	Secret string // its public id, or ""
}

// TouchSCIMClients records when clients and their secrets were last used.
func (tx *Tx) TouchSCIMClients(used map[ClientUse]time.Time) error {
	const op = "store.TouchSCIMClients"
	for u, when := range used {
		if _, err := tx.expect(op, AnyRows, `update scim_clients set last_used_at = $1, last_used_by = $2 where id = $3 and last_used_at < $1`, ms(when), u.Kind, u.Client); err != nil {
			return err
		}
		if u.Secret == "" {
			continue
		}
		if _, err := tx.expect(op, AnyRows, `update scim_client_secrets set last_used_at = $1 where public_id = $2 and client = $3 and last_used_at < $1`, ms(when), u.Secret, u.Client); err != nil {
			return err
		}
	}
	return nil
}

// MaxLiveAssertions is how many assertions of one client are remembered at once. A
// client needs one an hour.
const MaxLiveAssertions = 1000

// UseAssertion remembers an assertion of a client until it ends: false if it was used
// before. fault.Limited if the client has used too many that have not ended.
func (tx *Tx) UseAssertion(client string, assertion credential.Digest, ends, now time.Time) (first bool, err error) {
	const op = "store.UseAssertion"
	if _, err := tx.exec(op, `delete from used_assertions where client = $1 and expires_at <= $2`, client, ms(now)); err != nil {
		return false, err
	}
	var live int
	if err := tx.q.QueryRow(`select count(*) from used_assertions where client = $1`, client).Scan(&live); err != nil {
		return false, tx.failed(err, op)
	}
	if live >= MaxLiveAssertions {
		return false, fault.New(fault.Limited, op, "this client has used %d assertions that have not ended", live)
	}
	n, err := tx.exec(op, `insert into used_assertions (client, digest, expires_at) values ($1, $2, $3) on conflict do nothing`, client, assertion[:], ms(ends))
	return n == 1, err
}

// ClientDoor is a SCIM client, the connection it belongs to and the host's epoch,
// from the window. Uses and the connection's counters are not kept up there. Errors are Door's.
func (s *Store) ClientDoor(ctx context.Context, id string) (c SCIMClient, conn ConnectionRow, host int64, known bool, err error) {
	w, err := s.wideNow(ctx, func(v *View, w *wide) error {
		if err := v.readWide(w, wideRows{host: true, scimClients: []string{id}}); err != nil {
			return err
		}
		c, _ := w.scimClients.get(id)
		return v.readWide(w, wideRows{connections: []access.ConnectionID{c.Connection}})
	})
	if err != nil {
		return SCIMClient{}, ConnectionRow{}, 0, false, err
	}
	c, known = w.scimClients.get(id)
	of, _ := w.connections.get(c.Connection)
	return c, of.row(), w.host, known, nil
}

// Doors is what opens each live connection now, from the window: its tokens and its
// clients, live or not. Uses are not kept up there.
func (s *Store) Doors() map[access.ConnectionID]Door {
	w := s.window.wide.Load()
	doors := map[access.ConnectionID]Door{}
	for id, c := range w.connections.all() {
		if c.active {
			doors[id] = Door{}
		}
	}
	for _, t := range w.tokens.all() {
		if d, live := doors[t.Connection]; live {
			d.Tokens = append(d.Tokens, t)
			doors[t.Connection] = d
		}
	}
	for _, c := range w.scimClients.all() {
		if d, live := doors[c.Connection]; live {
			d.Clients = append(d.Clients, c)
			doors[c.Connection] = d
		}
	}
	return doors
}

// Door is what opens one connection.
type Door struct {
	Tokens  []SCIMToken
	Clients []SCIMClient
}

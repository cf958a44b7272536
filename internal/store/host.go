package store

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Host is the epoch above all others.
func (v *View) Host() (epoch int64, err error) {
	err = v.q.QueryRow(`select epoch from host`).Scan(&epoch)
	return epoch, v.failed(err, "store.Host")
}

const connectionColumns = `key, fence, decided_from, decided_before, decided_partly, definition, active, epoch, people, groups, created_at, last_scim_at`

func (v *View) scanConnection(r Row) (d Directory, err error) {
	var text string
	var active bool
	var created, last int64
	c := &d.row
	if err = r.Scan(&d.conn, &d.fence, &d.since.from, &d.since.before, &d.since.partly, &text, &active, &c.Epoch, &c.People, &c.Groups, &created, &last); err != nil {
		return d, err
	}
	defined, err := v.defined.read(text)
	if err != nil {
		return d, err
	}
	c.Connection, c.Types = defined.Connection, defined.types
	c.State = ConnectionEnded
	if active {
		c.State = ConnectionActive
	}
	c.Created, c.LastSCIM = at(created), at(last)
	return d, nil
}

// definition is a connection as its policy defines it, with the resource types that
// follow from that.
type definition struct {
	access.Connection
	types schema.Types
}

// definitions remembers what definitions read as: every transaction opens a
// connection, and they change with the policy only. Those who read share the slices.
type definitions struct {
	mu    sync.Mutex
	known map[string]definition
}

// maxDefinitions bounds what is remembered; beyond it all is forgotten.
const maxDefinitions = 4096

func (m *definitions) read(text string) (definition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d, ok := m.known[text]; ok {
		return d, nil
	}
	var d definition
	if err := json.Unmarshal([]byte(text), &d.Connection); err != nil {
		return d, err
	}
	var err error
	if d.types, err = mapping.TypesOf(d.SCIM); err != nil {
		return d, fault.New(fault.Internal, "store.definitions", "connection %s: %v", d.ID, err)
	}
	if m.known == nil || len(m.known) >= maxDefinitions {
		m.known = map[string]definition{}
	}
	m.known[text] = d
	return d, nil
}

// Connections lists all, by id.
func (v *View) Connections() ([]ConnectionRow, error) {
	return list(v, "store.Connections", func(r Row) (ConnectionRow, error) {
		d, err := v.scanConnection(r)
		return d.row, err
	}, `select `+connectionColumns+` from connections order by id`)
}

// Policy is the active policy; its Version is 0 when there is none yet.
func (v *View) Policy() (Policy, error) {
	var p Policy
	var applied int64
	var source string
	err := v.q.QueryRow(`select version, hash, source, applied_at from policy`).Scan(&p.Version, &p.Hash, &source, &applied)
	if errors.Is(err, sql.ErrNoRows) {
		return Policy{}, nil
	}
	p.Source, p.Applied = []byte(source), at(applied)
	return p, v.failed(err, "store.Policy")
}

// PolicyVersion is the version of the policy in force: what a decision made now is
// recorded under. A transaction that writes asks the directory: another of the same
// commit may have put a policy in that the window does not know yet, and a decision
// by the rules before it must not count.
func (v *View) PolicyVersion() (int64, error) {
	known := v.window.wide.Load().policy
	if v.changed == nil && v.fresh {
		return known, nil
	}
	if v.changed == nil {
		return v.storedPolicyVersion()
	}
	version, err := v.policyVersion(v.q.Steady)
	if version != known {
		*v.changed = true
	}
	return version, err
}

// PolicyAlone is PolicyVersion for a transaction that is going to put another policy in:
// until it ends, nobody decides by this one. It comes first in the transaction.
func (tx *Tx) PolicyAlone() (int64, error) {
	if err := tx.alone("store.PolicyAlone"); err != nil {
		return 0, err
	}
	return tx.PolicyVersion()
}

// PolicyVersion is the version of the policy in force, from the window: never older than
// the last commit acknowledged on this node.
func (s *Store) PolicyVersion() int64 { return s.window.wide.Load().policy }

func (v *View) storedPolicyVersion() (int64, error) { return v.policyVersion(v.q.QueryRow) }

func (v *View) policyVersion(ask func(string, ...any) Row) (version int64, err error) {
	err = ask(`select version from policy`).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, v.failed(err, "store.PolicyVersion")
}

func (tx *Tx) touchWide(r ref, fn func(*wide)) {
	tx.q.Unsteady()
	tx.wideChanged = true
	tx.touched = append(tx.touched, touch{ref: r, wide: fn})
}

// touchConnection puts a connection in the window as it stands in this transaction.
func (tx *Tx) touchConnection(id access.ConnectionID) error {
	d, err := tx.stored(id)
	if err != nil {
		return err
	}
	tx.touchWide(ref{Kind: refConnection, Connection: id}, func(w *wide) { w.connections.put(id, d.state()) })
	return nil
}

// BumpHost ends every credential of the bridge, also where the database came back from a
// backup and counts what was counted before (RaiseHost).
func (tx *Tx) BumpHost(now time.Time) error {
	epoch, err := RaiseHost(tx.q, now)
	if err != nil {
		return tx.failed(err, "store.BumpHost")
	}
	tx.touchWide(ref{Kind: refHost}, func(w *wide) { w.host = epoch })
	return nil
}

// RaiseHost puts the host's epoch where it never was: a database that came back from a backup
// does not know what was counted since, and a credential of that time must not be taken for
// one of today's. Unix milliseconds are ahead of everything that was counted by ones, and of
// every time it was raised so before.
func RaiseHost(q Querier, now time.Time) (to int64, err error) {
	if err := q.Alone(); err != nil {
		return 0, err
	}
	err = q.QueryRow(`update host set epoch = case when epoch < $1 then $1 else epoch + 1 end returning epoch`, ms(now)).Scan(&to)
	return to, err
}

// PutPolicy makes source the active policy, under the next version: from the commit
// on, nobody counts as decided until decided under it, but for the people of those
// connections for whom it changes nothing: their decisions stand.
func (tx *Tx) PutPolicy(hash string, source []byte, now time.Time, stand ...access.ConnectionID) (version int64, err error) {
	const op = "store.PutPolicy"
	if err := tx.alone(op); err != nil {
		return 0, err
	}
	err = tx.q.QueryRow(`insert into policy (one, version, hash, source, applied_at, scoped) values (1, 1, $1, $2, $3, 1)
		on conflict (one) do update set version = policy.version + 1, scoped = policy.version + 1, hash = $1, source = $2, applied_at = $3
		returning version`, hash, string(source), ms(now)).Scan(&version)
	if err != nil {
		return 0, tx.failed(err, op)
	}
	return version, tx.voidBefore(op, version, stand)
}

// voidBefore lets no decision of an older version stand, but for those connections.
func (tx *Tx) voidBefore(op string, version int64, stand []access.ConnectionID) error {
	var void []access.ConnectionID
	err := tx.each(op, func(r Row) error {
		var id access.ConnectionID
		err := r.Scan(&id)
		void = append(void, id)
		return err
	}, `update connections set decided_before = decided_from, decided_from = $1 where id not in (`+tx.engine.Dialect().Texts("$2")+`) returning id`,
		version, jsonList(stand))
	if err != nil {
		return err
	}
	for _, id := range void { // each is told of to who follows changes
		tx.touchWide(ref{Kind: refVoid, Connection: id}, func(*wide) {})
	}
	tx.touchWide(ref{Kind: refPolicy}, func(w *wide) {
		w.policy = version
		for _, id := range void {
			c, _ := w.connections.get(id)
			c.since = since{from: version, before: c.since.from, partly: c.since.partly}
			w.connections.put(id, c)
		}
	})
	return nil
}

// heedOlder makes up for a policy that a program has put in which did not know from
// which version decisions count.
func (tx *Tx) heedOlder() error {
	const op = "store.New"
	n, err := tx.exec(op, `update policy set scoped = version where scoped <> version`)
	if err != nil || n == 0 {
		return err
	}
	version, err := tx.storedPolicyVersion()
	if err != nil {
		return err
	}
	return tx.voidBefore(op, version, nil)
}

// MovePolicy replaces the active policy's source by one that says the same at other
// places of its file. The version stays: nobody is decided anew.
func (tx *Tx) MovePolicy(source []byte) error {
	_, err := tx.exec("store.MovePolicy", `update policy set source = $1`, string(source))
	return err
}

// PutConnection adds a connection, active, or changes the definition of one that is
// there, whose state and epoch stay.
func (tx *Tx) PutConnection(c access.Connection, now time.Time) (created bool, err error) {
	const op = "store.PutConnection"
	if err := tx.alone(op); err != nil {
		return false, err
	}
	definition, err := json.Marshal(c)
	if err != nil {
		return false, fault.Wrap(fault.Internal, op, err)
	}
	n, err := tx.exec(op, `update connections set definition = $1 where id = $2`, string(definition), string(c.ID))
	if err != nil {
		return false, err
	}
	if n > 0 {
		return false, tx.touchConnection(c.ID)
	}
	_, err = tx.exec(op, `insert into connections (id, definition, active, epoch, created_at) values ($1, $2, $3, 1, $4)`,
		string(c.ID), string(definition), true, ms(now))
	if err != nil {
		return false, err
	}
	return true, tx.touchConnection(c.ID)
}

// EndConnection refuses everybody of the connection from the commit on, and what people
// permitted them counts for nothing, also when it is opened again (VoidPermits).
// fault.NotFound if there is none; nothing changes if it has ended already.
func (tx *Tx) EndConnection(id access.ConnectionID, now time.Time) error {
	const op = "store.EndConnection"
	if err := tx.alone(op); err != nil {
		return err
	}
	if _, err := tx.exec(op, `update connections set permits_from = $1 where id = $2 and active`, ms(now)+1, string(id)); err != nil {
		return err
	}
	return tx.setConnection(op, id, false)
}

// ResumeConnection opens an ended connection again; nothing older revives.
func (tx *Tx) ResumeConnection(id access.ConnectionID, _ time.Time) error {
	return tx.setConnection("store.ResumeConnection", id, true)
}

func (tx *Tx) setConnection(op string, id access.ConnectionID, active bool) error {
	if err := tx.alone(op); err != nil {
		return err
	}
	_, err := tx.exec(op, `update connections set epoch = epoch + (case when active = $1 then 0 else 1 end), active = $1 where id = $2`, active, string(id))
	if err != nil {
		return err
	}
	return tx.touchConnection(id)
}

// PutClient adds an application or sets whether it is active. Each change of active
// raises its epoch, so a client that comes back revives nothing.
func (tx *Tx) PutClient(id access.ClientID, active bool) error {
	var epoch int64
	err := tx.q.QueryRow(`insert into clients (id, active, epoch) values ($1, $2, 1)
		on conflict (id) do update set epoch = clients.epoch + (case when clients.active = $2 then 0 else 1 end), active = $2
		returning epoch`, string(id), active).Scan(&epoch)
	if err != nil {
		return tx.failed(err, "store.PutClient")
	}
	tx.touchWide(ref{Kind: refClient, Client: id}, func(w *wide) { w.clients.put(id, clientState{active: active, epoch: epoch}) })
	return nil
}

// PutCeiling makes c all that the connection's rules may give. What lies no longer
// under it is refused to new assignments at once; PruneCeiling takes the ceiling that
// was away when no assignment stands under it any more.
func (tx *Tx) PutCeiling(id access.ConnectionID, c access.Ceiling) error {
	const op = "store.PutCeiling"
	if err := tx.alone(op); err != nil {
		return err
	}
	key, err := tx.connectionKey(id)
	if err != nil {
		return err
	}
	have := map[access.Grant]access.ScopeID{}
	err = tx.each(op, func(r Row) error {
		var g access.Grant
		var s access.ScopeID
		err := r.Scan(&g, &s)
		have[g] = s
		return err
	}, `select grant_kind, scope from ceilings where conn = $1 and not retired`, key)
	if err != nil {
		return err
	}
	for g, s := range have {
		if s != c.Scope || !slices.Contains(c.Grants, g) {
			if _, err := tx.exec(op, `update ceilings set retired = $1 where conn = $2 and grant_kind = $3 and scope = $4`, true, key, string(g), string(s)); err != nil {
				return err
			}
		}
	}
	for _, g := range c.Grants {
		if s, there := have[g]; there && s == c.Scope {
			continue
		}
		_, err := tx.exec(op, `insert into ceilings (conn, grant_kind, scope, retired) values ($1, $2, $3, $4)
			on conflict (conn, grant_kind, scope) do update set retired = $4`, key, string(g), string(c.Scope), false)
		if err != nil {
			return err
		}
	}
	return tx.PruneCeiling(id)
}

// PruneCeiling removes retired ceilings that no assignment refers to.
func (tx *Tx) PruneCeiling(id access.ConnectionID) error {
	key, err := tx.connectionKey(id)
	if err != nil {
		return err
	}
	_, err = tx.exec("store.PruneCeiling", `delete from ceilings where conn = $1 and retired and not exists (
		select 1 from assignments a where a.conn = ceilings.conn and a.grant_kind = ceilings.grant_kind and a.ceiling_scope = ceilings.scope)`, key)
	return err
}

func (v *View) connectionKey(id access.ConnectionID) (key int64, err error) {
	err = v.q.QueryRow(`select key from connections where id = $1`, string(id)).Scan(&key)
	return key, v.found(err, "store.In", "connection")
}

// SigningKeys lists all keys, oldest first.
func (v *View) SigningKeys() ([]SigningKey, error) {
	return list(v, "store.SigningKeys", func(r Row) (SigningKey, error) {
		var k SigningKey
		var created, since, signs int64
		err := r.Scan(&k.ID, &k.Algorithm, &k.Sealed, &k.Public, &k.State, &created, &since, &signs)
		k.Created, k.Since, k.Signs = at(created), at(cmp.Or(since, created)), at(signs)
		return k, err
	}, `select id, algorithm, sealed, public, state, created_at, since_at, signs_at from signing_keys order by created_at, id`)
}

// PutSigningKey adds a key, or changes the state and the times of one that is there.
func (tx *Tx) PutSigningKey(k SigningKey) error {
	_, err := tx.exec("store.PutSigningKey", `insert into signing_keys (id, algorithm, sealed, public, state, created_at, since_at, signs_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do update set state = $5, since_at = $7, signs_at = $8`,
		k.ID, k.Algorithm, k.Sealed, k.Public, k.State, ms(k.Created), ms(k.Since), ms(k.Signs))
	return err
}

// RemoveSigningKey erases a key. One that is not there is no error.
func (tx *Tx) RemoveSigningKey(id string) error {
	_, err := tx.exec("store.RemoveSigningKey", `delete from signing_keys where id = $1`, id)
	return err
}

// Envelope is the wrapped data key; nil: there is none yet.
func (v *View) Envelope() (text []byte, err error) {
	err = v.q.QueryRow(`select envelope from data_key where one = 1`).Scan(&text)
	if err = v.found(err, "store.Envelope", "data key"); fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return text, err
}

// PutEnvelope stores the wrapped data key, in the place of what was there.
func (tx *Tx) PutEnvelope(text []byte) error {
	_, err := tx.exec("store.PutEnvelope", `insert into data_key (one, envelope) values (1, $1) on conflict (one) do update set envelope = $1`, text)
	return err
}

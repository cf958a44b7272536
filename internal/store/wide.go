package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// wide is what concerns many people at once: one value, of which a change copies little. It is
// as the directory was at one instant.
type wide struct {
	host        int64
	policy      int64
	connections parted[access.ConnectionID, connectionState]
	clients     parted[access.ClientID, clientState]
	tokens      parted[string, SCIMToken]          // by public id; LastUsed is not kept up
	scimClients parted[string, SCIMClient]         // likewise
	fences      parted[access.ConnectionID, int64] // rises with every fence laid or lifted; people remembered under another number are read again
}

type connectionState struct {
	key     int64
	fence   int64 // the last fence laid
	since   since // from which decisions count
	defined *definition
	active  bool
	epoch   int64
}

type clientState struct {
	active bool
	epoch  int64
}

// clone may be changed: w stays as it is.
func (w *wide) clone() *wide {
	c := *w
	c.connections, c.clients, c.tokens = w.connections.clone(), w.clients.clone(), w.tokens.clone()
	c.scimClients, c.fences = w.scimClients.clone(), w.fences.clone()
	return &c
}

// fenced counts a fence that was laid or lifted.
func (w *wide) fenced(id access.ConnectionID) {
	n, _ := w.fences.get(id)
	w.fences.put(id, n+1)
}

// fencesOf is the number under which people of a connection are remembered.
func (w *wide) fencesOf(id access.ConnectionID) int64 {
	n, _ := w.fences.get(id)
	return n
}

// around is what is wide about one subject.
type around struct {
	host, policy int64
	known        bool // the connection is
	connection   connectionState
	client       clientState
}

func (w *wide) around(sub credential.Subject) around {
	a := around{host: w.host, policy: w.policy}
	a.connection, a.known = w.connections.get(sub.Connection)
	a.client, _ = w.clients.get(sub.Client)
	return a
}

// around reads what is wide about one subject, and no more.
func (v *View) around(sub credential.Subject) (a around, err error) {
	if a.host, err = v.Host(); err != nil {
		return a, err
	}
	if a.policy, err = v.storedPolicyVersion(); err != nil {
		return a, err
	}
	c := &a.connection
	err = v.q.QueryRow(`select active, epoch, decided_from from connections where id = $1`, string(sub.Connection)).Scan(&c.active, &c.epoch, &c.since.from)
	if a.known = err == nil; err != nil && !errors.Is(err, sql.ErrNoRows) {
		return a, err
	}
	err = v.q.QueryRow(`select active, epoch from clients where id = $1`, string(sub.Client)).Scan(&a.client.active, &a.client.epoch)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return a, err
	}
	return a, nil
}

// wideRows names rows of what is wide.
type wideRows struct {
	all, host, policy   bool
	connections         []access.ConnectionID
	clients             []access.ClientID
	tokens, scimClients []string
}

// rowsOf are those that refs name. What a kind names that is not known, of a later version
// perhaps, may be anything.
func rowsOf(refs []ref) (r wideRows) {
	for _, one := range refs {
		switch one.Kind {
		case refPerson, refSession, refFamily, refForget:
		case refHost:
			r.host = true
		case refPolicy:
			r.policy = true
		case refConnection, refVoid, refFence:
			r.connections = append(r.connections, one.Connection)
		case refClient:
			r.clients = append(r.clients, one.Client)
		case refToken:
			r.tokens = append(r.tokens, one.ID)
		case refSCIMClient:
			r.scimClients = append(r.scimClients, one.ID)
		default:
			r.all = true
		}
	}
	return r
}

// readWide puts rows into w as they are in this snapshot.
func (v *View) readWide(w *wide, r wideRows) (err error) {
	if r.all || r.host {
		if w.host, err = v.Host(); err != nil {
			return err
		}
	}
	if r.all || r.policy {
		if w.policy, err = v.storedPolicyVersion(); err != nil {
			return err
		}
	}
	err = fill(v, &w.connections, `select `+connectionColumns+` from connections`, `id`, r.all, r.connections, func(row Row) (access.ConnectionID, connectionState, error) {
		d, err := v.scanConnection(row)
		return d.row.ID, d.state(), err
	})
	if err != nil {
		return err
	}
	err = fill(v, &w.clients, `select id, active, epoch from clients`, `id`, r.all, r.clients, func(row Row) (id access.ClientID, c clientState, err error) {
		err = row.Scan(&id, &c.active, &c.epoch)
		return id, c, err
	})
	if err != nil {
		return err
	}
	err = fill(v, &w.tokens, `select `+tokenColumns, `t.public_id`, r.all, r.tokens, func(row Row) (string, SCIMToken, error) {
		t, err := scanToken(row)
		return t.PublicID, t, err
	})
	if err != nil || !r.all && len(r.scimClients) == 0 {
		return err
	}
	clients, err := v.scimClients(opWide, r.all, r.scimClients)
	for _, id := range r.scimClients {
		w.scimClients.drop(id)
	}
	for id, c := range clients {
		w.scimClients.put(id, c)
	}
	return err
}

const opWide = "store.Current"

// fill puts rows into m: all there are, or those of some keys. What is no row any more goes.
func fill[K ~string, V any](v *View, m *parted[K, V], query, column string, all bool, keys []K, scan func(Row) (K, V, error)) error {
	if !all && len(keys) == 0 {
		return nil
	}
	for _, k := range keys {
		m.drop(k)
	}
	where, args := among(v, column, all, keys)
	return v.each(opWide, func(row Row) error {
		k, one, err := scan(row)
		m.put(k, one)
		return err
	}, query+where, args...)
}

// among is a condition that finds the rows of some keys, or none.
func among[K ~string](v *View, column string, all bool, keys []K) (where string, args []any) {
	if all {
		return "", nil
	}
	return ` where ` + column + ` in (` + v.engine.Dialect().Texts("$1") + `)`, []any{jsonList(keys)}
}

// wideNow is what is wide: what is remembered if that may be believed, else what read reads of it,
// which is what the request at hand needs.
func (s *Store) wideNow(ctx context.Context, read func(*View, *wide) error) (*wide, error) {
	if s.fresh() {
		return s.window.wide.Load(), nil
	}
	w := &wide{}
	err := s.View(ctx, func(v *View) error {
		*w = wide{}
		if _, _, err := v.primary(); err != nil {
			return err
		}
		return read(v, w)
	})
	if err != nil {
		return nil, refused(err)
	}
	return w, nil
}

// wanted is what is to be read again of what is wide: everything that news have named since it
// was read last.
type wanted struct {
	mu   sync.Mutex // guards refs
	refs map[ref]bool
}

func (n *wanted) add(refs ...ref) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refs == nil {
		n.refs = map[ref]bool{}
	}
	for _, r := range refs {
		n.refs[r] = true
	}
}

func (n *wanted) take() []ref {
	n.mu.Lock()
	defer n.mu.Unlock()
	refs := slices.Collect(maps.Keys(n.refs))
	n.refs = nil
	return refs
}

// reread reads what is wanted of what is wide, from a view that begins now; of which one runs at a
// time, so that nothing older comes after it. What could not be read stays wanted.
func (s *Store) reread(ctx context.Context) (struct{}, error) {
	refs := s.window.wanted.take()
	read := func(v *View) error {
		if _, _, err := v.primary(); err != nil {
			return err
		}
		return s.window.read(v, refs)
	}
	err := s.aside(ctx, false, func(q Querier) error { return read(s.over(ctx, q)) })
	if err != nil { // that way may be cut alone
		err = s.View(ctx, read)
	}
	if err != nil {
		if !planted.Bug(planted.ReadingForgotten) {
			s.window.wanted.add(refs...)
		}
		return struct{}{}, refused(err)
	}
	return struct{}{}, nil
}

// read reads what refs name, into a copy of what is remembered; where they name everything, all of
// it and the families.
func (w *window) read(v *View, refs []ref) error {
	rows := rowsOf(refs)
	next := w.wide.Load().clone()
	if rows.all {
		next = &wide{fences: next.fences}
	}
	for _, r := range refs {
		if r.Kind == refFence {
			next.fenced(r.Connection)
		}
	}
	if err := v.readWide(next, rows); err != nil {
		return err
	}
	if rows.all {
		ended, err := v.endedFamilies()
		if err != nil {
			return err
		}
		w.families.replace(ended)
	}
	w.wide.Store(next)
	return nil
}

package store

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Directory reads one connection. No row of another can be reached through it.
type Directory struct {
	v     *View
	conn  int64
	fence int64 // the last fence laid in the connection
	since since // from which decisions count
	row   ConnectionRow
	ids   map[PersonKey]access.PersonID // of those read in this transaction, if it writes
}

// DirectoryTx reads and writes one connection.
type DirectoryTx struct {
	Directory
	tx *Tx
}

// In opens a connection's directory; fault.NotFound if there is none. An ended
// connection opens too: whether it may be used is the caller's question to Row.
func (v *View) In(id access.ConnectionID) (*Directory, error) {
	d, err := v.in(id)
	if err != nil {
		return nil, err
	}
	d.v = v.of(d.conn)
	return &d, nil
}

// in reads the connection from the window, which no acknowledged commit is ahead
// of; a transaction that has changed what the window holds reads its own rows, and so does
// everybody while the window may not be believed.
func (v *View) in(id access.ConnectionID) (Directory, error) {
	if v.fresh && (v.changed == nil || !*v.changed) {
		if c, known := v.window.wide.Load().connections.get(id); known {
			return c.directory(v), nil
		}
	}
	return v.connection(v.q.Steady, id)
}

// stored is the connection with its counters as they are now.
func (v *View) stored(id access.ConnectionID) (Directory, error) {
	return v.connection(v.q.QueryRow, id)
}

func (v *View) connection(ask func(string, ...any) Row, id access.ConnectionID) (Directory, error) {
	d, err := v.scanConnection(ask(`select `+connectionColumns+` from connections where id = $1`, string(id)))
	d.v = v
	return d, v.found(err, "store.In", "connection")
}

// In opens a connection's directory for writing. A policy that another transaction of
// the same commit has put in is in force here, too.
func (tx *Tx) In(id access.ConnectionID) (*DirectoryTx, error) {
	if err := tx.q.Enter(id); err != nil {
		return nil, tx.failed(err, "store.In")
	}
	if _, err := tx.PolicyVersion(); err != nil {
		return nil, err
	}
	d, err := tx.View.in(id)
	if err != nil {
		return nil, err
	}
	one := tx.of(d.conn)
	d.v, d.ids = &one.View, map[PersonKey]access.PersonID{}
	tx.lastID, tx.lastKey = id, d.conn
	return &DirectoryTx{Directory: d, tx: one}, nil
}

// state is what the window keeps of a connection.
func (d Directory) state() connectionState {
	return connectionState{key: d.conn, fence: d.fence, since: d.since, defined: &definition{d.row.Connection, d.row.Types}, active: d.row.State == ConnectionActive, epoch: d.row.Epoch}
}

func (c connectionState) directory(v *View) Directory {
	return Directory{v: v, conn: c.key, fence: c.fence, since: c.since, row: c.row()}
}

// row is the connection without its counters and times.
func (c connectionState) row() ConnectionRow {
	r := ConnectionRow{State: ConnectionEnded, Epoch: c.epoch}
	if c.defined != nil {
		r.Connection, r.Types = c.defined.Connection, c.defined.types
	}
	if c.active {
		r.State = ConnectionActive
	}
	return r
}

// Row is the connection as it was when the directory was opened, without its
// counters and times, which Connections lists.
func (d *Directory) Row() ConnectionRow { return d.row }

// Counted is Row with its counters and times, as this transaction sees them.
func (d *Directory) Counted() (ConnectionRow, error) {
	now, err := d.v.stored(d.row.ID)
	return now.row, err
}

func (d *DirectoryTx) touchPerson(id access.PersonID) ref {
	r := ref{Kind: refPerson, Connection: d.row.ID, ID: string(id)}
	d.tx.touched = append(d.tx.touched, touch{ref: r})
	return r
}

// since are the versions of the policy from which decisions count, and from which
// they counted until the last one that changed what everybody of the connection is given;
// and the last one that fenced some of its groups.
type since struct{ from, before, partly int64 }

// Rules is how many versions of the policy have made the person's last decision void:
// 0, 1, or 2 for several.
func (d *Directory) Rules(p Person) int64 {
	switch {
	case p.Policy > 0 && p.Policy >= d.since.from:
		return 0
	case p.Policy > 0 && p.Policy >= d.since.before:
		return 1
	}
	return 2
}

// ByPolicy reports whether a policy may have made the person's last decision void, for
// all of the connection or for groups of theirs.
func (d *Directory) ByPolicy(p Person) bool {
	return d.Rules(p) > 0 || p.Policy < d.since.partly
}

// touchFences makes the window read the connection's people again.
func (d *DirectoryTx) touchFences() {
	id, fence, partly := d.row.ID, d.fence, d.since.partly
	d.tx.touchWide(ref{Kind: refFence, Connection: id}, func(w *wide) {
		c, _ := w.connections.get(id)
		c.fence, c.since.partly = max(c.fence, fence), max(c.since.partly, partly)
		w.connections.put(id, c)
		w.fenced(id)
	})
}

// nullable stores "" as NULL, so that partial indexes skip it.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

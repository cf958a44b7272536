package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// EndedKept is how long it is remembered that a session was, and why it ended.
const EndedKept = 30 * 24 * time.Hour

// forgetAtOnce bounds how many sessions one transaction forgets.
const forgetAtOnce = 500

// SessionsOver lists at most limit sessions that live and whose time is over, the
// longest over first.
func (v *View) SessionsOver(now time.Time, limit int) ([]SessionRow, error) {
	return list(v, "store.SessionsOver", scanSession, `select `+sessionColumns+`
		where s.state <> 0 and s.expires_at <= $1 order by s.expires_at limit $2`, ms(now), limit)
}

// LiveSessions lists at most limit of the connection's live sessions that began
// before an instant, by person.
func (d *Directory) LiveSessions(began time.Time, limit int) ([]SessionRow, error) {
	return list(d.v, "store.LiveSessions", scanSession, `select `+sessionColumns+`
		where s.conn = $1 and s.state <> 0 and s.created_at <= $2 order by s.person, s.id limit $3`, d.conn, ms(began), limit)
}

// SessionsBehind lists at most limit of the connection's sessions that live by their
// rows and were made under another epoch of the host or the connection: nothing of
// theirs is accepted any more, and nobody has been told.
func (d *Directory) SessionsBehind(host int64, limit int) ([]SessionRow, error) {
	return list(d.v, "store.SessionsBehind", scanSession, `select `+sessionColumns+`
		where s.conn = $1 and s.state <> 0 and (s.connection_epoch <> $2 or s.host_epoch <> $3) limit $4`+d.v.own("s"), d.conn, d.row.Epoch, host, limit)
}

// SessionsOf lists at most limit live sessions that reached an application, by id
// after one.
func (v *View) SessionsOf(client access.ClientID, after session.ID, limit int) ([]SessionRow, error) {
	return list(v, "store.SessionsOf", scanSession, `select `+sessionColumns+`
		join session_clients k on k.session = s.id where k.client = $1 and k.session > $2 and s.state <> 0 order by k.session limit $3`+v.own("s"),
		string(client), string(after), limit)
}

// DropSessionClient forgets that a session reached an application; it is not told of
// the session's end any more.
func (tx *Tx) DropSessionClient(id session.ID, client access.ClientID) error {
	_, err := tx.exec("store.DropSessionClient", `delete from session_clients where session = $1 and client = $2`, string(id), string(client))
	return err
}

// BumpClient refuses every credential that an application was given before;
// fault.NotFound if there is none of that id.
func (tx *Tx) BumpClient(id access.ClientID) error {
	var active bool
	var epoch int64
	err := tx.q.QueryRow(`update clients set epoch = epoch + 1 where id = $1 returning active, epoch`, string(id)).Scan(&active, &epoch)
	if err != nil {
		return tx.found(err, "store.BumpClient", "application")
	}
	tx.touchWide(ref{Kind: refClient, Client: id}, func(w *wide) { w.clients.put(id, clientState{active: active, epoch: epoch}) })
	return nil
}

// TrimSessions forgets some of the sessions that ended before an instant, and says
// how many.
func (tx *Tx) TrimSessions(before time.Time) (removed int64, err error) {
	const op = "store.TrimSessions"
	old, err := list(&tx.View, op, func(r Row) (id session.ID, err error) { return id, r.Scan(&id) },
		`select id from sessions where state = 0 and ended_at < $1 order by ended_at limit $2`, ms(before), forgetAtOnce)
	if err != nil {
		return 0, err
	}
	for _, id := range old {
		if _, err := tx.exec(op, `delete from session_clients where session = $1`, string(id)); err != nil {
			return 0, err
		}
		n, err := tx.exec(op, `delete from sessions where id = $1`, string(id))
		if err != nil {
			return 0, err
		}
		tx.touchSession(id)
		removed += n
	}
	return removed, nil
}

// Epochs are those that concern many people at once, from the window: never older
// than the last commit acknowledged on this node.
func (s *Store) Epochs() (host int64, connections map[access.ConnectionID]int64) {
	w := s.window.wide.Load()
	connections = map[access.ConnectionID]int64{}
	for id, c := range w.connections.all() {
		connections[id] = c.epoch
	}
	return w.host, connections
}

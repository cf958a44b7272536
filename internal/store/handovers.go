package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// HandoverKept is how long after it was given what happens with a permit is observed for its
// hand-over.
const HandoverKept = 30 * 24 * time.Hour

// What is observed.
const (
	SeenToken   = "token"   // one was made that stands on it
	SeenOpened  = "opened"  // a token opened that workflow
	SeenRefused = "refused" // a workflow was asked for that it does not open
	SeenOutside = "outside" // something was asked about that lies outside its scope
)

// Observation is something that happened with an assignment.
type Observation struct {
	Connection access.ConnectionID
	Assignment access.AssignmentID
	Kind       string
	What       access.Workflow // "": none
}

// Seen is what was observed with a permit.
type Seen struct {
	Kind        string
	What        access.Workflow
	First, Last time.Time
}

// Observe keeps an observation with the permits behind its assignment whose hand-over is
// still observed; where there are none, or the assignment is not held any more, nothing is
// kept.
func (tx *Tx) Observe(o Observation, when time.Time) error {
	_, err := tx.exec("store.Observe", `insert into handover_seen (permit, kind, what, first_at, last_at)
		select t.id, $3, $4, $5, $5 from connections c join assignments a on a.conn = c.key and a.id = $2
			join permits t on t.conn = a.conn and t.person = a.person and t.grant_kind = a.grant_kind and t.scope = a.scope and t.ended_at = 0 and t.given_at > $6
		where c.id = $1
		on conflict (permit, kind, what) do update set last_at = excluded.last_at where excluded.last_at > handover_seen.last_at`,
		string(o.Connection), string(o.Assignment), o.Kind, string(o.What), ms(when), ms(when.Add(-HandoverKept)))
	return err
}

// Seen lists what was observed with a permit, by kind and workflow.
func (v *View) Seen(id access.PermitID) ([]Seen, error) {
	return list(v, "store.Seen", func(r Row) (s Seen, err error) {
		var first, last int64
		err = r.Scan(&s.Kind, &s.What, &first, &last)
		s.First, s.Last = at(first), at(last)
		return s, err
	}, `select kind, what, first_at, last_at from handover_seen where permit = $1 order by kind, what`, string(id))
}

// Tick is a point of a check-list that somebody ticked.
type Tick struct {
	Point   string
	At      time.Time
	By      string // what they are called
	Comment string
}

// PutTick ticks a point; one that was ticked before is ticked anew.
func (tx *Tx) PutTick(id access.PermitID, t Tick) error {
	_, err := tx.exec("store.PutTick", `insert into handover_ticks (permit, point, at, by_name, comment) values ($1, $2, $3, $4, $5)
		on conflict (permit, point) do update set at = $3, by_name = $4, comment = $5`, string(id), t.Point, ms(t.At), t.By, t.Comment)
	return err
}

// DropTick takes a tick back; false if there was none.
func (tx *Tx) DropTick(id access.PermitID, point string) (bool, error) {
	n, err := tx.exec("store.DropTick", `delete from handover_ticks where permit = $1 and point = $2`, string(id), point)
	return n > 0, err
}

// Ticks lists the points of a permit's check-list that were ticked.
func (v *View) Ticks(id access.PermitID) ([]Tick, error) {
	return list(v, "store.Ticks", func(r Row) (t Tick, err error) {
		var when int64
		err = r.Scan(&t.Point, &when, &t.By, &t.Comment)
		t.At = at(when)
		return t, err
	}, `select point, at, by_name, comment from handover_ticks where permit = $1 order by point`, string(id))
}

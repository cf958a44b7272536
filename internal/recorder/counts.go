package recorder

import (
	"context"
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// doorway is where requests of one connection are turned away: for their token, or
// because they are too many.
type doorway struct {
	conn access.ConnectionID
	kind string
}

// door is the requests that were turned away there. They share a row for an hour.
type door struct {
	count   int64 // since the row was begun
	last    time.Time
	why     string // of the last
	fresh   bool   // the row does not say all of this yet
	row     int64  // 0: there is none
	begun   time.Time
	written time.Time
}

// due says that the row should be written now.
func (d *door) due(now time.Time, last bool) bool {
	return d.fresh && (last || d.row == 0 || now.Sub(d.written) >= countedEvery)
}

// writeCounts writes what has no rows of its own: requests that were lost, and those
// that were turned away.
func (r *Recorder) writeCounts(ctx context.Context, last bool) error {
	now := r.Now()
	for conn, g := range r.rings {
		if g.lost == 0 || !last && now.Sub(g.told) < time.Minute {
			continue
		}
		row, err := counted(now, false, traffic.NotRecorded(g.lost))
		if err != nil {
			return err
		}
		if err := r.add(ctx, []part{r.partOf(conn, []store.TrafficRow{row})}); err != nil {
			return err
		}
		g.lost, g.told = 0, now
	}
	for at, d := range r.waitingAt(now, last) {
		if err := r.writeDoor(ctx, at, d, now); err != nil {
			return err
		}
	}
	return nil
}

func counted(at time.Time, failed bool, record traffic.Record) (store.TrafficRow, error) {
	body, err := json.Marshal(record)
	return store.TrafficRow{At: at, Failed: failed, Body: body}, fault.Wrap(fault.Internal, "recorder.counted", err)
}

// waitingAt are the doors whose rows are due, as they stand.
func (r *Recorder) waitingAt(now time.Time, last bool) map[doorway]door {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := map[doorway]door{}
	for at, d := range r.doors {
		if !d.fresh && (d.row == 0 || now.Sub(d.begun) >= countedFor) {
			delete(r.doors, at)
			continue
		}
		if d.due(now, last) {
			due[at] = *d
			d.fresh = false
		}
	}
	return due
}

func (r *Recorder) writeDoor(ctx context.Context, at doorway, d door, now time.Time) error {
	row, err := counted(now, true, traffic.TurnedAway(at.kind, d.count, d.why, d.last))
	if err != nil {
		return err
	}
	over := d.row != 0 && now.Sub(d.begun) >= countedFor
	if d.row != 0 {
		err = r.Store.Update(ctx, func(tx *store.Tx) error {
			dir, err := tx.In(at.conn)
			if err != nil {
				return err
			}
			return dir.SetTraffic(d.row, row.Body)
		})
	} else {
		rows := []store.TrafficRow{row}
		err = r.add(ctx, []part{r.partOf(at.conn, rows)})
		d.row, d.begun = rows[0].ID, now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch still := r.doors[at]; {
	case err != nil:
		still.fresh = true
	case over: // what comes now begins another row
		still.count -= d.count
		still.row = 0
	default:
		still.row, still.begun, still.written = d.row, d.begun, now
	}
	return err
}

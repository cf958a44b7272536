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

// turnedKey is which requests of one connection are turned away: for their token, or
// because they are too many.
type turnedKey struct {
	conn access.ConnectionID
	kind string
}

// turned are the requests that were turned away for one reason. They share a row for
// an hour.
type turned struct {
	count   int64 // since the row was begun
	last    time.Time
	why     string // of the last
	fresh   bool   // the row does not say all of this yet
	row     int64  // 0: there is none
	begun   time.Time
	written time.Time
}

// due says that the row should be written now.
func (d *turned) due(now time.Time, last bool) bool {
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
		if err := r.addOne(ctx, conn, []store.TrafficRow{row}); err != nil {
			return err
		}
		g.lost, g.told = 0, now
	}
	for at, d := range r.turnedDue(now, last) {
		if err := r.writeTurned(ctx, at, d, now); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recorder) addOne(ctx context.Context, conn access.ConnectionID, rows []store.TrafficRow) error {
	_, err := r.add(ctx, map[access.ConnectionID]*part{conn: r.partOf(conn, rows)})
	return err
}

func counted(at time.Time, failed bool, record traffic.Record) (store.TrafficRow, error) {
	body, err := json.Marshal(record)
	return store.TrafficRow{At: at, Failed: failed, Body: body}, fault.Wrap(fault.Internal, "recorder.counted", err)
}

// turnedDue are those whose rows are due, as they stand.
func (r *Recorder) turnedDue(now time.Time, last bool) map[turnedKey]turned {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := map[turnedKey]turned{}
	for at, d := range r.turned {
		if !d.fresh && (d.row == 0 || now.Sub(d.begun) >= countedFor) {
			delete(r.turned, at)
			continue
		}
		if d.due(now, last) {
			due[at] = *d
			d.fresh = false
		}
	}
	return due
}

func (r *Recorder) writeTurned(ctx context.Context, at turnedKey, d turned, now time.Time) error {
	row, err := counted(now, true, traffic.TurnedAway(at.kind, d.count, d.why, d.last))
	if err != nil {
		return err
	}
	over := d.row != 0 && now.Sub(d.begun) >= countedFor
	if d.row != 0 {
		_, err = r.Store.UpdateEach(ctx, []access.ConnectionID{at.conn}, func(dir *store.DirectoryTx) error { return dir.SetTraffic(d.row, row.Body) })
	} else {
		rows := []store.TrafficRow{row}
		err = r.addOne(ctx, at.conn, rows)
		d.row, d.begun = rows[0].ID, now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch still := r.turned[at]; {
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

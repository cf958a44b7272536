// Package recorder keeps the SCIM requests of each connection for people to look at:
// the newest of those that went well and of those that did not, hidden by type
// (scim/traffic). It stands beside the requests: they hand over what they are in
// memory, nothing waits for it, and what comes faster than it can be written is
// counted instead.
package recorder

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// The bounds of what waits to be written: one connection's storm takes its own room
// and no more than a part of everybody's.
const (
	mostWaiting = 4096     // requests of all connections
	mostOfOne   = 1024     // requests of one connection
	roomRefused = 256      // beyond either bound, for those that were refused
	mostBytes   = 16 << 20 // of bodies, of all connections
)

// How often is written, and how much of one connection and of all together: a few
// hundredths of a processor, whatever comes.
const (
	writeEvery    = 200 * time.Millisecond
	writtenAtOnce = 200 // also the rows of one transaction: some milliseconds of the writer
	writtenInAll  = 600
)

// kept is how long a row is kept where nothing pushes it out.
const kept = 30 * 24 * time.Hour

// The rows that count: how often one is begun at most, and how often it is brought up
// to date, so that a flood of refused requests is a few rows a day.
const (
	countedFor   = time.Hour
	countedEvery = 10 * time.Second
)

// Config is what a Recorder works with. All but Dropped and Failed are required.
type Config struct {
	Store *store.Store
	Marks credential.MarkKey
	Keep  int // rows of each connection, and again as many refused ones; 0: none, and those there are go
	Now   func() time.Time

	Dropped func(conn access.ConnectionID, requests int) // hears of what could not be recorded
	Failed  func(error)                                  // hears of what went wrong
}

// Recorder records requests. It is safe for concurrent use.
type Recorder struct {
	Config
	mu     sync.Mutex // guards what follows
	queue  waiting
	turned map[turnedKey]*turned

	rings map[access.ConnectionID]*ring // of Run alone
}

// waiting is what has not been written.
type waiting struct {
	requests map[access.ConnectionID][]traffic.Request
	lost     map[access.ConnectionID]int64
	n, bytes int
}

func empty() waiting {
	return waiting{requests: map[access.ConnectionID][]traffic.Request{}, lost: map[access.ConnectionID]int64{}}
}

// New returns a recorder. It writes nothing before Run.
func New(c Config) *Recorder {
	if c.Dropped == nil {
		c.Dropped = func(access.ConnectionID, int) {}
	}
	if c.Failed == nil {
		c.Failed = func(error) {}
	}
	return &Recorder{Config: c, queue: empty(), turned: map[turnedKey]*turned{}, rings: map[access.ConnectionID]*ring{}}
}

// Observe takes a request that has been answered. It never waits.
func (r *Recorder) Observe(o scim.Observation, requestID string) {
	if r.Keep <= 0 || o.Traffic.Resource == "Me" { // there people ask, not their identity provider
		return
	}
	conn := access.ConnectionID(o.Connection)
	if conn == "" || o.Status == http.StatusTooManyRequests && o.Resource == "" {
		r.turnedAway(o)
		return
	}
	o.Traffic.ID = requestID
	if !r.push(conn, o.Traffic) {
		r.Dropped(conn, 1)
	}
}

// push puts a request into the queue, or counts it where there is no room.
func (r *Recorder) push(conn access.ConnectionID, t traffic.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := &r.queue
	room := 0
	if t.Status >= http.StatusBadRequest {
		room = roomRefused
	}
	if len(q.requests[conn]) >= mostOfOne+room || q.n >= mostWaiting+room || q.bytes+size(t) > mostBytes {
		q.lost[conn]++
		return false
	}
	q.requests[conn] = append(q.requests[conn], t)
	q.n, q.bytes = q.n+1, q.bytes+size(t)
	return true
}

// size is what a request weighs, more or less.
func size(t traffic.Request) int { return len(t.Body) + len(t.Query) }

// turnedAway counts a request that was refused before it was looked at: anybody can
// send those without a good token, and a client that is too fast sends many, so they
// have no rows of their own.
func (r *Recorder) turnedAway(o scim.Observation) {
	at := turnedKey{access.ConnectionID(o.Asked), traffic.KindLimited}
	why := o.Traffic.Detail
	if o.Connection == "" {
		at.kind, why = traffic.KindRefused, fault.DetailOf(o.Err)
		if o.Status != http.StatusUnauthorized && o.Status != http.StatusTooManyRequests || !r.Store.HasConnection(at.conn) {
			return
		}
	}
	if why == "" {
		why = "no token was sent, or not in the way that this connection takes it"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.turned[at]
	if d == nil {
		d = &turned{}
		r.turned[at] = d
	}
	d.count++
	d.last, d.why, d.fresh = o.Traffic.At, why, true
}

// Run writes until ctx ends, and then once more all that is waiting.
func (r *Recorder) Run(ctx context.Context) {
	if r.Keep <= 0 {
		r.note(r.forget(ctx, r.Now().AddDate(100, 0, 0)))
		return
	}
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	tidy := time.NewTicker(time.Hour)
	defer tidy.Stop()
	r.Forget(ctx)
	for {
		select {
		case <-ctx.Done():
			r.Flush(context.WithoutCancel(ctx))
			return
		case <-tidy.C:
			r.Forget(ctx)
		case <-tick.C:
		}
		r.flush(ctx, false)
	}
}

func (r *Recorder) note(err error) {
	if err != nil {
		r.Failed(err)
	}
}

// Flush writes all that is waiting, and every count. Not beside Run.
func (r *Recorder) Flush(ctx context.Context) { r.flush(ctx, true) }

func (r *Recorder) flush(ctx context.Context, last bool) {
	for more := true; more; {
		var q waiting
		q, more = r.take(last)
		parts := map[access.ConnectionID]*part{}
		for conn, requests := range q.requests {
			parts[conn] = r.part(conn, requests)
		}
		r.write(ctx, parts)
		for conn, n := range q.lost {
			r.ring(conn).lost += n
		}
	}
	r.note(r.writeCounts(ctx, last))
}

// take takes from the queue what is to be written now. more says that all is wanted
// and that there is more.
func (r *Recorder) take(all bool) (now waiting, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now = empty()
	now.lost, r.queue.lost = r.queue.lost, now.lost
	for conn, requests := range r.queue.requests { // in another order each time, so that nobody is always the last
		n := min(len(requests), writtenAtOnce, writtenInAll-now.n)
		if n == 0 {
			break
		}
		now.requests[conn] = requests[:n:n]
		now.n += n
		for _, t := range requests[:n] {
			r.queue.bytes -= size(t)
		}
		if r.queue.requests[conn] = requests[n:]; n == len(requests) {
			delete(r.queue.requests, conn)
		}
	}
	r.queue.n -= now.n
	return now, all && r.queue.n > 0
}

// part is what one transaction appends to one connection's ring.
type part struct {
	*ring
	rows    []store.TrafficRow
	due     [2]bool // to be trimmed
	removed [2]int64
}

// part makes rows of requests.
func (r *Recorder) part(conn access.ConnectionID, requests []traffic.Request) *part {
	var rows []store.TrafficRow
	for _, t := range requests {
		row, err := r.row(conn, t)
		if err != nil { // a Record is texts and numbers: unreachable
			r.note(err)
			continue
		}
		rows = append(rows, row)
	}
	return r.partOf(conn, rows)
}

func (r *Recorder) partOf(conn access.ConnectionID, rows []store.TrafficRow) *part {
	g := r.ring(conn)
	return &part{ring: g, rows: rows, due: g.overlong(rows, r.Keep)}
}

// write appends what it can. What could not be written is lost, and is told as that.
func (r *Recorder) write(ctx context.Context, parts map[access.ConnectionID]*part) {
	failed, err := r.add(ctx, parts)
	r.note(err)
	for _, conn := range failed {
		parts[conn].lost += int64(len(parts[conn].rows))
		r.Dropped(conn, len(parts[conn].rows))
	}
}

// add appends to each connection's ring in a transaction of its own, and says where it could not.
func (r *Recorder) add(ctx context.Context, parts map[access.ConnectionID]*part) (failed []access.ConnectionID, err error) {
	failed, err = r.Store.UpdateEach(ctx, slices.Collect(maps.Keys(parts)), func(d *store.DirectoryTx) error {
		return parts[d.Row().ID].add(d, r.Keep)
	})
	for conn, p := range parts {
		if !slices.Contains(failed, conn) {
			p.wrote(p.rows, p.due, p.removed)
		}
	}
	return failed, err
}

func (p *part) add(d *store.DirectoryTx, keep int) error {
	err := d.AddTraffic(p.rows)
	for which, trim := range p.due {
		if err == nil && trim {
			p.removed[which], err = d.TrimTraffic(which == refusedPart, keep)
		}
	}
	return err
}

// row is what is kept of a request.
func (r *Recorder) row(conn access.ConnectionID, t traffic.Request) (store.TrafficRow, error) {
	record := t.Record()
	row := store.TrafficRow{At: t.At, Failed: record.Failed(), Person: access.PersonID(t.Person())}
	for _, id := range t.Effect.People {
		if id != t.Person() {
			row.People = append(row.People, access.PersonID(id))
		}
	}
	for _, name := range t.Names() {
		if mark := r.Marks.Mark(conn, store.Fold(name)); mark != "" {
			row.Marks = append(row.Marks, mark)
		}
	}
	var err error
	row.Body, err = json.Marshal(record)
	return row, fault.Wrap(fault.Internal, "recorder.row", err)
}

// The two parts of a ring: what went well, and what did not.
const (
	wellPart = iota
	refusedPart
)

// ring is what is remembered of a connection's rows.
type ring struct {
	since   [2]int  // rows since the last trim
	trimmed [2]bool // to its length, since the start
	lost    int64   // requests to be told as lost
	told    time.Time
}

func (r *Recorder) ring(conn access.ConnectionID) *ring {
	if r.rings[conn] == nil {
		r.rings[conn] = &ring{}
	}
	return r.rings[conn]
}

// untrimmed is how many rows a part may be longer than it should, with those of one
// transaction no more than a trim removes.
const untrimmed = store.TrimmedAtOnce - writtenAtOnce

// overlong says which part of the ring is to be trimmed with these rows: when it is a tenth
// longer than it should, and after a start until it is not.
func (g *ring) overlong(rows []store.TrafficRow, keep int) (due [2]bool) {
	since := g.counted(rows)
	for part := range due {
		due[part] = since[part] > 0 && (!g.trimmed[part] || since[part] > min(keep/10, untrimmed))
	}
	return due
}

func (g *ring) counted(rows []store.TrafficRow) [2]int {
	since := g.since
	for _, r := range rows {
		if r.Failed {
			since[refusedPart]++
		} else {
			since[wellPart]++
		}
	}
	return since
}

func (g *ring) wrote(rows []store.TrafficRow, due [2]bool, removed [2]int64) {
	g.since = g.counted(rows)
	for part, done := range due {
		if done {
			g.since[part], g.trimmed[part] = 0, removed[part] < store.TrimmedAtOnce
		}
	}
}

// Forget removes rows that are older than is kept.
func (r *Recorder) Forget(ctx context.Context) { r.note(r.forget(ctx, r.Now().Add(-kept))) }

func (r *Recorder) forget(ctx context.Context, before time.Time) error {
	for removed := int64(1); removed > 0; {
		err := r.Store.Update(ctx, func(tx *store.Tx) (err error) {
			removed, err = tx.TrimTrafficBefore(before)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

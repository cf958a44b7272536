package store

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Node is one process over the directory, as it has registered itself.
type Node struct {
	ID       string // of one run
	Name     string
	Version  string
	Alone    bool // it must be the only one: its hot store is its own
	Started  time.Time
	Draining bool // it takes nothing new
	// Hot is the incarnation of the hot store by which it hears others; "": it does not know, or
	// is Alone.
	Hot string

	// As of its last poll:
	Beat    int64         // rises with every poll, before its news are read
	BeatAge time.Duration // by the database's clock
	Applied int64         // the latest piece of news that it has applied; 0: none
	Lag     time.Duration // of the slowest news it read last
	Lease   time.Duration // how much of its lease was left
}

const nodeColumns = `id, name, version, alone, started_at, draining, hot, beat, applied, lag, lease, `

func scanNode(r Row) (n Node, err error) {
	var started, lag, left, age int64
	err = r.Scan(&n.ID, &n.Name, &n.Version, &n.Alone, &started, &n.Draining, &n.Hot, &n.Beat, &n.Applied, &lag, &left, &age)
	n.Started, n.Lag, n.Lease, n.BeatAge = at(started), time.Duration(lag)*time.Millisecond, time.Duration(left)*time.Millisecond, time.Duration(age)*time.Millisecond
	return n, err
}

// ReasonNodeAlone is why a node is not registered: another one is there, and one of the two
// keeps what is short-lived to itself.
const ReasonNodeAlone = "node_alone"

// ReasonNodeApart is why a node is not registered: another one is there, and the two do not have
// the same hot store.
const ReasonNodeApart = "node_apart"

// GoneAfter is how old a beat is, by the database's clock, of whom nobody reckons with who starts, or
// looks at the nodes. It is not what a commit waits by: that is lease.Longest, as lease.Sightings
// tell it; and who has not polled for NewsKept is forgotten.
const GoneAfter = 5 * time.Second

// Register puts a node in the registry. fault.Conflict with ReasonNodeAlone if another is there
// that has polled within 5 seconds, and either must be the only one; with ReasonNodeApart if it said then
// that it has another hot store. It may just not know yet that the one they share has restarted.
func (s *Store) Register(ctx context.Context, n Node) error {
	const op = "store.Register"
	return s.engine.Update(ctx, "", func(q Querier) error {
		v := s.over(ctx, q)
		others, err := v.nodes()
		if err != nil {
			return err
		}
		for _, o := range others {
			if o.ID == n.ID || o.BeatAge >= GoneAfter {
				continue
			}
			if o.Hot != n.Hot && o.Hot != "" && n.Hot != "" {
				return fault.New(fault.Conflict, op, "another node, %s, is running on this database with another Redis: what one of the two gives out the other would not know: give every node the same hot.url, or stop the other one", o.Name).Because(ReasonNodeApart)
			}
			if o.Alone || n.Alone {
				return fault.New(fault.Conflict, op, "another node, %s, is running on this database, and %s keeps codes and refresh tokens to itself: give every node the same Redis (hot), or stop the other one", o.Name, alone(o, n)).Because(ReasonNodeAlone)
			}
		}
		_, err = v.exec(op, `insert into nodes (id, name, version, alone, started_at, draining, hot, beat, beat_at, applied, lag, lease)
			values ($1, $2, $3, $4, $5, $6, $7, 1, `+s.engine.Dialect().Now+`, 0, 0, 0)`, n.ID, n.Name, n.Version, n.Alone, ms(n.Started), n.Draining, n.Hot)
		return err
	}, func() {})
}

func alone(other, self Node) string {
	switch {
	case self.Alone && other.Alone:
		return "each of the two"
	case self.Alone:
		return "this one"
	}
	return "that one"
}

// Beat says that a node is going to poll, and how it stands: others wait for it from the commit
// of this on. Not known: it was forgotten, and must register again.
func (s *Store) Beat(ctx context.Context, n Node) (known bool, err error) {
	err = s.aside(ctx, true, func(q Querier) error {
		rows, err := q.Exec(`update nodes set beat = beat + 1, beat_at = `+s.engine.Dialect().Now+`, draining = $2, applied = $3, lag = $4, lease = $5, hot = $6 where id = $1`,
			n.ID, n.Draining, n.Applied, n.Lag.Milliseconds(), n.Lease.Milliseconds(), n.Hot)
		known = rows == 1
		return err
	})
	return known, fault.Wrap(fault.Unavailable, "store.Beat", err)
}

// Leave takes a node out of the registry: it believes nothing any more that it remembers.
func (s *Store) Leave(ctx context.Context, id string) error {
	err := s.aside(ctx, true, func(q Querier) error {
		_, err := q.Exec(`delete from nodes where id = $1`, id)
		return err
	})
	return fault.Wrap(fault.Unavailable, "store.Leave", err)
}

// Forget takes a node out of the registry that has not polled since a beat.
func (s *Store) Forget(ctx context.Context, id string, beat int64) error {
	err := s.aside(ctx, true, func(q Querier) error {
		_, err := q.Exec(`delete from nodes where id = $1 and beat = $2`, id, beat)
		return err
	})
	return fault.Wrap(fault.Unavailable, "store.Forget", err)
}

// Nodes lists the registry, by name, as it is after the call began. One call answers many at a time.
func (s *Store) Nodes(ctx context.Context) ([]Node, error) { return s.registry.do(ctx) }

func (s *Store) readNodes(ctx context.Context) (all []Node, err error) {
	err = s.aside(ctx, false, func(q Querier) (err error) {
		all, err = s.over(ctx, q).nodes()
		return err
	})
	return all, fault.Wrap(fault.Unavailable, "store.Nodes", err)
}

// Running names the nodes that have polled the database of e within GoneAfter.
func Running(ctx context.Context, e Engine) (names []string, err error) {
	err = e.View(ctx, func(q Querier) error {
		names = nil
		return q.Each(func(r Row) error {
			var name string
			err := r.Scan(&name)
			names = append(names, name)
			return err
		}, `select name from nodes where beat_at > `+e.Dialect().Now+` - $1 order by name, id`, GoneAfter.Milliseconds())
	})
	return names, fault.Wrap(fault.Unavailable, "store.Running", err)
}

func (v *View) nodes() ([]Node, error) {
	return list(v, "store.Nodes", scanNode, `select `+nodeColumns+v.engine.Dialect().Now+` - beat_at from nodes order by name, id`)
}

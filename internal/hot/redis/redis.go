// Package redis is the hot engine of several nodes: authorization requests, codes, refresh
// families and the feed of revocations, in one Redis, behind Sentinels, or a Cluster.
//
// Redis is a copy of nothing and the truth about nothing that could let somebody in: who finds no
// record there is refused. What it can do wrong is to come back with what it held a while ago,
// after a restart or a failover: a code would work twice. Every partition therefore has a mark of the
// run that it was begun on; a server in another run begins another incarnation, in which nothing
// of what was is found. People then sign in again, silently where their browser session
// lives.
//
// A record is read, judged in Go and changed by a script that does nothing if the record is not
// as it was read. Records are sealed, so no script could judge them; and since no two sealed
// records are the same, a script whose answer was lost can be repeated.
package redis

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// Limits bound what all nodes together keep in Redis, in bytes of sealed records with what it
// takes to find them. A zero field means its default. Each of the 64 partitions has its part.
//
// They differ from internal/hot/embedded in that bytes alone are bounded, of which each entry
// counts as one KiB at least, and that whom a full shelf takes from is weighed in its partition: memory
// is what a Redis runs out of, and a count over all partitions would need a slot that every
// request goes through. Families are not bounded: each is somebody's who has signed in.
type Limits struct {
	Requests int // authorization requests under way, and what waits for their upstream states: 256 MiB each
	Pushed   int // requests sent ahead: 128 MiB
	Codes    int // codes, used ones included: 256 MiB
}

func (l Limits) orDefaults() Limits {
	or := func(n *int, standard int) {
		if *n <= 0 {
			*n = standard
		}
	}
	or(&l.Requests, 256<<20)
	or(&l.Pushed, 128<<20)
	or(&l.Codes, 256<<20)
	return l
}

// Config is what an engine needs. Nodes of one deployment have the same Prefix and Key; two
// deployments with keys of their own know nothing of each other, be they in one database.
type Config struct {
	Server Server
	Prefix string // what all names begin with, after a brace: "drawbridge"
	Key    credential.HotKey
	Limits Limits
	// Observe is told of what nobody waits for: a partition whose data was lost, tidying that
	// did not happen. nil: nobody.
	Observe func(op string, err error)
}

// Engine implements hot.Engine for any number of nodes. Make it with Open, close it once.
type Engine struct {
	client  goredis.UniversalClient
	scripts scripts
	key     credential.HotKey
	prefix  string
	limits  Limits
	observe func(op string, err error)
	patient time.Duration // how long an answer may take

	marks    [partitions + 1]atomic.Pointer[mark]
	circuits circuits

	answered, unanswered, spared, anew atomic.Int64 // Counts
	redeemed                           *redeemed
}

var _ hot.Engine = (*Engine)(nil)

// Open connects to Redis and begins, or joins, its incarnation. fault.Invalid if the server may not
// be used as it is written, fault.Unavailable if it lets nobody of that name in, is too old or throws keys away. One
// that does not answer is no error, but for Answers: all verbs are fault.Unavailable until it does.
func Open(ctx context.Context, c Config) (*Engine, error) {
	const op = "redis.Open"
	options, err := c.Server.options()
	if err != nil {
		return nil, err
	}
	goredis.SetLogger(quiet{})
	e := &Engine{client: goredis.NewUniversalClient(options), scripts: newScripts(), key: c.Key, prefix: c.Prefix, limits: c.Limits.orDefaults(),
		observe: c.Observe, patient: options.ReadTimeout, redeemed: newRedeemed()}
	if e.prefix == "" {
		e.prefix = "drawbridge"
	}
	deployment, err := e.key.Deployment()
	if err != nil {
		return nil, errors.Join(fault.Wrap(fault.Internal, op, err), e.Close())
	}
	e.prefix += ":" + deployment
	if e.observe == nil {
		e.observe = func(string, error) {}
	}
	for p := range e.marks {
		switch _, err := e.renew(ctx, op, p); {
		case err != nil && ctx.Err() == nil && absent(err):
			return e, nil // each partition is asked for again when it is needed
		case err != nil:
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// quiet is the log of the client: what it would write there, it also answers.
type quiet struct{}

// Printf writes nothing.
func (quiet) Printf(context.Context, string, ...any) {}

// Answers asks the server whether it is there, for a health check: fault.Unavailable if not.
func (e *Engine) Answers(ctx context.Context) error {
	_, err := e.renew(ctx, "redis.Answers", feedPartition)
	return err
}

// Close lets go of all connections.
func (e *Engine) Close() error { return fault.Wrap(fault.Internal, "redis.Close", e.client.Close()) }

// margin is how much longer Redis keeps a record than the callers' clocks say: what counts is
// judged by them.
const margin = time.Minute

// life is how long a record is kept, in milliseconds; at least as long as it takes to notice.
func life(from, until time.Time) int64 {
	return max(until.Sub(from)+margin, margin).Milliseconds()
}

package redis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// partitions is into how many parts the keys are divided, each in one slot of a Cluster, by the
// hash tag in their names. What one script touches lies in one; each has its own mark and its
// part of every limit. Many more than a Cluster has primaries, so that they share the load.
//
// The tag is of a record's own id and not of its person. Verbs are given a code, a family or a state and
// nothing else; a tag of the person would have to stand in each of these, and in the name of every
// key, where a dump would tell who signs in and how often. Nothing is lost by it: no verb changes
// two records of a person at once, and what ends a person is the epoch in the store, not a walk
// through Redis. It is the fixed number of partitions that makes marks possible: each is asked
// for once by each node, and held against every call.
const partitions = 64

// feedPartition is the partition of the feeds.
const feedPartition = partitions

// attempts is how often a verb tries again because another changed what it had read, or because
// the data is another than it was. Each time somebody else got on.
const attempts = 32

// mark is what holds a partition to the run of the server that it was begun on (ensure.lua).
type mark struct {
	text        string // as Redis has it
	incarnation string
}

// place is where a record lies, as far as the engine knows.
type place struct {
	partition int
	mark      mark
	tag       string // what the names of its partition begin with
	id        string // of the record among its kind
	key       string
	shelf     string // the shelf of its kind in the partition
}

// Kinds of records.
const (
	kindRequest = "req"
	kindState   = "state"
	kindPushed  = "par"
	kindCode    = "code"
	kindHolder  = "live"
	kindFamily  = "fam"
	kindSession = "ses"
)

// nameOf is what a record is called by in Redis: as long whatever its id, and telling nobody which.
func nameOf(kind, id string) (partition int, name string) {
	sum := sha256.Sum256([]byte(kind + "\x00" + id))
	return int(binary.BigEndian.Uint16(sum[30:])) % partitions, base64.RawURLEncoding.EncodeToString(sum[:18])
}

func (e *Engine) tag(partition int) string { return fmt.Sprintf("{%s:%d}", e.prefix, partition) }

// place finds where a record of an id lies. The mark of its partition is asked for once.
func (e *Engine) place(ctx context.Context, op, kind, id string) (place, error) {
	p, name := nameOf(kind, id)
	m, err := e.markOf(ctx, op, p)
	if err != nil {
		return place{}, err
	}
	at := place{partition: p, mark: m, tag: e.tag(p), id: name}
	at.shelf = at.tag + ":" + m.incarnation + ":" + kind
	at.key = at.shelf + ":r:" + name
	return at, nil
}

func (e *Engine) markOf(ctx context.Context, op string, partition int) (mark, error) {
	if m := e.marks[partition].Load(); m != nil {
		return *m, nil
	}
	return e.renew(ctx, op, partition)
}

// renew asks the server for the mark of a partition, which may begin an incarnation.
func (e *Engine) renew(ctx context.Context, op string, partition int) (mark, error) {
	ctx, cancel := e.within(ctx)
	defer cancel()
	key := e.tag(partition) + ":mark"
	var answer []string
	err := e.ask(ctx, op, key, func() (err error) {
		answer, err = e.scripts.ensure.Run(ctx, e.client, []string{key}, credential.NewID("inc")).StringSlice()
		return err
	})
	if err != nil {
		return mark{}, err
	}
	if len(answer) != 5 {
		return mark{}, fault.New(fault.Unavailable, op, "the Redis server does not say which run it is in: INFO has no run_id or master_replid")
	}
	if err := suits(op, answer[2], answer[3], answer[4]); err != nil {
		return mark{}, err
	}
	m := mark{text: answer[1]}
	m.incarnation, _, _ = strings.Cut(m.text, " ")
	was := e.marks[partition].Swap(&m)
	if was != nil && was.incarnation != m.incarnation {
		e.anew.Add(1)
		e.observe("redis.renew", fmt.Errorf("partition %d of the hot store was emptied, restored or restarted: what was under way in it has ended", partition))
	}
	return m, nil
}

// suits holds a server to what the bridge needs of it.
func suits(op, policy, memory, version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < 6 || major == 6 && minor < 2 {
		return fault.New(fault.Unavailable, op, "the Redis server is of version %q: 6.2 or newer is needed", version)
	}
	if policy != "noeviction" && memory != "0" {
		return throwsAway(op)
	}
	return nil
}

// throwsAway refuses a server on which nothing may be concluded from a key that is not there.
func throwsAway(op string) error {
	return fault.New(fault.Unavailable, op, "the Redis server throws keys away when it is full: set maxmemory-policy to noeviction")
}

// run runs a script in the partition of a record: its KEYS are the mark, the record and the shelf
// of its kind, its ARGV the mark and what is given. errBroken if the mark is another by now.
func (e *Engine) run(ctx context.Context, op string, s *goredis.Script, at place, args ...any) ([]string, error) {
	return e.runOn(ctx, op, s, at, []string{at.tag + ":mark", at.key, at.shelf}, args...)
}

func (e *Engine) runOn(ctx context.Context, op string, s *goredis.Script, at place, keys []string, args ...any) ([]string, error) {
	var answer []any
	err := e.ask(ctx, op, keys[0], func() (err error) {
		answer, err = s.Run(ctx, e.client, keys, append([]any{at.mark.text}, args...)...).Slice()
		return err
	})
	if err != nil {
		return nil, err
	}
	texts := make([]string, 0, len(answer))
	for _, a := range answer {
		switch a := a.(type) {
		case nil: // there is no such record
		case string:
			texts = append(texts, a)
		case int64:
			texts = append(texts, fmt.Sprint(a))
		default:
			return nil, malformed(op, a)
		}
	}
	if len(texts) == 0 {
		return nil, malformed(op, answer)
	}
	if texts[0] == "BROKEN" {
		return nil, errBroken
	}
	return texts, nil
}

// errAgain says that another changed the record between reading and writing.
var errAgain = errors.New("another changed it")

// verb runs one verb on a record until nobody comes between, or the mark holds: what was there
// before is out of reach then, and the verb finds nothing.
func (e *Engine) verb(ctx context.Context, op, kind, id string, try func(at place) error) error {
	for range attempts {
		at, err := e.place(ctx, op, kind, id)
		if err != nil {
			return err
		}
		err = try(at)
		if errors.Is(err, errBroken) {
			if _, err := e.renew(ctx, op, at.partition); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, errAgain) {
			return err
		}
	}
	return unavailable(op, errors.New("others came between again and again"))
}

// markNow is the mark of where a record of an id lies, as the server has it now: what this node
// remembers may be of a run that is long over.
func (e *Engine) markNow(ctx context.Context, op, kind, id string) (m mark, err error) {
	return m, e.verb(ctx, op, kind, id, func(at place) error {
		m = at.mark
		_, err := e.read(ctx, op, at)
		return err
	})
}

// read gives a record as it is sealed, "" if there is none.
func (e *Engine) read(ctx context.Context, op string, at place) (string, error) {
	answer, err := e.run(ctx, op, e.scripts.read, at)
	if err != nil || len(answer) < 2 {
		return "", err
	}
	return answer[1], nil
}

// done is the answer of a script that changes a record.
func done(op string, answer []string, err error) error {
	switch {
	case err != nil:
		return err
	case answer[0] == "OK":
		return nil
	case answer[0] == "CHANGED":
		return errAgain
	}
	return malformed(op, answer[0])
}

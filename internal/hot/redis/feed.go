package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Change is one line of the feed: what of a credential's integers is another from now on. It
// hints at what the store has committed, and decides nothing.
type Change struct {
	Subject credential.Subject // as much as names what changed
	Epochs  credential.Epochs  // those that changed, as they are now; 0: not said
	Ended   bool               // the session, or the family, is over
}

// Position is a place in the feed: after what has been read. The zero Position is in no feed.
type Position struct {
	incarnation string
	number      int64
}

// Covers reports whether who has read up to p has read what o stands behind.
func (p Position) Covers(o Position) bool {
	return p.incarnation == o.incarnation && p.incarnation != "" && p.number >= o.number
}

// Feed tells the nodes of a deployment of changes, in one order, within milliseconds. A reader
// resumes exactly where it was; one that cannot is told so, and reads the store.
type Feed struct {
	e      *Engine
	length int
}

// feedLength is how many changes the feed keeps at least: more than a large push makes within
// the life of an access token.
const feedLength = 100_000

// Feed gives the feed of this deployment.
func (e *Engine) Feed() *Feed { return &Feed{e: e, length: feedLength} }

// place is where the feed lies.
func (f *Feed) place(ctx context.Context, op string) (place, error) {
	m, err := f.e.markOf(ctx, op, thefeed)
	if err != nil {
		return place{}, err
	}
	tag := f.e.tag(thefeed)
	return place{partition: thefeed, mark: m, tag: tag, key: tag + ":" + m.incarnation + ":feed"}, nil
}

// run runs a script on the feed; with another mark on the feed that is now.
func (f *Feed) run(ctx context.Context, op string, s *goredis.Script, args func(at place) ([]any, error)) (place, []string, error) {
	for range attempts {
		at, err := f.place(ctx, op)
		if err != nil {
			return place{}, nil, err
		}
		with, err := args(at)
		if err != nil {
			return place{}, nil, err
		}
		answer, err := f.e.runOn(ctx, op, s, at, []string{at.tag + ":mark", at.key, at.key + ":n"}, with...)
		if !errors.Is(err, errBroken) {
			return at, answer, err
		}
		if _, err := f.e.renew(ctx, op, thefeed); err != nil {
			return place{}, nil, err
		}
	}
	return place{}, nil, unavailable(op, errBroken)
}

// Publish tells of changes that were committed, and gives the position that covers them. It may
// be called again after an error: to be told twice harms nobody.
func (f *Feed) Publish(ctx context.Context, changes ...Change) (Position, error) {
	const op = "redis.Publish"
	if len(changes) == 0 {
		return Position{}, fault.New(fault.Internal, op, "there is nothing to tell")
	}
	at, answer, err := f.run(ctx, op, f.e.scripts.publish, func(at place) ([]any, error) {
		args := []any{f.length}
		for _, c := range changes {
			sealed, err := f.e.seal(op, at.key, c)
			if err != nil {
				return nil, err
			}
			args = append(args, sealed)
		}
		return args, nil
	})
	if err != nil {
		return Position{}, err
	}
	return positionOf(op, at, answer)
}

// End gives the position behind everything that was published: read the store after it, and
// then from it.
func (f *Feed) End(ctx context.Context) (Position, error) {
	const op = "redis.End"
	at, answer, err := f.since(ctx, op, Position{number: 1 << 52}, 1)
	if err != nil {
		return Position{}, err
	}
	return positionOf(op, at, answer)
}

func (f *Feed) since(ctx context.Context, op string, after Position, most int) (place, []string, error) {
	return f.run(ctx, op, f.e.scripts.since, func(place) ([]any, error) { return []any{after.number, most}, nil })
}

func positionOf(op string, at place, answer []string) (Position, error) {
	if len(answer) < 2 {
		return Position{}, malformed(op, answer)
	}
	n, err := strconv.ParseInt(answer[1], 10, 64)
	if err != nil {
		return Position{}, malformed(op, answer)
	}
	return Position{at.mark.incarnation, n}, nil
}

// atOnce is how many changes Next gives at most.
const atOnce = 1000

// Next gives the changes after a position, in order, and the position behind them. It waits for
// them for as long as it may, 0 not at all; none, without an error, says that there were none when
// it returned. fault.Stale says that some are lost: take End, read the store, go on from there.
func (f *Feed) Next(ctx context.Context, after Position, wait time.Duration) ([]Change, Position, error) {
	const op = "redis.Next"
	changes, now, err := f.next(ctx, op, after)
	if err != nil || len(changes) > 0 || wait <= 0 {
		return changes, now, err
	}
	if err := f.wait(ctx, op, after, wait); err != nil {
		return nil, after, err
	}
	return f.next(ctx, op, after)
}

func (f *Feed) next(ctx context.Context, op string, after Position) ([]Change, Position, error) {
	at, answer, err := f.since(ctx, op, after, atOnce)
	if err != nil {
		return nil, after, err
	}
	end, err := positionOf(op, at, answer)
	if err != nil {
		return nil, after, err
	}
	if end.incarnation != after.incarnation || end.number < after.number {
		return nil, after, lost(op, "the feed has begun anew")
	}
	if end.number == after.number {
		return nil, after, nil
	}
	return f.read(op, at, after, answer[2:])
}

// read opens entries and holds their numbers to the position: the first must be the next.
func (f *Feed) read(op string, at place, after Position, entries []string) ([]Change, Position, error) {
	var changes []Change
	to := after
	for i := 0; i+1 < len(entries); i += 2 {
		number, _, _ := strings.Cut(entries[i], "-")
		if number != strconv.FormatInt(to.number+1, 10) {
			return nil, after, lost(op, "the feed no longer reaches back so far")
		}
		var c Change
		if err := f.e.open(op, at.key, entries[i+1], &c); err != nil {
			return nil, after, err
		}
		changes = append(changes, c)
		to.number++
	}
	if len(changes) == 0 {
		return nil, after, lost(op, "the feed has lost what it says it has")
	}
	return changes, to, nil
}

func lost(op, why string) error {
	return fault.New(fault.Stale, op, "%s: read the store", why)
}

// wait returns when something may have been published, or the time is over. It decides nothing.
func (f *Feed) wait(ctx context.Context, op string, after Position, wait time.Duration) error {
	at, err := f.place(ctx, op)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, wait+f.e.patient)
	defer cancel()
	err = f.e.client.XRead(bounded, &goredis.XReadArgs{Streams: []string{at.key, strconv.FormatInt(after.number, 10) + "-0"}, Count: 1, Block: wait}).Err()
	if errors.Is(err, goredis.Nil) {
		return nil
	}
	return f.e.classified(ctx, op, err)
}

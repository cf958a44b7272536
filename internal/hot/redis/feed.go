package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// Feed implements hot.Feed by a Stream whose entries are numbered without a gap.
type Feed struct {
	e      *Engine
	name   string
	length int
}

var _ hot.Feed = (*Feed)(nil)

// feedLength is how many entries a feed keeps at least: more than a large push makes within
// the life of an access token.
const feedLength = 100_000

// Feed gives the feed of this deployment that has this name. Feeds know nothing of each other.
func (e *Engine) Feed(name string) *Feed { return &Feed{e: e, name: name, length: feedLength} }

// place is where the feed lies.
func (f *Feed) place(ctx context.Context, op string) (place, error) {
	m, err := f.e.markOf(ctx, op, feedPartition)
	if err != nil {
		return place{}, err
	}
	tag := f.e.tag(feedPartition)
	return place{partition: feedPartition, mark: m, tag: tag, key: tag + ":" + m.incarnation + ":feed:" + f.name}, nil
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
		if _, err := f.e.renew(ctx, op, feedPartition); err != nil {
			return place{}, nil, err
		}
	}
	return place{}, nil, unavailable(op, errBroken)
}

// Publish implements hot.Feed.
func (f *Feed) Publish(ctx context.Context, entries ...hot.Entry) error {
	const op = "redis.Publish"
	ctx, cancel := f.e.within(ctx)
	defer cancel()
	if len(entries) == 0 {
		return fault.New(fault.Internal, op, "there is nothing to tell")
	}
	for _, x := range entries {
		if len(x) > hot.MaxEntry {
			return fault.New(fault.Limited, op, "an entry of %d bytes is larger than the %d that a feed takes", len(x), hot.MaxEntry)
		}
	}
	_, answer, err := f.run(ctx, op, f.e.scripts.publish, func(at place) ([]any, error) {
		args := []any{f.length}
		for _, x := range entries {
			sealed, err := f.e.key.Seal(x, at.key)
			if err != nil {
				return nil, fault.Wrap(fault.Internal, op, err)
			}
			args = append(args, sealed)
		}
		return args, nil
	})
	return done(op, answer, err)
}

// End implements hot.Feed.
func (f *Feed) End(ctx context.Context) (hot.Offset, error) {
	const op = "redis.End"
	ctx, cancel := f.e.within(ctx)
	defer cancel()
	at, answer, err := f.since(ctx, op, hot.Offset{Number: 1 << 52}, 1)
	if err != nil {
		return hot.Offset{}, err
	}
	return offsetOf(op, at, answer)
}

func (f *Feed) since(ctx context.Context, op string, after hot.Offset, most int) (place, []string, error) {
	return f.run(ctx, op, f.e.scripts.since, func(place) ([]any, error) { return []any{after.Number, most}, nil })
}

func offsetOf(op string, at place, answer []string) (hot.Offset, error) {
	if len(answer) < 2 {
		return hot.Offset{}, malformed(op, answer)
	}
	n, err := strconv.ParseInt(answer[1], 10, 64)
	if err != nil {
		return hot.Offset{}, malformed(op, answer)
	}
	return hot.Offset{Incarnation: at.mark.incarnation, Number: n}, nil
}

// atOnce is how many entries Next gives at most.
const atOnce = 1000

// Next implements hot.Feed.
func (f *Feed) Next(ctx context.Context, after hot.Offset, wait time.Duration) ([]hot.Entry, hot.Offset, error) {
	const op = "redis.Next"
	found, now, err := f.next(ctx, op, after)
	if err != nil || len(found) > 0 || wait <= 0 {
		return found, now, err
	}
	if err := f.wait(ctx, op, after, wait); err != nil {
		return nil, after, err
	}
	return f.next(ctx, op, after)
}

func (f *Feed) next(ctx context.Context, op string, after hot.Offset) ([]hot.Entry, hot.Offset, error) {
	ctx, cancel := f.e.within(ctx)
	defer cancel()
	at, answer, err := f.since(ctx, op, after, atOnce)
	if err != nil {
		return nil, after, err
	}
	end, err := offsetOf(op, at, answer)
	if err != nil {
		return nil, after, err
	}
	if end.Incarnation != after.Incarnation || end.Number < after.Number {
		return nil, after, lost(op, "the feed has begun anew")
	}
	if end.Number == after.Number {
		return nil, after, nil
	}
	return f.read(op, at, after, answer[2:])
}

// read opens entries and holds their numbers to the offset: the first must be the next.
func (f *Feed) read(op string, at place, after hot.Offset, listed []string) ([]hot.Entry, hot.Offset, error) {
	var found []hot.Entry
	to := after
	for i := 0; i+1 < len(listed); i += 2 {
		number, _, _ := strings.Cut(listed[i], "-")
		if number != strconv.FormatInt(to.Number+1, 10) {
			return nil, after, lost(op, "the feed no longer reaches back so far")
		}
		entry, err := f.e.key.Open([]byte(listed[i+1]), at.key)
		if err != nil { // nobody of ours wrote it: what stood there is lost
			f.e.observe(op, err)
			return nil, after, lost(op, "the feed has an entry that does not open")
		}
		found = append(found, entry)
		to.Number++
	}
	if len(found) == 0 {
		return nil, after, lost(op, "the feed has lost what it says it has")
	}
	return found, to, nil
}

func lost(op, why string) error {
	return fault.New(fault.Stale, op, "%s: read the store", why)
}

// wait returns when something may have been published, or the time is over. It decides nothing.
func (f *Feed) wait(ctx context.Context, op string, after hot.Offset, wait time.Duration) error {
	at, err := f.place(ctx, op)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, wait+f.e.patient)
	defer cancel()
	return f.e.ask(ctx, op, at.key, func() error {
		err := f.e.client.XRead(bounded, &goredis.XReadArgs{Streams: []string{at.key, strconv.FormatInt(after.Number, 10) + "-0"}, Count: 1, Block: wait}).Err()
		if errors.Is(err, goredis.Nil) { // nothing came
			return nil
		}
		return err
	})
}

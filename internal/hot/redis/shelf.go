package redis

import (
	"context"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// Ranks of entries on a shelf (lua/shelf.lua): spare ones make room before held ones.
const (
	rankSpare = "0"
	rankHeld  = "1"
	rankGone  = "" // off the shelf
)

// entry is what goes on a shelf.
type entry struct {
	kind, id string
	record   any
	owner    string // whom it is accounted to
	rank     string // rankSpare if it is ""
	life     int64  // milliseconds
	bound    int    // bytes of the shelves of this kind, of all partitions
	reserve  int
}

// shelved is where an entry lies, and what lay there before it, if something did.
type shelved struct {
	place
	taken string
}

// overhead is what an entry takes beside its record, in bytes: the names of it in the parts of its shelf.
const overhead = 640

// weight is what an entry counts as, in bytes.
func weight(sealed string) int { return max(len(sealed)+overhead, 1<<10) }

// shelve stores an entry where there is none: fault.Conflict if there is, fault.Limited if it
// would not fit an empty shelf.
func (e *Engine) shelve(ctx context.Context, op string, x entry) (to shelved, err error) {
	if x.rank == "" {
		x.rank = rankSpare
	}
	_, owner := nameOf("owner", x.owner)
	var sealedAs, under string
	err = e.verb(ctx, op, x.kind, x.id, func(at place) error {
		to.place = at
		if under != at.key { // the same text again, should it be repeated
			sealed, err := e.seal(op, at.key, x.record)
			if err != nil {
				return err
			}
			sealedAs, under = sealed, at.key
		}
		answer, err := e.run(ctx, op, e.scripts.shelve, at, sealedAs, x.life, at.id, owner, x.rank, weight(sealedAs), x.bound/partitions, x.reserve)
		if err != nil {
			return err
		}
		switch answer[0] {
		case "TAKEN":
			to.taken = answer[1]
			return hot.Taken(op)
		case "LARGE":
			return hot.TooLarge(op)
		}
		return done(op, answer, nil)
	})
	return to, err
}

// move changes an entry from how it was read. A nil record drops it; life is in
// milliseconds, 0 leaves it as it was.
func (e *Engine) move(ctx context.Context, op string, at place, was string, record any, rank string, life int64) error {
	if record == nil {
		answer, err := e.run(ctx, op, e.scripts.move, at, was, "", "", at.id, rankGone, 0)
		return done(op, answer, err)
	}
	sealed, err := e.seal(op, at.key, record)
	if err != nil {
		return err
	}
	answer, err := e.run(ctx, op, e.scripts.move, at, was, sealed, orKept(life), at.id, rank, weight(sealed))
	return done(op, answer, err)
}

// orKept is a life as scripts take it.
func orKept(life int64) string {
	if life <= 0 {
		return ""
	}
	return strconv.FormatInt(life, 10)
}

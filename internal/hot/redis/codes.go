package redis

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// holderOf names whom the cap on live codes is for.
func holderOf(s session.ID, c access.ClientID) string { return string(s) + "\x00" + string(c) }

// listing is how a holder's list names a code: when it ends, in milliseconds, and its digest.
func listing(d credential.Digest, g hot.CodeGrant) string {
	return fmt.Sprintf("%d %s", g.Expires.UnixMilli(), hex.EncodeToString(d[:]))
}

func codeID(d credential.Digest) string { return hex.EncodeToString(d[:]) }

// PutCode implements hot.Engine. The code counts among its holder's before it is there: a node
// that dies in between leaves less room, not more.
func (e *Engine) PutCode(ctx context.Context, d credential.Digest, g hot.CodeGrant, now time.Time) error {
	const op = "redis.PutCode"
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := g.Check(op, d, now); err != nil {
		return err
	}
	g.Request = g.Request.Redemption()
	if err := e.hold(ctx, op, d, g, now); err != nil {
		return err
	}
	_, err := e.shelve(ctx, op, entry{kind: kindCode, id: codeID(d), record: recordOfCode(g, false), rank: rankHeld, life: life(now, g.Expires), bound: e.limits.Codes})
	return err
}

// hold counts one more live code of its holder and ends those that are too many.
func (e *Engine) hold(ctx context.Context, op string, d credential.Digest, g hot.CodeGrant, now time.Time) error {
	holder := holderOf(g.Session, g.Request.Client)
	var over []string
	err := e.verb(ctx, op, kindHolder, holder, func(at place) error {
		answer, err := e.run(ctx, op, e.scripts.hold, at, listing(d, g), now.UnixMilli(), hot.MaxLiveCodes, life(now, g.Expires))
		if err == nil {
			over = answer[1:]
		}
		return err
	})
	for _, listed := range over {
		if err := e.endCode(ctx, op, listed); err != nil {
			return err
		}
	}
	if err != nil || len(over) == 0 {
		return err
	}
	return e.release(ctx, op, holder, over...)
}

// endCode ends a code that a list names, unless it was used.
func (e *Engine) endCode(ctx context.Context, op, listed string) error {
	_, id, _ := strings.Cut(listed, " ")
	return e.verb(ctx, op, kindCode, id, func(at place) error {
		r, sealed, err := e.code(ctx, op, at)
		if err != nil || sealed == "" || r.Used {
			return err
		}
		return e.move(ctx, op, at, sealed, nil, rankGone, 0)
	})
}

// release takes codes out of their holder's count.
func (e *Engine) release(ctx context.Context, op, holder string, listed ...string) error {
	return e.verb(ctx, op, kindHolder, holder, func(at place) error {
		_, err := e.run(ctx, op, e.scripts.release, at, anys(listed)...)
		return err
	})
}

func anys(texts []string) []any {
	all := make([]any, len(texts))
	for i, t := range texts {
		all[i] = t
	}
	return all
}

// code reads a code, and how it is sealed: "" if there is none.
func (e *Engine) code(ctx context.Context, op string, at place) (r codeRecord, sealed string, err error) {
	if sealed, err = e.read(ctx, op, at); err != nil || sealed == "" {
		return codeRecord{}, "", err
	}
	return r, sealed, e.open(op, at.key, sealed, &r)
}

// ConsumeCode implements hot.Engine.
func (e *Engine) ConsumeCode(ctx context.Context, d credential.Digest, by hot.Showing, now time.Time) (g hot.CodeGrant, outcome hot.Outcome, err error) {
	const op = "redis.ConsumeCode"
	ctx, cancel := e.within(ctx)
	defer cancel()
	var under mark // the family's, from before the code is consumed
	err = e.verb(ctx, op, kindCode, codeID(d), func(at place) error {
		r, sealed, err := e.code(ctx, op, at)
		g, outcome = r.grant(), hot.Unknown
		if err != nil || sealed == "" || !now.Before(r.until()) || !g.By(by) {
			return err
		}
		if r.Used {
			outcome = hot.Replayed
			return nil
		}
		if under, err = e.markNow(ctx, op, kindFamily, g.Family); err != nil {
			return err
		}
		outcome = hot.OK
		used := recordOfCode(g.Remembered(), true)
		return e.move(ctx, op, at, sealed, used, rankSpare, life(now, used.until()))
	})
	if planted.Bug(planted.RedisErrorAccepts) && outcome == hot.OK {
		err = nil
	}
	if err != nil || outcome == hot.Unknown {
		return hot.CodeGrant{}, hot.Unknown, err
	}
	if outcome == hot.Replayed {
		return g, outcome, e.forbid(ctx, op, g.Family)
	}
	e.redeemed.note(g.Family, under, now)
	if err := e.release(ctx, op, holderOf(g.Session, g.Request.Client), listing(d, g)); err != nil {
		e.observe(op, err) // it counts as live until its end
	}
	return g, hot.OK, nil
}

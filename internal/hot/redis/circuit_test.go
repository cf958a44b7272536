package redis

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// asked puts questions with one answer to an engine, and counts those that are put at all.
func asked(e *Engine, ctx context.Context, times int, answer error) (put int, last error) {
	for range times {
		last = e.ask(ctx, "test", "key", func() error { put++; return answer })
	}
	return put, last
}

func TestAfterThreeSilencesOneInAHundredMillisecondsIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{}
		put, err := asked(e, t.Context(), 50, io.EOF)
		if put != fuse || !fault.Is(err, fault.Unavailable) || !errors.Is(err, errOpen) {
			t.Fatalf("%d were asked: %v", put, err)
		}
		for range 3 {
			time.Sleep(probing)
			if put, _ := asked(e, t.Context(), 50, io.EOF); put != 1 {
				t.Errorf("%d were asked after a while", put)
			}
		}
		time.Sleep(probing)
		if put, err := asked(e, t.Context(), 50, nil); put != 50 || err != nil {
			t.Errorf("%d were asked of a server that is back: %v", put, err)
		}
		if put, _ := asked(e, t.Context(), fuse-1, io.EOF); put != fuse-1 {
			t.Errorf("the silence of before is counted: %d were asked", put)
		}
	})
}

// A server that refuses has answered, and a caller who has gone says nothing of it.
func TestWhatIsNoSilence(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		answer error
	}{
		"an answer": {t.Context(), nil}, "nothing": {t.Context(), goredis.Nil}, "a refusal": {t.Context(), answered("LOADING Redis is loading the dataset in memory")},
		"the caller has gone": {gone, context.Canceled},
	} {
		if put, _ := asked(&Engine{}, c.ctx, 20, c.answer); put != 20 {
			t.Errorf("%s: %d of 20 were asked", name, put)
		}
	}
}

// One primary of a Cluster that is silent keeps nobody from the others.
func TestCircuitsAreEachServersOwn(t *testing.T) {
	var c circuits
	now := time.Unix(0, 0)
	for range fuse {
		c.unanswered("a", now)
	}
	if c.may("a", now) || !c.may("b", now) {
		t.Error("one server's silence is another's")
	}
	c.answered("a")
	if len(c.silent) != 0 {
		t.Error("something is kept of a server that answers")
	}
}

package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// A server that does not answer costs a few callers their patience, and the others nothing: after
// fuse calls in a row without an answer they are refused at once, but for one in every probing,
// which finds out whether it is back.
const (
	fuse    = 3
	probing = 100 * time.Millisecond
)

// answersPer is how many answers one verb may wait for, one after the other, whatever goes wrong: with
// the standard patience of 300 ms it has ended within 900 ms.
const answersPer = 3

// errOpen is what a caller is refused by without anybody having been asked.
var errOpen = errors.New("the server has not answered for a while")

// circuits hold what is known of servers that do not answer, by their addresses; of one that
// does, nothing.
type circuits struct {
	mu     sync.Mutex // guards silent
	silent map[string]*silence
}

// silence is how long nothing was heard of a server.
type silence struct {
	calls int       // in a row, without an answer
	next  time.Time // when the next may try, once they are fuse
}

// may reports whether a server may be asked now. Whoever may says what came of it.
func (c *circuits) may(server string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.silent[server]
	if s == nil || s.calls < fuse {
		return true
	}
	if now.Before(s.next) {
		return false
	}
	s.next = now.Add(probing)
	return true
}

func (c *circuits) answered(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.silent, server)
}

func (c *circuits) unanswered(server string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.silent[server]
	if s == nil {
		s = &silence{}
		if c.silent == nil {
			c.silent = map[string]*silence{}
		}
		c.silent[server] = s
	}
	if s.calls++; s.calls == fuse {
		s.next = now.Add(probing)
	}
}

// serverOf names the server that a key lies on, as far as is known: "" but in a Cluster, where each
// primary fails by itself.
func (e *Engine) serverOf(ctx context.Context, key string) string {
	c, ok := e.client.(*goredis.ClusterClient)
	if !ok {
		return ""
	}
	primary, err := c.MasterForKey(ctx, key)
	if err != nil {
		return ""
	}
	return primary.Options().Addr
}

// ask puts a question to the server that a key lies on, unless it is known not to answer. Every
// error is classified.
func (e *Engine) ask(ctx context.Context, op, key string, question func() error) error {
	server := e.serverOf(ctx, key)
	if !e.circuits.may(server, time.Now()) {
		e.spared.Add(1)
		return unavailable(op, errOpen)
	}
	return e.noted(ctx, op, server, question())
}

// noted classifies what came of a question, and notes whether it was answered. That the caller has
// gone says nothing of the server.
func (e *Engine) noted(ctx context.Context, op, server string, err error) error {
	var said goredis.Error
	switch {
	case err == nil, errors.As(err, &said) && !errors.Is(err, context.DeadlineExceeded):
		e.answered.Add(1)
		e.circuits.answered(server)
	case !errors.Is(ctx.Err(), context.Canceled):
		e.unanswered.Add(1)
		e.circuits.unanswered(server, time.Now())
	}
	return e.classified(ctx, op, err)
}

// within bounds a verb: whoever calls it has an answer in time, be it that there is none.
func (e *Engine) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, answersPer*e.patient)
}

// Counts are what came of an engine's questions since it was opened.
type Counts struct {
	Answered, Unanswered int64
	Spared               int64 // refused at once: the server had not answered others
	Anew                 int64 // partitions that were emptied, restored or restarted
}

// Counts gives them as they are now.
func (e *Engine) Counts() Counts {
	return Counts{e.answered.Load(), e.unanswered.Load(), e.spared.Load(), e.anew.Load()}
}

// absent reports whether an error says that nobody answered, or that a server that did is not
// ready yet: there may be one later. Whatever else a server says is of how it was set up.
func absent(err error) bool {
	var said goredis.Error
	var shown *tls.CertificateVerificationError
	if errors.As(err, &shown) {
		return false
	}
	if !errors.As(err, &said) || errors.Is(err, context.DeadlineExceeded) {
		var f *fault.Error
		return errors.As(err, &f) && f.Kind == fault.Unavailable && f.Err != nil
	}
	for _, passing := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"} {
		if strings.HasPrefix(said.Error(), passing) {
			return true
		}
	}
	return false
}

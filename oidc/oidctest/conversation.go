package oidctest

import (
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// conversation is what one change makes a vendor send. It is used by one goroutine.
type conversation struct {
	idp.Dialect
	sent []Exchange
}

// converse begins one, for the reason that the log shows.
func (i *IdP) converse(why string) *conversation {
	i.mu.Lock()
	to := i.scim
	i.mu.Unlock()
	const keptBody = 8 << 10 // how much of a body the log keeps
	c := &conversation{}
	c.Dialect = i.speak(&idp.Wire{
		Base: to.BaseURL, Token: to.Token, Client: i.cfg.HTTP, Now: i.cfg.Now, Manner: i.manner, Keep: keptBody,
		Observe: func(x Exchange) {
			x.Why = why
			c.sent = append(c.sent, x)
			i.log.add(x)
		},
	})
	return c
}

// keptLog is how many exchanges the log keeps.
const keptLog = 200

// record is the bounded log of exchanges, safe for concurrent use.
type record struct {
	mu   sync.Mutex // guards kept
	kept []Exchange
}

func (r *record) add(x Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, x)
	if over := len(r.kept) - keptLog; over > 0 {
		r.kept = append([]Exchange(nil), r.kept[over:]...)
	}
}

func (r *record) all() []Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Exchange(nil), r.kept...)
}

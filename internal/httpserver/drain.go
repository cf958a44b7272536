package httpserver

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// Drain is how a process takes its leave: for a while it says that it goes, and serves what
// still comes; then it takes nothing more.
type Drain struct {
	// For is how long it says so: longer than whoever sends requests here takes to notice
	// that /readyz answers 503. 0: it goes at once.
	For   time.Duration
	Over  func() // is called when that is over, and ends what would hold up the end; nil: nothing does
	begun atomic.Bool
}

// Check fails as soon as the drain has begun.
func (d *Drain) Check() Check {
	return Check{Name: "stays", Run: func(context.Context) error {
		if d.begun.Load() {
			return errors.New("this node was told to end, and takes what still comes for a moment")
		}
		return nil
	}}
}

// wrap has connections close with an answer once the drain has begun, which is the only
// moment at which no request can be lost on its way.
func (d *Drain) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// wait begins the drain and returns when it is over, or a listener has failed.
func (d *Drain) wait(failed <-chan struct{}) {
	d.begun.Store(true)
	over := time.NewTimer(d.For)
	defer over.Stop()
	select {
	case <-over.C:
	case <-failed:
	}
	if d.Over != nil {
		d.Over()
	}
}

package drive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// The errors of a drive that could not do what it was for. What was refused to
// single people and groups is in the report alone.
var (
	ErrOptions     = errors.New("this cannot be driven")
	ErrUnreachable = errors.New("the connection test failed")
	ErrNotAllowed  = errors.New("the token opens nothing there")
	ErrTimeUp      = errors.New("the time was up")
	ErrInterrupted = errors.New("it was interrupted")
	ErrQuarantine  = errors.New("more than 40 % of what was tried failed")
	ErrNoBulk      = errors.New("the server offers no bulk requests")
)

// errAbsent is the failure of a cycle that needs what an initial one makes.
var errAbsent = errors.New("an initial cycle comes first")

const (
	tries = 3 // of one person or group, each looked up anew
	// quarantineAfter is when the share of failures begins to count. Entra's own
	// limit is 40 % after 5,000 attempts; a tool may give up earlier.
	quarantineAfter   = 100
	quarantinePercent = 40
)

// Drive is one run of a cycle. New makes it, Run does it, once.
type Drive struct {
	opts  Options
	dir   directory
	meter meter
	send  *sender
	speak idp.Dialect
	ids   []string // by number of the person: what the server calls them; each is written by one worker

	mu     sync.Mutex // guards report
	report Report

	phase       atomic.Pointer[phase]
	tried       atomic.Int64
	failed      atomic.Int64
	triedAgain  atomic.Int64
	memberships atomic.Int64 // sent
}

// phase is one stretch of a cycle, for the progress bar.
type phase struct {
	name  string
	total int64
	began time.Time
	done  atomic.Int64
}

// Progress is how far the phase under way has come.
type Progress struct {
	Phase       string // "": it has not begun
	Done, Total int64
	Rate        float64       // a second, over the phase
	Left        time.Duration // at that rate; 0: not known
}

// New checks the options; what is wrong with them is one ErrOptions.
func New(o Options) (*Drive, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	d := &Drive{opts: o, dir: newDirectory(o), meter: meter{kinds: map[string]*series{}}, ids: make([]string, o.People)}
	d.send = newSender(o, &d.meter)
	_, flag := o.target()
	if o.Vendor == VendorEntra {
		d.speak = idp.Entra(d.send, flag, idp.Fleet{})
	} else {
		d.speak = idp.Okta(d.send, false, idp.Fleet{})
	}
	return d, nil
}

// Progress may be asked at any time, by anybody.
func (d *Drive) Progress() Progress {
	p := d.phase.Load()
	if p == nil {
		return Progress{}
	}
	out := Progress{Phase: p.name, Done: p.done.Load(), Total: p.total}
	if took := d.opts.Now().Sub(p.began).Seconds(); took > 0 {
		out.Rate = float64(out.Done) / took
	}
	if out.Rate > 0 {
		out.Left = time.Duration(float64(out.Total-out.Done) / out.Rate * float64(time.Second))
	}
	return out
}

// Run tests the connection, as the vendors do, and then does the cycle. The report
// is whole whatever the error: it says how far the cycle came, and the same options
// go on from there.
func (d *Drive) Run(ctx context.Context) (Report, error) {
	ctx, stop := context.WithTimeoutCause(ctx, d.opts.Timeout, ErrTimeUp)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer d.send.wire.Client.CloseIdleConnections()
	began := d.opts.Now()
	err := d.run(ctx, cancel)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.Canceled):
		err = ErrInterrupted
	case cause != nil:
		err = cause
	}
	return d.finish(began, err), err
}

func (d *Drive) run(ctx context.Context, cancel context.CancelCauseFunc) error {
	if err := d.speak.Probe(ctx); err != nil {
		return refusedWholly(err, ErrUnreachable)
	}
	do := map[Cycle]func(context.Context, context.CancelCauseFunc) error{
		Initial: d.initial, Incremental: d.incremental, Restore: d.restore, Cleanup: d.cleanUp,
	}[d.opts.Cycle]
	return do(ctx, cancel)
}

// refusedWholly names an error that no repetition mends.
func refusedWholly(err, otherwise error) error {
	if opensNothing(err) {
		otherwise = ErrNotAllowed
	}
	return fmt.Errorf("%w: %w", otherwise, err)
}

func opensNothing(err error) bool {
	var refused *idp.SCIMError
	return errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden)
}

// each does something for the numbers 0 to n-1, Concurrency of them at a time. do
// says how much of the phase's total it has done. What fails is tried again, then
// counted; only the end of ctx ends the phase before its time.
func (d *Drive) each(ctx context.Context, cancel context.CancelCauseFunc, name string, n int, total int64, do func(context.Context, int) (int64, error)) {
	if n == 0 || ctx.Err() != nil {
		return
	}
	p := &phase{name: name, total: total, began: d.opts.Now()}
	d.phase.Store(p)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(d.opts.Concurrency, n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				done, err := d.insist(ctx, i, do)
				d.count(ctx, cancel, err)
				if err == nil || ctx.Err() == nil { // what the end of the drive cut off is not done
					p.done.Add(done)
				}
			}
		})
	}
	workers.Wait()
	took := d.opts.Now().Sub(p.began)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report.Phases = append(d.report.Phases, Phase{Name: name, Count: p.done.Load(), Seconds: took.Seconds(), Rate: rate(p.done.Load(), took)})
}

// insist tries again what a server may do better next time: not what it called wrong.
func (d *Drive) insist(ctx context.Context, i int, do func(context.Context, int) (int64, error)) (done int64, err error) {
	for n := range tries {
		if n > 0 {
			d.triedAgain.Add(1)
			if err := sleep(ctx, d.opts.Backoff<<(n-1)); err != nil {
				return 0, err
			}
		}
		if done, err = do(ctx, i); err == nil || !mayPass(err) || ctx.Err() != nil {
			return done, err
		}
	}
	return 0, err
}

// mayPass says of a failure that the next try may not see it: the server broke, or
// the answer was lost.
func mayPass(err error) bool {
	var refused *idp.SCIMError
	if errors.As(err, &refused) {
		return refused.Status >= http.StatusInternalServerError
	}
	return !errors.Is(err, errAbsent)
}

// count keeps a failure, and ends the drive when there is no point in going on.
func (d *Drive) count(ctx context.Context, cancel context.CancelCauseFunc, err error) {
	if err != nil && ctx.Err() != nil {
		return // the end of the drive is told once
	}
	tried := d.tried.Add(1)
	if err == nil {
		return
	}
	failed := d.failed.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.report.Failures) < told {
		d.report.Failures = append(d.report.Failures, err.Error())
	}
	switch {
	case opensNothing(err):
		cancel(fmt.Errorf("%w: %w", ErrNotAllowed, err))
	case failed >= quarantineAfter && failed*100 > quarantinePercent*tried:
		cancel(fmt.Errorf("%w, lastly: %w", ErrQuarantine, err))
	}
}

func rate(n int64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}

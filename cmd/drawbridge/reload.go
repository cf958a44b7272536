package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// The reasons of a configuration that could not be read at all, beside those of a policy
// that is not applied.
const (
	reasonUnreadable = "unreadable"
	reasonInvalid    = "invalid"
)

// reasonOlder is why a configuration is not in force that a bridge was started with: it says what
// has been replaced since.
const reasonOlder = "older"

// taking is what became of a configuration when it was last to be taken.
type taking struct {
	at      time.Time
	cfg     *config.Config // nil: it could not be read
	outcome bridge.ReloadOutcome
	err     error
	inForce bool  // the policy in force says what it says
	version int64 // of the policy that this was held against
	start   bool  // the bridge started with it: nobody has changed it since
}

// takings keeps the last of them, for the status, the metrics and doctor.
type takings struct {
	mu      sync.Mutex // guards what follows
	last    taking
	watched bool
}

func (t *takings) get() (taking, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.watched
}

func (t *takings) put(last taking) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = last
}

func (t *takings) watch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched = true
}

// take takes a configuration, at the start and whenever it has changed since: its policy
// as bridge.Reload does, then where people sign in. An error leaves both as they are.
func (a *app) take(ctx context.Context, cfg *config.Config, start bool) (t taking) {
	t = taking{at: time.Now(), cfg: cfg, start: start}
	put, err := a.upstreams.Prepare(providers(cfg))
	if err != nil {
		t.err = fault.Wrap(fault.Invalid, "take", err)
		return a.compared(ctx, t)
	}
	hear, listen := a.inbound.Prepare(sources(cfg)), a.receiver.Prepare(listenings(cfg))
	t.outcome, t.err = a.bridge.Reload(ctx, bridge.PolicyFile{Source: cfg.Policy, Name: cfg.Files.Path, Text: []byte(cfg.Text), Start: start})
	if t.err == nil {
		put()
		hear()
		listen()
	}
	return a.compared(ctx, t)
}

// compared says whether the policy in force is that of the configuration.
func (a *app) compared(ctx context.Context, t taking) taking {
	t.version, t.inForce = a.store.PolicyVersion(), false
	if t.cfg != nil {
		same, err := a.bridge.Says(ctx, t.cfg.Policy)
		t.inForce = err == nil && same
	}
	return t
}

// takeFirst takes the configuration that the bridge starts with. A policy that is
// refused leaves the one in force as it is: the bridge runs on with that, and says so.
func (a *app) takeFirst(ctx context.Context) error {
	t := a.take(ctx, a.cfg, true)
	a.takings.put(t)
	var refused *bridge.Refusal
	switch {
	case errors.As(t.err, &refused):
		a.tell(t)
		return nil
	case t.err != nil && a.cfg.Policy.TreeInStore && fault.Is(t.err, fault.Invalid):
		a.tell(t)
		return a.runWithoutFile(ctx)
	case t.err == nil:
		a.tell(t)
	}
	return t.err
}

// runWithoutFile runs on where the scope tree is kept in the store and the file names
// scopes that are not there yet: by the rules in force, or by none, so that the tree can
// be made.
func (a *app) runWithoutFile(ctx context.Context) error {
	now, err := a.bridge.PolicyInForce(ctx)
	if err != nil || now.Version > 0 {
		return err
	}
	_, err = a.bridge.InsecureApplyUnreviewed(ctx, mapping.PolicySource{Scopes: a.cfg.Policy.Scopes, TreeInStore: true})
	return err
}

// tell logs what became of a configuration, with every problem that it has.
func (a *app) tell(t taking) {
	path := a.cfg.Files.Path
	if t.err != nil {
		c := described(path, t)
		a.log.Error("the configuration was not taken; what was in force stays in force", zap.String("reason", c.Reason), zap.String("why", c.Problem),
			zap.String("file", path), zap.String("plan", c.Plan), zap.Strings("problems", c.Problems), zap.String("fix", c.Fix))
		return
	}
	switch {
	case t.outcome.Kept:
		a.log.Info("the configuration's policy has not changed since it was last taken; the one applied by hand stays in force", zap.Int64("version", t.outcome.Applied.Version))
	case t.outcome.Older.Version > 0:
		c := described(path, t)
		a.log.Warn("the configuration's policy was not taken; what is in force stays in force", zap.String("reason", c.Reason), zap.String("why", c.Problem), zap.String("file", path),
			zap.Int64("version", t.outcome.Applied.Version), zap.String("fix", c.Fix))
	case t.outcome.Applied.Changed:
		a.log.Info("the configuration's policy is in force", zap.Int64("version", t.outcome.Applied.Version), zap.String("plan", t.outcome.Plan))
	default:
		a.log.Info("the configuration was taken; its policy is in force already", zap.Int64("version", t.outcome.Applied.Version))
	}
	if keys := t.cfg.AtRestart(a.cfg); len(keys) > 0 {
		a.log.Warn("some of the configuration takes effect when the bridge starts again", zap.Strings("keys", keys))
	}
}

// configuration tells how the configuration stands now.
func (a *app) configuration(ctx context.Context) api.Configuration {
	t, watched := a.takings.get()
	if t.version != a.store.PolicyVersion() {
		t = a.compared(ctx, t)
	}
	c := described(a.cfg.Files.Path, t)
	c.Watched = watched
	if c.Outcome == api.OutcomeKept && c.Problem == "" {
		c.Problem = a.overruled(ctx, t.version)
	}
	if t.cfg != nil {
		c.AtRestart = t.cfg.AtRestart(a.cfg)
	}
	return c
}

// overruled tells whose policy is in force where it is not that of the configuration.
func (a *app) overruled(ctx context.Context, version int64) string {
	now, err := a.bridge.Application(ctx, version)
	switch {
	case err != nil:
		return "another policy is, and how it came to be cannot be told: " + fault.KindOf(err).String()
	case now.Author == bridge.FileAuthor:
		return fmt.Sprintf("version %d was taken from %s, by another node perhaps, and the file has not changed since", version, now.File)
	}
	return "another policy was applied by hand, and the file has not changed since"
}

// problemsTold is how many problems of a configuration are told at most.
const problemsTold = 100

// described tells what became of a configuration, why, and what to do.
func described(path string, t taking) api.Configuration {
	c := api.Configuration{Path: path, At: t.at, InForce: t.inForce, Plan: t.outcome.Plan, Outcome: api.OutcomeTaken}
	if !t.inForce {
		c.Outcome = api.OutcomeKept
	}
	if older := t.outcome.Older; older.Version > 0 && !t.inForce {
		c.Reason, c.Fix = reasonOlder, fmt.Sprintf("drawbridge apply %s puts it in force on purpose; drawbridge plan %s shows what that does", path, path)
		c.Problem = fmt.Sprintf("the file is older than what is in force: it says what version %d of %s said, which has been replaced since, and a start does not undo that",
			older.Version, older.At.Local().Format(time.DateTime))
	}
	if t.err == nil {
		return c
	}
	c.Outcome, c.Reason = api.OutcomeFailed, fault.ReasonOf(t.err)
	if c.Problem = fault.DetailOf(t.err); c.Problem == "" {
		c.Problem = "the bridge could not take it: " + fault.KindOf(t.err).String()
	}
	var broken *config.Problems
	var refused *bridge.Refusal
	switch {
	case errors.As(t.err, &broken):
		c.Reason, c.Fix = reasonInvalid, "drawbridge check "+path
		for _, p := range broken.List[:min(problemsTold, len(broken.List))] {
			c.Problems = append(c.Problems, problemLine(p))
		}
		c.Problem = c.Problems[0]
		if more := len(broken.List) - 1; more > 0 {
			c.Problem += fmt.Sprintf(" (and %d more)", more)
		}
	case t.cfg == nil:
		c.Reason, c.Problem, c.Fix = reasonUnreadable, t.err.Error(), "let the bridge read "+path
	case errors.As(t.err, &refused) && len(refused.Tests) > 0:
		c.Fix = "drawbridge test " + path
		for _, test := range refused.Tests[:min(problemsTold, len(refused.Tests))] {
			c.Problems = append(c.Problems, fmt.Sprintf("test %q%s fails", test.Name, placed(test.Pos)))
		}
	case c.Reason == bridge.ReasonGuard:
		c.Fix = fmt.Sprintf("drawbridge plan %s shows who is concerned; drawbridge apply --plan %s says how to approve", path, c.Plan)
	case passing(t.err):
		c.Fix = "nothing: it is tried again"
	default:
		c.Fix = "drawbridge plan " + path
	}
	return c
}

func problemLine(p config.Problem) string {
	at := p.Pos.String()
	if at == "" {
		at = p.Pos.File
	}
	text := at + ": " + p.Message
	if p.Suggestion != "" {
		text += fmt.Sprintf("; did you mean %q?", p.Suggestion)
	}
	return text
}

// passing reports whether a failure may pass by itself: the store is busy, or the
// directory or the policy moved meanwhile.
func passing(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict, fault.Unsupported, fault.Unauthenticated:
		return false
	case fault.Internal, fault.Stale, fault.Limited, fault.Unavailable:
	}
	return true
}

// examineConfiguration tells a configuration that was not taken.
func (a *app) examineConfiguration(ctx context.Context, say finding) {
	c := a.configuration(ctx)
	switch {
	case c.Outcome == api.OutcomeFailed:
		say(api.LevelFail, c.Fix, "%s was not taken (%s): %s", c.Path, c.Reason, c.Problem)
	case c.Reason == reasonOlder:
		say(api.LevelWarn, c.Fix, "the policy of %s is not in force: %s", c.Path, c.Problem)
	case c.Outcome == api.OutcomeKept:
		say(api.LevelOK, "", "another policy than that of %s is in force: %s", c.Path, c.Problem)
	default:
		say(api.LevelOK, "", "the policy in force is that of %s", c.Path)
	}
	if len(c.AtRestart) > 0 {
		say(api.LevelWarn, "restart the bridge", "%s has changed where that takes effect at a restart: %v", c.Path, c.AtRestart)
	}
}

// reloadMetrics tell whether the configuration as it is was taken.
func reloadMetrics(t *takings) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "drawbridge_policy_reload_successful",
			Help: "1 if the configuration was taken when it was last read, 0 if what was in force before stayed in force."}, func() float64 {
			if last, _ := t.get(); last.err != nil {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "drawbridge_policy_reload_timestamp_seconds",
			Help: "When the configuration was last read to be taken."}, func() float64 {
			last, _ := t.get()
			return float64(last.at.UnixMilli()) / 1000
		}),
	}
}

// follower takes the configuration again when it has changed, and when it is told to.
type follower struct {
	*app
	load   func() (*config.Config, error)
	hangup <-chan os.Signal

	files   config.Files  // what was read last
	seen    string        // what it looked like then
	pending string        // what it looked like at the last look, if that was new
	retry   time.Time     // of a failure that may pass; zero: none
	wait    time.Duration // until the next but one
	told    string        // the failure that was told last
}

// lookEvery is how often the configuration is looked at.
const lookEvery = 2 * time.Second

// maxRetry is how long a failure that may pass is waited for at most.
const maxRetry = time.Minute

// follow makes the bridge follow its configuration, once it runs.
func (a *app) follow(load func() (*config.Config, error), hangup <-chan os.Signal) *follower {
	f := &follower{app: a, load: load, hangup: hangup, files: a.cfg.Files, seen: a.cfg.Files.Sum}
	a.takings.watch()
	if last, _ := a.takings.get(); last.err != nil {
		f.failed(last)
	}
	return f
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.hangup:
			f.told = "" // who asks is answered
			f.reload(ctx, false)
		case <-tick.C:
			f.look(ctx)
		}
	}
}

// look compares what the files hold with what was taken of them. What is new must look
// the same twice: a file may be half written, and a directory half copied.
func (f *follower) look(ctx context.Context) {
	now := looks(f.files)
	last, _ := f.takings.get()
	switch {
	case now != f.seen && now != f.pending:
		f.pending = now
	case now != f.seen:
		f.reload(ctx, false)
	case !f.retry.IsZero() && !time.Now().Before(f.retry):
		f.reload(ctx, last.start)
	case last.version != f.store.PolicyVersion():
		f.moved(ctx, last)
	default:
		f.pending = ""
	}
}

// looks is what the files hold, or why that cannot be told.
func looks(files config.Files) string {
	sum, err := files.Look()
	if err != nil {
		return err.Error()
	}
	return sum
}

// moved is what follows when somebody else has put another policy in force: one that was
// refused may have been approved of by name, or the scopes that it lacked may be there.
func (f *follower) moved(ctx context.Context, last taking) {
	now := f.compared(ctx, last)
	lacked := last.cfg != nil && last.cfg.Policy.TreeInStore && fault.Is(last.err, fault.Invalid)
	if last.err != nil && (now.inForce || lacked) {
		f.taken(ctx, f.take(ctx, last.cfg, last.start))
		return
	}
	f.takings.put(now)
}

// reload reads the configuration anew and takes it; start as for a taking.
func (f *follower) reload(ctx context.Context, start bool) {
	f.pending = ""
	cfg, err := f.load()
	var broken *config.Problems
	switch {
	case err == nil:
		f.files, f.seen = cfg.Files, cfg.Files.Sum
		f.taken(ctx, f.take(ctx, cfg, start))
		return
	case errors.As(err, &broken):
		f.files, f.seen = broken.Files, broken.Files.Sum
	default:
		f.seen = looks(f.files)
	}
	f.taken(ctx, taking{at: time.Now(), err: err, version: f.store.PolicyVersion()})
}

// taken keeps and tells what became of a configuration.
func (f *follower) taken(ctx context.Context, t taking) {
	if ctx.Err() != nil {
		return // the bridge stops: nothing failed
	}
	f.takings.put(t)
	if t.err != nil {
		f.failed(t)
		return
	}
	f.retry, f.wait, f.told = time.Time{}, 0, ""
	f.tell(t)
}

// failed tells a failure, once for as long as it is the same, and says when to try again.
func (f *follower) failed(t taking) {
	f.retry = time.Time{}
	if t.cfg != nil && passing(t.err) {
		f.wait = min(max(2*f.wait, lookEvery), maxRetry)
		f.retry = time.Now().Add(f.wait)
	}
	c := described(f.cfg.Files.Path, t)
	said := c.Reason + c.Problem + fmt.Sprint(slices.Concat(c.Problems, []string{c.Plan}))
	if said != f.told {
		f.told = said
		f.tell(t)
	}
}

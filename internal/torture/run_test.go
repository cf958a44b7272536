//go:build lanes

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history"
	"github.com/drawbridge-id/drawbridge/internal/idp"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// seedVariable repeats the choices of a run; longVariable makes the runs long.
const (
	seedVariable = "TORTURE_SEED"
	longVariable = "TORTURE_LONG"
)

// quickly is how long one question may take.
const quickly = 4 * time.Second

func long() bool { return os.Getenv(longVariable) != "" }

// pick gives the one value in a short run, and the other in a long one.
func pick[T any](short, ifLong T) T {
	if long() {
		return ifLong
	}
	return short
}

// run is one time that everybody does something while something breaks.
type run struct {
	*world
	t      testing.TB
	seed   uint64
	rec    *recorder
	ctx    context.Context // ends when the run is over
	serial *atomic.Int64
	groups map[string]string // by fleet

	stop   context.CancelFunc
	actors sync.WaitGroup
}

// newRun begins a run: its seed is printed, and can be given.
func (w *world) newRun(t testing.TB) *run {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("to repeat it: %s=%d", seedVariable, seed)
	r := &run{world: w, t: t, seed: seed, rec: newRecorder(), serial: &atomic.Int64{}, groups: map[string]string{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	for id, places := range fleets {
		a := r.actor("groups of "+id, w.customers[id])
		for _, fleet := range places {
			made := a.insist("group", func(ctx context.Context) (err error) {
				r.groups[fleet], _, err = a.idp.PushGroup(ctx, idp.Group{ObjectID: "grp-" + group(fleet), Name: group(fleet)}, nil)
				return err
			}, func(attempt) {})
			if !made || r.groups[fleet] == "" {
				t.Fatalf("the group of %s was not made", fleet)
			}
		}
	}
	return r
}

// act lets an actor do one thing again and again until the run is over.
func (r *run) act(a *actor, once func(*actor)) {
	r.actors.Go(func() {
		for r.ctx.Err() == nil {
			once(a)
		}
	})
}

// everybody begins: leavers and switchers of both vendors, refreshers and redeemers that race,
// groups that many change, and whoever shows all kinds of credentials everywhere.
func (r *run) everybody(impatient time.Duration) {
	banksia, tundra := r.customers["banksia-entra"], r.customers["tundra-okta"]
	for n := range 2 {
		for _, c := range []*customer{banksia, tundra} {
			a := r.actor(fmt.Sprint("leaver ", c.id, n), c)
			a.impatient = impatient
			r.act(a, leaver)
		}
	}
	for n, c := range []*customer{banksia, tundra} {
		r.act(r.actor(fmt.Sprint("switcher ", n), c), switcher)
		r.act(r.actor(fmt.Sprint("refresher ", n), c), refresher)
		r.act(r.actor(fmt.Sprint("redeemer ", n), c), redeemer)
	}
	r.act(r.actor("warden", tundra), warden)
	r.members(banksia)
	for n := range 2 {
		r.act(r.actor(fmt.Sprint("prober ", n), banksia), prober)
	}
}

// end lets everybody finish, and waits.
func (r *run) end() {
	r.stop()
	r.actors.Wait()
}

// pass lets time pass.
func (r *run) pass(d time.Duration) {
	select {
	case <-r.ctx.Done():
	case <-time.After(d):
	}
}

// goes waits until a verb has been done so often more: what was broken works again.
func (r *run) goes(verb string, more int, patience time.Duration) {
	r.t.Helper()
	before := r.rec.count(verb)
	if err := lanes.Until(patience, func() error {
		if r.rec.count(verb) < before+more {
			return errors.New("it does not go on")
		}
		return nil
	}); err != nil {
		r.t.Errorf("%s: %d times in %s, want %d. What got no answer:\n%s", verb, r.rec.count(verb)-before, patience, more, r.rec.unanswered())
	}
}

func (r *recorder) keysOf(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.record.Credentials) - 1; i >= 0; i-- {
		if r.record.Credentials[i].ID == id {
			return r.record.Credentials[i].Keys
		}
	}
	return nil
}

// forgiving excuses the refusals that lost records make: whoever loses a family signs in again.
func forgiving(u history.Use) bool { return u.Door == refreshing }

// everything is excused where a clock is wrong: who judges by it may refuse, never accept.
func everything(history.Use) bool { return true }

// strict excuses nothing.
func strict(history.Use) bool { return false }

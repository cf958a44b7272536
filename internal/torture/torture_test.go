//go:build lanes

package torture

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history/models"
)

// nemesis is something that breaks, and is mended, while everybody goes on.
type nemesis struct {
	name      string
	inShort   bool
	hurt      func(*run)
	impatient time.Duration // how soon identity providers hang up, half of the time
	skewed    bool          // a node's clock is wrong: it, and others of what it made, may refuse what is good
	loses     bool          // what Redis kept may be lost: whoever loses a family signs in again
}

// suffer lets everybody work, breaks something, and judges what they saw.
func (w *world) suffer(t *testing.T, n nemesis) {
	r := w.newRun(t)
	defer r.end()
	r.everybody(n.impatient)
	r.goes("sign in", 5, patience)
	r.pass(pick(time.Second, 4*time.Second))
	n.hurt(r)
	for _, d := range w.nodes {
		d.ready()
	}
	for _, verb := range []string{"sign in", "deactivate", "leave", "refresh", "switch"} {
		r.goes(verb, 1, patience)
	}
	r.end()
	excused, tells := strict, func(models.Step) bool { return true }
	if n.loses {
		excused = forgiving
	}
	if n.skewed {
		excused, tells = everything, func(s models.Step) bool { return s.Outcome != models.Refused }
	}
	r.rec.judgeSteps(t, excused, tells)
	if testing.Verbose() || t.Failed() {
		t.Logf("what got no answer:\n%s", r.rec.unanswered())
	}
	w.addsUp(t)
}

// Three nodes on one PostgreSQL and one Redis: whatever breaks between them, nothing that has
// ended is accepted by any of them once the end was answered, and what was lost is nothing
// that was acknowledged.
func TestThreeNodes(t *testing.T) {
	w := newWorld(t, 3)
	for _, n := range slices.Concat(processes(), links(), caches(), databases()) {
		if n.inShort || long() {
			t.Run(n.name, func(t *testing.T) { w.suffer(t, n) })
		}
	}
}

// One node on SQLite: the lane's own measure, and the promise of the smallest deployment.
func TestOneNode(t *testing.T) {
	w := newWorld(t, 0)
	only := w.nodes[0]
	for _, n := range []nemesis{
		{name: "nothing", inShort: true, hurt: func(r *run) { r.pass(pick(2*time.Second, 10*time.Second)) }},
		{name: "paused", hurt: func(r *run) {
			only.pause()
			r.pass(pick(3*time.Second, 30*time.Second))
			only.proceed()
		}},
		{name: "killed", inShort: true, hurt: func(r *run) {
			only.Kill()
			only.again()
		}},
	} {
		if n.inShort || long() {
			t.Run(n.name, func(t *testing.T) { w.suffer(t, n) })
		}
	}
}

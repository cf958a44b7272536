//go:build lanes

package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/drawbridge-id/drawbridge/internal/history"
	"github.com/drawbridge-id/drawbridge/internal/history/models"
)

// recorder keeps what everybody saw, by one clock.
type recorder struct {
	began time.Time

	mu      sync.Mutex // guards the rest
	record  history.Record
	objects map[string]*object
	tallies map[string]map[string]int // by verb, by outcome
	errors  map[string]int            // the texts of what got no answer, for reports
	took    map[string][]time.Duration
	holder  map[string]holding // by credential: what opens the door
	all     []string           // credentials in the order in which they were made
}

// object is something whose steps a model explains.
type object struct {
	of    porcupine.NondeterministicModel
	steps []models.Step
}

// holding is a token, as it is shown.
type holding struct{ token, door string }

func newRecorder() *recorder {
	return &recorder{began: time.Now(), objects: map[string]*object{}, tallies: map[string]map[string]int{}, errors: map[string]int{}, took: map[string][]time.Duration{}, holder: map[string]holding{}}
}

func (r *recorder) now() time.Duration { return time.Since(r.began) }

// tally counts what came of a verb, and how long it took.
func (r *recorder) tally(verb string, o models.Outcome, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tallies[verb] == nil {
		r.tallies[verb] = map[string]int{}
	}
	r.tallies[verb][o.String()]++
	if o == models.Accepted {
		r.took[verb] = append(r.took[verb], took)
	}
	if err != nil && o == models.Unknown && len(r.errors) < 200 {
		r.errors[verb+": "+shortened(err)]++
	}
}

func shortened(err error) string {
	s := err.Error()
	if at := strings.LastIndex(s, "127.0.0.1:"); at >= 0 {
		if colon := strings.Index(s[at:], ": "); colon > 0 {
			s = s[at+colon+2:]
		}
	}
	return s[:min(len(s), 160)]
}

// made keeps a credential, and what it stands on.
func (r *recorder) made(id string, h holding, at history.Span, keys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Credentials = append(r.record.Credentials, history.Credential{ID: id, Made: at, Keys: keys})
	r.holder[id] = h
	r.all = append(r.all, id)
}

func (r *recorder) ended(e history.End) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Ends = append(r.record.Ends, e)
}

func (r *recorder) begun(key string, at history.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Begins = append(r.record.Begins, history.Begin{Key: key, At: at})
}

// used keeps an answer; no answer is none.
func (r *recorder) used(id, door, node string, at history.Span, o models.Outcome) {
	if o == models.Unknown {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Uses = append(r.record.Uses, history.Use{Credential: id, Door: door, Node: node, At: at, Accepted: o == models.Accepted})
}

// object begins what a model explains.
func (r *recorder) object(name string, of porcupine.NondeterministicModel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects[name] = &object{of: of}
}

func (r *recorder) step(name string, s models.Step) {
	if s.Outcome == models.Unknown {
		s.At.To = history.Open
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.objects[name]
	o.steps = append(o.steps, s)
}

// pick is a credential that was made lately, or any, by two drawn numbers.
func (r *recorder) pick(which, far int) (id string, h holding, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return "", holding{}, false
	}
	from := 0
	if far%3 > 0 {
		from = max(0, len(r.all)-60)
	}
	id = r.all[from+which%(len(r.all)-from)]
	return id, r.holder[id], true
}

// judge says all that is wrong with what was seen. What a model could not decide in time
// is counted, and told.
func (r *recorder) judge(t testing.TB, excused func(history.Use) bool) {
	t.Helper()
	r.judgeSteps(t, excused, func(models.Step) bool { return true })
}

// judgeSteps leaves out of the models' histories what says nothing.
func (r *recorder) judgeSteps(t testing.TB, excused func(history.Use) bool, tells func(models.Step) bool) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	wrong := 0
	say := func(format string, args ...any) {
		if wrong++; wrong <= 20 {
			t.Errorf(format, args...)
		}
	}
	for _, v := range history.Outlived(r.record) {
		say("I-1, I-2: %s", v)
	}
	for _, u := range history.Unasked(r.record) {
		if !excused(u) {
			say("refused for nothing: %s by %s at %s, %s", u.Credential, u.Node, u.Door, u.At)
		}
	}
	undecided := 0
	for _, name := range slices.Sorted(keysOf(r.objects)) {
		o := r.objects[name]
		steps := slices.DeleteFunc(slices.Clone(o.steps), func(s models.Step) bool { return !tells(s) })
		switch models.Check(o.of, steps, 5*time.Second) {
		case porcupine.Illegal:
			say("%s: no order explains what was seen:\n%s", name, listed(steps))
		case porcupine.Unknown:
			undecided++
		}
	}
	if wrong > 0 {
		t.Logf("what was seen is in %s", r.keep(t))
	}
	t.Logf("%d credentials, %d ends, %d uses, %d modelled (%d undecided); %s", len(r.record.Credentials), len(r.record.Ends), len(r.record.Uses), len(r.objects), undecided, r.summaryLocked())
}

func keysOf[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func listed(steps []models.Step) string {
	var b strings.Builder
	sorted := slices.Clone(steps)
	slices.SortFunc(sorted, func(a, b models.Step) int { return int(a.At.From - b.At.From) })
	for _, s := range sorted {
		fmt.Fprintf(&b, "  %s at %s: %s %s: %s %s\n", s.At, s.Node, s.Asked.Verb, s.Asked.What, s.Outcome, s.Got)
	}
	return b.String()
}

func (r *recorder) summaryLocked() string {
	var parts []string
	for _, verb := range slices.Sorted(keysOf(r.tallies)) {
		n, took := r.tallies[verb], r.took[verb]
		slices.Sort(took)
		part := fmt.Sprintf("%s %d+%d?%d", verb, n[models.Accepted.String()], n[models.Refused.String()], n[models.Unknown.String()])
		if len(took) > 0 {
			part += fmt.Sprintf(" (p50 %s, longest %s)", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ") + " (accepted+refused?unanswered)"
}

// count is how often a verb was accepted.
func (r *recorder) count(verb string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tallies[verb][models.Accepted.String()]
}

// unanswered lists why, the most frequent first.
func (r *recorder) unanswered() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := slices.Collect(keysOf(r.errors))
	slices.SortFunc(texts, func(a, b string) int { return r.errors[b] - r.errors[a] })
	var b strings.Builder
	for _, s := range texts[:min(len(texts), 12)] {
		fmt.Fprintf(&b, "  %d × %s\n", r.errors[s], s)
	}
	return b.String()
}

// keep writes all that was seen into a file, for whoever looks for the cause.
func (r *recorder) keep(t testing.TB) string {
	path := filepath.Join(os.TempDir(), "drawbridge-torture-"+strings.ReplaceAll(t.Name(), "/", "-")+".json")
	steps := map[string][]models.Step{}
	for name, o := range r.objects {
		steps[name] = o.steps
	}
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(json.NewEncoder(f).Encode(map[string]any{"record": r.record, "objects": steps}), f.Close())
	}
	if err != nil {
		return err.Error()
	}
	return path
}

package bridge_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// inStore leaves the sample's tree to the store, as a file does that says so.
func inStore(t testing.TB, p *mapping.PolicySource) {
	t.Helper()
	tree, err := access.NewTree(p.Scopes)
	if err != nil {
		t.Fatal(err)
	}
	p.Connections = slices.Clone(p.Connections)
	for i := range p.Connections {
		c := &p.Connections[i]
		c.Root, c.Ceiling.Scope = mapping.ProvisionalID(tree.Path(c.Root)), mapping.ProvisionalID(tree.Path(c.Ceiling.Scope))
	}
	p.Scopes, p.TreeInStore = p.Scopes[:1], true
}

// stored is a world whose tree is kept in the store.
func stored(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) { inStore(t, p) })
	w.settle()
	return w
}

// settle does all that is left to the background work.
func (w *world) settle() {
	w.t.Helper()
	for more := 1; more > 0; {
		n, err := w.bridge.Recompute(w.ctx)
		w.do(err)
		more = n
	}
}

func (w *world) scope(path string) bridge.ScopeDetail {
	w.t.Helper()
	s, err := w.bridge.Scope(w.ctx, path)
	w.do(err)
	return s
}

func text(s string) *string { return &s }

func TestATreeInAFileIsChangedThere(t *testing.T) {
	w := newWorld(t)
	_, err := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/banksia", Slug: "perth", Name: "Perth", TimeZone: "Australia/Perth"})
	if fault.ReasonOf(err) != bridge.ReasonTreeInFile || !strings.Contains(fault.DetailOf(err), "scopes: store") {
		t.Errorf("added to the file's tree: %v", err)
	}
}

// From the file to the store and back, every scope keeps its id and everybody what they hold.
func TestATreeMovesIntoTheStoreAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	before, id, held := w.session(banksia, "oid-sam"), w.scope("southern/banksia/geelong").ID, w.holds("sam@banksia.example")
	for _, change := range []func(*mapping.PolicySource){func(p *mapping.PolicySource) { inStore(t, p) }, func(*mapping.PolicySource) {}, func(p *mapping.PolicySource) { inStore(t, p) }} {
		w.policy(change)
		w.settle()
		w.restart()
		if got := w.scope("southern/banksia/geelong").ID; got != id {
			t.Errorf("the id was %s and is %s", id, got)
		}
		if got := w.holds("sam@banksia.example"); !slices.Equal(got, held) {
			t.Errorf("held %v, now %v", held, got)
		}
	}
	if b, a, _ := w.alive(before); !b || !a {
		t.Error("a session ended")
	}
	w.policy(func(p *mapping.PolicySource) { inStore(t, p); p.Rules = p.Rules[:0] })
	if got := w.scope("southern/banksia/geelong"); got.ID != id || !got.InStore {
		t.Errorf("other rules changed the tree: %+v", got)
	}
}

// TestAFileThatNamesNoStoredScopeIsToldSo: check cannot know the stored tree, so the
// refusal of serve's file is where its author learns what is wrong, and where.
func TestAFileThatNamesNoStoredScopeIsToldSo(t *testing.T) {
	t.Parallel()
	w := stored(t)
	src := samplePolicy(t)
	inStore(t, &src)
	src.Rules[0].Give = "administrator @ southern/nosuch"
	_, err := w.bridge.Reload(w.ctx, bridge.PolicyFile{Source: src, Name: "drawbridge.yaml"})
	if told := fault.DetailOf(err); !fault.Is(err, fault.Invalid) || !strings.Contains(told, "southern/nosuch") && !strings.Contains(told, `"nosuch"`) {
		t.Errorf("refused with %q (%v)", told, err)
	}
}

func TestAScopeIsAddedAndRenamedWhileTheBridgeRuns(t *testing.T) {
	w := stored(t)
	kim := w.person(banksia, "kim@banksia.example", "oid-kim")
	w.group(banksia, "GL Perth Managers", kim)
	add := bridge.NewScope{Under: "southern/banksia", Slug: "perth", Name: "Perth Depot", TimeZone: "Australia/Perth", Location: "Perth WA", By: bridge.TreeAuthor{Author: "ops@vendor.example"}}
	done, err := w.bridge.AddScope(w.ctx, add)
	w.do(err)
	w.settle()
	if held := w.holds("kim@banksia.example"); !done.Changed || done.Scope.Level != access.Fleet || !slices.Contains(held, "primary standard @ southern/banksia/perth") {
		t.Errorf("whose group names the new fleet holds %v; %+v", held, done)
	}
	kims := w.session(banksia, "oid-kim")
	renamed, err := w.bridge.DescribeScope(w.ctx, "southern/banksia/perth", access.Description{Slug: text("fremantle")}, bridge.TreeAuthor{Author: "ops@vendor.example"})
	w.do(err)
	w.settle()
	if held := w.holds("kim@banksia.example"); renamed.Scope.ID != done.Scope.ID || !slices.Contains(held, "primary standard @ southern/banksia/fremantle") {
		t.Errorf("after a rename: %v", held)
	}
	if b, a, r := w.alive(kims); !b || !a || !r {
		t.Error("a rename ended a session")
	}
	all, err := w.bridge.Applications(w.ctx, 0, 2)
	w.do(err)
	for i, from := range []string{"scope rename southern/banksia/perth", "scope add southern/banksia/perth"} {
		if a := all[i]; a.Author != "ops@vendor.example" || a.File != from {
			t.Errorf("version %d is kept as by %q from %q, want from %q", a.Version, a.Author, a.File, from)
		}
	}
	w.restart()
	if s := w.scope("southern/banksia/perth"); s.Path != "southern/banksia/fremantle" || s.TimeZone != "Australia/Perth" || s.Location != "Perth WA" || s.Holds[access.Standard] != 1 {
		t.Errorf("after a restart it is %+v", s)
	}
	for what, wrong := range map[string]bridge.NewScope{
		"no time zone":         {Under: "southern/banksia", Slug: "x", Name: "X"},
		"no such time zone":    {Under: "southern/banksia", Slug: "x", Name: "X", TimeZone: "Mars/Phobos"},
		"a zone of an account": {Under: "southern", Slug: "x", Name: "X", TimeZone: "Australia/Perth"},
		"below a fleet":        {Under: "southern/banksia/geelong", Slug: "x", Name: "X"},
		"no slug":              {Under: "southern", Slug: "X Y", Name: "X"},
		"a former slug":        {Under: "southern/banksia", Slug: "perth", Name: "X", TimeZone: "Australia/Perth"},
		"no name":              {Under: "southern", Slug: "x"},
		"an id that is taken":  {ID: done.Scope.ID, Under: "southern", Slug: "x", Name: "X"},
	} {
		if _, err := w.bridge.AddScope(w.ctx, wrong); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/nowhere", Slug: "x", Name: "X"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("under nothing: %v", err)
	}
}

// What groups call a scope is not taken from it, nor given to another, unseen.
func TestANameThatGroupsUseIsNotTakenAway(t *testing.T) {
	w := stored(t)
	_, rename := w.bridge.DescribeScope(w.ctx, "southern/banksia/geelong", access.Description{Name: text("Corio")}, bridge.TreeAuthor{})
	_, taken := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/banksia", Slug: "corio", Name: "geelong depot", TimeZone: "Australia/Perth"})
	_, slug := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern", Slug: "x", Name: "Banksia Freight"})
	for what, err := range map[string]error{"renamed": rename, "added with a fleet's name": taken, "added with an account's name": slug} {
		if fault.ReasonOf(err) != bridge.ReasonPlanFirst {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Several changes at once are all made, one after the other.
func TestScopesAddedAtOnceAreAllThere(t *testing.T) {
	w := stored(t)
	var adding sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		adding.Go(func() {
			_, errs[i] = w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/banksia", Slug: "new-" + string(rune('a'+i)), Name: "New " + string(rune('A'+i)), TimeZone: "Australia/Perth"})
		})
	}
	adding.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	list, err := w.bridge.Scopes(w.ctx, "southern/banksia", "", 100)
	w.do(err)
	if list.Total != 3+len(errs) {
		t.Errorf("%d scopes: %+v", list.Total, list)
	}
}

func TestAListGoesOnWhereItEnded(t *testing.T) {
	w := stored(t)
	whole, err := w.bridge.Scopes(w.ctx, ".", "", 100)
	w.do(err)
	var paths []string
	for after := access.ScopeID(""); ; {
		part, err := w.bridge.Scopes(w.ctx, ".", after, 3)
		w.do(err)
		for _, s := range part.Scopes {
			paths = append(paths, s.Path)
		}
		if part.Next == "" {
			break
		}
		after = access.ScopeID(part.Next)
	}
	if len(paths) != whole.Total || !slices.ContainsFunc(whole.Scopes, func(s bridge.ScopeView) bool { return s.Path == paths[len(paths)-1] && s.Last }) {
		t.Errorf("in parts %v, whole %d", paths, whole.Total)
	}
	if _, err := w.bridge.Scopes(w.ctx, ".", "scp_gone", 3); !fault.Is(err, fault.Stale) {
		t.Errorf("behind what is gone: %v", err)
	}
}

// A retired scope gives nothing, whoever gave it: what stands on it is dead, and no
// token is made for it.
func TestARetiredScopeEndsWhatPeopleGave(t *testing.T) {
	w := stored(t)
	sam := access.PersonID(w.person(banksia, "sam@banksia.example", "oid-sam"))
	fleet := w.scope("southern/banksia/hobart").ID
	w.permit(banksia, access.Permit{ID: "prm_1", Person: sam, Grant: access.Standard, Scope: fleet, Standing: access.Primary, Request: "req_1"})
	s := w.session(banksia, "oid-sam")
	w.clock.Add(time.Second)
	w.policy(func(p *mapping.PolicySource) { // the tree comes back into the file, where hobart is retired
		withoutRule("hobart-admins")(p)
		for i := range p.Scopes {
			if p.Scopes[i].Slug == "hobart" {
				p.Scopes[i].Retired = w.clock.Now()
			}
		}
	})
	w.allDead(s, "after its scope was retired")
	if _, _, err := w.signIn(banksia, "oid-sam"); err == nil {
		t.Error("signed in to a retired scope")
	}
	if held := w.holds("sam@banksia.example"); len(held) != 0 {
		t.Errorf("holds %v", held)
	}
	if p := w.permits(banksia, sam)[0]; p.EndReason != access.EndPermitScope {
		t.Errorf("the permit: %+v", p)
	}
}

// A list of the whole tree stands for the store where a file is checked without one.
func TestAListedTreeChecksAFile(t *testing.T) {
	w := stored(t)
	list, err := w.bridge.Scopes(w.ctx, ".", "", 100)
	w.do(err)
	whole, err := json.Marshal(list)
	w.do(err)
	src := samplePolicy(t)
	inStore(t, &src)
	checked, err := bridge.WithSnapshot(src, whole)
	w.do(err)
	if _, err := mapping.Compile(checked); err != nil {
		t.Errorf("the sample against its own tree: %v", err)
	}
	list.Scopes = list.Scopes[:2]
	part, err := json.Marshal(list)
	w.do(err)
	for _, body := range []string{string(part), "{", "{}"} {
		if _, err := bridge.WithSnapshot(src, []byte(body)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20s: %v", body, err)
		}
	}
	src.Connections[0].Ceiling.Scope = mapping.ProvisionalID("southern/nowhere")
	if _, err := bridge.WithSnapshot(src, whole); fault.ReasonOf(err) != bridge.ReasonNoScope {
		t.Errorf("a scope that is not there: %v", err)
	}
}

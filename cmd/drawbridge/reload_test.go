package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

const reloadBase = `version: 1
vendor: { name: Lantern Fleet Safety }
server: { public_url: "http://127.0.0.1:8443" }
scopes: { southern: { name: Southern Telematics, accounts: { banksia: { name: Banksia Freight } } } }
guard: { max_people_losing: 0 }
connections:
  banksia-entra: { idp: entra, name: Banksia Freight, ceiling: { scope: southern/banksia, grants: [ standard, elevated ] } }
`

// rulesFor gives standard to the members of each group.
func rulesFor(groups ...string) string {
	text := "rules:\n"
	for _, g := range groups {
		text += fmt.Sprintf("  - { id: %s, from: banksia-entra, group: %s, give: standard @ southern/banksia }\n", strings.ToLower(g), g)
	}
	return text
}

// followed is a bridge that follows a configuration, looked at by hand.
type followed struct {
	*follower
	t    *testing.T
	log  *journal
	stop func()
}

func startFollowing(t *testing.T, path string) *followed {
	t.Helper()
	load := func() (*config.Config, error) {
		cfg, err := config.Load(path, nil)
		if err == nil {
			cfg.Server.Data = filepath.Join(filepath.Dir(path), "data")
		}
		return cfg, err
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	a, err := open(t.Context(), cfg, setting{log: log})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &followed{follower: a.follow(load, nil), t: t, log: log, stop: stop}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// looks looks that often, as time would.
func (f *followed) looks(times int) {
	for range times {
		f.look(f.t.Context())
	}
}

// stands fails unless that version is in force and the configuration stands so.
func (f *followed) stands(when string, version int64, outcome, reason string) api.Configuration {
	f.t.Helper()
	c := f.configuration(f.t.Context())
	if got := f.store.PolicyVersion(); got != version || c.Outcome != outcome || c.Reason != reason || c.InForce != (outcome == api.OutcomeTaken) {
		f.t.Fatalf("%s: version %d, want %d; %+v, want %s %s\n%s", when, got, version, c, outcome, reason, f.log)
	}
	return c
}

func TestAChangeIsTakenWhenItHasStoodStill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, reloadBase+rulesFor("Drivers"))
	f := startFollowing(t, path)
	f.stands("started", 1, api.OutcomeTaken, "")
	write(t, path, reloadBase) // half of it
	f.looks(1)
	write(t, path, reloadBase+rulesFor("Drivers", "Chiefs"))
	f.looks(1)
	f.stands("it still moves", 1, api.OutcomeTaken, "")
	f.looks(1)
	f.stands("it stands still", 2, api.OutcomeTaken, "")
	write(t, path, reloadBase+"nonsense: 1\nmore: 2\n")
	f.looks(5)
	if c := f.stands("broken", 2, api.OutcomeFailed, reasonInvalid); len(c.Problems) != 2 || c.Fix != "drawbridge check "+path {
		t.Errorf("%+v", c)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.looks(5)
	f.stands("gone", 2, api.OutcomeFailed, reasonUnreadable)
	for _, reason := range []string{reasonInvalid, reasonUnreadable} {
		if n := strings.Count(f.log.String(), `"reason":"`+reason+`"`); n != 1 {
			t.Errorf("%s was told %d times:\n%s", reason, n, f.log)
		}
	}
	write(t, path, reloadBase+rulesFor("Drivers", "Chiefs"))
	f.looks(2)
	f.stands("there again", 2, api.OutcomeTaken, "")
}

// TestAConfigMapIsFollowed: Kubernetes exchanges a symbolic link behind the files.
func TestAConfigMapIsFollowed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "conf")
	write(t, filepath.Join(dir, "..one", "rules.yaml"), reloadBase+rulesFor("Drivers"))
	write(t, filepath.Join(dir, "..two", "rules.yaml"), reloadBase+rulesFor("Chiefs"))
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..one", "..data")
	link(filepath.Join("..data", "rules.yaml"), "rules.yaml")
	f := startFollowing(t, dir)
	link("..two", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	f.looks(2)
	f.stands("exchanged", 2, api.OutcomeTaken, "")
	if err := os.RemoveAll(filepath.Join(dir, "..one")); err != nil {
		t.Fatal(err)
	}
	f.looks(3)
	f.stands("and what was is gone", 2, api.OutcomeTaken, "")
}

// member makes a group with somebody in it, over SCIM.
func (f *followed) member(group string) {
	f.t.Helper()
	token, _, err := f.bridge.CreateSCIMToken(f.t.Context(), "banksia-entra", "", time.Hour)
	if err != nil {
		f.t.Fatal(err)
	}
	s := httptest.NewServer(f.public)
	defer s.Close()
	at := s.URL + "/scim/v2/banksia-entra"
	var made struct {
		ID string `json:"id"`
	}
	person := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "kim@banksia.example", "active": true}
	if code := scimCall(f.t, http.MethodPost, at+"/Users", token.Reveal(), person, &made); code != http.StatusCreated {
		f.t.Fatalf("the person: %d", code)
	}
	in := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": group, "members": []any{map[string]any{"value": made.ID}}}
	if code := scimCall(f.t, http.MethodPost, at+"/Groups", token.Reveal(), in, nil); code != http.StatusCreated {
		f.t.Fatalf("the group: %d", code)
	}
}

// TestARefusedFileCanBeApprovedByHand: the guard of the policy in force judges, and the
// status names the plan that is to be approved.
func TestARefusedFileCanBeApprovedByHand(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, reloadBase+rulesFor("Drivers"))
	f := startFollowing(t, path)
	f.member("Drivers")
	write(t, path, reloadBase+rulesFor("Chiefs"))
	f.looks(4)
	c := f.stands("refused", 1, api.OutcomeFailed, bridge.ReasonGuard)
	if c.Plan == "" || !strings.Contains(c.Fix, "drawbridge apply --plan "+c.Plan) || strings.Contains(f.log.String(), "kim@") {
		t.Errorf("%+v\n%s", c, f.log)
	}
	_, err := f.bridge.ApplyPlan(t.Context(), c.Plan, bridge.ApplyOptions{Author: "ada", Reason: "agreed", Approvals: bridge.Approvals{WithoutAccess: []string{"kim@banksia.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	f.looks(1)
	f.stands("approved", 2, api.OutcomeTaken, "")
	// The approved file has been taken: what is applied by hand after it stays.
	other, err := config.Parse("other.yaml", []byte(reloadBase+rulesFor("Chiefs", "Drivers")), nil, config.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.bridge.InsecureApplyUnreviewed(t.Context(), other.Policy); err != nil {
		t.Fatal(err)
	}
	f.stands("by hand", 3, api.OutcomeKept, "")
	f.looks(3)
	f.reload(t.Context(), false) // as SIGHUP does
	f.stands("still by hand", 3, api.OutcomeKept, "")
}

// TestAStartWithTheFileOfBeforeUndoesNothing: a configuration goes from node to node, and one
// that has it not yet is started again. Only a person's act brings the older one back.
func TestAStartWithTheFileOfBeforeUndoesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // of both nodes: they come one after the other, on one directory
	one, two := filepath.Join(dir, "n1.yaml"), filepath.Join(dir, "n2.yaml")
	before, after := reloadBase+rulesFor("Drivers", "Chiefs"), strings.Replace(reloadBase, "banksia: {", "boree: { name: Boree }, banksia: {", 1)+rulesFor("Drivers")
	write(t, one, before)
	write(t, two, before)
	f := startFollowing(t, one)
	write(t, one, after)
	f.looks(2)
	f.stands("the first has the new one", 2, api.OutcomeTaken, "")
	f.stop()

	f = startFollowing(t, two)
	c := f.stands("the second is started with that of before", 2, api.OutcomeKept, reasonOlder)
	if !strings.Contains(c.Problem, "version 1 of ") || !strings.Contains(c.Fix, "drawbridge apply "+two) || !strings.Contains(f.log.String(), `"reason":"older"`) {
		t.Errorf("%+v\n%s", c, f.log)
	}
	f.looks(3)
	f.stands("nothing moves", 2, api.OutcomeKept, reasonOlder)
	write(t, two, "# later\n"+before)
	f.looks(2)
	f.stands("somebody has written it", 3, api.OutcomeTaken, "")
	f.stop()

	f = startFollowing(t, one)
	f.stands("now the first has the older one", 3, api.OutcomeKept, reasonOlder)
	f.reload(t.Context(), false) // as SIGHUP does
	f.stands("somebody said so", 4, api.OutcomeTaken, "")
	f.stop()

	write(t, two, reloadBase+rulesFor("Drivers", "Masters"))
	f = startFollowing(t, two)
	f.stands("what nobody had before is new", 5, api.OutcomeTaken, "")
}

// TestAStartThatIsTriedAgainIsAStart: nobody has written the file meanwhile.
func TestAStartThatIsTriedAgainIsAStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, reloadBase+rulesFor("Drivers"))
	f := startFollowing(t, path)
	next, err := config.Parse("next.yaml", []byte(reloadBase+rulesFor("Chiefs")), nil, config.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.bridge.Reload(t.Context(), bridge.PolicyFile{Source: next.Policy, Name: "next.yaml"}); err != nil { // as another node does
		t.Fatal(err)
	}
	if c := f.stands("another node took another file", 2, api.OutcomeKept, ""); !strings.Contains(c.Problem, "version 2 was taken from next.yaml") {
		t.Errorf("%+v", c)
	}
	last, _ := f.takings.get()
	last.err = fault.New(fault.Unavailable, "test", "the store was busy when it started")
	f.takings.put(last)
	f.retry = time.Now()
	f.looks(1)
	f.stands("tried again", 2, api.OutcomeKept, reasonOlder)
}

// TestTwoWhoChangeThePolicyAtOnce come one after the other, and whoever came last is
// told of truly.
func TestTwoWhoChangeThePolicyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, reloadBase+rulesFor("Drivers"))
	f := startFollowing(t, path)
	for i := range 5 {
		write(t, path, reloadBase+rulesFor("Drivers", fmt.Sprint("File", i)))
		other, err := config.Parse("other.yaml", []byte(reloadBase+rulesFor("Drivers", fmt.Sprint("Hand", i))), nil, config.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { f.reload(t.Context(), false) })
		both.Go(func() {
			if _, err := f.bridge.InsecureApplyUnreviewed(t.Context(), other.Policy); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		last, _ := f.takings.get()
		if last.err != nil {
			if !passing(last.err) || f.retry.IsZero() {
				t.Fatalf("it is not tried again: %v", last.err)
			}
			f.retry = time.Now() // as if that had come
			f.looks(1)
		}
		byFile, err := f.bridge.Says(t.Context(), f.must(f.load()).Policy)
		if err != nil {
			t.Fatal(err)
		}
		byHand, err := f.bridge.Says(t.Context(), other.Policy)
		if c := f.configuration(t.Context()); err != nil || byFile == byHand || c.InForce != byFile || c.Outcome == api.OutcomeFailed {
			t.Errorf("the file's is in force: %v, the other: %v, said is %+v (%v)", byFile, byHand, c, err)
		}
	}
}

func (f *followed) must(cfg *config.Config, err error) *config.Config {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return cfg
}

// TestASignInIsTakenWithItsConnection, and not with a policy that is refused.
func TestASignInIsTakenWithItsConnection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, reloadBase+rulesFor("Drivers"))
	f := startFollowing(t, path)
	signIn := "  banksia-okta: { idp: okta, name: Banksia South, ceiling: { scope: southern/banksia, grants: [ standard ] },\n" +
		"    sign_in: { issuer: \"https://idp.banksia.example\", client_id: lantern, client_secret: for-this-machine-only } }\n"
	known := func() bool {
		err := f.upstreams.Probe(t.Context(), "banksia-okta")
		return err != nil && fault.ReasonOf(err) != upstream.ReasonUnknown // nobody answers there
	}
	failing := "tests: [ { name: no, as: { from: banksia-entra, groups: [ Drivers ] }, primary: none } ]\n"
	write(t, path, reloadBase+signIn+rulesFor("Drivers")+failing)
	f.looks(2)
	f.stands("refused", 1, api.OutcomeFailed, bridge.ReasonTestsFail)
	if known() {
		t.Error("a refused configuration brought a sign-in")
	}
	write(t, path, reloadBase+signIn+rulesFor("Drivers"))
	f.looks(2)
	if c := f.stands("taken", 2, api.OutcomeTaken, ""); !known() || len(c.AtRestart) != 0 {
		t.Errorf("people cannot sign in by what was taken; at a restart: %v", c.AtRestart)
	}
	if strings.Contains(f.log.String(), "for-this-machine-only") {
		t.Error("a secret is in the log")
	}
}

// TestAFileThatLacksAScopeIsTakenWhenItIsThere, where the tree is kept in the store.
func TestAFileThatLacksAScopeIsTakenWhenItIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	stored := strings.Replace(reloadBase, "scopes: { southern: { name: Southern Telematics, accounts: { banksia: { name: Banksia Freight } } } }", "scopes: store", 1)
	write(t, path, stored+rulesFor("Drivers"))
	f := startFollowing(t, path)
	f.stands("nothing is there", 1, api.OutcomeFailed, bridge.ReasonNoScope)
	f.addScope(bridge.NewScope{Under: ".", Slug: "southern", Name: "Southern Telematics"})
	f.looks(1)
	f.stands("half of it", 2, api.OutcomeFailed, bridge.ReasonNoScope)
	f.addScope(bridge.NewScope{Under: "southern", Slug: "banksia", Name: "Banksia Freight"})
	f.looks(1)
	f.stands("it is there", 4, api.OutcomeTaken, "")
}

func (f *followed) addScope(s bridge.NewScope) {
	f.t.Helper()
	if _, err := f.bridge.AddScope(f.t.Context(), s); err != nil {
		f.t.Fatal(err)
	}
}

// TestTheEndOfTheBridgeIsNoFailure of the configuration.
func TestTheEndOfTheBridgeIsNoFailure(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, reloadBase+rulesFor("Drivers"))
	f := startFollowing(t, path)
	write(t, path, reloadBase+rulesFor("Chiefs"))
	ended, end := context.WithCancel(t.Context())
	end()
	f.reload(ended, false)
	if last, _ := f.takings.get(); last.err != nil || strings.Contains(f.log.String(), "not taken") {
		t.Errorf("%v\n%s", last.err, f.log)
	}
}

func TestWhatMayPassByItself(t *testing.T) {
	for _, kind := range fault.Kinds() {
		err := fault.New(kind, "x", "y")
		want := slices.Contains([]fault.Kind{fault.Internal, fault.Stale, fault.Limited, fault.Unavailable}, kind)
		if passing(err) != want {
			t.Errorf("%s: tried again %v", kind, passing(err))
		}
	}
	if c := described("c.yaml", taking{cfg: &config.Config{}, err: io.ErrUnexpectedEOF}); c.Outcome != api.OutcomeFailed || c.Problem == "" || c.Fix == "" {
		t.Errorf("a failure that nobody has a word for: %+v", c)
	}
}

package bridge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// catalogued applies the sample policy with another table of grants.
func (w *world) catalogued(c access.Catalogue) {
	w.t.Helper()
	w.policy(func(p *mapping.PolicySource) { p.Catalogue = c })
}

// TestAWorkflowThatAGrantNoLongerOpensIsInNoToken: the table of grants is judged at
// use. Nobody's assignment or session moves by it; what is introspected, refreshed or
// minted from the commit on is narrower, and what was granted at sign-in comes back
// when the table does.
func TestAWorkflowThatAGrantNoLongerOpensIsInNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	s := w.session(banksia, "oid-sam", "live_view", "reports")
	scopes := func() (introspected, refreshed, told string) {
		t.Helper()
		a, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken)
		w.do(err)
		r, err := w.bridge.AcceptRefresh(w.ctx, s.tokens.RefreshToken)
		w.do(err)
		again, err := w.refresh(s.tokens.RefreshToken)
		w.do(err)
		s.tokens.RefreshToken = again.RefreshToken // the first access token is asked about all the time
		return strings.Join(a.OAuthScopes, " "), strings.Join(again.OAuthScopes, " "), strings.Join(r.OAuthScopes, " ")
	}
	hold := func(when, want string) {
		t.Helper()
		if a, b, c := scopes(); a != want || b != want || c != want {
			t.Errorf("%s: introspection says %q, a refresh gives %q and its introspection %q; want %q", when, a, b, c, want)
		}
	}
	hold("at first", "openid live_view reports")
	w.catalogued(access.Catalogue{Grants: map[access.Grant]access.Terms{access.Standard: {PublicName: "Viewer", Workflows: &[]access.Workflow{access.LiveView}}}})
	hold("narrowed", "openid live_view")
	if b, err := w.bridge.Browser(w.ctx, s.cookie); err != nil || b.Assignment.ID != s.browser.Assignment.ID || b.Session.Version != s.browser.Session.Version || b.Catalogue.PublicName(access.Standard) != "Viewer" {
		t.Errorf("the session moved, or its page does not say the new name: %+v %v", b, err)
	}
	w.catalogued(access.Catalogue{Grants: map[access.Grant]access.Terms{access.Elevated: {Workflows: &[]access.Workflow{}}}})
	hold("another grant's table", "openid live_view reports")
	w.catalogued(access.Catalogue{Grants: map[access.Grant]access.Terms{access.Standard: {Workflows: &[]access.Workflow{access.LiveView, access.UsersManage, access.Reports}}}})
	hold("widened: nobody's tokens say more than was granted at sign-in", "openid live_view reports")
}

// TestTheTableOfGrantsIsOneForEverybodyWhoAsks: explain, /Roles and tokens.
func TestTheTableOfGrantsIsOneForEverybodyWhoAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	low := access.RiskLow
	w.catalogued(access.Catalogue{Grants: map[access.Grant]access.Terms{access.Standard: {PublicName: "Viewer", PublicDescription: "Watches."}},
		Events: map[access.EventFlag]access.Risk{access.EventsStandard: low}, Video: &low})
	found, err := w.bridge.Explain(w.ctx, "sam@banksia.example", "")
	w.do(err)
	if got := found[0].Holds[0].Risk; got != access.RiskLow {
		t.Errorf("explain says the risk is %s", got)
	}
	roles := w.must(200, banksia, "GET", "/Roles", "")["Resources"].([]any)
	if !slices.ContainsFunc(roles, func(r any) bool { m := r.(map[string]any); return m["value"] == "standard" && m["display"] == "Viewer" }) {
		t.Errorf("/Roles says %v", roles)
	}
}

// TestAWrongTableOfGrantsIsNoPolicy: also when it did not come from a file.
func TestAWrongTableOfGrantsIsNoPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	src := samplePolicy(t)
	src.Catalogue = access.Catalogue{Grants: map[access.Grant]access.Terms{access.Associate: {Workflows: &[]access.Workflow{access.LiveView}}}}
	if _, err := w.bridge.ApplyPolicy(w.ctx, src); err == nil || !strings.Contains(err.Error(), "associate never signs in") {
		t.Errorf("a contact that opens something is taken: %v", err)
	}
}

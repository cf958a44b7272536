package steward

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// may is what becomes of somebody who would decide at a scope: "yes", or the reason why
// not; in the transaction and in a snapshot, which must agree.
func (w *world) may(a Actor, path string) string {
	w.t.Helper()
	at := w.scope(path)
	var deciding, reading string
	err := w.steward.reading(w.ctx, a, func(_ *store.View, p *mapping.Policy, _ time.Time, r request.Right) error {
		return decides(r, p.Tree(), at, "request")
	})
	reading = answer(err)
	err = w.steward.deciding(w.ctx, a, func(d *bridge.Deciding, r request.Right) error {
		return decides(r, d.Policy().Tree(), at, "request")
	})
	if deciding = answer(err); deciding != reading {
		w.t.Errorf("%+v at %s: %q in a transaction, %q in a snapshot", a, path, deciding, reading)
	}
	return deciding
}

func answer(err error) string {
	switch {
	case err == nil:
		return "yes"
	case fault.Is(err, fault.NotFound):
		return "not found"
	case !fault.Is(err, fault.Denied):
		return "unexpected: " + err.Error()
	}
	return fault.ReasonOf(err)
}

func TestWhoMayDecideWhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.person(lantern, "Olu", serviceOwners)
	provider := w.person(southern, "Petra", providerAdmins)
	account := w.person(banksia, "Ada", accountAdmins)
	fleet := w.person(banksia, "Finn", hobartAdmins, geelongManagers)
	both := w.person(banksia, "Bea", hobartAdmins, accountAdmins)
	contact := w.person(banksia, "Cara", contacts)
	unmarked := w.acts(banksia, account, access.Administrator)
	unmarked.Manages = false
	inFleet := w.acts(banksia, both, access.Administrator) // the first is at the account
	for _, h := range w.held(banksia, both) {
		if h.Scope == w.scope("southern/banksia/hobart") {
			inFleet.Assignment = h.ID
		}
	}
	elsewhere := w.acts(banksia, account, access.Administrator)
	elsewhere.Connection = tundra
	for _, c := range []struct {
		who   string
		actor Actor
		path  string
		want  string
	}{
		{"the operator", Actor{Operator: "night shift"}, "southern/banksia", ReasonNeedsPerson},
		{"nobody", Actor{}, "southern/banksia", ReasonRightLost},
		{"the host's", w.acts(lantern, owner, access.Administrator), "boreal/tundra/lulea", "yes"},
		{"the host's", w.acts(lantern, owner, access.Administrator), ".", "yes"},
		{"a provider's", w.acts(southern, provider, access.Administrator), "southern/reefline", "yes"},
		{"a provider's, elsewhere", w.acts(southern, provider, access.Administrator), "boreal/tundra", "not found"},
		{"a provider's, above", w.acts(southern, provider, access.Administrator), ".", "not found"},
		{"an account's", w.acts(banksia, account, access.Administrator), "southern/banksia/hobart", "yes"},
		{"an account's, beside", w.acts(banksia, account, access.Administrator), "southern/reefline/cairns", "not found"},
		{"an account's, without the OAuth scope", unmarked, "southern/banksia", ReasonUnmarked},
		{"an account's, without it and outside", unmarked, "boreal", "not found"},
		{"a fleet's", w.acts(banksia, fleet, access.Administrator), "southern/banksia/hobart", "yes"},
		{"a fleet's, above", w.acts(banksia, fleet, access.Administrator), "southern/banksia", "not found"},
		{"a fleet's by a lesser grant", w.acts(banksia, fleet, access.Standard), "southern/banksia/hobart", ReasonSwitchFirst},
		{"a fleet's who is the account's, too", inFleet, "southern/banksia/geelong", ReasonSwitchFirst},
		{"a contact", Actor{Connection: banksia, Person: contact, Assignment: w.held(banksia, contact)[0].ID, Manages: true}, "southern/banksia", ReasonRightLost},
		{"somebody by another's assignment", Actor{Connection: banksia, Person: fleet, Assignment: w.held(banksia, account)[0].ID, Manages: true}, "southern/banksia", ReasonRightLost},
		{"somebody as one of another connection", elsewhere, "southern/banksia", ReasonRightLost},
	} {
		if got := w.may(c.actor, c.path); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.who, c.path, got, c.want)
		}
	}
}

func TestARightIsLostAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const at = "southern/banksia"
	for _, c := range []struct {
		name string
		lose func(p access.PersonID, a *Actor)
	}{
		{"left the group", func(p access.PersonID, _ *Actor) { w.leave(banksia, p, accountAdmins) }},
		{"was switched off", func(p access.PersonID, _ *Actor) { w.activate(banksia, p, false) }},
		{"was switched off and on again", func(p access.PersonID, _ *Actor) {
			w.activate(banksia, p, false)
			w.activate(banksia, p, true)
		}},
		{"was deleted", func(p access.PersonID, _ *Actor) { w.must(204, banksia, "DELETE", "/Users/"+string(p), "") }},
		{"the token is over", func(_ access.PersonID, a *Actor) { a.Token.Expires = w.clock.Now() }},
		{"signed out", func(_ access.PersonID, a *Actor) {
			if err := w.bridge.EndSession(w.ctx, a.Token.Subject.Session, session.EndAdministrator, event.ByAdministrator); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		name := strings.ReplaceAll(c.name, " ", "-")
		p := w.person(banksia, name, accountAdmins)
		a := w.signedIn(banksia, name, w.acts(banksia, p, access.Administrator))
		if got := w.may(a, at); got != "yes" {
			t.Errorf("before %s: %s", c.name, got)
		}
		c.lose(p, &a)
		if got := w.may(a, at); got != ReasonRightLost {
			t.Errorf("%s: %s, want %s", c.name, got, ReasonRightLost)
		}
	}
}

// Another policy makes everybody undecided: whoever it leaves what they act by may go on,
// and whoever loses it may not, whether or not anybody has decided them meanwhile.
func TestAnUndecidedPersonIsDecidedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.acts(banksia, w.person(banksia, "Ada", accountAdmins), access.Administrator)
	finn := w.acts(banksia, w.person(banksia, "Finn", hobartAdmins), access.Administrator)
	p := worldPolicy(t)
	p.Rules = slices.DeleteFunc(p.Rules, func(r mapping.RuleSource) bool { return r.ID == "hobart-admins" })
	w.apply(p)
	for range 2 {
		if got := w.may(finn, "southern/banksia/hobart"); got != ReasonRightLost {
			t.Errorf("who lost it by the policy: %s", got)
		}
		if got := w.may(ada, "southern/banksia/hobart"); got != "yes" {
			t.Errorf("whom the policy leaves alone: %s", got)
		}
	}
}

// A grant for a time counts to the millisecond, whatever anybody has tidied up.
func TestARightHasItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := worldPolicy(t)
	for i := range p.Rules {
		if p.Rules[i].ID == "hobart-admins" {
			p.Rules[i].For = time.Hour
		}
	}
	w.apply(p)
	finn := w.acts(banksia, w.person(banksia, "Finn", hobartAdmins), access.Administrator)
	w.clock.Add(time.Hour - time.Millisecond)
	if got := w.may(finn, "southern/banksia/hobart"); got != "yes" {
		t.Errorf("a millisecond before the end: %s", got)
	}
	w.clock.Add(time.Millisecond)
	if got := w.may(finn, "southern/banksia/hobart"); got != ReasonRightLost {
		t.Errorf("at the end: %s", got)
	}
}

package bridge_test

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// decided reports whether a person's last decision counts, with no more work done.
func (w *world) decided(c access.ConnectionID, person string) bool {
	w.t.Helper()
	now, err := w.store.Current(w.ctx, credential.Subject{Connection: c, Person: access.PersonID(person)})
	w.do(err)
	return now.Decided
}

// TestOnlyWhoIsAffectedIsDecidedAnew: a policy lets the decisions of those count for
// nothing whom it may concern, also after a death right behind its commit; everybody
// else stays decided, and signed in.
func TestOnlyWhoIsAffectedIsDecidedAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change        func(*mapping.PolicySource)
		banksia, lost bool // who is decided anew: banksia's people, and whether that ends their access
	}{
		"another's rule goes":               {withoutRule("southern-support"), false, false},
		"another connection ends":           {withoutConnection(tundra), false, false},
		"a rule of theirs goes":             {withoutRule("banksia-managers"), true, true},
		"a note, an owner":                  {func(p *mapping.PolicySource) { p.Rules[0].Note, p.Rules[0].Owner = "checked", "Ops" }, false, false},
		"a test, a guard":                   {func(p *mapping.PolicySource) { p.Guard.WithoutAccess = &mapping.Share{People: 7} }, false, false},
		"how often their IdP may ask":       {settings(func(c *access.Connection) { c.SCIM.Rate = access.Rate{PerSecond: 7, Burst: 70} }), false, false},
		"their name and their domains":      {settings(func(c *access.Connection) { c.Name, c.Domains = "Banksia", []string{"new.example"} }), false, false},
		"their register is trusted":         {settings(func(c *access.Connection) { c.TrustsCertification = !c.TrustsCertification }), false, false},
		"another fleet":                     {fleet("ballarat"), false, false},
		"a rule about another group":        {withoutRule("banksia-admins"), false, false},
		"their ceiling gains a grant":       {settings(func(c *access.Connection) { c.Ceiling.Grants = append(c.Ceiling.Grants, access.Technician) }), true, false},
		"what they hold gains something":    {guestToo, true, false},
		"a grant demands more of a sign-in": {func(p *mapping.PolicySource) { p.Catalogue = demanding(access.Administrator, 0, "phr") }, false, false},
		"a grant is called otherwise": {func(p *mapping.PolicySource) {
			p.Catalogue = access.Catalogue{Grants: map[access.Grant]access.Terms{access.Administrator: {PublicName: "Chief"}}}
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			sam := w.person(banksia, "sam@banksia.example", "oid-sam")
			w.group(banksia, "GL Geelong Managers", sam)
			s := w.session(banksia, "oid-sam")
			w.policy(c.change)
			if got := !w.decided(banksia, sam); got != c.banksia {
				t.Errorf("is to be decided anew: %t, want %t", got, c.banksia)
			}
			w.restart()
			if got := !w.decided(banksia, sam); got != c.banksia {
				t.Errorf("is to be decided anew after a death: %t, want %t", got, c.banksia)
			}
			if c.lost {
				w.allDead(s, "after the policy that took it")
			} else if browser, _, _ := w.alive(s); !browser {
				t.Error("a policy that takes nothing ended the session")
			}
		})
	}
}

// settings changes banksia's connection.
func settings(change func(*access.Connection)) func(*mapping.PolicySource) {
	return func(p *mapping.PolicySource) {
		p.Connections = slices.Clone(p.Connections)
		at := slices.IndexFunc(p.Connections, func(c access.Connection) bool { return c.ID == banksia })
		p.Connections[at].Ceiling.Grants = slices.Clone(p.Connections[at].Ceiling.Grants)
		change(&p.Connections[at])
	}
}

// TestAChangeThatIsUndoneBeforeItIsSeenStillEndsSessions: what a policy takes and the
// next one gives back was gone in between, and whatever stood on it does not revive;
// policies between that concern nobody do not count.
func TestAChangeThatIsUndoneBeforeItIsSeenStillEndsSessions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes []func(*mapping.PolicySource)
		lives   bool
	}{
		"taken and given back":             {[]func(*mapping.PolicySource){withoutRule("banksia-managers"), unchanged}, false},
		"taken, given back, others' apart": {[]func(*mapping.PolicySource){withoutRule("banksia-managers"), withoutRule("southern-support"), unchanged}, false},
		"others' changes alone":            {[]func(*mapping.PolicySource){withoutRule("southern-support"), withoutConnection(tundra), unchanged}, true},
		"one of theirs among others'": {[]func(*mapping.PolicySource){withoutRule("southern-support"),
			guestToo}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			sam := w.person(banksia, "sam@banksia.example", "oid-sam")
			w.group(banksia, "GL Geelong Managers", sam)
			s := w.session(banksia, "oid-sam")
			for _, change := range c.changes {
				w.policy(change)
			}
			if browser, _, _ := w.alive(s); browser != c.lives {
				t.Errorf("the session lives: %t, want %t", browser, c.lives)
			}
		})
	}
}

func unchanged(*mapping.PolicySource) {}

// guestToo gives banksia's managers something more.
func guestToo(p *mapping.PolicySource) {
	at := slices.IndexFunc(p.Rules, func(r mapping.RuleSource) bool { return r.ID == "banksia-managers" })
	p.Rules[at].Guest = []string{"standard @ southern/banksia/hobart"}
}

// fleet adds a fleet to banksia's account.
func fleet(slug string) func(*mapping.PolicySource) {
	return func(p *mapping.PolicySource) {
		p.Scopes = append(slices.Clone(p.Scopes), access.Scope{ID: access.ScopeID("path:southern/banksia/" + slug), Slug: slug, Level: access.Fleet, Name: slug,
			Parent: "path:southern/banksia", TimeZone: "Australia/Melbourne"})
	}
}

// TestAFleetThatIsAddedConcernsItsOwnGroupAlone: whose group names it gains by it, and
// everybody else stays decided.
func TestAFleetThatIsAddedConcernsItsOwnGroupAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, kim := w.person(banksia, "sam@banksia.example", "oid-sam"), w.person(banksia, "kim@banksia.example", "oid-kim")
	w.group(banksia, "GL Geelong Managers", sam)
	w.group(banksia, "GL Ballarat Managers", kim)
	w.policy(fleet("ballarat"))
	if !w.decided(banksia, sam) || w.decided(banksia, kim) {
		t.Errorf("of Geelong's decided is %t, of Ballarat's %t", w.decided(banksia, sam), w.decided(banksia, kim))
	}
	w.drain()
	if got := w.holds("kim@banksia.example"); len(got) != 1 {
		t.Errorf("kim holds %v", got)
	}
}

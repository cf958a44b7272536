package bridge_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
)

// stops is a world in which one visitor stands at each point of each way.
type stops struct {
	w        *world
	group    string
	visitors []*visitor
	paused   []int // by visitor: how many legs it had made
	service  string
}

// halfway lets somebody make the first legs of a way to an application, one for each number of
// legs; those who have made all have been at the doors, too.
func halfway(t *testing.T, scope string) *stops {
	t.Helper()
	checker := pep("")
	w := newWorld(t, func(w *world) {
		w.web.Consent, w.web.Offline = true, true
		w.web.GrantTypes = []string{oidc.GrantTypeCode, oidc.GrantTypeRefresh, oidc.GrantTypeTokenExchange}
		w.clients = []oidc.Client{w.web, checker}
	})
	w.do(w.bridge.ApplyClients(w.ctx))
	c := &stops{w: w}
	set, err := w.bridge.ServiceToken(w.ctx, oidc.ServiceOrder{Client: checker})
	w.do(err)
	c.service = set.AccessToken
	at := w.front()
	var ids []string
	for n := range len(signInLegs()) + 1 {
		who := fmt.Sprint("oid-kim", n)
		body := strings.NewReplacer("kim@southern.example", fmt.Sprintf("kim%d@southern.example", n), "oid-kim", who).Replace(kimBody)
		person := w.must(201, southern, "POST", "/Users", body)["id"].(string)
		ids = append(ids, person)
		c.visitors = append(c.visitors, &visitor{w: w, at: at, who: who, person: person, scope: scope, cookies: map[string]string{}})
		c.paused = append(c.paused, n)
	}
	c.group = w.group(southern, "Field Installers", ids...)
	for n, v := range c.visitors {
		for _, l := range signInLegs()[:n] {
			l.take(v)
		}
	}
	return c
}

// each does something to every person.
func (c *stops) each(do func(v *visitor)) {
	for _, v := range c.visitors {
		do(v)
	}
}

// ending is something that takes access away, and what it leaves of whom it found after n legs:
// the doors that may be open still. Whoever comes through a door that is not named has a credential that
// outlived its end.
type ending struct {
	name   string
	do     func(c *stops)
	spares func(n int, offline bool) []string
}

var (
	everything = []string{"*"}
	pagesAlone = []string{"/me/", "switch", "decision on the session"} // no application is involved
	tokensOnly = []string{"/me/grants", "userinfo", "auth_request", "SCIM /Me", "introspection, access", "introspection, refresh", "refresh", "exchange"}
)

func nothing(int, bool) []string { return nil }

// since says that whoever had made so many legs loses all, and who had not begins anew.
func since(legs int) func(int, bool) []string {
	return func(n int, _ bool) []string {
		if n < legs {
			return everything
		}
		return nil
	}
}

func endings() []ending {
	patch := func(ops string) func(*stops) {
		return func(c *stops) { c.each(func(v *visitor) { c.w.patchUser(southern, v.person, ops) }) }
	}
	return []ending{
		{"nothing", func(*stops) {}, func(int, bool) []string { return everything }},
		{"inactive by PATCH", patch(`{"op":"replace","path":"active","value":false}`), nothing},
		{"inactive by PATCH as Entra sends it", patch(`{"op":"Replace","path":"active","value":"False"}`), nothing},
		{"inactive by PUT", func(c *stops) {
			c.each(func(v *visitor) {
				c.w.must(200, southern, "PUT", "/Users/"+v.person, strings.NewReplacer("kim@southern.example", v.who+"@southern.example", "oid-kim", v.who, `"active":true`, `"active":false`).Replace(kimBody))
			})
		}, nothing},
		{"deleted", func(c *stops) {
			c.each(func(v *visitor) { c.w.must(204, southern, "DELETE", "/Users/"+v.person, "") })
		}, nothing},
		{"out of the group", func(c *stops) {
			c.each(func(v *visitor) { c.w.removeMember(southern, c.group, v.person) })
		}, nothing},
		{"group deleted", func(c *stops) { c.w.must(204, southern, "DELETE", "/Groups/"+c.group, "") }, nothing},
		{"certification withdrawn: the assignments end", func(c *stops) {
			c.each(func(v *visitor) {
				c.w.do(c.w.bridge.Certify(c.w.ctx, southern, access.PersonID(v.person), access.Certification{Level: "Trainer", Until: c.w.clock.Now().Add(-time.Hour)}))
			})
		}, nothing},
		{"connection suspended", func(c *stops) { c.w.do(c.w.bridge.EndConnection(c.w.ctx, southern)) }, nothing},
		{"connection removed from the policy", func(c *stops) { c.w.policy(withoutConnection(southern)) }, nothing},
		{"rule removed from the policy", func(c *stops) { c.w.policy(withoutRule("southern-installers")) }, nothing},
		{"ceiling lowered", func(c *stops) {
			c.w.policy(func(p *mapping.PolicySource) {
				withoutRule("southern-installers")(p)
				withoutRule("southern-admins")(p)
				at := slices.IndexFunc(p.Connections, func(k connection) bool { return k.ID == southern })
				p.Connections = slices.Clone(p.Connections)
				p.Connections[at].Ceiling.Grants = []access.Grant{access.Elevated}
			})
		}, nothing},
		{"application removed at the reload", func(c *stops) { c.w.apply() }, func(n int, _ bool) []string {
			if n == 0 {
				return nil // nobody is sent to sign in for an application that is not there
			}
			return pagesAlone
		}},
		{"sessions ended by an administrator", func(c *stops) {
			c.each(func(v *visitor) {
				_, err := c.w.bridge.EndPersonSessions(c.w.ctx, southern, access.PersonID(v.person), session.EndAdministrator, event.ByAdministrator)
				c.w.do(err)
			})
		}, since(2)},
		{"all sessions of the connection ended by an administrator", func(c *stops) {
			_, err := c.w.bridge.EndConnectionSessions(c.w.ctx, southern, session.EndAdministrator, event.ByAdministrator)
			c.w.do(err)
		}, since(2)},
		{"everything ended by an administrator", func(c *stops) { c.w.do(c.w.bridge.EndEverything(c.w.ctx, event.ByAdministrator)) }, since(2)},
		{"sessions ended by the person", func(c *stops) {
			c.each(func(v *visitor) { v.do(http.MethodPost, "/me/end-all", nil, "") })
		}, since(2)},
		{"signed out by the person", func(c *stops) {
			c.each(func(v *visitor) { v.do(http.MethodPost, "/me/sign-out", nil, "") })
		}, leavingOffline(2)},
		{"signed out at the identity provider", func(c *stops) {
			c.each(func(v *visitor) { c.w.hearLogout(southern, "", v.who) })
		}, leavingOffline(1)},
		{"revoked by the identity provider", func(c *stops) {
			c.each(func(v *visitor) {
				_, err := c.w.bridge.HearRevocation(c.w.ctx, inbound.Revocation{Message: c.w.message(), Connection: southern, Issuer: idpIssuer(southern), Subject: inbound.Subject{ID: v.who}})
				c.w.do(err)
			})
		}, since(1)},
		{"agreement taken back", func(c *stops) {
			c.each(func(v *visitor) {
				v.do(http.MethodPost, "/me/applications", map[string][]string{"application": {"fleet-web"}}, "")
			})
		}, func(n int, _ bool) []string {
			if n < 4 {
				return everything // nobody had agreed yet
			}
			return pagesAlone
		}},
	}
}

// leavingOffline is since, but for offline access that was given: the browser's end is not its own.
func leavingOffline(legs int) func(int, bool) []string {
	return func(n int, offline bool) []string {
		if offline && n == len(signInLegs()) {
			return tokensOnly
		}
		return since(legs)(n, offline)
	}
}

// TestTB1_TB2_TB3_TB4_TB5_TB14_NoWayOutlivesWhatEndsIt: every way to a credential, stopped at each of its
// legs, times everything that ends access: with the answer to that, whoever goes on gets nothing, and nothing that
// was given before opens a door. What does not depend on it goes on: a matrix that refuses all proves nothing.
func TestTB1_TB2_TB3_TB4_TB5_TB14_NoWayOutlivesWhatEndsIt(t *testing.T) {
	for _, scope := range []string{"openid profile email", "openid profile email offline_access"} {
		for _, e := range endings() {
			t.Run(e.name+", "+scope, func(t *testing.T) {
				t.Parallel()
				c := halfway(t, scope)
				c.w.clock.Add(time.Second)
				e.do(c)
				c.w.clock.Add(time.Second)
				at := c.w.front()
				for i, v := range c.visitors {
					v.at = at
					c.goOn(t, v, c.paused[i], e.spares(c.paused[i], strings.Contains(scope, "offline")))
				}
				_, err := c.w.bridge.AcceptService(c.w.ctx, c.service, oidc.ScopeAuthZEN)
				if lives := !strings.HasPrefix(e.name, "application removed") && !strings.HasPrefix(e.name, "everything"); (err == nil) != lives {
					t.Errorf("an application's own token: %v", err)
				}
			})
		}
	}
}

// goOn lets a visitor make the legs that are left, and tries every door.
func (c *stops) goOn(t *testing.T, v *visitor, n int, spared []string) {
	t.Helper()
	for _, l := range signInLegs()[n:] {
		l.take(v)
	}
	where := "after all legs"
	if n < len(signInLegs()) {
		where = "before " + signInLegs()[n].name
	}
	for _, d := range doors() {
		want := slices.Contains(spared, d.name) || slices.Contains(spared, "*")
		if d.open(v) != want {
			t.Errorf("stopped %s: %s is open: %t, want %t", where, d.name, !want, want)
		}
	}
}

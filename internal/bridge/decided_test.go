package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// deciding runs fn as people do who decide.
func (w *world) deciding(fn func(*bridge.Deciding) error) error {
	return w.bridge.Deciding(w.ctx, event.ByPerson, fn)
}

// tidied does all the background work that ends permits.
func (w *world) tidied() {
	w.t.Helper()
	w.drain()
	for more := 1; more > 0; {
		n, err := w.bridge.TidyPermits(w.ctx)
		w.do(err)
		more = n
	}
}

// permit gives somebody something as people do.
func (w *world) permit(conn access.ConnectionID, t access.Permit) {
	w.t.Helper()
	if t.Kind == "" {
		t.Kind = access.SourceRequest
	}
	if t.Standing == "" {
		t.Standing = access.Guest
	}
	w.do(w.deciding(func(d *bridge.Deciding) error {
		t.Given = d.Now()
		p, err := d.Settled(conn, t.Person)
		if err != nil {
			return err
		}
		dir, err := d.In(conn)
		if err != nil {
			return err
		}
		if err := dir.PutPermit(p, t); err != nil {
			return err
		}
		return d.Decide(conn, p)
	}))
}

// limit takes something from somebody as people do.
func (w *world) limit(conn access.ConnectionID, l access.Limit) {
	w.t.Helper()
	w.do(w.deciding(func(d *bridge.Deciding) error {
		l.Set = d.Now()
		p, err := d.Settled(conn, l.Person)
		if err != nil {
			return err
		}
		dir, err := d.In(conn)
		if err != nil {
			return err
		}
		if err := dir.PutLimit(p, l); err != nil {
			return err
		}
		return d.Decide(conn, p)
	}))
}

func (w *world) permits(conn access.ConnectionID, p access.PersonID) (all []access.Permit) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		all, err = dir.PermitsOf(store.Person{ID: p})
		return err
	}))
	return all
}

// installer is somebody to whom people gave a fleet of another service provider for an hour,
// and who stands on it.
func installer(t *testing.T) (w *world, who access.PersonID, s visit) {
	t.Helper()
	w = newWorld(t)
	who = access.PersonID(w.person(banksia, "kim@banksia.example", "oid-kim"))
	w.permit(banksia, access.Permit{ID: "prm_1", Person: who, Grant: access.Standard, Scope: w.scope("boreal/tundra").ID, Standing: access.Primary,
		Until: w.clock.Now().Add(time.Hour), Request: "req_1", Case: "C-7"})
	return w, who, w.session(banksia, "oid-kim")
}

// What people gave lies above the ceiling of the connection, is used as anything else, and
// ends at its millisecond with nobody working behind it.
func TestWhatPeopleGaveIsUsedUntilItsEnd(t *testing.T) {
	w, who, s := installer(t)
	if b, a, r := w.alive(s); !b || !a || !r {
		t.Errorf("while it lasts: %t %t %t", b, a, r)
	}
	w.clock.Add(w.permits(banksia, who)[0].Until.Sub(w.clock.Now()) - time.Millisecond)
	if held := w.holds("kim@banksia.example"); len(held) != 1 {
		t.Errorf("in the last millisecond: %v", held)
	}
	w.clock.Add(time.Millisecond)
	w.allDead(s, "when its time was over")
	w.tidied()
	if p := w.permits(banksia, who)[0]; p.EndReason != access.EndPermitTime {
		t.Errorf("%+v", p)
	}
	if !w.said(event.PermitEnded, map[string]string{"permit": "prm_1", "reason": access.EndPermitTime, "case": "C-7"}) {
		t.Error("nobody was told")
	}
}

// Deactivation ends it with everything else, and whoever comes back has what rules give.
func TestWhoComesBackHasNothingThatPeopleGave(t *testing.T) {
	w, who, s := installer(t)
	w.patchUser(banksia, string(who), `{"op":"replace","path":"active","value":false}`)
	w.allDead(s, "after deactivation")
	if p := w.permits(banksia, who)[0]; p.EndReason != access.EndPermitDeactivated {
		t.Errorf("%+v", p)
	}
	w.patchUser(banksia, string(who), `{"op":"replace","path":"active","value":true}`)
	if held := w.holds("kim@banksia.example"); len(held) != 0 {
		t.Errorf("revived: %v", held)
	}
}

// A connection that ends takes with it what people gave, also when it is opened again.
func TestAnEndedConnectionRevivesNothingThatPeopleGave(t *testing.T) {
	w, who, s := installer(t)
	w.clock.Add(time.Second)
	w.do(w.bridge.EndConnection(w.ctx, banksia))
	w.allDead(s, "after the connection ended")
	w.clock.Add(time.Second)
	w.policy(func(p *mapping.PolicySource) { p.Rules[0].Note = "again" })
	if held := w.holds("kim@banksia.example"); len(held) != 0 {
		t.Errorf("revived: %v", held)
	}
	w.tidied()
	if p := w.permits(banksia, who)[0]; p.EndReason != access.EndPermitConnection {
		t.Errorf("%+v", p)
	}
}

// offered are the assignments that a session may be switched to, or stand on.
func (w *world) offered(s visit) (all []access.AssignmentID) {
	w.t.Helper()
	b, err := w.bridge.Browser(w.ctx, s.cookie)
	w.do(err)
	for _, g := range b.Choices {
		all = append(all, access.AssignmentID(g.ID))
	}
	return all
}

// A row of an assignment that no permit stands behind any more opens nothing, whoever made
// that so.
func TestARowWithoutALivingPermitOpensNothing(t *testing.T) {
	w, _, s := installer(t)
	w.do(w.rows.Update(w.ctx, "", func(q store.Querier) error { // nobody is decided anew, no integer moves
		_, err := q.Exec(`update permits set ended_at = 1, end_reason = 'revoked'`)
		return err
	}, func() {}))
	if browser, _, refresh := w.alive(s); refresh || browser && len(w.offered(s)) > 0 {
		t.Errorf("tokens were minted: %t; offered: %v", refresh, w.offered(s))
	}
	if _, _, err := w.signIn(banksia, "oid-kim"); err == nil {
		t.Error("signed in")
	}
}

// What people gave and took away is shown with the request and the case, now and for an
// instant of the past, and where it gives nothing, why.
func TestWhatPeopleDecidedIsExplained(t *testing.T) {
	w, who, _ := installer(t)
	fleet := w.scope("southern/banksia/hobart").ID
	w.group(banksia, "GL Hobart Managers", string(who))
	w.permit(banksia, access.Permit{ID: "prm_2", Person: who, Grant: access.Technician, Scope: fleet, Request: "req_2"})
	none := access.EventsNone
	w.limit(banksia, access.Limit{ID: "lim_1", Person: who, Scope: fleet, Grant: access.Standard, Withheld: true})
	w.limit(banksia, access.Limit{ID: "lim_2", Person: who, Scope: w.scope("boreal").ID, Events: &none, NoVideo: true})
	before := w.clock.Now()
	w.clock.Add(2 * time.Hour)
	w.tidied()
	then, err := w.bridge.ExplainAt(w.ctx, string(who), "", before)
	w.do(err)
	e := then[0]
	if len(e.Holds) != 1 || e.Holds[0].Chain[0].Permit == nil || e.Holds[0].Chain[0].Permit.Case != "C-7" || len(e.Holds[0].Limits) != 1 || len(e.Permits) != 2 || len(e.Limits) != 2 {
		t.Errorf("then: %+v", e)
	}
	now, err := w.bridge.Explain(w.ctx, string(who), "")
	w.do(err)
	e = now[0]
	if len(e.Holds) != 0 || len(e.Permits) != 1 || e.Permits[0].Waits != "not_certified" || len(e.Limits[0].Withholds) != 1 || e.Limits[1].Says() != "@ boreal: events at most none, no video" {
		t.Errorf("now: %+v", e)
	}
	holders, err := w.bridge.WhoHas(w.ctx, bridge.HolderQuery{Grant: access.Standard})
	w.do(err)
	if len(holders.Holders) != 0 {
		t.Errorf("who holds: %+v", holders.Holders)
	}
	is := w.simulate(bridge.Supposed{Person: string(who), Certification: &access.Certification{Level: "Trainer"}})
	if len(is.Then.Holds) != 1 || is.Then.Holds[0].Grant != access.Technician {
		t.Errorf("were they certified: %+v", is.Then.Holds)
	}
}

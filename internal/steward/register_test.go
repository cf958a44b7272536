package steward

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/register"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

const installers = "Field Installers" // of southern: technician @ southern/banksia, and guest @ southern/reefline/cairns

var operator = Actor{Operator: "operator"}

// certify puts somebody of southern into the register.
func (w *world) certify(who string, until time.Time) Entry {
	w.t.Helper()
	e, err := w.steward.SetEntry(w.ctx, operator, register.Row{Connection: southern, User: who, Level: "Trainer", Until: until})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// grants are what somebody holds now, as words.
func (w *world) grants(c access.ConnectionID, p access.PersonID) (said []string) {
	w.t.Helper()
	for _, a := range w.held(c, p) {
		if a.ValidAt(w.clock.Now()) {
			said = append(said, string(a.Grant))
		}
	}
	return said
}

// acting reports whether somebody may act by what they signed in with.
func (w *world) acting(a Actor) bool {
	w.t.Helper()
	err := w.steward.reading(w.ctx, a, func(*store.View, *mapping.Policy, time.Time, request.Right) error { return nil })
	if err != nil && fault.ReasonOf(err) != ReasonRightLost {
		w.t.Fatal(err)
	}
	return err == nil
}

// events are how often a fact was recorded.
func (w *world) events(t event.Type) (n int) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Outbox(0, 10000)
		for _, r := range rows {
			if strings.Contains(string(r.Body), `"type":"`+string(t)+`"`) {
				n++
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// Nothing works in the background here: what needs a certification counts to the last
// millisecond before its end, and for nothing from then on.
func TestTechnicianAccessEndsWithTheCertificationWhoeverSleeps(t *testing.T) {
	w := newWorld(t)
	kim := w.person(southern, "kim", installers)
	if w.grants(southern, kim) != nil {
		t.Fatal("technician without a certification")
	}
	until := w.clock.Now().Add(time.Hour)
	if e := w.certify("KIM@southern.example", until); e.Person != kim || e.State != "counts" {
		t.Fatalf("%+v", e)
	}
	a := w.signedIn(southern, "kim", w.acts(southern, kim, access.Technician))
	w.clock.Add(30 * time.Minute)
	renewed := until.Add(6 * time.Hour)
	w.certify("kim@southern.example", renewed)
	a.Token.Expires = renewed.Add(time.Hour)
	if !w.acting(a) || w.events(event.SessionChanged) != 0 {
		t.Error("a renewal before the end touches the session")
	}
	w.clock.Add(6*time.Hour + 30*time.Minute - time.Millisecond)
	if !w.acting(a) {
		t.Error("it ends too early")
	}
	w.clock.Add(time.Millisecond)
	if w.acting(a) || slices.Contains(w.grants(southern, kim), "technician") {
		t.Error("it does not end at its end")
	}
}

func TestALapseIsNoticedOnceAndReviewed(t *testing.T) {
	w := newWorld(t)
	kim := w.person(southern, "kim", installers, "Service Desk")
	w.certify("kim@southern.example", w.clock.Now().Add(time.Hour))
	w.certify("nobody@southern.example", w.clock.Now().Add(time.Hour))
	w.tickRegister()
	if w.events(event.CertificationLapsed) != 0 {
		t.Fatal("it lapses before its end")
	}
	w.clock.Add(time.Hour)
	w.tickRegister()
	w.tickRegister()
	if lapsed, reviews := w.events(event.CertificationLapsed), w.events(event.ReviewStarted); lapsed != 1 || reviews != 1 {
		t.Errorf("%d lapses, %d reviews", lapsed, reviews)
	}
	if got := w.grants(southern, kim); !slices.Equal(got, []string{"elevated"}) {
		t.Errorf("left with %v", got)
	}
	w.certify("kim@southern.example", w.clock.Now().Add(time.Hour))
	if got := w.grants(southern, kim); len(got) != 3 {
		t.Errorf("renewed: %v", got)
	}
	w.clock.Add(time.Hour)
	w.tickRegister()
	if lapsed := w.events(event.CertificationLapsed); lapsed != 2 {
		t.Errorf("%d lapses after another", lapsed)
	}
}

func (w *world) tickRegister() {
	w.t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.steward.TickRegister(w.ctx); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestAnEntryWaitsForItsPersonAndEndsWithThem(t *testing.T) {
	w := newWorld(t)
	if e := w.certify("kim@southern.example", time.Time{}); e.State != "waiting" {
		t.Fatalf("%+v", e)
	}
	other := w.person(tundra, "kim", "gl-lulea-ops") // of another connection: nobody is meant
	kim := w.person(southern, "kim", installers)
	if got := w.grants(southern, kim); len(got) != 2 || len(w.grants(tundra, other)) != 1 {
		t.Errorf("%v", got)
	}
	// Somebody else who is called so later is somebody else.
	w.must(200, southern, "PATCH", "/Users/"+string(kim), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"userName","value":"k@southern.example"},{"op":"replace","path":"emails","value":[{"value":"k@southern.example"}]}]}`)
	second := w.person(southern, "kim", installers)
	if w.grants(southern, second) != nil || len(w.grants(southern, kim)) != 2 {
		t.Error("the entry has moved by itself")
	}
	w.must(204, southern, "DELETE", "/Users/"+string(kim), "")
	third := w.person(southern, "k", installers)
	if w.grants(southern, third) != nil {
		t.Error("the entry has outlived its person")
	}
	// An address counts, too, also when it comes later.
	w.certify("lee.work@southern.example", time.Time{})
	lee := w.person(southern, "lee", installers)
	w.must(200, southern, "PATCH", "/Users/"+string(lee), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"emails","value":[{"value":"Lee.Work@southern.example","primary":true}]}]}`)
	if len(w.grants(southern, lee)) != 2 {
		t.Error("the entry did not take effect with the address")
	}
}

func TestWhatIsTakenBackEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	kim := w.person(southern, "kim", installers)
	w.certify("kim@southern.example", time.Time{})
	a := w.signedIn(southern, "kim", w.acts(southern, kim, access.Technician))
	if err := w.steward.RemoveEntry(w.ctx, operator, southern, string(kim)); err != nil { // found by any of their names
		t.Fatal(err)
	}
	if w.acting(a) || w.grants(southern, kim) != nil {
		t.Error("still a technician")
	}
	if err := w.steward.RemoveEntry(w.ctx, operator, southern, string(kim)); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := w.steward.Entry(w.ctx, operator, southern, "kim@southern.example"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// rows are n people's, the first of whom are here.
func (w *world) rows(n, here int) (rows []register.Row) {
	for i := range n {
		name := fmt.Sprintf("t%d", i)
		if i < here {
			w.person(southern, name, installers)
		}
		rows = append(rows, register.Row{Line: i + 2, Connection: southern, User: name + "@southern.example", Level: "Trainer", Until: w.clock.Now().Add(time.Hour)})
	}
	return rows
}

func TestAnImportGoesOnAndDoesNothingTwice(t *testing.T) {
	w := newWorld(t)
	rows := w.rows(registerPart*2+20, 30)
	dry, err := w.steward.ImportRegister(w.ctx, operator, rows, "register.csv", true)
	if err != nil || !dry.DryRun || dry.Set != len(rows) || dry.Waiting != len(rows)-30 || len(w.entries(operator)) != 0 {
		t.Fatalf("%+v, %v", dry, err)
	}
	broken := &breaks{Context: w.ctx, when: func() bool { return len(w.entries(operator)) > 0 }}
	if _, err := w.steward.ImportRegister(broken, operator, rows, "register.csv", false); err == nil {
		t.Fatal("it went on")
	}
	if n := len(w.entries(operator)); n != registerPart {
		t.Fatalf("%d entries after the first part", n)
	}
	done, err := w.steward.ImportRegister(w.ctx, operator, rows, "register.csv", false)
	if err != nil || done.Set != len(rows)-registerPart || done.Same != registerPart || done.DryRun {
		t.Fatalf("%+v, %v", done, err)
	}
	again, err := w.steward.ImportRegister(w.ctx, operator, rows, "register.csv", false)
	if err != nil || again.Set != 0 || again.Same != len(rows) || w.events(event.RegisterImported) != 2 {
		t.Errorf("%+v, %v", again, err)
	}
	all := w.entries(operator)
	if len(all) != len(rows) || all[0].By != "operator" || all[0].Source != "register.csv" || all[0].Person == "" || len(w.grants(southern, all[0].Person)) != 2 {
		t.Errorf("%d: %+v", len(all), all[0])
	}
}

// breaks is a context that is over from when on.
type breaks struct {
	context.Context
	when func() bool
}

func (b *breaks) Err() error {
	if b.when() {
		return context.Canceled
	}
	return nil
}

// entries are all that somebody sees, read in small pages.
func (w *world) entries(a Actor) (all []Entry) {
	w.t.Helper()
	for after := store.RegisterKey(0); ; {
		page, err := w.steward.Register(w.ctx, a, EntryQuery{After: after, Count: 17})
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if after = page.Next; after == 0 {
			return all
		}
	}
}

func TestAnImportSaysEveryFaultAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	kim := w.person(southern, "kim")
	lee := w.person(southern, "lee")
	w.must(200, southern, "PATCH", "/Users/"+string(lee), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"emails","value":[{"value":"kim@southern.example","primary":true}]}]}`)
	row := func(line int, conn access.ConnectionID, who string) register.Row {
		return register.Row{Line: line, Connection: conn, User: who, Level: "Trainer"}
	}
	done, err := w.steward.ImportRegister(w.ctx, operator, []register.Row{row(2, southern, "kim@southern.example"), row(3, "elsewhere", "kim@southern.example"),
		row(4, southern, "lee@southern.example"), row(5, southern, string(lee)), row(6, southern, string(kim))}, "x", false)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, f := range done.Faults {
		said = append(said, fmt.Sprintf("%d: %s", f.Line, f.Text))
	}
	want := []string{fmt.Sprintf("2: kim@southern.example means several people of southern-entra: %s, %s; name one by id", kim, lee),
		"3: there is no connection elsewhere", fmt.Sprintf("5: %s is the person of line 4", lee)}
	if !slices.Equal(said, want) || !done.DryRun || len(w.entries(operator)) != 0 {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

// The register is the vendor's: a customer's administrator sees of it who works in their
// scope, and changes nothing.
func TestTheRegisterIsTheVendors(t *testing.T) {
	w := newWorld(t)
	id := w.person(southern, "kim", installers)
	w.person(southern, "lee", "Service Desk")
	for _, who := range []string{"kim", "lee", "later"} {
		w.certify(who+"@southern.example", time.Time{})
	}
	boss := w.person(banksia, "boss", accountAdmins)
	hobart := w.person(banksia, "hob", hobartAdmins)
	owner := w.person(lantern, "olga", serviceOwners)
	kim := w.acts(southern, id, access.Technician)
	for _, c := range []struct {
		who  Actor
		sees int
		may  bool
	}{{kim, 1, false}, {operator, 3, true}, {w.acts(lantern, owner, access.Administrator), 3, true}, {w.acts(banksia, boss, access.Administrator), 1, false}, {w.acts(banksia, hobart, access.Administrator), 0, false}} {
		if got := w.entries(c.who); len(got) != c.sees {
			t.Errorf("%+v sees %+v", c.who, got)
		}
		// Neither the place where a page ended, nor a name, tells of what they do not see.
		if page, err := w.steward.Register(w.ctx, c.who, EntryQuery{Count: 1}); err != nil || len(page.Entries) != min(1, c.sees) || (page.Next != 0) != (c.sees > 1) {
			t.Errorf("%+v sees %+v, %v", c.who, page, err)
		}
		for _, conn := range []access.ConnectionID{southern, tundra, "nowhere"} {
			if _, err := w.steward.Entry(w.ctx, c.who, conn, "x@y.example"); err == nil || !strings.Contains(err.Error(), "the register has no entry of x@y.example") {
				t.Errorf("%+v: %v", c.who, err)
			}
		}
		_, err := w.steward.SetEntry(w.ctx, c.who, register.Row{Connection: southern, User: "kim@southern.example", Level: "Trainer"})
		_, err2 := w.steward.ImportRegister(w.ctx, c.who, []register.Row{{Connection: southern, User: "kim@southern.example", Level: "Trainer"}}, "x", true)
		if c.may && (err != nil || err2 != nil) || !c.may && (fault.ReasonOf(err) != ReasonRegisterOfHost || fault.ReasonOf(err2) != ReasonRegisterOfHost) {
			t.Errorf("%+v: %v, %v", c.who, err, err2)
		}
		if _, err := w.steward.Entry(w.ctx, c.who, southern, "later@southern.example"); c.may != (err == nil) {
			t.Errorf("%+v: %v", c.who, err)
		}
	}
}

// What an identity provider says of a certification lapses as well, where it is trusted.
func TestALapseOfWhatTheIdentityProviderSaysIsNoticed(t *testing.T) {
	w := newWorld(t)
	p := worldPolicy(t)
	for i := range p.Connections {
		p.Connections[i].TrustsCertification = true
	}
	w.apply(p)
	end := w.clock.Now().Add(time.Hour)
	kim := access.PersonID(w.must(201, southern, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User",%[1]q],"userName":"kim@southern.example","active":true,
		%[1]q:{"technicianCertification":"Trainer","certificationExpires":%[2]q}}`, schema.FleetURN, end.Format(time.RFC3339)))["id"].(string))
	w.join(southern, string(kim), installers)
	if len(w.grants(southern, kim)) != 2 {
		t.Fatal("not certified")
	}
	w.clock.Add(time.Hour)
	for range 2 {
		if _, err := w.bridge.Recompute(w.ctx); err != nil {
			t.Fatal(err)
		}
		w.tickRegister()
	}
	if lapsed, reviews := w.events(event.CertificationLapsed), w.events(event.ReviewStarted); lapsed != 1 || reviews != 1 || w.grants(southern, kim) != nil {
		t.Errorf("%d lapses, %d reviews, %v", lapsed, reviews, w.grants(southern, kim))
	}
}

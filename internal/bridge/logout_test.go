package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/deliver"
	"github.com/drawbridge-id/drawbridge/internal/egress"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/outbox"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// told is an application that hears of sessions' ends.
type told struct {
	*httptest.Server
	mu     sync.Mutex // guards claims
	claims []map[string]any
}

func (a *told) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	jws, err := jose.ParseSignedCompact(r.PostFormValue("logout_token"), []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims)
	}
	if err != nil || len(r.PostForm) != 1 {
		claims = map[string]any{"error": fmt.Sprint(err, r.PostForm)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.claims = append(a.claims, claims)
}

// hear lets everything be told that has been committed, and gives "reason session" of
// what the application heard since.
func (w *world) hear(a *told) []string {
	w.t.Helper()
	issuer := credential.NewIssuer("http://127.0.0.1:8443", w.ring.Keyring)
	logouts := deliver.Logouts{Applications: w.bridge, Signer: issuer, HTTP: egress.New(egress.Options{InsecureAllowLoopback: true}), Now: w.clock.Now}
	worker := deliver.New(deliver.Config{Store: w.store, Now: w.clock.Now, Senders: map[string]deliver.Sender{deliver.KindLogout: logouts}})
	if _, err := outbox.New(outbox.Config{Store: w.store, Now: w.clock.Now}, logouts).CatchUp(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	for {
		var ready []store.Receiver
		w.do(w.store.View(w.ctx, func(v *store.View) (err error) { ready, err = v.ReadyReceivers(w.clock.Now(), 10); return err }))
		if len(ready) == 0 {
			break
		}
		for _, r := range ready {
			_, err := worker.Serve(w.ctx, r)
			w.do(err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var heard []string
	for _, c := range a.claims {
		heard = append(heard, fmt.Sprint(c["end_reason"], " ", c["sid"]))
	}
	a.claims = nil
	slices.Sort(heard)
	return heard
}

// withTold registers an application that is told.
func withTold(a **told) func(*world) {
	return func(w *world) {
		*a = &told{}
		(*a).Server = httptest.NewServer(*a)
		w.t.Cleanup((*a).Close)
		w.web.BackchannelLogoutURI = (*a).URL + "/logout"
		w.clients = []oidc.Client{w.web}
	}
}

// Every end of a session is told to its applications, once, with its reason.
func TestEveryEndOfASessionIsToldOnce(t *testing.T) {
	t.Parallel()
	var app *told
	w := newWorld(t, withTold(&app))
	kim, group := w.kim()
	begin := func() visit {
		w.clock.Add(time.Second)
		return w.session(southern, "oid-kim")
	}
	w.hear(app)
	for _, end := range []struct {
		reason string
		do     func(v visit)
	}{
		{session.EndSignedOut, func(v visit) { w.do(w.bridge.SignOut(w.ctx, v.browser.Session.ID, session.EndSignedOut)) }},
		{session.EndAdministrator, func(v visit) {
			w.do(w.bridge.EndSession(w.ctx, v.browser.Session.ID, session.EndAdministrator, event.ByAdministrator))
		}},
		{session.EndNoAssignment, func(visit) { w.removeMember(southern, group, kim); w.addMember(southern, group, kim) }},
		{session.EndDeactivated, func(visit) {
			w.patchUser(southern, kim, `{"op":"replace","path":"active","value":"False"}`)
			w.patchUser(southern, kim, `{"op":"replace","path":"active","value":true}`)
		}},
		{session.EndConnection, func(visit) { w.do(w.bridge.EndConnection(w.ctx, southern)) }},
		{session.EndAdministrator, func(visit) {
			w.do(w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.BumpHost() }))
		}},
		{session.EndDeleted, func(visit) { w.must(204, southern, "DELETE", "/Users/"+kim, "") }},
	} {
		v := begin()
		end.do(v)
		w.clock.Add(time.Second)
		w.do(w.bridge.Sweep(w.ctx))
		want := []string{end.reason + " " + string(v.browser.Session.ID)}
		if got := w.hear(app); !slices.Equal(got, want) {
			t.Errorf("heard %v, want %v", got, want)
		}
		if end.reason == session.EndConnection {
			w.do(w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.ResumeConnection(southern, w.clock.Now()) }))
			w.do(w.bridge.Sweep(w.ctx))
			w.tokens[southern] = w.newToken(southern)
		}
	}
	if got := w.hear(app); len(got) != 0 {
		t.Errorf("heard again: %v", got)
	}
}

func (w *world) newToken(c access.ConnectionID) string {
	w.t.Helper()
	token, _, err := w.bridge.CreateSCIMToken(w.ctx, c, "test", time.Hour)
	w.do(err)
	return token.Reveal()
}

// interrupted is an engine that fails at one of a connection's updates to come.
type interrupted struct {
	store.Engine
	conn access.ConnectionID
	left int // updates that still work
}

func (e *interrupted) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	if lane == e.conn {
		e.left--
	}
	if e.left < 0 {
		return fault.New(fault.Unavailable, "test", "the process dies here")
	}
	return e.Engine.Update(ctx, lane, fn, committed)
}

// The end of a connection kills all its sessions by one row, and ends them one by one
// behind that: a crash in between forgets none and tells nobody twice.
func TestTheEndOfAConnectionIsToldToTheLastSession(t *testing.T) {
	t.Parallel()
	var app *told
	w := newWorld(t, withTold(&app))
	w.kim()
	w.do(w.bridge.Sweep(w.ctx)) // of connections that are new
	first := w.session(southern, "oid-kim").browser.Session.ID
	want := []string{session.EndConnection + " " + string(first)}
	w.do(w.store.Update(w.ctx, func(tx *store.Tx) error {
		row, err := tx.Session(first)
		for i := range 2*100 + 7 {
			row.ID, row.Cookie = session.ID(fmt.Sprintf("ses_%03d", i)), credential.DigestOf(fmt.Sprint(i))
			err = errors.Join(err, tx.InsertSession(row), tx.AddSessionClient(row.ID, w.web.ID))
			want = append(want, session.EndConnection+" "+string(row.ID))
		}
		return err
	}))
	w.do(w.bridge.EndConnection(w.ctx, southern))
	dies := &interrupted{conn: southern, left: 1000}
	w.aroundStore = func(e store.Engine) store.Engine { dies.Engine = e; return dies }
	w.restart()
	dies.left = 1
	if err := w.bridge.Sweep(w.ctx); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the sweep was not interrupted: %v", err)
	}
	w.aroundStore = nil
	w.restart()
	heard := w.hear(app)
	if len(heard) == 0 || len(heard) == len(want) {
		t.Errorf("%d were told before the crash", len(heard))
	}
	w.do(w.bridge.Sweep(w.ctx))
	heard = append(heard, w.hear(app)...)
	slices.Sort(heard)
	slices.Sort(want)
	if !slices.Equal(heard, want) {
		t.Errorf("heard of %d, want %d", len(heard), len(want))
	}
	w.do(w.bridge.Sweep(w.ctx))
	if again := w.hear(app); len(again) != 0 {
		t.Errorf("heard again: %v", again)
	}
}

// A code that is redeemed while its session ends gives nothing: who has been told of
// the end needs to be told nothing more.
func TestACodeIsNotRedeemedBehindTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	v := w.session(southern, "oid-kim")
	w.do(w.bridge.SignOut(w.ctx, v.browser.Session.ID, session.EndSignedOut))
	if err := w.bridge.NoteClient(w.ctx, v.browser.Session.ID, "another"); !fault.Is(err, fault.NotFound) || fault.ReasonOf(err) != session.EndSignedOut {
		t.Errorf("an ended session reaches another application: %v", err)
	}
}

// An application with names of its own hears of a session by the sid of its ID token,
// through the bridge and through the browser alike.
func TestAPairwiseApplicationHearsOfASessionByItsOwnSID(t *testing.T) {
	t.Parallel()
	var app *told
	w := newWorld(t, func(w *world) {
		w.web.Sector = "fleet.example"
		withTold(&app)(w)
	})
	w.kim()
	v := w.session(southern, "oid-kim")
	w.hear(app)
	own := w.bridge.SessionFor(w.web, v.browser.Session.ID)
	if own == string(v.browser.Session.ID) {
		t.Fatal("the application has no name of its own for the session")
	}
	reached, err := w.bridge.Reached(w.ctx, v.browser.Session.ID)
	if err != nil || len(reached) != 1 || reached[0].Session != own {
		t.Errorf("reached %+v, %v; want sid %s", reached, err, own)
	}
	w.do(w.bridge.SignOut(w.ctx, v.browser.Session.ID, session.EndSignedOut))
	if got := w.hear(app); !slices.Equal(got, []string{session.EndSignedOut + " " + own}) {
		t.Errorf("heard %v, want sid %s", got, own)
	}
}

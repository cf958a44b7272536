package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
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
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/outbox"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
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

func (w *world) logouts() deliver.Logouts {
	issuer := credential.NewIssuer("http://127.0.0.1:8443", w.ring.Keyring)
	return deliver.Logouts{Applications: w.bridge, Signer: issuer, HTTP: egress.New(egress.Options{InsecureAllowLoopback: true}), Now: w.clock.Now}
}

// hear is the world's, by the transmitter's own relay.
func (tr *transmitter) hear(a *told) []string {
	tr.t.Helper()
	tr.caughtUp()
	return tr.heard(a)
}

// hear lets everything be told that has been committed, and gives "reason session" of
// what the application heard since.
func (w *world) hear(a *told) []string {
	w.t.Helper()
	if _, err := outbox.New(outbox.Config{Store: w.store, Now: w.clock.Now}, w.logouts()).CatchUp(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	return w.heard(a)
}

// heard sends what has been relayed, and gives what the application heard since.
func (w *world) heard(a *told) []string {
	w.t.Helper()
	worker := deliver.New(deliver.Config{Store: w.store, Now: w.clock.Now, Senders: map[string]deliver.Sender{deliver.KindLogout: w.logouts()}})
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

// Every end of a session is told to its applications, once by a logout token and once by
// a signal, with its reason: each reason that package session has.
func TestEveryEndOfASessionIsToldOnce(t *testing.T) {
	t.Parallel()
	ends := waysToEnd()
	for _, reason := range reasonsOf(t) {
		do := ends[reason]
		if do == nil {
			t.Errorf("nothing here ends a session by %q", reason)
			continue
		}
		t.Run(reason, func(t *testing.T) {
			var app *told
			tr := transmitting(t, newWorld(t, withTold(&app), func(w *world) {
				w.web.Offline, w.web.Consent = true, true
				w.clients = []oidc.Client{w.web}
			}))
			kim, group := tr.kim()
			cookie, b := tr.mustSignIn(southern, "oid-kim")
			tr.do(tr.bridge.Agree(tr.ctx, cookie, hot.AuthRequest{Client: tr.web.ID, OAuthScopes: []string{"email", oidc.ScopeOffline, "openid"}}))
			tr.do(tr.bridge.SignOut(tr.ctx, b.Session.ID, session.EndSignedOut))
			v := tr.session(southern, "oid-kim")
			stream := tr.stream(string(tr.web.ID), polled)
			tr.hear(app)
			tr.drained(string(tr.web.ID), stream)
			tr.clock.Add(time.Second)
			id := do(tr.world, ended{v, kim, group})
			tr.clock.Add(time.Second)
			tr.do(tr.bridge.Sweep(tr.ctx))
			tr.do(tr.bridge.Sweep(tr.ctx))
			if got, want := tr.hear(app), []string{reason + " " + string(id)}; !slices.Equal(got, want) {
				t.Errorf("heard %v, want %v", got, want)
			}
			if got := tr.revoked(tr.web.ID, stream); !slices.Equal(got, []string{reason}) {
				t.Errorf("signalled %v, want %s", got, reason)
			}
			if err := tr.bridge.SignOut(tr.ctx, id, session.EndSignedOut); err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
			if got := slices.Concat(tr.hear(app), tr.revoked(tr.web.ID, stream)); len(got) != 0 {
				t.Errorf("told again: %v", got)
			}
		})
	}
}

// revoked are the reasons of the session-revoked that have come to an application's stream since.
func (tr *transmitter) revoked(client access.ClientID, stream string) (reasons []string) {
	tr.t.Helper()
	for _, claims := range tr.drained(string(client), stream) {
		if uri, what := eventIn(claims); uri == string(ssf.SessionRevoked) {
			reasons = append(reasons, fmt.Sprint(what["end_reason"]))
		}
	}
	return reasons
}

// reasonsOf are the End reasons that package session declares.
func reasonsOf(t *testing.T) (all []string) {
	t.Helper()
	src, err := os.ReadFile("../session/session.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:\t|const )End\w+ += "([a-z_]+)"`).FindAllSubmatch(src, -1) {
		all = append(all, string(m[1]))
	}
	if len(all) < 20 {
		t.Fatalf("found %v alone", all)
	}
	return all
}

// ended is what a test ends: a session of somebody who is in a group.
type ended struct {
	visit
	person, group string
}

// waysToEnd end a session with each reason, and give the one that has ended.
func waysToEnd() map[string]func(w *world, e ended) session.ID {
	this := func(do func(w *world, e ended)) func(*world, ended) session.ID {
		return func(w *world, e ended) session.ID { do(w, e); return e.browser.Session.ID }
	}
	by := func(reason string, who event.Actor) func(*world, ended) session.ID {
		return this(func(w *world, e ended) { w.do(w.bridge.EndSession(w.ctx, e.browser.Session.ID, reason, who)) })
	}
	signalled := func(ty ssf.Type) func(*world, ended) session.ID {
		return this(func(w *world, _ ended) {
			s := w.signalOf(southern, ty, inbound.EffectPerson)
			s.User = inbound.Subject{Issuer: idpIssuer(southern), ID: "oid-kim"}
			w.hearSignal(s)
		})
	}
	return map[string]func(*world, ended) session.ID{
		session.EndSignedOut:     this(func(w *world, e ended) { w.do(w.bridge.SignOut(w.ctx, e.browser.Session.ID, session.EndSignedOut)) }),
		session.EndReplaced:      by(session.EndReplaced, event.ByPerson),
		session.EndAdministrator: this(func(w *world, _ ended) { w.do(w.bridge.EndEverything(w.ctx, event.ByAdministrator)) }),
		session.EndNoAssignment:  this(func(w *world, e ended) { w.removeMember(southern, e.group, e.person) }),
		session.EndDeactivated: this(func(w *world, e ended) {
			w.patchUser(southern, e.person, `{"op":"replace","path":"active","value":"False"}`)
		}),
		session.EndDeleted:    this(func(w *world, e ended) { w.must(204, southern, "DELETE", "/Users/"+e.person, "") }),
		session.EndConnection: this(func(w *world, _ ended) { w.do(w.bridge.EndConnection(w.ctx, southern)) }),
		session.EndSubject: this(func(w *world, e ended) {
			w.patchUser(southern, e.person, `{"op":"replace","path":"externalId","value":"oid-other"}`)
		}),
		session.EndExpired: this(func(w *world, e ended) { w.clock.Add(e.browser.Session.Expires.Sub(w.clock.Now())) }),
		session.EndElsewhere: this(func(w *world, e ended) {
			other, _ := w.mustSignIn(southern, "oid-kim")
			w.do(w.bridge.EndOwn(w.ctx, other, e.browser.Session.ID))
		}),
		session.EndRefreshReused: reuse,
		session.EndIdPLogout:     by(session.EndIdPLogout, event.ByIdP),
		session.EndIdPRevoked: this(func(w *world, e ended) {
			_, err := w.bridge.EndPersonSessions(w.ctx, southern, access.PersonID(e.person), session.EndIdPRevoked, event.ByIdP)
			w.do(err)
		}),
		session.EndIdPExpired:    by(session.EndIdPExpired, event.ByIdP),
		session.EndIdPRefused:    by(session.EndIdPRefused, event.ByIdP),
		session.EndIdPSilent:     by(session.EndIdPSilent, event.ByBridge),
		session.EndIdPSession:    signalled(inbound.SessionsRevoked),
		session.EndIdPDisabled:   signalled(ssf.AccountDisabled),
		session.EndIdPCredential: signalled(inbound.CredentialChange),
		session.EndConsent:       this(func(w *world, e ended) { w.do(w.bridge.Withdraw(w.ctx, e.cookie, w.web.ID)) }),
	}
}

// reuse uses a refresh token of an offline session twice, and gives that session.
func reuse(w *world, e ended) session.ID {
	code, err := w.issued(e.browser, func(r *hot.AuthRequest) { r.OAuthScopes = []string{"openid", oidc.ScopeOffline} })
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	_, err = w.refresh(tokens.RefreshToken)
	w.do(err)
	var id session.ID
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.SessionsOf(w.web.ID, "", 10)
		for _, row := range rows {
			if row.Offline != "" {
				id = row.ID
			}
		}
		return err
	}))
	w.clock.Add(time.Minute)
	if _, err := w.refresh(tokens.RefreshToken); err == nil || id == "" {
		w.t.Errorf("it worked twice (%v), or there is no offline session: %q", err, id)
	}
	return id
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

package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/deliver"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/outbox"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// transmitter is a world whose signals are served over HTTP, with whoever relays and
// pushes them; nothing of it goes on by itself.
type transmitter struct {
	*world
	server *httptest.Server
	relay  *outbox.Relay
	worker *deliver.Worker
}

// receivers lets in tokens that say whose they are and for what: "app ssf.manage".
type receivers struct{ w *world }

func (r receivers) AcceptServiceShown(ctx context.Context, shown oidc.Presented, scope string) (oidc.Client, error) {
	id, scopes, _ := strings.Cut(shown.Token, " ")
	c, err := r.w.bridge.Client(ctx, access.ClientID(id))
	if err != nil {
		return oidc.Client{}, fault.New(fault.Unauthenticated, "test", "no such token")
	}
	if !strings.Contains(scopes, scope) {
		return oidc.Client{}, fault.New(fault.Denied, "test", "not for that").Because("insufficient_scope")
	}
	return c, nil
}

const (
	canManage = " ssf.manage"
	canRead   = " ssf.read"
)

func newTransmitter(t *testing.T, clients ...oidc.Client) *transmitter {
	t.Helper()
	return transmitting(t, newWorld(t, func(w *world) { w.clients = append(w.clients, clients...) }))
}

// transmitting serves a world's transmitter.
func transmitting(t *testing.T, w *world) *transmitter {
	t.Helper()
	tr := &transmitter{world: w}
	front := ssf.New(ssf.Config{Issuer: "http://127.0.0.1:8443", JWKS: "http://127.0.0.1:8443/oauth2/keys", Receivers: receivers{w}, Streams: w.bridge, Subjects: w.bridge, Tokens: w.bridge,
		Observe: func(_ context.Context, err error) { t.Logf("refused: %v", err) }})
	mux := http.NewServeMux()
	front.Routes(mux)
	tr.server = httptest.NewServer(mux)
	t.Cleanup(tr.server.Close)
	t.Cleanup(front.Close)
	tr.relay = outbox.New(outbox.Config{Store: w.store, Now: w.clock.Now, Written: w.bridge.DeliveriesWritten, Observe: func(err error) { t.Error(err) }}, w.bridge.Signals(), w.logouts())
	tr.worker = deliver.New(deliver.Config{Store: w.store, Now: w.clock.Now, Jitter: func() float64 { return 0.5 }, Observe: func(err error) { t.Error(err) },
		Senders: map[string]deliver.Sender{"signal": deliver.Signals{Streams: w.bridge, HTTP: tr.server.Client(), Now: w.clock.Now}}})
	tr.caughtUp()
	return tr
}

// caughtUp relays all that has happened.
func (tr *transmitter) caughtUp() {
	tr.t.Helper()
	if _, err := tr.relay.CatchUp(tr.ctx); err != nil {
		tr.t.Fatal(err)
	}
}

// pushed gives every receiver that is ready its turn.
func (tr *transmitter) pushed() {
	tr.t.Helper()
	tr.caughtUp()
	var ready []store.Receiver
	tr.do(tr.store.View(tr.ctx, func(v *store.View) (err error) { ready, err = v.ReadyReceivers(tr.clock.Now(), 100); return err }))
	for _, r := range ready {
		if _, err := tr.worker.Serve(tr.ctx, r); err != nil {
			tr.t.Error(err)
		}
	}
}

// call sends a request to the transmitter, and gives status, header and body.
func (tr *transmitter) call(token, method, path, body string) (int, http.Header, []byte) {
	tr.t.Helper()
	r, err := http.NewRequest(method, tr.server.URL+path, strings.NewReader(body))
	if err != nil {
		tr.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := tr.server.Client().Do(r)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tr.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}

// want is call that must be answered with that status; it gives the JSON of the answer.
func (tr *transmitter) want(status int, token, method, path, body string) map[string]any {
	tr.t.Helper()
	got, _, b := tr.call(token, method, path, body)
	if got != status {
		tr.t.Fatalf("%s %s %s answered %d %s, want %d", method, path, body, got, b, status)
	}
	out := map[string]any{}
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &out); err != nil {
			tr.t.Fatal(err)
		}
	}
	return out
}

const polled = `"delivery":{"method":"urn:ietf:rfc:8936"}`

// stream makes a client's stream and gives its id.
func (tr *transmitter) stream(client, members string) string {
	tr.t.Helper()
	return tr.want(201, client+canManage, "POST", "/ssf/streams", "{"+members+"}")["stream_id"].(string)
}

// polling polls once and gives the verified claims of each token, by jti.
func (tr *transmitter) polling(client, stream, body string) map[string]map[string]any {
	tr.t.Helper()
	tr.caughtUp()
	out := map[string]map[string]any{}
	for jti, set := range tr.want(200, client+canRead, "POST", "/ssf/poll/"+stream, body)["sets"].(map[string]any) {
		out[jti] = tr.verified(set.(string), client)
	}
	return out
}

// drained takes all that waits, and gives it as "type subject-summary" lines.
func (tr *transmitter) drained(client, stream string) (all []map[string]any) {
	tr.t.Helper()
	acks := "[]"
	for {
		sets := tr.polling(client, stream, `{"returnImmediately":true,"ack":`+acks+`}`)
		if len(sets) == 0 {
			return all
		}
		var jtis []string
		for jti, claims := range sets {
			jtis = append(jtis, jti)
			all = append(all, claims)
		}
		b, _ := json.Marshal(jtis)
		acks = string(b)
	}
}

// verified checks a token as a receiver must (SSF 1.0 section 4.1, RFC 8417) and gives
// its claims.
func (tr *transmitter) verified(set, client string) map[string]any {
	tr.t.Helper()
	jws, err := jose.ParseSignedCompact(set, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		tr.t.Fatal(err)
	}
	h := jws.Signatures[0].Protected
	key, ok := tr.ring.Keyring().Public(h.KeyID)
	if !ok || h.ExtraHeaders["typ"] != "secevent+jwt" {
		tr.t.Fatalf("header %+v", h)
	}
	payload, err := jws.Verify(key)
	if err != nil {
		tr.t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		tr.t.Fatal(err)
	}
	if c["iss"] != "http://127.0.0.1:8443" || c["aud"] != client || c["jti"] == "" || c["iat"] == nil || c["sub"] != nil || c["exp"] != nil || len(c["events"].(map[string]any)) != 1 || c["sub_id"] == nil {
		tr.t.Fatalf("claims %s", payload)
	}
	return c
}

// eventIn is the one event of a token.
func eventIn(claims map[string]any) (uri string, what map[string]any) {
	for u, w := range claims["events"].(map[string]any) {
		uri, what = u, w.(map[string]any)
	}
	return uri, what
}

const verificationType = "https://schemas.openid.net/secevent/ssf/event-type/verification"

// isVerification fails unless a token is the verification of a stream with that state.
func (tr *transmitter) isVerification(claims map[string]any, stream, state string) {
	tr.t.Helper()
	uri, what := eventIn(claims)
	sub, _ := claims["sub_id"].(map[string]any)
	if uri != verificationType || what["state"] != state || sub["format"] != "opaque" || sub["id"] != stream {
		tr.t.Errorf("%v is no verification of %s with state %q", claims, stream, state)
	}
}

// pushTo is a receiver of pushes.
type pushTo struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	header []http.Header
	answer func(w http.ResponseWriter)
}

func newPushTo(t *testing.T) *pushTo {
	p := &pushTo{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.got, p.header = append(p.got, string(b)), append(p.header, r.Header.Clone())
		answer := p.answer
		p.mu.Unlock()
		if answer != nil {
			answer(w)
			return
		}
		w.WriteHeader(202)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pushTo) delivery(extra string) string {
	return fmt.Sprintf(`"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":%q%s}`, p.URL+"/events", extra)
}

// The modules of openid-ssf-transmitter-test-plan, each by its name.
func TestOpenIDSSFTransmitterTestPlan(t *testing.T) {
	modules := []struct {
		name string
		run  func(tr *transmitter, me string)
	}{
		{"openid-ssf-transmitter-metadata", func(tr *transmitter, _ string) {
			m := tr.want(200, "", "GET", "/.well-known/ssf-configuration", "")
			for _, member := range []string{"issuer", "jwks_uri", "configuration_endpoint", "status_endpoint", "add_subject_endpoint", "remove_subject_endpoint", "verification_endpoint"} {
				if !strings.HasPrefix(fmt.Sprint(m[member]), "http://127.0.0.1:8443") {
					tr.t.Errorf("%s is %v", member, m[member])
				}
			}
			if m["spec_version"] != "1_0" || m["default_subjects"] != "ALL" || fmt.Sprint(m["delivery_methods_supported"]) != "[urn:ietf:rfc:8935 urn:ietf:rfc:8936]" ||
				fmt.Sprint(m["authorization_schemes"]) != "[map[spec_urn:urn:ietf:rfc:6749]]" {
				tr.t.Errorf("%v", m)
			}
		}},
		{"openid-ssf-stream-control-happy-path", func(tr *transmitter, me string) {
			id := tr.stream(me, polled+`,"events_requested":["https://schemas.openid.net/secevent/caep/event-type/session-revoked","urn:not:known"],"description":"one"`)
			c := tr.want(200, me+canRead, "GET", "/ssf/streams?stream_id="+id, "")
			if c["stream_id"] != id || c["iss"] != "http://127.0.0.1:8443" || c["aud"] != me || len(c["events_delivered"].([]any)) != 1 || len(c["events_requested"].([]any)) != 2 || c["description"] != "one" ||
				c["delivery"].(map[string]any)["endpoint_url"] != "http://127.0.0.1:8443/ssf/poll/"+id {
				tr.t.Errorf("%v", c)
			}
			whole, _ := json.Marshal(c)
			if again := tr.want(200, me+canManage, "PUT", "/ssf/streams", string(whole)); again["description"] != "one" {
				tr.t.Errorf("put back as it was: %v", again)
			}
			if c = tr.want(200, me+canManage, "PATCH", "/ssf/streams", `{"stream_id":"`+id+`","description":"two"}`); c["description"] != "two" || len(c["events_delivered"].([]any)) != 1 {
				tr.t.Errorf("%v", c)
			}
			if c = tr.want(200, me+canManage, "PUT", "/ssf/streams", `{"stream_id":"`+id+`",`+polled+`}`); c["description"] != nil || len(c["events_delivered"].([]any)) < 6 {
				tr.t.Errorf("%v", c)
			}
			if s := tr.want(200, me+canRead, "GET", "/ssf/status?stream_id="+id, ""); s["status"] != "enabled" || s["stream_id"] != id {
				tr.t.Errorf("%v", s)
			}
			if s := tr.want(200, me+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"paused","reason":"lunch"}`); s["status"] != "paused" || s["reason"] != "lunch" {
				tr.t.Errorf("%v", s)
			}
			if s := tr.want(200, me+canRead, "GET", "/ssf/status?stream_id="+id, ""); s["status"] != "paused" || s["reason"] != "lunch" {
				tr.t.Errorf("%v", s)
			}
			if status, _, b := tr.call(me+canRead, "GET", "/ssf/streams", ""); status != 200 || b[0] != '[' || !bytes.Contains(b, []byte(id)) {
				tr.t.Errorf("%d %s", status, b)
			}
			tr.want(204, me+canManage, "DELETE", "/ssf/streams?stream_id="+id, "")
			tr.want(404, me+canRead, "GET", "/ssf/streams?stream_id="+id, "")
			if status, _, b := tr.call(me+canRead, "GET", "/ssf/streams", ""); status != 200 || string(b) != "[]" {
				tr.t.Errorf("%d %s", status, b)
			}
		}},
		{"openid-ssf-stream-control-error-create-stream-with-broken-input", func(tr *transmitter, me string) {
			for _, broken := range []string{"{", "[]", `{"delivery":"x"}`, `{"events_requested":7}`} {
				tr.want(400, me+canManage, "POST", "/ssf/streams", broken)
			}
		}},
		{"openid-ssf-stream-control-error-create-stream-with-invalid-token", func(tr *transmitter, me string) {
			tr.refusesTokens(me, "POST", "/ssf/streams", "{"+polled+"}")
		}},
		{"openid-ssf-stream-control-error-create-stream-with-duplicate-config", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			tr.want(409, me+canManage, "POST", "/ssf/streams", "{"+polled+"}")
			tr.want(200, me+canRead, "GET", "/ssf/streams?stream_id="+id, "")
		}},
		{"openid-ssf-stream-control-error-read-stream-with-invalid-token", func(tr *transmitter, me string) {
			tr.refusesTokens(me, "GET", "/ssf/streams?stream_id="+tr.stream(me, polled), "")
		}},
		{"openid-ssf-stream-control-error-read-unknown-stream", func(tr *transmitter, me string) {
			tr.want(404, me+canRead, "GET", "/ssf/streams?stream_id=unknown", "")
			tr.want(404, me+canRead, "GET", "/ssf/streams?stream_id="+tr.stream(me+"-other", polled), "")
		}},
		{"openid-ssf-stream-control-error-update-stream-with-invalid-token", func(tr *transmitter, me string) {
			tr.refusesTokens(me, "PATCH", "/ssf/streams", `{"stream_id":"`+tr.stream(me, polled)+`"}`)
		}},
		{"openid-ssf-stream-control-error-update-stream-with-invalid-body", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			for _, broken := range []string{"{", `{"description":"no stream"}`, `{"stream_id":"` + id + `","events_delivered":["urn:other"]}`, `{"stream_id":"` + id + `","iss":"https://other.example"}`} {
				tr.want(400, me+canManage, "PATCH", "/ssf/streams", broken)
			}
		}},
		{"openid-ssf-stream-control-error-update-unknown-stream", func(tr *transmitter, me string) {
			tr.want(404, me+canManage, "PATCH", "/ssf/streams", `{"stream_id":"unknown"}`)
			tr.want(404, me+canManage, "PATCH", "/ssf/streams", `{"stream_id":"`+tr.stream(me+"-other", polled)+`"}`)
		}},
		{"openid-ssf-stream-control-error-replace-stream-with-invalid-body", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			for _, broken := range []string{"{", `{` + polled + `}`, `{"stream_id":"` + id + `","aud":"other"}`, `{"stream_id":"` + id + `","delivery":{"method":"urn:other"}}`} {
				tr.want(400, me+canManage, "PUT", "/ssf/streams", broken)
			}
		}},
		{"openid-ssf-stream-control-error-replace-stream-with-invalid-token", func(tr *transmitter, me string) {
			tr.refusesTokens(me, "PUT", "/ssf/streams", `{"stream_id":"`+tr.stream(me, polled)+`"}`)
		}},
		{"openid-ssf-stream-control-error-replace-unknown-stream", func(tr *transmitter, me string) {
			tr.want(404, me+canManage, "PUT", "/ssf/streams", `{"stream_id":"unknown",`+polled+`}`)
		}},
		{"openid-ssf-stream-control-error-delete-stream-with-invalid-token", func(tr *transmitter, me string) {
			tr.refusesTokens(me, "DELETE", "/ssf/streams?stream_id="+tr.stream(me, polled), "")
		}},
		{"openid-ssf-stream-control-error-delete-unknown-stream", func(tr *transmitter, me string) {
			tr.want(404, me+canManage, "DELETE", "/ssf/streams?stream_id=unknown", "")
			other := tr.stream(me+"-other", polled)
			tr.want(404, me+canManage, "DELETE", "/ssf/streams?stream_id="+other, "")
			tr.want(200, me+"-other"+canRead, "GET", "/ssf/streams?stream_id="+other, "")
		}},
		{"openid-ssf-stream-subject-control", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			subject := `{"stream_id":"` + id + `","subject":{"format":"email","email":"somebody@banksia.example"}`
			tr.want(200, me+canManage, "POST", "/ssf/subjects:add", subject+`,"verified":true}`)
			tr.want(204, me+canManage, "POST", "/ssf/subjects:remove", subject+"}")
			tr.want(400, me+canManage, "POST", "/ssf/subjects:remove", `{"stream_id":"`+id+`"}`)
			tr.want(404, me+canManage, "POST", "/ssf/subjects:remove", strings.Replace(subject, id, "unknown", 1)+"}")
			tr.refusesTokens(me, "POST", "/ssf/subjects:add", subject+"}")
			tr.want(204, me+canManage, "DELETE", "/ssf/streams?stream_id="+id, "")
		}},
		{"openid-ssf-transmitter-stream-verification-push", func(tr *transmitter, me string) {
			to := newPushTo(tr.world.t.(*testing.T))
			id := tr.stream(me, to.delivery(`,"authorization_header":"Bearer hunter2"`))
			if status, _, b := tr.call(me+canRead, "GET", "/ssf/streams?stream_id="+id, ""); status != 200 || bytes.Contains(b, []byte("hunter2")) {
				tr.t.Errorf("the configuration shows the authorization header: %s", b)
			}
			tr.want(204, me+canManage, "POST", "/ssf/verify", `{"stream_id":"`+id+`","state":"s1"}`)
			tr.pushed()
			if len(to.got) != 1 {
				tr.t.Fatalf("%d pushes", len(to.got))
			}
			tr.isVerification(tr.verified(to.got[0], me), id, "s1")
			if h := to.header[0]; h.Get("Content-Type") != "application/secevent+jwt" || h.Get("Accept") != "application/json" || h.Get("Authorization") != "Bearer hunter2" {
				tr.t.Errorf("%v", h)
			}
		}},
		{"openid-ssf-transmitter-stream-verification-poll-only", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			tr.verify(me, id, "s1")
			for range 2 { // what is not acknowledged comes again
				sets := tr.polling(me, id, `{"returnImmediately":true}`)
				if len(sets) != 1 {
					tr.t.Fatalf("%v", sets)
				}
				for _, c := range sets {
					tr.isVerification(c, id, "s1")
				}
			}
		}},
		{"openid-ssf-transmitter-stream-verification-poll-and-ack", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			tr.verify(me, id, "s1")
			first := tr.polling(me, id, `{"returnImmediately":true,"maxEvents":1}`)
			tr.verify(me, id, "s2")
			for jti := range first {
				second := tr.polling(me, id, `{"returnImmediately":true,"ack":["`+jti+`"]}`)
				if len(second) != 1 {
					tr.t.Fatalf("%v", second)
				}
				for _, c := range second {
					tr.isVerification(c, id, "s2")
				}
			}
		}},
		{"openid-ssf-transmitter-stream-verification-ack-only", func(tr *transmitter, me string) {
			id := tr.stream(me, polled)
			tr.verify(me, id, "s1")
			for jti, c := range tr.polling(me, id, `{"returnImmediately":true}`) {
				tr.isVerification(c, id, "s1")
				if got := tr.polling(me, id, `{"maxEvents":0,"ack":["`+jti+`"]}`); len(got) != 0 {
					tr.t.Errorf("an answer that must be empty has %v", got)
				}
			}
			if got := tr.polling(me, id, `{"returnImmediately":true}`); len(got) != 0 {
				tr.t.Errorf("what was acknowledged comes again: %v", got)
			}
		}},
		{"openid-ssf-transmitter-stream-verification-error-push-no-auth", func(tr *transmitter, me string) {
			to := newPushTo(tr.world.t.(*testing.T))
			id := tr.stream(me, to.delivery(""))
			tr.verify(me, id, "s1")
			tr.pushed()
			if len(to.got) != 1 || len(to.header[0].Values("Authorization")) != 0 {
				tr.t.Fatalf("%d pushes, %v", len(to.got), to.header)
			}
			tr.isVerification(tr.verified(to.got[0], me), id, "s1")
		}},
	}
	var clients []oidc.Client
	for i := range modules {
		me := access.ClientID(fmt.Sprintf("app-%d", i))
		clients = append(clients, oidc.Client{ID: me}, oidc.Client{ID: me + "-other"})
	}
	tr := newTransmitter(t, clients...)
	for i, m := range modules {
		t.Run(m.name, func(t *testing.T) {
			of := *tr
			inner := *tr.world
			inner.t = t
			of.world = &inner
			m.run(&of, fmt.Sprintf("app-%d", i))
		})
	}
}

// verify asks for a verification.
func (tr *transmitter) verify(me, stream, state string) {
	tr.t.Helper()
	tr.clock.Add(ssf.MinVerificationInterval)
	tr.want(204, me+canManage, "POST", "/ssf/verify", `{"stream_id":"`+stream+`","state":"`+state+`"}`)
}

// refusesTokens fails unless a request is refused to whoever has no token, one that is
// not ours, and one that is for something else.
func (tr *transmitter) refusesTokens(me, method, path, body string) {
	tr.t.Helper()
	for token, want := range map[string]struct {
		status    int
		challenge string
	}{
		"":             {401, `Bearer realm="ssf"`},
		"nobody's":     {401, `Bearer realm="ssf", error="invalid_token"`},
		me + " openid": {403, `Bearer realm="ssf", error="insufficient_scope", scope="ssf.`},
	} {
		status, h, b := tr.call(token, method, path, body)
		if status != want.status || !strings.HasPrefix(h.Get("WWW-Authenticate"), want.challenge) {
			tr.t.Errorf("%s %s with token %q: %d %q %s, want %+v", method, path, token, status, h.Get("WWW-Authenticate"), b, want)
		}
	}
	if method != "GET" {
		if status, _, b := tr.call(me+canRead, method, path, body); status != 403 {
			tr.t.Errorf("%s %s with a token that may read alone: %d %s", method, path, status, b)
		}
	}
}

func TestVerificationsAreNotAskedForTooOften(t *testing.T) {
	tr := newTransmitter(t, oidc.Client{ID: "app"})
	id := tr.stream("app", polled)
	tr.verify("app", id, "s1")
	if status, h, _ := tr.call("app"+canManage, "POST", "/ssf/verify", `{"stream_id":"`+id+`"}`); status != 429 || h.Get("Retry-After") == "" {
		t.Errorf("answered %d, Retry-After %q", status, h.Get("Retry-After"))
	}
	tr.verify("app", id, "s2")
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"disabled"}`)
	tr.want(400, "app"+canManage, "POST", "/ssf/verify", `{"stream_id":"`+id+`"}`)
}

// A poll that waits is answered by what comes, and no more of them wait than may.
func TestAPollWaitsForWhatComes(t *testing.T) {
	tr := newTransmitter(t, oidc.Client{ID: "app"})
	id := tr.stream("app", polled)
	answers := make(chan int, 1)
	go func() {
		r, _ := http.NewRequest("POST", tr.server.URL+"/ssf/poll/"+id, strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer app"+canRead)
		resp, err := tr.server.Client().Do(r)
		if err != nil {
			answers <- 0
			return
		}
		defer resp.Body.Close()
		var a struct {
			SETs map[string]string `json:"sets"`
		}
		if json.NewDecoder(resp.Body).Decode(&a) != nil {
			answers <- -1
			return
		}
		answers <- len(a.SETs)
	}()
	tr.clock.Add(time.Minute)
	tr.want(204, "app"+canManage, "POST", "/ssf/verify", `{"stream_id":"`+id+`"}`)
	if got := <-answers; got != 1 {
		t.Errorf("the poll was answered with %d tokens", got)
	}
}

// A refused token is out of the queue, counted and shown; one that cannot be delivered
// stays; who is paused gets nothing and loses nothing; who is disabled loses it.
func TestWhatBecomesOfPushes(t *testing.T) {
	tr := newTransmitter(t, oidc.Client{ID: "app"})
	to := newPushTo(t)
	id := tr.stream("app", to.delivery(""))
	receiver := func() (r store.Receiver) {
		tr.do(tr.store.View(tr.ctx, func(v *store.View) (err error) { r, err = v.Receiver("stream:" + id); return err }))
		return r
	}
	to.answer = func(w http.ResponseWriter) {
		w.WriteHeader(400)
		io.WriteString(w, `{"err":"invalid_audience","description":"not mine"}`)
	}
	tr.verify("app", id, "refused")
	tr.pushed()
	if r := receiver(); r.Refused != 1 || r.Pending != 0 || r.Error != "invalid_audience: not mine" {
		t.Errorf("refused: %+v", r)
	}
	to.answer = func(w http.ResponseWriter) { w.WriteHeader(503) }
	tr.verify("app", id, "late")
	tr.pushed()
	if r := receiver(); r.Pending != 1 || r.Failures != 1 {
		t.Errorf("failed: %+v", r)
	}
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"paused"}`)
	to.answer, to.got = nil, nil
	tr.clock.Add(time.Hour)
	tr.pushed()
	if len(to.got) != 0 {
		t.Error("a paused stream was pushed to")
	}
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`)
	tr.pushed()
	if len(to.got) != 1 || receiver().Pending != 0 {
		t.Errorf("what was held was pushed %d times, %+v", len(to.got), receiver())
	}
	to.answer = func(w http.ResponseWriter) { w.WriteHeader(503) }
	tr.verify("app", id, "dropped")
	tr.pushed()
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"disabled"}`)
	to.answer, to.got = nil, nil
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`)
	tr.clock.Add(time.Hour)
	tr.pushed()
	if len(to.got) != 0 {
		t.Error("what came before the stream was disabled was pushed")
	}
}

// The module of openid-ssf-transmitter-caep-test-plan that is not one of the plan above.
func TestOpenIDSSFTransmitterCAEPTestPlan(t *testing.T) {
	t.Run("openid-ssf-transmitter-stream-caep-interop", func(t *testing.T) {
		tr := newTransmitter(t)
		sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
		tr.group(banksia, "GL Geelong Managers", sam)
		v := tr.session(banksia, "oid-sam")
		to := newPushTo(t)
		const revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
		id := tr.stream("fleet-web", to.delivery("")+`,"events_requested":["`+revoked+`","https://schemas.openid.net/secevent/caep/event-type/credential-change"]`)
		if c := tr.want(200, "fleet-web"+canRead, "GET", "/ssf/streams?stream_id="+id, ""); fmt.Sprint(c["events_delivered"]) != "["+revoked+"]" {
			t.Errorf("%v", c)
		}
		if s := tr.want(200, "fleet-web"+canRead, "GET", "/ssf/status?stream_id="+id, ""); s["status"] != "enabled" {
			t.Errorf("%v", s)
		}
		tr.verify("fleet-web", id, "s1")
		tr.do(tr.bridge.SignOut(tr.ctx, v.browser.Session.ID, "signed_out"))
		tr.pushed()
		if len(to.got) != 2 {
			t.Fatalf("%d pushes", len(to.got))
		}
		tr.isVerification(tr.verified(to.got[0], "fleet-web"), id, "s1")
		claims := tr.verified(to.got[1], "fleet-web")
		uri, what := eventIn(claims)
		sub := claims["sub_id"].(map[string]any)
		if why, _ := what["reason_admin"].(map[string]any); uri != revoked || why["en"] == "" || sub["format"] != "complex" || sub["session"].(map[string]any)["id"] != string(v.browser.Session.ID) {
			t.Errorf("%v", claims)
		}
		tr.want(204, "fleet-web"+canManage, "DELETE", "/ssf/streams?stream_id="+id, "")
	})
}

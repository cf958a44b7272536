package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
	"github.com/drawbridge-id/drawbridge/internal/rsakey"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// TestTB17_SignalsThatDoNotCount: each is refused with its code before anything is asked
// of the bridge (T-B17, T-F1).
func TestTB17_SignalsThatDoNotCount(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		s := newSender(t)
		w := newListening(t, s, s.config(push))
		w.turn(0)
		good := w.claims(ssf.SessionRevoked, kim(s))
		stranger, err := rsakey.Generate(2048)
		if err != nil {
			t.Fatal(err)
		}
		public, err := json.Marshal(s.public.Keys[0])
		if err != nil {
			t.Fatal(err)
		}
		event := func(of map[string]any) string { return w.signed(with(good, "events", of)) }
		revoked := string(ssf.SessionRevoked)
		for name, c := range map[string]struct{ raw, code string }{
			"nothing":                  {"", codeRequest},
			"no JWT":                   {"a.b.c", codeRequest},
			"unsigned":                 {"eyJhbGciOiJub25lIn0." + strings.Split(w.signed(good), ".")[1] + ".", codeRequest},
			"another typ":              {w.sign(s.key, "JWT", good), codeRequest},
			"no typ":                   {w.sign(s.key, "", good), codeRequest},
			"a logout token":           {w.sign(s.key, "logout+jwt", good), codeRequest},
			"another's key":            {w.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "one"}}, setType, good), codeKey},
			"an unknown key id":        {w.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "two"}}, setType, good), codeKey},
			"HMAC with the public key": {w.sign(jose.SigningKey{Algorithm: jose.HS256, Key: public}, setType, good), codeRequest},
			"another issuer":           {w.signed(with(good, "iss", "https://evil.example")), codeIssuer},
			"no issuer":                {w.signed(with(good, "iss", nil)), codeIssuer},
			"another receiver's":       {w.signed(with(good, "aud", "somebody")), codeAudience},
			"ours among others":        {w.signed(with(good, "aud", []string{"bridge-there", "somebody"})), codeAudience},
			"no audience":              {w.signed(with(good, "aud", nil)), codeAudience},
			"no jti":                   {w.signed(with(good, "jti", nil)), codeRequest},
			"an empty jti":             {w.signed(with(good, "jti", "")), codeRequest},
			"no iat":                   {w.signed(with(good, "iat", nil)), codeRequest},
			"iat is text":              {w.signed(with(good, "iat", "now")), codeRequest},
			"made in the future":       {w.signed(with(good, "iat", w.clock.Add(time.Hour).Unix())), codeRequest},
			"made long ago":            {w.signed(with(good, "iat", w.clock.Add(-8*24*time.Hour).Unix())), codeRequest},
			"a sub":                    {w.signed(with(good, "sub", "00u1")), codeRequest},
			"an exp":                   {w.signed(with(good, "exp", w.clock.Add(time.Hour).Unix())), codeRequest},
			"no events":                {w.signed(with(good, "events", nil)), codeRequest},
			"events is a list":         {w.signed(with(good, "events", []string{revoked})), codeRequest},
			"no event":                 {event(map[string]any{}), codeRequest},
			"two events":               {event(map[string]any{revoked: map[string]any{}, "https://example.com/x": map[string]any{}}), codeRequest},
			"the event is no object":   {event(map[string]any{revoked: true}), codeRequest},
			"no subject":               {w.signed(with(good, "sub_id", nil)), codeRequest},
			"two subjects":             {event(map[string]any{revoked: map[string]any{"subject": kim(s)}}), codeRequest},
			"the subject is text":      {w.signed(with(good, "sub_id", "00u1")), codeRequest},
			"a subject without format": {w.signed(with(good, "sub_id", map[string]any{"iss": s.issuer(), "sub": "00u1"})), codeRequest},
			"half a subject":           {w.signed(with(good, "sub_id", map[string]any{"format": "iss_sub", "sub": "00u1"})), codeRequest},
			"a long token":             {strings.Repeat("a", maxSET+1), codeRequest},
		} {
			if status, code := w.send(c.raw, "set-1"); status != 400 || code != c.code {
				t.Errorf("%s: %d %q, want %q", name, status, code, c.code)
			}
		}
		if len(w.signals) != 0 {
			t.Errorf("heard %+v", w.signals)
		}
		if status, code := w.send(w.signed(good), "set-1"); status != 202 || len(w.signals) != 1 {
			t.Errorf("what counts: %d %s", status, code)
		}
	})
}

// TestWhomASignalMeans, in every form in which it may be said.
func TestWhomASignalMeans(t *testing.T) {
	s := newSender(t)
	w := newListening(t, s, s.config(true))
	w.turn(0)
	opaque := func(id string) map[string]any { return map[string]any{"format": "opaque", "id": id} }
	for name, c := range map[string]struct {
		subject map[string]any
		want    Signal
	}{
		"by the transmitter's name":   {kim(s), Signal{User: Subject{Issuer: s.issuer(), ID: "00u1"}}},
		"by that of sign-ins":         {map[string]any{"format": "iss_sub", "iss": "https://login.example", "sub": "00u1"}, Signal{User: Subject{Issuer: "https://login.example", ID: "00u1"}}},
		"by another issuer's":         {map[string]any{"format": "iss_sub", "iss": "https://evil.example", "sub": "00u1"}, Signal{}},
		"by an address":               {map[string]any{"format": "email", "email": "kim@southern.example"}, Signal{User: Subject{Email: "kim@southern.example"}}},
		"by an id alone":              {opaque("x"), Signal{Named: "x"}},
		"by a format not read here":   {map[string]any{"format": "phone_number", "phone_number": "1"}, Signal{}},
		"by aliases":                  {map[string]any{"format": "aliases", "identifiers": []any{kim(s)}}, Signal{}},
		"a session":                   {map[string]any{"format": "complex", "session": opaque("sid-1")}, Signal{Session: "sid-1"}},
		"a session of somebody":       {map[string]any{"format": "complex", "session": opaque("sid-1"), "user": kim(s)}, Signal{Session: "sid-1", User: Subject{Issuer: s.issuer(), ID: "00u1"}}},
		"somebody by an id":           {map[string]any{"format": "complex", "user": opaque("00u1")}, Signal{User: Subject{ID: "00u1"}}},
		"a session in another format": {map[string]any{"format": "complex", "user": opaque("00u1"), "session": map[string]any{"format": "uri", "uri": "urn:x"}}, Signal{User: Subject{ID: "00u1"}}},
		"a tenant":                    {map[string]any{"format": "complex", "tenant": opaque("t")}, Signal{}},
	} {
		claims := with(w.claims(ssf.SessionRevoked, c.subject), "jti", name)
		if status, code := w.send(w.signed(claims), name); status != 202 {
			t.Errorf("%s: %d %s", name, status, code)
			continue
		}
		got := w.signals[len(w.signals)-1]
		if got.User != c.want.User || got.Session != c.want.Session || got.Named != c.want.Named {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestOktasOlderFormIsRead: no sub_id, the subject inside the event and without a format,
// as drafts before SSF 1.0 had it.
func TestOktasOlderFormIsRead(t *testing.T) {
	s := newSender(t)
	s.meta["delivery_methods_supported"] = []string{"https://schemas.openid.net/secevent/risc/delivery-method/push"}
	delete(s.meta, "verification_endpoint")
	delete(s.meta, "status_endpoint")
	w := newListening(t, s, s.config(true))
	w.turn(0)
	if d := s.stream["delivery"].(map[string]any); d["method"] != "https://schemas.openid.net/secevent/risc/delivery-method/push" {
		t.Errorf("asked for %v", d)
	}
	s.stream["delivery"].(map[string]any)["method"] = ssf.Push // of the stand-in alone: it looks for this name
	claims := with(w.claims(ssf.SessionRevoked, nil), "sub_id", nil)
	claims["events"] = map[string]any{string(ssf.SessionRevoked): map[string]any{"event_timestamp": w.clock.Unix(), "initiating_entity": "user",
		"subject": map[string]any{"user": kim(s), "session": map[string]any{"format": "opaque", "id": "102sid"}, "device": map[string]any{"format": "opaque", "id": "d"}}}}
	if status, code := w.send(w.signed(claims), "set-1"); status != 202 || w.signals[0].Session != "102sid" || w.signals[0].User.ID != "00u1" {
		t.Errorf("%d %s: %+v", status, code, w.signals)
	}
	w.quiet()
}

// TestASignalThatCannotBeDoneIsNotAcknowledged, and is done when it comes again; what
// nobody is meant by, and what came before, is acknowledged.
func TestASignalThatCannotBeDoneIsNotAcknowledged(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		s := newSender(t)
		w := newListening(t, s, s.config(push))
		w.turn(0)
		raw := w.signed(w.claims(ssf.SessionRevoked, kim(s)))
		for _, kind := range []fault.Kind{fault.Internal, fault.Unavailable, fault.Limited} {
			w.says = fault.New(kind, "t", "not now")
			if status, code := w.send(raw, "set-1"); status != 503 {
				t.Errorf("%s: %d %s", kind, status, code)
			}
		}
		w.says = nil
		for _, outcome := range []string{OutcomeUnknown, OutcomeIgnored, OutcomeRepeated, OutcomeNothing, OutcomeEnded} {
			w.heard = Heard{Outcome: outcome}
			if status, code := w.send(raw, "set-1"); status != 202 || w.counted[len(w.counted)-1] != "okta signal "+outcome {
				t.Errorf("%s: %d %s, %v", outcome, status, code, w.counted)
			}
		}
		cold := newSender(t)
		c := newListening(t, cold, cold.config(push))
		c.turn(0)
		c.restart(cold.config(push)) // which knows no keys yet
		if push {
			cold.down = true
			if status, code := c.send(c.signed(c.claims(ssf.SessionRevoked, kim(cold))), "set-1"); status != 503 || len(c.signals) != 0 {
				t.Errorf("no keys to judge by: %d %s", status, code)
			}
		}
	})
}

// TestAPushProvesItself by the secret that the stream was made with.
func TestAPushProvesItself(t *testing.T) {
	s := newSender(t)
	w := newListening(t, s, s.config(true))
	if status, code := w.push("Bearer x", "a.b.c"); status != 401 || code != codeAuthentication {
		t.Errorf("before there is a stream: %d %s", status, code)
	}
	w.turn(0)
	raw := w.signed(w.claims(ssf.SessionRevoked, kim(s)))
	good := s.stream["delivery"].(map[string]any)["authorization_header"].(string)
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", good + "x", strings.Replace(good, "Bearer", "Basic", 1), strings.TrimPrefix(good, "Bearer ")} {
		if status, code := w.push(header, raw); status != 401 || code != codeAuthentication {
			t.Errorf("%q: %d %s", header, status, code)
		}
	}
	if bytes.Contains([]byte(fmt.Sprint(w.stream())), []byte(strings.TrimPrefix(good, "Bearer "))) {
		t.Error("the secret itself is kept")
	}
	rec := w.world.send("/connect/okta/events", "application/json", raw, map[string]string{"Authorization": good})
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), `"err":"invalid_request"`) || len(w.signals) != 0 {
		t.Errorf("as JSON: %d %s", rec.Code, rec.Body)
	}
	if rec := w.world.send("/connect/other/events", "application/secevent+jwt", raw, map[string]string{"Authorization": good}); rec.Code != 401 {
		t.Errorf("at another connection: %d", rec.Code)
	}
	if status, _ := w.push(good, raw); status != 202 {
		t.Errorf("good: %d", status)
	}
	l := s.config(false)
	w.restart(l)
	if status, code := w.push(good, raw); status != 401 || code != codeAuthentication {
		t.Errorf("where nothing is pushed: %d %s", status, code)
	}
}

// TestAPollIsDrainedAndAcknowledged in as many requests as it takes, and a token under
// another's jti is refused under that.
func TestAPollIsDrainedAndAcknowledged(t *testing.T) {
	s := newSender(t)
	s.max = 7
	w := newListening(t, s, s.config(false))
	w.turn(0)
	for i := range 100 {
		jti := fmt.Sprint("set-", i)
		s.waiting[jti] = w.signed(with(w.claims(ssf.SessionRevoked, kim(s)), "jti", jti))
	}
	s.waiting["another"] = w.signed(with(w.claims(ssf.SessionRevoked, kim(s)), "jti", "set-1"))
	w.turn(10 * time.Second)
	if len(s.waiting) != 0 || len(s.acked) != 100 || len(s.errs) != 1 || s.errs["another"].Code != codeRequest {
		t.Errorf("%d wait, %d acknowledged, refused %v", len(s.waiting), len(s.acked), s.errs)
	}
	if w.stream().Polled.IsZero() {
		t.Error("nobody knows when it was polled")
	}
}

// TestASilentTransmitterIsAskedLessOften, and nothing of it is lost.
func TestASilentTransmitterIsAskedLessOften(t *testing.T) {
	s := newSender(t)
	w := newListening(t, s, s.config(false))
	s.down = true
	for range 3600 {
		w.turn(time.Second)
	}
	if n := len(w.errors); n < 12 || n > 25 {
		t.Errorf("%d attempts in an hour", n)
	}
	if since, err := w.r.Standing("okta"); !fault.Is(err, fault.Unavailable) || w.clock.Sub(since) < 59*time.Minute {
		t.Errorf("%v since %s", err, since)
	}
	s.down = false
	w.turn(5 * time.Minute)
	if _, err := w.r.Standing("okta"); err != nil || w.stream().ID != "str-1" {
		t.Errorf("it is back: %v", err)
	}
}

// TestAStreamIsMended: one that is gone is made anew, one that is there and not known is
// taken over, one of another transmitter is removed there.
func TestAStreamIsMended(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		s := newSender(t)
		l := s.config(push)
		w := newListening(t, s, l)
		w.turn(0)
		s.stream = nil
		w.turn(time.Hour)
		if !push {
			w.turn(time.Minute)
		}
		if s.stream == nil {
			t.Fatal("it was not made anew")
		}
		delete(w.rows.rows, "okta")
		s.since()
		w.restart(l)
		w.turn(time.Minute)
		if asked := s.since(); asked[1] != "PUT /streams" || w.stream().ID != "str-1" {
			t.Errorf("taken over: %v", asked)
		}
		if status, code := w.send(w.signed(w.claims(ssf.SessionRevoked, kim(s))), "set-1"); status != 202 {
			t.Errorf("after that: %d %s", status, code)
		}
		other := newSender(t)
		w.restart(other.config(push))
		w.turn(time.Minute)
		if w.quiet(); s.stream != nil || other.stream == nil || w.stream().Issuer != other.issuer() {
			t.Errorf("%v, %v", s.stream, other.stream)
		}
	})
}

// TestAnOutageCostsNothingThatIsKnown: a transmitter whose metadata cannot be read again is
// used as it was known, and one that keeps a stream paused is still read.
func TestAnOutageCostsNothingThatIsKnown(t *testing.T) {
	s := newSender(t)
	w := newListening(t, s, s.config(false))
	w.turn(0)
	s.gone = true
	w.turn(25 * time.Hour)
	if status, code := w.send(w.signed(w.claims(ssf.SessionRevoked, kim(s))), "set-1"); status != 202 {
		t.Errorf("in the outage: %d %s", status, code)
	}
	w.quiet()
	s.status, s.firm = ssf.Paused, true
	w.turn(time.Hour)
	if w.stream().Status != ssf.Paused || len(w.errors) != 1 || !fault.Is(w.errors[0], fault.Denied) {
		t.Errorf("%s: %v", w.stream().Status, w.errors)
	}
	if status, code := w.send(w.signed(with(w.claims(ssf.SessionRevoked, kim(s)), "jti", "set-2")), "set-2"); status != 202 {
		t.Errorf("while it is paused: %d %s", status, code)
	}
	s.gone, s.meta = false, map[string]any{"issuer": "https://evil.example"}
	w.turn(25 * time.Hour)
	if _, err := w.r.Standing("okta"); !fault.Is(err, fault.Invalid) {
		t.Errorf("metadata of somebody else: %v", err)
	}
}

// TestAStreamThatIsPushedWithAnotherSecretIsMended: after a backup was put back the bridge
// knows another secret than the transmitter, and notices that no verification comes.
func TestAStreamThatIsPushedWithAnotherSecretIsMended(t *testing.T) {
	s := newSender(t)
	w := newListening(t, s, s.config(true))
	w.turn(0)
	verify := func() int {
		claims := w.claims(ssf.Verification, streamSubject())
		claims["events"] = map[string]any{string(ssf.Verification): map[string]any{"state": s.states[len(s.states)-1]}}
		status, _ := w.send(w.signed(claims), "set-1")
		return status
	}
	if verify() != 202 {
		t.Fatal("it does not begin well")
	}
	s.since()
	w.turn(6 * time.Hour)
	if w.do(w.rows.ChangeIdPStream(t.Context(), "okta", func(s *Stream) { s.PushedBy = []byte("another") })); verify() != 401 {
		t.Error("another secret counts")
	}
	w.turn(time.Hour)
	if asked := s.since(); !slices.Equal(asked, []string{"GET /streams", "GET /status", "POST /verify", "GET /streams", "PUT /streams", "GET /status", "POST /verify"}) {
		t.Errorf("asked %v", asked)
	}
	if verify() != 202 || w.stream().Verified.Before(w.stream().Asked) {
		t.Errorf("it is not mended: %+v", w.stream())
	}
}

// TestATransmitterMustBeAsItIsConfigured (T-F7): nothing is sent to a place that is not
// the issuer's.
func TestATransmitterMustBeAsItIsConfigured(t *testing.T) {
	for name, change := range map[string]func(s *sender){
		"another issuer":            func(s *sender) { s.meta["issuer"] = "https://evil.example" },
		"no keys":                   func(s *sender) { delete(s.meta, "jwks_uri") },
		"keys elsewhere":            func(s *sender) { s.meta["jwks_uri"] = "https://evil.example/keys" },
		"streams elsewhere":         func(s *sender) { s.meta["configuration_endpoint"] = "https://evil.example/streams" },
		"status elsewhere":          func(s *sender) { s.meta["status_endpoint"] = "https://evil.example/streams" },
		"verification elsewhere":    func(s *sender) { s.meta["verification_endpoint"] = "//evil.example" },
		"another way of delivery":   func(s *sender) { s.meta["delivery_methods_supported"] = []string{ssf.Push} },
		"a stream without audience": func(s *sender) { s.stream = map[string]any{"stream_id": "str-1", "delivery": map[string]any{}} },
		"a stream of another": func(s *sender) {
			s.stream = map[string]any{"stream_id": "str-1", "iss": "https://evil.example", "aud": "x", "delivery": map[string]any{}}
		},
	} {
		s := newSender(t)
		change(s)
		w := newListening(t, s, s.config(false))
		w.turn(0)
		if _, err := w.r.Standing("okta"); err == nil || len(s.acked) != 0 || w.rows.rows["okta"].ID != "" {
			t.Errorf("%s: %v, %+v", name, err, w.rows.rows)
		}
	}
	if at := MetadataAddress("https://idp.example/t/acme/"); at != "https://idp.example/.well-known/ssf-configuration/t/acme" {
		t.Errorf("metadata at %s", at)
	}
}

// TestATransmitterIsShownTokensOfTheClient, one for as long as it counts.
func TestATransmitterIsShownTokensOfTheClient(t *testing.T) {
	s := newSender(t)
	l := s.config(false)
	l.Access = Access{Metadata: l.Access.Metadata, ClientID: "bridge-client", ClientSecret: secret.New("word4711"), TokenEndpoint: s.server.URL + "/token", Authentication: BasicSecret,
		OAuthScopes: []string{"ssf.manage", "ssf.read"}}
	w := newListening(t, s, l)
	for range 20 {
		w.turn(10 * time.Second)
	}
	w.quiet()
	if s.tokens != 1 {
		t.Errorf("%d tokens in 200 seconds", s.tokens)
	}
	w.turn(5 * time.Minute)
	if s.tokens != 2 {
		t.Errorf("%d tokens in nine minutes", s.tokens)
	}
	l.Access.ClientSecret = secret.New("another")
	w.restart(l)
	w.turn(time.Minute)
	if _, err := w.r.Standing("okta"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%v", err)
	}
	w.r.Run(cancelled())
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func FuzzParseSET(f *testing.F) {
	for _, s := range []string{
		`{"jti":"1","sub_id":{"format":"opaque","id":"x"},"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{}}}`,
		`{"jti":"1","sub_id":{"format":"complex","user":{"format":"iss_sub","iss":"a","sub":"b"},"session":{"format":"opaque","id":"x"}},"events":{"u":{"state":"y"}}}`,
		`{"jti":"1","events":{"u":{"subject":{"user":{"format":"email","email":"a@b.example"}}}}}`, `{"events":{}}`, `{"jti":"1","sub_id":{"format":"aliases"},"events":{"u":{}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		said, err := jwtclaims.Parse(payload)
		if err != nil {
			return
		}
		set, err := ParseSET(said)
		if err != nil {
			if !fault.Is(err, fault.Unauthenticated) || codeOf(err) != codeRequest {
				t.Errorf("%v is no fault of the token's", err)
			}
			return
		}
		if set.JTI == "" || set.Event == nil || said.Has("sub") || said.Has("exp") {
			t.Errorf("%q is read as %+v", payload, set)
		}
		user, session, named := whom(set.Subject, "a")
		if user.ID != "" && user.Email != "" || named != "" && (session != "" || user != (Subject{})) {
			t.Errorf("%q means %+v, %q, %q", payload, user, session, named)
		}
	})
}

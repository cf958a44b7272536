package credential

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func headerOf(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	delete(header, "kid")
	return header
}

func logoutOrder() LogoutOrder {
	return LogoutOrder{Client: "fleet-web", Subject: "per_mara", Session: "ses_1", JTI: "lgo_1", Reason: "deactivated", Now: noon()}
}

// OpenID Connect Back-Channel Logout 1.0 section 2.4: no nonce, one event, sub and sid.
func TestALogoutTokenSaysWhoHasLeft(t *testing.T) {
	i := testIssuer(t, ES256, RS256)
	for alg, want := range map[string]string{"": ES256, ES256: ES256, RS256: RS256} {
		o := logoutOrder()
		o.Alg = alg
		token, err := i.LogoutToken(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := headerOf(t, token); !reflect.DeepEqual(got, map[string]any{"alg": want, "typ": "logout+jwt"}) {
			t.Errorf("header %v", got)
		}
		if got := payload(t, token); !reflect.DeepEqual(got, map[string]any{"iss": issuerURL, "aud": "fleet-web", "iat": 1772452800.0, "exp": 1772452920.0, "jti": "lgo_1",
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}, "sub": "per_mara", "sid": "ses_1", "end_reason": "deactivated"}) {
			t.Errorf("claims %v", got)
		}
	}
}

func eventOrder() EventOrder {
	return EventOrder{Audience: "https://fleet.example", JTI: "set_1", Issued: noon(), Txn: "REQ1", SubjectID: json.RawMessage(`{"format":"opaque","id":"per_mara"}`),
		Event: "https://schemas.openid.net/secevent/caep/event-type/session-revoked", Says: json.RawMessage(`{"event_timestamp":1772452800}`)}
}

// RFC 8417 with the rules of Shared Signals 1.0: no sub, no exp, exactly one event.
func TestAnEventTokenSaysWhatHappened(t *testing.T) {
	i := testIssuer(t, ES256, RS256)
	token, err := i.EventToken(eventOrder())
	if err != nil {
		t.Fatal(err)
	}
	if got := headerOf(t, token); !reflect.DeepEqual(got, map[string]any{"alg": RS256, "typ": "secevent+jwt"}) {
		t.Errorf("header %v", got)
	}
	if got := payload(t, token); !reflect.DeepEqual(got, map[string]any{"iss": issuerURL, "aud": "https://fleet.example", "iat": 1772452800.0, "jti": "set_1", "txn": "REQ1",
		"sub_id": map[string]any{"format": "opaque", "id": "per_mara"},
		"events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{"event_timestamp": 1772452800.0}}}) {
		t.Errorf("claims %v", got)
	}
}

// What tells others is no credential: nothing of ours takes it for one.
func TestTokensThatTellOpenNothing(t *testing.T) {
	i := testIssuer(t, ES256, RS256)
	logout, err := i.LogoutToken(logoutOrder())
	if err != nil {
		t.Fatal(err)
	}
	told, err := i.EventToken(eventOrder())
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{logout, told} {
		if _, err := i.Verify(token, noon()); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("as an access token: %v", err)
		}
		if _, err := i.VerifyIDToken(token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("as an ID token: %v", err)
		}
	}
}

func TestIncompleteOrdersOfTokensThatTellAreOurMistake(t *testing.T) {
	i := testIssuer(t, ES256, RS256)
	for name, o := range map[string]func(*LogoutOrder){
		"no client": func(o *LogoutOrder) { o.Client = "" }, "no subject": func(o *LogoutOrder) { o.Subject = "" }, "no session": func(o *LogoutOrder) { o.Session = "" },
		"no jti": func(o *LogoutOrder) { o.JTI = "" }, "an algorithm of nobody": func(o *LogoutOrder) { o.Alg = "HS256" },
	} {
		order := logoutOrder()
		o(&order)
		if _, err := i.LogoutToken(order); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]func(*EventOrder){
		"no audience": func(o *EventOrder) { o.Audience = "" }, "no jti": func(o *EventOrder) { o.JTI = "" }, "no event": func(o *EventOrder) { o.Event = "" },
		"no object": func(o *EventOrder) { o.Says = json.RawMessage(`[]`) }, "no subject": func(o *EventOrder) { o.SubjectID = json.RawMessage(`"x"`) },
	} {
		order := eventOrder()
		o(&order)
		if _, err := i.EventToken(order); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// By an assertion the bridge proves itself as somebody else's client: it is nobody's
// token here, works for one audience and a minute, and is another one each time.
func TestAClientAssertionProvesTheBridgeElsewhere(t *testing.T) {
	i := testIssuer(t, ES256, RS256)
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	one, err := i.ClientAssertion("bridge-there", "https://idp.example/token", noon)
	if err != nil {
		t.Fatal(err)
	}
	if got := headerOf(t, one); !reflect.DeepEqual(got, map[string]any{"alg": RS256, "typ": "JWT"}) {
		t.Errorf("header %v", got)
	}
	got := payload(t, one)
	jti, _ := got["jti"].(string)
	delete(got, "jti")
	if !reflect.DeepEqual(got, map[string]any{"iss": "bridge-there", "sub": "bridge-there", "aud": "https://idp.example/token", "iat": 1772452800.0, "exp": 1772452860.0}) || len(jti) < 20 {
		t.Errorf("claims %v, jti %q", got, jti)
	}
	two, err := i.ClientAssertion("bridge-there", "https://idp.example/token", noon)
	if err != nil || payload(t, two)["jti"] == jti {
		t.Errorf("the same again (%v)", err)
	}
	if _, err := i.VerifyIDToken(one); err == nil {
		t.Error("it is an ID token of ours")
	}
	if _, err := i.Verify(one, noon); err == nil {
		t.Error("it is an access token of ours")
	}
	for _, wrong := range [][2]string{{"", "https://idp.example"}, {"bridge-there", ""}, {issuerURL, "https://idp.example"}, {"bridge-there", issuerURL}} {
		if _, err := i.ClientAssertion(wrong[0], wrong[1], noon); err == nil {
			t.Errorf("%q was signed", wrong)
		}
	}
}

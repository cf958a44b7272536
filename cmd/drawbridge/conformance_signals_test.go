//go:build lanes

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func signalPlans() []plan {
	return []plan{
		{"openid-ssf-transmitter-test-plan", []module{
			{"openid-ssf-transmitter-metadata", "every required member, endpoints below the issuer, both ways of delivery", "", (*trial).signalMetadata},
			{"openid-ssf-stream-control-happy-path", "create, read, update, replace, status, delete", "", (*trial).streamControl},
			{"openid-ssf-stream-control-error-create-stream-with-broken-input", "400", "", (*trial).createBroken},
			{"openid-ssf-stream-control-error-create-stream-with-invalid-token", "401 with a challenge; 403 to a token that may only read", "", (*trial).createInvalidToken},
			{"openid-ssf-stream-control-error-create-stream-with-duplicate-config", "409; the first stream stays", "", (*trial).createDuplicate},
			{"openid-ssf-stream-control-error-read-stream-with-invalid-token", "401 with a challenge, also to the access token of a person", "", (*trial).readInvalidToken},
			{"openid-ssf-stream-control-error-read-unknown-stream", "404, also of another's stream", "", (*trial).readUnknown},
			{"openid-ssf-stream-control-error-update-stream-with-invalid-token", "401 with a challenge; 403 to a token that may only read", "", (*trial).updateInvalidToken},
			{"openid-ssf-stream-control-error-update-stream-with-invalid-body", "400", "", (*trial).updateBroken},
			{"openid-ssf-stream-control-error-update-unknown-stream", "404, also of another's stream", "", (*trial).updateUnknown},
			{"openid-ssf-stream-control-error-replace-stream-with-invalid-body", "400", "", (*trial).replaceBroken},
			{"openid-ssf-stream-control-error-replace-stream-with-invalid-token", "401 with a challenge; 403 to a token that may only read", "", (*trial).replaceInvalidToken},
			{"openid-ssf-stream-control-error-replace-unknown-stream", "404, also of another's stream", "", (*trial).replaceUnknown},
			{"openid-ssf-stream-control-error-delete-stream-with-invalid-token", "401 with a challenge; 403 to a token that may only read", "", (*trial).deleteInvalidToken},
			{"openid-ssf-stream-control-error-delete-unknown-stream", "404, also of another's stream, which stays", "", (*trial).deleteUnknown},
			{"openid-ssf-stream-subject-control", "a subject is added and removed", "", (*trial).subjectControl},
			{"openid-ssf-transmitter-stream-verification-push", "pushed with the authorization header that was given, which is never shown", "", (*trial).verificationPush},
			{"openid-ssf-transmitter-stream-verification-poll-only", "what is not acknowledged comes again", "", (*trial).verificationPollOnly},
			{"openid-ssf-transmitter-stream-verification-poll-and-ack", "the first is acknowledged while the second is fetched", "", (*trial).verificationPollAndAck},
			{"openid-ssf-transmitter-stream-verification-ack-only", "an acknowledgement alone is answered empty, and holds", "", (*trial).verificationAckOnly},
			{"openid-ssf-transmitter-stream-verification-error-push-no-auth", "pushed without an authorization header", "", (*trial).verificationPushNoAuth},
		}},
		{"openid-ssf-transmitter-caep-test-plan", []module{
			{"openid-ssf-transmitter-stream-caep-interop", "by push and by poll, `session-revoked` of somebody who signs out, with `reason_admin`; no other event of the profile is promised", "somebody must sign out while it waits", (*trial).caepInterop},
			{"openid-ssf-stream-control-error-update-stream-with-invalid-token", "as above", "", (*trial).updateInvalidToken},
			{"openid-ssf-stream-control-error-update-stream-with-invalid-body", "as above", "", (*trial).updateBroken},
			{"openid-ssf-stream-control-error-update-unknown-stream", "as above", "", (*trial).updateUnknown},
			{"openid-ssf-stream-control-error-replace-stream-with-invalid-body", "as above", "", (*trial).replaceBroken},
			{"openid-ssf-stream-control-error-replace-stream-with-invalid-token", "as above", "", (*trial).replaceInvalidToken},
			{"openid-ssf-stream-control-error-replace-unknown-stream", "as above", "", (*trial).replaceUnknown},
			{"openid-ssf-stream-subject-control", "as above", "", (*trial).subjectControl},
		}},
	}
}

const (
	byPoll       = `"delivery":{"method":"urn:ietf:rfc:8936"}`
	revokedEvent = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	verification = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

// receiver is an application with an access token of its own, by client_credentials.
type receiver struct {
	*trial
	token string
}

func (r *trial) receiver(app relyingParty, scope string) receiver {
	r.t.Helper()
	status, answer := app.asks(r, "token_endpoint", url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	token, _ := answer["access_token"].(string)
	if status != http.StatusOK || token == "" {
		r.t.Fatalf("the token for %s: %d %v", scope, status, answer)
	}
	return receiver{r, token}
}

func (r *trial) me() receiver      { r.t.Helper(); return r.receiver(r.app, "ssf.read ssf.manage") }
func (r *trial) another() receiver { r.t.Helper(); return r.receiver(r.other, "ssf.read ssf.manage") }

// calls sends a request to the transmitter and gives status, header and body.
func (x receiver) calls(method, path, body string) (int, http.Header, []byte) {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), method, x.Issuer+path, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	if x.token != "" {
		req.Header.Set("Authorization", "Bearer "+x.token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

// gets is calls that must be answered with that status; it gives the JSON of the answer.
func (x receiver) gets(status int, method, path, body string) map[string]any {
	x.t.Helper()
	got, _, b := x.calls(method, path, body)
	if got != status {
		x.t.Fatalf("%s %s %s answered %d %s, want %d", method, path, body, got, b, status)
	}
	out := map[string]any{}
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &out); err != nil {
			x.t.Fatal(err)
		}
	}
	return out
}

// creates makes the stream and gives its id.
func (x receiver) creates(members string) string {
	x.t.Helper()
	id, _ := x.gets(http.StatusCreated, http.MethodPost, "/ssf/streams", "{"+members+"}")["stream_id"].(string)
	return id
}

func of(stream string) string { return "/ssf/streams?stream_id=" + stream }

// withoutStreams takes away what the module before left, as the suite does.
func (r *trial) withoutStreams() {
	r.t.Helper()
	for _, x := range []receiver{r.me(), r.another()} {
		_, _, b := x.calls(http.MethodGet, "/ssf/streams", "")
		var all []struct {
			ID string `json:"stream_id"`
		}
		if err := json.Unmarshal(b, &all); err != nil {
			r.t.Fatalf("%v: %s", err, b)
		}
		for _, s := range all {
			x.gets(http.StatusNoContent, http.MethodDelete, of(s.ID), "")
		}
	}
}

func (r *trial) signalMetadata() {
	var m map[string]any
	r.read(r.t, "/.well-known/ssf-configuration", &m)
	for _, member := range []string{"jwks_uri", "configuration_endpoint", "status_endpoint", "add_subject_endpoint", "remove_subject_endpoint", "verification_endpoint"} {
		if at, _ := m[member].(string); !strings.HasPrefix(at, r.Issuer+"/") {
			r.t.Errorf("%s is %v", member, m[member])
		}
	}
	if m["issuer"] != r.Issuer || m["spec_version"] != "1_0" || m["default_subjects"] != "ALL" || fmt.Sprint(m["delivery_methods_supported"]) != "[urn:ietf:rfc:8935 urn:ietf:rfc:8936]" ||
		fmt.Sprint(m["authorization_schemes"]) != "[map[spec_urn:urn:ietf:rfc:6749]]" {
		r.t.Errorf("%v", m)
	}
}

// wanted are the events that the suite asks every stream for.
const wanted = `"events_requested":["` + revokedEvent + `","https://schemas.openid.net/secevent/caep/event-type/credential-change","https://schemas.openid.net/secevent/caep/event-type/device-compliance-change"]`

func (r *trial) streamControl() {
	x := r.me()
	id := x.creates(byPoll + "," + wanted + `,"description":"one"`)
	c := x.gets(200, "GET", of(id), "")
	if c["stream_id"] != id || c["iss"] != r.Issuer || c["aud"] != r.app.id || fmt.Sprint(c["events_delivered"]) != "["+revokedEvent+"]" || c["description"] != "one" ||
		c["delivery"].(map[string]any)["endpoint_url"] != r.Issuer+"/ssf/poll/"+id {
		r.t.Errorf("created: %v", c)
	}
	for method, description := range map[string]string{"PATCH": "two", "PUT": "three"} {
		c = x.gets(200, method, "/ssf/streams", `{"stream_id":"`+id+`",`+byPoll+","+wanted+`,"description":"`+description+`"}`)
		if c["description"] != description || c["iss"] != r.Issuer || fmt.Sprint(c["events_delivered"]) != "["+revokedEvent+"]" {
			r.t.Errorf("%s: %v", method, c)
		}
	}
	if c = x.gets(200, "PUT", "/ssf/streams", `{"stream_id":"`+id+`",`+byPoll+`}`); c["description"] != nil || len(c["events_delivered"].([]any)) < 6 {
		r.t.Errorf("what is left out of a replacement is not there any more: %v", c)
	}
	status := "/ssf/status?stream_id=" + id // the suite has it here, too, where it changes it
	for _, to := range []string{"enabled", "paused", "disabled"} {
		if s := x.gets(200, "POST", status, `{"stream_id":"`+id+`","status":"`+to+`","reason":"lunch"}`); s["status"] != to {
			r.t.Errorf("the answer to %s: %v", to, s)
		}
		if s := x.gets(200, "GET", status, ""); s["status"] != to || s["stream_id"] != id {
			r.t.Errorf("status after %s: %v", to, s)
		}
	}
	x.gets(204, "DELETE", of(id), "")
	x.gets(404, "GET", of(id), "")
}

func (r *trial) createBroken() {
	for _, broken := range []string{";{ broken", "{", "[]", `{"delivery":"x"}`, `{"events_requested":7}`} {
		r.me().gets(400, "POST", "/ssf/streams", broken)
	}
}

// refusesTokens fails unless a request is refused to whoever has no token, one that is no
// token, one of a person, and, where it changes something, one that may only read.
func (r *trial) refusesTokens(method, path, body string) {
	r.t.Helper()
	type want struct {
		status    int
		challenge string
	}
	cases := map[string]want{
		"": {401, `Bearer realm="ssf"`},
		"invalid:9f0c1a6e-6f0e-4a52-9e55-7d1d1f3f3a10": {401, `Bearer realm="ssf", error="invalid_token"`},
		r.me().token + "x":                    {401, `Bearer realm="ssf", error="invalid_token"`},
		r.person().signsIn(r.app, nil).access: {401, `Bearer realm="ssf", error="invalid_token"`},
	}
	if method != http.MethodGet {
		cases[r.receiver(r.app, "ssf.read").token] = want{403, `Bearer realm="ssf", error="insufficient_scope", scope="ssf.manage"`}
	}
	for token, w := range cases {
		status, h, b := receiver{r, token}.calls(method, path, body)
		if status != w.status || !strings.HasPrefix(h.Get("WWW-Authenticate"), w.challenge) {
			r.t.Errorf("%s %s with token %q: %d %q %s, want %+v", method, path, token, status, h.Get("WWW-Authenticate"), b, w)
		}
	}
}

func (r *trial) createInvalidToken() { r.refusesTokens("POST", "/ssf/streams", "{"+byPoll+"}") }
func (r *trial) readInvalidToken()   { r.refusesTokens("GET", of(r.me().creates(byPoll)), "") }
func (r *trial) updateInvalidToken() {
	r.refusesTokens("PATCH", "/ssf/streams", `{"stream_id":"`+r.me().creates(byPoll)+`","description":"x"}`)
}
func (r *trial) replaceInvalidToken() {
	r.refusesTokens("PUT", "/ssf/streams", `{"stream_id":"`+r.me().creates(byPoll)+`",`+byPoll+`}`)
}
func (r *trial) deleteInvalidToken() {
	id := r.me().creates(byPoll)
	r.refusesTokens("DELETE", of(id), "")
	r.me().gets(200, "GET", of(id), "")
}

func (r *trial) createDuplicate() {
	x := r.me()
	id := x.creates(byPoll)
	x.gets(409, "POST", "/ssf/streams", "{"+byPoll+"}")
	x.gets(200, "GET", of(id), "")
}

// unknown are ids of streams that are not there for the application: one that was, one
// that never was, and another's.
func (r *trial) unknown() []string {
	x := r.me()
	was := x.creates(byPoll)
	x.gets(204, "DELETE", of(was), "")
	return []string{was, "unknown", r.another().creates(byPoll)}
}

func (r *trial) readUnknown() {
	for _, id := range r.unknown() {
		r.me().gets(404, "GET", of(id), "")
	}
}

func (r *trial) updateUnknown() {
	for _, id := range r.unknown() {
		r.me().gets(404, "PATCH", "/ssf/streams", `{"stream_id":"`+id+`"}`)
	}
}

func (r *trial) replaceUnknown() {
	for _, id := range r.unknown() {
		r.me().gets(404, "PUT", "/ssf/streams", `{"stream_id":"`+id+`",`+byPoll+`}`)
	}
}

func (r *trial) deleteUnknown() {
	all := r.unknown()
	for _, id := range all {
		r.me().gets(404, "DELETE", of(id), "")
	}
	r.another().gets(200, "GET", of(all[2]), "")
}

func (r *trial) updateBroken() {
	id := r.me().creates(byPoll)
	for _, broken := range []string{";{ broken", "{", `{"description":"no stream"}`, `{"stream_id":"` + id + `","events_delivered":["urn:other"]}`, `{"stream_id":"` + id + `","iss":"https://other.example"}`} {
		r.me().gets(400, "PATCH", "/ssf/streams", broken)
	}
}

func (r *trial) replaceBroken() {
	id := r.me().creates(byPoll)
	for _, broken := range []string{";{ broken", "{", `{` + byPoll + `}`, `{"stream_id":"` + id + `","aud":"other"}`, `{"stream_id":"` + id + `","delivery":{"method":"urn:other"}}`} {
		r.me().gets(400, "PUT", "/ssf/streams", broken)
	}
}

func (r *trial) subjectControl() {
	x := r.me()
	id := x.creates(byPoll)
	subject := `{"stream_id":"` + id + `","subject":{"format":"email","email":"example.user@example.com"}`
	x.gets(200, "POST", "/ssf/subjects:add", subject+`,"verified":true}`)
	x.gets(204, "POST", "/ssf/subjects:remove", subject+"}")
	r.refusesTokens("POST", "/ssf/subjects:add", subject+"}")
	x.gets(204, "DELETE", of(id), "")
}

// verifies asks for a verification, no more often than the stream's configuration allows.
func (x receiver) verifies(stream, state string) {
	x.t.Helper()
	body := `{"stream_id":"` + stream + `","state":"` + state + `"}`
	awaited(x.t, "a verification that may be asked for", func() (bool, bool) {
		status, _, b := x.calls("POST", "/ssf/verify", body)
		if status != http.StatusNoContent && status != http.StatusTooManyRequests {
			x.t.Fatalf("the verification: %d %s", status, b)
		}
		return true, status == http.StatusNoContent
	})
}

// polls polls once; the claims of each token by its jti.
func (x receiver) polls(stream, body string) map[string]map[string]any {
	x.t.Helper()
	out := map[string]map[string]any{}
	sets, _ := x.gets(200, "POST", "/ssf/poll/"+stream, body)["sets"].(map[string]any)
	for jti, set := range sets {
		out[jti] = x.event(set.(string))
	}
	return out
}

// waits polls until as many tokens wait as must come.
func (x receiver) waits(stream, body string, many int) map[string]map[string]any {
	x.t.Helper()
	return awaited(x.t, "what is polled for", func() (map[string]map[string]any, bool) {
		got := x.polls(stream, body)
		return got, len(got) >= many
	})
}

// event verifies a security event token as the suite does (SSF 1.0 section 4.1, RFC 8417).
func (r *trial) event(set string) map[string]any {
	r.t.Helper()
	jws, err := jose.ParseSignedCompact(set, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		r.t.Fatal(err)
	}
	c := r.verified(set)
	_, hasSub := c["sub"]
	_, hasExp := c["exp"]
	iat, _ := c["iat"].(float64)
	events, _ := c["events"].(map[string]any)
	if jws.Signatures[0].Protected.ExtraHeaders["typ"] != "secevent+jwt" || c["iss"] != r.Issuer || c["aud"] != r.app.id || c["jti"] == nil || hasSub || hasExp ||
		iat == 0 || time.Unix(int64(iat), 0).After(time.Now().Add(time.Minute)) || len(events) != 1 || c["sub_id"] == nil {
		r.t.Fatalf("header %v, claims %v", jws.Signatures[0].Protected, c)
	}
	return c
}

// eventOf is what a token says of one event.
func eventOf(claims map[string]any, uri string) (map[string]any, bool) {
	events, _ := claims["events"].(map[string]any)
	what, is := events[uri].(map[string]any)
	return what, is
}

func isVerification(claims map[string]any, stream, state string) bool {
	what, is := eventOf(claims, verification)
	sub, _ := claims["sub_id"].(map[string]any)
	return is && what["state"] == state && sub["format"] == "opaque" && sub["id"] == stream
}

// verifying fails unless exactly one token is there: the verification with that state.
func (r *trial) verifying(got map[string]map[string]any, stream, state string) (jti string) {
	r.t.Helper()
	for id, claims := range got {
		if jti = id; len(got) != 1 || claims["jti"] != id || !isVerification(claims, stream, state) {
			r.t.Fatalf("%v is no verification of %s with state %q alone", got, stream, state)
		}
	}
	return jti
}

func (r *trial) verificationPollOnly() {
	x := r.me()
	id := x.creates(byPoll)
	x.verifies(id, "s1")
	for range 2 {
		r.verifying(x.waits(id, `{"maxEvents":10,"returnImmediately":true}`, 1), id, "s1")
	}
}

func (r *trial) verificationPollAndAck() {
	x := r.me()
	id := x.creates(byPoll)
	x.verifies(id, "s1")
	jti := r.verifying(x.waits(id, `{"maxEvents":10,"returnImmediately":true}`, 1), id, "s1")
	x.verifies(id, "s2")
	r.verifying(x.waits(id, `{"maxEvents":10,"returnImmediately":true,"ack":["`+jti+`"]}`, 1), id, "s2")
}

func (r *trial) verificationAckOnly() {
	x := r.me()
	id := x.creates(byPoll)
	x.verifies(id, "s1")
	jti := r.verifying(x.waits(id, `{"maxEvents":10,"returnImmediately":true}`, 1), id, "s1")
	for _, body := range []string{`{"maxEvents":0,"returnImmediately":true,"ack":["` + jti + `"]}`, `{"maxEvents":10,"returnImmediately":true}`} {
		if got := x.polls(id, body); len(got) != 0 {
			r.t.Errorf("%s is answered with %v", body, got)
		}
	}
}

// byPush is a delivery to an address of the suite that is this module's own.
func (r *trial) byPush(extra string) (delivery, path string) {
	path = "/push/" + r.t.Name()
	return `"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"` + r.own.URL + path + `"` + extra + `}`, path
}

// pushedTo waits for what is pushed to an address and that want says yes to.
func (r *trial) pushedTo(path string, want func(map[string]any) bool) (pushed, map[string]any) {
	r.t.Helper()
	p := awaited(r.t, "what is pushed", func() (pushed, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		at := slices.IndexFunc(r.pushes, func(p pushed) bool { return p.path == path && want(claimsOf(p.set)) })
		if at < 0 {
			return pushed{}, false
		}
		return r.pushes[at], true
	})
	if p.header.Get("Content-Type") != "application/secevent+jwt" || p.header.Get("Accept") != "application/json" {
		r.t.Errorf("pushed with %v", p.header)
	}
	return p, r.event(p.set)
}

// pushesVerification asks for a verification by push and gives how it came.
func (r *trial) pushesVerification(extra string) http.Header {
	r.t.Helper()
	x := r.me()
	delivery, path := r.byPush(extra)
	id := x.creates(delivery)
	if status, _, b := x.calls("GET", of(id), ""); status != 200 || strings.Contains(string(b), "hunter2") {
		r.t.Errorf("the configuration shows the authorization header: %s", b)
	}
	x.verifies(id, "s1")
	p, _ := r.pushedTo(path, func(c map[string]any) bool { return isVerification(c, id, "s1") })
	return p.header
}

func (r *trial) verificationPush() {
	if h := r.pushesVerification(`,"authorization_header":"Bearer hunter2"`); h.Get("Authorization") != "Bearer hunter2" {
		r.t.Errorf("pushed with %v", h)
	}
}

func (r *trial) verificationPushNoAuth() {
	if h := r.pushesVerification(""); len(h.Values("Authorization")) != 0 {
		r.t.Errorf("pushed with %v", h)
	}
}

// caepInterop is the module by push and by poll: somebody signs out while it waits.
func (r *trial) caepInterop() {
	x := r.me()
	delivery, path := r.byPush(`,"authorization_header":"Bearer hunter2"`)
	pushed := r.revoked(x, delivery, func(id string, want func(map[string]any) bool) map[string]any {
		_, claims := r.pushedTo(path, want)
		return claims
	})
	polled := r.revoked(x, byPoll, func(id string, want func(map[string]any) bool) map[string]any {
		return awaited(r.t, "what is polled for", func() (map[string]any, bool) {
			for _, claims := range x.polls(id, `{"maxEvents":10,"returnImmediately":true}`) {
				if want(claims) {
					return claims, true
				}
			}
			return nil, false
		})
	})
	if pushed["sub_id"] == nil || polled["jti"] == pushed["jti"] {
		r.t.Errorf("two sessions ended, and one is told of: %v, %v", pushed, polled)
	}
}

// revoked makes a stream, sees its verification come, signs somebody out, and gives what
// the stream is told of it.
func (r *trial) revoked(x receiver, delivery string, next func(id string, want func(map[string]any) bool) map[string]any) map[string]any {
	r.t.Helper()
	p := r.person()
	got := p.signsIn(r.app, nil)
	id := x.creates(delivery + "," + wanted)
	if c := x.gets(200, "GET", of(id), ""); fmt.Sprint(c["events_delivered"]) != "["+revokedEvent+"]" || !slices.Contains(c["events_supported"].([]any), any(revokedEvent)) {
		r.t.Errorf("%v", c)
	}
	if s := x.gets(200, "GET", "/ssf/status?stream_id="+id, ""); s["status"] != "enabled" {
		r.t.Errorf("%v", s)
	}
	x.verifies(id, "s1")
	next(id, func(c map[string]any) bool { return isVerification(c, id, "s1") })
	p.leaves(url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {r.afterwards()}})
	claims := next(id, func(c map[string]any) bool { _, is := eventOf(c, revokedEvent); return is })
	what, _ := eventOf(claims, revokedEvent)
	sub, _ := claims["sub_id"].(map[string]any)
	why, _ := what["reason_admin"].(map[string]any)
	session, _ := sub["session"].(map[string]any)
	if text, _ := why["en"].(string); text == "" || what["event_timestamp"] == nil || sub["format"] != "complex" || session["id"] != got.claims["sid"] {
		r.t.Errorf("%v tells of the session %v", claims, got.claims["sid"])
	}
	x.gets(204, "DELETE", of(id), "")
	return claims
}

package bridge_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// asked sends a SCIM request with headers, as the edge does.
func (w *world) asked(token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/scim/v2/"+path, strings.NewReader(body))
	r = r.WithContext(bridge.WithRequestID(r.Context(), "REQ"+strings.ToUpper(method)+strings.Repeat("X", len(body)%7)))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.scim.ServeHTTP(rec, r)
	return rec
}

// A client that prefers not to wait is answered with 202 when it is done, and fetches
// what became of it with its own credential. A deactivation is never put off.
func TestWhoPrefersItIsAnsweredWith202AndFetchesTheResult(t *testing.T) {
	tr := newTransmitter(t)
	sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
	tr.group(banksia, "GL Geelong Managers", sam)
	v := tr.session(banksia, "oid-sam")
	const off = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`
	rec := tr.asked(tr.tokens[banksia], "PATCH", banksia+"/Users/"+sam, off, "Prefer", "respond-async", "Accept", "text/plain")
	if rec.Code == 406 { // Accept decides before the preference does
		rec = tr.asked(tr.tokens[banksia], "PATCH", banksia+"/Users/"+sam, off, "Prefer", "respond-async")
	}
	txn, at := rec.Header().Get("Set-Txn"), rec.Header().Get("Location")
	if rec.Code != 202 || rec.Body.Len() != 0 || txn == "" || rec.Header().Get("Preference-Applied") != "respond-async" || !strings.HasSuffix(at, "/scim/v2/"+banksia+"/AsyncResults/"+txn) {
		t.Fatalf("answered %d %q %v", rec.Code, rec.Body, rec.Header())
	}
	tr.allDead(v, "a deactivation that was answered with 202")

	path := strings.TrimPrefix(at, "http://127.0.0.1:8443/scim/v2/")
	got := tr.asked(tr.tokens[banksia], "GET", path, "", "Accept", "application/secevent+jwt")
	if got.Code != 200 || got.Header().Get("Content-Type") != "application/secevent+jwt" {
		t.Fatalf("the result: %d %s", got.Code, got.Body)
	}
	claims := tr.verified(got.Body.String(), banksia)
	uri, what := eventIn(claims)
	sub := claims["sub_id"].(map[string]any)
	if uri != "urn:ietf:params:scim:event:misc:asyncresp" || claims["txn"] != txn || what["method"] != "PATCH" || what["status"] != "200" || what["version"] == "" || sub["uri"] != "/Users/"+sam {
		t.Errorf("%v", claims)
	}
	if got := tr.asked(tr.tokens[southern], "GET", path, ""); got.Code != 401 {
		t.Errorf("another connection's credential: %d", got.Code)
	}
	if got := tr.asked(tr.tokens[southern], "GET", strings.Replace(path, banksia, southern, 1), ""); got.Code != 404 {
		t.Errorf("another connection's result: %d", got.Code)
	}
	if got := tr.asked(tr.tokens[banksia], "GET", banksia+"/AsyncResults/unknown", ""); got.Code != 404 {
		t.Errorf("a result that never was: %d", got.Code)
	}
}

// What is done within the wait that the client named, and whatever fails, is answered
// as it always is.
func TestWhatIsNotPutOff(t *testing.T) {
	w := newWorld(t)
	const new = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@banksia.example"}`
	if rec := w.asked(w.tokens[banksia], "POST", banksia+"/Users", new, "Prefer", "respond-async, wait=20"); rec.Code != 201 || rec.Body.Len() == 0 || rec.Header().Get("Location") == "" {
		t.Errorf("within the wait: %d %s", rec.Code, rec.Body)
	}
	if rec := w.asked(w.tokens[banksia], "POST", banksia+"/Users", new, "Prefer", "respond-async"); rec.Code != 409 {
		t.Errorf("a conflict: %d %s", rec.Code, rec.Body)
	}
	if rec := w.asked(w.tokens[banksia], "GET", banksia+"/Users", "", "Prefer", "respond-async"); rec.Code != 200 {
		t.Errorf("a list: %d", rec.Code)
	}
	if rec := w.asked("wrong", "POST", banksia+"/Users", new, "Prefer", "respond-async"); rec.Code != 401 {
		t.Errorf("a stranger: %d", rec.Code)
	}
	rec := w.asked(w.tokens[banksia], "POST", banksia+"/Users", strings.Replace(new, "ada", "bea", 1), "Prefer", "respond-async")
	if rec.Code != 202 {
		t.Fatalf("created: %d %s", rec.Code, rec.Body)
	}
	w.clock.Add(25 * time.Hour)
	w.do(w.bridge.TrimSCIMResults(w.ctx))
	if got := w.asked(w.tokens[banksia], "GET", banksia+"/AsyncResults/"+rec.Header().Get("Set-Txn"), ""); got.Code != 404 {
		t.Errorf("after a day: %d", got.Code)
	}
}

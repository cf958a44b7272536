package idp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Retry-After counts as the vendors count it: whole seconds and nothing else.
func TestRetryAfterIsWholeSeconds(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "": 0, "-1": 0, "1.5": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0, "99999999999999999999": 0, "2000000": 0,
	} {
		if got := seconds(in); got != want {
			t.Errorf("%q is %s, not %s", in, got, want)
		}
	}
}

// A refusal carries what the server said, whether or not it said it as SCIM does;
// a secret is in no exchange that is kept.
func TestWhatIsKeptOfAnExchange(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok" || r.Header.Get("User-Agent") != "Okta SCIM Client 1.0.0" {
			t.Errorf("%v", r.Header)
		}
		w.Header().Set("Retry-After", "3")
		http.Error(w, "come back later", http.StatusTooManyRequests)
	}))
	defer s.Close()
	var kept []Exchange
	w := &Wire{Base: s.URL, Token: secret.New("tok"), Client: s.Client(), Now: time.Now, Manner: OktaManner(), Keep: 1 << 10,
		Observe: func(x Exchange) { kept = append(kept, x) }}
	body := OktaBodies(Fleet{}).NewPerson(Person{UserName: "sam@banksia.example"})
	err := w.Send(t.Context(), "POST", "/Users", body, nil)
	refused, ok := err.(*SCIMError)
	if !ok || refused.Status != http.StatusTooManyRequests || refused.RetryAfter != 3*time.Second || !strings.Contains(refused.Detail, "come back later") {
		t.Errorf("%v", err)
	}
	if len(kept) != 1 || !strings.Contains(kept[0].Request, `"password":"[redacted]"`) || kept[0].Status != http.StatusTooManyRequests || kept[0].Err == "" {
		t.Errorf("%+v", kept)
	}
}

// An answer that does not end is given up on.
func TestAnAnswerHasALimit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	w := &Wire{Base: s.URL, Client: s.Client(), Now: time.Now, Limit: 10 << 10}
	if err := w.Send(t.Context(), "GET", "/Users", nil, nil); err == nil || !strings.Contains(err.Error(), "over 10240 bytes") {
		t.Errorf("%v", err)
	}
}

// What is written directly is what the JSON package writes.
func TestDocumentsAreWrittenAsJSONIs(t *testing.T) {
	for _, v := range []any{"sam@banksia.example", "", `Q"uote`, `back\slash`, "<b>&", "Luleå", "line\nbreak", "\x7f", "\u2028", "\xff", true, false, []string{}, []string{"a", "<"}, 7} {
		want, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encode(document{{"k", v}, {"d", document{{"v", v}}}})
		if err != nil || string(got) != `{"k":`+string(want)+`,"d":{"v":`+string(want)+`}}` {
			t.Errorf("%q: %s, %v", v, got, err)
		}
	}
}

// canned answers every request with the same document.
type canned []byte

func (c canned) Send(_ context.Context, _, _ string, _, into any) error {
	if into == nil {
		return nil
	}
	return json.Unmarshal(c, into)
}

// Whatever a server answers, a push ends: with an id that was in the answer, or with
// an error.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"totalResults":0,"Resources":[]}`, `{"id":"u1"}`, `{"Resources":[{"id":"u1","userName":"sam@banksia.example","active":true,"emails":[{"type":"work","value":"x"}]}]}`,
		`{"Resources":[{},{}]}`, `{"Resources":[{"id":"u1","urn:drawbridge:scim:schemas:extension:fleet:2.0:User":{"certificationExpires":"2030-01-01T00:00:00Z"}}]}`,
		`{"Resources":[{"urn:drawbridge:scim:schemas:extension:fleet:2.0:User":7}]}`, `[]`, `null`, `{"Resources":null,"id":""}`,
	} {
		f.Add([]byte(seed))
	}
	sam := Person{ObjectID: "oid-sam", UserName: "sam@banksia.example", GivenName: "Sam", FamilyName: "Ryder", Active: true}
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, d := range []Dialect{Entra(canned(answer), false, Fleet{}), Entra(canned(answer), true, Fleet{}), Okta(canned(answer), false, Fleet{}), Okta(canned(answer), true, Fleet{})} {
			if id, _, err := d.PushPerson(t.Context(), sam); err == nil && id == "" {
				t.Errorf("%q: a person without an id", answer)
			}
			if id, _, err := d.PushGroup(t.Context(), Group{Name: "GL Geelong Managers"}, []Member{{ID: "u1"}}); err == nil && id == "" {
				t.Errorf("%q: a group without an id", answer)
			}
		}
	})
}

package scimtest

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func (m *memory) empty(t *testing.T) {
	t.Helper()
	for _, r := range slices.Concat(m.people.rows, m.teams.rows) {
		t.Errorf("left behind: %s %s%s", r.ID, r.doc.Text("userName"), r.doc.Text("displayName"))
	}
}

// seed puts somebody real into a directory.
func (m *memory) seed(t *testing.T) {
	t.Helper()
	doc := schema.Object{"userName": "kim@vendor.example", "displayName": "Kim"}
	if _, err := m.people.Create(t.Context(), scim.Input{Doc: doc}); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWhatWasMadeIsRemovedAndAllOfIt(t *testing.T) {
	m, server := kept()
	m.seed(t)
	if r := check(t, server); len(r.Left) > 0 {
		t.Errorf("left %v", r.Left)
	}
	if len(m.people.rows) != 1 || m.people.rows[0].Version != 1 || m.people.rows[0].doc.Text("displayName") != "Kim" {
		t.Errorf("somebody real was touched, or somebody was left: %d people", len(m.people.rows))
	}
	m.people.rows = nil
	m.empty(t)
}

func TestAnInterruptedRunRemovesWhatItMade(t *testing.T) {
	for _, at := range []int{1, 60, 150, 280} {
		m, server := kept()
		ctx, cancel := context.WithCancel(t.Context())
		r, err := Run(ctx, Options{BaseURL: testURL, Token: testToken, Transport: inProcess{server}, Progress: func(done, _ int, _ string) {
			if done == at {
				cancel()
			}
		}})
		if err != nil || r.Stopped != "interrupted" || r.Grade != "-" || len(r.Findings) != len(Checks()) {
			t.Errorf("at %d: %v, stopped %q, grade %s", at, err, r.Stopped, r.Grade)
		}
		m.empty(t)
		cancel()
	}
}

// lossy makes what is asked for, and loses every seventh answer.
type lossy struct {
	inProcess
	n atomic.Int64
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.inProcess.RoundTrip(r)
	if r.Method == http.MethodPost && l.n.Add(1)%7 == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return res, err
}

func TestWhatWasMadeBehindALostAnswerIsFoundByItsName(t *testing.T) {
	m, server := kept()
	r, err := Run(t.Context(), Options{BaseURL: testURL, Token: testToken, Transport: &lossy{inProcess: inProcess{server}}})
	if err != nil || r.Count(Fails) == 0 {
		t.Fatalf("%v, %d fail", err, r.Count(Fails))
	}
	if len(r.Left) > 0 {
		t.Errorf("left %v", r.Left)
	}
	m.empty(t)
}

func TestARunEndsWhenItsRequestsOrItsTimeAreSpent(t *testing.T) {
	m, server := kept()
	r, err := Run(t.Context(), Options{BaseURL: testURL, Token: testToken, Transport: inProcess{server}, MaxRequests: 100})
	if err != nil || r.Stopped != errSpent.Error() || r.Requests > 250 {
		t.Errorf("%v, stopped %q after %d requests", err, r.Stopped, r.Requests)
	}
	m.empty(t)
	r, err = Run(t.Context(), Options{BaseURL: testURL, Token: testToken, Transport: slow{inProcess{server}}, Timeout: 60 * time.Millisecond})
	if err != nil || r.Stopped != errTime.Error() {
		t.Errorf("%v, stopped %q", err, r.Stopped)
	}
	m.empty(t)
}

type slow struct{ inProcess }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(time.Millisecond)
	return s.inProcess.RoundTrip(r)
}

func TestWhatCannotBeRemovedIsNamed(t *testing.T) {
	server := &brokenServer{fault: broken("", at("DELETE ^/Groups/"), refuses(403)), inner: reference(), names: map[string]string{}}
	r := check(t, server)
	if len(r.Left) == 0 || !strings.Contains(r.Left[0], "/Groups/grp_") || !strings.Contains(r.Left[0], "403") {
		t.Errorf("left %v", r.Left)
	}
}

// A server that answers a POST with somebody else's resource must not make us
// change or delete them.
func TestSomebodyElsesResourceIsNeverTakenForOurs(t *testing.T) {
	m, server := kept()
	m.seed(t)
	theirs := `{"schemas":["` + urnUser + `"],"id":"per_0001","userName":"kim@vendor.example"}`
	f := broken("", at("POST ^/Users"))
	f.answer = theirs
	check(t, &brokenServer{fault: f, inner: server, names: map[string]string{}})
	if len(m.people.rows) == 0 || m.people.rows[0].doc.Text("userName") != "kim@vendor.example" || m.people.rows[0].Version != 1 {
		t.Error("somebody real was changed or deleted")
	}
}

func TestTheTokenIsNeverShownAndNoControlCharacterIs(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaSCIM)
		if strings.HasSuffix(r.URL.Path, "/ServiceProviderConfig") {
			_, _ = io.WriteString(w, `{}`) //nolint:errcheck // a recorder takes everything
			return
		}
		_, _ = io.WriteString(w, `{"schemas":[],"echo":"`+r.Header.Get("Authorization")+`","bell":"`+"\x1b]0;owned\x07"+`"}`) //nolint:errcheck // a recorder takes everything
	})
	r := check(t, echo)
	text, xmlText := &bytes.Buffer{}, &bytes.Buffer{}
	doc, err := json.Marshal(r)
	if err := errors.Join(err, WriteText(text, r, false, true), WriteJUnit(xmlText, r, May)); err != nil {
		t.Fatal(err)
	}
	for name, written := range map[string]string{"text": text.String(), "JUnit": xmlText.String(), "JSON": string(doc)} {
		if strings.Contains(written, testToken) {
			t.Errorf("the %s shows the token", name)
		}
		if strings.ContainsAny(written, "\x1b\x07") {
			t.Errorf("the %s holds control characters", name)
		}
		if !strings.Contains(written, "[redacted]") {
			t.Errorf("the %s shows no exchange", name)
		}
	}
}

func TestNoRedirectTakesTheTokenElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked", r.URL) }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	if _, err := Run(t.Context(), Options{BaseURL: here.URL, Token: testToken}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestAnAddressMustBeSafeAndAnswer(t *testing.T) {
	for _, bad := range []string{"http://scim.vendor.example/v2", "ftp://localhost", "https://", "scim", "https://kim:secret@scim.vendor.example", "https://scim.vendor.example/?x=1", "http://127.0.0.1.vendor.example"} {
		if _, err := Run(t.Context(), Options{BaseURL: bad, Token: testToken, Transport: inProcess{http.NotFoundHandler()}}); err == nil || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for target, allowed := range map[string]bool{"127.0.0.1:80": true, "[::1]:443": true, "192.0.2.7:80": false, "nowhere": false} {
		if err := onlyLoopback("tcp", target, nil); (err == nil) != allowed {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, err := Run(t.Context(), Options{BaseURL: testURL, Transport: inProcess{reference()}}); err == nil {
		t.Error("a run began without a token")
	}
	if _, err := Run(t.Context(), Options{BaseURL: testURL, Token: "wrong", Transport: inProcess{reference()}}); !errors.Is(err, ErrRefused) {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := Run(t.Context(), Options{BaseURL: testURL, Token: testToken, Transport: inProcess{http.NotFoundHandler()}}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no SCIM there: %v", err)
	}
}

// A server that asks for patience gets it, and no finding.
func TestRetryAfterIsObeyed(t *testing.T) {
	var n atomic.Int64
	server := reference()
	busy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%50 == 0 {
			w.Header().Set("Retry-After", "0")
			refuse(w, http.StatusTooManyRequests, "")
			return
		}
		server.ServeHTTP(w, r)
	})
	if got := complaints(check(t, busy)); len(got) > 0 {
		t.Errorf("%v complain", got)
	}
}

func TestAServerThatClaimsNothingIsNotBlamedForIt(t *testing.T) {
	modest := broken("", at("GET ^/ServiceProviderConfig"), say(`"supported":true`, `"supported":false`), say(`"cursor":true`, `"cursor":false`))
	r := check(t, &brokenServer{fault: modest, inner: reference(), names: map[string]string{}})
	if got := complaints(r); len(got) > 0 || r.Count(Skipped) < 100 || r.Grade != "A" {
		t.Errorf("%v complain, %d skipped, grade %s", got, r.Count(Skipped), r.Grade)
	}
}

func TestGrades(t *testing.T) {
	report := func(musts, mustFails, shouldFails, mayFails int) Report {
		var r Report
		for i := range musts {
			f := Finding{Severity: Must, Verdict: Holds}
			if i < mustFails {
				f.Verdict = Fails
			}
			r.Findings = append(r.Findings, f)
		}
		r.Findings = append(r.Findings, slices.Repeat([]Finding{{Severity: Should, Verdict: Fails}}, shouldFails)...)
		r.Findings = append(r.Findings, slices.Repeat([]Finding{{Severity: May, Verdict: Fails}}, mayFails)...)
		return r
	}
	for want, r := range map[string]Report{"A": report(30, 0, 0, 3), "B": report(30, 0, 1, 0), "C": report(30, 3, 0, 0), "D": report(30, 10, 0, 0),
		"F": report(30, 11, 0, 0), "-": {Stopped: "interrupted"}} {
		if got := r.grade(); got != want {
			t.Errorf("grade %s, want %s", got, want)
		}
	}
	if r := report(3, 0, 1, 1); r.Worse(Must) || !r.Worse(Should) || !r.Worse(May) {
		t.Error("a SHOULD that fails is not weighed rightly")
	}
}

func TestJUnitCountsWhatIsBinding(t *testing.T) {
	r := Report{Findings: []Finding{{ID: "a.one", Severity: Must, Verdict: Fails}, {ID: "a.two", Severity: Should, Verdict: Fails}, {ID: "b.one", Verdict: Skipped}, {ID: "b.two", Verdict: Holds}}}
	for least, want := range map[Severity]int{Must: 1, Should: 2} {
		var b bytes.Buffer
		var read junitSuites
		if err := errors.Join(WriteJUnit(&b, r, least), xml.Unmarshal(b.Bytes(), &read)); err != nil {
			t.Fatal(err)
		}
		if read.Tests != 4 || read.Failures != want || read.Skipped != 1 || len(read.Suites) != 2 {
			t.Errorf("%s: %d tests, %d failures, %d skipped", least, read.Tests, read.Failures, read.Skipped)
		}
	}
}

func TestAReportIsColouredOnlyWhenAsked(t *testing.T) {
	r := check(t, &brokenServer{fault: faults()[1], inner: reference(), names: map[string]string{}})
	for _, colour := range []bool{false, true} {
		var b strings.Builder
		if err := WriteText(&b, r, colour, false); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "\x1b[") != colour {
			t.Errorf("colour %t: %s", colour, b.String())
		}
		for _, want := range []string{"FAIL MUST", "discovery.config-schemas", "RFC 7643 section 5", "expected", "GET /scim/v2/south/ServiceProviderConfig", "Grade C", "has been removed"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the report does not say %q", want)
			}
		}
	}
}

func TestEveryCheckHasAnIDASectionAndASentence(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks() {
		group, name, cut := strings.Cut(c.ID, ".")
		if seen[c.ID] || !cut || group == "" || name == "" || !strings.HasPrefix(c.Section, "RFC ") || c.Expected == "" {
			t.Errorf("%+v", c.blank())
		}
		seen[c.ID] = true
	}
	if len(seen) < 80 {
		t.Errorf("there are only %d checks", len(seen))
	}
}

// FuzzAnswers: whatever a server answers, to everything, the run ends with a report
// that can be written in each form.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"schemas":["x"],"Resources":[{"id":"../1"}],"totalResults":1e99}`, "application/scim+json")
	f.Add(201, `{"id":"x","userName":7,"emails":{"value":[]}}`, "text/html; charset=\"")
	f.Add(200, "\xff\xfe{\"nextCursor\":\"\x1b\"}", "")
	f.Add(404, `[[[[[[`, "application/json")
	f.Add(200, `{"Operations":[{"method":"POST","location":"/Users/%2f"}],"Resources":[null,1,[]]}`, "a/b")
	f.Fuzz(func(t *testing.T, status int, body, media string) {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.Header().Set("Location", body)
			w.WriteHeader(200 + max(status, -status)%400)
			_, _ = io.WriteString(w, body) //nolint:errcheck // a recorder takes everything
		})
		r, err := Run(t.Context(), Options{BaseURL: testURL, Token: testToken, Transport: inProcess{h}, MaxRequests: 1500})
		if err != nil {
			return // not a server
		}
		if err := errors.Join(WriteText(io.Discard, r, true, true), WriteJUnit(io.Discard, r, May)); err != nil {
			t.Error(err)
		}
	})
}

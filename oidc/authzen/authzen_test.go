package authzen

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// decider lets ann read, and nobody else do anything.
type decider struct{ asked []Question }

func (d *decider) MayDo(_ context.Context, _ oidc.Client, q Question) (bool, error) {
	d.asked = append(d.asked, q)
	if q.SubjectID == "broken" {
		return false, fault.New(fault.Unavailable, "test", "nobody knows")
	}
	return q.SubjectID == "ann" && q.Action == "read", nil
}

func (d *decider) WhoMay(_ context.Context, _ oidc.Client, _ Question, p Page) ([]string, string, error) {
	return []string{"ann"}[:min(1, p.Limit)], p.Token + "next", nil
}

func (d *decider) WhereMay(_ context.Context, _ oidc.Client, q Question, _ Page) ([]Found, string, error) {
	return []Found{{q.ResourceType, "scp_1"}}, "", nil
}

func (d *decider) WhatMay(context.Context, oidc.Client, Question) ([]string, error) { return nil, nil }

type gate struct{}

func (gate) AcceptServiceShown(_ context.Context, shown oidc.Presented, scope string) (oidc.Client, error) {
	switch {
	case shown.Token == "weak":
		return oidc.Client{}, fault.New(fault.Denied, "test", "The access token has no scope.").Because("insufficient_scope")
	case shown.Token != "good" || scope != "authzen":
		return oidc.Client{}, fault.New(fault.Unauthenticated, "test", "no")
	}
	return oidc.Client{ID: "pep"}, nil
}

func send(d Decider, method, path, token, body string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	New(Config{Issuer: "https://id.example", Gate: gate{}, Decider: d, Proofs: oidc.NewProofs(oidc.ProofConfig{Issuer: "https://id.example", Now: time.Now})}).Routes(mux)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Request-ID", "req-1")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	return rec
}

const (
	ann = `"subject":{"type":"user","id":"ann"}`
	bob = `"subject":{"type":"user","id":"bob"}`
	rd  = `"action":{"name":"read"}`
	at  = `"resource":{"type":"account","id":"scp_1"}`
)

func TestQuestionsAreAnswered(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, row := range []struct {
		name, path, body string
		status           int
		answer           string
	}{
		{"yes", pathEvaluation, `{` + ann + `,` + rd + `,` + at + `}`, 200, `{"decision":true}`},
		{"no is an answer", pathEvaluation, `{` + bob + `,` + rd + `,` + at + `,"context":{"a":1}}`, 200, `{"decision":false}`},
		{"no subject", pathEvaluation, `{` + rd + `,` + at + `}`, 400, ``},
		{"no action", pathEvaluation, `{` + ann + `,` + at + `}`, 400, ``},
		{"no resource", pathEvaluation, `{` + ann + `,` + rd + `}`, 400, ``},
		{"no id", pathEvaluation, `{"subject":{"type":"user"},` + rd + `,` + at + `}`, 400, ``},
		{"a long id", pathEvaluation, `{"subject":{"type":"user","id":"` + long + `"},` + rd + `,` + at + `}`, 400, ``},
		{"an empty session", pathEvaluation, `{"subject":{"type":"user","id":"ann","properties":{"sid":""}},` + rd + `,` + at + `}`, 400, ``},
		{"no JSON", pathEvaluation, `{`, 400, ``},
		{"another type", pathEvaluation, `{"subject":"ann",` + rd + `,` + at + `}`, 400, ``},
		{"nobody knows", pathEvaluation, `{"subject":{"type":"user","id":"broken"},` + rd + `,` + at + `}`, 503, ``},
		{"all", pathEvaluations, `{` + rd + `,` + at + `,"evaluations":[{` + ann + `},{` + bob + `},{` + ann + `}]}`, 200, `{"evaluations":[{"decision":true},{"decision":false},{"decision":true}]}`},
		{"until the first no", pathEvaluations, `{` + rd + `,` + at + `,"options":{"evaluations_semantic":"deny_on_first_deny"},"evaluations":[{` + ann + `},{` + bob + `},{` + ann + `}]}`, 200, `{"evaluations":[{"decision":true},{"decision":false}]}`},
		{"until the first yes", pathEvaluations, `{` + rd + `,` + at + `,"options":{"evaluations_semantic":"permit_on_first_permit"},"evaluations":[{` + bob + `},{` + ann + `},{` + ann + `}]}`, 200, `{"evaluations":[{"decision":false},{"decision":true}]}`},
		{"an unknown end", pathEvaluations, `{` + ann + `,` + rd + `,` + at + `,"options":{"evaluations_semantic":"majority"}}`, 400, ``},
		{"one without an array", pathEvaluations, `{` + ann + `,` + rd + `,` + at + `}`, 200, `{"decision":true}`},
		{"one that lacks something", pathEvaluations, `{` + ann + `,` + rd + `,"evaluations":[{` + at + `},{}]}`, 400, ``},
		{"too many", pathEvaluations, `{` + ann + `,` + rd + `,` + at + `,"evaluations":[{}` + strings.Repeat(`,{}`, MaxQuestions) + `]}`, 400, ``},
		{"who", pathSubjects, `{"subject":{"type":"user"},` + rd + `,` + at + `,"page":{"token":"t","limit":1}}`, 200, `{"results":[{"type":"user","id":"ann"}],"page":{"next_token":"tnext","count":1}}`},
		{"who, on no page", pathSubjects, `{"subject":{"type":"user"},` + rd + `,` + at + `,"page":{"limit":0}}`, 400, ``},
		{"where", pathResources, `{` + ann + `,` + rd + `,"resource":{"type":"account"}}`, 200, `{"results":[{"type":"account","id":"scp_1"}],"page":{"next_token":"","count":1}}`},
		{"what", pathActions, `{` + ann + `,` + at + `}`, 200, `{"results":[],"page":{"next_token":"","count":0}}`},
	} {
		rec := send(&decider{}, http.MethodPost, row.path, "good", row.body)
		if rec.Code != row.status || row.answer != "" && rec.Body.String() != row.answer || rec.Header().Get("X-Request-ID") != "req-1" {
			t.Errorf("%s: %d %s", row.name, rec.Code, rec.Body)
		}
	}
}

func TestTheSessionOfTheSubjectIsAskedAbout(t *testing.T) {
	d := &decider{}
	send(d, http.MethodPost, pathEvaluation, "good", `{"subject":{"type":"user","id":"ann","properties":{"sid":"ses_1","other":2}},`+rd+`,`+at+`}`)
	if len(d.asked) != 1 || d.asked[0].Session != "ses_1" {
		t.Errorf("asked %+v", d.asked)
	}
}

func TestOnlyApplicationsWithTheScopeAreAnswered(t *testing.T) {
	for token, want := range map[string]int{"": 401, "x": 401, "weak": 403, "good": 200} {
		d := &decider{}
		rec := send(d, http.MethodPost, pathEvaluation, token, `{`+ann+`,`+rd+`,`+at+`}`)
		if rec.Code != want || want != 200 && len(d.asked) > 0 {
			t.Errorf("%q: %d, asked %d", token, rec.Code, len(d.asked))
		}
		if want != 200 && !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%q: %q", token, rec.Header().Get("WWW-Authenticate"))
		}
	}
	if rec := send(&decider{}, http.MethodGet, pathEvaluation, "good", ""); rec.Code != 405 || rec.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", rec.Code)
	}
}

func TestTheMetadataNamesWhatThereIs(t *testing.T) {
	rec := send(&decider{}, http.MethodGet, pathMetadata, "", "")
	var m map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil || m["policy_decision_point"] != "https://id.example" {
		t.Fatalf("%s (%v)", rec.Body, err)
	}
	for name, endpoint := range m {
		path, ours := strings.CutPrefix(endpoint, "https://id.example")
		if !ours || path != "" && send(&decider{}, http.MethodPost, path, "good", `{`).Code != 400 {
			t.Errorf("%s is %q", name, endpoint)
		}
	}
}

func FuzzEvaluations(f *testing.F) {
	f.Add([]byte(`{` + ann + `,` + rd + `,` + at + `}`))
	f.Add([]byte(`{` + rd + `,` + at + `,"evaluations":[{` + ann + `}],"options":{"evaluations_semantic":"execute_all"},"page":{"limit":3}}`))
	f.Add([]byte(`{"subject":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole := func(q Question) bool {
			return q.SubjectID != "" && q.SubjectType != "" && q.Action != "" && q.ResourceType != "" && q.ResourceID != ""
		}
		if q, err := ParseEvaluation(raw); err == nil && !whole(q) {
			t.Errorf("%+v", q)
		}
		if b, err := ParseEvaluations(raw); err == nil {
			if len(b.Questions) == 0 || len(b.Questions) > MaxQuestions || b.Single && len(b.Questions) != 1 {
				t.Errorf("%+v", b)
			}
		} else if !errors.As(err, new(*fault.Error)) {
			t.Errorf("%v is no fault", err)
		}
		for _, want := range []Wanted{Subjects, Resources, Actions} {
			if q, p, err := ParseSearch(want, raw); err == nil && (!whole(q) || p.Limit < 1 || p.Limit > MaxPage) {
				t.Errorf("%+v %+v", q, p)
			}
		}
	})
}

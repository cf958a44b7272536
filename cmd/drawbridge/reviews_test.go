package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

// call is a request of somebody to the admin API, and its answer.
func (m manned) call(method, path, token string, in, out any) int {
	m.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		m.t.Fatal(err)
	}
	r := httptest.NewRequest(method, api.Prefix+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	m.public.ServeHTTP(rec, r)
	if rec.Code < 300 && out != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
			m.t.Fatal(err)
		}
	}
	return rec.Code
}

// Whoever administers an account reviews it with their own access token: the program
// gathers by itself, shows the cards, and takes away at once what is removed; the operator
// begins the review, reads its report, and decides nothing.
func TestAReviewByTheOneWhoAdministers(t *testing.T) {
	m := withPeople(t)
	m.person("banksia-entra", "ada", "GL Account Admins")
	guest := m.person("banksia-entra", "gus", "GL Geelong Managers")
	ada := m.token("banksia-entra", "ada")
	operator := m.admin.Reveal()
	var one steward.ReviewView
	if code := m.call(http.MethodPost, "/reviews", operator, map[string]any{"area": "southern/banksia", "days": 1}, &one); code != http.StatusCreated {
		t.Fatalf("begun with %d", code)
	}
	for end := time.Now().Add(10 * time.Second); one.State == review.Gathering && time.Now().Before(end); {
		if err := steward.New(m.bridge).TickReviews(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.call(http.MethodGet, "/reviews/"+string(one.ID), ada, nil, &one)
	}
	var card steward.CardView
	if code := m.call(http.MethodGet, "/reviews/"+string(one.ID)+"/cards/banksia-entra/"+string(guest), ada, nil, &card); code != http.StatusOK || len(card.Items) != 1 {
		t.Fatalf("the card: %d %+v", code, card)
	}
	decision := steward.Decision{Verdict: review.Remove, Comment: "left the depot", Items: []steward.ItemSeen{{ID: card.Items[0].ID, Seen: card.Items[0].Seen}}}
	if code := m.call(http.MethodPost, "/reviews/"+string(one.ID)+"/decisions", operator, decision, nil); code != http.StatusForbidden {
		t.Errorf("the operator decided: %d", code)
	}
	if code := m.call(http.MethodPost, "/reviews/"+string(one.ID)+"/decisions", ada, decision, nil); code != http.StatusOK {
		t.Errorf("they decided: %d", code)
	}
	var report steward.ReportPage
	m.call(http.MethodGet, "/reviews/"+string(one.ID)+"/report", operator, nil, &report)
	at := 0
	for i, l := range report.Lines {
		if l.Person == guest {
			at = i
		}
	}
	if l := report.Lines[at]; l.Verdict != review.Remove || !strings.Contains(l.ReviewedBy, "ada") || l.Comment != "left the depot" || l.Ended.IsZero() {
		t.Errorf("the report says %+v", l)
	}
}

package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestEveryKindOfFaultHasItsAnswer walks the table of kinds: a new one fails here.
func TestEveryKindOfFaultHasItsAnswer(t *testing.T) {
	want := map[fault.Kind]string{
		fault.Internal:        "500 server_error, 500 server_error, server_error",
		fault.Invalid:         "400 invalid_request, 400 invalid_request, invalid_request",
		fault.Unauthenticated: "401 invalid_client, 400 invalid_grant, login_required",
		fault.Denied:          "403 access_denied, 400 invalid_grant, access_denied",
		fault.NotFound:        "400 invalid_grant, 400 invalid_grant, login_required",
		fault.Conflict:        "400 invalid_request, 400 invalid_request, invalid_request",
		fault.Stale:           "400 invalid_grant, 400 invalid_grant, login_required",
		fault.Unsupported:     "400 unsupported_grant_type, 400 unsupported_grant_type, invalid_request",
		fault.Limited:         "429 temporarily_unavailable, 429 temporarily_unavailable, temporarily_unavailable",
		fault.Unavailable:     "503 temporarily_unavailable, 503 temporarily_unavailable, temporarily_unavailable",
	}
	for _, k := range fault.Kinds() {
		err := fault.Wrap(k, "store.secretTable", errors.New("disk sda1"))
		a, b := oauthError(err), redeemError(err)
		code, why := authorizeError(err)
		if got := fmt.Sprintf("%d %s, %d %s, %s", a.Status, a.Code, b.Status, b.Code, code); got != want[k] {
			t.Errorf("%s: %s, want %s", k, got, want[k])
		}
		for _, text := range []string{a.Description, b.Description, why} {
			if text == "" || strings.Contains(text, "sda1") || strings.Contains(text, "secretTable") {
				t.Errorf("%s: says %q", k, text)
			}
		}
	}
}

func TestReasonsThatAreOAuthCodesAreAnsweredByName(t *testing.T) {
	for _, reason := range []string{"invalid_scope", "invalid_target"} {
		e := redeemError(fmt.Errorf("up: %w", fault.New(fault.Denied, "x", "because").Because(reason)))
		if e.Code != reason || e.Status != 400 || e.Description != "because" {
			t.Errorf("%+v", e)
		}
	}
	if e := oauthError(fault.New(fault.Invalid, "x", "").Because("no_rule_matched")); e.Code != "invalid_request" {
		t.Errorf("%+v", e)
	}
}

func TestATimeoutIsNotANo(t *testing.T) {
	if e := redeemError(fmt.Errorf("read: %w", context.DeadlineExceeded)); e.Status != 503 {
		t.Errorf("%+v", e)
	}
	if !cannotAnswer(context.DeadlineExceeded) || !cannotAnswer(errors.New("unclassified")) {
		t.Error("an error that nobody classified is taken for a no")
	}
}

// TestDescriptionsKeepToTheirCharacters: RFC 6749 section 5.2.
func TestDescriptionsKeepToTheirCharacters(t *testing.T) {
	rec := httptest.NewRecorder()
	writeError(rec, oauthError(fault.New(fault.Invalid, "x", "say \"no\" \\ to\r\nünïcode\x00")))
	text, _ := object(t, rec)["error_description"].(string)
	if text != "say 'no' ' to???n?code?" {
		t.Errorf("%q", text)
	}
}

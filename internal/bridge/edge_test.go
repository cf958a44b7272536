package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
)

// TestEveryKindOfFaultHasItsAnswer: no kind falls through the one translation, and
// no internal text comes out of it.
func TestEveryKindOfFaultHasItsAnswer(t *testing.T) {
	want := map[fault.Kind]int{fault.Internal: 500, fault.Invalid: 400, fault.Unauthenticated: 401, fault.Denied: 403, fault.NotFound: 404,
		fault.Conflict: 409, fault.Stale: 412, fault.Unsupported: 501, fault.Limited: 429, fault.Unavailable: 503}
	for _, kind := range fault.Kinds() {
		inner := fault.Wrap(kind, "store.secretive", errors.New("no such column: password"))
		var got *scim.Error
		if err := edge(fmt.Errorf("outer: %w", inner)); !errors.As(err, &got) || got.Status != want[kind] {
			t.Errorf("%v is answered by %v, want status %d", kind, err, want[kind])
			continue
		}
		if strings.Contains(got.Detail, "column") {
			t.Errorf("%v shows internal text: %s", kind, got.Detail)
		}
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		var got *scim.Error
		if !errors.As(edge(err), &got) || got.Status != 503 {
			t.Errorf("%v is answered by %v, want 503", err, got)
		}
	}
	if edge(nil) != nil || edgeID(nil, "per_1") != nil {
		t.Error("no fault is answered by one")
	}
}

// A search that would take as long again is not asked for again: 400, not 429 (RFC
// 7644 table 9).
func TestASearchThatTakesTooLongIsTooMany(t *testing.T) {
	var got *scim.Error
	err := edge(fault.New(fault.Limited, "store.People", "this search takes too long here").Because(store.ReasonTooLong))
	if !errors.As(err, &got) || got.Status != 400 || got.ScimType != "tooMany" || got.RetryAfter != 0 || got.Detail == "" {
		t.Errorf("it is answered by %+v", got)
	}
}

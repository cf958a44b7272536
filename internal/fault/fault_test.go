package fault

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for i, k := range Kinds() {
		if int(k) != i || seen[k.String()] || strings.HasPrefix(k.String(), "kind(") {
			t.Errorf("kind %d is called %q", i, k)
		}
		seen[k.String()] = true
	}
	if next := Kind(len(Kinds())); next.String() != fmt.Sprintf("kind(%d)", next) {
		t.Errorf("%s is not in Kinds", next)
	}
}

func TestWhatNobodyClassifiedIsOurs(t *testing.T) {
	for _, err := range []error{io.EOF, fmt.Errorf("x: %w", io.EOF), &Error{}} {
		if KindOf(err) != Internal || DetailOf(err) != "" {
			t.Errorf("%v is %s and says %q", err, KindOf(err), DetailOf(err))
		}
	}
	if Is(nil, Internal) {
		t.Error("no error is no fault")
	}
}

func TestTheOutermostKindDecides(t *testing.T) {
	inner := New(NotFound, "store.Group", "there is no such group")
	outer := Wrap(Unavailable, "bridge.Patch", fmt.Errorf("reading: %w", inner))
	if KindOf(outer) != Unavailable || !Is(outer, Unavailable) || Is(outer, NotFound) {
		t.Errorf("%v", outer)
	}
	if !errors.Is(outer, inner) {
		t.Error("the cause is kept")
	}
}

func TestTextForTheClientIsWhatWasMeantForIt(t *testing.T) {
	err := Wrap(Internal, "op", New(Invalid, "scim.Parse", "%s is required", "userName").Because("required"))
	if DetailOf(err) != "userName is required" || ReasonOf(err) != "required" {
		t.Errorf("%q %q", DetailOf(err), ReasonOf(err))
	}
	internal := New(Internal, "op", "table people has 3 rows")
	if DetailOf(internal) != "" {
		t.Error("internal text left the house")
	}
	if ReasonOf(io.EOF) != "" || ReasonOf(nil) != "" || DetailOf(nil) != "" {
		t.Error("nothing has no reason")
	}
}

func TestErrorReadsLikeALogLine(t *testing.T) {
	err := &Error{Kind: Stale, Op: "bridge.Patch", Detail: "changed since version 4", Err: io.ErrUnexpectedEOF}
	if got := err.Error(); got != "bridge.Patch: stale: changed since version 4: unexpected EOF" {
		t.Error(got)
	}
}

func TestBecauseIsACopyAndNilStaysNil(t *testing.T) {
	one := New(Denied, "op", "no")
	two := one.Because("contact_only")
	if one.Reason != "" || two.Reason != "contact_only" || two.Detail != "no" {
		t.Errorf("%+v %+v", one, two)
	}
	if Wrap(Internal, "op", nil) != nil {
		t.Error("no error became one")
	}
}

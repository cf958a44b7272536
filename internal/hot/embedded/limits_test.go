package embedded

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func at(d time.Duration) time.Time {
	return time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC).Add(d)
}

func requestAt(id string, d time.Duration) hot.AuthRequest {
	return hot.AuthRequest{ID: id, Client: "fleet-web", Created: at(d), Expires: at(d + 10*time.Minute)}
}

func codeAt(n int, d time.Duration) (credential.Digest, hot.CodeGrant) {
	return credential.DigestOf(fmt.Sprint(n)), hot.CodeGrant{Request: requestAt("r", d), Session: "ses_1",
		Family: fmt.Sprint("fam_", n), Expires: at(d + time.Minute)}
}

func TestRequestsAreBoundedInNumber(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Requests: 3})
	for i := range 3 {
		if err := e.PutAuthRequest(t.Context(), requestAt(fmt.Sprint(i), time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PutAuthRequest(t.Context(), requestAt("late", 9*time.Minute)); !fault.Is(err, fault.Limited) {
		t.Errorf("a full shelf must refuse, not push somebody out: %v", err)
	}
	if err := e.PutAuthRequest(t.Context(), requestAt("later", 10*time.Minute)); err != nil {
		t.Errorf("the expired one makes room: %v", err)
	}
	if _, err := e.AuthRequest(t.Context(), "1", at(10*time.Minute)); err != nil {
		t.Errorf("those that have not expired stay: %v", err)
	}
}

func TestRequestsAreBoundedInBytes(t *testing.T) {
	e := open(t, t.TempDir(), Limits{RequestBytes: 100 << 10})
	stored := 0
	for i := range 50 {
		r := requestAt(fmt.Sprint(i), 0)
		r.State = strings.Repeat("s", 10<<10)
		if err := e.PutAuthRequest(t.Context(), r); err == nil {
			stored++
		} else if !fault.Is(err, fault.Limited) {
			t.Fatal(err)
		}
	}
	if stored < 5 || stored > 10 {
		t.Errorf("%d requests of 10 KiB in 100 KiB", stored)
	}
}

func TestUsedCodesMakeRoomWhenForgotten(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Codes: 1})
	first, g := codeAt(1, 0)
	if err := e.PutCode(t.Context(), first, g); err != nil {
		t.Fatal(err)
	}
	second, g := codeAt(2, 10*time.Minute)
	if err := e.PutCode(t.Context(), second, g); !fault.Is(err, fault.Limited) {
		t.Fatalf("a remembered code was pushed out: %v", err)
	}
	third, g := codeAt(3, 11*time.Minute)
	if err := e.PutCode(t.Context(), third, g); err != nil {
		t.Fatal(err)
	}
	if len(e.byFamily) != 1 {
		t.Errorf("%d families are remembered for one code", len(e.byFamily))
	}
}

// What goes is given back: the byte count of an empty shelf is zero.
func TestBytesAreGivenBack(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	for i := range 100 {
		id := fmt.Sprint(i)
		if err := e.PutAuthRequest(t.Context(), requestAt(id, 0)); err != nil {
			t.Fatal(err)
		}
		u := hot.Upstream{Connection: "c", State: id, Nonce: "n", CodeVerifier: strings.Repeat("v", i)}
		if err := e.BindUpstream(t.Context(), id, u, at(0)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.TakeUpstream(t.Context(), "c", id, at(0)); i%2 == 0 && err != nil {
			t.Fatal(err)
		}
		d, g := codeAt(i, 0)
		if err := e.PutCode(t.Context(), d, g); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.ConsumeCode(t.Context(), d, at(0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PutAuthRequest(t.Context(), requestAt("last", time.Hour)); err != nil {
		t.Fatal(err)
	}
	d, g := codeAt(1000, time.Hour)
	if err := e.PutCode(t.Context(), d, g); err != nil {
		t.Fatal(err)
	}
	r, c := e.requests.shelf, e.codes.shelf
	if len(r.byKey) != 1 || len(r.byEnd) != 1 || r.bytes != r.byEnd[0].bytes || len(e.byState) != 0 {
		t.Errorf("requests: %d, %d bytes, %d states", len(r.byKey), r.bytes, len(e.byState))
	}
	if len(c.byKey) != 1 || len(c.byEnd) != 1 || c.bytes != c.byEnd[0].bytes || len(e.byFamily) != 1 {
		t.Errorf("codes: %d, %d bytes, %d families", len(c.byKey), c.bytes, len(e.byFamily))
	}
}

func familyAt(id string, d time.Duration) hot.Family {
	return hot.Family{ID: id, N: 1, Salt: "salt", Rotated: at(d), Expires: at(d + time.Hour),
		Bound: credential.Bound{Subject: credential.Subject{Connection: "c", Client: "fleet-web", Person: "p", Session: "s"}}}
}

func TestFamiliesInMemoryAreBounded(t *testing.T) {
	e := open(t, t.TempDir(), Limits{Families: stripes})
	for i := range 2000 {
		if err := e.PutFamily(t.Context(), familyAt(fmt.Sprint(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	known := 0
	for i := range e.stripes {
		known += len(e.stripes[i].known)
	}
	if known > stripes {
		t.Errorf("%d families in memory, at most %d wanted", known, stripes)
	}
	for i := range 2000 {
		if _, err := e.Family(t.Context(), fmt.Sprint(i), at(0)); err != nil {
			t.Fatalf("family %d is only in the file: %v", i, err)
		}
	}
}

// Nobody sweeps: each new family takes two expired ones with it.
func TestExpiredFamiliesLeaveTheFile(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	for i := range 40 {
		if err := e.PutFamily(t.Context(), familyAt(fmt.Sprint(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 25 {
		if err := e.PutFamily(t.Context(), familyAt(fmt.Sprint("new", i), time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if n := rows(t, e); n != 25 {
		t.Errorf("%d rows, want the 25 that live", n)
	}
}

func TestMistakesOfTheCallerAreRefused(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	ctx := t.Context()
	if err := e.PutAuthRequest(ctx, hot.AuthRequest{ID: "r"}); !fault.Is(err, fault.Internal) {
		t.Errorf("a request without an end: %v", err)
	}
	if err := e.PutCode(ctx, credential.Digest{}, hot.CodeGrant{Expires: at(0)}); !fault.Is(err, fault.Internal) {
		t.Errorf("a code without a digest: %v", err)
	}
	if err := e.PutFamily(ctx, hot.Family{ID: "f"}); !fault.Is(err, fault.Internal) {
		t.Errorf("a family without a salt: %v", err)
	}
	if err := e.BindUpstream(ctx, "r", hot.Upstream{}, at(0)); !fault.Is(err, fault.Internal) {
		t.Errorf("a leg without a state: %v", err)
	}
}

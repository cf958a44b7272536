package credential

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func cursorKey(t testing.TB) CursorKey {
	t.Helper()
	k, err := testDataKey(t).CursorKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestACursorOpensForItsOwnListOnly(t *testing.T) {
	k := cursorKey(t)
	place := []byte("behind canary@southern.example")
	cursor := k.Seal(place, "southern Users")
	if got, err := k.Open(cursor, "southern Users"); err != nil || !bytes.Equal(got, place) {
		t.Fatalf("%s, %v", got, err)
	}
	if cursor == k.Seal(place, "southern Users") {
		t.Error("the same place is sealed alike twice: cursors can be told apart from outside")
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(cursor) || strings.Contains(cursor, "canary") {
		t.Errorf("%s is not opaque, or needs an escape", cursor)
	}
	changed := []byte(cursor)
	changed[len(changed)/2] ^= 1
	refusals := map[string]bool{}
	for name, open := range map[string]func() ([]byte, error){
		"another list":     func() ([]byte, error) { return k.Open(cursor, "northern Users") },
		"no list":          func() ([]byte, error) { return k.Open(cursor, "") },
		"another key":      func() ([]byte, error) { return cursorKey(t).Open(cursor, "southern Users") },
		"no key":           func() ([]byte, error) { return CursorKey{}.Open(cursor, "southern Users") },
		"changed":          func() ([]byte, error) { return k.Open(string(changed), "southern Users") },
		"cut":              func() ([]byte, error) { return k.Open(cursor[:len(cursor)-4], "southern Users") },
		"nothing":          func() ([]byte, error) { return k.Open("", "southern Users") },
		"nonsense":         func() ([]byte, error) { return k.Open("a place", "southern Users") },
		"another spelling": func() ([]byte, error) { return k.Open(cursor+"\n", "southern Users") },
	} {
		got, err := open()
		if got != nil || !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %q, %v", name, got, err)
			continue
		}
		refusals[err.Error()] = true
	}
	if len(refusals) != 1 {
		t.Errorf("refusals differ: %v", refusals)
	}
}

// The zero key is one that anybody has: nothing is sealed under it.
func TestNoCursorKeySealsNothing(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("sealed under no key")
		}
	}()
	CursorKey{}.Seal([]byte("place"), "list")
}

func FuzzOpenCursor(f *testing.F) {
	k := cursorKey(f)
	f.Add("", "list")
	f.Add(cursorKey(f).Seal([]byte("place"), "list"), "list")
	f.Add(strings.Repeat("A", 200), "\x00")
	f.Fuzz(func(t *testing.T, cursor, bound string) {
		if place, err := k.Open(cursor, bound); !fault.Is(err, fault.Unauthenticated) || place != nil {
			t.Errorf("%q opens as %q (%v)", cursor, place, err)
		}
		if place, err := k.Open(k.Seal([]byte(cursor), bound), bound); err != nil || string(place) != cursor {
			t.Errorf("%q comes back as %q (%v)", cursor, place, err)
		}
	})
}

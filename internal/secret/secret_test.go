package secret

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const text = "hunter2-5f3a"

type holder struct {
	Name  string
	Inner struct{ Token String }
	List  []String
	Point *String
}

func example() holder {
	h := holder{Name: "n", List: []String{New(text)}}
	h.Inner.Token = New(text)
	p := New(text)
	h.Point = &p
	return h
}

// TestASecretIsPrintedNowhere: no verb of fmt, no encoder, no logger shows it,
// alone, inside a struct, a list or behind a pointer.
func TestASecretIsPrintedNowhere(t *testing.T) {
	h := example()
	for _, v := range []any{New(text), &h.List[0], h, &h, h.List, map[string]String{"k": New(text)}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %[1]v"} {
			hidden(t, verb, fmt.Sprintf(verb, v))
		}
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		hidden(t, "json", string(j))
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		hidden(t, "slog", log.String())
	}
	x, err := xml.Marshal(New(text))
	if err != nil {
		t.Fatal(err)
	}
	hidden(t, "xml", string(x))
	hidden(t, "String", New(text).String())
	hidden(t, "GoString", New(text).GoString())
	hidden(t, "an error", fmt.Errorf("bad %v: %w", New(text), fmt.Errorf("%s", New(text))).Error())
}

func hidden(t *testing.T, how, got string) {
	t.Helper()
	if strings.Contains(got, text) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", text)) {
		t.Errorf("%s shows %s", how, got)
	}
}

func TestRevealGivesItToItsOwner(t *testing.T) {
	var s String
	if !s.Empty() || s.Reveal() != "" {
		t.Error("the zero secret is none")
	}
	if err := s.UnmarshalText([]byte(text)); err != nil || s.Reveal() != text || s.Empty() {
		t.Errorf("%q %v", s.Reveal(), err)
	}
}

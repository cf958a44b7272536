package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// limited is an answer that remembers how long each of its writes may take.
type limited struct {
	*httptest.ResponseRecorder
	until []time.Time
}

func (l *limited) SetWriteDeadline(t time.Time) error {
	l.until = append(l.until, t)
	return nil
}

// TestEveryLineHasItsOwnTime: who stops reading a plan holds it up for that long, and
// not for as long as a plan may take.
func TestEveryLineHasItsOwnTime(t *testing.T) {
	w := &limited{ResponseRecorder: httptest.NewRecorder()}
	lines := prompt{w, http.NewResponseController(w)}
	for range 3 {
		if _, err := lines.Write([]byte("{}\n")); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.until) != 3 || w.until[2].After(time.Now().Add(readWithin)) || w.Body.String() != "{}\n{}\n{}\n" {
		t.Errorf("three lines were given %v, and came as %q", w.until, w.Body)
	}
}

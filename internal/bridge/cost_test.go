package bridge_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// asks is what do asks the hot store and the directory for, by name; all that is asked at the end of a view is
// one. Each is a round trip on several nodes.
func (s *steps) asks(w *world, do func() error) (asked []string) {
	w.t.Helper()
	s.reach = func(kind, what string) error {
		switch {
		case kind == stepHot || kind == stepStatement:
			if n := len(asked); kind == stepStatement && n > 0 && asked[n-1] == lastStep {
				w.t.Errorf("%q is asked after the last", what)
			}
			asked = append(asked, what)
		case kind == stepBoundary && strings.HasPrefix(what, "before"):
			asked = append(asked, strings.TrimPrefix(what, "before "))
		}
		return nil
	}
	defer func() { s.reach = nil }()
	w.do(do())
	return asked
}

func TestWhatIsAskedForOften(t *testing.T) {
	s := &steps{}
	w := newWorld(t, stepping(s))
	id, _ := w.kim()
	v := w.session(southern, "oid-kim")
	next, err := w.refresh(v.tokens.RefreshToken) // what the node remembers is remembered
	w.do(err)
	second := w.person(southern, "lee@southern.example", "oid-lee")
	w.group(southern, "Day Shift", second)
	for _, query := range []string{"", "?filter=" + url.QueryEscape(`userName eq "lee@southern.example"`), "?filter=" + url.QueryEscape(`userName eq "nobody@southern.example"`), "?count=1", "?excludedAttributes=groups"} {
		if asked := s.asks(w, func() error { w.must(200, southern, "GET", "/Users"+query, ""); return nil }); len(asked) == 0 {
			t.Errorf("a list (%s) asks for nothing", query)
		}
	}
	view := []string{"view", lastStep}
	for _, c := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"a refresh", func() error { _, err := w.refresh(next.RefreshToken); return err }, append([]string{"Rotate"}, view...)},
		{"a person by id", func() error { w.must(200, southern, "GET", "/Users/"+id, ""); return nil }, view},
		{"a browser's session", func() error { _, err := w.bridge.Browser(w.ctx, v.cookie); return err }, append(view, view...)},
	} {
		if asked := s.asks(w, c.do); !slices.Equal(asked, c.want) {
			t.Errorf("%s asks for %q, not %q", c.name, asked, c.want)
		}
	}
}

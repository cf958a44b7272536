package hot

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func TestPositionsAreReadAsTheyWereWritten(t *testing.T) {
	for _, p := range []Position{{}, {"inc_1", 0}, {"inc_1", 1 << 52}} {
		if got, err := ParsePosition(p.String()); err != nil || got != p {
			t.Errorf("%q is read as %+v, %v", p, got, err)
		}
	}
	for _, text := range []string{" ", "inc_1", "inc_1 ", " 7", "inc_1 -1", "inc_1 07", "inc_1 7 ", "inc_1 7 8", "inc_1 x"} {
		if p, err := ParsePosition(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is read as %+v, %v", text, p, err)
		}
	}
}

func TestAPositionCoversWhatIsBehindIt(t *testing.T) {
	for _, c := range []struct {
		read, told Position
		want       bool
	}{
		{Position{"a", 7}, Position{"a", 7}, true},
		{Position{"a", 8}, Position{"a", 7}, true},
		{Position{"a", 6}, Position{"a", 7}, false},
		{Position{"b", 9}, Position{"a", 7}, false},
		{Position{"a", 9}, Position{}, false},
		{Position{}, Position{}, false},
	} {
		if got := c.read.Covers(c.told); got != c.want {
			t.Errorf("%q covers %q: %t", c.read, c.told, got)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, text := range []string{"", "inc_1 7", "inc_1 -1", " 0", "inc_1 9007199254740993"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePosition(text)
		switch {
		case err != nil && p != Position{}:
			t.Errorf("%q is refused, and is %+v", text, p)
		case err == nil && p.String() != text:
			t.Errorf("%q is written %q", text, p)
		}
	})
}

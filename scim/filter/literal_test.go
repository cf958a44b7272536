package filter

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestNumbersAreComparedAsNumbers(t *testing.T) {
	floor := &schema.Attribute{Name: "floor", Type: schema.Integer}
	height := &schema.Attribute{Name: "height", Type: schema.Decimal}
	for text, want := range map[string]int64{"7": 7, "-7": -7, "7.0": 7, "7e2": 700, "70e-1": 7, "9223372036854775807": 1<<63 - 1} {
		if v, ok := coerce(floor, token{kind: word, text: text}); !ok || v.Int != want {
			t.Errorf("%s is read as %d (%v)", text, v.Int, ok)
		}
	}
	for text, want := range map[string]float64{"7": 7, "7.0": 7, "1.5e-1": 0.15} {
		if v, ok := coerce(height, token{kind: word, text: text}); !ok || v.Float != want {
			t.Errorf("%s is read as %g (%v)", text, v.Float, ok)
		}
	}
	for _, a := range []*schema.Attribute{floor, height} {
		for _, text := range []string{"+7", "07", "0x7", "1_0", ".5", "7.", "1e999", "Inf", "NaN", "seven", "true", ""} {
			if v, ok := coerce(a, token{kind: word, text: text}); ok {
				t.Errorf("%s is read as %s: %+v", text, a.Type, v)
			}
		}
	}
	for _, text := range []string{"7.5", "1e30", "9223372036854775808"} {
		if v, ok := coerce(floor, token{kind: word, text: text}); ok {
			t.Errorf("%s is read as an integer: %+v", text, v)
		}
	}
	if _, ok := coerce(floor, token{kind: quoted, text: "7"}); ok {
		t.Error("a text is read as a number")
	}
}

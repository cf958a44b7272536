package dialect

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestDialectsByName(t *testing.T) {
	for _, name := range []string{NameEntra, NameOkta, NameOther} {
		d, ok := Named(name)
		if !ok || d.Name != name || d.Leniency != schema.Lenient() || d.PatchUserStatus != 200 || d.PatchGroupStatus != 204 {
			t.Errorf("%s: %+v %v", name, d, ok)
		}
		if d.RawToken != (name == NameOkta) {
			t.Errorf("only Okta sends a bare token, not %s", name)
		}
		if d.Strict().Leniency != (schema.Leniency{}) {
			t.Errorf("%s is not strict when told to be", name)
		}
	}
	if d, ok := Named("Entra ID"); ok || d != Other() {
		t.Errorf("%+v %v", d, ok)
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		agent string
		notes []string
		want  string
	}{
		{"Okta SCIM Client 1.0.0", nil, NameOkta},
		{"okta scim client 2", []string{schema.NoteStringBoolean + ": active"}, NameOkta},
		{"", []string{schema.NoteAnyCase + ": op", schema.NoteStringBoolean + ": active"}, NameEntra},
		{"curl/8", []string{schema.NoteAnyCase + ": op"}, NameOther},
		{"", nil, NameOther},
	} {
		if got := Detect(c.agent, c.notes); got != c.want {
			t.Errorf("%q %v: %s", c.agent, c.notes, got)
		}
	}
}

func TestReliancesAreTheKindsOnly(t *testing.T) {
	got := Reliances([]string{"wrapped: title", "any-case: op", "wrapped: name", "wrapped: urn:x:y"})
	if !slices.Equal(got, []string{"any-case", "wrapped"}) || Reliances(nil) != nil {
		t.Error(got)
	}
}

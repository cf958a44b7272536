package schema

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	upstream "github.com/elimity-com/scim/schema"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestAttributesAreFoundByEveryName(t *testing.T) {
	cases := map[string]string{
		"userName":            "userName",
		"USERNAME":            "userName",
		UserURN + ":userName": "userName",
		strings.ToUpper(UserURN+":name.") + "givenName": "name.givenName",
		UserURN + ".title":            "title",
		"emails.value":                "emails.value",
		"members":                     "",
		"id":                          "id",
		"externalID":                  "externalId",
		"meta.lastmodified":           "meta.lastModified",
		"schemas":                     "schemas",
		"groups.$ref":                 "groups.$ref",
		EnterpriseURN + ":department": EnterpriseURN + ":department",
		EnterpriseURN + ".department": EnterpriseURN + ":department",
		"department":                  EnterpriseURN + ":department",
		"manager.value":               EnterpriseURN + ":manager.value",
		"manager.$ref":                EnterpriseURN + ":manager.$ref",
		"technicianCertification":     FleetURN + ":technicianCertification",
		"password":                    "password",
		"emails.value.x":              "",
		"":                            "",
		EnterpriseURN + ":userName":   "",
		strings.Repeat("x", 1<<20):    "",
		"nic\u212aName":               "",
	}
	for name, want := range cases {
		a, err := Users().Attribute(name)
		switch {
		case want == "" && describe(err)[:11] != "invalidPath":
			t.Errorf("%.40s: %v", name, err)
		case want != "" && (err != nil || a.Path() != want):
			t.Errorf("%s: %v %v", name, a, err)
		}
	}
	if a, err := Groups().Attribute("members.value"); err != nil || !a.Parent.Relation || a.Path() != "members.value" {
		t.Error(a, err)
	}
	if Users().Schema(strings.ToLower(EnterpriseURN)).ID != EnterpriseURN || Users().Schema("urn:x") != nil || Groups().Schema(UserURN) != nil {
		t.Error("schemas are found by their URN in any case")
	}
}

// The definitions are upstream's; we show them with every characteristic, without
// password, which is never stored, and without what only RFC 7643 section 3 defines.
func TestDefinitionsSayWhatIsTrue(t *testing.T) {
	for _, c := range []struct {
		ours   *Schema
		theirs upstream.Schema
	}{
		{Users().Core, upstream.CoreUserSchema()},
		{Users().Extensions[0].Schema, upstream.ExtensionEnterpriseUser()},
		{Groups().Core, upstream.CoreGroupSchema()},
	} {
		got, want := asMap(t, c.ours), asMap(t, c.theirs)
		listed := want["attributes"].([]any)
		var kept []any
		for _, a := range listed {
			if a.(map[string]any)["name"] != "password" {
				kept = append(kept, a)
			}
		}
		want["attributes"] = kept
		if !reflect.DeepEqual(outline(got), outline(want)) {
			t.Errorf("%s\n got %v\nwant %v", c.ours.ID, outline(got), outline(want))
		}
		if got["id"] != want["id"] || got["name"] != want["name"] || got["schemas"] == nil {
			t.Error(got["id"], got["name"])
		}
	}
	for _, want := range []string{"name", "type", "multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"} {
		for _, a := range asMap(t, Users().Extensions[1].Schema)["attributes"].([]any) {
			if _, ok := a.(map[string]any)[want]; !ok {
				t.Errorf("an attribute of the fleet extension has no %s", want)
			}
		}
	}
}

// outline is the attributes with the characteristics that both sides write.
func outline(m map[string]any) []string {
	var all []string
	list, _ := m["attributes"].([]any)
	if list == nil {
		list, _ = m["subAttributes"].([]any)
	}
	for _, item := range list {
		a := item.(map[string]any)
		line := []string{}
		for _, k := range []string{"name", "type", "mutability", "returned", "uniqueness"} {
			s, _ := a[k].(string)
			if k == "uniqueness" && s == "" {
				s = "none" // upstream leaves out what it takes for granted
			}
			line = append(line, s)
		}
		all = append(all, strings.Join(line, " "))
		all = append(all, outline(a)...)
	}
	return all
}

func asMap(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFoldIsOneCaseOfEveryLetter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if got, next := foldRune(r), foldRune(unicode.SimpleFold(r)); got != next {
			t.Errorf("%U folds to %U, but %U to %U", r, got, unicode.SimpleFold(r), next)
		}
		if foldRune(foldRune(r)) != foldRune(r) {
			t.Errorf("%U is not folded by folding once", r)
		}
		if r >= 0xD800 && r <= 0xDFFF || r >= 0x20000 {
			continue // no characters, or ideographs, which have no case
		}
		if once := Fold(string(r)); Fold(once) != once {
			t.Errorf("%U: folded twice it is another text", r)
		}
	}
}

func TestFoldIsIdempotentAndIgnoresForm(t *testing.T) {
	letters := rapid.StringMatching(`[a-zA-ZåÅßẞıİIiΣσςΩKſ\x{0300}-\x{0345}\x{1F80}-\x{1FFF}ǰJé]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		s := letters.Draw(t, "text")
		once := Fold(s)
		if Fold(once) != once {
			t.Fatalf("%q folds to %q, which folds to %q", s, once, Fold(once))
		}
		if Fold(norm.NFD.String(s)) != once {
			t.Fatalf("%q: decomposed it folds to %q, not %q", s, Fold(norm.NFD.String(s)), once)
		}
	})
	for in, want := range map[string]string{
		"PAT@Ironbark.Example": "pat@ironbark.example", "ÅNGSTRÖM": "ångström", "A\u030a": "å",
		"ΣΊΣΥΦΟΣ": "σίσυφοσ", "\u212a": "k", "İ": "İ", "ı": "ı", "Straße": "straße", "": "",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestObjectAnswersForAPerson(t *testing.T) {
	o, err := Stored([]byte(`{"userName":"pat","active":false,"name":{"familyName":"Lee","givenName":"Pat"},
		"emails":[{"value":"a@x.example"},{"value":"b@x.example","type":"Work"},{"value":"c@x.example","primary":true}],
		"` + FleetURN + `":{"certificationExpires":"2027-01-31T12:00:00+10:00"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := o.Bool("active"); v || !ok {
		t.Error("active is false, and present")
	}
	if _, ok := o.Bool("title"); ok {
		t.Error("title is no boolean")
	}
	if at, ok := o.Time(FleetURN, "certificationExpires"); !ok || !at.Equal(time.Date(2027, 1, 31, 2, 0, 0, 0, time.UTC)) {
		t.Error(at, ok)
	}
	if _, ok := o.Time("userName"); ok {
		t.Error("pat is no instant")
	}
	equal(t, "family name", o.Text("name", "familyName"), "Lee")
	equal(t, "nothing there", o.Text("name", "familyName", "deeper")+o.Text("nobody", "home"), "")
	equal(t, "primary", o.Email(), "c@x.example")
	list := o["emails"].([]any)
	o["emails"] = list[:2]
	equal(t, "work", o.Email(), "b@x.example")
	o["emails"] = list[:1]
	equal(t, "first", o.Email(), "a@x.example")
	delete(o, "emails")
	equal(t, "none", o.Email(), "")
	equal(t, "given and family", o.FormattedName(), "Pat Lee")
	o["displayName"] = "Pat L."
	o["name"].(Object)["formatted"] = "Ms Pat Lee"
	equal(t, "formatted", o.FormattedName(), "Ms Pat Lee")
	delete(o, "name")
	equal(t, "display name", o.FormattedName(), "Pat L.")
	delete(o, "displayName")
	equal(t, "user name", o.FormattedName(), "pat")
}

func TestACloneSharesNothing(t *testing.T) {
	o := Object{"name": Object{"familyName": "Lee"}, "emails": []any{Object{"value": "a"}}}
	c := o.Clone()
	c["name"].(Object)["familyName"] = "X"
	c["emails"].([]any)[0].(Object)["value"] = "b"
	equal(t, "the original", string(o.Encode()), `{"name":{"familyName":"Lee"},"emails":[{"value":"a"}]}`)
	if Object(nil).Clone() != nil {
		t.Error("nothing has no clone")
	}
}

func TestEncodingIsCanonical(t *testing.T) {
	o := Object{
		FleetURN: Object{"technicianCertification": "HV-2"}, EnterpriseURN: Object{"department": "x", "employeeNumber": "1"},
		"active": true, "userName": "\"ü\n\u2028<", "externalId": "e", "zeta": int64(-7), "alpha": 0.5, "beta": 3.0, "gamma": 1e300,
	}
	want := `{"externalId":"e","userName":"\"ü\n` + "\u2028" + `<","active":true,"` + EnterpriseURN + `":{"employeeNumber":"1","department":"x"},"` + FleetURN + `":{"technicianCertification":"HV-2"},"alpha":0.5,"beta":3.0,"gamma":1e+300,"zeta":-7}`
	equal(t, "encoded", string(o.Encode()), want)
	back, err := Stored(o.Encode())
	if err != nil || !Equal(back, o) {
		t.Errorf("%v %v", back, err)
	}
	for _, damaged := range []string{``, `[]`, `null`, `{"a":null}`, `{"a":{"b":[null]}}`, `{"a":1,"A":2}`, `{"a":99999999999999999999}`, `{"a":1`} {
		if o, err := Stored([]byte(damaged)); err == nil {
			t.Errorf("%s is read as %v", damaged, o)
		}
	}
}

func TestNumbersHaveTheirAttributesType(t *testing.T) {
	s := compile(upstream.Schema{ID: "urn:example:x", Attributes: upstream.Attributes{
		upstream.SimpleCoreAttribute(upstream.SimpleNumberParams(upstream.NumberParams{Name: "whole", Type: upstream.AttributeTypeInteger()})),
		upstream.SimpleCoreAttribute(upstream.SimpleNumberParams(upstream.NumberParams{Name: "real", Type: upstream.AttributeTypeDecimal()})),
	}}, true)
	whole, real := s.Attributes[0], s.Attributes[1]
	for _, c := range []struct {
		a    *Attribute
		raw  Raw
		want any
	}{
		{whole, Number("9007199254740993"), int64(9007199254740993)}, {whole, Number("1.5"), nil}, {whole, "7", nil}, {whole, Number("9223372036854775808"), nil},
		{real, Number("5"), 5.0}, {real, Number("1e999"), nil}, {real, true, nil},
	} {
		got, err := (&Checker{Leniency: Lenient()}).Value(c.a, c.raw)
		if (err != nil) != (c.want == nil) || got != c.want {
			t.Errorf("%v as %s: %v %v", c.raw, c.a.Type, got, err)
		}
	}
}

func TestNotesAreFewAndEachOnce(t *testing.T) {
	var n Notes
	n.Add(NoteUnknownName, "x")
	n.Add(NoteUnknownName, "x")
	if len(n) != 1 {
		t.Error(n)
	}
	for i := range 100 {
		n.Add(NoteUnknownName, strings.Repeat("ü", i))
	}
	if len(n) != mostNotes {
		t.Error(len(n))
	}
}

func TestInstantsHaveOneForm(t *testing.T) {
	for _, s := range []string{"2026-01-31T05:04:03Z", "2026-01-31T05:04:03.123456789+10:30", "2026-01-31T05:04:03", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		if _, ok := ParseTime(s); !ok {
			t.Errorf("%s is refused", s)
		}
	}
	for _, s := range []string{"2026-01-31", "2026-01-31T5:04:03Z", "2026-01-31T05:04:03,5Z", "2026-01-31t05:04:03z", "2026-02-30T05:04:03Z", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z", ""} {
		if _, ok := ParseTime(s); ok {
			t.Errorf("%q is taken", s)
		}
	}
}

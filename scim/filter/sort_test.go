package filter

import (
	"errors"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestSortsAreReadByAnyOfTheirNames(t *testing.T) {
	for by, want := range map[string]string{
		"userName": "userName", "USERNAME": "userName", schema.UserURN + ":userName": "userName", "name.familyName": "name.familyName", "meta.lastModified": "meta.lastModified",
		"emails": "emails.value", "emails.type": "emails.type", "department": schema.EnterpriseURN + ":department", schema.EnterpriseURN + ":manager.value": schema.EnterpriseURN + ":manager.value",
		"groups": "groups.value", "schemas": "schemas", "externalId": "externalId",
	} {
		s, err := ParseSort(schema.Users(), by, "Descending")
		if err != nil || s.By.Path() != want || !s.Descending || s.Word() != "descending" {
			t.Errorf("%s is read as %+v (%v), want %s", by, s, err, want)
		}
	}
	if s, err := ParseSort(schema.Users(), "id", ""); err != nil || s.Descending || s.Word() != "ascending" {
		t.Errorf("no order: %+v (%v)", s, err)
	}
}

func TestWhatCannotBeSortedByIsRefused(t *testing.T) {
	for _, c := range [][2]string{{"", ""}, {"nothing", ""}, {"name", ""}, {"meta", ""}, {"manager", ""}, {"password", ""}, {"emails[type eq \"work\"].value", ""}, {"displayName.x", ""},
		{schema.EnterpriseURN, ""}, {"userName", "up"}, {"userName", "asc"}, {strings.Repeat("x", 10_000), ""}} {
		_, err := ParseSort(schema.Users(), c[0], c[1])
		var said *schema.Error
		if !errors.As(err, &said) || said.Kind != schema.InvalidValue || len(err.Error()) > 300 {
			t.Errorf("%q %q: %v", c[0], c[1], err)
		}
	}
}

func TestLongTextsAreSortedByTheirBeginning(t *testing.T) {
	by, err := ParseSort(schema.Users(), "title", "")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("Ö", SortedText)
	title := func(s string) schema.Object { return schema.Object{"title": s} }
	if got := by.Compare(title(long+"a"), title(long+"b")); got != 0 {
		t.Errorf("behind the beginning: %d", got)
	}
	if got := by.Compare(title(long[2:]+"a"), title(long[2:]+"b")); got != -1 {
		t.Errorf("at its end: %d", got)
	}
}

// FuzzParseSort: whatever is asked, it is refused as an invalid value or names an
// attribute that has a value to compare.
func FuzzParseSort(f *testing.F) {
	for _, seed := range [][2]string{{"userName", "ascending"}, {"emails.value", "DESCENDING"}, {"urn:x:y", ""}, {"name", "up"}, {"$ref", "\x00"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, by, order string) {
		s, err := ParseSort(schema.Users(), by, order)
		var said *schema.Error
		if err != nil {
			if !errors.As(err, &said) || said.Kind != schema.InvalidValue {
				t.Errorf("%q %q: %v", by, order, err)
			}
			return
		}
		if s.By == nil || s.By.Type == schema.Complex || s.By.Dropped {
			t.Errorf("%q %q: %+v", by, order, s)
		}
	})
}

// A filter over both types says of each what it would say if the other's attributes
// were there without a value.
func TestAnotherTypesAttributeHasNoValue(t *testing.T) {
	users, groups := schema.Users(), schema.Groups()
	for text, want := range map[string][2]string{ // "-": nothing matches, "": everything does
		`userName eq "a"`:                               {`userName eq "a"`, "-"},
		`members.value eq "a"`:                          {"-", `members.value eq "a"`},
		`displayName eq "a"`:                            {`displayName eq "a"`, `displayName eq "a"`},
		`userName pr or members pr`:                     {`userName pr`, `members pr`},
		`userName pr and members pr`:                    {"-", "-"},
		`not (userName eq "a")`:                         {`not (userName eq "a")`, ""},
		`userName ne "a"`:                               {`userName ne "a"`, ""},
		`userName eq null`:                              {`userName eq null`, ""},
		`userName ne null`:                              {`userName ne null`, "-"},
		`emails[type eq "work"] or id pr`:               {`emails[type eq "work"] or id pr`, `id pr`},
		`not (emails[type eq "work"]) and id eq "x"`:    {`not (emails[type eq "work"]) and id eq "x"`, `id eq "x"`},
		`department eq "x" or not (members pr)`:         {"", `not (members pr)`},
		`meta.created pr and (active eq true or id pr)`: {`meta.created pr and (active eq true or id pr)`, `meta.created pr and id pr`},
		`manager eq "x"`:                                {schema.EnterpriseURN + `:manager.value eq "x"`, "-"},
	} {
		for i, rt := range []*schema.ResourceType{users, groups} {
			e, matters, err := ParseAcross(rt, []*schema.ResourceType{users, groups}, text, schema.Lenient(), nil)
			got := "-"
			if matters {
				got = ""
			}
			if e != nil {
				got = String(e)
			}
			if err != nil || got != want[i] {
				t.Errorf("%s for a %s is %q (%v), want %q", text, rt.Name, got, err, want[i])
			}
		}
	}
	if _, _, err := ParseAcross(users, []*schema.ResourceType{groups}, `nothing eq "a"`, schema.Lenient(), nil); err == nil {
		t.Error("an attribute of no type was taken")
	}
}

// What is taken out of a filter never decides otherwise than the whole would.
func FuzzParseAcross(f *testing.F) {
	for _, seed := range []string{`userName eq "a" or not (members pr)`, `not (not (userName ne "x")) and displayName sw "D"`, `emails[type eq "work"].value eq "x" or members eq "per_1"`} {
		f.Add(seed)
	}
	group := schema.Object{"id": "grp_1", "displayName": "Depot", "members": []any{schema.Object{"value": "per_1"}}}
	types := []*schema.ResourceType{schema.Users(), schema.Groups()}
	f.Fuzz(func(t *testing.T, text string) {
		names := acrossNames{rt: schema.Groups(), others: types, foreign: map[*schema.Attribute]bool{}}
		whole, err := parse(names, text, schema.Lenient(), nil)
		e, matters, err2 := ParseAcross(schema.Groups(), types, text, schema.Lenient(), nil)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v, %v", text, err, err2)
		}
		if err != nil {
			return
		}
		if got, want := matters && (e == nil || Matches(e, group)), Matches(whole, group); got != want {
			t.Errorf("%q: %v, the whole says %v", text, got, want)
		}
	})
}

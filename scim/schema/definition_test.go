package schema

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the reports as they are now")

const driverFile = "../../examples/schemas/driver.json"

func driver(t testing.TB) *Schema {
	t.Helper()
	data, err := os.ReadFile(driverFile)
	if err != nil {
		t.Fatal(err)
	}
	all, faults := ParseDefinitions(data)
	if len(faults) > 0 || len(all) != 1 {
		t.Fatalf("%d schemas, %v", len(all), faults)
	}
	return all[0]
}

// drivers are people who carry the sample schema.
func drivers(t testing.TB, required bool) *ResourceType {
	t.Helper()
	types, err := Standard().ExtendUsers(Extension{Schema: driver(t), Required: required})
	if err != nil {
		t.Fatal(err)
	}
	return types.Users
}

// Every broken definition under testdata/definitions is told with its place, all
// faults at once.
func TestFaultsOfADefinitionHaveTheirPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/definitions/*.txtar")
	if err != nil || len(files) < 4 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, faults := ParseDefinitions(a.Files[0].Data)
			var got strings.Builder
			for _, f := range faults {
				got.WriteString(f.String() + "\n")
			}
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "faults", Data: []byte(got.String())})
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			equal(t, "faults", got.String(), string(a.Files[1].Data))
		})
	}
}

// What /Schemas shows of a definition can be a definition again, and means the same.
func TestADefinitionIsWhatItIsShownAs(t *testing.T) {
	s := driver(t)
	shown, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(shown), `[` + string(shown) + `]`, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"Resources":[` + string(shown) + `]}`} {
		again, faults := ParseDefinitions([]byte(text))
		if len(faults) > 0 || len(again) != 1 {
			t.Fatal(faults)
		}
		if !reflect.DeepEqual(again[0], s) {
			t.Errorf("%s\nis read as another schema", text)
		}
	}
	pin := s.attribute("pin")
	if pin.Returned != ReturnedNever || pin.Searchable() || s.attribute("medical").Returned != ReturnedRequest || !s.attribute("cards").Sub[0].Required {
		t.Error("the characteristics are not what the file says")
	}
	if class := s.attribute("licenceClass"); class.Type != String || class.CaseExact || class.Mutability != ReadWrite || class.Returned != ReturnedDefault || class.Unique || class.Required {
		t.Errorf("what is missing is as RFC 7643 section 2.2 says: %+v", class)
	}
}

func TestAConnectionsOwnNamesNeverTakeOthers(t *testing.T) {
	own := func(text string) *Schema {
		all, faults := ParseDefinitions([]byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return all[0]
	}
	before := Standard()
	types, err := before.ExtendUsers(Extension{Schema: own(`{"id":"urn:example:scim:a","attributes":[{"name":"title"},{"name":"department"},{"name":"shift"},{"name":"b","type":"complex","subAttributes":[{"name":"c"}]}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"title": "title", "department": EnterpriseURN + ":department", "shift": "urn:example:scim:a:shift",
		"URN:EXAMPLE:SCIM:A:TITLE": "urn:example:scim:a:title", "urn:example:scim:a.department": "urn:example:scim:a:department", "b.c": "urn:example:scim:a:b.c"} {
		if a, err := types.Users.Attribute(name); err != nil || a.Path() != want {
			t.Errorf("%s is %v, %v", name, a, err)
		}
	}
	if _, err := Users().Attribute("shift"); err == nil || Users().Schema("urn:example:scim:a") != nil || before != Standard() {
		t.Error("the standard types know it, too")
	}
	if _, err := types.Groups.Attribute("shift"); err == nil {
		t.Error("groups know what people have")
	}
	for _, taken := range []string{
		`{"id":"urn:example:scim:a","attributes":[{"name":"z"}]}`, `{"id":"urn:EXAMPLE:scim:A","attributes":[{"name":"z"}]}`,
		`{"id":"urn:example:scim","attributes":[{"name":"a"}]}`, `{"id":"urn:example:scim:a:shift","attributes":[{"name":"z"}]}`,
		`{"id":"urn:example:scim:a:b","attributes":[{"name":"c"}]}`,
		`{"id":"` + EnterpriseURN + `","attributes":[{"name":"z"}]}`, `{"id":"` + EnterpriseURN + `:department","attributes":[{"name":"z"}]}`,
	} {
		_, err := types.ExtendUsers(Extension{Schema: own(taken)})
		if err == nil {
			t.Errorf("%s was added", taken)
		}
	}
	if _, err := types.ExtendGroups(Extension{Schema: own(`{"id":"urn:example:scim:a","attributes":[{"name":"z"}]}`)}); err == nil {
		t.Error("one URN for two schemas")
	}
}

// FuzzParseDefinitions: whatever the file holds, it ends in schemas that can be
// served and read again, or in faults with a place and a sentence.
func FuzzParseDefinitions(f *testing.F) {
	data, err := os.ReadFile(driverFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	files, _ := filepath.Glob("testdata/definitions/*.txtar")
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, faults := ParseDefinitions(data)
		if (len(all) == 0) == (len(faults) == 0) {
			t.Fatalf("%d schemas and %d faults", len(all), len(faults))
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Col < 1 || fault.Message == "" {
				t.Fatalf("a fault without a place or a sentence: %+v", fault)
			}
		}
		for _, s := range all {
			shown, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if again, faults := ParseDefinitions(shown); len(shown) <= MaxDefinition && (len(faults) > 0 || !reflect.DeepEqual(again[0], s)) {
				t.Fatalf("%s\n%v", shown, faults)
			}
			types, err := Standard().ExtendUsers(Extension{Schema: s})
			if err != nil {
				continue
			}
			for _, a := range s.Attributes {
				for _, name := range a.spelled() {
					if found, err := types.Users.Attribute(name); err != nil || found.URN != s.ID {
						t.Fatalf("%s is not found: %v", name, err)
					}
				}
			}
		}
	})
}

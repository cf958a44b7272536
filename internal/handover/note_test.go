package handover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

var given = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func sample(t *testing.T) Given {
	t.Helper()
	hobart, err := time.LoadLocation("Australia/Hobart")
	if err != nil {
		t.Fatal(err)
	}
	message, err := ForCustomer("Please try it before Friday & tell us.", Given{})
	if err != nil {
		t.Fatal(err)
	}
	return Given{
		Permit:    access.Permit{ID: "prm_1", Grant: access.Standard, Scope: "scp_hobart", Until: given.Add(14 * 24 * time.Hour), NotBefore: given.Add(time.Hour), Given: given, Case: "CASE-1042"},
		Workflows: []access.Workflow{access.LiveView, access.Playback},
		Scopes: []access.Scope{{ID: "scp_hobart", Slug: "hobart", Level: access.Fleet, Name: "Hobart <Depot>"}, {ID: "scp_b", Slug: "banksia", Level: access.Account, Name: "Banksia Freight"},
			{ID: "scp_s", Slug: "southern", Level: access.ServiceProvider, Name: "Southern Telematics"}, {ID: "scp_h", Level: access.Host, Name: "Lantern"}},
		Owner: access.Connection{Contact: "IT desk, it@banksia.example"}, Place: hobart,
		Vendor:  Vendor{Name: "Lantern Fleet Safety", Support: "Lantern Support", Email: "support@lantern.example", Hours: "24/7"},
		Message: message}
}

// forms are a note in each of its forms.
func forms(t *testing.T, g Given) map[string]string {
	t.Helper()
	n, err := Of(g)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, write := range map[string]func(io.Writer) error{"text": n.Text, "html": n.HTML, "json": n.JSON} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = b.String()
	}
	return out
}

func TestTheNoteInPlainText(t *testing.T) {
	want := `Your access

What           Standard user
You can        Live view
               Playback
Where          Banksia Freight
               Hobart <Depot>
From           Saturday, 21 November 2026, 21:00 (Australia/Hobart)
Until          Saturday, 5 December 2026, 20:00 (Australia/Hobart)
Changes        IT desk, it@banksia.example
Support        Lantern Support
               support@lantern.example
               24/7

Please try it before Friday & tell us.

Lantern Fleet Safety
`
	g := sample(t)
	if got := forms(t, g)["text"]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	g.Owner, g.Permit.Until, g.Permit.NotBefore, g.Message, g.Place = access.Connection{}, time.Time{}, time.Time{}, Public{}, nil
	got := forms(t, g)
	for _, s := range []string{"Until          no end date\n", "Changes        the administrators of Banksia Freight\n"} {
		if !strings.Contains(got["text"], s) {
			t.Errorf("%q is missing in\n%s", s, got["text"])
		}
	}
	if strings.Contains(got["text"], "From") || !strings.Contains(got["html"], "no end date") {
		t.Error(got)
	}
}

func TestThePageIsStrict(t *testing.T) {
	got := forms(t, sample(t))["html"]
	for _, bad := range []string{"<script", "Hobart <Depot>", "http:", "https:", "onload", "src="} {
		if strings.Contains(got, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, good := range []string{`lang="en"`, "Hobart &lt;Depot&gt;", "prefers-color-scheme: dark", "@media print", "default-src &#39;none&#39;", "<title>Your access: Standard user</title>"} {
		if !strings.Contains(strings.ReplaceAll(got, "default-src 'none'", "default-src &#39;none&#39;"), good) {
			t.Errorf("the page lacks %q", good)
		}
	}
}

// marked fills every text of a value with a marker of its own, and every list with one
// element. What has a fixed set of values keeps its own.
func marked(v reflect.Value, path string, all *[]string) {
	switch v.Kind() {
	case reflect.String:
		m := fmt.Sprintf("MARK%d", len(*all))
		*all = append(*all, path)
		v.SetString(m)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				marked(f, path+"."+v.Type().Field(i).Name, all)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		marked(v.Index(0), path+"[]", all)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		marked(key, path+"{key}", all)
		marked(value, path+"{}", all)
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		marked(v.Elem(), path, all)
	}
}

// Only what is public comes out, whatever else there is: every field of everything that a
// note is made of holds a marker.
func TestOnlyWhatIsPublicComesOut(t *testing.T) {
	var all []string
	var g Given
	marked(reflect.ValueOf(&g).Elem(), "Given", &all)
	if len(all) < 40 {
		t.Fatalf("only %d texts were marked: %q", len(all), all)
	}
	scope := g.Scopes[0]
	for range 3 { // those above it
		var above access.Scope
		marked(reflect.ValueOf(&above).Elem(), fmt.Sprintf("Given.Scopes[%d]", len(g.Scopes)), &all)
		g.Scopes = append(g.Scopes, above)
	}
	g.Scopes[0].Level, g.Scopes[1].Level, g.Scopes[2].Level, g.Scopes[3].Level = access.Fleet, access.Account, access.ServiceProvider, access.Host
	g.Permit.Scope, g.Permit.Grant = scope.ID, access.Technician
	g.Permit.Given, g.Permit.NotBefore, g.Permit.Until, g.Place = given, given.Add(time.Hour), given.Add(2*time.Hour), time.UTC
	terms := g.Catalogue.Grants
	for _, only := range terms {
		g.Catalogue.Grants = map[access.Grant]access.Terms{access.Technician: only}
	}
	allowed := []string{"Given.Catalogue.Grants{}.PublicName", "Given.Catalogue.Grants{}.PublicDescription", "Given.Scopes[].Name", "Given.Scopes[1].Name",
		"Given.Owner.Contact", "Given.Vendor.Name", "Given.Vendor.Support", "Given.Vendor.Email", "Given.Vendor.Hours"}
	replaced := []string{"Given.Workflows[]", "Given.Permit.Grant", "Given.Permit.Scope", "Given.Catalogue.Grants{key}"} // above, or words like others
	for i, field := range all {
		message, err := ForCustomer(fmt.Sprintf("Please look at mark%d, it is new.", i), g)
		if public := slices.Contains(allowed, field); (err == nil) != public && !slices.Contains(replaced, field) {
			t.Errorf("%s in the message: %v", field, err)
		}
		if err == nil {
			g.Message = message
		}
	}
	if g.Message.text == "" {
		t.Fatal("no message was taken")
	}
	for form, text := range forms(t, g) {
		var out []string
		for _, m := range regexp.MustCompile(`MARK(\d+)`).FindAllStringSubmatch(text, -1) {
			var at int
			if _, err := fmt.Sscan(m[1], &at); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(allowed, all[at]) {
				t.Errorf("%s: %s comes out", form, all[at])
			}
			out = append(out, all[at])
		}
		for _, a := range allowed {
			if !slices.Contains(out, a) {
				t.Errorf("%s: %s does not come out", form, a)
			}
		}
	}
}

// What a note consists of is Public, and nothing becomes Public by itself.
func TestANoteIsPublicByItsType(t *testing.T) {
	public := reflect.TypeFor[Public]()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Note]()) {
		of := f.Type
		if of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of != public && of.Kind() != reflect.Bool {
			t.Errorf("%s is %s", f.Name, f.Type)
		}
	}
	var p Public
	//lint:ignore SA9005 that nothing is read is what is tested
	if err := json.Unmarshal([]byte(`{"text":"x","Text":"x"}`), &p); err != nil || p != (Public{}) {
		t.Errorf("JSON becomes %+v, %v", p, err)
	}
	files := token.NewFileSet()
	known := importer.ForCompiler(files, "source", nil)
	for code, compiles := range map[string]bool{
		`handover.GrantName(access.Catalogue{}, access.Standard)`: true,
		`handover.Public("x")`:                      false,
		`handover.Public{"x"}`:                      false,
		`handover.Public{text: "x"}`:                false,
		`handover.Public(struct{text string}{"x"})`: false,
		`func() handover.Public { return "x" }()`:   false,
		`handover.Note{What: "x"}`:                  false,
		`handover.Note{Support: []string{"x"}}`:     false,
		`handover.Note{}`:                           true,
	} {
		src := "package outside\nimport (\"github.com/drawbridge-id/drawbridge/internal/access\"; \"github.com/drawbridge-id/drawbridge/internal/handover\")\nvar _ access.Grant\nvar _ = " + code
		file, err := parser.ParseFile(files, "outside.go", src, 0)
		if err != nil {
			t.Fatal(err)
		}
		check := types.Config{Importer: known}
		if _, err := check.Check("outside", files, []*ast.File{file}, nil); (err == nil) != compiles {
			t.Errorf("%s compiles: %t (%v)", code, !compiles, err)
		}
	}
}

func TestEveryWorkflowHasWordsAndNoIdentifierDoes(t *testing.T) {
	for _, w := range access.Workflows() {
		if s := Workflow(w).String(); s == "" || strings.ContainsAny(s, "._") {
			t.Errorf("%s is %q", w, s)
		}
	}
	if s := Workflow("invented").String(); s != "" {
		t.Errorf("what is no workflow is %q", s)
	}
}

func TestAMessageForTheCustomer(t *testing.T) {
	for text, ok := range map[string]bool{"Please try live view before Friday.": true, "Playback works, too.": true, "": true, "Zwölf Fahrzeuge, 12 vehicles": true,
		"see prm_1m7ynaym07": false, "uses live_view": false, "opens Settings.Manage": false, "two\nlines": false, " led": false, "\x1b[31m": false, strings.Repeat("x", MaxMessage+1): false} {
		if p, err := ForCustomer(text, Given{}); (err == nil) != ok || ok && p.String() != text || !ok && p != (Public{}) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestScopesThatDoNotBelong(t *testing.T) {
	g := sample(t)
	g.Scopes = g.Scopes[1:]
	if _, err := Of(g); err == nil {
		t.Error("a note of another scope")
	}
	if _, err := Of(Given{}); err == nil {
		t.Error("a note of no scope")
	}
}

// What somebody writes for the customer is no way around: the message that the customer must
// not read, and the one that they may.
func TestAMessageTellsNothingInternal(t *testing.T) {
	g := sample(t)
	g.Permit.Case, g.Owner.ID = "CASE-3", "banksia-entra"
	g.Internal = Internal{Texts: []string{"two depots", "Cameras", "Banksia Freight"}, Names: []string{"banksia-managers", "sam@banksia.example", "managers"}}
	for text, ok := range map[string]bool{
		"See CASE-3.": false, "see case-3, please": false, "You have Two  depots now.": false, "cameras, as you asked": false, "It works in Zendesk": true,
		"rule banksia-managers": false, "our managers": true, "southern/banksia/hobart": false, "in banksia/hobart": false, "at Hobart, 24/7, and/or Cairns": true, "Banksia Freight asked": true,
		"as sam@banksia.example": false, "by banksia-entra": false, "https://intern.lantern.example/x": false, "intern.lantern.example/x": false, "write to support@lantern.example.": true,
		"drawbridge says so": false, "Southern Telematics knows": false, "from cas_1m7ynaym07": false, "See CASE-34.": true, "lantern.example": true} {
		if _, err := ForCustomer(text, g); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	g.Catalogue.Grants = map[access.Grant]access.Terms{access.Standard: {PublicName: "Viewer"}}
	if _, err := ForCustomer("it is standard", g); err == nil {
		t.Error("the name of a grant that customers know by another")
	}
}

// The description of a grant promises nothing that was not given.
func TestTheDescriptionIsOfWhatWasGiven(t *testing.T) {
	g := sample(t)
	for _, c := range []struct {
		standing access.Standing
		said     bool
	}{{access.Primary, true}, {access.Guest, false}} {
		g.Workflows = g.Catalogue.Opens(g.Permit.Grant, g.Permit.Flags, c.standing)
		for form, text := range forms(t, g) {
			if strings.Contains(text, "reads reports") != c.said {
				t.Errorf("%s of %s: %s", form, c.standing, text)
			}
		}
	}
}

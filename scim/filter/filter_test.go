package filter

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// lines gives the "filter => answer" lines of one section of every testdata file.
func lines(t testing.TB, section string, each func(rt *schema.ResourceType, a *txtar.Archive, filter, answer string)) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rt := schema.Users()
		if strings.HasPrefix(filepath.Base(file), "group") {
			rt = schema.Groups()
		}
		for line := range strings.Lines(sectionOf(a, section)) {
			filter, answer, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " =>")
			if !ok {
				t.Fatalf("%s: no arrow in %q", file, line)
			}
			each(rt, a, filter, strings.TrimSpace(answer))
		}
	}
}

func sectionOf(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func resources(t *testing.T, rt *schema.ResourceType, a *txtar.Archive) []schema.Object {
	t.Helper()
	var all []schema.Object
	for line := range bytes.Lines([]byte(sectionOf(a, "resources"))) {
		o, err := schema.Stored(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func TestFiltersSelect(t *testing.T) {
	lines(t, "filters", func(rt *schema.ResourceType, a *txtar.Archive, filter, want string) {
		e, err := Parse(rt, filter)
		if err != nil {
			t.Errorf("%s\n%v", filter, err)
			return
		}
		var found []string
		for _, o := range resources(t, rt, a) {
			if Matches(e, o) {
				found = append(found, o.Text("id"))
			}
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s\n got %q\nwant %q", filter, got, want)
		}
		again, err := Parse(rt, String(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%s is printed as %s, which is another filter: %v", filter, String(e), err)
		}
	})
}

func TestRefusedFiltersSayWhatAndWhere(t *testing.T) {
	lines(t, "refused", func(rt *schema.ResourceType, _ *txtar.Archive, filter, want string) {
		_, err := Parse(rt, filter)
		e, ok := errors.AsType[*schema.Error](err)
		if !ok || e.Kind != schema.InvalidFilter || e.Detail != want {
			t.Errorf("%s\n got %v\nwant %s", filter, err, want)
		}
	})
}

func TestPaths(t *testing.T) {
	const enterprise = schema.EnterpriseURN
	cases := map[string]struct{ attr, sub, filter, schema string }{
		"userName":                            {attr: "userName"},
		"NAME.FAMILYNAME":                     {attr: "name", sub: "familyName"},
		"emails":                              {attr: "emails"},
		"emails.value":                        {attr: "emails", sub: "value"},
		`emails[type eq "work"]`:              {attr: "emails", filter: `type eq "work"`},
		`emails[type eq "work"].value`:        {attr: "emails", sub: "value", filter: `type eq "work"`},
		`emails[type eq work].display`:        {attr: "emails", sub: "display", filter: `type eq "work"`},
		`emails[primary eq "true"].VALUE`:     {attr: "emails", sub: "value", filter: `primary eq true`},
		`photos[type eq "thumbnail"].value`:   {attr: "photos", sub: "value", filter: `type eq "thumbnail"`},
		"manager":                             {attr: enterprise + ":manager"},
		"manager.$ref":                        {attr: enterprise + ":manager", sub: "$ref"},
		enterprise + ":department":            {attr: enterprise + ":department"},
		enterprise + ".department":            {attr: enterprise + ":department"},
		enterprise + ":manager.value":         {attr: enterprise + ":manager", sub: "value"},
		enterprise:                            {schema: enterprise},
		strings.ToUpper(enterprise):           {schema: enterprise},
		schema.UserURN + `:roles[value eq x]`: {attr: "roles", filter: `value eq "x"`},
		"externalId":                          {attr: "externalId"},
		"meta.created":                        {attr: "meta", sub: "created"},
	}
	for text, want := range cases {
		p, err := ParsePath(schema.Users(), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := want
		got.attr, got.sub, got.filter, got.schema = "", "", "", ""
		if p.Attr != nil {
			got.attr = p.Attr.Path()
		}
		if p.Sub != nil {
			got.sub = p.Sub.Name
		}
		if p.Filter != nil {
			b := printer{lit: literal}
			b.write(p.Filter, true)
			got.filter = b.String()
		}
		if p.Schema != nil {
			got.schema = p.Schema.ID
		}
		if got != want || p.Raw != text {
			t.Errorf("%s\n got %+v %s\nwant %+v", text, got, p.Raw, want)
		}
	}
}

func TestPathsRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "shoeSize", "name.", ".value", "name.familyName.first", "emails[", "emails[]", `emails[type eq "work"`,
		`emails[type eq "work"]x`, `emails[type eq "work"].`, `emails[type eq "work"].shoe`, `emails[type eq "work"].value.x`,
		`emails[type eq "work"][value pr]`, `name[familyName pr]`, `"emails"`, "emails value", "urn:example:x", "emails[value pr] and",
	} {
		_, err := ParsePath(schema.Users(), text)
		if e, ok := errors.AsType[*schema.Error](err); !ok || e.Kind != schema.InvalidPath {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOnlyEqualitiesMakeAnElement(t *testing.T) {
	cases := map[string]bool{
		`emails[type eq "work"]`:                           true,
		`emails[type eq "work" and primary eq true]`:       true,
		`emails[type eq "work" and type eq "home"]`:        false,
		`emails[type eq "work" or type eq "home"]`:         false,
		`emails[type ne "work"]`:                           false,
		`emails[type eq null]`:                             false,
		`emails[not (type eq "work")]`:                     false,
		`emails[type pr]`:                                  false,
		`emails[type eq "work" and (value pr or type pr)]`: false,
	}
	for text, want := range cases {
		p, err := ParsePath(schema.Users(), text)
		if err != nil || p.Stampable != want {
			t.Errorf("%s: %v %v", text, p.Stampable, err)
		}
	}
}

func TestHostileTextsAreRefusedAtOnce(t *testing.T) {
	terms := func(n int) string { return strings.Repeat(`title pr or `, n-1) + "title pr" }
	cases := map[string]string{
		"120,000 parentheses":    strings.Repeat("(", 120_000),
		"8,000 parentheses":      strings.Repeat("(", 8_000),
		"parentheses to depth":   strings.Repeat("(", 33) + "title pr" + strings.Repeat(")", 33),
		"nots to depth":          strings.Repeat("not (", 33) + "title pr" + strings.Repeat(")", 33),
		"1 MB of a name":         strings.Repeat("a", 1<<20),
		"8 KB of a name":         strings.Repeat("a", 8<<10),
		"8 KB of colons":         strings.Repeat(":", 8<<10),
		"1 MB in a string":       `title eq "` + strings.Repeat("a", 1<<20) + `"`,
		"300 terms":              terms(300),
		"backslashes to the end": `title eq "` + strings.Repeat(`\`, 8_000),
		"invalid UTF-8":          "title eq \"\xff\"",
		"NUL":                    "title eq \"a\x00b\"",
	}
	for name, text := range cases {
		_, err := Parse(schema.Users(), text)
		e, ok := errors.AsType[*schema.Error](err)
		if !ok || e.Kind != schema.InvalidFilter || len(e.Error()) > 500 {
			t.Errorf("%s: %.300v", name, err)
		}
		if _, err := ParsePath(schema.Users(), "emails["+text+"]"); err == nil {
			t.Errorf("%s is accepted in a path", name)
		}
	}
	if _, err := Parse(schema.Users(), terms(200)); err != nil {
		t.Errorf("One Identity Manager sends long chains of or: %v", err)
	}
	if _, err := Parse(schema.Users(), strings.Repeat("(", 31)+"title pr"+strings.Repeat(")", 31)); err != nil {
		t.Error(err)
	}
}

// FuzzParse: no panic, bounded memory, and whatever is accepted is printed as
// itself.
func FuzzParse(f *testing.F) {
	for _, section := range []string{"filters", "refused"} {
		lines(f, section, func(_ *schema.ResourceType, _ *txtar.Archive, filter, _ string) { f.Add(filter) })
	}
	doc := schema.Object{"userName": "p", "emails": []any{schema.Object{"value": "a"}}}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rt := range []*schema.ResourceType{schema.Users(), schema.Groups()} {
			e, spent, err := measured(func() (Expr, error) { return Parse(rt, text) })
			if spent > 512<<10 {
				t.Errorf("%d bytes of filter took %d bytes of memory", len(text), spent)
			}
			strictly, strictErr := ParseAs(rt, text, schema.Leniency{}, nil)
			if err != nil {
				if strictErr == nil {
					t.Errorf("%q is read strictly, and refused otherwise: %v", text, err)
				}
				continue
			}
			if strictErr == nil && !reflect.DeepEqual(e, strictly) {
				t.Errorf("%q is read strictly as %s, and otherwise as %s", text, String(strictly), String(e))
			}
			again, err := Parse(rt, String(e))
			if len(String(e)) <= MaxLength && (err != nil || !reflect.DeepEqual(e, again)) {
				t.Errorf("%q is printed as %q: %v", text, String(e), err)
			}
			Matches(e, doc)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	f.Add(`emails[type eq "work" and primary eq "True"].value`)
	f.Add(schema.EnterpriseURN + ":manager.value")
	f.Add(`members[value eq x]`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, rt := range []*schema.ResourceType{schema.Users(), schema.Groups()} {
			p, spent, err := measured(func() (Path, error) { return ParsePath(rt, text) })
			if spent > 512<<10 {
				t.Errorf("%d bytes of path took %d bytes of memory", len(text), spent)
			}
			if err == nil && (p.Attr == nil) == (p.Schema == nil) {
				t.Errorf("%q is %+v", text, p)
			}
			if strictly, strictErr := ParsePathAs(rt, text, schema.Leniency{}, nil); strictErr == nil && (err != nil || !reflect.DeepEqual(p, strictly)) {
				t.Errorf("%q is read strictly as %+v, and otherwise as %+v (%v)", text, strictly, p, err)
			}
		}
	})
}

func measured[T any](do func() (T, error)) (T, uint64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := do()
	runtime.ReadMemStats(&after)
	return v, after.TotalAlloc - before.TotalAlloc, err
}

func BenchmarkParseUserName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(schema.Users(), `userName eq "pat@ironbark.example"`); err != nil {
			b.Fatal(err)
		}
	}
}

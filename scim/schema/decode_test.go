package schema

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// A testdata file promises what becomes of bodies: each is followed by the document
// that is stored, members and notes if they matter, or by its error alone.
type bodyCase struct {
	rt       *ResourceType
	leniency Leniency
	body     []byte
	expect   map[string]string
}

func bodies(t testing.TB, each func(name string, c bodyCase)) {
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
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		for i, c := range cases(t, name, a) {
			each(fmt.Sprintf("%s/%d", name, i+1), c)
		}
	}
}

func cases(t testing.TB, name string, a *txtar.Archive) []bodyCase {
	rt, leniency := Users(), Lenient()
	if strings.HasPrefix(name, "group") {
		rt = Groups()
	}
	var all []bodyCase
	for _, f := range a.Files {
		switch f.Name {
		case "strict":
			leniency = Leniency{}
		case "body":
			all = append(all, bodyCase{rt, leniency, f.Data, map[string]string{}})
		case "doc", "members", "notes", "error":
			all[len(all)-1].expect[f.Name] = strings.TrimSpace(string(f.Data))
		default:
			t.Fatalf("%s: what is a section %q?", name, f.Name)
		}
	}
	return all
}

func TestBodies(t *testing.T) {
	bodies(t, func(name string, c bodyCase) {
		t.Run(name, func(t *testing.T) {
			got, err := c.rt.Decode(c.body, c.leniency)
			if err != nil || c.expect["error"] != "" {
				equal(t, "error", describe(err), c.expect["error"])
				return
			}
			equal(t, "doc", string(got.Doc.Encode()), c.expect["doc"])
			if want, ok := c.expect["members"]; ok {
				equal(t, "members", printMembers(got.Members), want)
			}
			if want, ok := c.expect["notes"]; ok {
				equal(t, "notes", strings.Join(got.Notes, "\n"), want)
			}
		})
	})
}

func printMembers(ids []string) string {
	if ids == nil {
		return "nil"
	}
	return fmt.Sprint(ids)
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %s\nwant %s", what, got, want)
	}
}

func describe(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return fmt.Sprint(err)
	}
	return string(e.Kind) + " " + e.Error()
}

func TestHostileBodiesAreRefusedWithAReason(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"n%d":1`, i)
		}
		return b.String()
	}
	cases := map[string]struct {
		rt         *ResourceType
		body, want string
	}{
		"33 deep":                {Users(), `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "invalidSyntax the JSON is nested"},
		"1 MB of brackets":       {Users(), strings.Repeat("[", 1<<20), "invalidSyntax the JSON is nested"},
		"objects 100,000 deep":   {Users(), strings.Repeat(`{"a":`, 100_000), "invalidSyntax the JSON is nested"},
		"20,000 names":           {Users(), `{"userName":"u"` + many(20_000) + `}`, "tooMany the JSON holds more than 10000 values"},
		"20,000 names, group":    {Groups(), `{"displayName":"u"` + many(20_000) + `}`, "tooMany the JSON holds more than 10000 values"},
		"300,000 members":        {Groups(), `{"displayName":"u","members":[` + strings.Repeat(`"u",`, 300_000) + `"u"]}`, "tooMany the JSON holds"},
		"a string of 1 MB":       {Users(), `{"userName":"` + strings.Repeat("u", 1<<20) + `"}`, "invalidValue a string is longer"},
		"a name of 1 MB":         {Users(), `{"` + strings.Repeat("u", 1<<20) + `":1}`, "invalidValue a string is longer"},
		"invalid UTF-8":          {Users(), "{\"userName\":\"\xff\"}", "invalidSyntax /userName: not valid JSON at byte 13"},
		"half a surrogate pair":  {Users(), `{"userName":"\ud800"}`, "invalidSyntax /userName: not valid JSON"},
		"invalid UTF-8 ignored":  {Users(), "{\"userName\":\"u\",\"other\":\"\xff\"}", "invalidSyntax /other: not valid JSON"},
		"invalid UTF-8 member":   {Groups(), "{\"displayName\":\"u\",\"members\":[{\"value\":\"\xff\"}]}", "invalidSyntax"},
		"raw NUL":                {Users(), "{\"userName\":\"a\x00\"}", "invalidSyntax a string holds a NUL"},
		"NUL between values":     {Users(), "{\x00}", "invalidSyntax"},
		"a comment":              {Users(), "{/**/}", "invalidSyntax"},
		"a number as a name":     {Users(), `{1:2}`, "invalidSyntax"},
		"no name":                {Users(), `{:2}`, "invalidSyntax"},
		"an escaped name":        {Users(), `{"user\u004eame":7}`, "invalidValue userName: a string"},
		"no end":                 {Users(), `{"userName":"u"`, "invalidSyntax"},
		"no end in a string":     {Users(), `{"userName":"u\`, "invalidSyntax"},
		"a number too large":     {Users(), `{"userName":1e999999}`, "invalidValue userName: a string is expected"},
		"40 names, one twice":    {Users(), `{"userName":"u"` + many(40) + `,"N7":1}`, "invalidSyntax N7: the name stands twice"},
		"a Kelvin sign is no k":  {Users(), `{"userName":"u","nic\u212aName":"x","nickName":7}`, "invalidValue nickName: a string"},
		"schemas without an end": {Users(), `{"schemas":[`, "invalidSyntax"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, spent, err := measured(c.rt, []byte(c.body))
			if got := describe(err); !strings.HasPrefix(got, c.want) || len(got) > 500 {
				t.Errorf("\n got %.300s\nwant %s…", got, c.want)
			}
			if spent > 6<<20 {
				t.Errorf("took %d bytes of memory", spent)
			}
		})
	}
}

func measured(rt *ResourceType, in []byte) (Checked, uint64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := rt.Decode(in, Lenient())
	runtime.ReadMemStats(&after)
	return c, after.TotalAlloc - before.TotalAlloc, err
}

// FuzzDecode: no panic, memory in proportion to the body, and what is accepted can
// be stored, read back and sent again.
func FuzzDecode(f *testing.F) {
	bodies(f, func(_ string, c bodyCase) { f.Add(c.body) })
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, rt := range []*ResourceType{Users(), Groups()} {
			c, spent, err := measured(rt, in)
			if spent > uint64(256<<10+400*len(in)) {
				t.Errorf("%d bytes of input took %d bytes of memory", len(in), spent)
			}
			if err != nil {
				continue
			}
			stored, err := Stored(c.Doc.Encode())
			if err != nil || !Equal(stored, c.Doc) {
				t.Errorf("stored as %s: %v", c.Doc.Encode(), err)
			}
			again, err := rt.Decode(c.Doc.Encode(), Lenient())
			if err != nil || !Equal(again.Doc, c.Doc) {
				t.Errorf("%s sent again is %s: %v", c.Doc.Encode(), again.Doc.Encode(), err)
			}
		}
	})
}

func BenchmarkDecodeEntra(b *testing.B) {
	in := []byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"pat.lee@ironbark.example","active":"True",
"displayName":"Pat Lee","title":"Fleet Manager","preferredLanguage":"en-AU",
"emails":[{"primary":true,"type":"work","value":"pat.lee@ironbark.example"}],"meta":{"resourceType":"User"},
"name":{"formatted":"Pat Lee","familyName":"Lee","givenName":"Pat"},"roles":[],
"addresses":[{"type":"work","streetAddress":"1 Quay Street","locality":"Adelaide","region":"SA","postalCode":"5000","country":"AU","formatted":"1 Quay Street, Adelaide SA 5000"}],
"phoneNumbers":[{"type":"work","value":"+61 8 5550 1234"},{"type":"mobile","value":"+61 400 555 012"}],
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"701984","department":"Workshop","manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Users().Decode(in, Lenient()); err != nil {
			b.Fatal(err)
		}
	}
}

// Names stand in indexes, cursors and other resources' answers.
func TestNamesHaveALimit(t *testing.T) {
	for _, c := range []struct {
		rt   *ResourceType
		name string
	}{{Users(), "userName"}, {Users(), "externalId"}, {Users(), "displayName"}, {Groups(), "displayName"}, {Groups(), "externalId"}} {
		for length, good := range map[int]bool{1024: true, 1025: false} {
			doc := Object{"userName": "a", "displayName": "b"}
			doc[c.name] = strings.Repeat("é", length)
			if err := c.rt.Complete(doc); (err == nil) != good {
				t.Errorf("%s of %d characters: %v", c.name, length, err)
			}
		}
	}
}

// FuzzParseTime: what is read as an instant has four digits of year, and is the same
// one when it is written as RFC 3339 says.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2026-01-31T05:04:03Z", "2026-01-31T05:04:03.123456789+10:30", "2026-01-31T05:04:03", "2026-01-31T5:04:03Z", "9999-12-31T23:59:59-01:00", "2026-01-31"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := ParseTime(s)
		if !ok {
			return
		}
		again, ok := ParseTime(at.UTC().Format(time.RFC3339Nano))
		if !ok || !again.Equal(at) || strings.ContainsAny(s, ", tz") {
			t.Errorf("%q is %s, and that is %s", s, at, again)
		}
	})
}

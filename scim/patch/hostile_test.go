package patch

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func operationAt(path, value string) []byte {
	return fmt.Appendf(nil, `{"schemas":[%q],"Operations":[{"op":"add","path":%q,"value":%s}]}`, MessageURN, path, value)
}

// members is the JSON of n distinct members.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"value":"u%d","display":"Pat","type":"User"}`, i)
	}
	return "[" + b.String() + "]"
}

func TestHostileBodiesAreRefusedWithAReason(t *testing.T) {
	users, groups := schema.Users(), schema.Groups()
	cases := map[string]struct {
		rt   *schema.ResourceType
		body string
		want string // the error's beginning
	}{
		"a path of 1 MB":             {users, string(operationAt(strings.Repeat("a", 1<<20), `"x"`)), "invalidValue a string is longer"},
		"a path of 60 KB":            {users, string(operationAt(strings.Repeat("a", 60_000), `"x"`)), "invalidPath Operations[0]"},
		"8,000 parentheses":          {users, string(operationAt("emails["+strings.Repeat("(", 8_000), `"x"`)), "invalidPath Operations[0]"},
		"longer than the limit":      {users, string(operationAt("emails["+strings.Repeat("(", 60_000), `"x"`)), "invalidPath Operations[0]"},
		"a value 40 deep":            {users, string(operationAt("title", strings.Repeat("[", 40)+strings.Repeat("]", 40))), "invalidSyntax the JSON is nested"},
		"brackets without end":       {users, strings.Repeat("[", 1<<20), "invalidSyntax the JSON is nested"},
		"100,000 values":             {users, string(operationAt("roles", "["+strings.Repeat("1,", 100_000)+"1]")), "tooMany the JSON holds"},
		"300,000 values for a group": {groups, string(operationAt("members", "["+strings.Repeat("1,", 300_000)+"1]")), "tooMany the JSON holds"},
		"20,000 values, not members": {groups, string(operationAt("displayName", "["+strings.Repeat("1,", 20_000)+"1]")), "tooMany Operations[0]"},
		"1,001 operations":           {users, `{"Operations":[` + strings.Repeat(`{"op":"remove","path":"title"},`, 1000) + `{"op":"remove","path":"title"}]}`, "tooMany Operations"},
		"50,001 members":             {groups, string(operationAt("members", members(50_001))), "tooMany Operations[0]"},
		"50,001 members in two":      {groups, fmt.Sprintf(`{"Operations":[{"op":"add","path":"members","value":%s},{"op":"add","path":"members","value":%s}]}`, members(50_000), members(1)), "tooMany Operations[1]"},
		"op twice":                   {users, `{"Operations":[{"op":"add","op":"remove","path":"title","value":"x"}]}`, "invalidSyntax"},
		"op twice but for case":      {users, `{"Operations":[{"op":"add","OP":"remove","path":"title","value":"x"}]}`, "invalidSyntax OP"},
		"value twice":                {users, `{"Operations":[{"op":"add","path":"title","value":"x","Value":"y"}]}`, "invalidSyntax Value"},
		"invalid UTF-8 in a value":   {users, string(operationAt("title", "\"\xff\"")), "invalidSyntax"},
		"invalid UTF-8 in a path":    {users, "{\"Operations\":[{\"op\":\"add\",\"path\":\"ti\xfftle\",\"value\":1}]}", "invalidSyntax"},
		"NUL, escaped":               {users, string(operationAt("title", `"a\u0000b"`)), "invalidValue a string holds a NUL"},
		"NUL, raw":                   {users, string(operationAt("title", "\"a\x00b\"")), "invalidSyntax a string holds a NUL"},
		"trailing data":              {users, `{"Operations":[]}{}`, "invalidSyntax"},
		"nothing":                    {users, ``, "invalidSyntax"},
		"null":                       {users, `null`, "invalidSyntax"},
		"half a body":                {users, `{"Operations":[{"op":"add","va`, "invalidSyntax"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(c.rt, []byte(c.body), schema.Lenient())
			if got := describe(err); !strings.HasPrefix(got, c.want) {
				t.Errorf("\n got %.200s\nwant %s…", got, c.want)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("the error repeats %d bytes of the client's", len(err.Error()))
			}
		})
	}
}

func TestTheMostMembersAreAccepted(t *testing.T) {
	plan, err := Compile(schema.Groups(), operationAt("members", members(schema.MaxMembers)), schema.Lenient())
	if err != nil || len(plan.Members) != 1 || len(plan.Members[0].IDs) != schema.MaxMembers {
		t.Fatal(err)
	}
}

func TestAPlanCanBeAppliedToManyDocuments(t *testing.T) {
	plan, err := Compile(schema.Users(), body(`[{"op":"add","path":"emails","value":[{"value":"a@x.example"}]},{"op":"replace","path":"emails[value eq \"a@x.example\"].type","value":"work"}]`), schema.Lenient())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out, err := plan.Apply(schema.Object{"userName": "p"})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "after", string(out.Encode()), `{"userName":"p","emails":[{"value":"a@x.example","type":"work"}]}`)
	}
}

func TestTheZeroPlanChangesNothing(t *testing.T) {
	doc := schema.Object{"userName": "p"}
	out, err := Plan{}.Apply(doc)
	if err != nil || !schema.Equal(out, doc) {
		t.Error(out, err)
	}
}

// FuzzCompile: no panic, memory in proportion to the body, and a plan that applies
// the same way twice.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, r := range load(f, file).requests {
			f.Add(body(r.operations))
		}
	}
	doc := schema.Object{"userName": "p", "emails": []any{schema.Object{"value": "a@x.example", "type": "work", "primary": true}}}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, rt := range []*schema.ResourceType{schema.Users(), schema.Groups()} {
			plan, spent, err := measured(rt, in)
			if most := uint64(256<<10 + 400*len(in)); spent > most {
				t.Errorf("%d bytes of input took %d bytes of memory", len(in), spent)
			}
			if err != nil {
				continue
			}
			start := doc
			if rt == schema.Groups() {
				start = schema.Object{"displayName": "g"}
			}
			once, err := plan.Apply(start)
			if err != nil {
				continue
			}
			if _, err := schema.Stored(once.Encode()); err != nil {
				t.Errorf("what was made cannot be read: %v", err)
			}
			again, err := plan.Apply(start)
			if err != nil || string(again.Encode()) != string(once.Encode()) {
				t.Errorf("the second time %s %v, the first %s", again.Encode(), err, once.Encode())
			}
		}
	})
}

func measured(rt *schema.ResourceType, in []byte) (Plan, uint64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	plan, err := Compile(rt, in, schema.Lenient())
	runtime.ReadMemStats(&after)
	return plan, after.TotalAlloc - before.TotalAlloc, err
}

func BenchmarkCompileMemberAdd(b *testing.B) {
	in := operationAt("members", `[{"value":"01hqzx5w3k8v2m4n6p8r0t2y4a"}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(schema.Groups(), in, schema.Lenient()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplyEntraUpdate(b *testing.B) {
	p := load(b, "testdata/entra-classic.txtar")
	in := body(p.requests[0].operations)
	b.ReportAllocs()
	for b.Loop() {
		plan, err := Compile(p.rt, in, p.leniency)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := plan.Apply(p.before); err != nil {
			b.Fatal(err)
		}
	}
}

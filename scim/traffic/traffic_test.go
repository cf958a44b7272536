package traffic

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Each file says what a write did and how that is told, or what a body holds and
// what is shown of it.
func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no promises", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(archive.Files); i += 2 {
				given, want := archive.Files[i], archive.Files[i+1]
				if got := told(t, given.Name, given.Data); got != string(want.Data) {
					t.Errorf("%s\n%s\n got: %s\nwant: %s", given.Name, given.Data, got, want.Data)
				}
			}
		})
	}
}

// told is what the second of two sections should hold.
func told(t *testing.T, name string, data []byte) string {
	t.Helper()
	kind, what, _ := strings.Cut(name, " ")
	switch kind {
	case "effect":
		return readEffect(t, string(data)).Sentence() + "\n"
	case "body":
		types := []*schema.ResourceType{schema.Users(), schema.Groups()}
		rt := map[string]*schema.ResourceType{"user": types[0], "group": types[1]}
		noun, message, _ := strings.Cut(what, " ")
		return strings.Join(Outline(rt[noun], message == "message", types, data), "\n") + "\n"
	case "detail":
		return Detail(strings.TrimSpace(string(data))) + "\n"
	}
	t.Fatalf("a section is an effect, a body or a detail, not %q", name)
	return ""
}

// readEffect reads lines such as "users created 1" and "gained 3 standard @ a/b".
func readEffect(t *testing.T, text string) Effect {
	t.Helper()
	var e Effect
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		first, second, _ := strings.Cut(rest, " ")
		n, _ := strconv.Atoi(first)
		switch word {
		case "users":
			setCount(t, &e.Users, first, second)
		case "groups":
			setCount(t, &e.Groups, first, second)
		case "group":
			e.Group = rest
		case "added":
			e.Added = n
		case "removed":
			e.Removed = n
		case "unknown":
			e.Unknown = n
		case "gained":
			e.Turned(Gained, second, n)
		case "altered":
			e.Turned(Altered, second, n)
		case "lost":
			e.Turned(Lost, second, n)
		case "ended":
			e.Sessions.Ended = n
		case "choose":
			e.Sessions.MustChoose = n
		case "changed":
			e.Sessions.Changed = n
		case "relinked":
			e.Relinked = n
		case "later":
			e.Later = true
		case "people":
			for i := range n {
				e.Touch(fmt.Sprintf("per_%d", i))
			}
		default:
			t.Fatalf("nobody knows %q", lines.Text())
		}
	}
	return e
}

func setCount(t *testing.T, c *Counts, word, number string) {
	t.Helper()
	n, err := strconv.Atoi(number)
	to := map[string]*int{"created": &c.Created, "changed": &c.Changed, "renamed": &c.Renamed, "deactivated": &c.Deactivated,
		"reactivated": &c.Reactivated, "deleted": &c.Deleted, "unchanged": &c.Unchanged}[word]
	if err != nil || to == nil {
		t.Fatalf("%q %q is no count (%v)", word, number, err)
	}
	*to = n
}

func TestPeopleBeyondTheRoomAreCounted(t *testing.T) {
	var e Effect
	for i := range MostPeople + 7 {
		e.Touch(fmt.Sprintf("per_%d", i))
	}
	e.Touch("per_3")
	e.Touch("")
	if len(e.People) != MostPeople || e.More != 7 {
		t.Errorf("%d people and %d more", len(e.People), e.More)
	}
}

func TestAnEffectAddedToAnotherLeavesItAlone(t *testing.T) {
	one := Effect{Users: Counts{Created: 1}, People: make([]string, 0, 8), Access: make([]Access, 0, 8)}
	one.Touch("per_1")
	one.Turned(Gained, "standard @ a", 1)
	left := one.Plus(Effect{People: []string{"per_2"}, Access: []Access{{Gained, "standard @ b", 1}}})
	right := one.Plus(Effect{People: []string{"per_3"}, Access: []Access{{Gained, "standard @ a", 4}}})
	if !slices.Equal(left.People, []string{"per_1", "per_2"}) || !slices.Equal(right.People, []string{"per_1", "per_3"}) {
		t.Errorf("%v and %v", left.People, right.People)
	}
	if one.Access[0].People != 1 || right.Access[0].People != 5 {
		t.Errorf("%v, %v", one.Access, right.Access)
	}
}

// An outline is short, whatever was sent: it is made of what strangers send.
func FuzzOutline(f *testing.F) {
	for _, body := range []string{`{"userName":"anna@southern.example","emails":[{"value":"a"}]}`, `{"Operations":[{"op":"add","path":"emails[type eq \"work\"].value","value":"a"}]}`,
		`{"Operations":[{"method":"POST","path":"/Users","data":{"userName":"a"}}]}`, strings.Repeat(`{"a":`, 5000), strings.Repeat(`[`, 5000), `{"userName":`} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	types := []*schema.ResourceType{schema.Users(), schema.Groups()}
	f.Fuzz(func(t *testing.T, body []byte, message bool) {
		for _, rt := range append(types, nil) {
			lines := Outline(rt, message, types, body)
			if len(lines) > mostLines+1 {
				t.Fatalf("%d lines", len(lines))
			}
			for _, line := range lines {
				if len(line) > mostLine+len("…") {
					t.Fatalf("a line of %d bytes", len(line))
				}
			}
		}
		_ = Detail(string(body))
		_ = Where(schema.Users(), string(body))
	})
}

func TestDeepAndLongTextsCostLittle(t *testing.T) {
	types := []*schema.ResourceType{schema.Users(), schema.Groups()}
	for what, work := range map[string]func(){
		"nested arrays":  func() { Outline(schema.Users(), false, types, []byte(strings.Repeat("[", 16<<10))) },
		"nested objects": func() { Outline(schema.Users(), true, types, []byte(strings.Repeat(`{"Operations":`, 1<<10))) },
		"a long place":   func() { Where(schema.Users(), strings.Repeat("a b ", 16<<10)) },
		"a long query": func() {
			r := Request{Type: schema.Users(), Query: "filter=active%20eq%20true" + strings.Repeat("%20or%20active%20eq%20true", 2400)}
			_ = r.Record()
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		work()
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 4<<20 { // what it guards against was ten times as much
			t.Errorf("%s cost %d bytes", what, cost)
		}
	}
}

// Where a client writes something else than belongs there, into an address or its own
// name, nothing of it is kept that could name a person or open a door.
func TestNothingIsKeptOfWhatStandsInTheWrongPlace(t *testing.T) {
	const anna = "Anna.Lindgren"
	for _, r := range []Request{
		{Method: "GET", Resource: anna + "@southern.example"},
		{Method: "GET", Resource: "Users%2F" + anna},
		{Method: "GET", Resource: "Users;" + anna},
		{Method: "GET", Resource: anna},
		{Method: "GET", Resource: "Users", Agent: "idp/1 drb_secret_Lindgren"},
	} {
		kept, err := json.Marshal(r.Record())
		if err != nil || strings.Contains(string(kept), "Lindgren") {
			t.Errorf("of %+v is kept %s (%v)", r, kept, err)
		}
	}
	for sent, want := range map[string]string{"Users": "Users", "users": "users", ".search": ".search", "": ""} {
		if got := (Request{Resource: sent}).Record().Resource; got != want {
			t.Errorf("%q is kept as %q", sent, got)
		}
	}
}

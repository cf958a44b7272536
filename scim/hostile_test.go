package scim

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// No request, however hostile, is answered with anything but a refusal in SCIM's
// own words, costs more than a moment, or makes the process hold much.
func TestHostileRequestsAreRefusedCheaply(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	groupID := f.addGroup("Depot", id)
	rep := strings.Repeat
	for name, c := range map[string]struct{ method, target, body string }{
		"a path of a megabyte":              {"GET", "/Users/" + rep("x", 1<<20), ""},
		"a megabyte of segments":            {"GET", rep("/Users", 1<<17), ""},
		"a query of a megabyte":             {"GET", "/Users?filter=" + rep("a", 1<<20), ""},
		"a query of parentheses":            {"GET", "/Users?filter=" + rep("(", 60_000), ""},
		"a filter of nots":                  {"GET", "/Users?filter=" + rep("not+(", 10_000), ""},
		"a filter of ors":                   {"GET", "/Users?filter=" + rep("userName+pr+or+", 4_000) + "userName+pr", ""},
		"a filter that is not UTF-8":        {"GET", "/Users?filter=userName+eq+%22%ff%22", ""},
		"a filter with a NUL":               {"GET", "/Users?filter=%00", ""},
		"a filter cut in its escape":        {"GET", "/Users?filter=userName+eq+%2", ""},
		"startIndex beyond all":             {"GET", "/Users?startIndex=" + rep("9", 400), ""},
		"an id with a NUL":                  {"GET", "/Users/a%00b", ""},
		"an id with a line break":           {"GET", "/Users/a%0d%0aX-Evil:1", ""},
		"an id that is not UTF-8":           {"GET", "/Users/%ff%fe", ""},
		"no JSON":                           {"POST", "/Users", "<xml/>"},
		"nothing but white space":           {"POST", "/Users", " "},
		"an array":                          {"POST", "/Users", "[]"},
		"null":                              {"POST", "/Users", "null"},
		"JSON nested deep":                  {"POST", "/Users", rep(`{"a":`, 100_000) + "1" + rep("}", 100_000)},
		"arrays nested deep":                {"POST", "/Users", `{"userName":` + rep("[", 100_000)},
		"a bomb of commas":                  {"POST", "/Users", `{"emails":[` + rep(`{},`, 200_000) + `{}]}`},
		"a duplicate key":                   {"POST", "/Users", `{"userName":"a","userName":"b"}`},
		"a duplicate key in another case":   {"POST", "/Users", `{"userName":"a","USERNAME":"b"}`},
		"invalid UTF-8":                     {"POST", "/Users", "{\"userName\":\"\xff\xfe\"}"},
		"half a surrogate":                  {"POST", "/Users", `{"userName":"\ud800"}`},
		"trailing garbage":                  {"POST", "/Users", user("x") + "}"},
		"a number for a name":               {"POST", "/Users", `{"userName":1e999999}`},
		"a body of many megabytes":          {"POST", "/Users", rep(" ", 5<<20)},
		"a group of many megabytes":         {"PUT", "/Groups/" + groupID, rep(" ", 5<<20)},
		"a patch without operations":        {"PATCH", "/Users/" + id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`},
		"a patch of a path of a megabyte":   {"PATCH", "/Users/" + id, patchOps(`[{"op":"add","path":"` + rep("a", 1<<19) + `","value":1}]`)},
		"a patch path of parentheses":       {"PATCH", "/Users/" + id, patchOps(`[{"op":"add","path":"emails[` + rep("(", 30_000) + `","value":1}]`)},
		"a patch of too many operations":    {"PATCH", "/Users/" + id, patchOps("[" + rep(`{"op":"add","path":"title","value":"x"},`, 20_000) + `{"op":"add","path":"title","value":"x"}]`)},
		"a patch that removes what it must": {"PATCH", "/Users/" + id, patchOps(`[{"op":"remove","path":"userName"}]`)},
		"a patch without a path":            {"PATCH", "/Users/" + id, patchOps(`[{"op":"remove"}]`)},
		"a patch of the id":                 {"PATCH", "/Users/" + id, patchOps(`[{"op":"replace","path":"id","value":"per_9999"}]`)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		r := f.send(c.method, c.target, c.body)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		if r.status < 400 || r.status >= 500 {
			t.Errorf("%s: %d %.200s", name, r.status, r.text)
			continue
		}
		r.refusal(r.status, text(r.at("scimType")))
		if len(r.text) > 1000 {
			t.Errorf("%s: the refusal repeats %d bytes", name, len(r.text))
		}
		if held := after.TotalAlloc - before.TotalAlloc; held > 32<<20 || took > time.Second {
			t.Errorf("%s: %v and %d MiB allocated", name, took, held>>20)
		}
	}
	f.send("GET", "/Users/"+id, "").is(200).has(`W/"1"`, "meta", "version")
	f.send("GET", "/Groups/"+groupID, "").is(200).has(`W/"1"`, "meta", "version")
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// An answer repeats what was stored, whatever it holds, as JSON.
func TestWhatIsStoredIsEscapedOnItsWayOut(t *testing.T) {
	f := newFixture(t)
	kim := f.send("POST", "/Users", `{"userName":"<script>\"\\ \u2028 \u0001 Ω","name":{"formatted":"\u0007 \"Kim\" </a>"}}`).is(201)
	kim.has("<script>\"\\ \u2028 \u0001 Ω", "userName")
	id := f.addGroup("Depot", kim.id())
	f.send("GET", "/Groups/"+id, "").is(200).has("\a \"Kim\" </a>", "members", 0, "display")
	sameNames(t, names(f.send("GET", "/Users"+filterBy(`userName sw "<script>\"\\"`), "").is(200)), "<script>\"\\ \u2028 \u0001 Ω")
}

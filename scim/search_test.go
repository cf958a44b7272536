package scim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// asked is the body of a search with these members.
func asked(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]` + members + `}`
}

// staff provisions some people out of order, and two groups.
func staff(f *fixture) {
	f.t.Helper()
	for _, p := range []string{`"userName":"cleo","title":"boss"`, `"userName":"Ada","title":"Boss"`, `"userName":"bob"`, `"userName":"dan","title":"Clerk"`} {
		f.send("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],`+p+`}`).is(201)
	}
	f.addGroup("Night", "per_0001")
	f.addGroup("Day")
}

func TestListsAreSortedByAnyAttribute(t *testing.T) {
	f := newFixture(t)
	staff(f)
	for query, want := range map[string][]string{
		"sortBy=userName":                            {"Ada", "bob", "cleo", "dan"},
		"sortBy=userName&sortOrder=descending":       {"dan", "cleo", "bob", "Ada"},
		"sortBy=TITLE":                               {"cleo", "Ada", "dan", "bob"},
		"sortBy=title&sortOrder=Descending&count=2":  {"bob", "dan"},
		"sortBy=title&startIndex=3":                  {"dan", "bob"},
		"sortBy=id&filter=title+pr":                  {"cleo", "Ada", "dan"},
		"sortBy=" + schemaEnterprise + ":department": {"cleo", "Ada", "bob", "dan"},
		"sortOrder=ascending":                        {"cleo", "Ada", "bob", "dan"},
		"sortBy=urn:ietf:params:scim:schemas:core:2.0:User:userName&cursor": {"Ada", "bob", "cleo", "dan"},
	} {
		sameNames(t, names(f.send("GET", "/Users?"+query, "").is(200)), want...)
	}
	sameNames(t, names(f.send("GET", "/Groups?sortBy=displayName", "").is(200)), "Day", "Night")
	for _, query := range []string{"sortBy=name", "sortBy=nothing", "sortBy=", "sortBy=password", "sortBy=meta", "sortBy=members", "sortBy=userName&sortOrder=up", "sortOrder=down"} {
		f.send("GET", "/Users?"+query, "").refusal(400, "invalidValue")
	}
	f.send("GET", "/Groups?sortBy=userName", "").refusal(400, "invalidValue")
}

// walkedNames walks to the last page. get asks for one page; "" is the first cursor.
func walkedNames(t *testing.T, get func(cursor string) reply) (pages [][]string) {
	t.Helper()
	for cursor := ""; ; {
		r := get(cursor).is(200)
		if r.at("startIndex") != nil {
			t.Errorf("a walk has no startIndex: %s", r.text)
		}
		if n, want := len(names(r)), r.at("itemsPerPage"); float64(n) != want {
			t.Errorf("itemsPerPage %v for %d resources", want, n)
		}
		pages = append(pages, names(r))
		next, more := r.at("nextCursor").(string)
		if !more {
			return pages
		}
		cursor = next
	}
}

func TestACursorWalksToTheEnd(t *testing.T) {
	f := newFixture(t)
	staff(f)
	get := func(query string) func(string) reply {
		return func(cursor string) reply { return f.send("GET", "/Users?"+query+"&cursor="+cursor, "") }
	}
	for query, want := range map[string]string{
		"count=3":                            "[[cleo Ada bob] [dan]]",
		"count=2":                            "[[cleo Ada] [bob dan]]",
		"count=4":                            "[[cleo Ada bob dan]]",
		"aadOptscim062020":                   "[[cleo Ada bob dan]]",
		"count=2&filter=title+pr":            "[[cleo Ada] [dan]]",
		"count=1&sortBy=title&filter=id+pr":  "[[cleo] [Ada] [dan] [bob]]",
		"count=2&filter=userName+eq+%22x%22": "[[]]",
	} {
		if got := fmt.Sprint(walkedNames(t, get(query))); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	f.send("GET", "/Users?cursor", "").is(200).has(4.0, "totalResults").has(nil, "nextCursor")
	f.send("GET", "/Users?cursor=&count=0", "").is(200).has(4.0, "totalResults").has(0.0, "itemsPerPage").has(nil, "nextCursor")
	f.send("GET", "/Users?cursor=&count=-1", "").is(200).has(0.0, "itemsPerPage")
	f.send("GET", "/Users", "").is(200).has(1.0, "startIndex").has(nil, "nextCursor")
	first := f.send("GET", "/Users?count=1&cursor", "").is(200)
	f.addUser("eve")
	second := f.send("GET", "/Users?count=1&cursor="+first.at("nextCursor").(string), "").is(200)
	second.has(4.0, "totalResults") // counted once, when the walk began
}

// Whoever sends a cursor elsewhere learns nothing from the answer but that it is
// none there.
func TestACursorIsGoodForItsOwnListOnly(t *testing.T) {
	f := newFixture(t)
	staff(f)
	f.addGroup("Dusk")
	cursor := f.send("GET", "/Users?count=1&filter=id+pr&sortBy=userName&cursor", "").is(200).at("nextCursor").(string)
	theirs := seal{northern}.Seal([]byte{0, 1, 4, 2}, "list v1 \"Users\" true \"id pr\" \"userName ascending\"")
	answers := map[string]bool{}
	for name, r := range map[string]reply{
		"nonsense":           f.send("GET", "/Users?count=1&filter=id+pr&sortBy=userName&cursor=nonsense", ""),
		"changed":            f.send("GET", "/Users?count=1&filter=id+pr&sortBy=userName&cursor=0"+cursor[1:], ""),
		"another type":       f.send("GET", "/Groups?count=1&filter=id+pr&cursor="+cursor, ""),
		"another filter":     f.send("GET", "/Users?count=1&filter=title+pr&sortBy=userName&cursor="+cursor, ""),
		"no filter":          f.send("GET", "/Users?count=1&sortBy=userName&cursor="+cursor, ""),
		"another sort":       f.send("GET", "/Users?count=1&filter=id+pr&sortBy=title&cursor="+cursor, ""),
		"another order":      f.send("GET", "/Users?count=1&filter=id+pr&sortBy=userName&sortOrder=descending&cursor="+cursor, ""),
		"no sort":            f.send("GET", "/Users?count=1&filter=id+pr&cursor="+cursor, ""),
		"the root":           f.send("POST", "/.search", asked(`"count":1,"filter":"id pr","cursor":"`+cursor+`"`)),
		"another connection": f.send("GET", "/Users?count=1&filter=id+pr&sortBy=userName&cursor="+theirs, ""),
	} {
		answers[r.refusal(400, "invalidCursor").text] = true
		if len(answers) != 1 {
			t.Errorf("%s is answered in its own way: %v", name, answers)
		}
	}
	same := "/Users?sortBy=USERNAME&sortOrder=ascending&filter=id%20pr&count=1&attributes=userName&cursor=" + cursor
	f.send("GET", same, "").is(200).has("bob", "Resources", 0, "userName")
	f.send("POST", "/Users/.search", asked(`"count":1,"filter":"id pr","sortBy":"userName","cursor":"`+cursor+`"`)).is(200).has("bob", "Resources", 0, "userName")
}

func TestACursorExpiresAndHoldsItsCount(t *testing.T) {
	f := newFixture(t)
	staff(f)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f.server.now = func() time.Time { return now }
	cursor := f.send("GET", "/Users?count=2&cursor", "").is(200).at("nextCursor").(string)
	for _, count := range []string{"", "&count=1", "&count=3", "&count=0"} {
		f.send("GET", "/Users?cursor="+cursor+count, "").refusal(400, "invalidCount")
	}
	for _, count := range []string{"201", "x", "1.5", "99999999999999999999"} {
		f.send("GET", "/Users?cursor&count="+count, "").refusal(400, "invalidCount")
		f.send("GET", "/Users?count="+count+"&cursor", "").refusal(400, "invalidCount")
	}
	f.send("GET", "/Users?cursor&startIndex=1", "").refusal(400, "invalidValue")
	now = now.Add(cursorLife - time.Second)
	f.send("GET", "/Users?count=2&cursor="+cursor, "").is(200).has("dan", "Resources", 1, "userName")
	now = now.Add(time.Second)
	f.send("GET", "/Users?count=2&cursor="+cursor, "").refusal(400, "expiredCursor")
	f.send("GET", "/Groups?count=2&cursor="+cursor, "").refusal(400, "invalidCursor")
}

func TestAPostedSearchAnswersAsTheGetDoes(t *testing.T) {
	f := newFixture(t)
	staff(f)
	for query, members := range map[string]string{
		"":                                      "",
		"?filter=title+eq+%22BOSS%22":           `"filter":"title eq \"BOSS\""`,
		"?sortBy=userName&sortOrder=descending": `"sortBy":"userName","sortOrder":"descending"`,
		"?startIndex=2&count=2":                 `"startIndex":2,"count":2`,
		"?startIndex=-2&count=1000":             `"startIndex":-2,"count":1000`,
		"?count=0":                              `"COUNT":0`,
		"?attributes=userName,meta.version":     `"attributes":["userName","meta.version"]`,
		"?excludedAttributes=meta":              `"excludedAttributes":["meta"],"attributes":[],"filter":null`,
		"?cursor&count=4":                       `"cursor":"","count":4`,
		"?filter=userName+eq+%22nobody%22&sortBy=userName": `"filter":"userName eq \"nobody\"","sortBy":"userName","unknown":1`,
	} {
		got, want := f.send("GET", "/Users"+query, "").is(200), f.send("POST", "/Users/.search", asked(members)).is(200)
		if got.text != want.text || got.header.Get("Content-Type") != want.header.Get("Content-Type") {
			t.Errorf("%s\nGET  %s\nPOST %s", query, got.text, want.text)
		}
	}
	sameNames(t, names(f.send("POST", "/Groups/.search", asked(`"sortBy":"displayName"`)).is(200)), "Day", "Night")
	if got := fmt.Sprint(walkedNames(t, func(cursor string) reply {
		return f.send("POST", "/Users/.search", asked(`"count":3,"cursor":"`+cursor+`"`))
	})); got != "[[cleo Ada bob] [dan]]" {
		t.Errorf("a posted walk: %s", got)
	}
}

func TestASearchThatCannotBeReadIsRefused(t *testing.T) {
	f := newFixture(t)
	for members, scimType := range map[string]string{
		`"filter":1`: "invalidValue", `"count":"1"`: "invalidValue", `"count":1.5`: "invalidValue", `"count":1e1`: "invalidValue", `"startIndex":true`: "invalidValue",
		`"attributes":"userName"`: "invalidValue", `"attributes":[1]`: "invalidValue", `"attributes":["a"],"excludedAttributes":["b"]`: "invalidValue",
		`"filter":"userName eq"`: "invalidFilter", `"filter":""`: "invalidFilter", `"sortBy":"name"`: "invalidValue", `"cursor":5`: "invalidValue",
		`"cursor":"x"`: "invalidCursor", `"cursor":"","count":201`: "invalidCount", `"cursor":"","startIndex":1`: "invalidValue",
		`"count":1,"Count":2`: "invalidSyntax", `"count":`: "invalidSyntax",
	} {
		f.send("POST", "/Users/.search", asked(members)).refusal(400, scimType)
		f.send("POST", "/.search", asked(members)).refusal(400, scimType)
	}
	f.send("POST", "/Users/.search", `[]`).refusal(400, "invalidSyntax")
	f.send("POST", "/Users/.search", "").refusal(415, "")
	f.send("POST", "/Users/.search", asked(`"filter":"`+strings.Repeat("x", maxTarget)+`"`)).refusal(413, "")
	f.send("POST", "/Users/.search?count=1", asked("")).refusal(400, "invalidValue")
	f.send("POST", "/Users/.search?aadOptscim062020", asked("")).is(200)
	for _, target := range []string{"/.search", "/Users/.search", "/Groups/.search"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			if allow := f.send(method, target, "").is(405).header.Get("Allow"); allow != "POST" {
				t.Errorf("%s %s: Allow %q", method, target, allow)
			}
		}
	}
	for _, target := range []string{"/Schemas/.search", "/%2Esearch", "/.SEARCH", "/Users/%2Esearch", "/.search/x", "/Users/.search/x"} {
		if r := f.send("POST", target, asked("")); r.status != 404 && r.status != 405 {
			t.Errorf("%s: %d", target, r.status)
		}
	}
}

// A search without its schema, or with members that nobody knows, is read and noted;
// strict refuses.
func TestASearchIsReadAsLenientlyAsAnythingElse(t *testing.T) {
	f := newFixture(t)
	staff(f)
	odd := []string{`{"count":1}`, asked(`"foo":{"bar":1}`)}
	for _, body := range odd {
		f.send("POST", "/Users/.search", body).is(200)
		if last := f.seen[len(f.seen)-1]; len(last.Notes) != 1 {
			t.Errorf("%s: noted %v", body, last.Notes)
		}
	}
	dir := f.gate.dirs[southern]
	dir.Strict = true
	f.gate.dirs[southern] = dir
	for _, body := range odd {
		f.send("POST", "/Users/.search", body).refusal(400, "invalidSyntax")
	}
	f.send("POST", "/Users/.search", asked("")).is(200)
}

func TestASearchAtTheRootListsPeopleThenGroups(t *testing.T) {
	f := newFixture(t)
	staff(f)
	everybody := []string{"cleo", "Ada", "bob", "dan", "Night", "Day"}
	root := func(members string) reply { return f.send("POST", "/.search", asked(members)).is(200) }
	sameNames(t, names(root("").has(6.0, "totalResults").has(1.0, "startIndex").has(6.0, "itemsPerPage")), everybody...)
	for start := 1; start <= 7; start++ {
		for count := range 7 {
			r := root(fmt.Sprintf(`"startIndex":%d,"count":%d`, start, count)).has(6.0, "totalResults")
			sameNames(t, names(r), everybody[start-1:min(start-1+count, 6)]...)
		}
	}
	for count := 1; count <= 7; count++ {
		var all []string
		pages := walkedNames(t, func(cursor string) reply {
			return root(fmt.Sprintf(`"count":%d,"cursor":"%s"`, count, cursor)).has(6.0, "totalResults")
		})
		for _, page := range pages {
			all = append(all, page...)
		}
		if sameNames(t, all, everybody...); len(pages) != (6+count-1)/count {
			t.Errorf("pages of %d: %v", count, pages)
		}
	}
	for filter, want := range map[string]string{`userName pr`: "[[cleo Ada bob dan]]", `id sw \"per\"`: "[[cleo Ada bob dan]]", `id sw \"grp\"`: "[[Night Day]]", `id eq null`: "[[]]"} {
		pages := walkedNames(t, func(cursor string) reply {
			return root(`"count":4,"filter":"` + filter + `","cursor":"` + cursor + `"`)
		})
		if fmt.Sprint(pages) != want {
			t.Errorf("%s: pages %v, want %v", filter, pages, want)
		}
	}
	for filter, want := range map[string][]string{
		`userName sw \"a\"`: {"Ada"}, `displayName eq \"day\"`: {"Day"}, `members pr`: {"Night"}, `title pr or members pr`: {"cleo", "Ada", "dan", "Night"},
		`userName pr and members pr`: nil, `not (userName eq \"bob\")`: {"cleo", "Ada", "dan", "Night", "Day"}, `id eq \"grp_0002\"`: {"Day"}, `meta.lastModified pr and title eq null`: {"bob", "Night", "Day"},
	} {
		sameNames(t, names(root(`"filter":"`+filter+`"`).has(float64(len(want)), "totalResults")), want...)
	}
	r := root(`"attributes":["displayName"],"filter":"id eq \"per_0002\" or id eq \"grp_0002\""`)
	r.has("per_0002", "Resources", 0, "id").has(nil, "Resources", 0, "userName").has("Day", "Resources", 1, "displayName").has(nil, "Resources", 1, "meta")
}

func TestUsersAndGroupsAreNotSortedTogether(t *testing.T) {
	f := newFixture(t)
	if detail, _ := f.send("POST", "/.search", asked(`"sortBy":"id"`)).refusal(400, "invalidValue").at("detail").(string); !strings.Contains(detail, "/Users/.search") {
		t.Errorf("it does not say where to sort: %s", detail)
	}
	f.send("POST", "/.search", asked(`"sortOrder":"ascending"`)).is(200)
}

func TestHeadOfAListIsItsGetWithoutABody(t *testing.T) {
	f := newFixture(t)
	staff(f)
	for _, query := range []string{"?count=0", "?sortBy=userName", "?cursor&count=2", "?startIndex=2"} {
		get, head := f.send("GET", "/Users"+query, "").is(200), f.send(http.MethodHead, "/Users"+query, "").is(200)
		if get.header.Get("Content-Length") != head.header.Get("Content-Length") {
			t.Errorf("%s: Content-Length %q and %q", query, get.header.Get("Content-Length"), head.header.Get("Content-Length"))
		}
	}
	f.send(http.MethodHead, "/Users?cursor=x", "").is(400)
}

// FuzzSearchBody: whatever is posted, the numbers are in range, the texts are UTF-8,
// and a refusal is a 400.
func FuzzSearchBody(f *testing.F) {
	for _, seed := range []string{asked(""), asked(`"count":5,"startIndex":-1,"filter":"a","attributes":["x","y"]`), `{"cursor":"","COUNT":1e3}`, `[]`, `{"schemas":null,"count":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, l := range []schema.Leniency{{}, schema.Lenient()} {
			q, _, err := parseSearch(slices.Clone(sent), l)
			if err != nil {
				if e := asError(err); e.Status != http.StatusBadRequest || e.Detail == "" {
					t.Fatalf("%q: %v", sent, err)
				}
				continue
			}
			if q.start < 1 || q.count < 0 || q.count > maxCount {
				t.Errorf("%q: start %d, count %d", sent, q.start, q.count)
			}
			for _, text := range []string{q.filter, q.attributes, q.excluded, q.sortBy, q.sortOrder, q.cursor} {
				if !utf8.ValidString(text) {
					t.Errorf("%q: decoded to something that is not UTF-8", sent)
				}
			}
		}
	})
}

// FuzzCursorPlace: what a cursor holds is read as it was written, or refused.
func FuzzCursorPlace(f *testing.F) {
	f.Add(place{source: 1, count: 200, total: 1 << 20, expires: 1_800_000_000, after: []byte(`{"k":1}`)}.encode())
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePlace(b, 2)
		if err != nil {
			if !errors.Is(err, errNoPlace) {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		again, err := decodePlace(p.encode(), 2)
		if err != nil || again.source != p.source || again.count != p.count || again.total != p.total || again.expires != p.expires || string(again.after) != string(p.after) {
			t.Errorf("%x: %+v comes back as %+v (%v)", b, p, again, err)
		}
	})
}

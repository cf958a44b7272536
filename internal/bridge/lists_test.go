package bridge_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// walk walks a list to its end. path asks for one page; "" is the first cursor.
func (w *world) walk(c access.ConnectionID, path func(cursor string) string, between func()) (ids []string) {
	w.t.Helper()
	for cursor := ""; ; between() {
		page := w.must(200, c, "GET", path(cursor), "")
		ids = append(ids, idsOf(page)...)
		next, more := page["nextCursor"].(string)
		if !more {
			return ids
		}
		cursor = next
	}
}

func idsOf(page map[string]any) (ids []string) {
	for _, r := range page["Resources"].([]any) {
		ids = append(ids, r.(map[string]any)["id"].(string))
	}
	return ids
}

// TestAWalkMeetsWhoeverStaysOnce: over HTTP and the real engines, in several orders,
// while others come, change their names and go.
func TestAWalkMeetsWhoeverStaysOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var staying, moving []string
	for i := range 23 {
		staying = append(staying, w.person(banksia, fmt.Sprintf("%c%02d@banksia.example", 'z'-i, i), fmt.Sprint("stay-", i)))
		moving = append(moving, w.person(banksia, fmt.Sprintf("%c%02d.moves@banksia.example", 'a'+i, i), fmt.Sprint("move-", i)))
	}
	steps := 0
	between := func() {
		steps++
		w.person(banksia, fmt.Sprintf("%c-new%d@banksia.example", 'a'+steps%26, steps), fmt.Sprint("new-", steps))
		if len(moving) == 0 {
			return
		}
		p := moving[0]
		moving = moving[1:]
		if steps%2 == 0 {
			w.must(204, banksia, "DELETE", "/Users/"+p, "")
			return
		}
		w.patchUser(banksia, p, fmt.Sprintf(`{"op":"replace","path":"userName","value":"%c-was%d@banksia.example"}`, 'z'-steps%26, steps))
	}
	backwards := slices.Clone(staying)
	slices.Reverse(backwards)
	for order, want := range map[string][]string{"": staying, "&sortBy=userName": backwards, "&sortBy=userName&sortOrder=descending": staying, "&sortBy=id&filter=externalId+sw+%22stay%22": staying,
		"&sortBy=meta.created": staying, "&sortBy=emails&filter=active+eq+true": backwards} {
		met := w.walk(banksia, func(cursor string) string { return "/Users?count=5&cursor=" + cursor + order }, between)
		met = slices.DeleteFunc(met, func(id string) bool { return !slices.Contains(staying, id) })
		if order == "&sortBy=id&filter=externalId+sw+%22stay%22" {
			slices.Sort(met) // ids made in one millisecond have no order of their own
			want = slices.Sorted(slices.Values(want))
		}
		if !slices.Equal(met, want) {
			t.Errorf("%q met\n%v\nof\n%v", order, met, want)
		}
	}
}

// TestACursorSaysNothingAndOpensNothingElsewhere: it can be read by nobody, and used
// in its own connection only, for an hour, also after a restart.
func TestACursorSaysNothingAndOpensNothingElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []access.ConnectionID{banksia, southern} {
		for i := range 3 {
			w.person(c, fmt.Sprintf("canary%d@name.example", i), "")
		}
	}
	const list = "/Users?count=2&sortBy=userName&cursor="
	cursor := w.must(200, banksia, "GET", list, "")["nextCursor"].(string)
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || strings.Contains(string(raw), "canary") || strings.Contains(string(raw), "name.example") {
		t.Errorf("%s (%v) is not sealed: %q", cursor, err, raw)
	}
	if url.QueryEscape(cursor) != cursor {
		t.Errorf("%s needs an escape", cursor)
	}
	answer := func(c access.ConnectionID, cursor string) string {
		status, body := w.send(c, "GET", list+cursor, "")
		return fmt.Sprint(status, body["scimType"], body["detail"])
	}
	made := answer(southern, "nonsense")
	if foreign := answer(southern, cursor); foreign != made || !strings.HasPrefix(made, "400invalidCursor") {
		t.Errorf("another connection's cursor: %s\nnonsense: %s", foreign, made)
	}
	w.restart()
	if page := w.must(200, banksia, "GET", list+cursor, ""); len(idsOf(page)) != 1 || page["nextCursor"] != nil {
		t.Errorf("after a restart: %v", page)
	}
	w.clock.Add(time.Hour)
	if got := answer(banksia, cursor); !strings.HasPrefix(got, "400expiredCursor") {
		t.Errorf("after an hour: %s", got)
	}
	if got := answer(southern, cursor); got != made {
		t.Errorf("after an hour, elsewhere: %s", got)
	}
}

// TestASearchAtTheRootFindsPeopleAndGroups: with filters of both types compiled to SQL,
// and what is offered behind them.
func TestASearchAtTheRootFindsPeopleAndGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, q := w.person(banksia, "one@banksia.example", "x-1"), w.person(banksia, "two@banksia.example", "x-2")
	g, h := w.group(banksia, "GL Geelong Managers", p), w.group(banksia, "Another", q)
	w.person(southern, "one@banksia.example", "x-1")
	offered := append(idsOf(w.must(200, banksia, "GET", "/Roles", "")), idsOf(w.must(200, banksia, "GET", "/Entitlements", ""))...)
	for filter, want := range map[string][]string{
		`userName eq "ONE@banksia.example"`:                {p},
		`members.value eq "` + q + `"`:                     {h},
		`groups.value eq "` + g + `" or displayName pr`:    {p, g, h},
		`not (groups.display eq "another")`:                append([]string{p, g, h}, offered...),
		`supported eq true`:                                offered,
		`members[value eq "` + p + `"] or externalId pr`:   {p, q, g},
		`id eq "` + q + `" or id eq "` + g + `"`:           {q, g},
		`active eq true and members pr`:                    nil,
		`meta.created pr and not (emails.type eq "other")`: {p, q, g, h},
	} {
		body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":%q}`, filter)
		page := w.must(200, banksia, "POST", "/.search", body)
		if got := idsOf(page); !slices.Equal(got, want) || page["totalResults"] != float64(len(want)) {
			t.Errorf("%s: %v of %v, want %v", filter, got, page["totalResults"], want)
		}
	}
}

// TestAPageOfLargeDocumentsIsWhole: what the store leaves out of a page's
// transaction comes when its turn in the answer does, in numbered lists and in walks.
func TestAPageOfLargeDocumentsIsWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for i := range 6 {
		photos := strings.Repeat(fmt.Sprintf(`{"value":"https://photos.banksia.example/%s"},`, strings.Repeat("x", 60_000)), 12)
		ids = append(ids, w.must(201, banksia, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"big%d@banksia.example","photos":[%s]}`,
			i, strings.TrimSuffix(photos, ",")))["id"].(string))
	}
	group := w.group(banksia, "Photographers", ids...)
	for _, path := range []string{"/Users?count=10", "/Users?cursor&count=10"} {
		page := w.must(200, banksia, "GET", path, "")
		if got := idsOf(page); !slices.Equal(got, ids) {
			t.Fatalf("%s shows %v, want %v", path, got, ids)
		}
		for i, r := range page["Resources"].([]any) {
			whole := w.must(200, banksia, "GET", "/Users/"+ids[i], "")
			if !reflect.DeepEqual(r, any(whole)) {
				t.Errorf("%s: person %d is not what a GET shows", path, i)
			}
			if in := r.(map[string]any)["groups"].([]any)[0].(map[string]any)["value"]; in != group {
				t.Errorf("%s: person %d is in %v", path, i, in)
			}
		}
	}
}

// A filter or an order that no index serves says so, with how many rows it had to
// compare; what an index serves says nothing.
func TestASearchThatNoIndexServesSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.person(banksia, "ada@banksia.example", "oid-ada")
	w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "Depot", id)
	for path, rows := range map[string]string{
		`/Users?filter=title+eq+"x"`: "2", `/Users?sortBy=title`: "2", `/Users?filter=not+(userName+eq+"x")`: "2", `/Users?count=0&filter=title+pr`: "2",
		`/Users?cursor&filter=title+pr`: "2",
		`/Users`:                        "", `/Users?count=0`: "", `/Users?sortBy=userName`: "", `/Users?cursor`: "", `/Users?filter=userName+eq+"ada@banksia.example"`: "",
		`/Users?filter=externalId+eq+"oid-ada"`: "", `/Groups?filter=displayName+eq+"Depot"`: "", `/Users?filter=id+eq+"` + id + `"+and+title+eq+"x"`: "",
	} {
		rec := w.with(w.tokens[banksia], banksia, "GET", path, "")
		w.answers(200, rec, path)
		got := rec.Header().Get("Server-Timing")
		if rows == "" && got != "" || rows != "" && (!strings.HasPrefix(got, "scan;dur=") || !strings.HasSuffix(got, `;desc="no index serves this: `+rows+` rows compared"`)) {
			t.Errorf("%s: Server-Timing %q, want %s rows", path, got, rows)
		}
	}
}

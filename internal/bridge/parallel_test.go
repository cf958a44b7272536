package bridge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// overHTTP is a real server in front of a world, and a client with a connection for
// each of a crowd.
func (w *world) overHTTP() func(method, path, body string) (int, string) {
	server := httptest.NewServer(w.scim)
	w.t.Cleanup(server.Close)
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = crowd
	return func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(w.ctx, method, server.URL+"/scim/v2/"+banksia+path, strings.NewReader(body))
		if err != nil {
			w.t.Error(err)
			return 0, ""
		}
		r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
		r.Header.Set("Content-Type", "application/scim+json")
		answer, err := client.Do(r)
		if err != nil {
			w.t.Error(err)
			return 0, ""
		}
		defer answer.Body.Close() //nolint:errcheck // it has been read
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			w.t.Error(err)
		}
		return answer.StatusCode, string(text)
	}
}

// statuses sends a crowd's requests at once and counts what they were answered with.
func statuses(send func(i int) int) map[int]int {
	var mu sync.Mutex
	counted := map[int]int{}
	together(func(i int) bool {
		status := send(i)
		mu.Lock()
		defer mu.Unlock()
		counted[status]++
		return true
	})
	return counted
}

// rowsOf counts the rows of a table that a condition finds, whatever the API shows.
func (w *world) rowsOf(table, condition string, args ...any) (n int) {
	w.t.Helper()
	w.do(w.rows.View(w.ctx, func(q store.Querier) error {
		return q.QueryRow("select count(*) from "+table+" where "+condition, args...).Scan(&n)
	}))
	return n
}

// TestOfManyEqualPostsOverHTTPOneMakesARow: 64 equal POSTs at once, of a person and
// of a group: one 201, 63 times 409 with uniqueness, and one row.
func TestOfManyEqualPostsOverHTTPOneMakesARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := w.overHTTP()
	for _, c := range []struct{ path, body, table, condition string }{
		{"/Users", `{` + userURN + `,"userName":"Sam@banksia.example","externalId":"oid-sam","active":true}`, "people", "user_name_key = 'sam@banksia.example'"},
		{"/Groups", `{` + groupURN + `,"displayName":"GL Geelong Managers"}`, "groups", "name_key = 'gl geelong managers'"},
	} {
		got := statuses(func(i int) int {
			body := c.body
			if i%2 == 1 {
				body = strings.NewReplacer("Sam@", "sAM@", "Geelong", "GEELONG").Replace(body)
			}
			status, answer := send("POST", c.path, body)
			if status == 409 && !strings.Contains(answer, `"scimType":"uniqueness"`) {
				t.Errorf("a 409 says %s", answer)
			}
			return status
		})
		if got[201] != 1 || got[409] != crowd-1 {
			t.Errorf("%s: %v, want one 201 and %d times 409", c.path, got, crowd-1)
		}
		if n := w.rowsOf(c.table, c.condition); n != 1 {
			t.Errorf("%s: %d rows", c.path, n)
		}
	}
}

// TestOfManyPatchesOverHTTPNoneIsLost: 64 PATCHes of one group at once, each of which
// adds another member, in each of the forms that providers send: every member is
// there, and the group's version has counted every change.
func TestOfManyPatchesOverHTTPNoneIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := w.overHTTP()
	var ids []string
	for i := range crowd {
		ids = append(ids, w.person(banksia, userName(i), externalID(i)))
	}
	group := w.group(banksia, "GL Geelong Managers")
	forms := []string{`{"op":"add","path":"members","value":[{"value":%q}]}`, `{"op":"add","value":{"members":[{"value":%q}]}}`, `{"op":"Add","path":"members","value":[{"value":%q,"display":"x"}]}`}
	got := statuses(func(i int) int {
		status, _ := send("PATCH", "/Groups/"+group, `{`+patchURN+`,"Operations":[`+fmt.Sprintf(forms[i%len(forms)], ids[i])+`]}`)
		return status
	})
	if got[204] != crowd {
		t.Errorf("answered %v, want %d times 204", got, crowd)
	}
	there := w.must(200, banksia, "GET", "/Groups/"+group, "")
	if n := len(there["members"].([]any)); n != crowd {
		t.Errorf("%d of %d members are there", n, crowd)
	}
	if n := w.rowsOf("memberships", "true"); n != crowd {
		t.Errorf("%d rows of members, want %d", n, crowd)
	}
	if version := there["meta"].(map[string]any)["version"]; version != fmt.Sprintf(`W/"%d"`, 1+crowd) {
		t.Errorf("the group's version is %v after %d changes", version, crowd)
	}
	// The same again changes nothing, and half of them go while the others are named again.
	got = statuses(func(i int) int {
		op := fmt.Sprintf(forms[0], ids[i])
		if i%2 == 0 {
			op = fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, ids[i])
		}
		status, _ := send("PATCH", "/Groups/"+group, `{`+patchURN+`,"Operations":[`+op+`]}`)
		return status
	})
	if n := w.rowsOf("memberships", "true"); got[204] != crowd || n != crowd/2 {
		t.Errorf("answered %v with %d members left, want %d", got, n, crowd/2)
	}
}

// TestOfManyGuardedPatchesOneWins: 64 PATCHes with the same If-Match at once: one is
// done, the others are told that they are too late.
func TestOfManyGuardedPatchesOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.person(banksia, "sam@banksia.example", "oid-sam")
	got := statuses(func(i int) int {
		answer := w.ask(access.ConnectionID(banksia), w.tokens[banksia], "PATCH", "/Users/"+id, fmt.Sprintf(`{%s,"Operations":[{"op":"replace","path":"title","value":"t%d"}]}`, patchURN, i), `If-Match: W/"1"`)
		status := 0
		if _, err := fmt.Sscan(answer, &status); err != nil {
			t.Error(err)
		}
		return status
	})
	if got[200] != 1 || got[412] != crowd-1 {
		t.Errorf("answered %v, want one 200 and %d times 412", got, crowd-1)
	}
	if v := w.must(200, banksia, "GET", "/Users/"+id, "")["meta"].(map[string]any)["version"]; v != `W/"2"` {
		t.Errorf("the version is %v", v)
	}
}

// TestRepeatedMakingAndDeletingLeavesOneOrNobody: POSTs and DELETEs of one name at
// once: nobody is there twice, and every id was made once.
func TestRepeatedMakingAndDeletingLeavesOneOrNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := w.overHTTP()
	var mu sync.Mutex
	var all []string
	together(func(i int) bool {
		status, answer := send("POST", "/Users", `{`+userURN+`,"userName":"sam@banksia.example"}`)
		if status != 201 {
			return status == 409
		}
		id := made.FindStringSubmatch(answer)[1]
		mu.Lock()
		all = append(all, id)
		mu.Unlock()
		if status, answer := send("DELETE", "/Users/"+id, ""); status != 204 {
			t.Errorf("DELETE answered %d %s", status, answer)
		}
		return true
	})
	slices.Sort(all)
	if n := w.rowsOf("people", "user_name_key = 'sam@banksia.example'"); n != 0 || len(slices.Compact(slices.Clone(all))) != len(all) || len(all) == 0 {
		t.Errorf("%d rows are left of %d that were made", n, len(all))
	}
}

// TestAWalkMeetsWhoStaysWhileOthersComeAndGo: while people are made, renamed and
// deleted all the time, walks by cursor, in any order, meet everybody who stays as
// they are exactly once.
func TestAWalkMeetsWhoStaysWhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := w.overHTTP()
	stays := map[string]int{}
	for i := range 40 {
		stays[w.person(banksia, fmt.Sprintf("%c-stays-%d@banksia.example", 'a'+i%26, i), externalID(i))] = 0
	}
	stop := make(chan struct{})
	var busy sync.WaitGroup
	defer busy.Wait()
	defer close(stop)
	for n := range 4 {
		busy.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				_, answer := send("POST", "/Users", fmt.Sprintf(`{%s,"userName":"%c-goes-%d-%d@banksia.example"}`, userURN, 'a'+i%26, n, i))
				if id := made.FindStringSubmatch(answer); id != nil {
					send("PATCH", "/Users/"+id[1], fmt.Sprintf(`{%s,"Operations":[{"op":"replace","path":"userName","value":"%c-went-%d-%d@banksia.example"}]}`, patchURN, 'z'-i%26, n, i))
					if i%2 == 0 {
						send("DELETE", "/Users/"+id[1], "")
					}
				}
			}
		})
	}
	for _, order := range []string{"", "&sortBy=userName", "&sortBy=userName&sortOrder=descending", "&sortBy=id", "&filter=externalId+pr"} {
		for id := range stays {
			stays[id] = 0
		}
		const mostPages = 2000
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			if pages > mostPages {
				t.Fatalf("%s: the walk has no end", order)
			}
			status, page := send("GET", "/Users?count=7&attributes=id&cursor="+cursor+order, "")
			if status != 200 {
				t.Fatalf("%s: %d %s", order, status, page)
			}
			for _, m := range made.FindAllStringSubmatch(page, -1) {
				if _, isStaying := stays[m[1]]; isStaying {
					stays[m[1]]++
				}
			}
			cursor = ""
			if _, rest, more := strings.Cut(page, `"nextCursor":"`); more {
				cursor, _, _ = strings.Cut(rest, `"`)
			}
		}
		for id, n := range stays {
			if n != 1 {
				t.Errorf("%q: %s was met %d times", order, id, n)
			}
		}
	}
}

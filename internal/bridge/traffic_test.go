package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/recorder"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// witness is the bridge's SCIM front with somebody who hears of every request.
type witness struct {
	*world
	front http.Handler
	last  scim.Observation
	ids   map[string]string // by the name that a conversation gives them
}

func newWitness(t *testing.T) *witness {
	w := &witness{world: newWorld(t), ids: map[string]string{}}
	w.front = scim.New(scim.Config{Gate: w.bridge, PublicURL: "http://127.0.0.1:8443", Now: w.clock.Now,
		Observe: func(_ context.Context, o scim.Observation) { w.last = o }})
	return w
}

// Each file is a conversation: a request, whose resource may get a name, and what is
// recorded of it.
func TestTrafficIsToldAsPeopleReadIt(t *testing.T) {
	files, err := filepath.Glob("testdata/traffic/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no conversations", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWitness(t)
			for i := 0; i+1 < len(archive.Files); i += 2 {
				request, want := archive.Files[i], archive.Files[i+1]
				if got := w.hears(request.Name, string(request.Data)); got != string(want.Data) {
					t.Errorf("%s\n got: %s\nwant: %s", request.Name, got, want.Data)
				}
			}
		})
	}
}

// hears sends a request and gives what is recorded of it.
func (w *witness) hears(line, body string) string {
	line, name, _ := strings.Cut(line, " as ")
	method, path, _ := strings.Cut(line, " ")
	for name, id := range w.ids {
		path, body = strings.ReplaceAll(path, "$"+name, id), strings.ReplaceAll(body, "$"+name, id)
	}
	r := httptest.NewRequest(method, "/scim/v2/banksia-entra/"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
	r.Header.Set("Content-Type", "application/scim+json")
	rec := httptest.NewRecorder()
	w.front.ServeHTTP(rec, r)
	var made struct{ ID string }
	if json.Unmarshal(rec.Body.Bytes(), &made) == nil && name != "" {
		w.ids[name] = made.ID
	}
	return w.shown(w.last.Traffic.Record())
}

func (w *witness) shown(r traffic.Record) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintln(&b, name, value)
		}
	}
	line("status", fmt.Sprint(r.Status))
	line("item", r.Item)
	line("query", strings.Join(r.Query, " "))
	line("asked", r.Asked)
	line("operations", strings.Join(r.Operations, "\n  "))
	line("effect", r.Effect)
	line("refusal", r.Refusal)
	line("leniencies", strings.Join(r.Leniencies, "\n  "))
	text := b.String()
	for name, id := range w.ids {
		text = strings.ReplaceAll(text, id, "$"+name)
	}
	return anID.ReplaceAllString(text, "${1}_…")
}

var anID = regexp.MustCompile(`(per|grp)_[0-9a-z]{20,}`)

// A change of more members than one transaction decides is told like a small one.
func TestALargeChangeIsToldAsPeopleReadIt(t *testing.T) {
	w := newWitness(t)
	ids := w.people(banksia, 2500)
	group := w.group(banksia, "Everyone")
	rule := w.group(banksia, "GL Geelong Managers")
	const anew = "; access is decided anew in the background, and refused until then"
	for _, step := range []struct{ method, group, body, want string }{
		{"PATCH", group, memberOp("add", ids[:2400]), "added 2400 members to Everyone"},
		{"PATCH", group, memberOp("add", ids[:2400]), "group Everyone unchanged"},
		{"PATCH", group, memberOp("remove", ids[:300]), "removed 300 members from Everyone"},
		{"PATCH", group, memberOp("replace", ids[2395:]), "added 100 members to Everyone and removed 2095 members"},
		{"PATCH", rule, memberOp("add", ids[:201]), "added 201 members to GL Geelong Managers" + anew},
		{"DELETE", rule, "", "group GL Geelong Managers deleted; removed 201 members from GL Geelong Managers" + anew},
	} {
		w.hears(step.method+" Groups/"+step.group, step.body)
		if got := w.last.Traffic.Record().Effect; got != step.want {
			t.Errorf("%s: status %d\n got %s\nwant %s", step.method, w.last.Status, got, step.want)
		}
	}
}

// Whoever reads the log is not told that the service failed when its client went away.
func TestAClientThatHungUpIsToldApart(t *testing.T) {
	w := newWitness(t)
	ctx, hangUp := context.WithCancel(w.ctx)
	hangUp()
	r := httptest.NewRequest("POST", "/scim/v2/banksia-entra/Users", strings.NewReader(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@banksia.example"}`)).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
	r.Header.Set("Content-Type", "application/scim+json")
	w.front.ServeHTTP(httptest.NewRecorder(), r)
	if got := w.last.Traffic.Record().Refusal; w.last.Status != http.StatusServiceUnavailable || got != "The client hung up before it was answered." {
		t.Errorf("status %d, refusal %q", w.last.Status, got)
	}
}

// logged is the bridge with a recorder behind its front.
func logged(t *testing.T, keep int) (*witness, *recorder.Recorder) {
	w := newWitness(t)
	r := recorder.New(recorder.Config{Store: w.store, Marks: w.ring.MarkKey(), Keep: keep, Now: w.clock.Now})
	w.front = scim.New(scim.Config{Gate: w.bridge, PublicURL: "http://127.0.0.1:8443", Now: w.clock.Now,
		Observe: func(_ context.Context, o scim.Observation) { w.last = o; r.Observe(o, "REF") }})
	return w, r
}

func (w *witness) asked(q bridge.TrafficQuery) []string {
	w.t.Helper()
	if q.Limit == 0 {
		q.Limit = 50
	}
	entries, err := w.bridge.Traffic(w.ctx, q)
	if err != nil {
		w.t.Fatal(err)
	}
	said := []string{}
	for _, e := range entries {
		said = append(said, e.Asked)
	}
	return said
}

func TestAPersonsTrafficIsFoundByTheNameThatTheyGoBy(t *testing.T) {
	w, r := logged(t, 100)
	kim := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@banksia.example","emails":[{"value":"Kim.Ng@banksia.example","type":"work"}]}`
	w.hears("GET Users?filter=userName%20eq%20%22Kim@banksia.example%22", "")
	w.hears("POST Users as kim", kim)
	w.hears("POST Users", kim) // refused: it is there
	w.hears("POST Groups as team", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"GL Geelong Managers","members":[{"value":"$kim"}]}`)
	w.hears("POST Users as lee", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"lee@banksia.example"}`)
	r.Flush(w.ctx)
	const named = "[create a group with 1 member create a user create a user find users where userName eq [text, 19 characters]]"
	const touched = "[create a group with 1 member create a user]" // only the userName leaves a mark where nobody was found
	for who, want := range map[string]string{"kim@banksia.example": named, "KIM@banksia.example": named, w.ids["kim"]: touched, "kim.ng@banksia.example": touched} {
		if got := fmt.Sprint(w.asked(bridge.TrafficQuery{Person: who})); got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
	if got := w.asked(bridge.TrafficQuery{Person: "kim@banksia.example", Failed: true}); len(got) != 1 {
		t.Errorf("refused: %v", got)
	}
	if got := w.asked(bridge.TrafficQuery{Person: "kim@banksia.example", Connection: tundra}); len(got) != 0 {
		t.Errorf("in another connection: %v", got)
	}
	for what, q := range map[string]bridge.TrafficQuery{"a person": {Person: "nobody@banksia.example", Limit: 1}, "a connection": {Connection: "nowhere", Limit: 1}} {
		if _, err := w.bridge.Traffic(w.ctx, q); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s that is not there: %v", what, err)
		}
	}
}

func TestADeletedPersonIsNotNamedByTheLog(t *testing.T) {
	w, r := logged(t, 100)
	w.hears("POST Users as kim", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@banksia.example","displayName":"Kim Ng"}`)
	r.Flush(w.ctx)
	w.hears("PATCH Users/$kim", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"Kim Nguyen"}]}`)
	w.hears("DELETE Users/$kim", "")
	r.Flush(w.ctx)
	if _, err := w.bridge.Traffic(w.ctx, bridge.TrafficQuery{Person: "kim@banksia.example", Limit: 10}); !fault.Is(err, fault.NotFound) {
		t.Errorf("by the name is found something: %v", err)
	}
	entries, err := w.bridge.Traffic(w.ctx, bridge.TrafficQuery{Person: w.ids["kim"], Limit: 10})
	if err != nil || len(entries) != 3 || entries[0].Person == nil || entries[0].Person.UserName != "" {
		t.Fatalf("by the id: %+v (%v)", entries, err)
	}
	whole, err := w.bridge.TrafficEntry(w.ctx, entries[0].ID)
	if err != nil || !strings.HasPrefix(whole.Effect, "user deleted") {
		t.Errorf("the deletion is told as %+v (%v)", whole, err)
	}
	err = w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(banksia)
		if err != nil {
			return err
		}
		rows, err := dir.Traffic(store.TrafficQuery{Limit: 100})
		for _, row := range rows {
			if text := strings.ToLower(fmt.Sprintf("%s %v", row.Body, row)); strings.Contains(text, "kim") || len(row.Marks) > 0 {
				t.Errorf("kept is %s", text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheLogIsReadPageByPageAndFollowed(t *testing.T) {
	w, r := logged(t, 100)
	for i := range 7 {
		w.hears("POST Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"p%d@banksia.example"}`, i))
		r.Flush(w.ctx)
	}
	first, err := w.bridge.Traffic(w.ctx, bridge.TrafficQuery{Limit: 4})
	if err != nil || len(first) != 4 {
		t.Fatal(first, err)
	}
	rest, err := w.bridge.Traffic(w.ctx, bridge.TrafficQuery{Limit: 4, Before: first[3].ID})
	if err != nil || len(rest) != 3 || rest[0].ID >= first[3].ID {
		t.Errorf("the rest is %+v (%v)", rest, err)
	}
	behind, err := w.bridge.Traffic(w.ctx, bridge.TrafficQuery{Limit: 2, After: rest[2].ID})
	if err != nil || len(behind) != 2 || behind[0].ID != rest[1].ID || behind[1].ID != rest[0].ID {
		t.Errorf("behind the oldest come %+v (%v)", behind, err)
	}
	if _, err := w.bridge.TrafficEntry(w.ctx, first[0].ID+1); !fault.Is(err, fault.NotFound) {
		t.Errorf("a request that is not kept: %v", err)
	}
	if _, err := w.bridge.Traffic(w.ctx, bridge.TrafficQuery{Limit: bridge.MaxTraffic + 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("too large a page: %v", err)
	}
}

package bridge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
)

// operation is one operation of a bulk as it is sent.
type operation struct {
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	BulkID  string          `json:"bulkId,omitempty"`
	Version string          `json:"version,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// outcome is what is told of an operation, in a bulk or alone.
type outcome struct {
	Status   string
	Version  string
	Location string
	Response string
}

func bulkBody(operations ...operation) string {
	list, _ := json.Marshal(operations)
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":` + string(list) + `}`
}

// bulk sends operations in one request.
func (w *world) bulk(c access.ConnectionID, operations ...operation) []outcome {
	w.t.Helper()
	var all []outcome
	for _, o := range w.must(200, c, "POST", "/Bulk", bulkBody(operations...))["Operations"].([]any) {
		o := o.(map[string]any)
		out := outcome{Status: o["status"].(string)}
		out.Version, _ = o["version"].(string)
		out.Location, _ = o["location"].(string)
		if refusal, refused := o["response"]; refused {
			text, _ := json.Marshal(refusal)
			out.Response = string(text)
		}
		all = append(all, out)
	}
	return all
}

// bulked is bulk of operations that must all succeed.
func (w *world) bulked(c access.ConnectionID, operations ...operation) []outcome {
	w.t.Helper()
	all := w.bulk(c, operations...)
	for i, o := range all {
		if o.Status[0] != '2' || len(all) != len(operations) {
			w.t.Fatalf("operation %d of %d ended in %+v", i, len(operations), o)
		}
	}
	return all
}

// alone sends an operation as a request of its own, with the ids that came of others.
func (w *world) alone(c access.ConnectionID, op operation, ids map[string]string) outcome {
	w.t.Helper()
	put := reference.ReplaceAllStringFunc
	known := func(ref string) string { return ids[strings.TrimPrefix(ref, "bulkId:")] }
	r := httptest.NewRequest(op.Method, "/scim/v2/"+string(c)+put(op.Path, known), strings.NewReader(put(string(op.Data), known)))
	r.Header.Set("Authorization", "Bearer "+w.tokens[c])
	r.Header.Set("Content-Type", "application/scim+json")
	if op.Version != "" {
		r.Header.Set("If-Match", op.Version)
	}
	rec := httptest.NewRecorder()
	w.scim.ServeHTTP(rec, r)
	out := outcome{Status: fmt.Sprint(rec.Code), Version: rec.Header().Get("ETag"), Location: rec.Header().Get("Location")}
	if op.Method != "POST" {
		out.Location = "http://127.0.0.1:8443/scim/v2/" + string(c) + put(op.Path, known)
	}
	if rec.Code >= 400 {
		var refusal any
		if err := json.Unmarshal(rec.Body.Bytes(), &refusal); err != nil {
			w.t.Fatal(err)
		}
		text, _ := json.Marshal(refusal)
		out.Response = string(text)
	}
	return out
}

var (
	reference = regexp.MustCompile(`bulkId:[a-z0-9]+`)
	anyID     = regexp.MustCompile(`\b(per|grp|asg)_[0-9a-z]{26}\b`)
)

// nameless puts numbers in the place of ids, in the order in which they appear.
func nameless(text string) string {
	numbers := map[string]string{}
	return anyID.ReplaceAllStringFunc(text, func(id string) string {
		if numbers[id] == "" {
			numbers[id] = fmt.Sprint(id[:4], len(numbers))
		}
		return numbers[id]
	})
}

// everything is all that a connection's provider can read, and all that was recorded.
func (w *world) everything(c access.ConnectionID) string {
	w.t.Helper()
	var all strings.Builder
	for _, path := range []string{"/Users?count=200", "/Groups?count=200"} {
		text, _ := json.Marshal(w.must(200, c, "GET", path, ""))
		all.Write(append(text, '\n'))
	}
	if err := w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Outbox(0, 1<<20)
		for _, r := range rows {
			if r.Connection == c {
				fmt.Fprintf(&all, "%s\n", r.Body)
			}
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return all.String()
}

// chance makes operations on few people and groups, so that they meet: names are
// taken, ids gone, versions old.
type chance struct {
	*rand.Rand
	made map[string][]string // by path: bulkIds of what exists or existed
	n    int
}

func (r *chance) pick(words ...string) string {
	if len(words) == 0 {
		return "x"
	}
	return words[r.IntN(len(words))]
}

func (r *chance) ops(ops string) json.RawMessage {
	return json.RawMessage(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}`)
}

func (r *chance) user() json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"person%d@banksia.example","externalId":"oid-%d","active":%s,
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"%s"}}}`, r.IntN(40), r.IntN(40), r.pick("true", `"False"`, "true"), r.someone()))
}

func (r *chance) someone() string {
	if len(r.made["/Users"]) == 0 {
		return "nobody"
	}
	return "bulkId:" + r.pick(r.made["/Users"]...)
}

func (r *chance) members() string {
	return fmt.Sprintf(`[{"value":%q},{"value":%q}]`, r.someone(), r.someone())
}

func (r *chance) group() json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":%s}`,
		r.pick("GL Geelong Managers", "GL Adelaide Managers", "Others", fmt.Sprint("Others ", r.n)), r.members()))
}

func (r *chance) next() operation {
	r.n++
	fresh := fmt.Sprint("b", r.n)
	if r.IntN(3) == 0 || r.n < 10 || len(r.made) < 2 {
		if r.IntN(3) == 0 {
			return operation{Method: "POST", Path: "/Groups", BulkID: fresh, Data: r.group()}
		}
		return operation{Method: "POST", Path: "/Users", BulkID: fresh, Data: r.user()}
	}
	kind := r.pick("/Users", "/Groups")
	op := operation{Method: r.pick("PUT", "PATCH", "PATCH", "PATCH", "PATCH", "PATCH", "PATCH", "DELETE"), Path: kind + "/bulkId:" + r.pick(r.made[kind]...)}
	if r.IntN(20) == 0 { // the other kind's id
		op.Path = kind + "/" + r.someone()
	}
	if r.IntN(6) == 0 {
		op.Version = fmt.Sprintf(`W/"%d"`, 1+r.IntN(3))
	}
	switch {
	case op.Method == "PUT" && kind == "/Users":
		op.Data = r.user()
	case op.Method == "PUT":
		op.Data = r.group()
	case op.Method == "PATCH" && kind == "/Users":
		op.Data = r.ops(r.pick(`{"op":"Replace","path":"active","value":"False"}`, `{"op":"replace","value":{"active":true}}`,
			`{"op":"add","path":"title","value":"Driver"}`, `{"op":"remove","path":"userName"}`, `{"op":"remove"}`))
	case op.Method == "PATCH":
		op.Data = r.ops(r.pick(`{"op":"add","path":"members","value":`+r.members()+`}`, `{"op":"remove","path":"members[value eq \"`+r.someone()+`\"]"}`,
			`{"op":"replace","path":"members","value":`+r.members()+`}`, `{"op":"replace","path":"displayName","value":"GL Geelong Managers"}`,
			`{"op":"replace","path":"displayName","value":"`+fresh+`"},{"op":"replace","path":"members","value":[{"value":"per_nobody"}]}`))
	}
	return op
}

// TestAnOperationMeansTheSameInABulk: hundreds of operations, sent one by one and as
// one bulk, get the same answers, leave the same people, groups and memberships, and
// the same audit trail.
func TestAnOperationMeansTheSameInABulk(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		one, other := newWorld(t), newWorld(t)
		r := &chance{Rand: rand.New(rand.NewPCG(seed, 5)), made: map[string][]string{}}
		ids := map[string]string{}
		var sent []operation
		var want []outcome
		good := 0
		for range 400 {
			op := r.next()
			out := one.alone(banksia, op, ids)
			if out.Status[0] == '2' {
				good++
			}
			if out.Status == "201" {
				ids[op.BulkID] = out.Location[strings.LastIndexByte(out.Location, '/')+1:]
				r.made[op.Path] = append(r.made[op.Path], op.BulkID)
			}
			sent, want = append(sent, op), append(want, out)
		}
		got := other.bulk(banksia, sent...)
		if good < 100 || good > 380 || len(got) != len(want) {
			t.Fatalf("%d of %d operations are answered, %d of them succeed: this proves little", len(got), len(want), good)
		}
		gotText, wantText := strings.Split(nameless(fmt.Sprintf("%+v", got)), "} {"), strings.Split(nameless(fmt.Sprintf("%+v", want)), "} {")
		for i := range wantText {
			if gotText[i] != wantText[i] {
				t.Fatalf("seed %d, operation %d, %s %s %s:\nin a bulk %s\nalone     %s", seed, i, sent[i].Method, sent[i].Path, sent[i].Data, gotText[i], wantText[i])
			}
		}
		gotAll, wantAll := strings.Split(nameless(other.everything(banksia)), "\n"), strings.Split(nameless(one.everything(banksia)), "\n")
		if !slices.Equal(gotAll, wantAll) {
			for i := range min(len(gotAll), len(wantAll)) {
				if gotAll[i] != wantAll[i] {
					t.Fatalf("seed %d:\nafter a bulk     %s\nafter single ones %s", seed, gotAll[i], wantAll[i])
				}
			}
			t.Fatalf("seed %d: %d and %d things are recorded", seed, len(gotAll), len(wantAll))
		}
	}
}

// TestABulkTellsWhoIsThereByTheTimeItIsAnswered: forward references and circles reach
// the database, and rules see the members.
func TestABulkTellsWhoIsThereByTheTimeItIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := func(id, manager string) operation {
		return operation{Method: "POST", Path: "/Users", BulkID: id, Data: json.RawMessage(fmt.Sprintf(`{"userName":"%s@banksia.example","externalId":"oid-%s",
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:%s"}}}`, id, id, manager))}
	}
	made := w.bulked(banksia, operation{Method: "POST", Path: "/Groups", BulkID: "g", Data: json.RawMessage(`{"displayName":"GL Geelong Managers","members":[{"value":"bulkId:sam"}]}`)},
		user("sam", "robin"), user("robin", "sam"))
	if got := w.holds("sam@banksia.example"); !slices.Equal(got, []string{"primary standard @ southern/banksia/geelong"}) {
		t.Errorf("sam holds %v", got)
	}
	id := func(i int) string { return anyID.FindString(made[i].Location) }
	for person, manager := range map[string]string{id(1): id(2), id(2): id(1)} {
		got := w.must(200, banksia, "GET", "/Users/"+person+"?attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "")
		if !strings.Contains(fmt.Sprint(got), manager) {
			t.Errorf("%s is managed by %v, want %s", person, got, manager)
		}
	}
}

// TestACircleThatFailsLeavesNothing: no person, no count, no audit row.
func TestACircleThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "sam@banksia.example", "oid-sam")
	before := w.everything(banksia)
	user := func(id, name, manager string) operation {
		return operation{Method: "POST", Path: "/Users", BulkID: id, Data: json.RawMessage(fmt.Sprintf(`{"userName":%q,
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:%s"}}}`, name, manager))}
	}
	got := w.bulk(banksia, user("a", "new@banksia.example", "b"), user("b", "SAM@banksia.example", "a"))
	if got[0].Status != "409" || got[1].Status != "409" {
		t.Errorf("answered %v", got)
	}
	if after := w.everything(banksia); after != before {
		t.Errorf("from\n%s\nto\n%s", before, after)
	}
}

// TestRefreshFamiliesAreTidiedAfterTheCommit: what lives outside the transaction is
// told of the sessions that a bulk ended, once it is true.
func TestRefreshFamiliesAreTidiedAfterTheCommit(t *testing.T) {
	t.Parallel()
	var s steps
	w := newWorld(t, stepping(&s))
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	w.session(banksia, "oid-sam")
	var seen []string
	s.reach = func(kind, what string) error {
		if kind == stepBoundary || kind == stepHot {
			seen = append(seen, what)
		}
		return nil
	}
	w.bulked(banksia, operation{Method: "DELETE", Path: "/Users/" + sam})
	s.reach = nil
	if want := []string{"before update", "after update", "EndSession"}; !slices.Equal(seen, want) {
		t.Errorf("the steps are %q, want %q", seen, want)
	}
}

// TestWhatIsUndoneTogetherEndsNothing: changes that were undone with others leave
// sessions and refresh families alone, also those that live outside the transaction.
func TestWhatIsUndoneTogetherEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	held := w.session(banksia, "oid-sam")
	dir, err := w.bridge.Open(w.ctx, scim.Caller{Connection: banksia, Bearer: w.tokens[banksia]})
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	undone := func(d scim.Directory) error {
		if _, err := d.Users.Delete(w.ctx, sam, scim.Match{}); err != nil {
			t.Error(err)
		}
		return refused
	}
	if err := dir.Together(w.ctx, undone); err == nil {
		t.Error("a refusal is kept")
	}
	if err := dir.Together(w.ctx, func(d scim.Directory) error {
		if err := d.Together(w.ctx, undone); err == nil {
			t.Error("a refusal among others is kept")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if b, a, r := w.alive(held); !b || !a || !r {
		t.Errorf("browser %t, access token %t, refresh token %t are accepted; all must be", b, a, r)
	}
}

// BenchmarkCreateThousand provisions 1,000 people over HTTP: by one bulk, and by as
// many requests, one after the other and sixteen at a time. An iteration is all of them.
func BenchmarkCreateThousand(b *testing.B) {
	b.Run("bulk", func(b *testing.B) {
		p := newProvider(b)
		for b.Loop() {
			operations := make([]operation, 1000)
			for i := range operations {
				operations[i] = operation{Method: "POST", Path: "/Users", BulkID: fmt.Sprint(i), Data: p.somebody()}
			}
			p.post("/Bulk", bulkBody(operations...), 200)
		}
	})
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("requests-%d-at-a-time", clients), func(b *testing.B) {
			p := newProvider(b)
			for b.Loop() {
				var all sync.WaitGroup
				var left atomic.Int64
				left.Store(1000)
				for range clients {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							p.post("/Users", string(p.somebody()), 201)
						}
					})
				}
				all.Wait()
			}
		})
	}
}

// provider sends over loopback, as an identity provider does.
type provider struct {
	b      *testing.B
	w      *world
	server *httptest.Server
	people atomic.Int64
}

func newProvider(b *testing.B) *provider {
	w := newWorld(b)
	p := &provider{b: b, w: w, server: httptest.NewServer(w.scim)}
	b.Cleanup(p.server.Close)
	p.server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 16
	return p
}

func (p *provider) somebody() json.RawMessage {
	i := p.people.Add(1)
	return json.RawMessage(fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"bench-%d","userName":"bench-%d@banksia.example","active":true,
		"displayName":"Bench Person %d","name":{"givenName":"Bench","familyName":"Person"},"emails":[{"primary":true,"type":"work","value":"bench-%d@banksia.example"}]}`, i, i, i, i))
}

func (p *provider) post(path, body string, status int) {
	req, err := http.NewRequestWithContext(p.w.ctx, "POST", p.server.URL+"/scim/v2/"+banksia+path, strings.NewReader(body))
	if err != nil {
		p.b.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+p.w.tokens[banksia])
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := p.server.Client().Do(req)
	if err != nil {
		p.b.Error(err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || strings.Contains(string(answer), `"response"`) {
		p.b.Error(resp.StatusCode, string(answer), err)
	}
}

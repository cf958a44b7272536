//go:build lanes

package torture

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history"
)

// What one customer is answered does not depend on what others do (I-7): one script is sent
// while nobody else is there, and again in the middle of everybody else; its answers are the
// same, but for ids and instants. At its end nothing is left of what it made.
func TestACustomerIsAnsweredTheSameWhateverOthersDo(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRun(t)
	defer r.end()
	quiet := w.script(t)
	r.everybody(0)
	r.goes("sign in", 5, patience)
	for range pick(3, 20) {
		if found := history.Diverge(quiet, w.script(t)); found != "" {
			t.Errorf("I-7: beside others, and first alone:\n%s", found)
		}
	}
	r.end()
	r.rec.judge(t, strict)
	w.addsUp(t)
}

// script is the same requests each time, one after the other, at one node after the other.
func (w *world) script(t *testing.T) (answers []string) {
	t.Helper()
	c := w.customers["reefline-okta"]
	var made []string
	n := 0
	send := func(method, path, body string) string {
		d := w.nodes[n%len(w.nodes)]
		n++
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, w.issuer+"/scim/v2/"+c.id+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
		req.Header.Set("Content-Type", "application/scim+json")
		res, err := d.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // read to its end
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, fmt.Sprintf("%s %s: %d %s", method, path, res.StatusCode, b))
		_, id, _ := strings.Cut(string(b), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		return id
	}
	for i := range 4 {
		made = append(made, "/Users/"+send("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"p%03d@banksia.example","externalId":"banksia-entra-%03d","active":true}`, i, i)))
	}
	grp := "/Groups/" + send("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"GL geelong","externalId":"grp-GL geelong"}`)
	const op = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`
	for _, u := range made {
		send("PATCH", grp, fmt.Sprintf(op, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, strings.TrimPrefix(u, "/Users/"))))
	}
	send("GET", grp, "")
	send("GET", `/Users?filter=userName+sw+"p0"&count=50`, "")
	send("GET", `/Groups?filter=displayName+eq+"GL+geelong"`, "")
	send("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"P001@banksia.example","active":true}`)
	for i, u := range made {
		send("PATCH", u, fmt.Sprintf(op, fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, i%2 == 0)))
		send("GET", u, "")
	}
	send("GET", "/Users?count=1", "")
	for _, u := range append(made, grp) {
		send("DELETE", u, "")
		send("GET", u, "")
	}
	send("GET", "/Users?count=0", "")
	return answers
}

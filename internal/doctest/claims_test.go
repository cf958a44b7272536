package doctest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

func intConstants(f *ast.File) map[string]int {
	out := map[string]int{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.INT {
			if v, err := strconv.Atoi(lit.Value); err == nil {
				out[spec.Names[0].Name] = v
			}
		}
		return true
	})
	return out
}

// announcement is what the test needs of `drawbridge demo --json`.
type announcement struct {
	Issuer      string `json:"issuer"`
	Connections []struct {
		ID     string   `json:"id"`
		People []string `json:"people"`
	} `json:"connections"`
	Clients []struct {
		ClientID    string `json:"client_id"`
		Secret      string `json:"client_secret"`
		RedirectURI string `json:"redirect_uri"`
	} `json:"clients"`
}

// sample is the claim that docs/applications.md shows.
func sample(t *testing.T) []byte {
	t.Helper()
	text := section(t, "docs/applications.md", "## The claims")
	_, block, found := strings.Cut(text, "```json\n")
	block, _, closed := strings.Cut(block, "```")
	var doc struct {
		Grant json.RawMessage `json:"active_grant"`
	}
	if err := json.Unmarshal([]byte(block), &doc); err != nil || !found || !closed {
		t.Fatalf("the sample claim cannot be read: %v", err)
	}
	return doc.Grant
}

// The sample has exactly the members that tokens have: nothing is lost by reading
// it into the bridge's own type and writing it again.
func TestTheSampleClaimIsWhatTokensCarry(t *testing.T) {
	dec := json.NewDecoder(bytes.NewReader(sample(t)))
	dec.DisallowUnknownFields()
	var g oidc.ActiveGrant
	if err := dec.Decode(&g); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shape(t, again), shape(t, sample(t)); !slices.Equal(got, want) {
		t.Errorf("a token has %v, the page shows %v", got, want)
	}
}

// shape lists the paths of all members.
func shape(t *testing.T, doc []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if m, ok := v.(map[string]any); ok {
			for k, inner := range m {
				out = append(out, path+"."+k)
				walk(path+"."+k, inner)
			}
		}
	}
	walk("", v)
	slices.Sort(out)
	return out
}

// asDiscovered compares the page for applications with a running bridge: its
// endpoints, and the claims of somebody who really signed in.
func (p program) asDiscovered(t *testing.T, a announcement) {
	client := &http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(a.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	var found map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	text := section(t, "docs/applications.md", "## Discovery")
	names, paths := column(text, 0), column(text, 1)
	for i, name := range names {
		if got, want := found[strings.Trim(name, "`")], a.Issuer+strings.Trim(paths[i], "`"); got != want {
			t.Errorf("docs/applications.md: %s is %v, not %s", name, got, want)
		}
	}
	p.asSignedIn(t, a)
}

func (p program) asSignedIn(t *testing.T, a announcement) {
	for _, c := range a.Connections {
		if c.ID != "southern-entra" {
			continue
		}
		app := &oidctest.Client{Issuer: a.Issuer, ClientID: a.Clients[0].ClientID, ClientSecret: secret.New(a.Clients[0].Secret),
			RedirectURI: a.Clients[0].RedirectURI, Connection: c.ID}
		set, err := app.SignIn(t.Context(), c.People[0])
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(set.Claims["active_grant"])
		if err != nil {
			t.Fatal(err)
		}
		if got, want := shape(t, got), shape(t, sample(t)); !slices.Equal(got, want) {
			t.Errorf("a token has %v, the page shows %v", got, want)
		}
		return
	}
	t.Error("the demo has no southern-entra")
}

// The table of OAuth scopes names every workflow, and what opens it is so.
func TestEveryWorkflowIsExplained(t *testing.T) {
	var documented, real []string
	_, table, _ := strings.Cut(section(t, "docs/applications.md", "## Signing in"), "| OAuth scope |")
	for _, cell := range column("| OAuth scope |"+table, 0) {
		documented = append(documented, words(cell)...)
	}
	for _, w := range access.Workflows() {
		real = append(real, string(w))
	}
	differ(t, "docs/applications.md, OAuth scopes", documented, real)
}

// The file that the quickstart shows holds, alone and with the sign-in block that
// it adds later.
func TestTheFileOfTheQuickstartHolds(t *testing.T) {
	var blocks []string
	for _, m := range fence.FindAllStringSubmatch(read(t, "docs/quickstart.md"), -1) {
		if m[1] == "yaml" {
			blocks = append(blocks, m[2])
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("the quickstart has %d blocks of YAML", len(blocks))
	}
	before, rules, found := strings.Cut(blocks[0], "\nrules:")
	if !found {
		t.Fatal("the first block has no rules")
	}
	env := []string{"FLEET_WEB_SECRET=of-the-application", "BANKSIA_CLIENT_SECRET=of-the-connection"}
	for name, text := range map[string]string{"alone": blocks[0], "with sign-in": before + "\n" + blocks[1] + "\nrules:" + rules} {
		cfg, err := config.Parse("quickstart.yaml", []byte(text), env, config.ReadFile)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if signsIn := cfg.Connections[0].SignIn != nil; signsIn != (name != "alone") {
			t.Errorf("%s: signs in: %t", name, signsIn)
		}
	}
}

package doctest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
)

// suitePlan is a test plan of the OpenID Foundation's conformance suite.
type suitePlan struct {
	name    string
	modules []suiteModule
}

// suiteModule is one of its modules, as the tests have it.
type suiteModule struct{ name, asserts, there string }

// testedPlans are the tables of cmd/drawbridge's tests, read from their source: the tests
// themselves run in a lane of their own.
func testedPlans(t *testing.T) []suitePlan {
	t.Helper()
	var plans []suitePlan
	for _, f := range parsed(t, "cmd/drawbridge") {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || len(lit.Elts) < 2 {
				return true
			}
			name, _ := text(lit.Elts[0])
			list, isList := lit.Elts[1].(*ast.CompositeLit)
			if !isList || !strings.HasSuffix(name, "-test-plan") {
				return true
			}
			plans = append(plans, suitePlan{name, modulesOf(t, list)})
			return false
		})
	}
	return plans
}

func modulesOf(t *testing.T, list *ast.CompositeLit) []suiteModule {
	t.Helper()
	var all []suiteModule
	for _, e := range list.Elts {
		m, ok := e.(*ast.CompositeLit)
		if !ok || len(m.Elts) != 4 {
			t.Fatal("a module is a name, what is asserted, what is different in the suite, and a test")
		}
		var said [3]string
		for i := range said {
			if said[i], ok = text(m.Elts[i]); !ok {
				t.Fatalf("module %d of a plan is not written out", len(all))
			}
		}
		all = append(all, suiteModule{said[0], said[1], said[2]})
	}
	return all
}

// text is a string that is written out.
func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// listedPlans are those of testdata/oidc-conformance/modules.txt.
func listedPlans(t *testing.T) []suitePlan {
	t.Helper()
	var plans []suitePlan
	for line := range strings.Lines(read(t, "testdata/oidc-conformance/modules.txt")) {
		name := strings.TrimSpace(line)
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case !strings.HasPrefix(line, " "):
			plans = append(plans, suitePlan{name: name})
		default:
			p := &plans[len(plans)-1]
			p.modules = append(p.modules, suiteModule{name: name})
		}
	}
	return plans
}

// The modules that are listed, those that have a test, and those of the page are the same,
// and the page says of each what its test asserts.
func TestEveryModuleOfTheConformanceSuiteHasItsTest(t *testing.T) {
	tested, listed := testedPlans(t), listedPlans(t)
	counts := map[string]int{"oidcc-basic-certification-test-plan": 38, "oidcc-config-certification-test-plan": 1, "oidcc-rp-initiated-logout-certification-test-plan": 11,
		"oidcc-backchannel-rp-initiated-logout-certification-test-plan": 2, "oidcc-frontchannel-rp-initiated-logout-certification-test-plan": 2, "openid-ssf-transmitter-test-plan": 21, "openid-ssf-transmitter-caep-test-plan": 8}
	if len(listed) != len(counts) {
		t.Errorf("%d plans are listed, there are %d", len(listed), len(counts))
	}
	for _, p := range listed {
		if len(p.modules) != counts[p.name] {
			t.Errorf("%s lists %d modules, the suite has %d", p.name, len(p.modules), counts[p.name])
		}
		at := slices.IndexFunc(tested, func(q suitePlan) bool { return q.name == p.name })
		if at < 0 {
			t.Errorf("%s has no tests", p.name)
			continue
		}
		differ(t, p.name, names(tested[at].modules), names(p.modules))
		documents(t, tested[at])
	}
	if len(tested) != len(listed) {
		t.Errorf("%d plans have tests, %d are listed", len(tested), len(listed))
	}
}

func names(modules []suiteModule) (all []string) {
	for _, m := range modules {
		all = append(all, m.name)
	}
	return all
}

// documents holds the page's table of a plan against the tests.
func documents(t *testing.T, p suitePlan) {
	t.Helper()
	var want strings.Builder
	for _, m := range p.modules {
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", m.name, m.asserts, m.there)
	}
	if got := section(t, "docs/conformance.md", "### `"+p.name+"`"); !strings.Contains(strings.ReplaceAll(got, "|  |", "| |"), strings.ReplaceAll(want.String(), "|  |", "| |")) {
		t.Errorf("docs/conformance.md does not have this table of %s:\n%s", p.name, &want)
	}
}

// What operators are given for the suite holds: the configuration is one that the bridge
// takes, and the suite's own files name its clients.
func TestTheFilesForTheConformanceSuiteFitTogether(t *testing.T) {
	env := []string{"CONFORMANCE_SECRET_1=one", "CONFORMANCE_SECRET_2=two", "CONFORMANCE_SECRET_3=three", "CONFORMANCE_UPSTREAM_SECRET=upstream"}
	cfg, err := config.Parse("drawbridge.yaml", []byte(read(t, "examples/conformance/drawbridge.yaml")), env, config.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	type client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	for _, file := range []string{"oidcc.json", "frontchannel.json", "ssf.json"} {
		var suite struct {
			Alias           string
			Server          struct{ DiscoveryURL string }
			Client, Client2 client
			Post            client `json:"client_secret_post"`
			SSF             struct{ Transmitter struct{ Issuer string } }
		}
		if err := json.Unmarshal([]byte(read(t, "examples/conformance/"+file)), &suite); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if suite.Server.DiscoveryURL != cfg.Server.PublicURL+"/.well-known/openid-configuration" || suite.SSF.Transmitter.Issuer != "" && suite.SSF.Transmitter.Issuer != cfg.Server.PublicURL {
			t.Errorf("%s: the server is %+v %+v", file, suite.Server, suite.SSF)
		}
		for _, c := range []client{suite.Client, suite.Client2, suite.Post} {
			at := slices.IndexFunc(cfg.Clients, func(k config.Client) bool { return string(k.ID) == c.ID })
			if c.ID != "" && (at < 0 || !strings.Contains(cfg.Clients[at].RedirectURIs[0], "/test/a/"+suite.Alias+"/callback") || !cfg.Clients[at].MayOmitPKCE()) {
				t.Errorf("%s: %s is not a client that the suite can be", file, c.ID)
			}
		}
	}
}

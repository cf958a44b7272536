// Package archtest holds the layers as a table and fails when the code and the
// table disagree: an edge that is not listed, a listed edge that is gone, a
// package that nobody has placed. docs/architecture.md draws the same layers.
package archtest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/drawbridge-id/drawbridge/"

// layers lists, for every package, the packages of ours it may import. Upper
// rooms come later in the list; an edge may only point to an earlier one.
var layers = []struct {
	pkg     string
	imports []string
}{
	// L0: words
	{"internal/secret", nil},
	{"internal/fault", nil},
	{"internal/access", nil},
	{"internal/suggest", nil},
	{"internal/jwtclaims", nil},
	{"internal/event", []string{"internal/access"}},
	{"internal/failpoint", nil},
	{"internal/planted", nil},
	// L1: decisions, pure but for credential and rsakey, which handle keys
	{"internal/session", []string{"internal/access", "internal/event", "internal/fault"}},
	{"internal/rsakey/internal/source", nil},
	{"internal/rsakey", []string{"internal/rsakey/internal/source"}},
	{"internal/credential", []string{"internal/access", "internal/fault", "internal/rsakey", "internal/secret", "internal/session"}},
	{"scim/schema", nil},
	{"mapping", []string{"internal/access", "internal/fault", "internal/suggest", "scim/schema"}},
	{"internal/request", []string{"internal/access", "internal/fault", "internal/suggest", "mapping"}},
	{"internal/exception", []string{"internal/access", "internal/request", "mapping"}},
	{"internal/review", []string{"internal/access", "mapping"}},
	{"internal/handover", []string{"internal/access"}},
	{"internal/register", []string{"internal/access", "internal/suggest"}},
	{"internal/lease", nil},
	{"scim/filter", []string{"scim/schema"}},
	{"scim/patch", []string{"scim/filter", "scim/schema"}},
	{"scim/dialect", []string{"scim/schema"}},
	{"scim/traffic", []string{"scim/filter", "scim/patch", "scim/schema"}},
	// L2: contracts and protocol fronts
	{"scim/admission", nil},
	{"internal/store", []string{"internal/access", "internal/credential", "internal/event", "internal/exception", "internal/fault", "internal/lease", "internal/request", "internal/review", "internal/session", "mapping", "scim/admission", "scim/filter", "scim/schema"}},
	{"internal/hot", []string{"internal/access", "internal/credential", "internal/fault", "internal/session"}},
	{"scim", []string{"scim/admission", "scim/dialect", "scim/filter", "scim/patch", "scim/schema", "scim/traffic"}},
	{"scim/scimtest", nil}, // judges any server: nothing of ours
	{"internal/assertion", []string{"internal/fault", "internal/jwtclaims"}},
	{"oidc", []string{"internal/access", "internal/assertion", "internal/credential", "internal/fault", "internal/hot", "internal/secret", "internal/session"}},
	{"oidc/resource", nil}, // protects anyone's API: nothing of ours
	{"oidc/upstream", []string{"internal/access", "internal/assertion", "internal/fault", "internal/jwtclaims", "internal/secret"}},
	{"oidc/authzen", []string{"internal/fault", "oidc"}},
	{"oidc/ssf", []string{"internal/access", "internal/fault", "internal/secret", "oidc"}},
	{"oidc/inbound", []string{"internal/access", "internal/assertion", "internal/fault", "internal/jwtclaims", "internal/secret", "oidc/ssf"}},
	// L3: use cases
	{"internal/bridge", []string{"internal/access", "internal/assertion", "internal/credential", "internal/event", "internal/exception", "internal/fault", "internal/hot", "internal/review", "internal/register", "internal/secret", "internal/session", "internal/store", "internal/suggest", "mapping", "oidc", "oidc/authzen", "oidc/inbound", "oidc/ssf", "oidc/upstream", "scim", "scim/admission", "scim/dialect", "scim/patch", "scim/schema", "scim/traffic"}},
	{"internal/steward", []string{"internal/access", "internal/bridge", "internal/credential", "internal/event", "internal/exception", "internal/fault", "internal/handover", "internal/register", "internal/request", "internal/review", "internal/store", "mapping"}},
	// L4: engines
	{"internal/sqlitedb", []string{"internal/fault"}},
	{"internal/store/sqlite", []string{"internal/access", "internal/fault", "internal/sqlitedb", "internal/store"}},
	{"internal/store/postgres", []string{"internal/access", "internal/fault", "internal/store", "scim/schema"}},
	{"internal/hot/embedded", []string{"internal/access", "internal/credential", "internal/fault", "internal/hot", "internal/session", "internal/sqlitedb"}},
	{"internal/hot/redis", []string{"internal/access", "internal/credential", "internal/fault", "internal/hot", "internal/secret", "internal/session"}},
	{"internal/keys", []string{"internal/credential", "internal/event", "internal/fault", "internal/store"}},
	{"internal/egress", []string{"internal/fault"}},
	{"internal/outbox", []string{"internal/event", "internal/fault", "internal/store"}},
	{"internal/deliver", []string{"internal/access", "internal/bridge", "internal/credential", "internal/event", "internal/fault", "internal/session", "internal/store", "internal/suggest", "oidc", "oidc/ssf"}},
	{"internal/recorder", []string{"internal/access", "internal/credential", "internal/fault", "internal/store", "scim", "scim/traffic"}},
	{"internal/audit", []string{"internal/access", "internal/event", "internal/fault", "internal/store"}},
	{"internal/cluster", []string{"internal/credential", "internal/fault", "internal/hot", "internal/lease", "internal/store"}},
	{"internal/dump", []string{"internal/access", "internal/audit", "internal/fault", "internal/store"}},
	// L5: files, sockets, pages
	{"docs", nil},
	{"config", []string{"docs", "internal/access", "internal/assertion", "internal/credential", "internal/event", "internal/fault", "internal/hot/redis", "internal/secret", "internal/store/postgres", "internal/suggest", "mapping", "oidc", "oidc/inbound", "oidc/upstream", "scim/dialect", "scim/schema"}},
	{"internal/httpserver", []string{"internal/access", "internal/fault", "internal/secret", "scim/admission"}},
	{"internal/api", []string{"internal/access", "internal/bridge", "internal/credential", "internal/exception", "internal/fault", "internal/keys", "internal/register", "internal/request", "internal/session", "internal/steward", "internal/store", "mapping", "oidc", "scim/admission", "scim/dialect"}},
	{"internal/console", []string{"internal/access", "internal/credential", "internal/fault", "internal/hot", "internal/secret", "internal/session", "oidc", "oidc/upstream"}},
	{"internal/idp", []string{"internal/secret"}},
	{"internal/drive", []string{"internal/idp", "internal/secret"}},
	{"oidc/oidctest", []string{"internal/idp", "internal/rsakey", "internal/secret"}},
	{"internal/demo/fleetweb", nil}, // could be anyone's application: nothing of ours
	{"examples", nil},
	{"internal/demo", []string{"internal/demo/fleetweb", "internal/secret", "oidc/oidctest"}},
	{"cmd/bridgebench", []string{"internal/hot", "internal/secret", "oidc/oidctest"}},
}

// everywhere are packages that every other may import, for they are nothing in a program
// that people run: without a build tag, their functions are constants.
var everywhere = []string{"internal/failpoint", "internal/planted"}

// suites are contract suites and test helpers: only tests import them.
var suites = []string{"internal/rsakey/rsakeytest", "internal/store/storetest", "internal/hot/hottest", "internal/history", "internal/history/models", "internal/lanes", "internal/protocol"}

// pure packages take the instant as an argument and reach for nothing.
var pure = []string{"internal/access", "internal/suggest", "internal/jwtclaims", "internal/event", "internal/planted", "internal/fault", "internal/session", "mapping", "internal/request", "internal/review", "internal/exception", "internal/handover", "internal/register", "internal/history", "internal/lease", "scim/schema", "scim/filter", "scim/patch", "scim/dialect", "scim/traffic"}

type listed struct {
	ImportPath string
	Name       string
	Imports    []string
	GoFiles    []string
	Dir        string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Imports,GoFiles,Dir", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "cmd/drawbridge" || slices.Contains(suites, name) || len(p.GoFiles) == 0 {
			continue
		}
		seen[name] = true
		at := slices.IndexFunc(layers, func(l struct {
			pkg     string
			imports []string
		}) bool {
			return l.pkg == name
		})
		if at < 0 {
			t.Errorf("%s has no place in the layers: put it where it belongs", name)
			continue
		}
		for _, imp := range p.Imports {
			ours, isOurs := strings.CutPrefix(imp, module)
			if isOurs && !slices.Contains(layers[at].imports, ours) && !slices.Contains(everywhere, ours) {
				t.Errorf("%s imports %s, which its line in the layers does not allow", name, ours)
			}
		}
		for _, want := range layers[at].imports {
			if !slices.Contains(p.Imports, module+want) {
				t.Errorf("%s no longer imports %s: take the edge off its line", name, want)
			}
		}
	}
	for i, l := range layers {
		if !seen[l.pkg] {
			t.Errorf("%s stands in the layers but does not exist", l.pkg)
		}
		for _, imp := range l.imports {
			if !slices.ContainsFunc(layers[:i], func(below struct {
				pkg     string
				imports []string
			}) bool {
				return below.pkg == imp
			}) {
				t.Errorf("%s may import %s, which does not lie below it", l.pkg, imp)
			}
		}
	}
}

// No program may link what is made for tests: the keys of rsakeytest are public.
func TestOnlyTestsImportWhatIsMadeForTests(t *testing.T) {
	for _, p := range list(t) {
		if slices.Contains(suites, strings.TrimPrefix(p.ImportPath, module)) {
			continue
		}
		for _, imp := range p.Imports {
			if imp == "testing" || slices.Contains(suites, strings.TrimPrefix(imp, module)) {
				t.Errorf("%s imports %s outside its tests", p.ImportPath, imp)
			}
		}
	}
}

func TestPurePackagesReachForNothing(t *testing.T) {
	forbidden := []string{"context", "os", "net", "net/http", "io/fs", "sync", "sync/atomic", "database/sql", "math/rand", "math/rand/v2", "crypto/rand"}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if !slices.Contains(pure, name) {
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(forbidden, imp) {
				t.Errorf("%s is pure but imports %s", name, imp)
			}
		}
		for _, f := range p.GoFiles {
			src, err := readFile(p.Dir, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"time.Now(", "time.Since(", "time.Until(", "\tgo func", "go func("} {
				if strings.Contains(src, bad) {
					t.Errorf("%s/%s is pure but says %q", name, f, bad)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		said := false
		for _, f := range p.GoFiles {
			src, err := readFile(p.Dir, f)
			if err != nil {
				t.Fatal(err)
			}
			said = said || strings.Contains("\n"+src, "\n// Package "+p.Name+" ") || strings.Contains("\n"+src, "\n// Command ")
		}
		if !said {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// smallParsers read a word out of few, or are what others that are fuzzed consist of.
var smallParsers = []string{"scim/schema.ParseBool", "scim/scimtest.ParseSeverity"}

// TestEveryParserIsFuzzed: a package that reads what strangers send has a fuzz target,
// and what is called Parse, Decode or Compile and takes text is called by one.
func TestEveryParserIsFuzzed(t *testing.T) {
	readers := []string{"scim", "scim/schema", "scim/filter", "scim/patch", "scim/scimtest", "scim/traffic", "mapping", "config", "oidc", "oidc/upstream", "internal/access", "internal/assertion", "internal/credential", "internal/jwtclaims",
		"internal/console", "internal/egress", "internal/httpserver", "internal/idp", "internal/register", "internal/store"}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		targets := fuzzTargets(t, p.Dir)
		if slices.Contains(readers, name) && targets == "" {
			t.Errorf("%s reads what strangers send, but has no fuzz target", name)
		}
		for _, f := range p.GoFiles {
			for _, parser := range parsersIn(t, filepath.Join(p.Dir, f)) {
				small := slices.Contains(smallParsers, name+"."+parser)
				if fuzzed := strings.Contains(targets, parser+"("); fuzzed == small {
					t.Errorf("%s.%s takes text; called by a fuzz target: %t, on the list of those that need not be: %t", name, parser, fuzzed, small)
				}
			}
		}
	}
}

// fuzzTargets are the bodies of all fuzz targets in a folder.
func fuzzTargets(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var bodies strings.Builder
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range bytes.Split(src, []byte("\nfunc Fuzz"))[1:] {
			body, _, _ := bytes.Cut(target, []byte("\n}\n"))
			bodies.Write(body)
		}
	}
	return bodies.String()
}

// parsersIn are the exported functions of a file that are called Parse, Decode or
// Compile and take text.
func parsersIn(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(fn.Name.Name, "Parse") && !strings.HasPrefix(fn.Name.Name, "Decode") && !strings.HasPrefix(fn.Name.Name, "Compile") {
			continue
		}
		if slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool { return isText(p.Type) }) {
			names = append(names, fn.Name.Name)
		}
	}
	return names
}

func isText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "string"
	case *ast.ArrayType:
		of, ok := e.Elt.(*ast.Ident)
		return ok && (of.Name == "byte" || of.Name == "string")
	}
	return false
}

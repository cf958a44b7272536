package doctest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const module = "github.com/drawbridge-id/drawbridge/"

// parsed is the syntax of every file in a folder, tests included, with comments.
func parsed(t *testing.T, folder string) []*ast.File {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no Go files: %v", folder, err)
	}
	var out []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if errors.Is(err, fs.ErrNotExist) {
			continue // moved since it was listed
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func packages(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimPrefix(p.ImportPath, module))
	}
}

func TestTheTableOfPackagesIsWhole(t *testing.T) {
	var documented []string
	for _, cell := range column(section(t, "docs/architecture.md", "## Packages"), 0) {
		documented = append(documented, words(cell)...)
	}
	differ(t, "docs/architecture.md", documented, packages(t))
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.ContainsFunc(parsed(t, p), func(f *ast.File) bool { return f.Doc.Text() != "" }) {
			t.Errorf("%s has no package comment", p)
		}
	}
}

// declared lists the functions and methods of a package: "New", "Server.open".
func declared(t *testing.T, folder string) []string {
	var out []string
	for _, f := range parsed(t, folder) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil && len(fn.Recv.List) == 1 {
				name = receiver(fn.Recv.List[0].Type) + "." + name
			}
			out = append(out, name)
		}
	}
	return out
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

var function = regexp.MustCompile(`^((?:[a-z]+/)*[a-z]+)\.((?:[A-Za-z]+\.)?[A-Za-z]+)$`)

func TestTheWalksNameRealFunctions(t *testing.T) {
	known := packages(t)
	for title, least := range map[string]int{"### A leaver": 12, "### A sign-in": 14, "### A new policy": 20, "### An explanation": 10} {
		named, there := 0, map[string][]string{}
		for _, w := range words(section(t, "docs/architecture.md", title)) {
			m := function.FindStringSubmatch(w)
			if m == nil {
				continue
			}
			named++
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no package %s", title, m[1])
				continue
			}
			if there[m[1]] == nil {
				there[m[1]] = declared(t, m[1])
			}
			if !slices.Contains(there[m[1]], m[2]) {
				t.Errorf("%s: %s declares no %s", title, m[1], m[2])
			}
		}
		if named < least {
			t.Errorf("%s names %d functions: too few to be walked", title, named)
		}
	}
}

func TestTheTableOfErrorsIsWhole(t *testing.T) {
	var documented, kinds []string
	for _, cell := range column(section(t, "docs/architecture.md", "## Errors"), 0) {
		documented = append(documented, words(cell)...)
	}
	for _, k := range fault.Kinds() {
		kinds = append(kinds, k.String())
	}
	differ(t, "docs/architecture.md", documented, kinds)
}

// texts are the string constants of a package that choose selects.
func texts(t *testing.T, folder string, choose func(name string, spec *ast.ValueSpec) bool) []string {
	var out []string
	for _, f := range parsed(t, folder) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || !choose(spec.Names[0].Name, spec) {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, s)
			}
			return true
		})
	}
	return out
}

func ofType(name string) func(string, *ast.ValueSpec) bool {
	return func(_ string, s *ast.ValueSpec) bool {
		id, ok := s.Type.(*ast.Ident)
		return ok && id.Name == name
	}
}

func named(prefixes ...string) func(string, *ast.ValueSpec) bool {
	return func(name string, _ *ast.ValueSpec) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool {
			rest, ok := strings.CutPrefix(name, p)
			return ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z')
		})
	}
}

func TestEveryEventIsExplained(t *testing.T) {
	var documented []string
	for _, cell := range column(section(t, "docs/operations.md", "## Events"), 0) {
		documented = append(documented, words(cell)...)
	}
	differ(t, "docs/operations.md, events", documented, texts(t, "internal/event", ofType("Type")))
}

func TestEveryReasonCodeIsExplained(t *testing.T) {
	var documented []string
	for _, cell := range column(section(t, "docs/operations.md", "## Reason codes"), 0) {
		documented = append(documented, words(cell)...)
	}
	var codes []string
	codes = append(codes, texts(t, "internal/session", named("Reason", "End"))...)
	codes = append(codes, texts(t, "internal/credential", named("Reason"))...)
	codes = append(codes, texts(t, "mapping", ofType("Code"))...)
	codes = append(codes, texts(t, "oidc/upstream", named("Reason"))...)
	codes = append(codes, texts(t, "oidc/inbound", named("reason"))...)
	codes = append(codes, texts(t, "oidc", named("Reason"))...)
	codes = append(codes, texts(t, "internal/console", named("reason"))...)
	codes = append(codes, texts(t, "internal/bridge", named("reason", "Reason"))...)
	codes = append(codes, texts(t, "internal/request", named("Reason"))...)
	codes = append(codes, texts(t, "internal/steward", named("Reason"))...)
	codes = append(codes, texts(t, "internal/api", named("Reason"))...)
	codes = append(codes, texts(t, "internal/store", named("reason", "Reason"))...)
	codes = append(codes, texts(t, "internal/cluster", named("reason", "Reason"))...)
	codes = append(codes, texts(t, "internal/hot", named("reason", "Reason"))...)
	codes = append(codes, inlineCodes(t)...)
	differ(t, "docs/operations.md, reason codes", documented, codes)
}

// inlineCodes are the reasons that are written where they are given.
func inlineCodes(t *testing.T) []string {
	var out, files []string
	given := regexp.MustCompile(`(?:denied\(|\.Because\()"([a-z_]+)"`)
	for _, folder := range []string{"internal/bridge", "internal/store", "internal/store/postgres", "internal/store/sqlite", "internal/cluster", "internal/hot/embedded", "internal/hot/redis"} {
		found, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range given.FindAllSubmatch(b, -1) {
			if code := string(m[1]); !strings.HasPrefix(code, "invalid_") { // OAuth's own words
				out = append(out, code)
			}
		}
	}
	return out
}

func TestEveryMetricIsExplained(t *testing.T) {
	var documented, real []string
	for _, cell := range column(section(t, "docs/operations.md", "## Metrics"), 0) {
		documented = append(documented, words(cell)...)
	}
	name := regexp.MustCompile(`Name: "(drawbridge_[a-z_]+)"`)
	for _, folder := range []string{"cmd/drawbridge", "internal/httpserver"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range name.FindAllSubmatch(b, -1) {
				real = append(real, string(m[1]))
			}
		}
	}
	differ(t, "docs/operations.md, metrics", documented, real)
}

// Every key that the loader opens a block with stands in the page.
func TestEveryKeyOfTheConfigurationIsExplained(t *testing.T) {
	documented := words(read(t, "docs/configuration.md"))
	keys := map[string]bool{}
	for _, f := range parsed(t, "config") {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "open" && sel.Sel.Name != "openWith" {
				return true
			}
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					keys[strings.Trim(lit.Value, `"`)] = true
				}
			}
			return true
		})
	}
	if len(keys) < 30 {
		t.Fatalf("found %d keys: the loader has changed, and this test must follow", len(keys))
	}
	for k := range keys {
		if !slices.Contains(documented, k) {
			t.Errorf("docs/configuration.md does not explain %s", k)
		}
	}
}

var invariant = regexp.MustCompile(`\[[^\]]+\]\(([^)#]+)#(Test\w+)\)`)

// INVARIANTS.md is only worth something while its tests are there.
func TestEveryInvariantHasItsTests(t *testing.T) {
	text := read(t, "INVARIANTS.md")
	for n := range 30 {
		id := "I-" + strconv.Itoa(n+1)
		row := regexp.MustCompile(`(?m)^\| \*\*` + id + `\*\* \|.*$`).FindString(text)
		if row == "" {
			t.Errorf("%s has no line", id)
			continue
		}
		links := invariant.FindAllStringSubmatch(row, -1)
		if len(links) == 0 {
			t.Errorf("%s has no test", id)
		}
		for _, m := range links {
			if !slices.Contains(declaredIn(t, m[1]), m[2]) {
				t.Errorf("%s: %s has no %s", id, m[1], m[2])
			}
		}
	}
}

// TestEveryPlantedBugIsNamedWithWhatCatchesIt: the bugs in the code, what is run against each
// (testdata/caught.txt) and the table with its score are the same.
func TestEveryPlantedBugIsNamedWithWhatCatchesIt(t *testing.T) {
	planted := column1(regexp.MustCompile(`Name = "([^"]+)"`).FindAllStringSubmatch(read(t, "internal/planted/planted.go"), -1))
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .* \\| \\[(\\w+)\\]\\(([^)#]+)#(\\w+)\\) \\|$").FindAllStringSubmatch(section(t, "INVARIANTS.md", "## Planted bugs"), -1)
	differ(t, "INVARIANTS.md, planted bugs", column1(rows), planted)
	score := fmt.Sprintf("**Caught: %d of %d.**", len(rows), len(planted))
	if len(planted) < 24 || !strings.Contains(read(t, "INVARIANTS.md"), score) {
		t.Errorf("INVARIANTS.md does not say %s", score)
	}
	run := map[string]string{}
	for line := range strings.Lines(read(t, "internal/planted/testdata/caught.txt")) {
		if f := strings.Fields(line); len(f) == 4 {
			run[f[0]] = f[1] + " " + f[2]
		}
	}
	for _, r := range rows {
		if said := path.Dir(r[3]) + " " + r[4]; run[r[1]] != said || r[2] != r[4] {
			t.Errorf("%s: INVARIANTS.md names %s, and %q is run", r[1], said, run[r[1]])
		}
		if !slices.Contains(declaredIn(t, r[3]), r[4]) {
			t.Errorf("%s: %s has no %s", r[1], r[3], r[4])
		}
	}
}

func column1(matches [][]string) (all []string) {
	for _, m := range matches {
		all = append(all, m[1])
	}
	return all
}

var threatTest = regexp.MustCompile(`\[[^\]]+\]\(([^)#]+)#((?:Test|Fuzz)\w+)\)`)

// TestEveryThreatIsNamedByItsTests: the table of threats has every line, and each test that a line links to
// exists and says by its name or above it that it holds that threat.
func TestEveryThreatIsNamedByItsTests(t *testing.T) {
	text := section(t, "INVARIANTS.md", "## Threats")
	for kind, last := range map[string]int{"B": 17, "E": 10, "F": 8} {
		for n := range last {
			id := fmt.Sprintf("T-%s%d", kind, n+1)
			row := regexp.MustCompile(`(?m)^\| \*\*` + id + `\*\* \|.*$`).FindString(text)
			links := threatTest.FindAllStringSubmatch(row, -1)
			if len(links) == 0 {
				t.Errorf("%s has no test", id)
			}
			named := regexp.MustCompile(`(` + id + `|` + strings.ReplaceAll(id, "-", "") + `)(\D|$)`)
			for _, m := range links {
				if said, there := aboutTest(t, m[1], m[2]); !there || !named.MatchString(said) {
					t.Errorf("%s: %s in %s is there: %t; it does not say that it holds %s", id, m[2], m[1], there, id)
				}
			}
		}
	}
}

// aboutTest is a test's name and what stands above it.
func aboutTest(t *testing.T, file, name string) (said string, there bool) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return "", false
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
			return name + "\n" + fn.Doc.Text(), true
		}
	}
	return "", false
}

func declaredIn(t *testing.T, file string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	var out []string
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			out = append(out, fn.Name.Name)
		}
	}
	return out
}

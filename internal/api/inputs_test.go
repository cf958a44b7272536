package api

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNoInputEmbedsWhatIsNotExported: huma leaves the fields of an embedded struct empty
// whose type is not exported, so that a path's id would never arrive.
func TestNoInputEmbedsWhatIsNotExported(t *testing.T) {
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	structs := 0
	ast.Inspect(packages["api"], func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		structs++
		for _, f := range s.Fields.List {
			if name := embedded(f); name != "" && !ast.IsExported(name) {
				t.Errorf("a struct embeds %s: export it, or huma does not fill it", name)
			}
		}
		return true
	})
	if structs < 50 {
		t.Errorf("only %d structs were looked at", structs)
	}
}

// embedded is the name of the type that a field embeds, "" if it has a name of its own.
func embedded(f *ast.Field) string {
	if len(f.Names) > 0 {
		return ""
	}
	at := f.Type
	if star, ok := at.(*ast.StarExpr); ok {
		at = star.X
	}
	switch x := at.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// TestEveryPathParameterIsRead: what a path names in braces is a parameter of its
// operation, which huma describes as it fills it.
func TestEveryPathParameterIsRead(t *testing.T) {
	w := httptest.NewRecorder()
	New(Config{Version: "test"}).ServeHTTP(w, httptest.NewRequest("GET", Prefix+"/openapi.json", nil))
	type operation struct {
		Parameters []struct{ Name, In string }
	}
	var d struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || len(d.Paths) == 0 {
		t.Fatalf("%d paths: %v", len(d.Paths), err)
	}
	named := regexp.MustCompile(`\{(\w+)\}`)
	for path, methods := range d.Paths {
		for method, op := range methods {
			for _, m := range named.FindAllStringSubmatch(path, -1) {
				if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.In == "path" && p.Name == m[1] }) {
					t.Errorf("%s %s does not read {%s}", method, path, m[1])
				}
			}
		}
	}
}

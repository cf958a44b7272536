package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// node is a JSON Schema, as a validator reads it.
type node map[string]any

func ourSchema(t *testing.T) node {
	t.Helper()
	var root node
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func sub(v any) node {
	m, _ := v.(map[string]any)
	return m
}

// forms are the schemas that a value may take: behind $ref, and each of oneOf.
func (root node) forms(n node) []node {
	if ref, ok := n["$ref"].(string); ok {
		return root.forms(sub(sub(root["$defs"])[strings.TrimPrefix(ref, "#/$defs/")]))
	}
	if n["properties"] == nil {
		if all, ok := n["oneOf"].([]any); ok {
			var forms []node
			for _, one := range all {
				forms = append(forms, root.forms(sub(one))...)
			}
			return forms
		}
	}
	return []node{n}
}

var steps = regexp.MustCompile(`[^.\[\]]+|\[\d+\]`)

// at finds the schema of the mapping that stands at a path of the file.
func (root node) at(path string) node {
	nodes := root.forms(root)
	for _, step := range steps.FindAllString(path, -1) {
		var next []node
		for _, n := range nodes {
			switch child := sub(n["properties"])[step]; {
			case child != nil:
				next = append(next, root.forms(sub(child))...)
			case step[0] == '[' && n["items"] != nil:
				next = append(next, root.forms(sub(n["items"]))...)
			case sub(n["additionalProperties"]) != nil:
				next = append(next, root.forms(sub(n["additionalProperties"]))...)
			}
		}
		nodes = next
	}
	for _, n := range nodes {
		if n["properties"] != nil {
			return n
		}
	}
	return nil
}

// TestSchemaAndLoaderKnowTheSameKeys: of every mapping that the loader opens while it
// reads the file that has all keys; and the schema describes no mapping besides.
func TestSchemaAndLoaderKnowTheSameKeys(t *testing.T) {
	root := ourSchema(t)
	data, err := os.ReadFile(complete)
	if err != nil {
		t.Fatal(err)
	}
	opened := map[string]bool{}
	g := &gathered{whole: complete, opened: func(path string, known []string) {
		n := root.at(path)
		if n == nil {
			t.Errorf("the schema has no mapping at %q", path)
			return
		}
		inSchema := slices.Sorted(maps.Keys(sub(n["properties"])))
		known = slices.Compact(slices.Sorted(slices.Values(known)))
		opened[strings.Join(known, " ")] = true
		if !slices.Equal(inSchema, known) {
			t.Errorf("at %q the loader knows %v, the schema %v", path, known, inSchema)
		}
	}}
	doc, ok := g.open([]File{{complete, data}}, map[string][]byte{})
	if !ok {
		t.Fatal(g.problems(Files{}))
	}
	l := &loader{report: doc.report, env: readEnvironment(variables), read: besides, blamed: map[mapping.Pos]bool{}}
	l.config(doc)
	for name, n := range root.described() {
		if keys := strings.Join(slices.Sorted(maps.Keys(sub(n["properties"]))), " "); !opened[keys] {
			t.Errorf("%s describes a mapping with %s, which the loader never opened", name, keys)
		}
	}
	if len(opened) < 35 {
		t.Errorf("%d mappings were opened", len(opened))
	}
}

// described are all mappings of the schema.
func (root node) described() map[string]node {
	all := map[string]node{"the file": root}
	for name, d := range sub(root["$defs"]) {
		for _, n := range root.forms(sub(d)) {
			if n["properties"] != nil {
				all[name] = n
			}
		}
	}
	return all
}

// TestEveryTopicOfTheSchemaIsExplained: a key has a meaning of its own, or the key
// that it stands under has.
func TestEveryTopicOfTheSchemaIsExplained(t *testing.T) {
	root := ourSchema(t)
	missing := 0
	for name, n := range root.described() {
		for key, p := range sub(n["properties"]) {
			text, _ := sub(p)["description"].(string)
			if _, named := docsOf()["form"+strings.ToUpper(name[:1])+name[1:]]; named && text == "" {
				t.Errorf("%s of %s has no row in docs/configuration.md", key, name)
			}
			if text == "" {
				missing++
			}
			if strings.ContainsAny(text, "`|") {
				t.Errorf("%s of %s: %q", key, name, text)
			}
		}
	}
	if missing > 40 {
		t.Errorf("%d keys have no meaning of their own", missing)
	}
}

// wrong says what of a value a schema does not allow; the words that Schema uses.
func (root node) wrong(n node, v any, at string) []string {
	if ref, ok := n["$ref"].(string); ok {
		return root.wrong(sub(sub(root["$defs"])[strings.TrimPrefix(ref, "#/$defs/")]), v, at)
	}
	var wrong []string
	for _, how := range []string{"oneOf", "anyOf"} {
		all, ok := n[how].([]any)
		fits := 0
		for _, one := range all {
			if len(root.wrong(sub(one), v, at)) == 0 {
				fits++
			}
		}
		if ok && (fits == 0 || how == "oneOf" && fits > 1) {
			wrong = append(wrong, fmt.Sprintf("%s: %d of %s", at, fits, how))
		}
	}
	if words, ok := n["enum"].([]any); ok && !slices.ContainsFunc(words, func(w any) bool { return fmt.Sprint(w) == fmt.Sprint(v) }) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is none of %v", at, v, words))
	}
	if p, ok := n["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(fmt.Sprint(v)) {
		wrong = append(wrong, at+": does not match "+p)
	}
	if c, ok := n["const"]; ok && c != v {
		wrong = append(wrong, at+": is not "+fmt.Sprint(c))
	}
	for _, key := range list(n["required"]) {
		if m, isMap := v.(map[string]any); isMap && m[key] == nil {
			wrong = append(wrong, at+": "+key+" is missing")
		}
	}
	switch v := v.(type) {
	case map[string]any:
		if n["type"] != nil && n["type"] != "object" {
			return append(wrong, at+": a mapping")
		}
		for key, value := range v {
			switch p := sub(n["properties"])[key]; {
			case p != nil:
				wrong = append(wrong, root.wrong(sub(p), value, at+"."+key)...)
			case n["additionalProperties"] == false:
				wrong = append(wrong, at+": unknown key "+key)
			case sub(n["additionalProperties"]) != nil:
				wrong = append(wrong, root.wrong(sub(n["additionalProperties"]), value, at+"."+key)...)
			}
		}
	case []any:
		if n["type"] != nil && n["type"] != "array" {
			return append(wrong, at+": a list")
		}
		for i, item := range v {
			if n["items"] != nil {
				wrong = append(wrong, root.wrong(sub(n["items"]), item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	default:
		is := map[string]bool{"string": false, "boolean": false, "integer": false}
		switch v.(type) {
		case string:
			is["string"] = true
		case bool:
			is["boolean"] = true
		case int, int64, uint64:
			is["integer"] = true
		}
		if kind, ok := n["type"].(string); ok && !is[kind] {
			wrong = append(wrong, fmt.Sprintf("%s: %v is no %s", at, v, kind))
		}
	}
	return wrong
}

func list(v any) []string {
	var all []string
	items, _ := v.([]any)
	for _, i := range items {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// TestSchemaAcceptsWhatTheLoaderAccepts, and refuses every key that it does not know.
func TestSchemaAcceptsWhatTheLoaderAccepts(t *testing.T) {
	root := ourSchema(t)
	for _, file := range []string{complete, example} {
		if wrong := root.wrong(root, value(t, file), ""); len(wrong) > 0 {
			t.Errorf("%s: %v", file, wrong)
		}
	}
	broken, _ := filepath.Glob("../examples/broken/*.yaml")
	more, _ := filepath.Glob("testdata/broken/*.yaml")
	checked := 0
	for _, file := range append(broken, more...) {
		_, err := Load(file, nil)
		var problems *Problems
		if !errors.As(err, &problems) || !slices.ContainsFunc(problems.List, func(p Problem) bool { return strings.HasPrefix(p.Message, "unknown key") && p.Pos.File == file }) {
			continue
		}
		checked++
		wrong := strings.Join(root.wrong(root, value(t, file), ""), "\n")
		for _, p := range problems.List {
			m := regexp.MustCompile(`^unknown key "([^"]+)"`).FindStringSubmatch(p.Message)
			if m != nil && !strings.Contains(wrong, "unknown key "+m[1]) && !strings.Contains(wrong, "oneOf") && !strings.HasSuffix(p.Message, ".as") && !strings.Contains(p.Message, "].as;") {
				t.Errorf("%s: the schema allows %s:\n%s", file, m[1], wrong)
			}
		}
	}
	if checked < 5 {
		t.Errorf("%d files with unknown keys", checked)
	}
}

func value(t *testing.T, file string) any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.UnmarshalWithOptions(data, &v, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	return v
}

// An editor explains every key.
func TestTheSchemaDescribesEveryKey(t *testing.T) {
	var schema any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			for _, item := range sliceOf(v) {
				walk(at, item)
			}
			return
		}
		if keys, ok := m["properties"].(map[string]any); ok {
			for key, of := range keys {
				if text, _ := of.(map[string]any)["description"].(string); text == "" {
					t.Errorf("%s: %s is not described", at, key)
				}
			}
		}
		for key, inner := range m {
			walk(at+"/"+key, inner)
		}
	}
	walk("", schema)
}

func sliceOf(v any) []any { s, _ := v.([]any); return s }

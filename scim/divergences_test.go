package scim

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestAPutThatDoesNotNameMembersKeepsThem(t *testing.T) {
	f := newFixture(t)
	kim := f.addUser("kim@southern.example")
	id := f.addGroup("Depot", kim)
	f.send("PUT", "/Groups/"+id, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Depot 2"}`).is(200).has(kim, "members", 0, "value")
	f.send("PUT", "/Groups/"+id, `{"displayName":"Depot 2","members":null}`).is(200).has(kim, "members", 0, "value")
	f.send("PUT", "/Groups/"+id, group("Depot 3")).is(200).has(nil, "members", 0)
}

func TestAPutThatDoesNotNameActiveKeepsIt(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.send("PATCH", "/Users/"+id, patchOps(`[{"op":"replace","value":{"active":false}}]`)).is(200)
	f.send("PUT", "/Users/"+id, user("kim@southern.example")).is(200).has(false, "active")
}

func TestAUsersVersionIsItsOwn(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.addGroup("Depot", id)
	f.send("GET", "/Users/"+id, "").is(200).has(`W/"1"`, "meta", "version").has("Depot", "groups", 0, "display")
	f.send("GET", "/Users/"+id, "", `If-None-Match: W/"1"`).is(304)
}

func TestAPasswordIsTakenAndForgotten(t *testing.T) {
	f := newFixture(t)
	made := f.send("POST", "/Users", `{"userName":"kim@southern.example","password":"1mz050nq","groups":[]}`).is(201)
	f.send("PATCH", "/Users/"+made.id(), patchOps(`[{"op":"replace","value":{"password":"1mz050nq2"}}]`)).is(200)
	for _, r := range f.southern.people.rows {
		if strings.Contains(string(r.Doc), "1mz050nq") {
			t.Errorf("stored: %s", r.Doc)
		}
	}
	if strings.Contains(made.text, "1mz050nq") {
		t.Errorf("answered: %s", made.text)
	}
}

// TestEveryDivergenceHasItsTest holds DIVERGENCES.md against the code.
func TestEveryDivergenceHasItsTest(t *testing.T) {
	text, err := os.ReadFile("DIVERGENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, pattern := range []string{"*_test.go", "*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(src)
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| What") {
			continue
		}
		found := named.FindAllStringSubmatch(line, -1)
		if len(found) == 0 {
			t.Errorf("no test is named: %s", line)
		}
		for _, m := range found {
			if !strings.Contains(code.String(), "func "+m[1]+"(") {
				t.Errorf("there is no %s: %s", m[1], line)
			}
		}
	}
}

package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// storedTree is the word that stands for a scope tree which is kept in the store.
const storedTree = "store"

// keptInStore reports whether the file leaves the scope tree to the store.
func keptInStore(root block) bool {
	f, ok := root.fields["scopes"]
	if !ok {
		return false
	}
	text, ok := f.value.(*ast.StringNode)
	return ok && text.Value == storedTree
}

// suppose makes up the tree that a file which leaves it to the store supposes: every
// scope that it names, and none besides. Whether they exist is checked where the policy
// is planned and applied, or by mapping.Compile with the stored tree.
func suppose(host access.Scope, policy mapping.PolicySource) []access.Scope {
	s := &supposed{scopes: []access.Scope{host}, under: map[string][]string{}, known: map[string]bool{}}
	var paths []string
	for _, c := range policy.Connections {
		paths = append(paths, mapping.ProvisionalPath(c.Root), mapping.ProvisionalPath(c.Ceiling.Scope))
	}
	for _, r := range policy.Rules {
		for _, target := range append([]string{r.Give}, r.Guest...) {
			paths = append(paths, pathOf(target))
		}
	}
	for _, t := range policy.Tests {
		if t.Primary != nil {
			paths = append(paths, pathOf(*t.Primary))
		}
		if t.Guests != nil {
			for _, g := range *t.Guests {
				paths = append(paths, pathOf(g))
			}
		}
		paths = append(append(paths, t.Sees...), t.NeverSees...)
	}
	for range 2 { // what is written out names what captures may stand for
		for _, p := range paths {
			s.add(strings.Split(p, "/"), "", host)
		}
	}
	return s.scopes
}

// pathOf is the path of "grant @ path".
func pathOf(target string) string {
	_, path, _ := strings.Cut(target, "@")
	return strings.TrimSpace(path)
}

type supposed struct {
	scopes []access.Scope
	under  map[string][]string // slugs by the path of their parent
	known  map[string]bool
}

func (s *supposed) add(steps []string, at string, parent access.Scope) {
	if len(steps) == 0 || parent.Level == access.Fleet {
		return
	}
	step := steps[0]
	if strings.HasPrefix(step, "{") {
		for _, slug := range slices.Clone(s.under[at]) {
			s.add(append([]string{slug}, steps[1:]...), at, parent)
		}
		return
	}
	if !access.ValidSlug(step) {
		return
	}
	path := step
	if at != "" {
		path = at + "/" + step
	}
	scope := access.Scope{ID: mapping.ProvisionalID(path), Slug: step, Level: parent.Level + 1, Parent: parent.ID, Name: step}
	if !s.known[path] {
		s.known[path] = true
		s.scopes, s.under[at] = append(s.scopes, scope), append(s.under[at], step)
	}
	s.add(steps[1:], path, scope)
}

// ScopesOf reads a file in which nothing but a scope tree stands, as scopes_file names
// one. The error is *Problems.
func ScopesOf(name string, data []byte) ([]access.Scope, error) {
	around := "version: 1\nvendor: { name: Host }\nserver: { public_url: http://localhost }\nscopes_file: scopes\n"
	c, err := Parse("around", []byte(around), nil, func(string) ([]byte, error) { return data, nil })
	if err == nil {
		return c.Policy.Scopes, nil
	}
	var ps *Problems
	if errors.As(err, &ps) {
		for i := range ps.List {
			ps.List[i].Pos.File = name
		}
	}
	return nil, err
}

package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones must be known on machines that have no list of them
	"unicode"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// policy reads scopes, connections and rules, and compiles them.
func (l *loader) policy(root block, c *Config) {
	before := len(l.list)
	c.Policy.TreeInStore = keptInStore(root)
	c.Policy.Scopes = l.scopes(root, c.Vendor.Name)
	tree, err := access.NewTree(c.Policy.Scopes)
	if err != nil && len(l.list) == before {
		l.add(root.pos(), 1, "scopes: "+strings.ReplaceAll(err.Error(), "\n", "; "), "")
	}
	l.stored = c.Policy.TreeInStore
	var sound map[access.ConnectionID]bool
	c.Connections, sound = l.connections(root, tree)
	for _, conn := range c.Connections {
		c.Policy.Connections = append(c.Policy.Connections, conn.Connection)
	}
	c.Policy.Attributes, c.Policy.Conditions = l.attributes(root), l.conditions(root)
	c.Policy.Rules, c.Policy.Catalogue = l.rules(root), l.catalogue(root)
	c.Policy.Guard, c.Policy.Tests = l.guard(root), l.tests(root, c.Policy.Attributes)
	c.Policy.Requests, c.Policy.Reviews = l.requests(root), l.reviews(root)
	compiled := c.Policy
	if compiled.TreeInStore {
		compiled.Scopes = suppose(c.Policy.Scopes[0], c.Policy)
	}
	if tree != nil {
		l.compile(compiled, sound)
	}
}

// compile adds what mapping finds wrong. Rules are held against the ceilings of
// sound connections only; one that could not be read gives all there is, so that what
// else its rules say is looked at. nil means that there is no telling which there are.
func (l *loader) compile(src mapping.PolicySource, sound map[access.ConnectionID]bool) {
	said := maps.Clone(l.blamed)
	for _, p := range l.list {
		said[p.Pos] = true
	}
	if sound == nil {
		src.Connections = nil
		for _, r := range src.Rules {
			said[r.FieldPos["from"]] = true
		}
		for _, t := range src.Tests {
			said[t.FieldPos["as.from"]] = true
		}
	}
	host := src.Scopes[0].ID
	src.Connections = slices.Clone(src.Connections)
	for i, c := range src.Connections {
		if !sound[c.ID] {
			src.Connections[i] = access.Connection{ID: c.ID, Root: host, Ceiling: access.Ceiling{Scope: host, Grants: access.Grants()}, SCIM: c.SCIM}
		}
	}
	texts := map[mapping.Pos]string{} // in which a fault may have a place of its own
	for _, c := range src.Conditions {
		texts[c.FieldPos["cel"]] = c.CEL
	}
	for _, r := range src.Rules {
		texts[r.FieldPos["when"]] = r.When
	}
	for _, r := range src.Reviews {
		texts[r.FieldPos["select"]] = r.Select
	}
	_, err := mapping.Compile(src)
	var faults mapping.Faults
	if !errors.As(err, &faults) {
		return
	}
	for _, f := range faults {
		if f.Pos.Line == 0 {
			if len(l.list) == 0 {
				l.add(mapping.Pos{File: l.whole}, 0, f.Message, f.Suggestion)
			}
			continue
		}
		if said[f.Pos] || f.Lacking && l.shapeless {
			continue
		}
		message := f.Message
		if f.Rule != "" {
			message = "rule " + f.Rule + ": " + message
		}
		pos, wide := f.Pos, l.widthAt(f.Pos)
		if f.Inside {
			pos, wide = l.within(f.Pos, texts[f.Pos], f.Offset)
		}
		l.add(pos, wide, message, f.Suggestion)
	}
}

// alone is what stands before a value that is in no braces or brackets.
var alone = regexp.MustCompile(`^\s*(- )*\s*(?:[^\s\[\]{},"']+:\s+)?$`)

// widthAt is how far the value at a place reaches on its line: to the closing
// quote, or to where a comment, a comma or a bracket ends it.
func (l *loader) widthAt(p mapping.Pos) int {
	r := l.of(p.File)
	if r == nil || p.Line > len(r.lines) {
		return 1
	}
	line := []rune(r.lines[p.Line-1])
	if p.Col > len(line) {
		return 1
	}
	text := line[p.Col-1:]
	if q := text[0]; q == '"' || q == '\'' {
		if end := slices.Index(text[1:], q); end >= 0 {
			return end + 2
		}
	}
	stands := alone.MatchString(string(line[:p.Col-1]))
	for i, r := range text {
		comment := r == '#' && i > 0 && unicode.IsSpace(text[i-1])
		if comment || !stands && strings.ContainsRune("#,]}", r) {
			text = text[:i]
			break
		}
	}
	return max(1, len([]rune(strings.TrimRight(string(text), " \t"))))
}

func (l *loader) scopes(root block, vendor string) []access.Scope {
	host := access.Scope{ID: mapping.ProvisionalID("."), Level: access.Host, Name: vendor}
	out := []access.Scope{host}
	if keptInStore(root) {
		if at, both := root.get("scopes_file"); both {
			at.say("the tree is kept in the store; leave one of the two out")
		}
		return out
	}
	if f, ok := l.tree(root); ok {
		out = l.level(f, host, "", out, map[access.ScopeID]bool{host.ID: true})
	}
	return out
}

// tree is where the scopes stand: in the configuration, or in a file of their own.
func (l *loader) tree(root block) (field, bool) {
	at, elsewhere := root.get("scopes_file")
	if !elsewhere {
		return root.need("scopes")
	}
	if here, both := root.get("scopes"); both {
		at.say("the scopes stand in the configuration already, %s", where(here.pos(), at.report.name))
		return here, true
	}
	name, ok := at.text()
	if !ok {
		return field{}, false
	}
	file := beside(at, name)
	if l.of(file) != nil {
		at.say("%s is read already, as a part of this configuration; leave the key out, or move the file elsewhere", name)
		return field{}, false
	}
	data, err := l.read(file)
	if err != nil {
		at.say("the file cannot be read: %v", err)
		return field{}, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := l.gathered.add(file, data)
	doc, ok := r.document(data, false)
	if !ok {
		return field{}, false
	}
	b, ok := doc.open("scopes")
	if !ok {
		return field{}, false
	}
	if _, there := b.get("scopes"); !there {
		r.add(mapping.Pos{File: file}, 0, "scopes is missing: the tree stands under it", "")
	}
	return b.get("scopes")
}

// inner is the key under which a level's children stand, and its own keys.
func inner(l access.Level) (children string, keys []string) {
	switch l {
	case access.ServiceProvider:
		return "accounts", []string{"name", "id", "was", "retired", "accounts"}
	case access.Account:
		return "fleets", []string{"name", "id", "was", "retired", "fleets"}
	}
	return "", []string{"name", "id", "was", "retired", "timezone", "location"}
}

// level reads the children of one scope, and theirs.
func (l *loader) level(f field, parent access.Scope, parentPath string, out []access.Scope, ids map[access.ScopeID]bool) []access.Scope {
	b, _ := f.entries()
	slugs := map[string]string{} // slug or former slug → whose
	for _, slug := range b.order {
		slugs[slug] = slug
	}
	for _, slug := range b.order {
		children, keys := inner(parent.Level + 1)
		at := b.fields[slug]
		s, ok := at.open(keys...)
		if !ok {
			continue
		}
		path := slug
		if parentPath != "" {
			path = parentPath + "/" + slug
		}
		scope := l.scope(s, slug, path, parent)
		if ids[scope.ID] {
			at.say("another scope has the id %q", scope.ID)
			scope.ID = mapping.ProvisionalID(path) // so that the rules can be looked at as well
		}
		ids[scope.ID] = true
		scope.Was = l.aliases(s, slug, scope.Was, slugs)
		out = append(out, scope)
		if inside, ok := s.get(children); ok {
			out = l.level(inside, scope, path, out, ids)
		}
	}
	return out
}

// scope reads one scope. A slug that is none is taken for what was probably meant,
// so that the rules can be looked at as well.
func (l *loader) scope(s block, slug, path string, parent access.Scope) access.Scope {
	if !access.ValidSlug(slug) {
		meant := strings.Trim(strings.ReplaceAll(strings.ToLower(slug), " ", "-"), "-")
		if !access.ValidSlug(meant) {
			meant = ""
		}
		s.hintOfKey(meant, "a slug is made of lower-case letters, digits and inner hyphens, at most 63")
		slug = cmp.Or(meant, fmt.Sprintf("line-%d", posOf("", s.key).Line))
	}
	scope := access.Scope{
		ID: mapping.ProvisionalID(path), Slug: slug, Level: parent.Level + 1, Parent: parent.ID,
		Name: s.needText("name"), Was: s.texts("was"), Retired: s.instant("retired"),
	}
	if id := s.text("id"); id != "" {
		scope.ID = access.ScopeID(id)
	}
	if scope.Level == access.Fleet {
		scope.TimeZone, scope.Location = l.timeZone(s), s.text("location")
	}
	return scope
}

// aliases refuses a former slug that another scope of the same parent answers to,
// and returns the others.
func (l *loader) aliases(s block, slug string, was []string, slugs map[string]string) (good []string) {
	f, ok := s.get("was")
	if !ok {
		return nil
	}
	items := f.items()
	for i, w := range was {
		if i >= len(items) {
			return good // an entry before it was no text, and was reported
		}
		switch other, taken := slugs[w]; {
		case taken:
			items[i].say("%q is already the name of %q", w, other)
		case !access.ValidSlug(w):
			items[i].say("%q is not a slug", w)
		default:
			slugs[w], good = slug, append(good, w)
		}
	}
	return good
}

func (l *loader) timeZone(s block) string {
	f, ok := s.need("timezone")
	if !ok {
		return ""
	}
	name, ok := f.text()
	if !ok {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		f.say("%q is not a time zone such as Australia/Melbourne", name)
	}
	return name
}

// resolve reads the path of a scope.
func (l *loader) resolve(f field, tree *access.Tree) access.ScopeID {
	path, ok := f.text()
	if !ok || tree == nil {
		return ""
	}
	if l.stored {
		if !slices.ContainsFunc(strings.Split(path, "/"), func(step string) bool { return !access.ValidSlug(step) }) || path == "." {
			return mapping.ProvisionalID(path)
		}
		f.say("%q is not the path of a scope: . or slugs with / between them", path)
		return ""
	}
	s, ok := tree.Resolve(path)
	if ok {
		return s.ID
	}
	var paths []string
	for _, s := range tree.All() {
		paths = append(paths, tree.Path(s.ID))
	}
	f.hint(suggest.Closest(path, paths), "there is no scope %q", path)
	return ""
}

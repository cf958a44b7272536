// Package access is the vocabulary of what may be done and where: the scope
// tree, grants, assignments and connections (docs/architecture.md, "The words").
//
// It is pure: no clock, no I/O, no randomness, no lock. Everything imports it; it
// imports nothing of ours.
package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ScopeID is the immutable id of a scope. Applied policies and tokens carry it;
// paths and slugs may change.
type ScopeID string

// Level is how deep in the tree a scope lies. The zero level is no level.
type Level uint8

// Host contains service providers, which contain accounts, which contain fleets.
const (
	Host Level = iota + 1
	ServiceProvider
	Account
	Fleet
)

// String is the level's name on the wire and in files.
func (l Level) String() string {
	switch l {
	case Host:
		return "host"
	case ServiceProvider:
		return "service_provider"
	case Account:
		return "account"
	case Fleet:
		return "fleet"
	}
	return "none"
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the level's name.
func (l *Level) UnmarshalText(b []byte) error {
	for _, k := range []Level{Host, ServiceProvider, Account, Fleet} {
		if k.String() == string(b) {
			*l = k
			return nil
		}
	}
	return fmt.Errorf("access: no level is called %q", b)
}

// Scope is one node of the tree.
type Scope struct {
	ID       ScopeID  `json:"id"`
	Slug     string   `json:"slug"` // unique among its siblings; "" for the host
	Level    Level    `json:"level"`
	Name     string   `json:"name"`
	Parent   ScopeID  `json:"parent,omitzero"`   // "" for the host
	TimeZone string   `json:"timezone,omitzero"` // IANA name, fleets only
	Location string   `json:"location,omitzero"` // fleets only
	Was      []string `json:"was,omitzero"`      // former slugs, kept as aliases
	// Formerly is where the scope lay before it was moved: a path that was written
	// then still leads to it.
	Formerly []Place `json:"formerly,omitzero"`
	// Retired is since when the scope, and all below it, gives nothing; zero: it lives.
	Retired time.Time `json:"retired,omitzero"`
}

// Place is a slug under a parent.
type Place struct {
	Parent ScopeID `json:"parent"`
	Slug   string  `json:"slug"`
}

// Slugs lists the slug and the former ones: all that the scope answers to.
func (s Scope) Slugs() []string { return append([]string{s.Slug}, s.Was...) }

// Tree is an immutable set of scopes under one host. The zero Tree is empty and
// covers nothing.
type Tree struct {
	byID    map[ScopeID]*node
	host    *node
	inOrder []ScopeID // depth first, siblings by slug
}

type node struct {
	Scope
	path     string
	parent   *node
	children []*node          // by slug
	steps    map[string]*node // what a step of a path below it may be: slugs, present and former
	ended    time.Time        // since when it, or something above it, is retired
	at, upTo int              // its place in Tree.inOrder, and where what is below it ends
}

// NewTree checks the scopes and builds a tree. All faults are reported, joined.
// Exactly one host is required; every other scope needs a parent one level up,
// a slug unique among its siblings (aliases included) and an id unique overall.
func NewTree(scopes []Scope) (*Tree, error) {
	t := &Tree{byID: make(map[ScopeID]*node, len(scopes))}
	var faults []error
	for _, s := range scopes {
		if s.ID == "" {
			faults = append(faults, fmt.Errorf("scope %q has no id", s.Slug))
			continue
		}
		if _, dup := t.byID[s.ID]; dup {
			faults = append(faults, fmt.Errorf("two scopes have the id %q", s.ID))
			continue
		}
		t.byID[s.ID] = &node{Scope: s}
	}
	for _, s := range scopes {
		if n := t.byID[s.ID]; n != nil {
			faults = append(faults, t.attach(n)...)
		}
	}
	if t.host == nil {
		faults = append(faults, errors.New("the tree has no host"))
	}
	if len(faults) == 0 {
		faults = append(faults, t.index(t.host, ".")...)
		faults = append(faults, t.indexFormer()...)
	}
	if len(faults) == 0 && len(t.inOrder) != len(t.byID) {
		faults = append(faults, errors.New("some scopes are not under the host"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return t, nil
}

func (t *Tree) attach(n *node) []error {
	if n.Level == Host {
		if t.host != nil && t.host != n {
			return []error{fmt.Errorf("scopes %q and %q are both the host", t.host.ID, n.ID)}
		}
		if n.Parent != "" {
			return []error{fmt.Errorf("the host %q has a parent", n.ID)}
		}
		t.host = n
		return nil
	}
	p := t.byID[n.Parent]
	if p == nil {
		return []error{fmt.Errorf("scope %q: its parent %q does not exist", n.ID, n.Parent)}
	}
	if p.Level+1 != n.Level || n.Level > Fleet {
		return []error{fmt.Errorf("scope %q: a %s cannot lie in a %s", n.ID, n.Level, p.Level)}
	}
	if !ValidSlug(n.Slug) {
		return []error{fmt.Errorf("scope %q: slug %q is not made of lower-case letters, digits and inner hyphens", n.ID, n.Slug)}
	}
	n.parent = p
	p.children = append(p.children, n)
	return nil
}

func (t *Tree) index(n *node, path string) []error {
	n.path, n.at = path, len(t.inOrder)
	t.inOrder = append(t.inOrder, n.ID)
	if n.ended = n.Retired; n.parent != nil && !n.parent.ended.IsZero() {
		n.ended = n.parent.ended
	}
	slices.SortFunc(n.children, func(a, b *node) int { return strings.Compare(a.Slug, b.Slug) })
	var faults []error
	n.steps = make(map[string]*node, len(n.children))
	for _, c := range n.children {
		for _, slug := range c.Slugs() {
			faults = append(faults, n.answer(slug, c)...)
		}
		faults = append(faults, t.index(c, join(path, c.Slug))...)
	}
	n.upTo = len(t.inOrder)
	return faults
}

// answer lets a step below n lead to another scope.
func (n *node) answer(slug string, to *node) []error {
	if other := n.steps[slug]; other != nil && other != to {
		return []error{fmt.Errorf("scopes %q and %q under %s both answer to %q", other.ID, to.ID, n.path, slug)}
	}
	n.steps[slug] = to
	return nil
}

// indexFormer lets the places where scopes were lead to them.
func (t *Tree) indexFormer() []error {
	var faults []error
	for _, id := range t.inOrder {
		n := t.byID[id]
		for _, place := range n.Formerly {
			if p := t.byID[place.Parent]; p != nil {
				faults = append(faults, p.answer(place.Slug, n)...)
			}
		}
	}
	return faults
}

func join(parent, slug string) string {
	if parent == "." {
		return slug
	}
	return parent + "/" + slug
}

// ValidSlug reports whether s may name a scope in a path: 1 to 63 lower-case
// letters, digits and inner hyphens.
func ValidSlug(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Resolve finds the scope a path names: "." is the host, "sp/account/fleet" a
// fleet. A former slug resolves at any step, and so does a place that a scope was
// moved from. A retired scope is found by Find alone.
func (t *Tree) Resolve(path string) (Scope, bool) {
	s, ok := t.Find(path)
	if !ok || !t.Live(s.ID) {
		return Scope{}, false
	}
	return s, true
}

// Find is Resolve for retired scopes as well.
func (t *Tree) Find(path string) (Scope, bool) {
	if t == nil || t.host == nil {
		return Scope{}, false
	}
	if path == "." {
		return t.host.Scope, true
	}
	at := t.host
	for step := range strings.SplitSeq(path, "/") {
		if at = at.steps[step]; at == nil {
			return Scope{}, false
		}
	}
	return at.Scope, true
}

// Child finds the scope that a step below a parent leads to, retired ones included.
func (t *Tree) Child(parent ScopeID, step string) (Scope, bool) {
	if t == nil || t.byID[parent] == nil {
		return Scope{}, false
	}
	n := t.byID[parent].steps[step]
	if n == nil {
		return Scope{}, false
	}
	return n.Scope, true
}

// Live reports whether there is a scope with that id and neither it nor anything
// above it is retired.
func (t *Tree) Live(id ScopeID) bool {
	return t != nil && t.byID[id] != nil && t.byID[id].ended.IsZero()
}

// RetiredSince is when the scope, or what lies above it, was retired; zero if it
// lives, or does not exist.
func (t *Tree) RetiredSince(id ScopeID) time.Time {
	if t == nil || t.byID[id] == nil {
		return time.Time{}
	}
	return t.byID[id].ended
}

// Scope returns the scope with that id.
func (t *Tree) Scope(id ScopeID) (Scope, bool) {
	if t == nil {
		return Scope{}, false
	}
	n := t.byID[id]
	if n == nil {
		return Scope{}, false
	}
	return n.Scope, true
}

// All lists every scope, retired ones included, depth first, siblings by slug.
func (t *Tree) All() []Scope {
	if t == nil {
		return nil
	}
	all := make([]Scope, len(t.inOrder))
	for i, id := range t.inOrder {
		all[i] = t.byID[id].Scope
	}
	return all
}

// Children lists the live scopes directly under id, by slug.
func (t *Tree) Children(id ScopeID) []Scope {
	if t == nil || t.byID[id] == nil {
		return nil
	}
	var out []Scope
	for _, c := range t.byID[id].children {
		if c.ended.IsZero() {
			if out == nil {
				out = make([]Scope, 0, len(t.byID[id].children))
			}
			out = append(out, c.Scope)
		}
	}
	return out
}

// Below lists the scopes directly under id, by slug, retired ones included.
func (t *Tree) Below(id ScopeID) []Scope {
	if t == nil || t.byID[id] == nil {
		return nil
	}
	out := make([]Scope, len(t.byID[id].children))
	for i, c := range t.byID[id].children {
		out[i] = c.Scope
	}
	return out
}

// Under lists the scope and all below it, retired ones included, depth first,
// siblings by slug. The caller does not write into it.
func (t *Tree) Under(id ScopeID) []ScopeID {
	if t == nil || t.byID[id] == nil {
		return nil
	}
	n := t.byID[id]
	return t.inOrder[n.at:n.upTo:n.upTo]
}

// IsLast reports whether no sibling comes after the scope.
func (t *Tree) IsLast(id ScopeID) bool {
	n := t.node(id)
	return n == nil || n.parent == nil || n.parent.children[len(n.parent.children)-1] == n
}

// Len is how many scopes there are.
func (t *Tree) Len() int {
	if t == nil {
		return 0
	}
	return len(t.inOrder)
}

// Path is the current path of a scope, or "" if there is none with that id.
func (t *Tree) Path(id ScopeID) string {
	if t == nil || t.byID[id] == nil {
		return ""
	}
	return t.byID[id].path
}

// Ancestors lists the ids above a scope from the service provider down to its
// parent, then the host: the order of ancestor_ids in the active_grant claim is
// outermost service provider first and the host last, as tokens show it.
func (t *Tree) Ancestors(id ScopeID) []ScopeID {
	if t == nil || t.byID[id] == nil {
		return nil
	}
	n := t.byID[id]
	var up []ScopeID
	for p := n.parent; p != nil; p = p.parent {
		up = append(up, p.ID)
	}
	slices.Reverse(up)
	if len(up) > 1 && up[0] == t.host.ID {
		up = append(up[1:], up[0])
	}
	return up
}

// Names lists the names from the service provider down to the scope itself;
// the host's own name for the host.
func (t *Tree) Names(id ScopeID) []string {
	if t == nil || t.byID[id] == nil {
		return nil
	}
	n := t.byID[id]
	if n.Level == Host {
		return []string{n.Name}
	}
	var names []string
	for ; n.Level != Host; n = n.parent {
		names = append(names, n.Name)
	}
	slices.Reverse(names)
	return names
}

// Covers reports whether b is a or lies below a. Unknown ids cover nothing.
func (t *Tree) Covers(a, b ScopeID) bool {
	if t == nil || t.byID[a] == nil {
		return false
	}
	for n := t.byID[b]; n != nil; n = n.parent {
		if n.ID == a {
			return true
		}
	}
	return false
}

package access

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The bounds of what a scope is called, and of what it was.
const (
	MaxScopeName = 200
	maxAliases   = 50
)

// Added is the tree with one scope more: its level follows from its parent. Whether a
// time zone exists is the caller's to know.
func (t *Tree) Added(s Scope) ([]Scope, error) {
	p := t.node(s.Parent)
	if p == nil {
		return nil, errors.New("there is no such parent")
	}
	s.Level = p.Level + 1
	if t.node(s.ID) != nil || s.ID == "" {
		return nil, fmt.Errorf("a scope with the id %q is there already", s.ID)
	}
	if err := errors.Join(p.mayHold(s.Level), p.free(s.Slug, nil), described(s)); err != nil {
		return nil, err
	}
	return append(t.All(), s), nil
}

// CheckNew reports why a scope cannot be added under its parent with its slug and id.
func (t *Tree) CheckNew(s Scope) error {
	p := t.node(s.Parent)
	if p == nil {
		return errors.New("there is no such parent")
	}
	if t.node(s.ID) != nil {
		return fmt.Errorf("a scope with the id %q is there already", s.ID)
	}
	return errors.Join(p.mayHold(p.Level+1), p.free(s.Slug, nil))
}

// CheckScope reports what is wrong with what is said of a scope, whatever lies around it.
func CheckScope(s Scope) error {
	if s.Level > Fleet || s.Level < ServiceProvider {
		return errors.New("nothing lies below a fleet")
	}
	if !ValidSlug(s.Slug) {
		return fmt.Errorf("slug %q is not made of lower-case letters, digits and inner hyphens, at most 63", s.Slug)
	}
	return described(s)
}

// described checks what is said of a scope beside its place.
func described(s Scope) error {
	switch {
	case s.Name == "" || len(s.Name) > MaxScopeName:
		return fmt.Errorf("a scope has a name of at most %d bytes", MaxScopeName)
	case len(s.Location) > MaxScopeName:
		return fmt.Errorf("a location has at most %d bytes", MaxScopeName)
	case s.Level == Fleet && s.TimeZone == "":
		return errors.New("a fleet has one time zone, such as Australia/Melbourne")
	case s.Level != Fleet && (s.TimeZone != "" || s.Location != ""):
		return fmt.Errorf("only a fleet has a time zone and a location, and this is a %s", s.Level)
	}
	return nil
}

// mayHold refuses a level that the scope cannot contain.
func (n *node) mayHold(l Level) error {
	switch {
	case n.Level == Fleet:
		return fmt.Errorf("%s is a fleet: nothing lies below one", n.path)
	case !n.ended.IsZero():
		return fmt.Errorf("%s was retired on %s", n.path, n.ended.UTC().Format(time.DateOnly))
	case n.Level+1 != l:
		return fmt.Errorf("a %s cannot lie in %s, which is a %s", l, n.path, n.Level)
	}
	return nil
}

// free refuses a slug that leads to another scope than own.
func (n *node) free(slug string, own *node) error {
	if !ValidSlug(slug) {
		return fmt.Errorf("slug %q is not made of lower-case letters, digits and inner hyphens, at most 63", slug)
	}
	other := n.steps[slug]
	switch {
	case other == nil || other == own:
		return nil
	case other.parent != n:
		return fmt.Errorf("%q led to %s until that was moved, and still does; choose another slug", join(n.path, slug), other.path)
	case !other.ended.IsZero():
		return fmt.Errorf("%s was retired on %s and keeps its slug; choose another", other.path, other.ended.UTC().Format(time.DateOnly))
	case other.Slug != slug:
		return fmt.Errorf("%q is a former slug of %s; choose another", slug, other.path)
	}
	return fmt.Errorf("%s is there already", other.path)
}

// Description is what may be changed of a scope without anybody's plan; nil stays.
type Description struct{ Slug, Name, TimeZone, Location *string }

// Described is the tree with one scope called otherwise. The former slug still leads
// to it.
func (t *Tree) Described(id ScopeID, d Description) ([]Scope, error) {
	s, err := t.DescribedScope(id, d)
	if err != nil {
		return nil, err
	}
	return t.with(s), nil
}

// DescribedScope is the one scope, called otherwise.
func (t *Tree) DescribedScope(id ScopeID, d Description) (Scope, error) {
	n := t.node(id)
	if n == nil {
		return Scope{}, errors.New("there is no such scope")
	}
	s := n.Scope
	set := func(to *string, value *string) {
		if value != nil {
			*to = *value
		}
	}
	set(&s.Name, d.Name)
	set(&s.TimeZone, d.TimeZone)
	set(&s.Location, d.Location)
	err := described(s)
	if d.Slug != nil && *d.Slug != s.Slug {
		if n.parent == nil {
			return s, errors.Join(err, errors.New("the host has no slug"))
		}
		err = errors.Join(err, n.parent.free(*d.Slug, n))
		s.Was = without(append(slices.Clone(s.Was), s.Slug), *d.Slug)
		s.Slug = *d.Slug
	}
	if len(s.Was) > maxAliases {
		err = errors.Join(err, fmt.Errorf("it has had %d slugs, which all still lead to it: no more", len(s.Was)))
	}
	return s, err
}

// Place is where in All the scope stands.
func (t *Tree) Place(id ScopeID) int { return t.byID[id].at }

// Moved is the tree with one scope, and all below it, under another parent of the same
// level. The path that it had still leads to it; nothing else can take it.
func (t *Tree) Moved(id, parent ScopeID) ([]Scope, error) {
	n, p := t.node(id), t.node(parent)
	switch {
	case n == nil:
		return nil, errors.New("there is no such scope")
	case p == nil:
		return nil, errors.New("there is no such parent")
	case n.parent == nil:
		return nil, errors.New("the host cannot be moved")
	case n.parent == p:
		return nil, fmt.Errorf("%s lies there already", n.path)
	}
	if err := errors.Join(p.mayHold(n.Level), p.free(n.Slug, n)); err != nil {
		return nil, err
	}
	s := n.Scope
	former := slices.DeleteFunc(slices.Clone(s.Formerly), func(f Place) bool { return f.Parent == parent && f.Slug == s.Slug })
	for _, slug := range n.Slugs() {
		former = append(former, Place{Parent: n.Parent, Slug: slug})
	}
	s.Was = nil
	for _, f := range former {
		if f.Parent == parent { // it comes back, and what it was called there are former slugs again
			s.Was = append(s.Was, f.Slug)
		}
	}
	s.Formerly = slices.DeleteFunc(former, func(f Place) bool { return f.Parent == parent })
	if len(s.Formerly) > maxAliases {
		return nil, fmt.Errorf("it has lain at %d paths, which all still lead to it: no more", len(s.Formerly))
	}
	s.Parent = parent
	return t.with(s), nil
}

// RetiredAt is the tree with one scope, and all below it, retired from an instant on;
// the zero instant restores it, but not what was retired by itself below it.
func (t *Tree) RetiredAt(id ScopeID, at time.Time) ([]Scope, error) {
	n := t.node(id)
	switch {
	case n == nil:
		return nil, errors.New("there is no such scope")
	case n.parent == nil:
		return nil, errors.New("the host cannot be retired")
	case !at.IsZero() && !n.ended.IsZero():
		return nil, fmt.Errorf("%s was retired on %s", n.path, n.ended.UTC().Format(time.DateOnly))
	case at.IsZero() && n.Retired.IsZero() && !n.ended.IsZero():
		return nil, fmt.Errorf("%s is retired because of what lies above it; restore that", n.path)
	case at.IsZero() && n.Retired.IsZero():
		return nil, fmt.Errorf("%s is not retired", n.path)
	}
	s := n.Scope
	s.Retired = at
	return t.with(s), nil
}

// with lists all scopes, one of them replaced.
func (t *Tree) with(s Scope) []Scope {
	all := t.All()
	all[t.byID[s.ID].at] = s
	return all
}

func without(slugs []string, slug string) []string {
	return slices.DeleteFunc(slugs, func(x string) bool { return x == slug })
}

package oidctest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// The words for people and groups are internal/idp's.
type (
	// Person is one human in an identity provider's own directory.
	Person = idp.Person
	// Group is a group in the directory. Members are ObjectIDs of people.
	Group = idp.Group
	// Fleet is the extension schema that carries the fleet attributes.
	Fleet = idp.Fleet
	// Exchange is one SCIM request that was sent, and its answer.
	Exchange = idp.Exchange
	// SCIMError is an answer that is not a success.
	SCIMError = idp.SCIMError
)

// Directory is the identity provider's own people and groups, safe for
// concurrent use. What it returns are copies.
type Directory struct {
	mu      sync.Mutex // guards the rest
	people  []Person
	groups  []Group
	changed func()
}

// Watch sets what is called after each change, outside the directory's lock.
func (d *Directory) Watch(changed func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = changed
}

func (d *Directory) tell() {
	d.mu.Lock()
	changed := d.changed
	d.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// NewDirectory holds these people and groups, sorted by user name and by name.
func NewDirectory(people []Person, groups []Group) *Directory {
	d := &Directory{people: slices.Clone(people)}
	for _, g := range groups {
		g.Members = slices.Clone(g.Members)
		d.groups = append(d.groups, g)
	}
	d.sortLocked()
	return d
}

func (d *Directory) sortLocked() {
	slices.SortStableFunc(d.people, func(a, b Person) int { return cmp.Compare(a.UserName, b.UserName) })
	slices.SortStableFunc(d.groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
}

// People lists everybody, by user name.
func (d *Directory) People() []Person {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.people)
}

// Groups lists every group, by name.
func (d *Directory) Groups() []Group {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.groups)
	for i := range out {
		out[i].Members = slices.Clone(out[i].Members)
	}
	return out
}

// Find gives the person with that object id, user name or e-mail address (the
// latter two without regard to case).
func (d *Directory) Find(name string) (Person, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.personLocked(name)
	if at < 0 {
		return Person{}, false
	}
	return d.people[at], true
}

// FindGroup gives the group with that object id or name.
func (d *Directory) FindGroup(name string) (Group, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.groupLocked(name)
	if at < 0 {
		return Group{}, false
	}
	g := d.groups[at]
	g.Members = slices.Clone(g.Members)
	return g, true
}

func (d *Directory) personLocked(name string) int {
	return slices.IndexFunc(d.people, func(p Person) bool {
		return p.ObjectID == name || strings.EqualFold(p.UserName, name) || strings.EqualFold(p.Email, name)
	})
}

func (d *Directory) groupLocked(name string) int {
	return slices.IndexFunc(d.groups, func(g Group) bool { return g.ObjectID == name || g.Name == name })
}

// GroupsOf names the groups a person is in.
func (d *Directory) GroupsOf(objectID string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, g := range d.groups {
		if slices.Contains(g.Members, objectID) {
			names = append(names, g.Name)
		}
	}
	return names
}

func (d *Directory) addPerson(p Person) error {
	defer d.tell() // runs after the unlock
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.ObjectID == "" || p.UserName == "" {
		return fmt.Errorf("oidctest: a person needs an object id and a user name")
	}
	if d.personLocked(p.ObjectID) >= 0 || d.personLocked(p.UserName) >= 0 {
		return fmt.Errorf("oidctest: %s is already in the directory", p.UserName)
	}
	d.people = append(d.people, p)
	d.sortLocked()
	return nil
}

func (d *Directory) addGroup(g Group) error {
	defer d.tell() // runs after the unlock
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.ObjectID == "" || g.Name == "" {
		return fmt.Errorf("oidctest: a group needs an object id and a name")
	}
	if d.groupLocked(g.ObjectID) >= 0 || d.groupLocked(g.Name) >= 0 {
		return fmt.Errorf("oidctest: group %q is already in the directory", g.Name)
	}
	g.Members = slices.Clone(g.Members)
	d.groups = append(d.groups, g)
	d.sortLocked()
	return nil
}

// change edits one person in place and returns them before and after. The object
// id cannot be changed.
func (d *Directory) change(name string, edit func(*Person)) (before, after Person, err error) {
	defer d.tell() // runs after the unlock
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.personLocked(name)
	if at < 0 {
		return Person{}, Person{}, fmt.Errorf("oidctest: nobody called %q is in the directory", name)
	}
	before, after = d.people[at], d.people[at]
	edit(&after)
	after.ObjectID = before.ObjectID
	d.people[at] = after
	d.sortLocked()
	return before, after, nil
}

func (d *Directory) changeGroup(name string, edit func(*Group)) (Group, error) {
	defer d.tell() // runs after the unlock
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.groupLocked(name)
	if at < 0 {
		return Group{}, fmt.Errorf("oidctest: no group called %q is in the directory", name)
	}
	g := d.groups[at]
	g.Members = slices.Clone(g.Members)
	edit(&g)
	g.ObjectID = d.groups[at].ObjectID
	d.groups[at] = g
	g.Members = slices.Clone(g.Members)
	d.sortLocked()
	return g, nil
}

func (d *Directory) removePerson(objectID string) {
	defer d.tell() // runs after the unlock
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people = slices.DeleteFunc(d.people, func(p Person) bool { return p.ObjectID == objectID })
	for i := range d.groups {
		d.groups[i].Members = slices.DeleteFunc(slices.Clone(d.groups[i].Members), func(m string) bool { return m == objectID })
	}
}

func (d *Directory) removeGroup(objectID string) {
	defer d.tell() // runs after the unlock
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups = slices.DeleteFunc(d.groups, func(g Group) bool { return g.ObjectID == objectID })
}

type directoryFile struct {
	People []Person `json:"people"`
	Groups []Group  `json:"groups"`
}

// MarshalJSON writes the whole directory, so that a demo can keep it.
func (d *Directory) MarshalJSON() ([]byte, error) {
	return json.Marshal(directoryFile{People: d.People(), Groups: d.Groups()})
}

// UnmarshalJSON replaces the whole directory.
func (d *Directory) UnmarshalJSON(b []byte) error {
	var f directoryFile
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("oidctest: read a directory: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people, d.groups = f.People, f.Groups
	d.sortLocked()
	return nil
}

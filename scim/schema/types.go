package schema

import (
	"fmt"
	"maps"
	"slices"
)

// Types are the resource types that one connection serves: all that is known of its
// people and groups is found here.
type Types struct{ Users, Groups *ResourceType }

// Standard is what every connection serves, and all that one without schemas of its
// own does.
func Standard() Types { return Types{Users: users, Groups: groups} }

// ExtendUsers gives the types with one more extension of people. The error says what
// of it is taken already.
func (t Types) ExtendUsers(e Extension) (_ Types, err error) {
	if err = t.free(e.Schema); err == nil {
		t.Users, err = t.Users.extended(e)
	}
	return t, err
}

// ExtendGroups is ExtendUsers for groups.
func (t Types) ExtendGroups(e Extension) (_ Types, err error) {
	if err = t.free(e.Schema); err == nil {
		t.Groups, err = t.Groups.extended(e)
	}
	return t, err
}

// free refuses a URN that either type has: /Schemas has one schema of a URN.
func (t Types) free(s *Schema) error {
	for _, rt := range []*ResourceType{t.Users, t.Groups} {
		if rt.Schema(s.ID) != nil {
			return fmt.Errorf("there is a schema %s already", s.ID)
		}
	}
	return nil
}

// extended is rt with one more extension. Bare names that are taken keep their
// meaning; a path with a URN that would mean two things is an error.
func (rt *ResourceType) extended(e Extension) (*ResourceType, error) {
	if a := rt.find(e.Schema.ID); a != nil {
		return nil, fmt.Errorf("the URN %s also names the attribute %s", e.Schema.ID, a.Path())
	}
	more := *rt
	more.Extensions, more.custom = append(slices.Clone(rt.Extensions), e), append(slices.Clone(rt.custom), e)
	more.index, more.schemas, more.ordered = maps.Clone(rt.index), maps.Clone(rt.schemas), slices.Clone(rt.ordered)
	for _, a := range e.Schema.Attributes {
		for _, name := range a.spelled() {
			if rt.find(name) != nil || rt.Schema(name) != nil {
				return nil, fmt.Errorf("%s means something already", name)
			}
		}
		more.selects = more.selects || a.selects()
	}
	more.enterExtension(e.Schema)
	return &more, nil
}

// spelled is every spelling with a URN of an extension's attribute and its
// sub-attributes.
func (a *Attribute) spelled() []string {
	var all []string
	for _, name := range []string{a.URN + ":" + a.Name, a.URN + "." + a.Name} {
		all = append(all, name)
		for _, sub := range a.Sub {
			all = append(all, name+"."+sub.Name)
		}
	}
	return all
}

func (a *Attribute) selects() bool {
	return a.Returned != ReturnedDefault || slices.ContainsFunc(a.Sub, (*Attribute).selects)
}

// Selects says whether what is shown of a resource depends on attributes' returned
// characteristic.
func (rt *ResourceType) Selects() bool { return rt.selects }

// Custom lists the extensions that are the connection's own.
func (rt *ResourceType) Custom() []Extension { return rt.custom }

package schema

import (
	upstream "github.com/elimity-com/scim/schema"
)

// compile turns an upstream definition into our index's form.
func compile(def upstream.Schema, extension bool) *Schema {
	s := &Schema{ID: def.ID, Name: def.Name.Value(), Description: def.Description.Value()}
	for _, a := range def.Attributes {
		s.Attributes = append(s.Attributes, compileAttribute(a, nil, def.ID, extension))
	}
	return s
}

func compileAttribute(def upstream.CoreAttribute, parent *Attribute, urn string, extension bool) *Attribute {
	a := &Attribute{
		Name:            def.Name(),
		URN:             urn,
		Type:            typeOf(def.AttributeType()),
		MultiValued:     def.MultiValued(),
		Required:        def.Required(),
		CaseExact:       def.CaseExact(),
		Mutability:      mutabilityOf(def.Mutability()),
		Returned:        returnedOf(def.Returned()),
		Unique:          def.Uniqueness() != "none",
		Description:     def.Description(),
		CanonicalValues: def.CanonicalValues(),
		Parent:          parent,
		Extension:       extension,
	}
	for _, r := range def.ReferenceTypes() {
		a.ReferenceTypes = append(a.ReferenceTypes, string(r))
	}
	a.path = pathOf(a)
	for _, sub := range def.SubAttributes() {
		a.Sub = append(a.Sub, compileAttribute(sub, a, urn, extension))
	}
	return a
}

func pathOf(a *Attribute) string {
	switch {
	case a.Parent != nil:
		return a.Parent.path + "." + a.Name
	case a.Extension:
		return a.URN + ":" + a.Name
	default:
		return a.Name
	}
}

func typeOf(word string) Type {
	for i, w := range typeWords {
		if w == word {
			return Type(i)
		}
	}
	return String
}

func mutabilityOf(word string) Mutability {
	for i, w := range mutabilityWords {
		if w == word {
			return Mutability(i)
		}
	}
	return ReadWrite
}

func returnedOf(word string) Returned {
	for i, w := range returnedWords {
		if w == word {
			return Returned(i)
		}
	}
	return ReturnedDefault
}

// newResourceType indexes what rt's definitions say. Dropped attributes leave the
// core's definition, since /Schemas says only what is true, but keep their names.
func newResourceType(rt *ResourceType) *ResourceType {
	rt.index = map[string]*Attribute{}
	rt.schemas = map[string]*Schema{lowerASCII(rt.Core.ID): rt.Core}
	for _, a := range rt.Common {
		rt.enter(a, "")
		if a.Name == "externalId" {
			rt.ordered = append(rt.ordered, a)
		}
	}
	rt.enterCore()
	for _, e := range rt.Extensions {
		rt.enterExtension(e.Schema)
	}
	return rt
}

func (rt *ResourceType) enterCore() {
	var shown []*Attribute
	for _, a := range rt.Core.Attributes {
		rt.enter(a, "")
		rt.enter(a, rt.Core.ID+":")
		rt.enter(a, rt.Core.ID+".")
		if a.Dropped {
			continue
		}
		shown = append(shown, a)
		switch {
		case !a.Relation:
			rt.ordered = append(rt.ordered, a)
		case a.Mutability != ReadOnly:
			rt.relation = a
		}
	}
	rt.Core.Attributes = shown
}

// enterExtension also enters the bare names (department, manager.value), which
// identity providers send; a core attribute of that name comes first.
func (rt *ResourceType) enterExtension(s *Schema) {
	rt.schemas[lowerASCII(s.ID)] = s
	for _, a := range s.Attributes {
		rt.enter(a, s.ID+":")
		rt.enter(a, s.ID+".")
		rt.enter(a, "")
		rt.ordered = append(rt.ordered, a)
	}
}

func (rt *ResourceType) enter(a *Attribute, prefix string) {
	name := lowerASCII(prefix + a.Name)
	if _, taken := rt.index[name]; taken {
		return
	}
	rt.index[name] = a
	for _, sub := range a.Sub {
		rt.index[name+"."+lowerASCII(sub.Name)] = sub
	}
}

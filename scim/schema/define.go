package schema

import (
	"fmt"
	"slices"
)

// attributes reads a list of attributes, or of parent's sub-attributes.
func (d *definer) attributes(list node, path, urn string, parent *Attribute) []*Attribute {
	most := mostAttributes
	if parent != nil {
		most = mostSubAttributes
	}
	if len(list.items) > most {
		d.say(list.at, path, "more than %d attributes", most)
		return nil
	}
	var all []*Attribute
	for i, n := range list.items {
		here := fmt.Sprintf("%s[%d]", path, i)
		if !d.object(n, here, "name", "type", "subAttributes", "multiValued", "description", "required",
			"canonicalValues", "caseExact", "mutability", "returned", "uniqueness", "referenceTypes") {
			continue
		}
		a := d.attribute(n, here, urn, parent)
		if slices.ContainsFunc(all, func(b *Attribute) bool { return equalASCII(a.Name, b.Name) }) {
			d.say(n.part("name"), join(here, "name"), "there is an attribute %s already; names differ by more than case", Clip(a.Name))
		}
		all = append(all, a)
	}
	return all
}

func (d *definer) attribute(n node, path, urn string, parent *Attribute) *Attribute {
	a := &Attribute{
		Name: d.text(n, path, "name", longestAttribute), URN: urn, Parent: parent, Extension: true,
		Type:        String,
		MultiValued: d.truth(n, path, "multiValued", false),
		Required:    d.truth(n, path, "required", false),
		Description: d.text(n, path, "description", longestText),
	}
	if !isAttributeName(a.Name) && (parent == nil || a.Name != "$ref") {
		d.say(n.part("name"), join(path, "name"), "an attribute's name begins with a letter and is made of letters, digits and $ _ -")
	}
	if t := d.word(n, path, "type", typeWords[:]); t >= 0 {
		a.Type = Type(t)
	}
	a.path = pathOf(a)
	a.CaseExact = d.truth(n, path, "caseExact", a.Type == Binary || a.Type == Reference) && a.textual()
	a.CanonicalValues = d.texts(n, path, "canonicalValues", mostCanonical)
	a.ReferenceTypes = d.texts(n, path, "referenceTypes", mostCanonical)
	d.access(n, path, a)
	d.shape(n, path, a)
	return a
}

// textual says whether case can matter to the attribute's values.
func (a *Attribute) textual() bool {
	return a.Type == String || a.Type == Reference || a.Type == Binary
}

// access reads who may write and who is shown an attribute.
func (d *definer) access(n node, path string, a *Attribute) {
	if m := d.word(n, path, "mutability", mutabilityWords[:]); m >= 0 {
		a.Mutability = Mutability(m)
	}
	if a.Mutability == WriteOnly {
		a.Returned = ReturnedNever
	}
	if r := d.word(n, path, "returned", returnedWords[:]); r >= 0 {
		a.Returned = Returned(r)
	}
	if u := d.word(n, path, "uniqueness", []string{"none", "server", "global"}); u > 0 {
		d.say(n.part("uniqueness"), join(path, "uniqueness"), "values of a customer's own attributes are not kept unique: say none")
	}
	switch {
	case a.Mutability == WriteOnly && a.Returned != ReturnedNever:
		d.say(n.part("returned"), join(path, "returned"), "what is writeOnly is never returned")
	case a.Mutability == ReadOnly && a.Required:
		d.say(n.part("required"), join(path, "required"), "what is readOnly cannot be required: nobody could give it")
	case a.Mutability == WriteOnly && a.Parent != nil && a.Parent.MultiValued:
		d.say(n.part("mutability"), join(path, "mutability"), "a part of a multi-valued attribute is not writeOnly: a client that sends the list back could not know it")
	}
}

// shape reads what an attribute's type asks for.
func (d *definer) shape(n node, path string, a *Attribute) {
	subs, _ := n.member("subAttributes")
	switch {
	case a.Type == Complex && a.Parent != nil:
		d.say(n.part("type"), join(path, "type"), "no complex attribute stands in another (RFC 7643 section 2.3.8)")
	case a.Type == Complex && (subs.kind != '[' || len(subs.items) == 0):
		d.say(n.part("subAttributes"), join(path, "subAttributes"), "a complex attribute has an array of at least one sub-attribute")
	case a.Type == Complex:
		a.Sub = d.attributes(subs, join(path, "subAttributes"), a.URN, a)
	case subs.kind == '[' && len(subs.items) > 0 || subs.kind != 0 && subs.kind != '[':
		d.say(subs.at, join(path, "subAttributes"), "only a complex attribute has sub-attributes")
	}
	if len(a.CanonicalValues) > 0 && a.Type != String {
		d.say(n.part("canonicalValues"), join(path, "canonicalValues"), "only strings have canonical values")
	}
	if len(a.ReferenceTypes) > 0 && a.Type != Reference {
		d.say(n.part("referenceTypes"), join(path, "referenceTypes"), "only a reference has reference types")
	}
	if len(a.ReferenceTypes) == 0 && a.Type == Reference {
		d.say(n.part("referenceTypes"), join(path, "referenceTypes"), "a reference says what it refers to: external, uri, User or Group")
	}
	if a.MultiValued && a.Parent != nil && a.Parent.MultiValued {
		d.say(n.part("multiValued"), join(path, "multiValued"), "a part of a multi-valued attribute has one value")
	}
}

package patch

import (
	"maps"
	"slices"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// multiValued compiles a change of a multi-valued attribute, or of some of its
// elements.
func (c *compiler) multiValued(t target) error {
	switch {
	case t.Sub != nil:
		return c.elementSub(t)
	case t.Filter != nil:
		return c.elementWhole(t)
	case c.op.verb == remove:
		return c.removeElements(t)
	}
	a := t.Attr
	v, err := c.Value(a, t.value)
	if err != nil {
		return err
	}
	if c.op.verb == replace {
		c.edit(func(doc schema.Object) error { doc.Put(a, schema.CloneValue(v)); return nil }) // a plan's own values stay out of documents
		return nil
	}
	items, _ := v.([]any)
	c.edit(func(doc schema.Object) error { return c.addElements(doc, a, items) })
	return nil
}

// removeElements removes the elements that the value describes, because Entra and
// authentik mean that by it, or all where there is no value.
func (c *compiler) removeElements(t target) error {
	a := t.Attr
	if t.value == nil {
		c.edit(func(doc schema.Object) error { doc.Put(a, nil); return nil })
		return nil
	}
	if err := c.byValue(a); err != nil {
		return err
	}
	v, err := c.Value(a, t.value)
	if err != nil {
		return err
	}
	described, _ := v.([]any)
	c.edit(func(doc schema.Object) error {
		for _, d := range described {
			dropElements(doc, a, func(have any) bool { return describes(a, d, have) })
		}
		return nil
	})
	return nil
}

// byValue notes, or refuses, a removal of what the value names.
func (c *compiler) byValue(a *schema.Attribute) error {
	if !c.Leniency.RemoveByValue {
		return schema.Errorf(schema.InvalidValue, a.Path(), `a remove operation has no value; what goes is selected in its path: %s[value eq "…"]`, a.Name)
	}
	c.Notes.Add(schema.NoteRemoved, a.Path())
	return nil
}

// describes says whether have is the element that d names: by its value, or
// without one by everything that d says.
func describes(a *schema.Attribute, d, have any) bool {
	said, ok := d.(schema.Object)
	element, alsoOK := have.(schema.Object)
	if !ok || !alsoOK {
		return same(a, d, have)
	}
	if _, has := said["value"]; has {
		return same(a.SubAttribute("value"), said["value"], element["value"])
	}
	for name, v := range said {
		if !same(a.SubAttribute(name), v, element[name]) {
			return false
		}
	}
	return true
}

func same(a *schema.Attribute, x, y any) bool {
	xs, ok := x.(string)
	ys, alsoOK := y.(string)
	if ok && alsoOK && !a.CaseExact {
		return schema.Fold(xs) == schema.Fold(ys)
	}
	return schema.Equal(x, y)
}

func (c *compiler) elementSub(t target) error {
	sub := t.Sub
	v, err := c.wanted(sub, t.value)
	if err != nil {
		return err
	}
	c.elements(t, v == nil, func(element schema.Object) {
		if v == nil {
			delete(element, sub.Name)
			return
		}
		element[sub.Name] = v
	})
	return nil
}

// elementWhole changes selected elements: add says more of them, replace puts
// another in their place, and remove takes them out, as does an empty value.
func (c *compiler) elementWhole(t target) error {
	a, f := t.Attr, t.Filter
	var v any
	var err error
	if c.op.verb != remove {
		if v, err = c.Element(a, t.value); err != nil {
			return err
		}
	}
	if v == nil {
		c.edit(func(doc schema.Object) error {
			dropElements(doc, a, func(have any) bool { return matches(f, have) })
			return nil
		})
		return nil
	}
	said, _ := v.(schema.Object)
	replacing := c.op.verb == replace
	c.elements(t, false, func(element schema.Object) {
		if replacing {
			clear(element)
			stamp(element, t.Pairs, false)
		}
		maps.Copy(element, said)
	})
	return nil
}

// listOf is the list that a document has; none where it is of another type, which a
// connection's own schema may have said once.
func listOf(doc schema.Object, a *schema.Attribute) []any {
	list, _ := a.Valid(doc.Get(a)).([]any)
	return list
}

// within changes one element, but not what is immutable in it and has a value.
func within(a *schema.Attribute, element schema.Object, change func(schema.Object)) error {
	if !slices.ContainsFunc(a.Sub, func(sub *schema.Attribute) bool { return sub.Mutability == schema.Immutable }) {
		change(element)
		return nil
	}
	was := element.Clone()
	change(element)
	for _, sub := range a.Sub {
		if v := was[sub.Name]; sub.Mutability == schema.Immutable && v != nil && !schema.Equal(v, element[sub.Name]) {
			return schema.Errorf(schema.NotMutable, sub.Path(), "the attribute is immutable and has a value")
		}
	}
	return nil
}

func matches(f filter.Expr, v any) bool {
	o, ok := v.(schema.Object)
	return ok && (f == nil || filter.MatchesElement(f, o))
}

func dropElements(doc schema.Object, a *schema.Attribute, drop func(any) bool) {
	var kept []any
	for _, v := range listOf(doc, a) {
		if !drop(v) {
			kept = append(kept, v)
		}
	}
	if len(kept) == 0 {
		doc.Put(a, nil)
		return
	}
	doc.Put(a, kept)
}

// elements changes every selected element. Where none is selected, one is made
// that the filter would select: Entra sends nothing else to create an address, and
// PATCH being atomic, a noTarget would cost it everything else in the request.
func (c *compiler) elements(t target, clearing bool, change func(schema.Object)) {
	create := c.Leniency.CreateMissing && (t.Filter == nil || t.Stampable)
	c.editNoting(func(doc schema.Object, notes *schema.Notes) error {
		list := listOf(doc, t.Attr)
		touched := map[int]bool{}
		for i, v := range list {
			if matches(t.Filter, v) {
				touched[i] = true
			}
		}
		switch {
		case len(touched) == 0 && clearing:
			return nil
		case len(touched) == 0 && !create:
			return noTarget(t)
		}
		made := -1
		if len(touched) == 0 {
			list, made = missing(list, t.Pairs)
			touched[made] = true
			notes.Add(schema.NoteCreated, t.Attr.Path())
		}
		for i := range touched {
			if err := within(t.Attr, list[i].(schema.Object), change); err != nil {
				return err
			}
		}
		// emails[value eq "a"].value = "b" would make another element each time.
		if made >= 0 && contradicts(list[made].(schema.Object), t.Pairs) {
			return noTarget(t)
		}
		doc.Put(t.Attr, list)
		return c.settlePrimary(t.Attr, list, touched)
	})
}

func noTarget(t target) error {
	return schema.Errorf(schema.NoTarget, schema.Clip(t.Raw), "the path selects nothing that is there")
}

// missing finds or appends the element to change where a filter selected none. A
// filter takes the primary place only while nobody has it: it must not move the
// address that a person signs in by. For [type eq "work" and primary eq true], an
// element of type work is the one that is meant, primary or not.
func missing(list []any, pairs []filter.Pair) ([]any, int) {
	taken := hasPrimary(list)
	if len(pairs) > 1 && asksPrimary(pairs) {
		for i, v := range list {
			if o, ok := v.(schema.Object); ok && stamped(o, pairs) {
				stamp(o, pairs, taken)
				return list, i
			}
		}
	}
	element := schema.Object{}
	stamp(element, pairs, taken)
	return append(list, element), len(list)
}

func asksPrimary(pairs []filter.Pair) bool {
	return slices.ContainsFunc(pairs, func(p filter.Pair) bool { return p.Sub.Name == "primary" && p.Value == true })
}

func hasPrimary(list []any) bool {
	for _, v := range list {
		if o, ok := v.(schema.Object); ok && o["primary"] == true {
			return true
		}
	}
	return false
}

func stamp(element schema.Object, pairs []filter.Pair, taken bool) {
	for _, p := range pairs {
		if taken && p.Sub.Name == "primary" && p.Value == true {
			continue
		}
		element[p.Sub.Name] = p.Value
	}
}

// stamped says whether an element has every value of pairs but the primary place.
func stamped(element schema.Object, pairs []filter.Pair) bool {
	for _, p := range pairs {
		if p.Sub.Name != "primary" && !same(p.Sub, p.Value, element[p.Sub.Name]) {
			return false
		}
	}
	return true
}

// contradicts says whether a new element has been given another value than the
// filter asks for; leaving out the primary place is not another value.
func contradicts(element schema.Object, pairs []filter.Pair) bool {
	return slices.ContainsFunc(pairs, func(p filter.Pair) bool {
		v := element[p.Sub.Name]
		return !same(p.Sub, p.Value, v) && (v != nil || p.Sub.Name != "primary")
	})
}

// addElements appends what is not there yet. An element of the same value and type
// is the same one, about which more is said. Only who is said to be primary takes
// the place: naming the one that has it again keeps it from nobody.
func (c *compiler) addElements(doc schema.Object, a *schema.Attribute, items []any) error {
	list := listOf(doc, a)
	primary := map[int]bool{}
	for _, item := range items {
		at := indexOf(a, list, item)
		if at < 0 {
			at = len(list)
			list = append(list, schema.CloneValue(item))
		} else if said, ok := item.(schema.Object); ok {
			if err := within(a, list[at].(schema.Object), func(have schema.Object) { maps.Copy(have, said) }); err != nil {
				return err
			}
		}
		if said, ok := item.(schema.Object); ok && said["primary"] == true {
			primary[at] = true
		}
	}
	if len(list) == 0 {
		return nil
	}
	doc.Put(a, list)
	return c.settlePrimary(a, list, primary)
}

func indexOf(a *schema.Attribute, list []any, item any) int {
	said, _ := item.(schema.Object)
	for i, v := range list {
		have, ok := v.(schema.Object)
		switch {
		case schema.Equal(v, item):
			return i
		case !ok || said["value"] == nil:
			continue
		case same(a.SubAttribute("value"), said["value"], have["value"]) && sameType(said, have):
			return i
		}
	}
	return -1
}

func sameType(x, y schema.Object) bool {
	return schema.Fold(x.Text("type")) == schema.Fold(y.Text("type"))
}

// settlePrimary takes the primary place from every other element once a touched
// one has it (RFC 7644 section 3.5.2). An element that is still without a value has it
// only once it gets one: until then it may go again, and the place with it.
func (c *compiler) settlePrimary(a *schema.Attribute, list []any, touched map[int]bool) error {
	has := func(v any) bool {
		o, ok := v.(schema.Object)
		return ok && o["primary"] == true && !c.Type.Husk(a, o)
	}
	primaries := 0
	for i := range touched {
		if has(list[i]) {
			primaries++
		}
	}
	switch {
	case primaries > 1:
		return schema.Errorf(schema.InvalidValue, a.Path()+".primary", "at most one value is the primary one")
	case primaries == 0:
		return nil
	}
	for i, v := range list {
		if !touched[i] && has(v) {
			v.(schema.Object)["primary"] = false
		}
	}
	return nil
}

package patch

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// target is one place that an operation changes, and with what.
type target struct {
	filter.Path
	value schema.Raw // Deferred for a relation
	named bool       // by the operation's own path, not by a name in its value
}

func (c *compiler) edit(apply func(schema.Object) error) {
	c.editNoting(func(doc schema.Object, _ *schema.Notes) error { return apply(doc) })
}

func (c *compiler) editNoting(apply func(schema.Object, *schema.Notes) error) {
	c.plan.Edits = append(c.plan.Edits, Edit{Index: c.op.index, at: c.at, apply: apply})
}

func (c *compiler) target(t target) error {
	if t.Schema != nil {
		return c.schema(t)
	}
	switch fixed := readOnly(t.Path); {
	case fixed != nil && (t.named || !c.Leniency.ReadOnlyNames):
		return schema.Errorf(schema.NotMutable, fixed.Path(), "the attribute is %s", fixed.Mutability)
	case fixed != nil:
		c.Notes.Add(schema.NoteReadOnlyNamed, fixed.Path())
		return nil
	case t.Attr.Dropped:
		c.Notes.Add(schema.NoteDropped, t.Attr.Path())
		return nil
	}
	c.at = site{urn: t.Attr.URN, path: t.Attr.Path()}
	c.say(t)
	switch {
	case t.Attr.Relation:
		return c.relation(t)
	case c.op.verb == remove && t.Sub == nil && t.Attr.Required:
		return schema.Errorf(schema.NotMutable, t.Attr.Path(), "the attribute is required and cannot be removed")
	case t.Attr.MultiValued:
		return c.multiValued(t)
	case t.Sub != nil:
		return c.sub(t.Attr, t.Sub, t.value)
	case t.Attr.Type == schema.Complex:
		return c.complex(t)
	default:
		return c.simple(t)
	}
}

// readOnly is the attribute on the path that nobody may change; nil if there is none.
func readOnly(p filter.Path) *schema.Attribute {
	for _, a := range []*schema.Attribute{p.Attr, p.Sub} {
		if a != nil && (a.Mutability == schema.ReadOnly || a.URN == "" && a.Name == "schemas") {
			return a
		}
	}
	return nil
}

// schema changes the attributes of one schema: the path, or a name in the value,
// is its URN.
func (c *compiler) schema(t target) error {
	fields, isObject := t.value.(schema.Fields)
	switch {
	case isObject && c.op.verb != remove:
		c.inSchema = true
		defer func() { c.inSchema = false }()
		return c.fields(t.Schema.ID+":", fields)
	case t.Schema == c.Type.Core:
		return schema.Errorf(schema.InvalidValue, t.Schema.ID, "an object of attributes is expected")
	case t.value == nil || c.op.verb == remove:
		c.at = site{urn: t.Schema.ID}
		c.say(t)
		attributes := t.Schema.Attributes
		c.edit(func(doc schema.Object) error { clearAll(doc, attributes); return nil })
		return nil
	default:
		return schema.Errorf(schema.InvalidValue, t.Schema.ID, "an object of attributes is expected")
	}
}

// clearAll takes away what a client may write of an extension.
func clearAll(doc schema.Object, attributes []*schema.Attribute) {
	for _, a := range attributes {
		if a.Mutability != schema.ReadOnly {
			doc.Put(a, nil)
		}
	}
}

func (c *compiler) simple(t target) error {
	a := t.Attr
	v, err := c.wanted(a, t.value)
	if err != nil {
		return err
	}
	if v == nil && a.Required {
		return schema.Errorf(schema.InvalidValue, a.Path(), "required, and not empty")
	}
	c.edit(func(doc schema.Object) error { doc.Put(a, v); return nil })
	return nil
}

// wanted is the typed value that the operation leaves; nil to clear.
func (c *compiler) wanted(a *schema.Attribute, raw schema.Raw) (any, error) {
	if c.op.verb == remove {
		return nil, nil
	}
	return c.Value(a, raw)
}

// complex changes the sub-attributes that the value names and leaves the others
// (RFC 7644 section 3.5.2.3). An empty value clears the attribute.
func (c *compiler) complex(t target) error {
	a := t.Attr
	if c.op.verb == remove {
		c.edit(func(doc schema.Object) error { doc.Put(a, nil); return nil })
		return nil
	}
	fields, err := c.Fields(a, t.value)
	if err != nil {
		return err
	}
	if fields == nil {
		c.edit(func(doc schema.Object) error { doc.Put(a, nil); return nil })
		return nil
	}
	// A new "value" takes what was said of the old one with it, so it comes first.
	fields = slices.Clone(fields)
	slices.SortStableFunc(fields, func(x, y schema.Field) int { return rank(x) - rank(y) })
	for _, f := range fields {
		sub, err := c.Sub(a, f.Name)
		if err != nil {
			return err
		}
		if sub == nil {
			continue
		}
		if err := c.sub(a, sub, f.Value); err != nil {
			return err
		}
	}
	return nil
}

func rank(f schema.Field) int {
	if strings.EqualFold(f.Name, "value") {
		return 0
	}
	return 1
}

func (c *compiler) sub(a, sub *schema.Attribute, raw schema.Raw) error {
	v, err := c.wanted(sub, raw)
	if err != nil {
		return err
	}
	c.edit(func(doc schema.Object) error { setSub(doc, a, sub, v); return nil })
	return nil
}

// setSub changes one sub-attribute of a single-valued complex attribute. Where
// that refers to another resource (manager), its value is what it is about: a new
// one takes $ref and displayName of the old one away, none takes everything.
func setSub(doc schema.Object, a, sub *schema.Attribute, v any) {
	in, _ := doc.Get(a).(schema.Object)
	if in == nil {
		in = schema.Object{}
	}
	if sub.Name == "value" && a.SubAttribute("$ref") != nil && in["value"] != v {
		in = schema.Object{}
	}
	if v == nil {
		delete(in, sub.Name)
	} else {
		in[sub.Name] = v
	}
	if len(in) == 0 {
		doc.Put(a, nil)
		return
	}
	doc.Put(a, in)
}

package mapping

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Attribute is a SCIM attribute of people that conditions know by a name.
type Attribute struct {
	Name string            // what the policy calls it
	At   *schema.Attribute // in the schemas of the connection
}

// List says whether its value is a list.
func (a Attribute) List() bool {
	return a.At.MultiValued || a.leaf().MultiValued || a.At.Parent != nil && a.At.Parent.MultiValued
}

// leaf is the attribute whose values count: of a multi-valued complex one its value.
func (a Attribute) leaf() *schema.Attribute {
	if a.At.Type == schema.Complex {
		return a.At.SubAttribute("value")
	}
	return a.At
}

// Of is the attribute's value in a person's document: a string, bool, int64, float64
// or time.Time, or a []any of one of them. It is nil if there is none, or one of another
// type than the schema's. Of a list, elements of another type are left out, and an empty
// list is none.
func (a Attribute) Of(doc schema.Object) any {
	top := a.At
	if top.Parent != nil {
		top = top.Parent
	}
	v := doc.Get(top)
	if !top.MultiValued {
		return a.many(inside(v, top, a.leaf()))
	}
	items, _ := v.([]any)
	var values []any
	for _, item := range items {
		switch one := a.many(inside(item, top, a.leaf())).(type) {
		case nil:
		case []any:
			values = append(values, one...)
		default:
			values = append(values, one)
		}
	}
	return list(values)
}

// inside is the leaf's value in a value, or in an element, of the attribute at the top.
func inside(v any, top, leaf *schema.Attribute) any {
	if leaf == top {
		return v
	}
	o, _ := v.(schema.Object)
	return o[leaf.Name]
}

// many is a leaf's value as conditions see it; a sub-attribute may have several.
func (a Attribute) many(v any) any {
	leaf := a.leaf()
	items, several := v.([]any)
	if !several {
		return a.plain(leaf, v)
	}
	var values []any
	for _, item := range items {
		if one := a.plain(leaf, item); one != nil {
			values = append(values, one)
		}
	}
	return list(values)
}

func list(values []any) any {
	if len(values) == 0 {
		return nil
	}
	return values
}

// plain is one value of the leaf's type, or nil.
func (a Attribute) plain(leaf *schema.Attribute, v any) any {
	switch leaf.Type {
	case schema.Boolean:
		if b, ok := v.(bool); ok {
			return b
		}
	case schema.Integer:
		if n, ok := v.(int64); ok {
			return n
		}
	case schema.Decimal:
		switch n := v.(type) {
		case float64:
			return n
		case int64: // how a whole number is stored
			return float64(n)
		}
	case schema.DateTime:
		text, _ := v.(string)
		if at, ok := schema.ParseTime(text); ok {
			return at.UTC().Truncate(time.Millisecond)
		}
	case schema.Complex:
	default:
		if text, ok := v.(string); ok {
			return a.offered(text)
		}
	}
	return nil
}

// entitlement begins the values under which grants stand in entitlements: there, ids
// must differ from those of the roles that are the same grants (package scim).
const entitlement = "ent_"

// offered is a text as conditions read it. What is offered to identity providers as the
// role "standard" and as the entitlement "ent_standard" is one grant, and has one spelling.
func (a Attribute) offered(text string) string {
	if a.At.URN != schema.UserURN || !strings.HasPrefix(a.At.Path(), "entitlements") {
		return text
	}
	if grant, ok := strings.CutPrefix(text, entitlement); ok && access.Grant(grant).Known() {
		return grant
	}
	return text
}

// Look reads attributes of a document; nil if it has none of them.
func Look(look []Attribute, doc schema.Object) map[string]any {
	var values map[string]any
	for _, a := range look {
		v := a.Of(doc)
		if v == nil {
			continue
		}
		if values == nil {
			values = make(map[string]any, len(look))
		}
		values[a.Name] = v
	}
	return values
}

// SameLook says whether conditions see no difference between two documents.
func SameLook(look []Attribute, a, b schema.Object) bool {
	for _, x := range look {
		if !reflect.DeepEqual(x.Of(a), x.Of(b)) {
			return false
		}
	}
	return true
}

// TypesOf compiles what a connection's people and groups are made of.
func TypesOf(s access.SCIM) (types schema.Types, err error) {
	types = schema.Standard()
	for _, e := range s.UserExtensions {
		if types, err = extend(types, e, schema.Types.ExtendUsers); err != nil {
			return types, err
		}
	}
	for _, e := range s.GroupExtensions {
		if types, err = extend(types, e, schema.Types.ExtendGroups); err != nil {
			return types, err
		}
	}
	return types, nil
}

func extend(types schema.Types, e access.Extension, by func(schema.Types, schema.Extension) (schema.Types, error)) (_ schema.Types, err error) {
	defined, faults := schema.ParseDefinitions(e.Schema)
	if len(faults) > 0 {
		return types, fmt.Errorf("a stored schema: %s", faults[0])
	}
	for _, s := range defined {
		if types, err = by(types, schema.Extension{Schema: s, Required: e.Required}); err != nil {
			return types, err
		}
	}
	return types, nil
}

package schema

import (
	"reflect"
	"strings"
	"time"
)

// Object is a resource, or a complex value: canonical attribute names to values.
// A value is a string, bool, int64, float64, Object, or []any of those. Extension
// attributes stand in an Object under their schema's URN. Only this package and
// scim/patch make them, from input that has been checked against the schema.
type Object map[string]any

// holder is the object in which a's value, or its parent's, stands: o itself, or
// the extension's object, which is nil if there is none.
func (o Object) holder(a *Attribute) Object {
	if !a.Extension {
		return o
	}
	ext, _ := o[a.URN].(Object)
	return ext
}

// Get is the value of a top-level attribute, core or extension; nil if unassigned.
func (o Object) Get(a *Attribute) any { return o.holder(a)[a.Name] }

// Put sets a top-level attribute, core or extension; nil removes it, and with the
// last attribute of an extension the extension.
func (o Object) Put(a *Attribute, v any) {
	holder := o.holder(a)
	if v == nil {
		delete(holder, a.Name)
		if a.Extension && len(holder) == 0 {
			delete(o, a.URN)
		}
		return
	}
	if holder == nil {
		holder = Object{}
		o[a.URN] = holder
	}
	holder[a.Name] = v
}

// at follows canonical names; an extension's URN is a name.
func (o Object) at(path []string) any {
	var v any = o
	for _, name := range path {
		in, ok := v.(Object)
		if !ok {
			return nil
		}
		v = in[name]
	}
	return v
}

// Text is the string at a path of canonical names, "" if there is none:
// Text("name", "familyName"), Text(EnterpriseURN, "department").
func (o Object) Text(path ...string) string {
	s, _ := o.at(path).(string)
	return s
}

// Bool is the boolean at a path, and whether there is one.
func (o Object) Bool(path ...string) (value, present bool) {
	value, present = o.at(path).(bool)
	return value, present
}

// Time is the instant at a path, and whether there is one.
func (o Object) Time(path ...string) (time.Time, bool) {
	return ParseTime(o.Text(path...))
}

// Email is the address to use, as Main has it.
func (o Object) Email() string {
	return o.main("emails", func(mail Object) bool { return mail.Text("value") != "" }).Text("value")
}

// Main is the value to use of a complex attribute with several: the primary one, else
// the first of type work, else the first; nil if there is none.
func (o Object) Main(name string) Object {
	return o.main(name, func(v Object) bool { return len(v) > 0 })
}

// main is Main of the values that count.
func (o Object) main(name string, counts func(Object) bool) Object {
	list, _ := o[name].([]any)
	var first, work Object
	for _, item := range list {
		v, ok := item.(Object)
		if !ok || !counts(v) {
			continue
		}
		if isPrimary(v) {
			return v
		}
		if work == nil && strings.EqualFold(v.Text("type"), "work") {
			work = v
		}
		if first == nil {
			first = v
		}
	}
	if work != nil {
		return work
	}
	return first
}

// FormattedName is the name to show: the formatted one, else given and family
// name, else the display name, else the user name.
func (o Object) FormattedName() string {
	if s := o.Text("name", "formatted"); s != "" {
		return s
	}
	if s := strings.TrimSpace(o.Text("name", "givenName") + " " + o.Text("name", "familyName")); s != "" {
		return s
	}
	if s := o.Text("displayName"); s != "" {
		return s
	}
	return o.Text("userName")
}

// Clone is a deep copy.
func (o Object) Clone() Object {
	if o == nil {
		return nil
	}
	out := make(Object, len(o))
	for name, v := range o {
		out[name] = CloneValue(v)
	}
	return out
}

// CloneValue is a deep copy of a value that an Object may hold.
func CloneValue(v any) any {
	switch v := v.(type) {
	case Object:
		return v.Clone()
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = CloneValue(item)
		}
		return out
	default:
		return v
	}
}

// Equal says whether two values are the same.
func Equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// Tidy takes out what holds nothing: elements that say only their type or that
// they are primary, empty lists and objects. Clearing emails[type eq "work"].value
// must not leave a work address without an address behind. What rt has no name for
// stays as it is stored.
func (rt *ResourceType) Tidy(doc Object) {
	for name, v := range doc {
		if !strings.Contains(name, ":") {
			doc.set(name, tidied(v, true))
			continue
		}
		s := rt.Schema(name)
		ext, isObject := v.(Object)
		if s == nil || !isObject {
			continue
		}
		for _, a := range s.Attributes {
			ext.set(a.Name, tidied(ext[a.Name], s.husks(a)))
		}
		if len(ext) == 0 {
			delete(doc, name)
		}
	}
}

func (o Object) set(name string, v any) {
	if v == nil {
		delete(o, name)
		return
	}
	o[name] = v
}

// tidied is what is left of a value, nil for nothing. Husks are elements that say
// nothing of a value.
func tidied(v any, husks bool) any {
	switch v := v.(type) {
	case Object:
		for name, inner := range v {
			v.set(name, tidied(inner, husks))
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		if kept := tidyList(v, husks); len(kept) > 0 {
			return kept
		}
		return nil
	}
	return v
}

func tidyList(list []any, husks bool) []any {
	kept := make([]any, 0, len(list))
	for _, item := range list {
		if o, ok := item.(Object); !ok || len(o) > 0 && !(husks && o.husk()) {
			kept = append(kept, item)
		}
	}
	return kept
}

// Husk says whether an element of a list says nothing of a value, so that Tidy takes
// it out.
func (rt *ResourceType) Husk(a *Attribute, element Object) bool {
	s := rt.Schema(a.URN)
	return element.husk() && (s == nil || s.husks(a))
}

// husks: an own attribute's elements may be made of nothing but a type, and what
// lacks a value that is required is refused instead.
func (s *Schema) husks(a *Attribute) bool {
	value := a.SubAttribute("value")
	return !s.Custom || value != nil && !value.Required
}

func (o Object) husk() bool {
	for name := range o {
		if name != "type" && name != "primary" {
			return false
		}
	}
	return true
}

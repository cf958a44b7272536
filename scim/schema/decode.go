package schema

import (
	"slices"
	"unicode/utf8"
)

// Checked is a POST or PUT body that has met the schema.
type Checked struct {
	Doc     Object       // without schemas, id, meta and relations
	Members []string     // of a group: the ids in order, each once; nil if the body has no members
	Notes   Notes        // the leniencies used
	Named   []*Attribute // set, of those that are shown to who names them (returned: request)
}

// Decode reads the body of a POST or PUT. Read-only attributes are passed over,
// unassigned ones are left out, required ones must be there. Every error is an
// *Error that names the attribute.
func (rt *ResourceType) Decode(body []byte, l Leniency) (Checked, error) {
	if err := rt.Guard(body); err != nil {
		return Checked{}, err
	}
	raw, err := Read(body, rt.DeferRelation)
	if err != nil {
		return Checked{}, err
	}
	fields, ok := raw.(Fields)
	if !ok {
		return Checked{}, Errorf(InvalidSyntax, "", "the body is a JSON object")
	}
	d := decoder{Checker: Checker{Type: rt, Leniency: l}, doc: Object{}}
	if err := d.resource(fields); err != nil {
		return Checked{}, err
	}
	rt.Tidy(d.doc)
	if err := rt.Complete(d.doc); err != nil {
		return Checked{}, err
	}
	return Checked{Doc: d.doc, Members: d.members, Notes: d.Notes, Named: d.Named}, nil
}

// DeferRelation is a Defer that keeps lists of members out of what is built.
func (rt *ResourceType) DeferRelation(_ int, name string) bool {
	if rt.relation == nil {
		return false
	}
	return rt.find(name) == rt.relation
}

// mostNameLength bounds, in characters, what indexes, cursors, other people's answers
// and pages carry about.
const mostNameLength = 1024

func isName(attribute string) bool {
	return attribute == "userName" || attribute == "displayName" || attribute == "externalId"
}

// Complete refuses a document that lacks a required attribute.
func (rt *ResourceType) Complete(doc Object) error {
	for _, a := range rt.ordered {
		if a.Required && !a.Extension && doc[a.Name] == nil {
			return Errorf(InvalidValue, a.path, "required, and not empty")
		}
		if name, isText := doc[a.Name].(string); isText && !a.Extension && isName(a.Name) && utf8.RuneCountInString(name) > mostNameLength {
			return Errorf(InvalidValue, a.path, "longer than %d characters", mostNameLength)
		}
	}
	return nil
}

type decoder struct {
	Checker
	doc     Object
	members []string
	set     []*Attribute // in the object that is being read
	nested  []*Attribute // in an extension's own object, which outranks other spellings
}

func (d *decoder) resource(fields Fields) error {
	listed, _ := fields.Get("schemas")
	if err := d.schemas(listed, fields); err != nil {
		return err
	}
	for _, f := range fields {
		if s := d.Type.Schema(f.Name); s != nil {
			if err := d.extension(s, f.Value); err != nil {
				return err
			}
		}
	}
	d.nested, d.set = d.set, nil
	for _, f := range fields {
		if d.Type.Schema(f.Name) != nil {
			continue
		}
		if err := d.attribute(f); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) extension(s *Schema, raw Raw) error {
	fields, ok := raw.(Fields)
	if raw != nil && !ok {
		return Errorf(InvalidValue, s.ID, "an object is expected")
	}
	for _, f := range fields {
		if a := d.Type.find(s.ID + ":" + f.Name); a != nil {
			if err := d.put(a, f.Value); err != nil {
				return err
			}
		} else if err := d.unknown(s.ID + ":" + f.Name); err != nil {
			return err
		}
	}
	return nil
}

// attribute sets a top-level field. A name with a dot is no attribute of a
// resource, whatever a PATCH may call it.
func (d *decoder) attribute(f Field) error {
	a := d.Type.find(f.Name)
	switch {
	case a == nil || a.Parent != nil:
		return d.unknown(f.Name)
	case a.Extension && !d.Leniency.Aliases:
		return d.unknown(f.Name)
	}
	if err := d.Spelt(a, f.Name, InvalidSyntax); err != nil || slices.Contains(d.nested, a) {
		return err
	}
	return d.put(a, f.Value)
}

func (d *decoder) unknown(name string) error {
	if !d.Leniency.UnknownNames {
		return Errorf(InvalidSyntax, Clip(name), "a %s has no attribute of this name", d.Type.Name)
	}
	d.Notes.Add(NoteUnknownName, name)
	return nil
}

func (d *decoder) put(a *Attribute, raw Raw) error {
	switch {
	case a.Name == "schemas" && a.URN == "":
		return nil
	case a.Mutability == ReadOnly:
		d.Notes.Add(NoteReadOnly, a.path)
		return nil
	case a.Dropped:
		d.Notes.Add(NoteDropped, a.path)
		return nil
	case a.Relation:
		return d.relation(a, raw)
	}
	v, err := d.Value(a, raw)
	if err != nil {
		return err
	}
	if slices.Contains(d.set, a) {
		return Errorf(InvalidSyntax, a.path, "the attribute stands twice")
	}
	d.set = append(d.set, a)
	d.doc.Put(a, v)
	return nil
}

func (d *decoder) relation(a *Attribute, raw Raw) error {
	later, ok := raw.(Deferred)
	if !ok {
		return Errorf(InvalidSyntax, a.path, "members stand in the group's own object")
	}
	if string(later) == "null" {
		return nil
	}
	var err error
	d.members, err = d.MemberIDs(a, later)
	return err
}

// schemas checks the list of URNs. Strict: it must be there, name the core schema
// and every extension that is present, and nothing that is unknown.
func (d *decoder) schemas(raw Raw, fields Fields) error {
	list, ok := raw.([]Raw)
	if raw != nil && !ok {
		return Errorf(InvalidValue, "schemas", "an array of URNs is expected")
	}
	named := map[*Schema]bool{}
	for _, item := range list {
		urn, ok := item.(string)
		if !ok {
			return Errorf(InvalidValue, "schemas", "an array of URNs is expected")
		}
		s := d.Type.Schema(urn)
		if s == nil {
			if err := d.schemaFault(urn, "is no schema of a "+d.Type.Name); err != nil {
				return err
			}
		}
		named[s] = true
	}
	return d.unlisted(named, fields)
}

func (d *decoder) unlisted(named map[*Schema]bool, fields Fields) error {
	if !named[d.Type.Core] {
		if err := d.schemaFault(d.Type.Core.ID, "is missing"); err != nil {
			return err
		}
	}
	for _, f := range fields {
		if s := d.Type.Schema(f.Name); s != nil && !named[s] {
			if err := d.schemaFault(s.ID, "is present but not listed"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *decoder) schemaFault(urn, what string) error {
	if !d.Leniency.UnknownSchemas {
		return Errorf(InvalidValue, "schemas", "%s %s", Clip(urn), what)
	}
	d.Notes.Add(NoteUnknownSchema, urn)
	return nil
}

package schema

import "bytes"

// What a connection's own schemas ask of a document beyond the types of its values.
// Who was there before a schema asked is not held against it: a person must be able
// to leave, whatever their document lacks.

// Created refuses a new resource that lacks what an extension requires.
func (rt *ResourceType) Created(doc Object) error { return rt.required(nil, doc) }

// Changed refuses what turned was into doc: taking away what is required, or
// changing what is immutable.
func (rt *ResourceType) Changed(was, doc Object) error {
	if err := rt.required(was, doc); err != nil {
		return err
	}
	for _, e := range rt.custom {
		for _, a := range e.Schema.Attributes {
			if err := unchanged(a, a.Valid(was.Get(a)), doc.Get(a)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Outlasts says whether something of a stored document may outlast a PUT, so that
// Replaced must know it.
func (rt *ResourceType) Outlasts(doc []byte) bool { return len(rt.custom) > 0 || rt.hides(doc) }

// Replaced is the document that a PUT of doc leaves where was stands; both stay as
// they are. What the client cannot know remains: attributes that are read-only or
// write-only, and those of schemas that the connection does not have any more. So
// does what is immutable and not mentioned; another value for it is an error.
func (rt *ResourceType) Replaced(was, doc Object) (Object, error) {
	out := doc.Clone()
	rt.keepHidden(was, out)
	for _, e := range rt.custom {
		for _, a := range e.Schema.Attributes {
			out.Put(a, kept(a, a.Valid(was.Get(a)), out.Get(a)))
		}
	}
	if err := rt.Changed(was, out); err != nil {
		return nil, err
	}
	return out, nil
}

// hides says whether a stored document has an extension that rt does not.
func (rt *ResourceType) hides(doc []byte) bool {
	begin := []byte(`"urn:`)
	for rest := doc; ; {
		at := bytes.Index(rest, begin)
		if at < 0 {
			return false
		}
		name := rest[at+1:]
		end := bytes.IndexByte(name, '"')
		if end < 0 {
			return false
		}
		// A name stands behind a brace or a comma and before a colon; in a text, quotes
		// have a backslash before them.
		if at > 0 && (rest[at-1] == '{' || rest[at-1] == ',') && bytes.HasPrefix(name[end:], []byte(`":`)) && rt.Schema(string(name[:end])) == nil {
			return true
		}
		rest = name[end+1:]
	}
}

// keepHidden copies what rt has no name for.
func (rt *ResourceType) keepHidden(was, out Object) {
	for urn, v := range was {
		ext, isObject := v.(Object)
		if !isObject || !isURN(urn) {
			continue
		}
		s := rt.Schema(urn)
		if s == nil {
			out[urn] = CloneValue(ext)
			continue
		}
		for name := range ext {
			if s.Custom && s.attribute(name) == nil {
				out.Put(&Attribute{Name: name, URN: urn, Extension: true}, CloneValue(ext[name]))
			}
		}
	}
}

func (s *Schema) attribute(name string) *Attribute {
	for _, a := range s.Attributes {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// kept is the value that a PUT with now leaves where was is stored.
func kept(a *Attribute, was, now any) any {
	switch {
	case a.Mutability == ReadOnly, now == nil && (a.Mutability == WriteOnly || a.Mutability == Immutable):
		return CloneValue(was)
	}
	before, isObject := was.(Object)
	after, stays := now.(Object)
	if !isObject || now != nil && !stays {
		return now
	}
	if after == nil {
		after = Object{}
	}
	for _, sub := range a.Sub {
		if v := kept(sub, before[sub.Name], after[sub.Name]); v != nil {
			after[sub.Name] = v
		}
	}
	if len(after) == 0 {
		return nil
	}
	return after
}

// unchanged refuses another value for what is immutable and has one.
func unchanged(a *Attribute, was, now any) error {
	if was == nil {
		return nil
	}
	if a.Mutability == Immutable && !Equal(was, now) {
		return Errorf(NotMutable, a.path, "the attribute is immutable and has a value")
	}
	before, isObject := was.(Object)
	if !isObject {
		return nil // the elements of a list are not the same ones by their place
	}
	after, _ := now.(Object)
	for _, sub := range a.Sub {
		if err := unchanged(sub, before[sub.Name], after[sub.Name]); err != nil {
			return err
		}
	}
	return nil
}

// required refuses a document that lacks what an extension requires, unless was
// lacked it already.
func (rt *ResourceType) required(was, doc Object) error {
	for _, e := range rt.custom {
		had, has := was.carries(e.Schema), doc.carries(e.Schema)
		if e.Required && !has && (had || was == nil) {
			return Errorf(InvalidValue, e.Schema.ID, "the extension is required")
		}
		for _, a := range e.Schema.Attributes {
			before, now := was.Get(a), doc.Get(a)
			if has && a.Required && now == nil && (before != nil || !had) {
				return Errorf(InvalidValue, a.path, "required, and not empty")
			}
			if len(a.Sub) > 0 && now != nil && !Equal(before, now) {
				if err := whole(a, now); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// carries says whether a document has a value of a schema's attributes.
func (o Object) carries(s *Schema) bool {
	for _, a := range s.Attributes {
		if o.Get(a) != nil {
			return true
		}
	}
	return false
}

// whole refuses a complex value without a required sub-attribute.
func whole(a *Attribute, v any) error {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if err := whole(a, item); err != nil {
				return err
			}
		}
	case Object:
		for _, sub := range a.Sub {
			if sub.Required && v[sub.Name] == nil {
				return Errorf(InvalidValue, sub.path, "required, and not empty")
			}
		}
	}
	return nil
}

// Valid is v if it is of a's type, else nil: a schema may have said something else
// when it was stored.
func (a *Attribute) Valid(v any) any {
	if a.MultiValued {
		list, ok := v.([]any)
		if !ok {
			return nil
		}
		for _, item := range list {
			if !a.ofType(item) {
				return nil
			}
		}
		return v
	}
	if !a.ofType(v) {
		return nil
	}
	return v
}

func (a *Attribute) ofType(v any) (ok bool) {
	switch a.Type {
	case Boolean:
		_, ok = v.(bool)
	case Integer:
		_, ok = v.(int64)
	case Decimal:
		_, ok = v.(float64)
	case Complex:
		_, ok = v.(Object)
	default:
		_, ok = v.(string)
	}
	return ok
}

package scim

import "github.com/drawbridge-id/drawbridge/scim/schema"

// current is what of an object is of the attributes' types; nil for nothing. Under a
// connection's own schema a value may be stored that the schema, since changed, has
// no name for any more, or another type.
func current(attributes []*schema.Attribute, object []byte) ([]byte, error) {
	if len(object) == 0 || object[0] != '{' {
		return nil, nil
	}
	strange, names := false, 0
	err := eachMember(object, func(name, value []byte) error {
		names++
		fine, err := fits(attributeOf(attributes, name), value)
		strange = strange || !fine
		return err
	})
	if err != nil || names == 0 {
		return nil, err
	}
	if !strange {
		return object, nil
	}
	out := make([]byte, 0, len(object))
	err = eachMember(object, func(name, value []byte) error {
		if fine, err := fits(attributeOf(attributes, name), value); err != nil || !fine {
			return err
		}
		out = append(append(append(append(out, `,"`...), name...), `":`...), value...)
		return nil
	})
	if err != nil || len(out) == 0 {
		return nil, err
	}
	out[0] = '{' // the first member's comma
	return append(out, '}'), nil
}

func attributeOf(attributes []*schema.Attribute, name []byte) *schema.Attribute {
	for _, a := range attributes {
		if a.Name == string(name) {
			return a
		}
	}
	return nil
}

// fits reports whether a value is of the attribute's type, and everything in it.
func fits(a *schema.Attribute, value []byte) (bool, error) {
	if a == nil || len(value) == 0 {
		return false, nil
	}
	if !a.MultiValued {
		return fitsOne(a, value)
	}
	if value[0] != '[' {
		return false, nil
	}
	all := true
	err := eachElement(value, func(element []byte) error {
		fine, err := fitsOne(a, element)
		all = all && fine
		return err
	})
	return all, err
}

func fitsOne(a *schema.Attribute, value []byte) (bool, error) {
	switch first := value[0]; a.Type {
	case schema.Boolean:
		return first == 't' || first == 'f', nil
	case schema.Integer, schema.Decimal:
		return (first == '-' || '0' <= first && first <= '9') && hasPoint(value) == (a.Type == schema.Decimal), nil
	case schema.Complex:
		if first != '{' {
			return false, nil
		}
	default:
		return first == '"', nil
	}
	all := true
	err := eachMember(value, func(name, inner []byte) error {
		fine, err := fits(attributeOf(a.Sub, name), inner)
		all = all && fine
		return err
	})
	return all, err
}

// hasPoint tells decimals from integers, as they are stored.
func hasPoint(number []byte) bool {
	for _, c := range number {
		if c == '.' || c == 'e' || c == 'E' {
			return true
		}
	}
	return false
}

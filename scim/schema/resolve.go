package schema

// Attribute finds an attribute by any of its names, without regard to ASCII case:
// "name.familyName", "emails.value", a full URN path with a colon, and, because
// identity providers send them, a URN path with a dot and the bare name of an
// extension's attribute ("manager.value"). The error is an *Error, invalidPath.
func (rt *ResourceType) Attribute(path string) (*Attribute, error) {
	if a := rt.find(path); a != nil {
		return a, nil
	}
	return nil, Errorf(InvalidPath, Clip(path), "a %s has no attribute of this name", rt.Name)
}

// alias says whether name is a spelling of an extension's attribute that the RFC does
// not know: it wants the URN, a colon, and the name.
func (a *Attribute) alias(name string) bool { return a.Extension && !equalASCII(name, a.path) }

// Spelt notes the name that a was found by, or refuses it, where it is an alias. The
// error is of that kind.
func (c *Checker) Spelt(a *Attribute, name string, kind Kind) error {
	if !a.alias(name) {
		return nil
	}
	if !c.Leniency.Aliases {
		return Errorf(kind, Clip(name), "this attribute is called %s", a.path)
	}
	c.Notes.Add(NoteAlias, a.path)
	return nil
}

func (rt *ResourceType) find(path string) *Attribute {
	var room [longestName]byte
	if len(path) > len(room) {
		return nil
	}
	return rt.index[string(appendLower(room[:0], path))]
}

// Schema finds the core schema or an extension by its URN, without regard to ASCII
// case; nil if the resource type has none of this URN.
func (rt *ResourceType) Schema(urn string) *Schema {
	var room [longestName]byte
	if len(urn) > len(room) {
		return nil
	}
	return rt.schemas[string(appendLower(room[:0], urn))]
}

// longestName bounds attribute names with their URN, in bytes; longer text names
// nothing.
const longestName = 256

func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, lowerByte(s[i]))
	}
	return dst
}

func lowerASCII(s string) string { return string(appendLower(make([]byte, 0, len(s)), s)) }

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// equalASCII compares names. strings.EqualFold would take the Kelvin sign for a k.
func equalASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

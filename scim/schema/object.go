package schema

// Object is a resource, or a complex value: canonical attribute names to values.
// A value is a string, bool, int64, float64, Object, or []any of those. Extension
// attributes stand in an Object under their schema's URN. Only this package and
// scim/patch make them, from input that has been checked against the schema.
type Object map[string]any

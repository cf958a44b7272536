package schema

import (
	"bytes"
	"math"
)

// The limits of a request body, enforced before anything is built from it.
const (
	MaxDepth       = 32       // objects and arrays inside each other
	MaxString      = 64 << 10 // bytes of one string, as written
	MaxValues      = 10_000   // values of every kind, members apart
	MaxMembers     = 50_000   // members named in one request
	valuesOfMember = 5        // an object with value, display, type and $ref
)

// maxValues is how many values a body for this resource type may hold: where there
// are members, room for MaxMembers of them.
func (rt *ResourceType) maxValues() int {
	if rt.relation != nil {
		return MaxValues + MaxMembers*valuesOfMember
	}
	return MaxValues
}

// Guard walks over a body and refuses what exceeds the limits or holds a NUL. It
// allocates nothing and leaves the grammar to the reader behind it.
func (rt *ResourceType) Guard(body []byte) error { return guard(body, MaxDepth, rt.maxValues()) }

// Guard is ResourceType.Guard for a body that is no resource.
func Guard(body []byte) error { return guard(body, MaxDepth, MaxValues) }

// GuardEnvelope is Guard for a message that carries bodies, each of which meets
// Guard by itself: it may be nested around levels deeper, and hold as many values as
// it has room for.
func GuardEnvelope(message []byte, around int) error {
	return guard(message, MaxDepth+around, math.MaxInt)
}

func guard(body []byte, deepest, most int) error {
	depth, values := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		case '"':
			end, err := guardString(body, i+1)
			if err != nil {
				return err
			}
			i = end
		}
		if depth > deepest {
			return Errorf(InvalidSyntax, "", "the JSON is nested deeper than %d levels", deepest)
		}
		if values > most {
			return Errorf(TooMany, "", "the JSON holds more than %d values; send it in several requests", most)
		}
	}
	return nil
}

// guardString is given the index behind the opening quote and returns that of the
// closing one, or the body's length.
func guardString(body []byte, start int) (int, error) {
	for i := start; i < len(body); i++ {
		switch {
		case i-start > MaxString:
			return 0, Errorf(InvalidValue, "", "a string is longer than %d bytes", MaxString)
		case body[i] == '"':
			return i, nil
		case body[i] == '\\':
			if bytes.HasPrefix(body[i+1:], []byte("u0000")) {
				return 0, Errorf(InvalidValue, "", "a string holds a NUL character")
			}
			i++
		case body[i] == 0:
			return 0, Errorf(InvalidSyntax, "", "a string holds a NUL character")
		}
	}
	return len(body), nil
}

package scim

import (
	"bytes"
	"errors"
)

// A stored document is canonical JSON that we wrote ourselves. It is cut and
// spliced as bytes: decoding it only to encode it again would cost more than all
// the rest of a GET. The scanner checks structure just far enough never to cut in
// the wrong place; what it cannot read is an error, never a guess.

var errNotCanonical = errors.New("scim: a stored document is not a canonical JSON object")

// interior is the text between the braces of an object, or the brackets of an array.
func interior(doc []byte, open, end byte) ([]byte, error) {
	if len(doc) < 2 || doc[0] != open || doc[len(doc)-1] != end {
		return nil, errNotCanonical
	}
	return doc[1 : len(doc)-1], nil
}

// eachMember calls f for every member of an object, in order: the name without
// quotes, as written, and the value. A name that needs an escape is left escaped;
// no attribute has one.
func eachMember(object []byte, f func(name, value []byte) error) error {
	rest, err := interior(object, '{', '}')
	for err == nil && len(rest) > 0 {
		var name, value []byte
		if name, rest, err = cutString(rest); err != nil {
			return err
		}
		if len(rest) == 0 || rest[0] != ':' {
			return errNotCanonical
		}
		if value, rest, err = cutValue(rest[1:]); err != nil {
			return err
		}
		if err = f(name[1:len(name)-1], value); err != nil {
			return err
		}
		rest, err = cutComma(rest)
	}
	return err
}

// eachElement calls f for every element of an array, in order.
func eachElement(array []byte, f func(value []byte) error) error {
	rest, err := interior(array, '[', ']')
	for err == nil && len(rest) > 0 {
		var value []byte
		if value, rest, err = cutValue(rest); err != nil {
			return err
		}
		if err = f(value); err != nil {
			return err
		}
		rest, err = cutComma(rest)
	}
	return err
}

// cutComma takes the comma between two members. Nothing may follow the last one,
// and something must follow a comma.
func cutComma(rest []byte) ([]byte, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	if rest[0] != ',' || len(rest) == 1 {
		return nil, errNotCanonical
	}
	return rest[1:], nil
}

// cutString splits a quoted string, quotes included, off the front.
func cutString(b []byte) (quoted, rest []byte, err error) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, errNotCanonical
	}
	for at := 1; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return nil, nil, errNotCanonical
		}
		at += i
		if !escaped(b, at) {
			return b[:at+1], b[at+1:], nil
		}
		at++
	}
}

// escaped reports whether an odd number of backslashes stands before b[at].
func escaped(b []byte, at int) bool {
	n := 0
	for at > 0 && b[at-1] == '\\' {
		at, n = at-1, n+1
	}
	return n%2 == 1
}

// cutValue splits one value off the front. Nesting is counted, not recursed into.
func cutValue(b []byte) (value, rest []byte, err error) {
	depth := 0
	for at := 0; at < len(b); {
		switch b[at] {
		case '"':
			quoted, _, err := cutString(b[at:])
			if err != nil {
				return nil, nil, err
			}
			at += len(quoted)
		case '{', '[':
			depth, at = depth+1, at+1
		case '}', ']':
			depth, at = depth-1, at+1
		default:
			at += scalar(b[at:], depth > 0)
		}
		if depth < 0 {
			return nil, nil, errNotCanonical
		}
		if depth == 0 {
			return nonEmpty(b[:at], b[at:])
		}
	}
	return nil, nil, errNotCanonical
}

// scalar is the length of a number or literal at the front, and of the commas and
// colons around it when it stands inside a value.
func scalar(b []byte, inside bool) int {
	stop := `,:{}[]"`
	if inside {
		stop = `{}[]"`
	}
	if i := bytes.IndexAny(b, stop); i >= 0 {
		return i
	}
	return len(b)
}

func nonEmpty(value, rest []byte) ([]byte, []byte, error) {
	if len(value) == 0 {
		return nil, nil, errNotCanonical
	}
	return value, rest, nil
}

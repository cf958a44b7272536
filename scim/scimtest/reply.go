package scimtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// reply is an answer, with the request that it answers.
type reply struct {
	status int
	header http.Header
	body   []byte
	sent   request
	made   thing // what the request made, if it made something

	doc    any
	docErr error
	parsed bool
}

// stop ends a trial from wherever it is: as a failure, or because it cannot go on.
type stop struct {
	verdict Verdict
	found   string
	reply   *reply // nil: no answer is to blame
}

// wrong ends the trial: this answer is not what was expected.
func (r *reply) wrong(format string, args ...any) {
	panic(stop{verdict: Fails, found: fmt.Sprintf(format, args...), reply: r})
}

// is checks the status.
func (r *reply) is(allowed ...int) *reply {
	if !slices.Contains(allowed, r.status) {
		r.wrong("the status is %d, not %s", r.status, alternatives(allowed))
	}
	return r
}

func alternatives(codes []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(codes), "[]"), " ", " or ")
}

// good checks that the status is a success.
func (r *reply) good() *reply {
	if !r.ok() {
		r.wrong("the status is %d, not a success", r.status)
	}
	return r
}

func (r *reply) ok() bool { return r.status >= 200 && r.status < 300 }

// refused checks that the request was refused as the client's fault.
func (r *reply) refused() *reply {
	if r.status < 400 || r.status >= 500 {
		r.wrong("the status is %d, not a refusal", r.status)
	}
	return r
}

// decode reads a body as one JSON value and nothing after it. Numbers keep their text.
func decode(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

// value is the decoded body; a body that is not JSON ends the trial.
func (r *reply) value() any {
	if !r.parsed {
		r.doc, r.docErr = decode(r.body)
		r.parsed = true
	}
	if r.docErr != nil {
		r.wrong("the body is not JSON: %v", r.docErr)
	}
	return r.doc
}

// at follows names and indexes into the body; nil if there is nothing.
func (r *reply) at(path ...any) any { return follow(r.value(), path...) }

// follow takes steps into a JSON value. Attribute names are case-insensitive
// (RFC 7643 section 2.1).
func follow(v any, path ...any) any {
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			name, isName := step.(string)
			if !isName {
				return nil
			}
			v = member(at, name)
		case []any:
			i, isIndex := step.(int)
			if !isIndex || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

func member(object map[string]any, name string) any {
	if v, there := object[name]; there {
		return v
	}
	for key, v := range object {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// has checks one value of the body.
func (r *reply) has(want any, path ...any) *reply {
	if got := r.at(path...); !same(got, want) {
		r.wrong("%s is %s, not %s", spell(path), show(got), show(want))
	}
	return r
}

// lacks checks that there is nothing: unassigned, null and empty are the same
// (RFC 7643 section 2.5).
func (r *reply) lacks(path ...any) *reply {
	switch got := r.at(path...).(type) {
	case nil:
	case []any:
		if len(got) > 0 {
			r.wrong("%s is %s, and should not be there", spell(path), show(got))
		}
	default:
		r.wrong("%s is %s, and should not be there", spell(path), show(got))
	}
	return r
}

// text is a non-empty string of the body.
func (r *reply) text(path ...any) string {
	s, ok := r.at(path...).(string)
	if !ok || s == "" {
		r.wrong("%s is %s, not a string with something in it", spell(path), show(r.at(path...)))
	}
	return s
}

// integer is an integer of the body.
func (r *reply) integer(path ...any) int {
	n, isNumber := r.at(path...).(json.Number)
	i, err := n.Int64()
	if !isNumber || err != nil {
		r.wrong("%s is %s, not an integer", spell(path), show(r.at(path...)))
	}
	return int(i)
}

// list is an array of the body.
func (r *reply) list(path ...any) []any {
	all, ok := r.at(path...).([]any)
	if !ok {
		r.wrong("%s is %s, not an array", spell(path), show(r.at(path...)))
	}
	return all
}

// urn checks that the schemas of the body name one.
func (r *reply) urn(want string) *reply {
	if !holdsFold(r.list("schemas"), want) {
		r.wrong("schemas is %s, without %s", show(r.at("schemas")), want)
	}
	return r
}

func holdsFold(list []any, want string) bool {
	return slices.ContainsFunc(list, func(v any) bool {
		s, ok := v.(string)
		return ok && strings.EqualFold(s, want)
	})
}

// same compares a decoded value with a plain one of Go.
func same(got, want any) bool {
	switch w := want.(type) {
	case int:
		n, ok := got.(json.Number)
		i, err := n.Int64()
		return ok && err == nil && i == int64(w)
	case string, bool, nil:
		return got == w
	}
	return false
}

func spell(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch s := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", s)
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
		}
	}
	return b.String()
}

// show is a value as JSON, short enough for a sentence.
func show(v any) string {
	if v == nil {
		return "absent"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return clip(string(b), 200)
}

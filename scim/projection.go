package scim

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// selection is a tree of canonical names. A leaf (no children) is the attribute
// with all that is in it. An extension attribute stands under its schema's URN.
type selection map[string]selection

// projection is attributes or excludedAttributes, resolved (RFC 7644 section
// 3.4.2.5), and what the schema says of when attributes are returned. The zero
// projection is everything. id and schemas are written apart from it, so that no
// projection drops them.
type projection struct {
	asked  bool // the request named one of the two parameters
	chosen selection
	only   bool // the tree says what to keep; else what to leave out
	bound  bool // there is a tree
}

// parseProjection resolves the names against the resource type. A name that the
// schema does not have selects nothing: clients ask several servers the same.
func parseProjection(rt *schema.ResourceType, q queryText) projection {
	p := projection{only: q.hasAttributes, asked: q.hasAttributes || q.hasExc}
	if !p.asked {
		return unasked(rt, nil)
	}
	p.bound, p.chosen = true, selection{}
	var named []*schema.Attribute
	for name := range strings.SplitSeq(q.attributes+q.excluded, ",") {
		name = strings.TrimSpace(name)
		if steps := resolve(rt, name); len(steps) > 0 {
			p.chosen.add(steps)
			if a, err := rt.Attribute(name); err == nil && p.only {
				named = append(named, a)
			}
		} else if rt.Schema(name) == rt.Core { // its URN alone names all of it
			for _, a := range rt.Core.Attributes {
				p.chosen.add(stepsTo(a))
			}
		}
	}
	p.obey(rt, named)
	return p
}

// unasked is what a client sees that asks for nothing in particular. Of what is only
// returned on request it sees what it named in a write (RFC 7643 section 7).
func unasked(rt *schema.ResourceType, named []*schema.Attribute) projection {
	if !rt.Selects() {
		return projection{}
	}
	p := projection{bound: true, chosen: selection{}}
	p.obey(rt, named)
	return p
}

// resolve is the way from the top of a resource to what the name means: an
// attribute by any of its spellings, or a whole extension by its URN.
func resolve(rt *schema.ResourceType, name string) []string {
	if a, err := rt.Attribute(name); err == nil {
		return stepsTo(a)
	}
	if ext := rt.Schema(name); ext != nil && ext != rt.Core {
		return []string{ext.ID}
	}
	return nil
}

func stepsTo(a *schema.Attribute) []string {
	switch {
	case a.Parent != nil:
		return append(stepsTo(a.Parent), a.Name)
	case a.Extension:
		return []string{a.URN, a.Name}
	}
	return []string{a.Name}
}

// add puts a path into the tree. A shorter path swallows the longer ones.
func (s selection) add(steps []string) {
	sub, there := s[steps[0]]
	switch {
	case there && len(sub) == 0:
	case len(steps) == 1:
		s[steps[0]] = nil
	default:
		if sub == nil {
			sub = selection{}
			s[steps[0]] = sub
		}
		sub.add(steps[1:])
	}
}

// verdict is what becomes of one attribute.
type verdict uint8

const (
	drop verdict = iota
	part
	whole
)

func (p projection) verdict(sel selection, name []byte) (verdict, selection) {
	sub, named := sel[string(name)]
	switch {
	case named && len(sub) > 0:
		return part, sub
	case named == p.only:
		return whole, nil
	}
	return drop, nil
}

// wants reports whether anything of a top-level attribute is to be shown.
func (p projection) wants(name string) bool {
	if !p.bound {
		return true
	}
	v, _ := p.verdict(p.chosen, []byte(name))
	return v != drop
}

// within is the projection inside a top-level attribute that is wanted.
func (p projection) within(name string) projection {
	if !p.bound {
		return p
	}
	v, sub := p.verdict(p.chosen, []byte(name))
	if v == whole {
		return projection{}
	}
	return projection{only: p.only, bound: true, chosen: sub}
}

// appendMembers appends the members of an object that the projection keeps, each
// with a comma in front.
func (p projection) appendMembers(dst, object []byte) ([]byte, error) {
	err := eachMember(object, func(name, value []byte) (err error) {
		dst, _, err = p.appendMember(dst, name, value)
		return err
	})
	return dst, err
}

// appendMember appends what is kept of one member; kept is false if nothing is.
func (p projection) appendMember(dst, name, value []byte) (_ []byte, kept bool, err error) {
	v, sub := whole, selection(nil)
	if p.bound {
		v, sub = p.verdict(p.chosen, name)
	}
	if v == drop {
		return dst, false, nil
	}
	start := len(dst)
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	if v == whole {
		return append(dst, value...), true, nil
	}
	inner := projection{only: p.only, bound: true, chosen: sub}
	if dst, kept, err = inner.appendValue(dst, value); !kept {
		dst = dst[:start]
	}
	return dst, kept, err
}

// appendValue appends what is left of a value; kept is false if nothing is.
func (p projection) appendValue(dst, value []byte) (_ []byte, kept bool, err error) {
	switch {
	case len(value) > 0 && value[0] == '{':
		start := len(dst)
		if dst, err = p.appendMembers(dst, value); err != nil || len(dst) == start {
			return dst, false, err
		}
		dst[start] = '{' // the first member's comma
		return append(dst, '}'), true, nil
	case len(value) > 0 && value[0] == '[':
		return p.appendElements(dst, value)
	}
	if p.only {
		return dst, false, nil
	}
	return append(dst, value...), true, nil
}

func (p projection) appendElements(dst, array []byte) (_ []byte, kept bool, err error) {
	dst = append(dst, '[')
	err = eachElement(array, func(element []byte) error {
		start := len(dst)
		if kept {
			dst = append(dst, ',')
		}
		var some bool
		var err error
		if dst, some, err = p.appendValue(dst, element); !some {
			dst = dst[:start]
		}
		kept = kept || some
		return err
	})
	return append(dst, ']'), kept, err
}

package scim

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// obey brings into a projection what a connection's own schemas say of when their
// attributes are returned (RFC 7643 section 7): always whatever is asked, never
// whatever is asked, or to who names them, be it in a write. A sub-attribute comes
// always where something of its parent comes.
func (p projection) obey(rt *schema.ResourceType, named []*schema.Attribute) {
	if !rt.Selects() {
		return
	}
	for _, e := range rt.Custom() {
		urn, attributes := e.Schema.ID, e.Schema.Attributes
		chosen, there := p.chosen[urn]
		whole := there && len(chosen) == 0
		if p.only {
			chosen = kept(attributes, chosen, whole, named)
		} else {
			chosen = left(attributes, chosen, whole, named)
		}
		if len(chosen) == 0 {
			delete(p.chosen, urn) // an empty tree would be all of it
		} else {
			p.chosen[urn] = chosen
		}
	}
}

// kept is what to show of attributes that stand side by side, where the request
// chose these; whole: all of them. What it named beside its whole is not in the tree
// any more.
func kept(attributes []*schema.Attribute, chosen selection, whole bool, named []*schema.Attribute) selection {
	out := selection{}
	for _, a := range attributes {
		sub, there := chosen[a.Name]
		all := there && len(sub) == 0 || whole && a.Returned != schema.ReturnedRequest || a.Returned == schema.ReturnedAlways || slices.Contains(named, a)
		part := slices.ContainsFunc(named, func(n *schema.Attribute) bool { return n.Parent == a })
		switch {
		case a.Returned == schema.ReturnedNever || !there && !all && !part:
		case len(a.Sub) == 0:
			out[a.Name] = nil
		default:
			if inner := kept(a.Sub, sub, all, named); len(inner) > 0 {
				out[a.Name] = inner
			}
		}
	}
	return out
}

// left is what to leave out of attributes that stand side by side, where the request
// chose these to be; whole: all of them.
func left(attributes []*schema.Attribute, chosen selection, whole bool, named []*schema.Attribute) selection {
	out := selection{}
	for _, a := range attributes {
		sub, there := chosen[a.Name]
		switch {
		case a.Returned == schema.ReturnedNever,
			a.Returned == schema.ReturnedRequest && !slices.Contains(named, a),
			a.Returned != schema.ReturnedAlways && (whole || there && len(sub) == 0):
			out[a.Name] = nil
		default:
			if inner := left(a.Sub, sub, false, named); len(inner) > 0 {
				out[a.Name] = inner
			}
		}
	}
	return out
}

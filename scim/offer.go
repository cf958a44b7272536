package scim

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/scim/dialect"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Offer is something that a connection's people may be given. Identity providers
// read the offers as roles and as entitlements, to show and assign them; one that is
// assigned stands in a user's roles or entitlements by its value.
type Offer struct {
	Value       string // letters, digits and "_-.:"; the id of the role, too
	Display     string
	Type        string
	Description string
}

// entitlementID tells an entitlement from the role that is the same offer: ids are
// unique among all resources (RFC 7643 section 3.1).
const entitlementID = "ent_"

func (s *Server) roles() kind {
	return kind{plural: "Roles", typed: func(d Directory) *schema.ResourceType { return d.offered().Roles },
		reads: func(d Directory) Reader { return d.shelf(d.offered().Roles, "") }}
}

func (s *Server) entitlements() kind {
	return kind{plural: "Entitlements", typed: func(d Directory) *schema.ResourceType { return d.offered().Entitlements },
		reads: func(d Directory) Reader { return d.shelf(d.offered().Entitlements, entitlementID) }}
}

// offered is the form in which the connection's identity provider reads offers.
func (d Directory) offered() schema.Offered {
	if d.IdP == dialect.NameOkta {
		return schema.OktaOffered()
	}
	return schema.DraftOffered()
}

// shelf is what is offered, as resources of one type. It is made of the offers alone:
// nothing is read.
func (d Directory) shelf(rt *schema.ResourceType, prefix string) offers {
	var all offers
	if d.Offers == nil {
		return all
	}
	for _, o := range d.Offers() {
		id := prefix + o.Value
		doc := schema.Object{}
		for name, v := range map[string]any{"value": id, "display": o.Display, "displayName": o.Display, "type": o.Type, "description": o.Description, "supported": true} {
			if a, err := rt.Attribute(name); err == nil && v != "" {
				doc.Put(a, v)
			}
		}
		r := Resource{ID: id, Doc: doc.Encode()}
		r.Version = versionOf(r.Doc)
		doc["id"], doc["schemas"] = id, []any{rt.Core.ID}
		doc["meta"] = schema.Object{"resourceType": rt.Name, "version": entityTag(r.Version)}
		all = append(all, offer{r, doc})
	}
	return all
}

// versionOf is a number that changes with the document: nobody counts its changes.
func versionOf(doc []byte) int64 {
	h := fnv.New64a()
	_, _ = h.Write(doc) // never fails
	return int64(h.Sum64() >> 1)
}

// offers are resources that follow from a connection's definition.
type offers []offer

type offer struct {
	Resource
	whole schema.Object // for filters and sorting
}

// Get implements Reader.
func (o offers) Get(_ context.Context, id string, _ Want) (Resource, error) {
	at := slices.IndexFunc(o, func(one offer) bool { return one.ID == id })
	if at < 0 {
		return Resource{}, NotFound(id)
	}
	return o[at].Resource, nil
}

// List implements Reader. A place in a walk is how many came before it.
func (o offers) List(_ context.Context, q Query) (Page, error) {
	found := slices.DeleteFunc(slices.Clone(o), func(one offer) bool { return q.Filter != nil && !filter.Matches(q.Filter, one.whole) })
	if q.Sort != nil {
		if q.Sort.Descending {
			slices.Reverse(found) // ties, too, are read from the end
		}
		slices.SortStableFunc(found, func(a, b offer) int { return q.Sort.Compare(a.whole, b.whole) })
	}
	page := Page{Total: len(found)}
	from := q.Start - 1
	if q.Walk {
		from = 0
		if q.After != nil {
			var err error
			if from, err = strconv.Atoi(string(q.After)); err != nil {
				return Page{}, Internal(err)
			}
		}
	}
	found = found[min(max(from, 0), len(found)):]
	if q.Walk && len(found) > q.Count {
		page.Next = strconv.AppendInt(nil, int64(from+q.Count), 10)
	}
	for _, one := range found[:min(q.Count, len(found))] {
		page.Resources = append(page.Resources, one.Resource)
	}
	return page, nil
}

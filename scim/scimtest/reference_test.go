package scimtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

const (
	testToken = "sample-token-of-nobody"
	testBase  = "https://scim.vendor.example"
	testURL   = testBase + scim.Prefix + "south"
)

// reference is a server that is right: our own front over a directory in memory,
// with what it does not claim yet laid over it.
func reference() http.Handler {
	_, server := kept()
	return server
}

// kept is a reference whose directory can be looked at.
func kept() (*memory, http.Handler) {
	m := &memory{}
	m.people = shelf{m: m, rt: schema.Users(), prefix: "per_", unique: "userName"}
	m.teams = shelf{m: m, rt: schema.Groups(), prefix: "grp_", unique: "displayName"}
	return m, claiming(scim.New(scim.Config{Gate: m, PublicURL: testBase, Now: time.Now}))
}

// memory is a directory, and the gate to it.
type memory struct {
	mu            sync.Mutex // guards both shelves
	people, teams shelf
	strict        bool
}

func (m *memory) Open(_ context.Context, c scim.Caller) (scim.Directory, error) {
	if c.Bearer != testToken {
		return scim.Directory{}, scim.Unauthorized(errors.New("no such token"))
	}
	return scim.Directory{Users: &m.people, Groups: &m.teams, Strict: m.strict}, nil
}

// shelf is one collection. What the front may ask beyond these methods it does not have.
type shelf struct {
	scim.Collection
	m              *memory
	rt             *schema.ResourceType
	prefix, unique string
	rows           []*row
	made           int
}

type row struct {
	scim.Resource
	doc     schema.Object
	members []string
}

func (s *shelf) Create(_ context.Context, in scim.Input) (scim.Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.taken(in.Doc, nil) {
		return scim.Resource{}, scim.Uniqueness(s.unique + " is taken.")
	}
	s.made++
	r := &row{doc: in.Doc, members: s.m.known(in.Members)}
	r.ID, r.Created = fmt.Sprintf("%s%04d", s.prefix, s.made), time.Now()
	s.rows = append(s.rows, r)
	return s.m.saved(r, in.Want), nil
}

func (s *shelf) Get(_ context.Context, id string, w scim.Want) (scim.Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(id, scim.Match{})
	if err != nil {
		return scim.Resource{}, err
	}
	return s.m.shown(r, w), nil
}

func (s *shelf) Replace(_ context.Context, id string, m scim.Match, in scim.Input) (scim.Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(id, m)
	if err != nil {
		return scim.Resource{}, err
	}
	if s.taken(in.Doc, r) {
		return scim.Resource{}, scim.Uniqueness(s.unique + " is taken.")
	}
	if r.doc = in.Doc; in.HasMembers {
		r.members = s.m.known(in.Members)
	}
	return s.m.saved(r, in.Want), nil
}

func (s *shelf) Patch(_ context.Context, id string, m scim.Match, p patch.Plan, w scim.Want) (scim.Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(id, m)
	if err != nil {
		return scim.Resource{}, err
	}
	doc, err := p.Apply(r.doc)
	if err != nil {
		return scim.Resource{}, err
	}
	if s.taken(doc, r) {
		return scim.Resource{}, scim.Uniqueness(s.unique + " is taken.")
	}
	r.doc = doc
	for _, e := range p.Members {
		r.members = moved(r.members, e.Kind, s.m.known(e.IDs))
	}
	return s.m.saved(r, w), nil
}

func moved(members []string, kind patch.MemberKind, ids []string) []string {
	gone := func(m string) bool { return slices.Contains(ids, m) }
	switch kind {
	case patch.AddMembers:
		return append(slices.DeleteFunc(slices.Clone(members), gone), ids...)
	case patch.RemoveMembers:
		return slices.DeleteFunc(slices.Clone(members), gone)
	case patch.ReplaceMembers:
		return ids
	case patch.RemoveAllMembers:
		return nil
	}
	return members
}

func (s *shelf) Delete(_ context.Context, id string, m scim.Match) (*traffic.Effect, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.find(id, m)
	if err != nil {
		return nil, err
	}
	s.rows = slices.DeleteFunc(s.rows, func(o *row) bool { return o == r })
	for _, g := range s.m.teams.rows {
		g.members = moved(g.members, patch.RemoveMembers, []string{id})
	}
	return nil, nil
}

func (s *shelf) List(_ context.Context, q scim.Query) (scim.Page, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	var page scim.Page
	for _, r := range s.rows {
		if q.Filter != nil && !filter.Matches(q.Filter, r.searchable()) {
			continue
		}
		page.Total++
		if page.Total >= q.Start && len(page.Resources) < q.Count {
			page.Resources = append(page.Resources, s.m.shown(r, q.Want))
		}
	}
	return page, nil
}

// searchable is the document with what a filter may also ask for.
func (r *row) searchable() schema.Object {
	const layout = "2006-01-02T15:04:05.000Z"
	doc := r.doc.Clone()
	doc["id"] = r.ID
	doc["meta"] = schema.Object{"lastModified": r.LastModified.UTC().Format(layout), "created": r.Created.UTC().Format(layout)}
	var members []any
	for _, id := range r.members {
		members = append(members, schema.Object{"value": id})
	}
	if members != nil {
		doc["members"] = members
	}
	return doc
}

func (s *shelf) taken(doc schema.Object, but *row) bool {
	return slices.ContainsFunc(s.rows, func(r *row) bool {
		return r != but && strings.EqualFold(r.doc.Text(s.unique), doc.Text(s.unique))
	})
}

func (s *shelf) find(id string, match scim.Match) (*row, error) {
	for _, r := range s.rows {
		if r.ID == id {
			if !match.Allows(r.Version) {
				return nil, scim.PreconditionFailed(r.Version)
			}
			return r, nil
		}
	}
	return nil, scim.NotFound(id)
}

func (m *memory) known(ids []string) (out []string) {
	for _, id := range ids {
		if slices.ContainsFunc(m.people.rows, func(r *row) bool { return r.ID == id }) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func (m *memory) saved(r *row, w scim.Want) scim.Resource {
	r.Version++
	r.LastModified = time.Now()
	r.Doc = r.doc.Encode()
	return m.shown(r, w)
}

func (m *memory) shown(r *row, w scim.Want) scim.Resource {
	out := r.Resource
	if out.Relations = nil; w.Relations {
		out.Relations = m.relations(r)
	}
	return out
}

func (m *memory) relations(r *row) iter.Seq2[scim.Relation, error] {
	var all []scim.Relation
	for _, g := range m.teams.rows {
		if slices.Contains(g.members, r.ID) {
			all = append(all, scim.Relation{ID: g.ID, Display: g.doc.Text("displayName")})
		}
	}
	for _, id := range r.members {
		all = append(all, scim.Relation{ID: id})
	}
	return func(yield func(scim.Relation, error) bool) {
		for _, one := range all {
			if !yield(one, nil) {
				return
			}
		}
	}
}

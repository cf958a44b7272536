package scim

import (
	"context"
	hexadecimal "encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// memory is a small real directory: it keeps what it is given, in the order in
// which it came, and applies plans and filters like any other.
type memory struct {
	mu     sync.Mutex
	people table
	groups table
	now    func() time.Time
	fails  error // what every call answers, if set
	lost   error // what every commit of several calls ends in, if set

	commits int // of several calls

	wanted []Want // what each read was asked to show, for the tests that count
}

type table struct {
	rt     *schema.ResourceType
	prefix string
	unique string
	rows   []*row
	made   int
}

type row struct {
	Resource
	doc     schema.Object
	members []string
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now,
		people: table{rt: schema.Users(), prefix: "per_", unique: "userName"},
		groups: table{rt: schema.Groups(), prefix: "grp_", unique: "displayName"}}
}

func (m *memory) directory(connection string) Directory {
	return Directory{Users: shelf{m, &m.people}, Groups: shelf{m, &m.groups}, Cursors: seal{connection}, Together: m.together}
}

// together keeps a copy of the tables, and puts it back if fn fails.
func (m *memory) together(_ context.Context, fn func(Directory) error) error {
	people, groups := m.people.copied(), m.groups.copied()
	m.commits++
	err := fn(m.directory(""))
	if err == nil {
		err = m.lost
	}
	if err != nil {
		m.people.rows, m.groups.rows = people, groups
	}
	return err
}

func (t *table) copied() []*row {
	var rows []*row
	for _, r := range t.rows {
		c := *r
		rows = append(rows, &c)
	}
	return rows
}

// shelf is one table seen as a Collection.
type shelf struct {
	m *memory
	t *table
}

func (s shelf) Create(_ context.Context, in Input) (Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.fails; err != nil {
		return Resource{}, err
	}
	if s.t.taken(in.Doc.Text(s.t.unique), nil) {
		return Resource{}, Uniqueness(s.t.unique + " is taken.")
	}
	if _, has := in.Doc["active"]; !has && s.t.prefix == "per_" {
		in.Doc["active"] = true
	}
	if in.ID == "" {
		in.ID = s.newID()
	}
	r := &row{doc: in.Doc, members: s.m.known(in.Members)}
	r.ID, r.Created = in.ID, s.m.now()
	s.t.rows = append(s.t.rows, r)
	return s.m.saved(r, in.Want), nil
}

func (s shelf) NewID() string {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.newID()
}

func (s shelf) newID() string {
	s.t.made++
	return fmt.Sprintf("%s%04d", s.t.prefix, s.t.made)
}

func (s shelf) Get(_ context.Context, id string, w Want) (Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.m.find(s.t, id, Match{})
	if err != nil {
		return Resource{}, err
	}
	return s.m.shown(r, w), nil
}

func (s shelf) Replace(_ context.Context, id string, m Match, in Input) (Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.m.find(s.t, id, m)
	if err != nil {
		return Resource{}, err
	}
	if s.t.taken(in.Doc.Text(s.t.unique), r) {
		return Resource{}, Uniqueness(s.t.unique + " is taken.")
	}
	if was, has := r.doc["active"]; has && !in.HasActive {
		in.Doc["active"] = was
	}
	r.doc = in.Doc
	if in.HasMembers {
		r.members = s.m.known(in.Members)
	}
	return s.m.saved(r, in.Want), nil
}

func (s shelf) Patch(_ context.Context, id string, m Match, p patch.Plan, w Want) (Resource, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.m.find(s.t, id, m)
	if err != nil {
		return Resource{}, err
	}
	var notes schema.Notes
	doc, err := p.ApplyNoting(r.doc, &notes)
	if err != nil {
		return Resource{}, err
	}
	r.doc = doc
	for _, e := range p.Members {
		r.members = moved(r.members, e.Kind, s.m.known(e.IDs))
	}
	saved := s.m.saved(r, w)
	saved.Notes = notes
	return saved, nil
}

func moved(members []string, kind patch.MemberKind, ids []string) []string {
	switch kind {
	case patch.AddMembers:
		for _, id := range ids {
			if !slices.Contains(members, id) {
				members = append(members, id)
			}
		}
	case patch.RemoveMembers:
		return slices.DeleteFunc(members, func(m string) bool { return slices.Contains(ids, m) })
	case patch.ReplaceMembers:
		return ids
	case patch.RemoveAllMembers:
		return nil
	}
	return members
}

func (s shelf) Delete(_ context.Context, id string, m Match) (*traffic.Effect, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r, err := s.m.find(s.t, id, m)
	if err != nil {
		return nil, err
	}
	s.t.rows = slices.DeleteFunc(s.t.rows, func(o *row) bool { return o == r })
	for _, g := range s.m.groups.rows {
		g.members = moved(g.members, patch.RemoveMembers, []string{id})
	}
	return nil, nil
}

func (s shelf) List(_ context.Context, q Query) (Page, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.fails; err != nil {
		return Page{}, err
	}
	var matching []*row
	for _, r := range s.t.rows {
		if q.Filter == nil || filter.Matches(q.Filter, r.searchable()) {
			matching = append(matching, r)
		}
	}
	if q.Sort != nil {
		slices.SortStableFunc(matching, func(a, b *row) int { return q.Sort.Compare(a.searchable(), b.searchable()) })
	}
	page := Page{Total: len(matching)}
	from := q.Start - 1
	if q.Walk {
		page.Total = 0
		from = 1 + slices.IndexFunc(matching, func(r *row) bool { return r.ID == string(q.After) })
		if q.After != nil && from == 0 {
			return Page{}, fmt.Errorf("%s is no place in this list", q.After)
		}
	}
	for _, r := range matching[min(from, len(matching)):] {
		if len(page.Resources) == q.Count {
			if q.Walk {
				page.Next = []byte(page.Resources[q.Count-1].ID)
			}
			break
		}
		page.Resources = append(page.Resources, s.m.shown(r, q.Want))
	}
	return page, nil
}

// seal is not opaque, but good for one list of one connection only.
type seal struct{ connection string }

func (s seal) Seal(place []byte, bound string) string {
	return hexadecimal.EncodeToString([]byte(s.connection + "|" + bound + "|" + string(place)))
}

func (s seal) Open(cursor, bound string) ([]byte, error) {
	b, err := hexadecimal.DecodeString(cursor)
	place, ours := strings.CutPrefix(string(b), s.connection+"|"+bound+"|")
	if err != nil || !ours {
		return nil, errors.New("another list's: " + string(b))
	}
	return []byte(place), nil
}

// searchable is the document with what a filter may also ask for.
func (r *row) searchable() schema.Object {
	doc := r.doc.Clone()
	doc["id"] = r.ID
	for _, id := range r.members {
		list, _ := doc["members"].([]any)
		doc["members"] = append(list, schema.Object{"value": id})
	}
	doc["meta"] = schema.Object{"lastModified": r.LastModified.Format(time.RFC3339Nano)}
	return doc
}

func (t *table) taken(name string, but *row) bool {
	return slices.ContainsFunc(t.rows, func(r *row) bool {
		return r != but && strings.EqualFold(r.doc.Text(t.unique), name)
	})
}

func (m *memory) find(t *table, id string, match Match) (*row, error) {
	if m.fails != nil {
		return nil, m.fails
	}
	for _, r := range t.rows {
		if r.ID == id {
			if !match.Allows(r.Version) {
				return nil, PreconditionFailed(r.Version)
			}
			return r, nil
		}
	}
	return nil, NotFound(id)
}

func (m *memory) known(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return !slices.ContainsFunc(m.people.rows, func(r *row) bool { return r.ID == id })
	})
}

func (m *memory) saved(r *row, w Want) Resource {
	r.Version++
	r.LastModified = m.now()
	r.Doc = r.doc.Encode()
	return m.shown(r, w)
}

func (m *memory) shown(r *row, w Want) Resource {
	m.wanted = append(m.wanted, w)
	out := r.Resource
	out.Relations = nil
	if w.Relations {
		out.Relations = each(m.relations(r))
	}
	return out
}

func (m *memory) relations(r *row) []Relation {
	var all []Relation
	if strings.HasPrefix(r.ID, "per_") {
		for _, g := range m.groups.rows {
			if slices.Contains(g.members, r.ID) {
				all = append(all, Relation{ID: g.ID, Display: g.doc.Text("displayName")})
			}
		}
		return all
	}
	for _, p := range m.people.rows {
		if slices.Contains(r.members, p.ID) {
			all = append(all, Relation{ID: p.ID, Display: p.doc.FormattedName()})
		}
	}
	return all
}

func each(all []Relation) iter.Seq2[Relation, error] {
	return func(yield func(Relation, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// gate knows two connections. Each token opens its own and nothing else.
type gate struct {
	tokens map[string]string // connection → token
	dirs   map[string]Directory
	fails  error
}

func (g *gate) Open(_ context.Context, c Caller) (Directory, error) {
	if g.fails != nil {
		return Directory{}, g.fails
	}
	if want, ok := g.tokens[c.Connection]; !ok || want != c.Bearer {
		return Directory{}, Unauthorized(errors.New("no such token"))
	}
	return g.dirs[c.Connection], nil
}

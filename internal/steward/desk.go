package steward

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// desk is where one use case about requests is carried out: a transaction or a snapshot,
// what decisions are made in, and who acts. It ends with the transaction.
type desk struct {
	v *store.View
	request.Setting
	policy *mapping.Policy
	r      request.Right
	known  access.ScopeID // that a request names which is extended: whoever acts reads it there
	dirs   map[access.ConnectionID]*store.Directory
	people map[request.Party]Who
}

func newDesk(v *store.View, p *mapping.Policy, now time.Time, r request.Right) *desk {
	return &desk{v: v, policy: p, r: r, dirs: map[access.ConnectionID]*store.Directory{}, people: map[request.Party]Who{},
		Setting: request.Setting{Tree: p.Tree(), Catalogue: p.Catalogue(), Policy: p.Source().Requests, Now: now}}
}

// by is whoever acts, as requests have it.
func (k *desk) by() request.Party {
	if k.r.Operator {
		return request.Party{Operator: k.r.Name}
	}
	return request.Party{Connection: k.r.Connection, Person: k.r.Person}
}

func (k *desk) dir(c access.ConnectionID) (*store.Directory, error) {
	if d := k.dirs[c]; d != nil {
		return d, nil
	}
	d, err := k.v.In(c)
	if err == nil {
		k.dirs[c] = d
	}
	return d, err
}

// who is a party as people read of it. Of somebody who is gone the id is left.
func (k *desk) who(p request.Party) (Who, error) {
	if p.Operator != "" {
		return Who{Operator: p.Operator}, nil
	}
	if w, known := k.people[p]; known {
		return w, nil
	}
	w := Who{PersonRef: PersonRef{Connection: p.Connection, Person: p.Person}}
	row, err := k.row(p)
	switch {
	case err == nil:
		w.UserName, w.DisplayName = row.UserName, row.DisplayName
	case !fault.Is(err, fault.NotFound):
		return w, err
	}
	k.people[p] = w
	return w, nil
}

func (k *desk) row(p request.Party) (store.Person, error) {
	d, err := k.dir(p.Connection)
	if err != nil {
		return store.Person{}, err
	}
	return d.Person(p.Person)
}

// named finds somebody by id, or by userName. Whoever acts finds those alone whom they
// may ask something for: themselves, and whoever holds something, or is at home, where they
// decide.
func (k *desk) named(ref PersonRef) (store.Person, error) {
	if ref == (PersonRef{}) && !k.r.Operator {
		ref = PersonRef{Connection: k.r.Connection, Person: k.r.Person}
	}
	p, err := k.anybody(ref)
	if err != nil || k.r.Operator || k.r.Is(p.Connection, p.ID) {
		return p, err
	}
	d, err := k.dir(p.Connection)
	if err != nil {
		return p, err
	}
	held, err := d.Assignments(p)
	if err != nil {
		return p, err
	}
	best := d.Row().Root
	for _, a := range held {
		if k.r.Reaches(k.Tree, a.Scope) > k.r.Reaches(k.Tree, best) {
			best = a.Scope
		}
	}
	return p, sees(k.r, k.Tree, best, "person")
}

// anybody finds somebody by id, or by userName, whoever acts.
func (k *desk) anybody(ref PersonRef) (store.Person, error) {
	const op = "steward.named"
	if ref.Connection == "" && ref.Person != "" && !k.r.Operator {
		ref.Connection = k.r.Connection
	}
	if ref.Connection == "" || ref.Person == "" {
		return store.Person{}, fault.New(fault.Invalid, op, "name somebody: a connection, and a person of it")
	}
	d, err := k.dir(ref.Connection)
	if err == nil {
		var p store.Person
		if p, err = d.Person(ref.Person); fault.Is(err, fault.NotFound) {
			p, err = d.PersonByUserName(string(ref.Person))
		}
		if err == nil {
			return p, nil
		}
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, op, "there is no such person")
	}
	return store.Person{}, err
}

// holder is somebody with what they hold now, and may be made.
func (k *desk) holder(p store.Person) (request.Holder, error) {
	d, err := k.dir(p.Connection)
	if err != nil {
		return request.Holder{}, err
	}
	h := request.Holder{Party: request.Party{Connection: p.Connection, Person: p.ID}, Root: d.Row().Root}
	if h.Held, err = d.Assignments(p); err != nil {
		return h, err
	}
	facts, err := d.Facts(p, nil)
	h.Certification = facts.Certification
	return h, err
}

// area finds a scope that lives, by its path or id. What does not exist for whoever acts is
// not there, in the same words as what does not exist at all.
func (k *desk) area(at string) (access.Scope, error) {
	if at == "" {
		return access.Scope{}, fault.New(fault.Invalid, "steward.area", "name the area: a path (provider/account/fleet) or an id").Because(ReasonArea)
	}
	s, ok := k.Tree.Scope(access.ScopeID(at))
	if !ok {
		s, ok = k.Tree.Find(at)
	}
	if ok = ok && k.Tree.Live(s.ID); ok {
		var err error
		if ok, err = k.exists(s.ID); err != nil {
			return access.Scope{}, err
		}
	}
	if !ok {
		return access.Scope{}, fault.New(fault.NotFound, "steward.area", "there is no area %q: name a path (provider/account/fleet) or an id", at)
	}
	return s, nil
}

// exists reports whether a scope exists for whoever acts: everything does for the operator;
// for a person what lies within the root of their own connection, or where they hold
// something now.
func (k *desk) exists(id access.ScopeID) (bool, error) {
	if k.r.Operator || id == k.known {
		return true, nil
	}
	d, err := k.dir(k.r.Connection)
	if err != nil {
		return false, err
	}
	if k.Tree.Covers(d.Row().Root, id) {
		return true, nil
	}
	p, err := d.Person(k.r.Person)
	if err != nil {
		return false, err
	}
	held, err := d.Assignments(p)
	return slices.ContainsFunc(held, func(a access.Assignment) bool {
		return a.ValidAt(k.Now) && k.Tree.Live(a.Scope) && k.Tree.Covers(a.Scope, id)
	}), err
}

func (k *desk) areaView(id access.ScopeID) AreaView {
	s, ok := k.Tree.Scope(id)
	if !ok {
		return AreaView{ID: id}
	}
	return AreaView{ID: id, Path: k.Tree.Path(id), Level: s.Level, Name: s.Name}
}

func (k *desk) areaViews(ids []access.ScopeID) []AreaView {
	all := make([]AreaView, len(ids))
	for i, id := range ids {
		all[i] = k.areaView(id)
	}
	return all
}

func (k *desk) terms(t request.Terms) Terms {
	return Terms{Grant: t.Grant, PublicName: k.Catalogue.PublicName(t.Grant), Area: k.areaView(t.Scope), Flags: t.Flags, Until: t.Until}
}

// shown is how many people and areas a view lists at most.
const shown = 20

// approver is somebody who may decide, and where they administer.
type approver struct {
	request.Party
	at access.ScopeID
}

// approvers lists who may decide about a scope but these, the nearest first: at most so
// many.
func (k *desk) approvers(of mapping.Approvers, scope access.ScopeID, but []request.Party, most int) ([]approver, error) {
	seen := map[request.Party]bool{}
	for _, p := range but {
		seen[p] = true
	}
	var all []approver
	for at, ok := k.Tree.Scope(scope); ok; at, ok = k.Tree.Scope(at.Parent) {
		if !request.Decides(k.Tree, of, at.ID, scope) {
			continue
		}
		some, err := k.v.AdministratorsAt(at.ID, 2*shown+most)
		if err != nil {
			return nil, err
		}
		for _, a := range some {
			p := request.Party{Connection: a.Connection, Person: a.Person}
			if seen[p] || !a.ValidAt(k.Now) {
				continue
			}
			if unproven, err := taken(k.v, a.Sources); err != nil || unproven {
				if err != nil {
					return nil, err
				}
				continue
			}
			if seen[p] = true; len(all) == most {
				return all, nil
			}
			all = append(all, approver{p, at.ID})
		}
	}
	return all, nil
}

// shownApprovers are those whom whoever acts may know by name: those of their own
// connection, and those who administer below them.
func (k *desk) shownApprovers(of []approver) (all []Who, more bool, err error) {
	all = []Who{}
	for _, a := range of {
		if !k.r.Operator && a.Connection != k.r.Connection && !k.r.Administers(k.Tree, a.at) || len(all) == shown {
			more = true
			continue
		}
		w, err := k.who(a.Party)
		if err != nil {
			return nil, false, err
		}
		all = append(all, w)
	}
	return all, more, nil
}

// printed holds a text that people give to its form.
func printed(what, text string, most int) error {
	switch {
	case utf8.RuneCountInString(text) > most:
		return fault.New(fault.Invalid, "steward.printed", "%s is longer than %d characters", what, most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		return fault.New(fault.Invalid, "steward.printed", "%s holds a character that is not printed", what)
	}
	return nil
}

// The longest texts, in characters.
const (
	maxReason       = 1000
	maxOrganisation = 200
	maxCase         = 64
)

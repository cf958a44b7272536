package bridge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Supposed is what a simulation supposes of a person: of somebody who is here, or of
// somebody made up in a connection. What is nil or empty stays as it is.
type Supposed struct {
	Person        string                // userName, e-mail address or id; "": somebody made up
	Connection    access.ConnectionID   // of somebody made up, or if several people answer to Person
	AddGroups     []string              // by name, by id, or by externalId
	RemoveGroups  []string              //
	Hypothetical  bool                  // groups to add need not exist
	Attributes    map[string]any        // by the policy's names; nil takes one away
	Certification *access.Certification // counts, as the vendor's own word
	Active        *bool
	At            time.Time             // zero: now
	Policy        *mapping.PolicySource // nil: the active one
}

// Simulation is what somebody would hold if what is supposed were so. Nothing of it
// has happened.
type Simulation struct {
	Person     access.PersonID     `json:"person,omitzero"`
	UserName   string              `json:"user_name,omitzero"`
	Connection access.ConnectionID `json:"connection"`
	At         time.Time           `json:"at" doc:"the instant of then"`
	Now        *Simulated          `json:"now,omitempty" doc:"as it is; nobody made up has that"`
	Then       Simulated           `json:"then"`
	Test       mapping.TestSource  `json:"test" doc:"then as a test: what the rules alone give to somebody new like this"`
}

// Simulated is what one person holds, and why.
type Simulated struct {
	Active     bool             `json:"active"`
	Groups     []string         `json:"groups"`
	Holds      []Holding        `json:"holds"`
	Reasons    []mapping.Reason `json:"reasons" doc:"in file order"`
	Refusal    string           `json:"refusal,omitzero" doc:"why the person could not sign in, as a reason code"`
	ValidUntil time.Time        `json:"valid_until,omitzero"`
}

// Simulate decides about somebody as they are and as they are supposed to be. It
// reads, and writes nothing.
func (b *Bridge) Simulate(ctx context.Context, s Supposed) (Simulation, error) {
	now := b.now()
	if s.At.IsZero() {
		s.At = now
	}
	var out Simulation
	if err := s.check(); err != nil {
		return out, err
	}
	err := b.store.View(ctx, func(v *store.View) error {
		active, err := b.active(v)
		if err != nil {
			return err
		}
		then := active
		if s.Policy != nil {
			if then, err = proposed(active, *s.Policy); err != nil {
				return err
			}
		}
		sim, err := newSubject(v, s)
		if err != nil {
			return err
		}
		out, err = sim.run(active, then, s, now)
		return err
	})
	return out, err
}

// maxSupposed is how many groups, and how many attributes, one simulation changes.
const maxSupposed = 100

func (s Supposed) check() error {
	if max(len(s.AddGroups), len(s.RemoveGroups), len(s.Attributes)) > maxSupposed {
		return fault.New(fault.Invalid, "bridge.Simulate", "one simulation adds and removes at most %d groups each, and changes at most %d attributes", maxSupposed, maxSupposed)
	}
	for _, text := range slices.Concat(s.AddGroups, s.RemoveGroups, []string{s.Person, string(s.Connection)}) {
		if len(text) > 1<<10 {
			return fault.New(fault.Invalid, "bridge.Simulate", "a name has at most 1024 bytes")
		}
	}
	if y := s.At.Year(); y < 1970 || y > 9999 {
		return fault.New(fault.Invalid, "bridge.Simulate", "the instant lies in no year that can be written")
	}
	return nil
}

// proposed is a policy that is only supposed, with the ids of the scopes that there are.
func proposed(active *activePolicy, src mapping.PolicySource) (*activePolicy, error) {
	src, err := adopt(src, active.Tree(), sameScopeID)
	if err != nil {
		return nil, err
	}
	compiled, err := mapping.Compile(src)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "bridge.Simulate", err)
	}
	return &activePolicy{Policy: compiled, version: active.version}, nil
}

// subject is whom a simulation is about.
type subject struct {
	dir     *store.Directory
	person  store.Person // zero but for the connection if made up
	held    []access.Assignment
	decided access.Decided // by people
	madeUp  bool
}

func newSubject(v *store.View, s Supposed) (subject, error) {
	const op = "bridge.Simulate"
	if s.Person == "" {
		if s.Connection == "" {
			return subject{}, fault.New(fault.Invalid, op, "name a person, or the connection of somebody made up")
		}
		dir, err := v.In(s.Connection)
		if fault.Is(err, fault.NotFound) {
			return subject{}, unknownConnection(v, s.Connection)
		}
		return subject{dir: dir, person: store.Person{Connection: s.Connection, Active: true}, madeUp: true}, err
	}
	people, err := v.PeopleNamed(s.Person)
	if err != nil {
		return subject{}, err
	}
	if s.Connection != "" {
		people = slices.DeleteFunc(people, func(p store.Person) bool { return p.Connection != s.Connection })
	}
	switch len(people) {
	case 0:
		return subject{}, fault.New(fault.NotFound, op, "nobody here is called %q; give a userName, an e-mail address or a person id", s.Person)
	case 1:
	default:
		return subject{}, fault.New(fault.Conflict, op, "%d people answer to %q, in %s; name the connection, or give a person id", len(people), s.Person, inConnections(people))
	}
	dir, err := v.In(people[0].Connection)
	if err != nil {
		return subject{}, err
	}
	held, err := dir.Assignments(people[0])
	if err != nil {
		return subject{}, err
	}
	decided, err := dir.Decided(people[0])
	return subject{dir: dir, person: people[0], held: held, decided: decided}, err
}

func unknownConnection(v *store.View, id access.ConnectionID) error {
	rows, err := v.Connections()
	if err != nil {
		return err
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, string(r.ID))
	}
	return fault.New(fault.NotFound, "bridge.Simulate", "there is no connection %q%s", id, orMeant(string(id), ids))
}

// orMeant is the end of a sentence about a word that is none of those.
func orMeant(word string, words []string) string {
	if near := suggest.Closest(word, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func inConnections(people []store.Person) string {
	var conns []string
	for _, p := range people {
		conns = append(conns, string(p.Connection))
	}
	slices.Sort(conns)
	return strings.Join(slices.Compact(conns), ", ")
}

func (x subject) run(active, then *activePolicy, s Supposed, now time.Time) (Simulation, error) {
	out := Simulation{Person: x.person.ID, UserName: x.person.UserName, Connection: x.person.Connection, At: s.At}
	facts, err := x.facts(active)
	if err != nil {
		return out, err
	}
	if !x.madeUp {
		is := x.judge(active, facts, x.held, now)
		out.Now = &is
	}
	if then != active {
		if facts, err = x.facts(then); err != nil {
			return out, err
		}
	}
	if facts, err = x.suppose(then, facts, s); err != nil {
		return out, err
	}
	by := x.decided
	by.Certification = facts.Certification
	held := then.Diff(x.held, mapping.Decide(then.Policy, facts, s.At).Want, by, s.At).After()
	if !facts.Active { // deactivation ends what people decided, too
		held = nil
	}
	held = slices.DeleteFunc(held, func(a access.Assignment) bool { return !a.ValidAt(s.At) })
	out.Then = x.judge(then, facts, held, s.At)
	out.Test = mapping.TestOf(then.Policy, facts, s.At)
	return out, nil
}

func (x subject) facts(policy *activePolicy) (mapping.Facts, error) {
	if x.madeUp {
		return mapping.Facts{Connection: x.person.Connection, Active: true}, nil
	}
	return x.dir.Facts(x.person, policy.Attributes(x.person.Connection))
}

// judge tells what is held at an instant, and why.
func (x subject) judge(policy *activePolicy, facts mapping.Facts, held []access.Assignment, at time.Time) Simulated {
	d := mapping.Evaluate(policy.Policy, facts, at)
	p, by := x.person, x.decided
	p.Active, by.Certification = facts.Active, facts.Certification
	out := Simulated{Active: facts.Active, Groups: []string{}, Holds: supposedly(policy, facts, at).holdings(held, nil), Reasons: d.Reasons,
		Refusal: refusalOf(policy.Policy, p, held, d, by, at), ValidUntil: earliest(d.ValidUntil, mapping.NextChange(held, at))}
	for _, m := range facts.Memberships {
		out.Groups = append(out.Groups, groupName(m))
	}
	slices.Sort(out.Groups)
	return out
}

func groupName(m mapping.Membership) string {
	if m.Name == "" {
		return "group_id " + m.ExternalID
	}
	return m.Name
}

// suppose changes facts as a simulation says.
func (x subject) suppose(policy *activePolicy, f mapping.Facts, s Supposed) (mapping.Facts, error) {
	for _, name := range s.RemoveGroups {
		at := slices.IndexFunc(f.Memberships, func(m mapping.Membership) bool { return answersTo(m, name) })
		if at < 0 {
			return f, fault.New(fault.Invalid, "bridge.Simulate", "the person is in no group %q%s", name, orMeant(name, namesOf(f.Memberships)))
		}
		f.Memberships = slices.Delete(slices.Clone(f.Memberships), at, at+1)
	}
	for _, name := range s.AddGroups {
		m, err := x.group(name, s)
		if err != nil {
			return f, err
		}
		if !slices.ContainsFunc(f.Memberships, func(has mapping.Membership) bool { return answersTo(has, name) }) {
			f.Memberships = append(slices.Clone(f.Memberships), m)
		}
	}
	if s.Active != nil {
		f.Active = *s.Active
	}
	if s.Certification != nil {
		f.Certification = *s.Certification
	}
	return x.supposeAttributes(policy, f, s)
}

func (x subject) supposeAttributes(policy *activePolicy, f mapping.Facts, s Supposed) (mapping.Facts, error) {
	if len(s.Attributes) == 0 {
		return f, nil
	}
	f.Attributes = maps.Clone(f.Attributes)
	if f.Attributes == nil {
		f.Attributes = map[string]any{}
	}
	given := map[string]any{}
	for name, value := range s.Attributes {
		if value == nil {
			delete(f.Attributes, name)
			continue
		}
		given[name] = value
	}
	read, wrong := policy.MadeUpAttributes(f.Connection, given)
	if len(wrong) > 0 {
		return f, fault.New(fault.Invalid, "bridge.Simulate", "%v", wrong[0])
	}
	maps.Copy(f.Attributes, read)
	return f, nil
}

func answersTo(m mapping.Membership, name string) bool {
	return string(m.Group) == name || m.Name != "" && schema.Fold(m.Name) == schema.Fold(name) || m.ExternalID != "" && m.ExternalID == name
}

func namesOf(ms []mapping.Membership) []string {
	var names []string
	for _, m := range ms {
		names = append(names, m.Name)
	}
	return names
}

// group finds a group that somebody is supposed to be in, by its name, its id or its
// externalId. One that is not here may be made up only if that is asked for.
func (x subject) group(name string, s Supposed) (mapping.Membership, error) {
	const op = "bridge.Simulate"
	g, err := x.dir.GroupByName(name)
	if fault.Is(err, fault.NotFound) {
		g, err = x.dir.Group(access.GroupID(name))
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return mapping.Membership{}, err
	}
	external := g.ExternalID
	if err != nil {
		external = name
	}
	var same []store.Group
	if external != "" {
		var failed error
		if same, failed = x.dir.GroupsByExternalID(external); failed != nil {
			return mapping.Membership{}, failed
		}
	}
	switch {
	case err == nil:
	case len(same) > 0:
		g = same[0]
	case s.Hypothetical:
		return mapping.Membership{Group: access.GroupID("hypothetical " + name), Name: name, ExternalID: name, Since: s.At}, nil
	default:
		near, err := x.dir.NamesNear(name, 200)
		if err != nil {
			return mapping.Membership{}, err
		}
		return mapping.Membership{}, fault.New(fault.NotFound, op, "%s has no group %q%s; --hypothetical (hypothetical in the API) supposes one that is only planned", x.person.Connection, name, orMeant(name, near))
	}
	return mapping.Membership{Group: g.ID, Name: g.DisplayName, ExternalID: g.ExternalID, Shared: len(same) > 1, Since: s.At}, nil
}

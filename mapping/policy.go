package mapping

import (
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Policy is a compiled policy: immutable, safe for any number of readers.
type Policy struct {
	source      PolicySource
	tree        *access.Tree
	places      places
	connections map[access.ConnectionID]access.Connection
	domains     map[string][]access.ConnectionID // who names each e-mail domain
	rules       map[access.ConnectionID]*ruleset
	left        Faults                              // about scopes that have left where they are named
	looks       map[access.ConnectionID][]Attribute // that conditions look at, by name
	conditions  *conditions
}

// how a rule asks for groups.
type how uint8

const (
	howOne how = iota
	howAll
	howAny
)

// rule is a compiled rule.
type rule struct {
	RuleSource
	order    int // among the rules of its connection
	how      how
	asks     []asked
	none     []asked
	targets  []target
	captures int        // how many levels it captures
	fixed    outcome    // what it gives, if it captures none
	when     *condition // nil: it asks for nothing more
}

// maxRules bounds a policy.
const maxRules = 10_000

// Compile checks a policy and makes it ready for Evaluate. The error is Faults:
// everything that is wrong, in the order of the source. Every scope a rule could
// ever give, captures included, must lie under its connection's ceiling.
func Compile(src PolicySource) (*Policy, error) {
	tree, err := access.NewTree(src.Scopes)
	if err != nil {
		return nil, joinedFaults(err)
	}
	if len(src.Rules) > maxRules {
		return nil, Faults{{Pos: src.Rules[maxRules].Pos, Message: fmt.Sprintf("a policy has at most %d rules", maxRules)}}
	}
	captured, manifold := src.captured()
	p := &Policy{
		source: src, tree: tree, places: placesOf(tree, captured, manifold),
		connections: map[access.ConnectionID]access.Connection{},
		domains:     map[string][]access.ConnectionID{},
		rules:       map[access.ConnectionID]*ruleset{},
		looks:       map[access.ConnectionID][]Attribute{},
	}
	faults := p.addConnections()
	if err := src.Catalogue.Check(); err != nil {
		faults = append(faults, joinedFaults(err)...)
	}
	var wrong Faults
	p.conditions, wrong = newConditions(src)
	faults = append(faults, wrong...)
	seen := map[string]bool{}
	for _, r := range src.Rules {
		compiled, wrong := p.compileRule(r, seen)
		faults = append(faults, p.tolerate(wrong)...)
		if compiled != nil {
			p.rules[r.From].add(compiled)
		}
	}
	faults = append(faults, p.conditions.faults()...)
	faults = append(faults, src.checkReviews()...)
	faults = append(faults, p.tolerate(p.checkTests(src.Tests))...)
	if len(faults) > 0 {
		return nil, faults
	}
	for id, s := range p.rules {
		p.looks[id] = s.attributes()
	}
	return p, nil
}

// captured lists the levels that any rule captures, and whether captures meet others: in
// one name, or in several groups that are asked for together. What does not parse is reported with its rule.
func (src PolicySource) captured() (levels map[access.Level]bool, manifold bool) {
	levels = map[access.Level]bool{}
	read := func(refs ...GroupRef) {
		for _, ref := range refs {
			p, err := parsePattern(ref.Group)
			if err != nil {
				continue
			}
			captures := p.captures()
			manifold = manifold || len(captures) > 1
			for _, l := range captures {
				levels[l] = true
			}
		}
	}
	for _, r := range src.Rules {
		manifold = manifold || len(r.All) > 1
		read(GroupRef{Group: r.Group})
		read(r.All...)
		read(r.Any...)
		read(r.None...)
	}
	return levels, manifold
}

func joinedFaults(err error) Faults {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return Faults{{Message: err.Error()}}
	}
	var faults Faults
	for _, e := range joined.Unwrap() {
		faults = append(faults, Fault{Message: e.Error()})
	}
	return faults
}

func (p *Policy) addConnections() Faults {
	var faults Faults
	for _, c := range p.source.Connections {
		say := func(format string, args ...any) {
			faults = append(faults, Fault{Message: fmt.Sprintf("connection %q: ", c.ID) + fmt.Sprintf(format, args...)})
		}
		if _, dup := p.connections[c.ID]; dup || c.ID == "" {
			say("its id is empty or taken")
		}
		if _, ok := p.tree.Scope(c.Root); !ok {
			say("its root %q is no scope", c.Root)
		}
		if _, ok := p.tree.Scope(c.Ceiling.Scope); !ok {
			say("its ceiling's scope %q is no scope", c.Ceiling.Scope)
		}
		for _, g := range c.Ceiling.Grants {
			if !g.Known() {
				say("its ceiling allows %q, which is not a grant", g)
			}
		}
		p.connections[c.ID] = c
		for _, domain := range slices.Compact(slices.Sorted(slices.Values(c.Domains))) {
			p.domains[domain] = append(p.domains[domain], c.ID)
		}
		p.rules[c.ID] = newRuleset()
	}
	return faults
}

// rulesOf lists the rules of a connection, in file order.
func (p *Policy) rulesOf(id access.ConnectionID) []*rule {
	if s := p.rules[id]; s != nil {
		return s.rules
	}
	return nil
}

// Tree is the policy's scope tree.
func (p *Policy) Tree() *access.Tree { return p.tree }

// Catalogue is what grants are called, open and risk.
func (p *Policy) Catalogue() access.Catalogue { return p.source.Catalogue }

// Connection returns the connection with that id.
func (p *Policy) Connection(id access.ConnectionID) (access.Connection, bool) {
	c, ok := p.connections[id]
	return c, ok
}

// Connections lists the connections in the order of the source.
func (p *Policy) Connections() []access.Connection { return slices.Clone(p.source.Connections) }

// ByDomain lists the connections that name an e-mail domain, as written, in the order of the source.
func (p *Policy) ByDomain(domain string) []access.ConnectionID { return p.domains[domain] }

// Source is what the policy was compiled from.
func (p *Policy) Source() PolicySource { return p.source }

// Pair is a grant at a scope.
type Pair struct {
	Grant access.Grant
	Scope access.ScopeID
}

// Attributes lists the attributes of people that conditions of the connection's rules
// look at, by name: what Facts must bring. Most policies have none.
func (p *Policy) Attributes(id access.ConnectionID) []Attribute { return p.looks[id] }

// Describe writes a grant at a scope for people: "standard @ pacific/ironbark".
func (p *Policy) Describe(g access.Grant, s access.ScopeID) string {
	path := p.tree.Path(s)
	if path == "" {
		path = fmt.Sprintf("(no scope %s)", s)
	}
	return string(g) + " @ " + path
}

package mapping

import (
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Policy is a compiled policy: immutable, safe for any number of readers.
type Policy struct {
	source      PolicySource
	tree        *access.Tree
	connections map[access.ConnectionID]access.Connection
	rules       map[access.ConnectionID][]*rule // in file order
	feeds       map[access.ConnectionID]feeds
	looks       map[access.ConnectionID][]Attribute // that conditions look at, by name
}

// feeds are the groups that a connection's rules look at.
type feeds struct {
	names map[string]bool // folded, captures filled in
	ids   map[string]bool
}

// rule is a compiled rule.
type rule struct {
	RuleSource
	pattern  pattern            // nil for group_id
	loose    pattern            // the pattern squashed, for near misses
	outcomes map[string]outcome // by folded group name, or by group_id
}

// Compile checks a policy and makes it ready for Evaluate. The error is Faults:
// everything that is wrong, in the order of the source. Every scope a rule could
// ever give, captures included, must lie under its connection's ceiling.
func Compile(src PolicySource) (*Policy, error) {
	tree, err := access.NewTree(src.Scopes)
	if err != nil {
		return nil, joinedFaults(err)
	}
	p := &Policy{
		source: src, tree: tree,
		connections: map[access.ConnectionID]access.Connection{},
		rules:       map[access.ConnectionID][]*rule{},
		feeds:       map[access.ConnectionID]feeds{},
	}
	faults := p.addConnections()
	if err := src.Catalogue.Check(); err != nil {
		faults = append(faults, joinedFaults(err)...)
	}
	seen := map[string]bool{}
	for _, r := range src.Rules {
		compiled, wrong := p.compileRule(r, seen)
		faults = append(faults, wrong...)
		if len(wrong) == 0 {
			p.add(compiled)
		}
	}
	faults = append(faults, p.checkTests(src.Tests)...)
	if len(faults) > 0 {
		return nil, faults
	}
	return p, nil
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
	finds := map[string]access.ConnectionID{}
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
		for _, d := range c.Domains {
			if other, taken := finds[schema.Fold(d)]; taken {
				say("the domain %s already finds connection %q", d, other)
				continue
			}
			finds[schema.Fold(d)] = c.ID
		}
		p.connections[c.ID] = c
		p.feeds[c.ID] = feeds{names: map[string]bool{}, ids: map[string]bool{}}
	}
	return faults
}

func (p *Policy) add(r *rule) {
	p.rules[r.From] = append(p.rules[r.From], r)
	f := p.feeds[r.From]
	if r.pattern == nil {
		f.ids[r.GroupID] = true
		return
	}
	for name := range r.outcomes {
		f.names[name] = true
	}
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

// Source is what the policy was compiled from.
func (p *Policy) Source() PolicySource { return p.source }

// Pair is a grant at a scope.
type Pair struct {
	Grant access.Grant
	Scope access.ScopeID
}

// Standing is what is held without what people gave at scopes that are retired, or are
// there no more: it has ended. An assignment of which nothing is left has no sources,
// and Diff drops it.
func (p *Policy) Standing(held []access.Assignment) []access.Assignment {
	dead := func(a access.Assignment) bool { return !p.tree.Live(a.Scope) }
	if !slices.ContainsFunc(held, dead) {
		return held
	}
	held = slices.Clone(held)
	for i, a := range held {
		if dead(a) {
			held[i].Sources = nil
		}
	}
	return held
}

// LooksAt reports whether a group with that name or externalId could feed any
// rule of the connection, shadow rules included. It costs two map look-ups, so
// that adding members to a group that feeds nothing needs no evaluation.
func (p *Policy) LooksAt(id access.ConnectionID, groupName, groupExternalID string) bool {
	f := p.feeds[id]
	return f.names[schema.Fold(groupName)] || (groupExternalID != "" && f.ids[groupExternalID])
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

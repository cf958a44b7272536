package bridge

import (
	"reflect"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// reach is whom of a connection a change of the policy may concern: nobody,
// the members of some groups, or everybody. What is in doubt is everybody.
type reach struct {
	everybody          bool
	names, externalIDs []string // of groups; names folded
}

// maxFenced is how many groups a change of the policy fences by name at most. One that
// concerns more concerns everybody: that is one number, however many there are.
const maxFenced = 1000

func (r reach) nobody() bool { return !r.everybody && len(r.names)+len(r.externalIDs) == 0 }

// reached says whom of a connection it may concern that next takes the place of old.
func reached(old, next *mapping.Policy, conn access.ConnectionID) reach {
	if old == nil || !same(decisive(old, conn), decisive(next, conn)) {
		return reach{everybody: true}
	}
	return reach{}
}

// decisive is all that decisions of a connection's people follow from, beside facts.
func decisive(p *mapping.Policy, conn access.ConnectionID) any {
	src := p.Source().Unplaced()
	c, known := p.Connection(conn)
	rules := slices.DeleteFunc(slices.Clone(src.Rules), func(r mapping.RuleSource) bool { return r.From != conn })
	for i := range rules {
		rules[i].Note, rules[i].Owner = "", ""
	}
	return []any{known, c.Ceiling, c.TrustsCertification, c.SCIM.UserExtensions, src.Scopes, src.Attributes, src.Conditions, rules}
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }

// reachesOf says whom of each connection it may concern that next takes the place of old.
func reachesOf(old, next *mapping.Policy) map[access.ConnectionID]reach {
	reaches := map[access.ConnectionID]reach{}
	for _, c := range next.Connections() {
		r := reached(old, next, c.ID)
		r.everybody = r.everybody || len(r.names)+len(r.externalIDs) > maxFenced
		reaches[c.ID] = r
	}
	return reaches
}

// putPolicy puts the policy in and lets the decisions of those whom it may concern
// count for nothing, in the same transaction: whoever is not concerned stays decided.
func putPolicy(tx *store.Tx, reaches map[access.ConnectionID]reach, next *mapping.Policy, lived map[access.ConnectionID]bool, row store.Policy) (version int64, err error) {
	var stand []access.ConnectionID
	for _, c := range next.Connections() {
		if lived[c.ID] && !reaches[c.ID].everybody {
			stand = append(stand, c.ID)
		}
	}
	version, err = tx.PutPolicy(row.Hash, row.Source, row.Applied, stand...)
	if err != nil {
		return 0, err
	}
	for _, id := range stand {
		if err := fenceReached(tx, id, reaches[id]); err != nil {
			return 0, err
		}
	}
	return version, nil
}

func fenceReached(tx *store.Tx, id access.ConnectionID, r reach) error {
	if r.nobody() {
		return nil
	}
	dir, err := tx.In(id)
	if err != nil {
		return err
	}
	_, err = dir.FenceNamed(r.names, r.externalIDs)
	return err
}

// compiled is the policy of a row; nil if none has been applied.
func (b *Bridge) compiled(v *store.View, row store.Policy) (*mapping.Policy, error) {
	if row.Version == 0 {
		return nil, nil
	}
	if p := b.policy.Load(); p != nil && p.version == row.Version {
		return p.Policy, nil
	}
	src, err := sourceOf(v, row)
	if err != nil {
		return nil, err
	}
	return mapping.Compile(src)
}

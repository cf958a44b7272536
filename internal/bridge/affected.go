package bridge

import (
	"reflect"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// A change of the policy concerns of each connection nobody, the members of some of its
// groups, or everybody. It looks at maxLooked groups for them, and fences maxFenced of
// them at most: more is everybody, which is one number, however many there are.
const (
	maxLooked = 5000
	maxFenced = 1000
)

// reachesOf says whom of each connection it may concern that next takes the place of
// old. What is in doubt is everybody: another ceiling, or a scope that went, was retired
// or lies elsewhere.
func reachesOf(old, next *mapping.Policy) map[access.ConnectionID]mapping.Reach {
	reaches := map[access.ConnectionID]mapping.Reach{}
	compared := mapping.Compare(old, next)
	moved := old == nil || lies(access.DiffTrees(old.Tree(), next.Tree()))
	for _, c := range next.Connections() {
		r := compared.Of(c.ID)
		if !moved {
			was, _ := old.Connection(c.ID)
			r.Everybody = r.Everybody || !reflect.DeepEqual(was.Ceiling, c.Ceiling)
		}
		r.Everybody = r.Everybody || moved
		reaches[c.ID] = r
	}
	return reaches
}

// lies reports whether a scope that was there is gone, or lies under others than before.
func lies(d access.TreeDiff) bool {
	isNew := make(map[access.ScopeID]bool, len(d.New))
	for _, s := range d.New {
		isNew[s.ID] = true
	}
	for _, l := range d.Above {
		if !isNew[l.Scope] {
			return true
		}
	}
	return len(d.Gone) > 0
}

// putPolicy puts the policy in and lets the decisions of those whom it may concern
// count for nothing, in the same transaction: whoever is not concerned stays decided.
func putPolicy(tx *store.Tx, reaches map[access.ConnectionID]mapping.Reach, next *mapping.Policy, lived map[access.ConnectionID]bool, row store.Policy) (version int64, err error) {
	var stand []access.ConnectionID
	fenced := map[access.ConnectionID][]store.GroupKey{}
	for _, c := range next.Connections() {
		if !lived[c.ID] || reaches[c.ID].Everybody {
			continue
		}
		keys, known, err := touchedGroups(tx, c.ID, reaches[c.ID])
		if err != nil {
			return 0, err
		}
		if known {
			stand, fenced[c.ID] = append(stand, c.ID), keys
		}
	}
	version, err = tx.PutPolicy(row.Hash, row.Source, row.Applied, stand...)
	if err != nil {
		return 0, err
	}
	for _, id := range stand {
		if len(fenced[id]) == 0 {
			continue
		}
		dir, err := tx.In(id)
		if err != nil {
			return 0, err
		}
		if err := dir.FenceGroups(fenced[id]); err != nil {
			return 0, err
		}
	}
	return version, nil
}

// touchedGroups are the groups whose members a change may concern; known is false where
// they are too many to be told apart.
func touchedGroups(tx *store.Tx, id access.ConnectionID, r mapping.Reach) (keys []store.GroupKey, known bool, err error) {
	if r.Nobody() {
		return nil, true, nil
	}
	dir, err := tx.In(id)
	if err != nil {
		return nil, false, err
	}
	groups, err := dir.GroupTitles(maxLooked + 1)
	if err != nil || len(groups) > maxLooked {
		return nil, false, err
	}
	for _, g := range groups {
		if r.Touches(g.DisplayName, g.ExternalID) {
			keys = append(keys, g.Key)
		}
	}
	return keys, len(keys) <= maxFenced, nil
}

package access

import "slices"

// TreeDiff is what leads from one tree to another: as much as has changed, however
// large the trees are.
type TreeDiff struct {
	New     []Scope   // parents first
	Changed []Scope   //
	Gone    []ScopeID // in the new tree no more
	// Above are the scopes whose ancestors have changed, or that were retired or
	// restored, the new ones included.
	Above []Lineage
}

// Lineage is a scope with what covers it.
type Lineage struct {
	Scope     ScopeID
	Ancestors []ScopeID // from the scope itself up to the host; none cover a retired one
}

// Empty reports whether the trees are the same.
func (d TreeDiff) Empty() bool { return len(d.New)+len(d.Changed)+len(d.Gone)+len(d.Above) == 0 }

// DiffTrees compares two trees; before may be nil, which is the empty one.
func DiffTrees(before, after *Tree) TreeDiff {
	var d TreeDiff
	for _, id := range after.order() {
		n, old := after.byID[id], before.node(id)
		switch {
		case old == nil:
			d.New = append(d.New, n.Scope)
		case !old.same(n.Scope):
			d.Changed = append(d.Changed, n.Scope)
		}
		if old == nil || !sameAbove(old, n) {
			d.Above = append(d.Above, Lineage{Scope: id, Ancestors: n.above()})
		}
	}
	for _, id := range before.order() {
		if after.node(id) == nil {
			d.Gone = append(d.Gone, id)
		}
	}
	return d
}

func (t *Tree) order() []ScopeID {
	if t == nil {
		return nil
	}
	return t.inOrder
}

func (t *Tree) node(id ScopeID) *node {
	if t == nil {
		return nil
	}
	return t.byID[id]
}

func (s Scope) same(o Scope) bool {
	return s.ID == o.ID && s.Slug == o.Slug && s.Level == o.Level && s.Name == o.Name && s.Parent == o.Parent &&
		s.TimeZone == o.TimeZone && s.Location == o.Location && s.Retired.Equal(o.Retired) &&
		slices.Equal(s.Was, o.Was) && slices.Equal(s.Formerly, o.Formerly)
}

func sameAbove(a, b *node) bool {
	if a.ended.IsZero() != b.ended.IsZero() {
		return false
	}
	for a != nil && b != nil && a.ID == b.ID {
		a, b = a.parent, b.parent
	}
	return a == nil && b == nil
}

func (n *node) above() []ScopeID {
	if !n.ended.IsZero() {
		return nil
	}
	var up []ScopeID
	for ; n != nil; n = n.parent {
		up = append(up, n.ID)
	}
	return up
}

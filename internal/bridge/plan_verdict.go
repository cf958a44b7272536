package bridge

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// verdict is what the policy to come says of people who are alike to it.
type verdict struct {
	want   []mapping.Wanted
	shape  string           // how it is stored where people decided nothing
	admins []access.ScopeID // of which it makes administrators
	shadow []string         // rules that only count, and would give something
	people int64
	same   int64 // who hold exactly this already
}

// maxVerdicts bounds what a worker remembers; beyond it all is counted and forgotten.
const maxVerdicts = 1 << 15

// appendShape writes all of an assignment but its id.
func appendShape(b []byte, a store.CensusAssignment) []byte {
	for _, text := range []string{string(a.Grant), string(a.Scope), string(a.Flags.Events), string(a.Standing)} {
		b = append(append(b, text...), 0)
	}
	b = strconv.AppendBool(b, a.Flags.Video)
	b = strconv.AppendInt(append(b, 0), a.NotBefore, 10)
	b = strconv.AppendInt(append(b, 0), a.Until, 10)
	return append(append(append(b, 0), a.Sources...), 0)
}

func shapeOf(as []access.Assignment) (string, error) {
	as = slices.Clone(as)
	slices.SortFunc(as, func(a, b access.Assignment) int {
		return cmp.Or(cmp.Compare(a.Grant, b.Grant), cmp.Compare(a.Scope, b.Scope))
	})
	var b []byte
	for _, a := range as {
		sources, err := json.Marshal(a.Sources)
		if err != nil {
			return "", err
		}
		b = appendShape(b, store.CensusAssignment{Grant: a.Grant, Scope: a.Scope, Flags: a.Flags, Standing: a.Standing,
			NotBefore: milliseconds(a.NotBefore), Until: milliseconds(a.Until), Sources: sources})
	}
	return string(b), nil
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// verdict is what the policy to come wants a person to hold. It is the same for all
// who are in the same groups that feed rules, joined in the same order, and are alike
// in whatever else the connection's rules look at.
func (w *planWorker) verdict(c *planConnection, x *store.CensusPerson) (*verdict, error) {
	f, err := w.facts(x, c.trusts, c.looks, func(g *planGroup) bool { return g.feeds })
	if err != nil {
		return nil, err
	}
	w.key = binary.AppendUvarint(w.key[:0], uint64(c.index)) //nolint:gosec // an index
	before, in := int64(-1), w.inOrder(x.Groups)
	w.key = binary.AppendUvarint(w.key, uint64(len(in)))
	for _, m := range in {
		w.key = binary.AppendUvarint(w.key, uint64(m.Group)) //nolint:gosec // a row's key
		if m.Since == before {
			w.key = append(w.key, 0) // joined at one instant: no group's key is 0
		}
		before = m.Since
		if c.since {
			w.key = binary.AppendVarint(w.key, m.Since)
		}
	}
	if c.certified && f.Certification != (access.Certification{}) {
		w.key = append(append(w.key, 0), f.Certification.Level...)
		w.key = binary.AppendVarint(append(w.key, 0), milliseconds(f.Certification.Until))
	}
	if len(f.Attributes) > 0 {
		attributes, err := json.Marshal(f.Attributes) // in the order of their names
		if err != nil {
			return nil, fault.Wrap(fault.Internal, "bridge.verdict", err)
		}
		w.key = append(append(w.key, 0), attributes...)
	}
	if v := w.verdicts[string(w.key)]; v != nil {
		return v, nil
	}
	if len(w.verdicts) >= maxVerdicts {
		w.fold()
	}
	v := w.decide(f)
	w.verdicts[string(w.key)] = v
	return v, nil
}

// inOrder are the groups that feed rules, in the order in which rules see them.
func (w *planWorker) inOrder(all []store.CensusMembership) []store.CensusMembership {
	var feeding []store.CensusMembership
	for _, m := range all {
		if g := w.known(m.Group); !g.gone && g.feeds {
			feeding = append(feeding, m)
		}
	}
	if len(feeding) > 1 {
		slices.SortFunc(feeding, func(a, b store.CensusMembership) int {
			g, h := w.known(a.Group), w.known(b.Group)
			return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(g.folded, h.folded), cmp.Compare(g.Membership.Group, h.Membership.Group))
		})
	}
	return feeding
}

func (w *planWorker) decide(f mapping.Facts) *verdict {
	v := &verdict{want: mapping.Decide(w.next, f, w.now).Want}
	after := w.next.Diff(nil, v.want, access.Decided{}, w.now).After()
	shape, err := shapeOf(after)
	if err != nil {
		shape = "\x00" // equal to nothing: everybody is compared in full
	}
	v.shape = shape
	for _, a := range after {
		if a.Grant == access.Administrator && a.MaySignIn(w.now) {
			v.admins = append(v.admins, a.Scope)
		}
	}
	if w.counted != nil {
		would := map[string]bool{}
		for _, x := range mapping.Decide(w.counted, f, w.now).Want {
			for _, s := range x.Sources {
				if at, known := w.ranks[s.ID]; known && w.next.Source().Rules[at].Mode == mapping.Shadow {
					would[s.ID] = true
				}
			}
		}
		v.shadow = slices.Sorted(maps.Keys(would))
	}
	return v
}

// fold counts what was remembered, and forgets it.
func (w *planWorker) fold() {
	for _, v := range w.verdicts {
		for _, scope := range v.admins {
			w.tally.count(scope, v.same, v.same)
		}
		for _, id := range v.shadow {
			w.tally.shadow[id] += v.people
		}
		for id, g := range w.given(v) {
			r := w.tally.rule(id)
			r.people += v.people
			if g.redundant {
				r.redundant += v.people
			}
			if g.beaten {
				r.beaten += v.people
			}
		}
	}
	clear(w.verdicts)
}

// given is what one rule adds to what people hold.
type given struct{ redundant, beaten bool }

// given is by rule what each adds to a verdict.
func (w *planWorker) given(v *verdict) map[string]given {
	out := map[string]given{}
	first := len(w.ranks) // of the rules that give the primary
	for _, x := range v.want {
		for _, s := range x.Sources {
			if x.Standing == access.Primary && s.Standing == access.Primary {
				first = min(first, w.ranks[s.ID])
			}
		}
	}
	for _, x := range v.want {
		for _, s := range x.Sources {
			was, seen := out[s.ID]
			g := given{redundant: w.covered(s, x.Sources), beaten: first < w.ranks[s.ID]}
			if seen {
				g.redundant = g.redundant && was.redundant
			}
			out[s.ID] = g
		}
	}
	return out
}

// covered reports whether an earlier rule gives at least as much as s does.
func (w *planWorker) covered(s access.Source, all []access.Source) bool {
	return slices.ContainsFunc(all, func(o access.Source) bool {
		return w.ranks[o.ID] < w.ranks[s.ID] && o.Flags.Union(s.Flags) == o.Flags && (o.Standing == access.Primary || s.Standing != access.Primary) &&
			(o.Until.IsZero() || !s.Until.IsZero() && !o.Until.Before(s.Until)) && !o.NotBefore.After(s.NotBefore)
	})
}

package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// PolicyApplication is one version of the policy, and how it came to be in force.
type PolicyApplication struct {
	Version   int64       `json:"version"`
	Hash      string      `json:"hash"`
	Base      int64       `json:"base"` // the version before it
	Author    string      `json:"author,omitzero"`
	At        time.Time   `json:"at"`
	File      string      `json:"file,omitzero"`
	Plan      string      `json:"plan,omitzero"` // the hash of the plan that was reviewed
	Reverts   int64       `json:"reverts,omitzero"`
	Reason    string      `json:"reason,omitzero"`
	Summary   PlanSummary `json:"summary"`
	Approvals Approvals   `json:"approvals"`
}

// MaxApplications is how many applications one answer lists at most.
const MaxApplications = 200

// Applications lists versions of the policy below one, the latest first; below 0 is
// below none.
func (b *Bridge) Applications(ctx context.Context, below int64, limit int) ([]PolicyApplication, error) {
	if below <= 0 {
		below = math.MaxInt64
	}
	out := []PolicyApplication{}
	err := b.store.View(ctx, func(v *store.View) error {
		rows, err := v.Applications(below, min(max(limit, 1), MaxApplications))
		if err != nil {
			return err
		}
		for _, row := range rows {
			a, err := applicationOf(row)
			if err != nil {
				return err
			}
			out = append(out, a)
		}
		return nil
	})
	return out, err
}

func applicationOf(row store.Application) (PolicyApplication, error) {
	a := PolicyApplication{Version: row.Version, Hash: row.Hash, Base: row.Base, Author: row.Author, At: row.At, File: row.File, Plan: row.Plan, Reverts: row.Reverts, Reason: row.Reason}
	if err := json.Unmarshal(row.Summary, &a.Summary); err != nil {
		return a, fault.Wrap(fault.Internal, "bridge.Applications", err)
	}
	return a, fault.Wrap(fault.Internal, "bridge.Applications", json.Unmarshal(row.Approvals, &a.Approvals))
}

// PolicyVersionText is one version with all that it says.
type PolicyVersionText struct {
	PolicyApplication
	Source json.RawMessage `json:"source"`         // the policy as it is kept
	Text   string          `json:"text,omitempty"` // the file's text, its secrets masked
}

// Application is one version of the policy with all that it says; fault.NotFound if
// there is none of that number.
func (b *Bridge) Application(ctx context.Context, version int64) (out PolicyVersionText, err error) {
	return out, b.store.View(ctx, func(v *store.View) error {
		row, err := v.Application(version)
		if err != nil {
			return err
		}
		if out.PolicyApplication, err = applicationOf(row); err != nil {
			return err
		}
		source, text, err := v.ApplicationText(version)
		out.Source, out.Text = source, string(text)
		return err
	})
}

// PlanRevert plans to bring back what a version said. It is applied by its hash, like
// any plan; where the tree is kept in the store, it stays as it is.
func (b *Bridge) PlanRevert(ctx context.Context, version int64, o PlanOptions) (PolicyPlan, error) {
	was, err := b.Application(ctx, version)
	if err != nil {
		return PolicyPlan{}, err
	}
	var src mapping.PolicySource
	if err := json.Unmarshal(was.Source, &src); err != nil {
		return PolicyPlan{}, fault.Wrap(fault.Internal, "bridge.PlanRevert", err)
	}
	o.Reverts, o.File, o.Text = version, was.File, []byte(was.Text)
	return b.PlanPolicy(ctx, src, o)
}

// PolicyDiff is what is different in one version of the policy from another.
type PolicyDiff struct {
	From    int64          `json:"from"`
	To      int64          `json:"to"`
	Changes []PolicyChange `json:"changes"`
}

// PolicyChange is one part of a policy that was added, removed or changed.
type PolicyChange struct {
	Part   string        `json:"part" enum:"rule,rules,scope,connection,attribute,condition,test,grants,guard"`
	ID     string        `json:"id,omitzero"`
	Change string        `json:"change" enum:"added,removed,changed,reordered"`
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one field of a part that is different; "" where it was not there.
type FieldChange struct {
	Field string `json:"field"`
	Was   string `json:"was,omitzero"` // JSON
	Is    string `json:"is,omitzero"`  // JSON
}

// DiffPolicies compares two versions of the policy; to 0 is the one in force.
func (b *Bridge) DiffPolicies(ctx context.Context, from, to int64) (PolicyDiff, error) {
	const op = "bridge.DiffPolicies"
	if to == 0 {
		now, err := b.PolicyInForce(ctx)
		if err != nil {
			return PolicyDiff{}, err
		}
		to = now.Version
	}
	var sources [2]mapping.PolicySource
	for i, version := range []int64{from, to} {
		a, err := b.Application(ctx, version)
		if err != nil {
			return PolicyDiff{}, err
		}
		if err := json.Unmarshal(a.Source, &sources[i]); err != nil {
			return PolicyDiff{}, fault.Wrap(fault.Internal, op, err)
		}
	}
	changes, err := diffSources(sources[0].Unplaced(), sources[1].Unplaced())
	return PolicyDiff{From: from, To: to, Changes: changes}, fault.Wrap(fault.Internal, op, err)
}

// piece is one part of a policy, field by field.
type piece struct {
	kind, id string
	fields   map[string]json.RawMessage
}

func diffSources(was, is mapping.PolicySource) ([]PolicyChange, error) {
	before, err := partsOf(was)
	if err != nil {
		return nil, err
	}
	after, err := partsOf(is)
	if err != nil {
		return nil, err
	}
	type name struct{ kind, id string }
	old := map[name]piece{}
	for _, p := range before {
		old[name{p.kind, p.id}] = p
	}
	changes, stays := []PolicyChange{}, map[name]bool{}
	for _, p := range after {
		at := name{p.kind, p.id}
		o, there := old[at]
		stays[at] = true
		if !there {
			changes = append(changes, PolicyChange{Part: p.kind, ID: p.id, Change: "added", Fields: diffFields(nil, p.fields)})
		} else if fields := diffFields(o.fields, p.fields); len(fields) > 0 {
			changes = append(changes, PolicyChange{Part: p.kind, ID: p.id, Change: "changed", Fields: fields})
		}
	}
	for _, p := range before {
		if !stays[name{p.kind, p.id}] {
			changes = append(changes, PolicyChange{Part: p.kind, ID: p.id, Change: "removed", Fields: diffFields(p.fields, nil)})
		}
	}
	if reordered(was.Rules, is.Rules) {
		changes = append(changes, PolicyChange{Part: "rules", Change: "reordered"})
	}
	slices.SortStableFunc(changes, func(a, b PolicyChange) int { return slices.Index(partKinds, a.Part) - slices.Index(partKinds, b.Part) })
	return changes, nil
}

// partKinds are the kinds of parts in the order in which they are told.
var partKinds = []string{"rule", "rules", "condition", "attribute", "connection", "scope", "grants", "guard", "test"}

// reordered reports whether rules that both have stand in another order: the first that
// gives a primary wins.
func reordered(was, is []mapping.RuleSource) bool {
	common := func(rules, others []mapping.RuleSource) (ids []string) {
		there := map[string]bool{}
		for _, r := range others {
			there[r.ID] = true
		}
		for _, r := range rules {
			if there[r.ID] {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	return !slices.Equal(common(was, is), common(is, was))
}

func partsOf(src mapping.PolicySource) (parts []piece, err error) {
	tree, err := access.NewTree(src.Scopes)
	if err != nil && !src.TreeInStore {
		return nil, err
	}
	add := func(kind, id string, v any) {
		body, e := json.Marshal(v)
		p := piece{kind: kind, id: id}
		if e == nil {
			e = json.Unmarshal(body, &p.fields)
		}
		if e != nil {
			err = e
		}
		delete(p.fields, "id")
		delete(p.fields, "name_pos")
		parts = append(parts, p)
	}
	err = nil
	for _, r := range src.Rules {
		add("rule", r.ID, r)
	}
	for _, c := range src.Conditions {
		add("condition", c.Name, c)
	}
	for _, a := range src.Attributes {
		add("attribute", a.Name, a)
	}
	for _, c := range src.Connections {
		add("connection", string(c.ID), c)
	}
	for _, s := range src.Scopes {
		add("scope", string(s.ID), struct {
			Path string `json:"path"`
			access.Scope
		}{tree.Path(s.ID), s})
	}
	for _, t := range src.Tests {
		add("test", t.Name, t)
	}
	add("guard", "", src.Guard)
	add("grants", "", src.Catalogue)
	return parts, err
}

func diffFields(was, is map[string]json.RawMessage) (fields []FieldChange) {
	all := maps.Clone(was)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	maps.Copy(all, is)
	for _, f := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(was[f], is[f]) {
			fields = append(fields, FieldChange{Field: f, Was: string(was[f]), Is: string(is[f])})
		}
	}
	return fields
}

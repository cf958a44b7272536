package bridge

import (
	"context"
	"encoding/json"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// FileAuthor is the author of what came from serve's configuration file.
const FileAuthor = "file"

// PolicyFile is what serve's configuration file says of the policy.
type PolicyFile struct {
	Source mapping.PolicySource
	Name   string
	Text   []byte // secrets masked
	// Start says that a bridge starts with the file, and that nobody has changed it now:
	// it may be that of before.
	Start bool
}

// ReloadOutcome is what became of a file's policy.
type ReloadOutcome struct {
	Applied Applied
	// Kept says that the file has not changed since it was last taken, and another policy
	// has been applied by hand since: that one stays.
	Kept bool
	// Older is the version that a file said already which a bridge starts with, and that has
	// been replaced since, at another node perhaps: what is in force stays. Version 0: the
	// file is not older.
	Older store.Application
	// Plan is the plan of a policy that was planned; of one that was refused, the way to
	// apply it all the same. "": none was needed.
	Plan string
}

// Reload takes the policy of serve's file, if that has changed since it was last taken:
// planned, held against the guards, and applied. An error leaves the policy in force as
// it is. A Refusal says why; the plan is kept, so that somebody can approve of it.
//
// A bridge that starts does not bring back what the file of another node has replaced.
func (b *Bridge) Reload(ctx context.Context, f PolicyFile) (ReloadOutcome, error) {
	const op = "bridge.Reload"
	input, err := policyHash(f.Source)
	if err != nil {
		return ReloadOutcome{}, fault.Wrap(fault.Internal, op, err)
	}
	var p prepared
	var taken string
	var older store.Application
	err = b.store.View(ctx, func(v *store.View) (err error) {
		if p, err = b.prepare(v, f.Source); err != nil {
			return err
		}
		if taken, err = v.PolicyInput(); err != nil || !f.Start || p.hash == p.base.Hash || taken == input {
			return err
		}
		older, err = b.replaced(v, f.Source, p.base)
		return err
	})
	if err != nil {
		return ReloadOutcome{}, err
	}
	how := application{actor: event.ByAdministrator, author: FileAuthor, file: f.Name, text: f.Text, input: input}
	switch {
	case p.base.Version == 0:
		done, err := b.applyUnreviewed(ctx, f.Source, how)
		return ReloadOutcome{Applied: done}, err
	case p.hash == p.base.Hash:
		done, err := b.putIn(ctx, p, how, nil)
		return ReloadOutcome{Applied: done}, err
	case taken == input:
		return ReloadOutcome{Applied: Applied{Version: p.base.Version, Hash: p.base.Hash}, Kept: true}, nil
	case older.Version > 0:
		return ReloadOutcome{Applied: Applied{Version: p.base.Version, Hash: p.base.Hash}, Older: older}, nil
	}
	return b.reloadReviewed(ctx, f, input)
}

func (b *Bridge) reloadReviewed(ctx context.Context, f PolicyFile, input string) (ReloadOutcome, error) {
	plan, err := b.PlanPolicy(ctx, f.Source, PlanOptions{File: f.Name, Text: f.Text, Author: FileAuthor})
	if err != nil {
		return ReloadOutcome{}, err
	}
	kept, err := b.keptPlan(ctx, plan.Hash)
	if err != nil {
		return ReloadOutcome{Plan: plan.Hash}, err
	}
	done, err := b.applyKept(ctx, kept, ApplyOptions{Author: FileAuthor}, event.ByAdministrator, input)
	return ReloadOutcome{Applied: done, Plan: plan.Hash}, err
}

// replaced is the latest version before the one in force that came from a file and says
// what src says; Version 0: there is none.
func (b *Bridge) replaced(v *store.View, src mapping.PolicySource, inForce store.Policy) (store.Application, error) {
	tree, err := b.treeOf(v, inForce)
	if err != nil {
		return store.Application{}, err
	}
	for below := inForce.Version; ; {
		page, err := v.Applications(below, MaxApplications)
		if err != nil || len(page) == 0 {
			return store.Application{}, err
		}
		for _, a := range page {
			below = a.Version
			if a.File == "" {
				continue
			}
			body, _, err := v.ApplicationText(a.Version)
			if err != nil {
				return store.Application{}, err
			}
			if same, err := wasSaid(src, body, tree); err != nil || same {
				return a, err
			}
		}
	}
}

// wasSaid reports whether src says what the source of a version says. Each version is
// held against its own scopes, which may be gone; tree is the stored one.
func wasSaid(src mapping.PolicySource, version []byte, tree *access.Tree) (bool, error) {
	const op = "bridge.Reload"
	var was mapping.PolicySource
	if err := json.Unmarshal(version, &was); err != nil {
		return false, fault.Wrap(fault.Internal, op, err)
	}
	if was.TreeInStore != src.TreeInStore {
		return false, nil
	}
	if !was.TreeInStore {
		var err error
		if tree, err = access.NewTree(was.Scopes); err != nil {
			return false, fault.Wrap(fault.Internal, op, err)
		}
	}
	src, err := adopt(src, tree, sameScopeID)
	if fault.Is(err, fault.Invalid) {
		return false, nil // it names a scope that this one did not have
	}
	if err != nil {
		return false, err
	}
	body, err := json.Marshal(src.Stored())
	if err != nil {
		return false, fault.Wrap(fault.Internal, op, err)
	}
	is, err := keptHash(body)
	if err != nil {
		return false, err
	}
	before, err := keptHash(version)
	return err == nil && is == before, err
}

// keptHash is the hash of what a source says as it is kept: of one that leaves its tree in
// the store, without that.
func keptHash(source []byte) (string, error) {
	var src mapping.PolicySource
	if err := json.Unmarshal(source, &src); err != nil {
		return "", fault.Wrap(fault.Internal, "bridge.Reload", err)
	}
	hash, err := policyHash(src)
	return hash, fault.Wrap(fault.Internal, "bridge.Reload", err)
}

package bridge

import (
	"context"

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
}

// ReloadOutcome is what became of a file's policy.
type ReloadOutcome struct {
	Applied Applied
	// Kept says that the file has not changed since it was last taken, and another policy
	// has been applied by hand since: that one stays.
	Kept bool
	// Plan is the plan of a policy that was planned; of one that was refused, the way to
	// apply it all the same. "": none was needed.
	Plan string
}

// Reload takes the policy of serve's file, if that has changed since it was last taken:
// planned, held against the guards, and applied. An error leaves the policy in force as
// it is. A Refusal says why; the plan is kept, so that somebody can approve of it.
func (b *Bridge) Reload(ctx context.Context, f PolicyFile) (ReloadOutcome, error) {
	const op = "bridge.Reload"
	input, err := policyHash(f.Source)
	if err != nil {
		return ReloadOutcome{}, fault.Wrap(fault.Internal, op, err)
	}
	var p prepared
	var taken string
	err = b.store.View(ctx, func(v *store.View) (err error) {
		if p, err = b.prepare(v, f.Source); err != nil {
			return err
		}
		taken, err = v.PolicyInput()
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

package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Standing is what is in force, and what is still on its way.
type Standing struct {
	Policy  PolicyApplication // Version 0: none has been applied
	Waiting int64             // people who are to be decided anew
	Large   int               // groups with a large change under way, up to the first hundred
	Alarms  []store.Alarm     // raised in the last days, the newest first
}

// Standing reads how things stand.
func (b *Bridge) Standing(ctx context.Context) (s Standing, err error) {
	now := b.now()
	return s, b.store.View(ctx, func(v *store.View) error {
		policy, err := v.Policy()
		if err != nil {
			return err
		}
		s.Policy = PolicyApplication{Version: policy.Version, Hash: policy.Hash, At: policy.Applied}
		row, err := v.Application(policy.Version)
		if err == nil {
			s.Policy, err = applicationOf(row)
		}
		if err != nil && !fault.Is(err, fault.NotFound) { // none yet, or one of before there was a history
			return err
		}
		if s.Waiting, err = v.CountWaiting(now); err != nil {
			return err
		}
		large, err := v.Changing(chunk)
		if err != nil {
			return err
		}
		s.Large = len(large)
		s.Alarms, err = raised(v, "", now)
		return err
	})
}

// Says reports whether the policy in force says what src says, wherever it stands in
// its file.
func (b *Bridge) Says(ctx context.Context, src mapping.PolicySource) (same bool, err error) {
	return same, b.store.View(ctx, func(v *store.View) error {
		base, err := v.Policy()
		if err != nil {
			return err
		}
		tree, err := b.treeOf(v, base)
		if err != nil {
			return err
		}
		if src, err = adopt(src, tree, sameScopeID); err != nil {
			return err
		}
		hash, err := policyHash(src)
		same = hash == base.Hash
		return fault.Wrap(fault.Internal, "bridge.Says", err)
	})
}

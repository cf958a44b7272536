package steward

import (
	"context"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ReasonOwnScope is why nobody renames the scope that they administer: it belongs to what
// lies above.
const ReasonOwnScope = "own_scope"

// AddScope adds a scope at or below the one that whoever acts administers: who administers
// the host adds service providers, a service provider's accounts and fleets, an account's
// fleets. The operator adds them all, and alone chooses ids. fault.NotFound for what lies
// outside.
func (s *Steward) AddScope(ctx context.Context, a Actor, n bridge.NewScope) (bridge.ScopeChanged, error) {
	if a.Operator != "" {
		return s.bridge.AddScope(ctx, n)
	}
	under, by, err := s.changesTree(ctx, a, n.Under, adds)
	if err != nil {
		return bridge.ScopeChanged{}, err
	}
	if n.ID != "" {
		return bridge.ScopeChanged{}, fault.New(fault.Invalid, "steward.AddScope", "leave the id out: the bridge makes one")
	}
	n.Under, n.By = under, by
	return within(s.bridge.AddScope(ctx, n))
}

// RenameScope describes a scope below the one that whoever acts administers anew; the
// operator's author is kept with it. fault.NotFound for what lies outside.
func (s *Steward) RenameScope(ctx context.Context, a Actor, at string, d access.Description, author string) (bridge.ScopeChanged, error) {
	if a.Operator != "" {
		return s.bridge.DescribeScope(ctx, at, d, bridge.TreeAuthor{Author: author})
	}
	path, by, err := s.changesTree(ctx, a, at, renames)
	if err != nil {
		return bridge.ScopeChanged{}, err
	}
	return within(s.bridge.DescribeScope(ctx, path, d, by))
}

// within leaves out of an answer where a scope lay before it came under whoever asks, and
// leads to the operator where a change must be planned.
func within(done bridge.ScopeChanged, err error) (bridge.ScopeChanged, error) {
	if fault.ReasonOf(err) == bridge.ReasonPlanFirst {
		err = fault.New(fault.Conflict, "steward.within", "groups that name a scope by what it is called would come to mean something else: ask the operator, who plans it").Because(bridge.ReasonPlanFirst)
	}
	done.Scope.Formerly = nil
	return done, err
}

// changesTree finds a scope that a person would change, or add under, and says first
// whether they may, so that nothing is worked out for whoever may not. What counts is that
// they may in the transaction that puts the tree in force.
func (s *Steward) changesTree(ctx context.Context, a Actor, at string, may func(request.Right, *access.Tree, access.ScopeID) error) (path string, by bridge.TreeAuthor, err error) {
	err = s.reading(ctx, a, func(_ *store.View, p *mapping.Policy, _ time.Time, r request.Right) error {
		scope, err := areaSeen(r, p.Tree(), at)
		if err != nil {
			return err
		}
		path, by.Person, by.Author = p.Tree().Path(scope.ID), r.Person, fmt.Sprintf("%s (%s of %s)", r.Name, r.Person, r.Connection)
		return may(r, p.Tree(), scope.ID)
	})
	by.May = func(d *bridge.Deciding, at access.ScopeID) error {
		r, err := right(d, a)
		if err != nil {
			return err
		}
		return may(r, d.Policy().Tree(), at)
	}
	return path, by, err
}

// adds says whether somebody may add a scope under another.
func adds(r request.Right, t *access.Tree, at access.ScopeID) error {
	if !t.Live(at) {
		return fault.New(fault.NotFound, "steward.AddScope", "there is no such scope")
	}
	return sees(r, t, at, "scope")
}

// renames says whether somebody may say what a scope is called.
func renames(r request.Right, t *access.Tree, at access.ScopeID) error {
	if err := adds(r, t, at); err != nil {
		return err
	}
	if at == r.Scope {
		return fault.New(fault.Denied, "steward.RenameScope", "you rename what lies below %s; the scope itself is renamed by whoever administers what lies above it, or by the operator", t.Path(at)).Because(ReasonOwnScope)
	}
	return nil
}

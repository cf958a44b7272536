package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// accept holds a credential's five integers against the directory's now. If nothing
// speaks against it but that its person must be decided anew, that is done first.
// No store, no acceptance.
func (b *Bridge) accept(ctx context.Context, bd credential.Bound) (credential.Current, error) {
	cur, err := b.weigh(ctx, bd)
	if fault.ReasonOf(err) != credential.ReasonUndecided {
		return cur, err
	}
	if err := b.settle(ctx, bd.Subject.Connection, bd.Subject.Person); err != nil {
		return credential.Current{}, err
	}
	return b.weigh(ctx, bd)
}

func (b *Bridge) weigh(ctx context.Context, bd credential.Bound) (credential.Current, error) {
	cur, err := b.store.Current(ctx, bd.Subject)
	if planted.Bug(planted.ErrorAccepts) && err != nil {
		return credential.Current{Subject: bd.Subject, Epochs: bd.Epochs, Alive: true, Decided: true, SessionExpires: bd.Expires}, nil
	}
	if err != nil {
		return credential.Current{}, err
	}
	return cur, credential.Accept(bd, cur, b.now())
}

// settle decides one person anew if the last decision no longer counts: the policy
// changed, its time ran out, or a group they are in is fenced or dissolving.
func (b *Bridge) settle(ctx context.Context, conn access.ConnectionID, person access.PersonID) error {
	return b.change(ctx, conn, event.ByRules, func(c *change) error {
		p, err := c.dir.Person(person)
		if fault.Is(err, fault.NotFound) {
			return nil // deleted meanwhile: whoever asks next is refused by that
		}
		if err != nil {
			return err
		}
		return c.settlePerson(p)
	})
}

// settlePerson is the one way out of undecided: a newer policy, a time that ran
// out, or a fence laid over a group the person is in.
func (c *change) settlePerson(p store.Person) error {
	fences, err := c.dir.Fences(p)
	if err != nil {
		return err
	}
	return c.settleAfter(p, fences)
}

// settleAfter decides a person over whom that many fences lie. After one change the
// decision shows what became of what they held. After several it shows only the
// last: what was lost by the first may have been given back by the second, and
// whatever stood on it must not come back to life. So all that rules gave is dropped
// first, with its sessions, and then given anew.
func (c *change) settleAfter(p store.Person, fences int64) error {
	changes := fences + c.dir.Rules(p)
	if !p.ValidUntil.IsZero() && !c.now.Before(p.ValidUntil) {
		changes++
	}
	if changes == 0 {
		return nil
	}
	if changes > 1 {
		held, err := c.dir.Stored(p)
		if err != nil {
			return err
		}
		by, err := c.dir.Decided(p)
		if err != nil {
			return err
		}
		if err := c.settle(p, held, mapping.Decision{}, by); err != nil { // what people gave goes on
			return err
		}
		c.had = map[mapping.Pair]bool{}
		for _, a := range held {
			c.had[mapping.Pair{Grant: a.Grant, Scope: a.Scope}] = true
		}
	}
	if c.dir.ByPolicy(p) {
		c.because = becausePolicy
	}
	defer func() { c.had, c.because = nil, "" }()
	p.Policy = 0 // whatever comes out, it is recorded as decided anew
	return c.decide(p)
}

// settleFirst makes a change begin with settled people: whatever they lost by a
// fence or a policy is lost, with its sessions, before the change may give it anew.
func (c *change) settleFirst(keys []store.PersonKey) error {
	people, err := c.dir.Unsettled(keys, c.now)
	if err != nil {
		return err
	}
	for _, p := range people {
		if err := c.settlePerson(p); err != nil {
			return err
		}
	}
	return nil
}

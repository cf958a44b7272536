package bridge

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Deciding is one transaction in which people decide about access: the way of package
// steward into the directory. It may span connections, since whoever decides is often of
// another one than the person it is about.
type Deciding struct {
	b       *Bridge
	ctx     context.Context
	tx      *store.Tx
	by      event.Actor
	now     time.Time
	policy  *activePolicy
	changes map[access.ConnectionID]*change
	who     Decider
	events  []event.Event // of the host, and of connections that are only told of
}

// Deciding runs fn as one transaction, and records what it said. fn may run again: its only
// effects are on the Deciding.
func (b *Bridge) Deciding(ctx context.Context, by event.Actor, fn func(*Deciding) error) error {
	now := b.now()
	var d *Deciding
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		policy, err := b.active(&tx.View)
		if err != nil {
			return err
		}
		d = b.decidingIn(ctx, tx, by, policy, now)
		if err := fn(d); err != nil {
			return err
		}
		return tx.Append(d.said()...)
	})
	if err != nil {
		return err
	}
	d.follow()
	return nil
}

// decidingIn is a transaction that goes on as one in which people decide. What it says is
// its maker's to append, and follow is to be called after the commit.
func (b *Bridge) decidingIn(ctx context.Context, tx *store.Tx, by event.Actor, policy *activePolicy, now time.Time) *Deciding {
	return &Deciding{b: b, ctx: ctx, tx: tx, by: by, now: now, policy: policy, changes: map[access.ConnectionID]*change{}}
}

// follow does what follows a commit.
func (d *Deciding) follow() {
	for _, id := range slices.Sorted(maps.Keys(d.changes)) {
		d.b.follow(d.ctx, d.changes[id])
	}
}

// Reading runs fn on a snapshot, under the policy that is in force in it.
func (b *Bridge) Reading(ctx context.Context, fn func(v *store.View, p *mapping.Policy, now time.Time) error) error {
	now := b.now()
	return b.store.View(ctx, func(v *store.View) error {
		policy, err := b.active(v)
		if err != nil {
			return err
		}
		return fn(v, policy.Policy, now)
	})
}

// Tx is the transaction.
func (d *Deciding) Tx() *store.Tx { return d.tx }

// Now is the one instant of the transaction.
func (d *Deciding) Now() time.Time { return d.now }

// Actor is who decides, as events have it.
func (d *Deciding) Actor() event.Actor { return d.by }

// Policy is the one in force.
func (d *Deciding) Policy() *mapping.Policy { return d.policy.Policy }

// In opens a connection. fault.Unauthenticated if it has ended.
func (d *Deciding) In(conn access.ConnectionID) (*store.DirectoryTx, error) {
	c, err := d.change(conn)
	if err != nil {
		return nil, err
	}
	return c.dir, nil
}

func (d *Deciding) change(conn access.ConnectionID) (*change, error) {
	if c := d.changes[conn]; c != nil {
		return c, nil
	}
	dir, err := d.tx.In(conn)
	if err != nil {
		return nil, err
	}
	if dir.Row().State != store.ConnectionActive {
		return nil, fault.New(fault.Unauthenticated, "bridge.Deciding", "the connection %s has ended", conn).Because(session.EndConnection)
	}
	c := &change{tx: d.tx, dir: dir, policy: d.policy, conn: conn, by: d.by, now: d.now, request: RequestID(d.ctx)}
	d.changes[conn] = c
	return c, nil
}

// Settled is a person of a connection whose last decision counts now: whatever they lost
// by a fence or another policy is lost, with its sessions, before anything else is decided.
func (d *Deciding) Settled(conn access.ConnectionID, id access.PersonID) (store.Person, error) {
	c, err := d.change(conn)
	if err != nil {
		return store.Person{}, err
	}
	p, err := c.dir.Person(id)
	if err != nil {
		return p, err
	}
	if err := c.settlePerson(p); err != nil {
		return p, err
	}
	return c.dir.Person(id)
}

// Decide makes what a person holds what rules and people want now, with what this
// transaction has written already, and moves their sessions accordingly. The person's row is
// read anew: it may have been read before something was decided.
func (d *Deciding) Decide(conn access.ConnectionID, p store.Person) error {
	c, err := d.change(conn)
	if err != nil {
		return err
	}
	if p, err = c.dir.Person(p.ID); err != nil {
		return err
	}
	return c.decide(p)
}

// Say records a fact about a person of a connection, or about nobody ("") or the host ("").
func (d *Deciding) Say(t event.Type, conn access.ConnectionID, person access.PersonID, data map[string]string) {
	d.events = append(d.events, fact(t, d.by, conn, person, d.now, data))
}

// said are all facts of the transaction: what was decided, then what became of it.
func (d *Deciding) said() []event.Event {
	all := slices.Clone(d.events)
	for _, id := range slices.Sorted(maps.Keys(d.changes)) {
		all = append(all, d.changes[id].events...)
	}
	for i := range all {
		all[i].Request = RequestID(d.ctx)
		d.who.sign(&all[i])
	}
	return all
}

// Decider is who decides, for the record: a person, or the operator by the name that they
// give. The zero Decider is the bridge itself.
type Decider struct {
	Connection access.ConnectionID
	Person     access.PersonID
	Operator   string
}

// DecidedBy says who decides in this transaction: all that is said in it is theirs.
func (d *Deciding) DecidedBy(who Decider) { d.who = who }

// sign notes who did something. A name stands apart, where it can be erased.
func (w Decider) sign(e *event.Event) {
	switch {
	case w.Person != "":
		if e.Data == nil {
			e.Data = map[string]string{}
		}
		e.Data["by"], e.Data["by_connection"] = string(w.Person), string(w.Connection)
	case w.Operator != "":
		if e.Personal == nil {
			e.Personal = map[string]string{}
		}
		e.Personal["by"] = w.Operator
	}
}

// HasPolicy reports whether a policy is in force: before there is one, nobody decides
// anything.
func (b *Bridge) HasPolicy() bool { return b.store.PolicyVersion() > 0 }

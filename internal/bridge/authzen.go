package bridge

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/authzen"
)

// held is what counts of somebody at this moment, for one application: what their
// session stands on, or all that they hold and may sign in with.
type held struct {
	policy *activePolicy
	conn   access.ConnectionID
	all    []access.Assignment
}

// MayDo reports whether somebody may do something at a scope now. With a session only
// the assignment that it stands on counts; without one none whose grant demands something
// of the sign-in. Whoever or whatever is not there may not.
func (b *Bridge) MayDo(ctx context.Context, c oidc.Client, q authzen.Question) (bool, error) {
	h, err := b.heldBy(ctx, c, q)
	if err != nil || h.policy == nil {
		return false, err
	}
	at, known := h.policy.resource(q)
	may := known && slices.ContainsFunc(h.all, func(a access.Assignment) bool {
		return h.policy.Tree().Covers(a.Scope, at.ID) && h.policy.opens(c, a.Grant, a.Flags, a.Standing, q.Action)
	})
	if !may && q.Session != "" && len(h.all) == 1 {
		a := h.all[0]
		b.handovers.denied(h.conn, a, q.Action, h.policy.opens(c, a.Grant, a.Flags, a.Standing, q.Action), b.now())
	}
	return may, nil
}

// resource is the scope that a question names, by id or path; false if there is none
// of that level, or it was retired.
func (p *activePolicy) resource(q authzen.Question) (access.Scope, bool) {
	s, err := p.scopeNamed(q.ResourceID)
	if err != nil || !p.Tree().Live(s.ID) {
		return access.Scope{}, false
	}
	return s, q.ResourceType == authzen.TypeScope || q.ResourceType == s.Level.String()
}

// opens reports whether a grant lets somebody do that through an application.
func (p *activePolicy) opens(c oidc.Client, g access.Grant, f access.Flags, standing access.Standing, action string) bool {
	if !c.Accepts(g) {
		return false
	}
	return action == authzen.CanAccess || c.MayHave(action) && slices.Contains(p.Catalogue().Opens(g, f, standing), access.Workflow(action))
}

// heldBy gives what the subject of a question holds. Nobody, and whoever may not sign in
// now, holds nothing.
func (b *Bridge) heldBy(ctx context.Context, c oidc.Client, q authzen.Question) (held, error) {
	id := access.PersonID(b.idOf(c, q.SubjectID))
	if q.SubjectType != authzen.TypeUser || id == "" {
		return held{}, nil
	}
	var h held
	var err error
	if q.Session != "" {
		h, err = b.heldInSession(ctx, id, session.ID(b.idOf(c, q.Session)))
	} else {
		h, err = b.heldByPerson(ctx, id)
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return held{}, nil
	}
	return h, err
}

func (b *Bridge) heldInSession(ctx context.Context, person access.PersonID, id session.ID) (held, error) {
	var row store.SessionRow
	read := func() error {
		return b.store.View(ctx, func(v *store.View) (err error) { row, err = v.Session(id); return err })
	}
	if err := read(); err != nil {
		return held{}, err
	}
	if _, err := b.accept(ctx, bound(row.Session)); err != nil {
		return held{}, err
	}
	if err := read(); err != nil { // it may have been settled
		return held{}, err
	}
	if row.Person != person || row.State != session.Active {
		return held{}, nil
	}
	now := b.now()
	h, err := b.holdings(ctx, row.Connection, person, func(d access.Demand) bool { return row.Meets(d, now) })
	h.all = slices.DeleteFunc(h.all, func(a access.Assignment) bool { return a.ID != row.Active })
	return h, err
}

func (b *Bridge) heldByPerson(ctx context.Context, id access.PersonID) (held, error) {
	var people []store.Person
	err := b.store.View(ctx, func(v *store.View) (err error) { people, err = v.PeopleNamed(string(id)); return err })
	if err != nil {
		return held{}, err
	}
	at := slices.IndexFunc(people, func(p store.Person) bool { return p.ID == id })
	if at < 0 {
		return held{}, nil
	}
	conn := people[at].Connection
	counts, err := b.counts(ctx, conn, id)
	if err != nil || !counts {
		return held{}, err
	}
	return b.holdings(ctx, conn, id, access.Demand.IsZero)
}

// counts reports whether somebody may sign in now; whoever must be decided anew is.
func (b *Bridge) counts(ctx context.Context, conn access.ConnectionID, id access.PersonID) (bool, error) {
	sub := credential.Subject{Connection: conn, Person: id}
	decided := func() (bool, bool, error) {
		cur, err := b.store.Current(ctx, sub)
		return cur.Alive, cur.Decided && (cur.ValidUntil.IsZero() || b.now().Before(cur.ValidUntil)), err
	}
	alive, is, err := decided()
	if err != nil || !alive || is {
		return alive && is, err
	}
	if err := b.settle(ctx, conn, id); err != nil {
		return false, err
	}
	alive, is, err = decided()
	return alive && is, err
}

// holdings are somebody's assignments that a token could be made of now, by a sign-in that
// meets what their grants demand of it. No sign-in meets no demand.
func (b *Bridge) holdings(ctx context.Context, conn access.ConnectionID, id access.PersonID, meets func(access.Demand) bool) (h held, err error) {
	now := b.now()
	err = b.store.View(ctx, func(v *store.View) error {
		if h.policy, err = b.active(v); err != nil {
			return err
		}
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		p, err := dir.Person(id)
		if err != nil {
			return err
		}
		h.all, err = dir.Assignments(p)
		return err
	})
	if err != nil {
		return held{}, err
	}
	h.conn = conn
	connection, _ := h.policy.Connection(conn)
	h.all = slices.DeleteFunc(h.all, func(a access.Assignment) bool {
		return !a.MaySignIn(now) || !meets(h.policy.Catalogue().Demands(a.Grant)) || !h.policy.Tree().Live(a.Scope) || !withinCeiling(warrant{active: a, policy: h.policy}, connection)
	})
	return h, nil
}

// WhoMay gives a page of the people who may do something at a scope, by whichever sign-in:
// a grant that demands something of it is nobody's here. Somebody with several assignments
// may be on several pages.
func (b *Bridge) WhoMay(ctx context.Context, c oidc.Client, q authzen.Question, p authzen.Page) ([]string, string, error) {
	policy, err := b.policyNow(ctx)
	if err != nil {
		return nil, "", err
	}
	at, known := policy.resource(q)
	if !known || q.SubjectType != authzen.TypeUser {
		return nil, "", nil
	}
	holders, err := b.WhoCanSee(ctx, HolderQuery{Scope: string(at.ID), After: p.Token, Limit: p.Limit})
	var ids []string
	for _, h := range holders.Holders {
		if id := b.SubjectFor(c, h.Person); h.Stale == "" && policy.Catalogue().Demands(h.Grant).IsZero() && policy.opens(c, h.Grant, h.Flags, h.Standing, q.Action) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, holders.Next, err
}

// WhereMay gives a page of the scopes of a level at which somebody may do something, in
// the order of their ids.
func (b *Bridge) WhereMay(ctx context.Context, c oidc.Client, q authzen.Question, p authzen.Page) ([]authzen.Found, string, error) {
	h, err := b.heldBy(ctx, c, q)
	if err != nil || h.policy == nil {
		return nil, "", err
	}
	tree := h.policy.Tree()
	reached := map[access.ScopeID]bool{}
	for _, a := range h.all {
		if !h.policy.opens(c, a.Grant, a.Flags, a.Standing, q.Action) {
			continue
		}
		for _, id := range tree.Under(a.Scope) {
			s, _ := tree.Scope(id)
			if tree.Live(id) && (q.ResourceType == authzen.TypeScope || q.ResourceType == s.Level.String()) && strings.Compare(string(id), p.Token) > 0 {
				reached[id] = true
			}
		}
	}
	return pageOfScopes(reached, p.Limit, q.ResourceType)
}

func pageOfScopes(reached map[access.ScopeID]bool, limit int, kind string) (found []authzen.Found, next string, err error) {
	ids := make([]access.ScopeID, 0, len(reached))
	for id := range reached {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare[access.ScopeID])
	if len(ids) > limit {
		ids = ids[:limit]
		next = string(ids[limit-1])
	}
	for _, id := range ids {
		found = append(found, authzen.Found{Type: kind, ID: string(id)})
	}
	return found, next, nil
}

// WhatMay gives what somebody may do at a scope.
func (b *Bridge) WhatMay(ctx context.Context, c oidc.Client, q authzen.Question) (names []string, err error) {
	h, err := b.heldBy(ctx, c, q)
	if err != nil || h.policy == nil {
		return nil, err
	}
	at, known := h.policy.resource(q)
	if !known {
		return nil, nil
	}
	actions := []string{authzen.CanAccess}
	for _, w := range access.Workflows() {
		actions = append(actions, string(w))
	}
	return slices.DeleteFunc(actions, func(action string) bool {
		return !slices.ContainsFunc(h.all, func(a access.Assignment) bool {
			return h.policy.Tree().Covers(a.Scope, at.ID) && h.policy.opens(c, a.Grant, a.Flags, a.Standing, action)
		})
	}), nil
}

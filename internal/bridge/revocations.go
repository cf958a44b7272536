package bridge

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// maxRevocations is how many changes one answer tells of.
const maxRevocations = 1000

// soon is how far ahead the end of something is told: beyond it every access token
// that exists now has ended by itself.
const soon = credential.MaxLife + 5*time.Minute

// Revoked gives a channel that is closed when there may be more for Revocations.
func (b *Bridge) Revoked() <-chan struct{} { return b.store.Changed() }

// Revocations tells an application what has changed since a cursor, in the names that
// access tokens with its audience carry. A cursor that is so old that changes after it are
// forgotten is answered with a reset; and, of a bridge on one machine, one of another run.
func (b *Bridge) Revocations(ctx context.Context, c oidc.Client, since string) (oidc.Revocations, error) {
	now := b.now()
	found, err := b.store.Changes(ctx, since, maxRevocations)
	if err != nil {
		return oidc.Revocations{}, err
	}
	if !found.Whole {
		last, err := b.store.LastChange(ctx) // before the instant: what is not told was committed before it
		if err != nil {
			return oidc.Revocations{}, err
		}
		return oidc.Revocations{Cursor: last, At: b.now().Unix(), Reset: true, Changes: []oidc.Revocation{}}, nil
	}
	out := oidc.Revocations{Cursor: found.Cursor, At: now.Unix(), More: found.More, Changes: []oidc.Revocation{}}
	audience := b.audienceOf(c)
	for _, change := range found.List {
		out.Changes = append(out.Changes, b.revocationsOf(change, audience, now)...)
	}
	return out, nil
}

// audienceOf are the applications that people sign in to and whose access tokens may be
// for c.
func (b *Bridge) audienceOf(c oidc.Client) []oidc.Client {
	var all []oidc.Client
	for _, other := range b.clients {
		if other.MayUse(oidc.GrantTypeCode) && other.MayTarget(c.TokenAudience()) {
			all = append(all, other)
		}
	}
	slices.SortFunc(all, func(x, y oidc.Client) int { return strings.Compare(string(x.ID), string(y.ID)) })
	return all
}

// revocationsOf is a change in the words of an access token: one for each name by which
// the audience may know the person or the session, and none for what ends no token.
func (b *Bridge) revocationsOf(c store.Change, audience []oidc.Client, now time.Time) []oidc.Revocation {
	r := oidc.Revocation{Epoch: c.Epoch, Ended: c.Ended}
	if c.Undecided {
		r.Ask = now.Unix()
	}
	if !c.Until.IsZero() && c.Until.Before(now.Add(soon)) {
		r.Until = c.Until.Add(time.Second - 1).Unix()
	}
	if c.Epoch <= 1 && !r.Ended && r.Ask == 0 && r.Until == 0 {
		return nil // it has just begun
	}
	switch c.Kind {
	case store.ChangedHost:
		r.Claim = oidc.RevokedHost
	case store.ChangedConnection:
		r.Claim, r.ID = oidc.RevokedConnection, string(c.Connection)
	case store.ChangedFamily:
		if !concerns(audience, c.Client) {
			return nil
		}
		r.Claim, r.ID = oidc.RevokedFamily, c.Family
	case store.ChangedClient:
		if !concerns(audience, c.Client) {
			return nil
		}
		r.Claim, r.ID = oidc.RevokedClient, string(c.Client)
	case store.ChangedPerson:
		r.Claim, r.ID = oidc.RevokedPerson, string(c.Person)
		return b.inNames(r, audience)
	case store.ChangedSession:
		r.Claim, r.ID = oidc.RevokedSession, string(c.Session)
		return b.inNames(r, audience)
	}
	return []oidc.Revocation{r}
}

func concerns(audience []oidc.Client, id access.ClientID) bool {
	return slices.ContainsFunc(audience, func(a oidc.Client) bool { return a.ID == id })
}

func (b *Bridge) inNames(r oidc.Revocation, audience []oidc.Client) (all []oidc.Revocation) {
	id := r.ID
	for _, a := range audience {
		r.ID = b.nameFor(a, id)
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// Follows lets in an application that may follow what has ended, by its own token.
func (b *Bridge) Follows(ctx context.Context, shown oidc.Presented) (oidc.Client, error) {
	return b.AcceptServiceShown(ctx, shown, oidc.ScopeRevocations)
}

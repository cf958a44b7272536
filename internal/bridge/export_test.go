package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// ApplyPolicy is the unreviewed way, by the name that tests know it by.
func (b *Bridge) ApplyPolicy(ctx context.Context, src mapping.PolicySource) (Applied, error) {
	return b.InsecureApplyUnreviewed(ctx, src)
}

// NoteClient remembers that a session reaches an application.
func (b *Bridge) NoteClient(ctx context.Context, id session.ID, client access.ClientID) error {
	return b.noteClient(ctx, id, client)
}

// WhyEnded is how the ends of sessions are explained to receivers.
func WhyEnded() map[string]string { return whyEnded }

// AcceptService is AcceptServiceShown for a bearer token.
func (b *Bridge) AcceptService(ctx context.Context, accessToken, oauthScope string) (oidc.Client, error) {
	return b.AcceptServiceShown(ctx, oidc.Presented{Token: accessToken}, oauthScope)
}

// PolicyOf is the policy in force.
func (b *Bridge) PolicyOf(v *store.View) (*mapping.Policy, error) {
	p, err := b.active(v)
	if err != nil {
		return nil, err
	}
	return p.Policy, nil
}

// InLine is how many requests wait to change a group's members behind one whose turn it is.
func (b *Bridge) InLine() (n int) {
	b.lines.mu.Lock()
	defer b.lines.mu.Unlock()
	for _, waiting := range b.lines.all {
		n += len(waiting)
	}
	return n
}

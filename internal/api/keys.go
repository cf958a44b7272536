package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/keys"
)

// SigningKeys are the keys that the bridge signs with.
type SigningKeys interface {
	List() []keys.Key
	Rotate(ctx context.Context, algorithm string, atOnce bool) ([]keys.Key, error)
	Retire(ctx context.Context, id string, how keys.Retiring) ([]keys.Key, error)
}

func (a *api) keyRoutes(h huma.API) {
	get(a, h, "/signing-keys", "The keys that sign, that will, and that did", a.signingKeys)
	register(a, h, http.MethodPost, "/signing-keys/rotate", "Replace the keys that sign, in time or now", http.StatusOK, a.rotateKeys)
	register(a, h, http.MethodPost, "/signing-keys/{key}/retire", "Take a key out of use, or erase it", http.StatusOK, a.retireKey)
}

func (a *api) signingKeys(context.Context, *struct{}) (*body[[]keys.Key], error) {
	return &body[[]keys.Key]{a.Keys.List()}, nil
}

type rotateInput struct {
	Body struct {
		Algorithm string `json:"algorithm,omitempty" enum:"ES256,RS256" doc:"both if left out"`
		Now       bool   `json:"now,omitempty" doc:"the new key signs though applications may not know it yet"`
	}
}

func (a *api) rotateKeys(ctx context.Context, in *rotateInput) (*body[[]keys.Key], error) {
	all, err := a.Keys.Rotate(ctx, in.Body.Algorithm, in.Body.Now)
	return &body[[]keys.Key]{all}, err
}

type retireInput struct {
	Key  string `path:"key" maxLength:"64"`
	Body struct {
		Force bool `json:"force,omitempty" doc:"also a key that signs; its successor takes over, though applications may not know it yet"`
		Now   bool `json:"now,omitempty" doc:"erase it: nothing that it signed is accepted any more"`
	}
}

func (a *api) retireKey(ctx context.Context, in *retireInput) (*body[[]keys.Key], error) {
	all, err := a.Keys.Retire(ctx, in.Key, keys.Retiring{Force: in.Body.Force, AtOnce: in.Body.Now})
	return &body[[]keys.Key]{all}, err
}

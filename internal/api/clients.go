package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Client is a SCIM client without its secrets.
type Client struct {
	ID         string         `json:"id" doc:"the client_id"`
	Name       string         `json:"name,omitempty"`
	Secrets    []ClientSecret `json:"secrets"`
	Created    time.Time      `json:"created"`
	LastUsed   *time.Time     `json:"last_used,omitempty"`
	LastUsedBy string         `json:"last_used_by,omitempty" enum:"secret,key,federation"`
	Revoked    *time.Time     `json:"revoked,omitempty"`
}

// ClientSecret is one of a client's secrets, without the secret.
type ClientSecret struct {
	ID       string     `json:"id"`
	Tail     string     `json:"tail" doc:"the secret's last four characters"`
	Note     string     `json:"note,omitempty"`
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty"`
}

// NewClient is a SCIM client with the secret just made: the only time it is shown.
type NewClient struct {
	Client
	Secret   string     `json:"secret,omitempty"`
	Expires  *time.Time `json:"expires,omitempty" doc:"of that secret"`
	TokenURL string     `json:"token_url"`
	SCIMURL  string     `json:"scim_url"`
}

func (a *api) clientRoutes(h huma.API) {
	const clients = "/connections/{connection}/clients"
	register(a, h, http.MethodPost, clients, "Register an OAuth client for a connection's identity provider; its secret is shown once", http.StatusCreated, a.createClient)
	register(a, h, http.MethodDelete, clients+"/{client}", "Revoke a client, its secrets and its access tokens at once", http.StatusNoContent, a.revokeClient)
	register(a, h, http.MethodPost, clients+"/{client}/secrets", "Give a client one more secret, shown once; those it has live on", http.StatusCreated, a.addSecret)
	register(a, h, http.MethodDelete, clients+"/{client}/secrets/{secret}", "Revoke one secret and the access tokens it gave, at once", http.StatusNoContent, a.revokeSecret)
}

func shownClient(c store.SCIMClient) Client {
	out := Client{ID: c.ID, Name: c.Name, Created: c.Created, LastUsed: when(c.LastUsed), LastUsedBy: c.LastUsedBy, Revoked: when(c.Revoked), Secrets: []ClientSecret{}}
	for _, s := range c.Secrets {
		out.Secrets = append(out.Secrets, ClientSecret{ID: s.PublicID, Tail: s.Tail, Note: s.Note, Created: s.Created, Expires: s.Expires,
			LastUsed: when(s.LastUsed), Revoked: when(s.Revoked)})
	}
	return out
}

// tokenURL is the token endpoint, as an administrator types it into the identity provider.
func (a *api) tokenURL() string { return a.PublicURL + "/oauth2/token" }

type clientInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Body       struct {
		Name       string `json:"name,omitempty" maxLength:"200"`
		Days       int    `json:"days,omitempty" minimum:"1" maximum:"1095" doc:"how long the first secret lives; 365 if left out"`
		Secretless bool   `json:"secretless,omitempty" doc:"no secret: the client proves itself by signed assertions"`
	}
}

func (a *api) createClient(ctx context.Context, in *clientInput) (*body[NewClient], error) {
	life := daysOrYear(in.Body.Days)
	if in.Body.Secretless {
		life = 0
	}
	made, err := a.Bridge.CreateSCIMClient(ctx, in.Connection, in.Body.Name, life)
	if err != nil {
		return nil, err
	}
	return &body[NewClient]{a.newClient(made)}, nil
}

func (a *api) newClient(made bridge.MadeClient) NewClient {
	return NewClient{Client: shownClient(made.SCIMClient), Secret: made.Text.Reveal(), Expires: when(made.Secret.Expires),
		TokenURL: a.tokenURL(), SCIMURL: a.scimURL(made.Connection)}
}

func daysOrYear(days int) time.Duration {
	if days == 0 {
		days = 365
	}
	return time.Duration(days) * 24 * time.Hour
}

type clientPath struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Client     string              `path:"client" maxLength:"64"`
}

func (a *api) revokeClient(ctx context.Context, in *clientPath) (*struct{}, error) {
	return nil, a.Bridge.RevokeSCIMClient(ctx, in.Connection, in.Client)
}

// secretInput and secretPath embed nothing: huma reads no parameters of a field that
// is not exported.
type secretInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Client     string              `path:"client" maxLength:"64"`
	Body       struct {
		Note string `json:"note,omitempty" maxLength:"200"`
		Days int    `json:"days,omitempty" minimum:"1" maximum:"1095" doc:"how long the secret lives; 365 if left out"`
	}
}

func (a *api) addSecret(ctx context.Context, in *secretInput) (*body[NewClient], error) {
	made, err := a.Bridge.AddClientSecret(ctx, in.Connection, in.Client, in.Body.Note, daysOrYear(in.Body.Days))
	if err != nil {
		return nil, err
	}
	return &body[NewClient]{a.newClient(made)}, nil
}

type secretPath struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Client     string              `path:"client" maxLength:"64"`
	Secret     string              `path:"secret" maxLength:"64"`
}

func (a *api) revokeSecret(ctx context.Context, in *secretPath) (*struct{}, error) {
	return nil, a.Bridge.RevokeClientSecret(ctx, in.Connection, in.Client, in.Secret)
}

package bridge

import (
	"context"
	"encoding/json"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// accessPlace is where the bridge's access to a connection's transmitter is sealed for.
func accessPlace(c access.ConnectionID) string { return "idp_streams|" + string(c) + "|access" }

// sealedAccess is an inbound.Access as it is sealed.
type sealedAccess struct {
	Metadata       string   `json:"metadata"`
	Token          string   `json:"token,omitempty"`
	ClientID       string   `json:"client_id,omitempty"`
	ClientSecret   string   `json:"client_secret,omitempty"`
	TokenEndpoint  string   `json:"token_endpoint,omitempty"`
	Authentication string   `json:"authentication,omitempty"`
	OAuthScopes    []string `json:"scopes,omitempty"`
}

func (b *Bridge) sealTransmitter(c access.ConnectionID, a inbound.Access) ([]byte, error) {
	text, err := json.Marshal(sealedAccess{Metadata: a.Metadata, Token: a.Token.Reveal(), ClientID: a.ClientID, ClientSecret: a.ClientSecret.Reveal(),
		TokenEndpoint: a.TokenEndpoint, Authentication: a.Authentication, OAuthScopes: a.OAuthScopes})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "bridge.sealTransmitter", err)
	}
	return b.streams.AtRest.Seal(secret.New(string(text)), accessPlace(c))
}

func (b *Bridge) openTransmitter(c access.ConnectionID, sealed []byte) (inbound.Access, error) {
	text, err := b.streams.AtRest.Open(sealed, accessPlace(c))
	if err != nil || text.Empty() {
		return inbound.Access{}, err
	}
	var a sealedAccess
	if err := json.Unmarshal([]byte(text.Reveal()), &a); err != nil {
		return inbound.Access{}, fault.New(fault.Internal, "bridge.openTransmitter", "what was sealed cannot be read") // not err, which may quote it
	}
	return inbound.Access{Metadata: a.Metadata, Token: secret.New(a.Token), ClientID: a.ClientID, ClientSecret: secret.New(a.ClientSecret),
		TokenEndpoint: a.TokenEndpoint, Authentication: a.Authentication, OAuthScopes: a.OAuthScopes}, nil
}

func (b *Bridge) listened(s store.IdPStream) (inbound.Stream, error) {
	a, err := b.openTransmitter(s.Connection, s.Sealed)
	return inbound.Stream{Connection: s.Connection, Issuer: s.Issuer, ID: s.Stream, Audience: s.Audience, Method: s.Method, Endpoint: s.Endpoint, PushedBy: s.PushedBy,
		Access: a, Status: ssf.Status(s.Status), Reason: s.Reason, State: s.State, Created: s.Created, Checked: s.Checked, Asked: s.Asked, Verified: s.Verified,
		Heard: s.Heard, Polled: s.Polled}, err
}

func (b *Bridge) stored(s inbound.Stream) (store.IdPStream, error) {
	sealed, err := b.sealTransmitter(s.Connection, s.Access)
	return store.IdPStream{Connection: s.Connection, Issuer: s.Issuer, Stream: s.ID, Audience: s.Audience, Method: s.Method, Endpoint: s.Endpoint, PushedBy: s.PushedBy,
		Sealed: sealed, Status: string(s.Status), Reason: s.Reason, State: s.State, Created: s.Created, Checked: s.Checked, Asked: s.Asked, Verified: s.Verified,
		Heard: s.Heard, Polled: s.Polled}, err
}

// IdPStream finds the stream of signals that the bridge has made at a connection's
// identity provider; fault.NotFound if it has none.
func (b *Bridge) IdPStream(ctx context.Context, c access.ConnectionID) (inbound.Stream, error) {
	var row store.IdPStream
	if err := b.store.View(ctx, func(v *store.View) (err error) { row, err = v.IdPStream(c); return err }); err != nil {
		return inbound.Stream{}, err
	}
	return b.listened(row)
}

// IdPStreams lists those streams, by connection.
func (b *Bridge) IdPStreams(ctx context.Context) ([]inbound.Stream, error) {
	var rows []store.IdPStream
	if err := b.store.View(ctx, func(v *store.View) (err error) { rows, err = v.IdPStreams(); return err }); err != nil {
		return nil, err
	}
	var all []inbound.Stream
	for _, row := range rows {
		s, err := b.listened(row)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// KeepIdPStream puts a stream in the place of its connection's.
func (b *Bridge) KeepIdPStream(ctx context.Context, s inbound.Stream) error {
	row, err := b.stored(s)
	if err != nil {
		return err
	}
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.PutIdPStream(row) })
}

// ChangeIdPStream changes what is kept of a connection's stream, if there is one.
func (b *Bridge) ChangeIdPStream(ctx context.Context, c access.ConnectionID, change func(*inbound.Stream)) error {
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.IdPStream(c)
		if err != nil {
			return err
		}
		s, err := b.listened(row)
		if err != nil {
			return err
		}
		change(&s)
		if row, err = b.stored(s); err != nil {
			return err
		}
		return tx.PutIdPStream(row)
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// DropIdPStream forgets a connection's stream.
func (b *Bridge) DropIdPStream(ctx context.Context, c access.ConnectionID) error {
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.DropIdPStream(c) })
}

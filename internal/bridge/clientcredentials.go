package bridge

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// proven is what a SCIM client has shown: what its access token is bound to.
type proven struct {
	use  store.ClientUse
	name string    // of what stands behind it; the gate asks for it at every request
	ends time.Time // the last instant of what was shown; zero: no end of its own
}

// ClientCredentials gives a SCIM client an access token that opens its connection
// (RFC 6749 section 4.4). Whatever is wrong with the client or its proof, the refusal
// is one and the same fault.Unauthenticated; the cause is for the log.
func (b *Bridge) ClientCredentials(ctx context.Context, x oidc.ServiceExchange) (oidc.TokenSet, error) {
	const op = "bridge.ClientCredentials"
	now := b.now()
	id := x.Client
	if id == "" { // RFC 7521 section 4.2: the assertion may name the client alone
		_, id = assertion.Claimed(x.Assertion)
	}
	if !credential.NamesSCIMClient(id) || len(id) > maxClientID {
		id = noClient
	}
	client, conn, host, known, err := b.store.ClientDoor(ctx, id)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	proof, err := b.prove(ctx, client, x, now)
	if err == nil {
		err = usable(client, conn, known)
	}
	if err == nil {
		err = inNetworks(conn, x.From)
	}
	if err == nil {
		err = scopesOf(x)
	}
	if err == nil {
		err = b.spend(ctx, client, proof, now)
	}
	if fault.Is(err, fault.Unauthenticated) && !b.attempts.fail(id, x.From, now) {
		err = fault.New(fault.Limited, op, "Too many attempts have failed. Try again in a few seconds.")
	}
	if err != nil {
		return oidc.TokenSet{}, err
	}
	return b.sealAccess(client, conn, host, proof.proven, now)
}

// noClient stands for every id that no SCIM client can have.
const (
	noClient    = "?"
	maxClientID = 64
)

// scopesOf refuses to be asked for anything but the one scope there is.
func scopesOf(x oidc.ServiceExchange) error {
	if slices.ContainsFunc(x.OAuthScopes, func(s string) bool { return s != oidc.ScopeSCIM }) {
		return fault.New(fault.Invalid, "bridge.ClientCredentials", "Ask for the scope %s, or for none.", oidc.ScopeSCIM).Because("invalid_scope")
	}
	return nil
}

func (b *Bridge) sealAccess(client store.SCIMClient, conn store.ConnectionRow, host int64, p proven, now time.Time) (oidc.TokenSet, error) {
	end := earliest(now.Add(credential.SCIMAccessLife+time.Second-1), p.ends).Truncate(time.Second) // not a second less than its life
	token, err := b.scimAccess.Seal(credential.SCIMAccess{Connection: conn.ID, Client: client.ID, Proof: p.name, Host: host, Epoch: conn.Epoch, Expires: end})
	if err != nil {
		return oidc.TokenSet{}, err
	}
	b.touches.client(conn.ID, p.use, now)
	return oidc.TokenSet{AccessToken: token.Reveal(), ExpiresIn: end.Sub(now), OAuthScopes: []string{oidc.ScopeSCIM}}, nil
}

// usable says why a client may have nothing. It is asked after the proof, so that an
// unknown client costs the same comparison.
func usable(client store.SCIMClient, conn store.ConnectionRow, known bool) error {
	const op = "bridge.ClientCredentials"
	switch {
	case !known:
		return fault.New(fault.Unauthenticated, op, "there is no such client")
	case !client.Live():
		return fault.New(fault.Unauthenticated, op, "the client was revoked")
	case conn.State != store.ConnectionActive:
		return fault.New(fault.Unauthenticated, op, "the connection has ended")
	}
	return nil
}

// shown is a proof, with the id of the assertion if that works only once.
type shown struct {
	proven
	once string
	ends time.Time // until when once must be known as used
}

func (b *Bridge) prove(ctx context.Context, client store.SCIMClient, x oidc.ServiceExchange, now time.Time) (shown, error) {
	if x.Assertion == "" {
		p, err := bySecret(client, x.Secret.Reveal(), now)
		return shown{proven: p}, err
	}
	trust := b.trust[client.Connection]
	if client.ID == "" || trust.Empty() {
		return shown{}, fault.New(fault.Unauthenticated, "bridge.prove", "the connection trusts no assertions").Because("assertion")
	}
	proof, err := b.assertions.Verify(ctx, x.Assertion, client.ID, trust, []string{b.url, b.url + oidc.PathToken}, now)
	if err != nil {
		return shown{}, err
	}
	return shown{proven: proven{use: store.ClientUse{Client: client.ID, Kind: proof.Kind}, name: proof.Name}, once: proof.ID, ends: proof.Ends}, nil
}

// kindSecret is the proof of a client that knows a secret.
const kindSecret = "secret"

// bySecret compares a secret with the client's. The zero client has none.
func bySecret(client store.SCIMClient, text string, now time.Time) (proven, error) {
	const op = "bridge.bySecret"
	publicID, digest, err := credential.ParseClientSecret(text)
	if err != nil {
		return proven{}, err
	}
	row, known := client.Secret(publicID)
	switch {
	case !row.Digest.Equal(digest) || !known:
		return proven{}, fault.New(fault.Unauthenticated, op, "the client has no such secret")
	case !row.LiveAt(now):
		return proven{}, fault.New(fault.Unauthenticated, op, "the secret was revoked or has expired")
	}
	return proven{use: store.ClientUse{Client: client.ID, Kind: kindSecret, Secret: publicID}, name: secretProof + publicID, ends: row.Expires}, nil
}

// secretProof begins the names of proofs by a secret; the public id follows.
const secretProof = kindSecret + ":"

// spend uses up an assertion that works once: durably, before there is a token. No
// store, no token.
func (b *Bridge) spend(ctx context.Context, client store.SCIMClient, p shown, now time.Time) error {
	if p.once == "" {
		return nil
	}
	return b.store.Update(ctx, func(tx *store.Tx) error {
		first, err := tx.UseAssertion(client.ID, credential.DigestOf(p.once), p.ends, now)
		if err == nil && !first {
			err = fault.New(fault.Unauthenticated, "bridge.spend", "the assertion was used before").Because("replayed")
		}
		return err
	})
}

// openAccess admits a SCIM client's access token if nothing it is bound to has
// changed: the host's epoch, the connection's, the client, and what it was proven by.
func (b *Bridge) openAccess(ctx context.Context, token string, now time.Time) (store.ConnectionRow, store.ClientUse, error) {
	const op = "bridge.Open"
	a, err := b.scimAccess.Open(token, now)
	if err != nil {
		return store.ConnectionRow{}, store.ClientUse{}, err
	}
	client, conn, host, known, err := b.store.ClientDoor(ctx, a.Client)
	if err != nil {
		return store.ConnectionRow{}, store.ClientUse{}, err
	}
	if err := usable(client, conn, known); err != nil {
		return store.ConnectionRow{}, store.ClientUse{}, err
	}
	if conn.ID != a.Connection || conn.Epoch != a.Epoch || host != a.Host {
		return store.ConnectionRow{}, store.ClientUse{}, fault.New(fault.Unauthenticated, op, "the access token was made before everything of its connection was ended").Because(credential.ReasonSuperseded)
	}
	use, stands := b.stands(client, a.Proof, now)
	if !stands {
		return store.ConnectionRow{}, store.ClientUse{}, fault.New(fault.Unauthenticated, op, "what the access token was given for is no longer believed").Because(credential.ReasonEnded)
	}
	return conn, use, nil
}

// stands reports whether what stood behind a proof still stands, and whose use this is.
func (b *Bridge) stands(client store.SCIMClient, name string, now time.Time) (store.ClientUse, bool) {
	if publicID, isSecret := strings.CutPrefix(name, secretProof); isSecret {
		row, known := client.Secret(publicID)
		return store.ClientUse{Client: client.ID, Kind: kindSecret, Secret: publicID}, known && row.LiveAt(now)
	}
	use := store.ClientUse{Client: client.ID, Kind: assertion.KindOf(name)}
	return use, b.trust[client.Connection].Stands(name)
}

package credential

import (
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// UpstreamKey seals the refresh tokens that identity providers hand us, each for the
// session that it came with. The zero UpstreamKey seals and opens nothing.
type UpstreamKey struct{ data DataKey }

// UpstreamKey gives the key that seals what identity providers hand us.
func (d DataKey) UpstreamKey() UpstreamKey { return UpstreamKey{d} }

// Format redacts for every verb.
func (k UpstreamKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Seal encrypts a token: kept beside another session it does not open.
func (k UpstreamKey) Seal(token secret.String, of session.ID) ([]byte, error) {
	sealed, err := k.data.seal([]byte(token.Reveal()), upstreamPlace(of))
	return sealed, fault.Wrap(fault.Internal, "credential.UpstreamKey.Seal", err)
}

// Open decrypts what Seal made for that session.
func (k UpstreamKey) Open(sealed []byte, of session.ID) (secret.String, error) {
	plain, err := k.data.open(sealed, upstreamPlace(of))
	if err != nil {
		return secret.String{}, fault.Wrap(fault.Internal, "credential.UpstreamKey.Open", err)
	}
	return secret.New(string(plain)), nil
}

func upstreamPlace(of session.ID) string { return "upstream_tokens|sealed|" + string(of) }

package credential

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// typIntrospection keeps a signed answer from being taken for a token (RFC 9701 section 5).
const typIntrospection = "token-introspection+jwt"

// SignIntrospection signs the answer to an introspection request, made out to the client
// that asked. It has no end: it says what was so when it was made (RFC 9701 section 5).
func (i *Issuer) SignIntrospection(client access.ClientID, alg string, answer json.RawMessage, now time.Time) (string, error) {
	const op = "credential.SignIntrospection"
	if client == "" || len(answer) == 0 || answer[0] != '{' {
		return "", fault.New(fault.Internal, op, "the answer is not a JSON object, or to nobody")
	}
	key, err := i.ring().signer(cmp.Or(alg, ES256))
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	payload, err := json.Marshal(struct {
		Issuer   string          `json:"iss"`
		Audience access.ClientID `json:"aud"`
		IssuedAt int64           `json:"iat"`
		Answer   json.RawMessage `json:"token_introspection"`
	}{i.url, client, now.Unix(), answer})
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	signed, err := sign(key.answer, payload)
	return signed, fault.Wrap(fault.Internal, op, err)
}

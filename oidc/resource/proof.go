package resource

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// proof is what a DPoP proof says (RFC 9449 section 4.2).
type proof struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Issued int64  `json:"iat"`
	Token  string `json:"ath"`

	key string // the thumbprint of the key that signed it
}

const (
	maxProof    = 8 << 10 // bytes
	maxProofID  = 256     // bytes
	proofWindow = time.Minute
)

var errProof = errors.New("resource: the DPoP proof is not good")

// parseProof reads a DPoP proof and verifies that the key it names has signed it.
func parseProof(text string) (proof, error) {
	if len(text) > maxProof {
		return proof{}, errProof
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256})
	if err != nil || len(jws.Signatures) != 1 {
		return proof{}, errProof
	}
	header := jws.Signatures[0].Protected
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	key := header.JSONWebKey
	if typ != "dpop+jwt" || key == nil || !key.Valid() || !key.IsPublic() || !strong(key.Key) {
		return proof{}, errProof
	}
	body, err := jws.Verify(key.Key)
	if err != nil {
		return proof{}, errProof
	}
	var p proof
	if json.Unmarshal(body, &p) != nil || p.ID == "" || len(p.ID) > maxProofID {
		return proof{}, errProof
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return proof{}, errProof
	}
	p.key = base64.RawURLEncoding.EncodeToString(sum)
	return p, nil
}

func strong(key any) bool {
	k, isRSA := key.(*rsa.PublicKey)
	return !isRSA || k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
}

// shown checks that a request came with what its token needs: a token that is bound to
// a key with the proof of that key, another one as a bearer token.
func (g *Guard) shown(r *http.Request, t Token, text string, asDPoP bool) error {
	if t.Key == "" && !asDPoP {
		return nil
	}
	headers := r.Header.Values("DPoP")
	if t.Key == "" || !asDPoP || g.cfg.URL == "" || len(headers) != 1 {
		return errProof
	}
	p, err := parseProof(headers[0])
	if err != nil {
		return err
	}
	now := g.cfg.Now()
	sum := sha256.Sum256([]byte(text))
	issued := time.Unix(p.Issued, 0)
	switch {
	case p.key != t.Key, p.Method != r.Method, p.Token != base64.RawURLEncoding.EncodeToString(sum[:]), !sameAddress(p.URL, g.cfg.URL+r.URL.EscapedPath()):
		return errProof
	case issued.Before(now.Add(-proofWindow)), issued.After(now.Add(proofWindow)):
		return errProof
	case !g.proofs.first(p, now):
		return errProof
	}
	return nil
}

// sameAddress compares without query and fragment, and without case of scheme and host
// (RFC 9449 section 4.3).
func sameAddress(htu, ours string) bool {
	a, errA := url.Parse(htu)
	b, errB := url.Parse(ours)
	return errA == nil && errB == nil && a.RawQuery == "" && a.Fragment == "" && a.User == nil &&
		strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Host, b.Host) && a.EscapedPath() == b.EscapedPath()
}

// proofs remembers which were used, for as long as they could be used again.
type proofs struct {
	mu         sync.Mutex // guards what follows
	young, old map[[16]byte]struct{}
	since      time.Time // when young began
}

const maxProofs = 1 << 18

// first reports whether a proof is used for the first time. When there is no room to
// remember it, it is not good.
func (q *proofs) first(p proof, now time.Time) bool {
	sum := sha256.Sum256([]byte(p.key + " " + p.ID))
	id := [16]byte(sum[:16])
	q.mu.Lock()
	defer q.mu.Unlock()
	if age := now.Sub(q.since); q.young == nil || age >= 2*proofWindow {
		q.old = q.young
		if age >= 4*proofWindow {
			q.old = nil
		}
		q.young, q.since = map[[16]byte]struct{}{}, now
	}
	_, young := q.young[id]
	_, old := q.old[id]
	if young || old || len(q.young) >= maxProofs {
		return false
	}
	q.young[id] = struct{}{}
	return true
}

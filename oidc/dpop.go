package oidc

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Limits of a proof.
const (
	maxProof    = 8 << 10 // bytes; an RSA key of 4096 bits takes one
	maxProofJTI = 256     // bytes
	maxRSAKey   = 4096    // bits: what more would cost us is the sender's to choose
	minRSAKey   = 2048
)

// proofWindow is how far a proof's iat may lie from our clock, on either side.
const proofWindow = time.Minute

// Proof is what a DPoP proof says of itself (RFC 9449 section 4.2): its signature was
// made by the key that it names, and no more is known.
type Proof struct {
	Key       string // the thumbprint of the key (RFC 7638, SHA-256)
	Method    string // htm
	Address   string // htu
	TokenHash string // ath, "" if it names no access token
	Nonce     string
	JTI       string
	IssuedAt  time.Time
}

// ProofAlgorithms are the algorithms that proofs are signed with: asymmetric ones.
func ProofAlgorithms() []string {
	names := make([]string, 0, len(proofAlgorithms))
	for _, a := range proofAlgorithms {
		names = append(names, string(a))
	}
	return names
}

var proofAlgorithms = [...]jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.PS256, jose.RS256}

// ParseProof checks a proof's shape and signature: one compact JWS of type dpop+jwt,
// signed by the public key in its own header (RFC 9449 section 4.3, points 2 to 7).
// The error is what the client is told.
func ParseProof(text string) (Proof, error) {
	if len(text) > maxProof {
		return Proof{}, badProof("The DPoP proof is longer than 8 KiB.")
	}
	jws, err := jose.ParseSignedCompact(text, proofAlgorithms[:])
	if err != nil || len(jws.Signatures) != 1 {
		return Proof{}, badProof("The DPoP proof is not a JWT that is signed by one of " + strings.Join(ProofAlgorithms(), ", ") + ".")
	}
	header := jws.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "dpop+jwt" {
		return Proof{}, badProof("The DPoP proof is not of the type dpop+jwt.")
	}
	key := header.JSONWebKey
	if key == nil || !key.IsPublic() || !strong(key.Key) {
		return Proof{}, badProof("The DPoP proof must carry the public key that signed it as jwk; an RSA key has 2048 to 4096 bits.")
	}
	body, err := jws.Verify(key)
	if err != nil {
		return Proof{}, badProof("The DPoP proof was not signed by the key that it carries.")
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return Proof{}, badProof("The key of the DPoP proof has no thumbprint.")
	}
	p, err := readProof(body)
	p.Key = base64.RawURLEncoding.EncodeToString(thumbprint)
	return p, err
}

// strong reports whether a key is of a kind and size that proves something and costs
// us a bounded amount of work.
func strong(key any) bool {
	if k, ok := key.(*rsa.PublicKey); ok {
		return k.N.BitLen() >= minRSAKey && k.N.BitLen() <= maxRSAKey && k.E < 1<<31
	}
	if k, ok := key.(ed25519.PublicKey); ok {
		return len(k) == ed25519.PublicKeySize
	}
	return true // elliptic curves come in three sizes
}

// readProof reads the claims of a proof: htm, htu, jti and iat must be there.
func readProof(body []byte) (Proof, error) {
	var c struct {
		Method    string   `json:"htm"`
		Address   string   `json:"htu"`
		JTI       string   `json:"jti"`
		IssuedAt  *float64 `json:"iat"`
		TokenHash string   `json:"ath"`
		Nonce     string   `json:"nonce"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&c); err != nil {
		return Proof{}, badProof("The claims of the DPoP proof are not a JSON object of the members that RFC 9449 section 4.2 lists.")
	}
	if c.Method == "" || c.Address == "" || c.JTI == "" || c.IssuedAt == nil {
		return Proof{}, badProof("The DPoP proof needs htm, htu, jti and iat.")
	}
	if len(c.JTI) > maxProofJTI || *c.IssuedAt < 0 || *c.IssuedAt > 1<<40 {
		return Proof{}, badProof("The jti of a DPoP proof has at most 256 bytes, and its iat is in seconds since 1970.")
	}
	return Proof{Method: c.Method, Address: c.Address, JTI: c.JTI, IssuedAt: time.Unix(int64(*c.IssuedAt), 0), TokenHash: c.TokenHash, Nonce: c.Nonce}, nil
}

// ProofConfig is what Proofs are judged by.
type ProofConfig struct {
	Issuer       string              // origin, without a trailing slash
	Nonces       credential.NonceKey //
	RequireNonce bool                // a proof must carry a nonce of ours (RFC 9449 section 8)
	Now          func() time.Time
	// Nodes is what several nodes remember together of proofs that were used; nil: there is
	// one node, whose own memory is enough.
	Nodes ProofMemory
}

// ProofMemory is what several nodes know of used proofs.
type ProofMemory interface {
	// UseProof remembers a proof until it is no good any more: false if it was used before,
	// on whichever node. No memory, no proof.
	UseProof(ctx context.Context, id [16]byte, until time.Time) (first bool, err error)
	// ForgetProof lets it be used.
	ForgetProof(ctx context.Context, id [16]byte) error
}

// Proofs judges DPoP proofs (RFC 9449). It remembers those that were used, on this node
// alone and since it was made, unless nodes remember them together. A nil Proofs finds none good. It is safe for concurrent use.
type Proofs struct {
	ProofConfig
	started time.Time
	since   credential.NonceKey // makes nonces that nobody can have had before started
	seen    seenProofs          // of those whose token, code or client counts
	pushed  seenProofs          // of pushed requests: anybody can push, as a public client
}

// NewProofs makes a Proofs that has seen nothing. What was used before it was made, it does
// not know: see judge.
func NewProofs(c ProofConfig) *Proofs {
	q := &Proofs{ProofConfig: c, started: c.Now()}
	if k, err := credential.NewDataKey().NonceKey(); err == nil { // the zero key finds no nonce good
		q.since = k
	}
	return q
}

// prove is what the proof of a request says, the zero Proof if it sends none. accessToken is
// the token that the proof must have been made for, "" if none was sent. Whether it was used
// before is for use to say. The error is an *Error.
func (q *Proofs) prove(r *http.Request, accessToken string) (Proof, error) {
	sent := r.Header.Values("DPoP")
	switch {
	case len(sent) == 0:
		return Proof{}, nil
	case len(sent) > 1:
		return Proof{}, badProof("Send one DPoP header.")
	case q == nil:
		return Proof{}, badProof("DPoP is not available here.")
	}
	p, err := ParseProof(sent[0])
	if err == nil {
		err = q.judge(p, r, accessToken)
	}
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

// judge is RFC 9449 section 4.3, points 8 to 11. What a proof was used for before this Proofs
// was made is not known: one from before then needs a nonce that was made since, and
// where nonces are required, every proof does for as long as an older one may be good.
func (q *Proofs) judge(p Proof, r *http.Request, accessToken string) error {
	now := q.Now()
	mayBeOld := q.Nodes == nil && (p.IssuedAt.Before(q.started) || q.RequireNonce && now.Sub(q.started) <= proofWindow)
	switch {
	case p.Method != r.Method || !sameAddress(p.Address, q.Issuer+r.URL.Path):
		return badProof("The DPoP proof was made for another request: htm and htu are the method and the address of this one.")
	case accessToken == "" && p.TokenHash != "" || accessToken != "" && p.TokenHash != tokenHash(accessToken):
		return badProof("The DPoP proof was made for another access token: ath is the base64url of the token's SHA-256.")
	case p.Nonce == "" && q.RequireNonce, p.Nonce != "" && !q.Nonces.Good(p.Nonce, now) && !q.since.Good(p.Nonce, now):
		return q.useNonce(now)
	case now.Sub(p.IssuedAt).Abs() > proofWindow:
		return badProof("The DPoP proof was not made within the last minute. Make one for each request, by a clock that is right.")
	case mayBeOld && !q.since.Good(p.Nonce, now):
		return q.useNonce(now)
	}
	return nil
}

// use counts a proof as used, in a memory of q; the zero Proof needs no use. One that was refused for
// something else has not been used (RFC 9449 section 4.3 point 12).
func (q *Proofs) use(ctx context.Context, p Proof, memory func(*Proofs) *seenProofs) error {
	if p == (Proof{}) {
		return nil
	}
	m, now := memory(q), q.Now()
	outcome := m.add(p, now)
	if outcome == proofNew && q.Nodes != nil && m == &q.seen { // what is pushed again is pushed by whom it was pushed before
		first, err := q.Nodes.UseProof(ctx, p.id(), now.Add(proofMemory))
		if err != nil {
			m.forget(p)
			return err
		}
		if !first {
			outcome = proofSeen
		}
	}
	switch outcome {
	case proofNew:
		return nil
	case proofSeen:
		return badProof("The DPoP proof was used before. Make one for each request.")
	}
	return &Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Description: "Too many proofs came within a short time. Try again a little later."}
}

// unuse takes the use of a proof back: it has done nothing.
func (q *Proofs) unuse(ctx context.Context, p Proof) error {
	if p == (Proof{}) {
		return nil
	}
	q.seen.forget(p)
	if q.Nodes == nil {
		return nil
	}
	return q.Nodes.ForgetProof(ctx, p.id())
}

func counted(q *Proofs) *seenProofs { return &q.seen }
func ahead(q *Proofs) *seenProofs   { return &q.pushed }

// nonce is the one to use next. While proofs from before the start may be good, it is one
// that shows that a proof is not.
func (q *Proofs) nonce(now time.Time) string {
	if q.Nodes == nil && now.Sub(q.started) <= proofWindow {
		return q.since.Nonce(now)
	}
	return q.Nonces.Nonce(now)
}

func (q *Proofs) useNonce(now time.Time) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "use_dpop_nonce", nonce: q.nonce(now),
		Description: "Make the DPoP proof with the nonce that is in the header DPoP-Nonce."}
}

// Announce tells the next nonce in an answer, where proofs must carry one.
func (q *Proofs) Announce(w http.ResponseWriter) {
	if q != nil && q.RequireNonce {
		w.Header().Set("DPoP-Nonce", q.nonce(q.Now()))
	}
}

func badProof(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_dpop_proof", Description: description}
}

func tokenHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameAddress compares an htu with the address it must name: scheme and host in any
// case, the usual port left out or not, the query and the fragment ignored (RFC 9449
// section 4.3 point 9, RFC 3986 section 6.2). ours is written the usual way.
func sameAddress(htu, ours string) bool {
	a, errA := url.Parse(htu)
	b, errB := url.Parse(ours)
	if errA != nil || errB != nil || a.User != nil || a.Opaque != "" {
		return false
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && hostPort(a) == hostPort(b) && a.Path == b.Path
}

// hostPort is the host in lower case, with the port even where it is the usual one.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// Presented is an access token as a request shows it.
type Presented struct {
	Token string
	key   string // the thumbprint of the key that was proved with it; "" if it came as a bearer token
	used  func() error
}

// PresentedBy is a token that was shown with the proof of a key, "" for a bearer token, which
// nobody else has to be asked about.
func PresentedBy(token, key string) Presented { return Presented{Token: token, key: key} }

// Proves says whether a token that counts, and is bound to key, may be used as it was shown: by the
// proof of that key, or where key is "" as a bearer token. That is the first use of
// the proof: it is remembered now, and not before, so that nobody fills the memory of proofs
// with tokens that do not count. The error is fault.Unauthenticated, or an *Error if
// the proof was used before. It may be asked again about the same request.
func (p Presented) Proves(key string) error {
	if p.key != key {
		return fault.New(fault.Unauthenticated, "oidc.Proves", "the access token is bound to another key, or to none")
	}
	if p.used == nil {
		return nil
	}
	return p.used()
}

// Shows is Proves for the key of a.
func (a Accepted) Shows(p Presented) error { return p.Proves(a.DPoPKey) }

// Present finds the access token in a request's Authorization header, as Bearer or,
// with a proof, as DPoP (RFC 6750 section 2.1, RFC 9449 section 7.1). The error is an
// *Error, with its challenge.
func (q *Proofs) Present(r *http.Request) (Presented, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 { // no error code where nothing was tried (RFC 6750 section 3.1)
		return Presented{}, &Error{Status: http.StatusUnauthorized, Code: "invalid_token", challenge: `Bearer realm="oauth2"`,
			Description: "Send an access token: Authorization: Bearer <token>."}
	}
	if len(header) > 1 {
		return Presented{}, twoTokens()
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	token = strings.TrimSpace(token)
	switch {
	case token == "" || len(token) > maxToken:
		return Presented{}, noToken()
	case strings.EqualFold(scheme, "Bearer"):
		return Presented{Token: token}, nil
	case !strings.EqualFold(scheme, "DPoP"):
		return Presented{}, noToken()
	}
	p, err := q.prove(r, token)
	if err != nil {
		return Presented{}, challenged(err)
	}
	if p.Key == "" {
		return Presented{}, challenged(badProof("A token that is sent as DPoP needs a proof in the header DPoP."))
	}
	return Presented{Token: token, key: p.Key, used: sync.OnceValue(func() error { return challenged(q.use(r.Context(), p, counted)) })}, nil
}

// challenged makes what is wrong with a proof the answer of a protected resource
// (RFC 9449 section 7.1).
func challenged(err error) error {
	e, ok := err.(*Error) //nolint:errorlint // made here, never wrapped
	if !ok || e.Status != http.StatusBadRequest {
		return err
	}
	c := *e
	c.Status, c.challenge = http.StatusUnauthorized, dpopChallenge(e.Code)
	return &c
}

func dpopChallenge(code string) string {
	return `DPoP realm="oauth2", error="` + code + `", algs="` + strings.Join(ProofAlgorithms(), " ") + `"`
}

// notShown is the answer to a token that counts, shown in a way that it may not be: err is of
// Accepted.Shows.
func notShown(a Accepted, err error) *Error {
	if e, ours := err.(*Error); ours { //nolint:errorlint // made here, never wrapped
		return e
	}
	e := noToken()
	if a.DPoPKey != "" {
		e.Description = "The access token is bound to a key: send it as DPoP, with a proof of that key."
		e.challenge = dpopChallenge("invalid_token")
	}
	return e
}

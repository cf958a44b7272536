package credential

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// MaxLife is the longest an access token lives: it bounds how long an application
// that checks signatures offline may believe somebody who has left.
const MaxLife = 5 * time.Minute

// Issuer signs and verifies tokens of one issuer URL. Make it with NewIssuer; it is
// safe for concurrent use.
type Issuer struct {
	url  string
	ring func() *Keyring
	seen *verified
}

// NewIssuer makes the issuer called issuerURL (byte for byte the iss claim). ring
// gives the keys of the moment; it is called for every token.
func NewIssuer(issuerURL string, ring func() *Keyring) *Issuer {
	return &Issuer{url: issuerURL, ring: ring, seen: newVerified()}
}

// Order asks for tokens. Current must have been read in the transaction that
// consumed the code or rotated the family, after it did.
type Order struct {
	Current     Current
	Subject     Subject         // for whom; a token always has a client
	Sub, SID    string          // what the client calls the person and the session; "": by their ids
	Alg         string          // of the access token: ES256 (also the zero value) or RS256
	Grant       json.RawMessage // the active_grant claim: one JSON object
	GrantUntil  time.Time       // when the active assignment ends; zero: no end
	Audience    string          // aud of the access token
	OAuthScopes []string
	DPoPKey     string   // the thumbprint of the key that the access token is bound to; "" for a bearer token
	Userinfo    []string // claims that userinfo shows beside those of the scopes
	SessionAMR  []string // how the person proved who they are, as the upstream said
	ACR         string
	AuthTime    time.Time
	Now         time.Time
	Life        time.Duration // at most MaxLife
	ID          *IDOrder      // nil: no ID token
}

// IDOrder asks for an ID token beside the access token.
type IDOrder struct {
	Alg    string         // ES256 (also the zero value) or RS256
	Nonce  string         //
	Claims map[string]any // profile claims; a reserved name is left out
}

// Minted is what Mint signed.
type Minted struct {
	AccessToken string
	IDToken     string // "" if none was ordered
	Bound       Bound  // what Accept will compare
	Expires     time.Time
	JTI         string
}

// Mint is the one place where tokens are made. It refuses with fault.Denied unless
// Accept would accept, now, what it is about to sign; the reason codes are the
// same. The token ends with the active assignment, the person's last decision or
// the session, whichever comes first, in whole seconds.
func (i *Issuer) Mint(o Order) (Minted, error) {
	const op = "credential.Mint"
	if why := o.malformed(); why != "" {
		return Minted{}, fault.New(fault.Internal, op, "%s", why)
	}
	bound, why := o.judge()
	if why != "" {
		return Minted{}, fault.New(fault.Denied, op, "no token can be issued for this session now").Because(why)
	}
	m := Minted{Bound: bound, Expires: bound.Expires, JTI: NewID("tok")}
	if err := i.signAccess(o, &m); err != nil {
		return Minted{}, fault.Wrap(fault.Internal, op, err)
	}
	if o.ID == nil {
		return m, nil
	}
	if err := i.signID(o, &m); err != nil {
		return Minted{}, fault.Wrap(fault.Internal, op, err)
	}
	return m, nil
}

// malformed names a mistake of the caller: an order no state of the directory
// could make good.
func (o Order) malformed() string {
	switch {
	case o.Subject.Client == "" || o.Audience == "":
		return "an access token needs a client and an audience"
	case o.Life <= 0 || o.Life > MaxLife:
		return "an access token lives at most five minutes"
	case o.Now.IsZero():
		return "the order has no instant"
	case len(o.Grant) == 0 || o.Grant[0] != '{' || !json.Valid(o.Grant):
		return "the active grant is not a JSON object"
	}
	return ""
}

// judge gives what the tokens will be bound to, or why there can be none: first with
// the life asked for, so that the reason is the directory's, then with what is left.
func (o Order) judge() (b Bound, why string) {
	b = Bound{Subject: o.Subject, Epochs: o.Current.Epochs, Expires: o.Now.Add(o.Life)}
	if why := refusal(b, o.Current, o.Now); why != "" {
		return Bound{}, why
	}
	b.Expires = o.end()
	return b, refusal(b, o.Current, o.Now)
}

// end is the token's last instant in whole seconds: never later than its life, the
// active assignment's end or the session's. The end of the last decision is rounded
// up: it may concern another assignment, and is judged to the nanosecond by Accept.
func (o Order) end() time.Time {
	end := o.Now.Add(o.Life).Truncate(time.Second)
	for _, t := range []time.Time{o.GrantUntil, o.Current.SessionExpires, roundUp(o.Current.ValidUntil)} {
		if !t.IsZero() && t.Before(end) {
			end = t.Truncate(time.Second)
		}
	}
	return end.UTC()
}

// sub and sid are what the tokens say for the person and the session.
func (o Order) sub() access.PersonID { return cmp.Or(access.PersonID(o.Sub), o.Subject.Person) }
func (o Order) sid() session.ID      { return cmp.Or(session.ID(o.SID), o.Subject.Session) }

func roundUp(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}

func (i *Issuer) signAccess(o Order, m *Minted) error {
	key, err := i.ring().signer(cmp.Or(o.Alg, ES256))
	if err != nil {
		return err
	}
	w := accessWire{
		Issuer: i.url, Audience: o.Audience, ClientID: o.Subject.Client, Subject: o.sub(),
		Session: o.sid(), JTI: m.JTI, IssuedAt: o.Now.Unix(), Expires: m.Expires.Unix(),
		AuthTime: seconds(o.AuthTime), Scope: strings.Join(o.OAuthScopes, " "), Connection: o.Subject.Connection,
		Epochs: m.Bound.Epochs.wire(), AMR: o.SessionAMR, ACR: o.ACR, Grant: o.Grant,
		Family: o.Subject.Family, Confirm: confirm(o.DPoPKey),
		Userinfo: strings.Join(o.Userinfo, " "),
	}
	payload, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if m.AccessToken, err = sign(key.access, payload); err != nil {
		return err
	}
	// A token is most often shown right after it was made: its signature need not be
	// checked by the one who made it.
	i.seen.put(DigestOf(m.AccessToken), key, w.claims().own(), len(m.AccessToken))
	return nil
}

func (i *Issuer) signID(o Order, m *Minted) error {
	key, err := i.ring().signer(cmp.Or(o.ID.Alg, ES256))
	if err != nil {
		return err
	}
	payload, err := idWire{
		Issuer: i.url, Subject: o.sub(), Audience: o.Subject.Client, Expires: m.Expires.Unix(),
		IssuedAt: o.Now.Unix(), AuthTime: seconds(o.AuthTime), Nonce: o.ID.Nonce, Session: o.sid(),
		AtHash: atHash(m.AccessToken), AMR: slices.Clone(o.SessionAMR), ACR: o.ACR, Until: seconds(o.Current.SessionExpires), Grant: o.Grant,
	}.payload(o.ID.Claims)
	if err != nil {
		return err
	}
	m.IDToken, err = sign(key.id, payload)
	return err
}

// atHash is the left half of the access token's SHA-256 (OpenID Connect Core
// 3.1.3.6); both our algorithms hash with SHA-256.
func atHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

package resource

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Token is an access token that counts.
type Token struct {
	Subject    string // the person, by the name that the token's client knows
	Session    string
	Client     string // the application that it was issued to
	Connection string // the customer's connection
	Grant      Grant
	Workflows  []string // its OAuth scopes
	AuthTime   time.Time
	ACR        string
	AMR        []string
	IssuedAt   time.Time
	Expires    time.Time
	Key        string // the thumbprint of the key it is bound to; "" for a bearer token

	epochs [5]int64 // host, connection, client, person, session
	family string   // the claim: tokens of one sign-in end together
	digest [16]byte
}

// Grant is the one active grant that a token carries.
type Grant struct {
	ID       string     `json:"id"`
	Name     string     `json:"grant"`
	Standing string     `json:"standing"`
	Scope    GrantScope `json:"scope"`
	Flags    struct {
		Events string `json:"events"`
		Video  bool   `json:"video"`
	} `json:"flags"`
	Until int64 `json:"until"` // Unix seconds; 0: no end
}

// GrantScope is what a grant is at. Path and Names are for showing to people.
type GrantScope struct {
	ID          string   `json:"id"`
	Level       string   `json:"level"`
	Path        string   `json:"path"`
	AncestorIDs []string `json:"ancestor_ids"`
	Names       []string `json:"names"`
}

func (t Token) as(a answer) Token {
	t.Workflows, t.Grant = a.workflows, a.grant
	return t
}

// claims are those of an access token (docs/applications.md).
type claims struct {
	Issuer     string   `json:"iss"`
	Audience   string   `json:"aud"`
	Client     string   `json:"client_id"`
	Subject    string   `json:"sub"`
	Session    string   `json:"sid"`
	IssuedAt   int64    `json:"iat"`
	Expires    int64    `json:"exp"`
	AuthTime   int64    `json:"auth_time"`
	Scope      string   `json:"scope"`
	Connection string   `json:"connection"`
	Epochs     []int64  `json:"epochs"`
	Family     string   `json:"family"`
	AMR        []string `json:"amr"`
	ACR        string   `json:"acr"`
	Grant      *Grant   `json:"active_grant"`
	Confirm    *struct {
		Thumbprint string `json:"jkt"`
	} `json:"cnf"`
}

const (
	maxToken = 16 << 10 // bytes
	maxLife  = 5*time.Minute + maxSkew
	maxSkew  = time.Minute // how far ahead the bridge's clock may be
)

// algorithms are those that the bridge signs access tokens with.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

// verify checks all that can be checked without knowing what has ended.
func (g *Guard) verify(ctx context.Context, text string, now time.Time) (Token, error) {
	if len(text) > maxToken {
		return Token{}, ErrInvalid
	}
	jws, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return Token{}, ErrInvalid
	}
	header := jws.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return Token{}, ErrInvalid
	}
	key, err := g.keys.find(ctx, header.KeyID, header.Algorithm, now)
	if err != nil {
		return Token{}, err
	}
	body, err := jws.Verify(key)
	if err != nil {
		return Token{}, ErrInvalid
	}
	var c claims
	if json.Unmarshal(body, &c) != nil || !c.whole() || c.Issuer != g.cfg.Issuer || c.Audience != g.cfg.Audience {
		return Token{}, ErrInvalid
	}
	t := c.token(text)
	if !now.Before(t.Expires) || t.IssuedAt.After(now.Add(maxSkew)) || t.Grant.Until > 0 && now.Unix() >= t.Grant.Until {
		return Token{}, ErrInvalid
	}
	return t, nil
}

// whole reports whether every claim is there that the bridge always writes. A token
// that lives longer than any of the bridge's would outlive what is remembered of it.
func (c claims) whole() bool {
	return c.Client != "" && c.Subject != "" && c.Session != "" && c.Connection != "" && c.IssuedAt > 0 && c.Expires > c.IssuedAt &&
		c.Expires-c.IssuedAt <= int64(maxLife/time.Second) && len(c.Epochs) == 5 && !slices.ContainsFunc(c.Epochs, func(n int64) bool { return n < 1 }) &&
		c.Grant != nil && c.Grant.Name != "" && c.Grant.Scope.ID != "" && (c.Confirm == nil || c.Confirm.Thumbprint != "")
}

func (c claims) token(text string) Token {
	sum := sha256.Sum256([]byte(text))
	t := Token{Subject: c.Subject, Session: c.Session, Client: c.Client, Connection: c.Connection, Grant: *c.Grant, Workflows: strings.Fields(c.Scope),
		ACR: c.ACR, AMR: c.AMR, IssuedAt: time.Unix(c.IssuedAt, 0), Expires: time.Unix(c.Expires, 0), epochs: [5]int64(c.Epochs), digest: [16]byte(sum[:16]), family: c.Family}
	if c.AuthTime > 0 {
		t.AuthTime = time.Unix(c.AuthTime, 0)
	}
	if c.Confirm != nil {
		t.Key = c.Confirm.Thumbprint
	}
	return t
}

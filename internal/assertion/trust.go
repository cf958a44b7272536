// Package assertion verifies what others signed. A KeySet is the keys that somebody
// publishes, and a Token what they may have signed with them. A Verifier judges the
// statements by which a client proves itself without a secret (RFC 7523 section 2.2):
// signed by a key that the connection names, or by its identity provider about one of
// its own services (workload identity federation).
//
// Algorithms are chosen by us, never taken from a token or a key set; every claim that
// counts must be there; keys are fetched by the client it is given, cached, and
// fetched anew at most as often as a bucket allows.
package assertion

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Type is the client_assertion_type of all of them (RFC 7523 section 2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Trust says whose word counts for the clients of one connection. The zero Trust
// believes nobody.
type Trust struct {
	Keys       []Key  // each may sign for every client of the connection
	KeysURI    string // where such keys are published, instead
	Federation *Federation
}

// Federation pins one identity of another issuer. Every field that is set must be
// equal; Issuer, Subject, Audiences and KeysURI are always set.
type Federation struct {
	Issuer          string
	Subject         string
	Audiences       []string // the token's aud is one of them, and nothing else
	KeysURI         string
	TenantID        string // tid
	ObjectID        string // oid
	AuthorizedParty string // azp or appid
	Version         string // ver
}

// Kinds of proof, as they are remembered beside a client's last use.
const (
	KindKey        = "key"
	KindFederation = "federation"
)

// Proof is what a verified assertion has shown.
type Proof struct {
	Kind string    // KindKey or KindFederation
	Name string    // of what stands behind it, for Trust.Stands
	ID   string    // jti; "" if it may be used again
	Ends time.Time // of an assertion that works once: until when its ID must be known as used
}

// Empty reports whether nobody is believed.
func (t Trust) Empty() bool { return len(t.Keys) == 0 && t.KeysURI == "" && t.Federation == nil }

// URIs are where keys are published that the trust needs.
func (t Trust) URIs() []string {
	var all []string
	if t.KeysURI != "" {
		all = append(all, t.KeysURI)
	}
	if t.Federation != nil && !slices.Contains(all, t.Federation.KeysURI) {
		all = append(all, t.Federation.KeysURI)
	}
	return all
}

// KindOf is the kind of a proof by its name.
func KindOf(name string) string {
	if strings.HasPrefix(name, federationName) {
		return KindFederation
	}
	return KindKey
}

// How the names of proofs begin.
const (
	keyName        = "key:"
	uriPrefix      = "uri:"
	federationName = "federation:"
)

// Stands reports whether what stood behind a proof is still believed: the key is
// still listed, or what was pinned is pinned in the same words.
func (t Trust) Stands(name string) bool {
	if thumbprint, isKey := strings.CutPrefix(name, keyName); isKey {
		return slices.ContainsFunc(t.Keys, func(k Key) bool { return k.Thumbprint == thumbprint })
	}
	return t.KeysURI != "" && name == uriName(t.KeysURI) || t.Federation != nil && name == t.Federation.name()
}

func uriName(uri string) string { return uriPrefix + short(uri) }

func (f *Federation) name() string {
	return federationName + short(strings.Join([]string{f.Issuer, f.Subject, f.KeysURI, f.TenantID, f.ObjectID, f.AuthorizedParty, f.Version}, "\x00"))
}

func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// refused is an assertion that proves nothing. The cause is for the log.
func refused(format string, args ...any) error {
	return fault.New(fault.Unauthenticated, "assertion.Verify", format, args...).Because("assertion")
}

// Package hot is the contract for what is short-lived and fast: authorization
// requests, codes and refresh families. Sessions are rows of the store, not here.
//
// An engine may lose everything: people then sign in again, silently where their
// browser session lives. It never decides that a credential is good; the epochs it
// carries are compared by credential.Accept against the store.
package hot

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// AuthRequest is a validated authorization request, immutable but for Upstream and
// Legs.
type AuthRequest struct {
	ID            string            // 128 random bits; travels in URLs
	Browser       credential.Digest // digest of the per-request cookie's secret
	Client        access.ClientID
	RedirectURI   string
	State         string
	Nonce         string
	CodeChallenge string // S256; "" only for a client that goes without PKCE
	DPoPKey       string // RFC 9449 section 10: the thumbprint of the key that must redeem the code; "" if none was named
	OAuthScopes   []string
	Resources     []string            // RFC 8707: whom the access token is for; nil: the client's own audience
	Claims        json.RawMessage     `json:",omitempty"` // the claims parameter (OpenID Connect Core section 5.5), checked; nil: none
	ACRValues     []string            // in order of preference; nil: not asked
	UILocales     []string            // in order of preference; nil: not asked
	Grant         access.AssignmentID // asked for by scope=grant:<id>, "" if none
	Details       bool                // Grant was asked for by authorization_details (RFC 9396): the token answer has them too
	Prompt        []string
	MaxAge        time.Duration // < 0: not asked
	LoginHint     string
	Connection    access.ConnectionID // from connection=<id>, "" until discovered
	From          string              // whom the engine accounts the request to: the network that it came from, as text
	Created       time.Time
	Expires       time.Time
	Upstream      Upstream
	Legs          int // upstream legs begun so far, at most MaxLegs; the engine counts
}

// Pushed is an authorization request that an application sent ahead (RFC 9126): good
// when it came, and read anew when a browser brings its name.
type Pushed struct {
	Client  access.ClientID
	From    string // whom the engine accounts it to, together with Client: the network that it came from, as text
	Params  string // application/x-www-form-urlencoded: what is read of it, without what the client authenticated by
	Created time.Time
	Expires time.Time
}

// MaxLegs is how many upstream legs one request may begin. Someone who picks the
// wrong account a few times stays well below it; without it one cookie could make
// the bridge record failed sign-ins for as long as the request lives.
const MaxLegs = 10

// Redemption is what redeeming a code needs of the request: the client, where it
// listens, its challenge and key, the scopes, resources, claims and nonce. What else the browser sent has
// done its work by then and would only take room.
func (r AuthRequest) Redemption() AuthRequest {
	return AuthRequest{Client: r.Client, RedirectURI: r.RedirectURI, CodeChallenge: r.CodeChallenge, DPoPKey: r.DPoPKey,
		OAuthScopes: r.OAuthScopes, Resources: r.Resources, Claims: r.Claims, Details: r.Details, Nonce: r.Nonce}
}

// Upstream is the leg to the identity provider. State is single use.
type Upstream struct {
	Connection   access.ConnectionID
	State        string
	Nonce        string
	CodeVerifier string
	Started      time.Time
	Login        bool // a new sign-in is asked for on this trip, whatever the request asks
	// Grant is what the trip is for: a grant that demands another sign-in than the person
	// has; "" if it is for none. ACRValues are then what the provider must confirm, one of
	// them, with spaces between; "": no kind of sign-in is demanded.
	Grant     access.AssignmentID
	ACRValues string
}

// CodeGrant is what an authorization code stands for.
type CodeGrant struct {
	Request AuthRequest // engines keep its Redemption only
	Session session.ID
	Active  access.AssignmentID // what the session stood on when the code was made
	Bound   credential.Bound    // the integers the code was made under; its Family is Family
	Expires time.Time           // 60 s after it was made
	Family  string              // the refresh family that redeeming it creates; known beforehand so that a replay can end it
}

// Showing is what a client that shows a code has proved.
type Showing struct {
	Client      access.ClientID // it authenticated as, or says that it is if it is public
	RedirectURI string
	Challenge   string // S256 of the code_verifier that it sent (RFC 7636 section 4.6); "" if it sent none
	DPoPKey     string // the thumbprint of the key that it proved; "" if none
}

// By reports whether the code is shown by whom it was made for: another's showing says
// nothing about its owner (RFC 6749 section 4.1.3). Where there was no challenge none may
// be answered: one that was cut out on its way does not go unnoticed (RFC 9700 section
// 4.8.2).
func (g CodeGrant) By(s Showing) bool {
	r := g.Request
	return s.Client == r.Client && s.RedirectURI == r.RedirectURI && subtle.ConstantTimeCompare([]byte(s.Challenge), []byte(r.CodeChallenge)) == 1 &&
		(r.DPoPKey == "" || s.DPoPKey == r.DPoPKey)
}

// Remembered is what a used code keeps: enough to know its owner, and to end what came of it.
func (g CodeGrant) Remembered() CodeGrant {
	r := g.Request
	g.Request = AuthRequest{Client: r.Client, RedirectURI: r.RedirectURI, CodeChallenge: r.CodeChallenge, DPoPKey: r.DPoPKey}
	return g
}

// CodeMemory is how long after its end a used code is recognised as replayed.
const CodeMemory = 10 * time.Minute

// MaxLiveCodes is how many unused codes a session may have at one application; the
// 17th ends the oldest. An application redeems a code within a second, so even a
// browser that opens a dozen tabs at once needs no more, and one person cannot fill
// the room that everybody shares.
const MaxLiveCodes = 16

// Family is a chain of refresh tokens, bound to (session, client, assignment).
type Family struct {
	ID          string
	Bound       credential.Bound // the integers it was made under
	Active      access.AssignmentID
	OAuthScopes []string        // originally granted
	Resources   []string        // RFC 8707, originally granted; nil: the client's own audience
	Claims      json.RawMessage `json:",omitempty"` // the claims parameter of the request; nil: none
	Details     bool            // the grant was asked for by authorization_details: token answers have them
	DPoPKey     string          // the thumbprint that its latest tokens are bound to (RFC 9449); "" if they are bearer tokens
	AuthTime    time.Time
	Nonce       string
	N           int64     // the live token's number, from 1
	Rotated     time.Time // when N was made
	Expires     time.Time // absolute end
	Salt        string
}

// Outcome is what an atomic verb found.
type Outcome uint8

// The zero outcome refuses.
const (
	Unknown  Outcome = iota // never was, expired, or lost: refuse
	OK                      //
	Retried                 // the same answer again, inside the grace
	Replayed                // used before: refuse and end the family
)

// Rotation asks to exchange token number N of a family for the next.
type Rotation struct {
	Family string
	Client access.ClientID // must be the family's; otherwise Unknown and nothing changes
	N      int64
	Now    time.Time
	Grace  time.Duration // a retry of N-1 within it is Retried; 0: none
	// DPoPKey is the thumbprint of the key that the request proved, "" if none: the
	// family's from now on. A retry by another key is Unknown, and so is a rotation of
	// a family that has a key without one: nothing changes by them.
	DPoPKey string
	// Verified says that the caller has checked the token's MAC against the family's
	// salt. A verified N above the live number proves that the engine lost its last
	// rotations (a power cut): the family moves forward to N+1. Unverified, such a
	// number is Unknown. Numbers at or below the live one do not need it.
	Verified bool
	// Fits holds the family against what else the request shows, before anything is decided
	// and where others wait: it computes, and asks nobody. Its error is Rotate's, and nothing
	// changes. nil: the number alone counts.
	Fits func(Family) error
}

// Allowed asks Fits, about a copy.
func (r Rotation) Allowed(f Family) error {
	if r.Fits == nil {
		return nil
	}
	return r.Fits(f.Own())
}

// Own is a copy that has nothing in common with f.
func (f Family) Own() Family {
	f.OAuthScopes, f.Resources, f.Claims = slices.Clone(f.OAuthScopes), slices.Clone(f.Resources), slices.Clone(f.Claims)
	return f
}

// Judge says what a rotation of a live family is, and changes nothing.
func (f Family) Judge(r Rotation) Outcome {
	if planted.Bug(planted.SecondLeaf) && r.N == f.N-1 {
		return OK
	}
	switch {
	case r.Client != f.Bound.Subject.Client || r.N < 1 || f.DPoPKey != "" && r.DPoPKey == "":
		return Unknown
	case r.N == f.N:
		return OK
	case r.N > f.N && r.Verified:
		return OK
	case r.N > f.N:
		return Unknown
	case r.N == f.N-1 && r.Now.Sub(f.Rotated).Abs() < r.Grace:
		// Abs: of two requests at once, the one that read the clock first may come last.
		if r.DPoPKey != f.DPoPKey {
			return Unknown
		}
		return Retried
	}
	return Replayed
}

// Rotate is the family after a rotation that is OK.
func (f Family) Rotate(r Rotation) Family {
	f.N, f.Rotated, f.DPoPKey = r.N+1, r.Now.Round(0).UTC(), r.DPoPKey
	return f
}

// Engine is what every hot store does. Each verb is atomic: of any number of
// concurrent ConsumeCode or Rotate calls with one token, exactly one gets OK.
type Engine interface {
	// PutAuthRequest gives fault.Conflict if the id is taken. A full engine does not
	// refuse: of the From that holds most, the oldest requests that never began an upstream
	// leg make room, then its oldest of all; where no From holds a noticeable part, the oldest
	// of everybody's in that order. A From that holds less than another loses nothing
	// to it. fault.Limited is for a request that would not fit an empty engine.
	PutAuthRequest(ctx context.Context, r AuthRequest) error
	// AuthRequest gives fault.NotFound after Expires.
	AuthRequest(ctx context.Context, id string, now time.Time) (AuthRequest, error)
	// BindUpstream replaces the upstream leg of a live request and raises Legs;
	// fault.Conflict if another request of the connection waits for the same state,
	// fault.Limited with ReasonLegs, changing nothing, if Legs is MaxLegs.
	BindUpstream(ctx context.Context, id string, u Upstream, now time.Time) error
	// TakeUpstream finds the request whose upstream leg has this state and clears
	// the leg: a state works once. It gives the request as it was before.
	TakeUpstream(ctx context.Context, c access.ConnectionID, state string, now time.Time) (AuthRequest, error)

	// PutPushed gives fault.Conflict if the name is taken. A full engine does not refuse:
	// the oldest of the (Client, From) that holds most make room, as of requests.
	PutPushed(ctx context.Context, name string, p Pushed) error
	// TakePushed gives a request to its client once, before Expires; fault.NotFound
	// otherwise. Another client's try changes nothing.
	TakePushed(ctx context.Context, name string, client access.ClientID, now time.Time) (Pushed, error)

	// PutCode gives fault.Conflict if there is such a code. Beyond MaxLiveCodes of a
	// session at a client, the oldest of them ends. A full engine does not refuse: the
	// memory of the oldest used codes makes room, then the oldest unused code.
	// fault.Limited is for a code that would not fit an empty engine.
	PutCode(ctx context.Context, code credential.Digest, g CodeGrant, now time.Time) error
	// ConsumeCode gives OK once, before Expires; later calls Replayed until CodeMemory
	// after Expires, unless a full engine had to forget it; then Unknown. A showing that is
	// not By the code's grant is Unknown and changes nothing: the code stays good for whom
	// it was made for. With Replayed comes of the grant what is needed to end what came
	// of it: Session, Active, Bound, Family and Request.Client. From then on PutFamily
	// refuses that family: the first redemption may still be under way.
	ConsumeCode(ctx context.Context, code credential.Digest, by Showing, now time.Time) (CodeGrant, Outcome, error)

	// PutFamily stores a new family durably; its Bound.Family is its ID. fault.Conflict if the id is taken;
	// fault.Stale if its code was replayed or it was ended before it was stored.
	PutFamily(ctx context.Context, f Family) error
	// Family gives fault.NotFound when it has ended or expired.
	Family(ctx context.Context, id string, now time.Time) (Family, error)
	// Rotate moves N to N+1 durably before it returns: an acknowledged rotation
	// survives kill -9. Retried gives the family as it is, so that the same successor
	// can be sealed again. Replayed ends the family and gives it as it was.
	Rotate(ctx context.Context, r Rotation) (Family, Outcome, error)
	// EndFamily ends a family; one that is not there is no error.
	EndFamily(ctx context.Context, id string) error
	// EndSession ends every family of the session; tidying, not safety.
	EndSession(ctx context.Context, id session.ID) error
	Close() error
}

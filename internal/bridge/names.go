package bridge

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Applications of a sector (OpenID Connect Core section 8.1) know people, sessions and
// assignments by names of their sector alone: two sectors share no name by which they
// could tell each other whom they mean. Whatever tells a client of one of the three goes
// through here on its way out, and back on its way in; rows know our own ids only.

// SubjectFor is the sub that a client knows a person by: its sector's name, or our id.
func (b *Bridge) SubjectFor(c oidc.Client, p access.PersonID) string { return b.nameFor(c, string(p)) }

// SessionFor is the sid that a client knows a session by.
func (b *Bridge) SessionFor(c oidc.Client, id session.ID) string { return b.nameFor(c, string(id)) }

// AssignmentFor is the active_grant.id that a client knows an assignment by.
func (b *Bridge) AssignmentFor(c oidc.Client, id access.AssignmentID) access.AssignmentID {
	return access.AssignmentID(b.nameFor(c, string(id)))
}

// Assignment is the assignment that a client means by an id; "" if it can mean none.
func (b *Bridge) Assignment(c oidc.Client, named access.AssignmentID) access.AssignmentID {
	return access.AssignmentID(b.idOf(c, string(named)))
}

func (b *Bridge) nameFor(c oidc.Client, id string) string {
	if c.Sector == "" {
		return id
	}
	return b.names.Name(c.Sector, id)
}

// idOf is nameFor's inverse; "" for what is no name of the client's sector.
func (b *Bridge) idOf(c oidc.Client, name string) string {
	if c.Sector == "" {
		return name
	}
	id, ok := b.names.Open(c.Sector, name)
	if !ok {
		return ""
	}
	return id
}

// ours gives a subject that a token names its ids back. fault.Unauthenticated if the
// names are not those of its client, which is so for what was made before the client's
// sector was another.
func (b *Bridge) ours(sub credential.Subject) (credential.Subject, error) {
	c := b.clients[sub.Client]
	if c.Sector == "" {
		return sub, nil
	}
	sub.Person, sub.Session = access.PersonID(b.idOf(c, string(sub.Person))), session.ID(b.idOf(c, string(sub.Session)))
	if sub.Person == "" || sub.Session == "" {
		return credential.Subject{}, fault.New(fault.Unauthenticated, "bridge.ours", "the token names nobody that its application could know").Because(credential.ReasonSubject)
	}
	return sub, nil
}

// verifiedAccess is a verified access token: bound to our own ids, beside what its
// client calls the person and the session.
type verifiedAccess struct {
	credential.AccessClaims
	sub, sid string
}

// verify checks an access token, and says nothing about now.
func (b *Bridge) verify(accessToken string, now time.Time) (verifiedAccess, error) {
	claims, err := b.issuer.Verify(accessToken, now)
	if err != nil {
		return verifiedAccess{}, err
	}
	v := verifiedAccess{claims, string(claims.Subject.Person), string(claims.Subject.Session)}
	v.Subject, err = b.ours(claims.Subject)
	return v, err
}

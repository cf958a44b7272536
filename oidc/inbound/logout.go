package inbound

import (
	"context"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
)

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutOldest is how old a logout token may be: its sender may have tried before.
	logoutOldest = 10 * time.Minute
)

// logout verifies a logout token (Back-Channel Logout 1.0 section 2.6). Its typ may be
// missing, as the specification only recommends it: that it is no ID token is shown by
// its events and by the nonce that it must not have.
func (f *Front) logout(ctx context.Context, s Source, raw string) (Logout, error) {
	typ, said, err := f.Signed.Signed(ctx, s.Connection, raw)
	if err != nil && isOurs(err) {
		return Logout{}, err
	}
	if err != nil { // in the words that a connection that is not there has, too
		return Logout{}, refused(err)
	}
	l := Logout{Message: Message{Signer: s.Issuer}, Connection: s.Connection, Issuer: s.Issuer}
	err = errors.Join(oneOf(typ, "", "jwt", "logout+jwt"), said.Equals("iss", s.Issuer), said.Audience(s.ClientID),
		said.Times(f.Now(), jwtclaims.Limits{Issued: true, Oldest: logoutOldest, NoEnd: true}), hasLogout(said), without(said, "nonce"))
	if err == nil {
		l.JTI, err = said.Identifier("jti")
	}
	if err == nil {
		l.Session, err = identifier(said, "sid")
	}
	if err == nil {
		l.Subject, err = identifier(said, "sub")
	}
	if err == nil && l.Session == "" && l.Subject == "" {
		err = errors.New("there is neither sid nor sub")
	}
	if err != nil {
		return Logout{}, refused(err)
	}
	l.Ends = f.Now().Add(logoutOldest + 2*jwtclaims.Skew)
	return l, nil
}

func hasLogout(said jwtclaims.Claims) error {
	events, err := said.Members("events")
	if err == nil {
		_, err = events.Members(logoutEvent)
	}
	return err
}

func without(said jwtclaims.Claims, name string) error {
	if said.Has(name) {
		return errors.New("there is a " + name)
	}
	return nil
}

// identifier reads a claim that may be missing, but is not empty where it is there.
func identifier(said jwtclaims.Claims, name string) (string, error) {
	if !said.Has(name) {
		return "", nil
	}
	return said.Identifier(name)
}

func oneOf(typ string, known ...string) error {
	for _, k := range known {
		if typ == k {
			return nil
		}
	}
	return errors.New("typ is of another kind of token")
}

// reasonInvalid is why a message does not count.
const reasonInvalid = "idp_message_invalid"

// refused is a message that proves nothing. The cause is for the log.
func refused(cause error) error {
	e := fault.New(fault.Unauthenticated, "inbound", "The token does not prove what it is for.").Because(reasonInvalid)
	e.Err = cause
	return e
}

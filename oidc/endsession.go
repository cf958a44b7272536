package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// endSession is RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0). An ID
// token of this very session signs it out at once; everything else is asked first,
// so that no page elsewhere can sign people out.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	x, err := p.readLogout(w, r)
	if err != nil {
		p.failLogout(w, r, err)
		return
	}
	switch {
	case x.browser.Session.State == session.Ended: // nothing to end
		p.leave(w, r, x, Leaving{})
	case x.ofThisBrowser() || x.confirmed:
		p.signOut(w, r, x)
	default:
		p.Interaction.ConfirmSignOut(w, r, x.confirmation(p.sessionCookie(r)))
	}
}

// logout is a parsed request to sign out.
type logout struct {
	form      form
	hint      Hint   // zero: none, or not a good one
	to        string // where to go afterwards, "" for our own page
	browser   Browser
	confirmed bool // the person pressed our button
}

// ofThisBrowser reports whether the hint is an ID token of the browser's own session.
func (x logout) ofThisBrowser() bool {
	return x.hint.Session != "" && x.hint.Session == x.browser.Session.ID
}

const confirmField = "confirm"

func (p *Provider) readLogout(w http.ResponseWriter, r *http.Request) (logout, error) {
	f, err := parameters(w, r)
	if err != nil {
		return logout{}, err
	}
	if err := f.once("id_token_hint", "client_id", "post_logout_redirect_uri", "state", confirmField); err != nil {
		return logout{}, err
	}
	if err := f.within(limit{"state", maxState}, limit{"id_token_hint", maxToken}); err != nil {
		return logout{}, err
	}
	x := logout{form: f}
	if x.hint, err = p.logoutHint(r.Context(), f); err != nil {
		return logout{}, err
	}
	if x.to, err = p.logoutRedirect(r.Context(), f, x.hint); err != nil {
		return logout{}, err
	}
	if x.browser, err = p.browser(w, r); err != nil {
		return logout{}, err
	}
	x.confirmed = r.Method == http.MethodPost && isConfirmation(f.get(confirmField), p.sessionCookie(r))
	return x, nil
}

// logoutHint reads the id_token_hint. One that is not ours is as good as none: the
// person is asked.
func (p *Provider) logoutHint(ctx context.Context, f form) (Hint, error) {
	token := f.get("id_token_hint")
	if token == "" {
		return Hint{}, nil
	}
	h, err := p.Tokens.IDTokenHint(ctx, token)
	if err != nil && cannotAnswer(err) {
		return Hint{}, err
	}
	if err != nil {
		return Hint{}, nil
	}
	if id := f.get("client_id"); id != "" && access.ClientID(id) != h.Client {
		return Hint{}, invalid("The id_token_hint was issued to another application than client_id.")
	}
	return h, nil
}

// logoutRedirect is where the application wants people to go afterwards. It must be
// registered, byte for byte, for the client that the hint was issued to: without a
// hint nobody vouches for the address, and our own page is shown.
func (p *Provider) logoutRedirect(ctx context.Context, f form, h Hint) (string, error) {
	uri := f.get("post_logout_redirect_uri")
	if uri == "" || h.Client == "" {
		return "", nil
	}
	c, err := p.Clients.Client(ctx, h.Client)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	if err != nil || !slices.Contains(c.PostLogoutRedirectURIs, uri) || CheckRedirectURI(uri) != nil {
		return "", invalid("The post_logout_redirect_uri is not one that is registered for this application. It must be the same, byte for byte.")
	}
	return withQuery(uri, "state", f.get("state")), nil
}

// signOut ends the session, takes the cookie away and goes where was asked.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request, x logout) {
	if err := p.Browsers.SignOut(r.Context(), x.browser.Session.ID, session.EndSignedOut); err != nil {
		p.failLogout(w, r, err)
		return
	}
	ended := x.browser.Session
	reached, err := p.Browsers.Reached(r.Context(), ended.ID)
	if err != nil { // it is signed out all the same, and the applications are told without the browser
		p.observe(r.Context(), err)
	}
	p.leave(w, r, x, Leaving{Connection: ended.Connection, Frames: FrontchannelLogouts(p.Issuer, reached)})
}

// leave takes the cookie away and hands over to the pages, which go where was asked.
func (p *Provider) leave(w http.ResponseWriter, r *http.Request, x logout, l Leaving) {
	if p.sessionCookie(r) != "" {
		http.SetCookie(w, Cookie(p.secure, p.CookieName, "", x.browser.Session.Expires))
	}
	l.Next = x.to
	p.Interaction.SignedOut(w, r, l)
}

// confirmation is the form behind the question. It carries the request, so that
// nothing needs to be stored, and a proof that only this browser's page can have.
// An address is in it only if it is registered.
func (x logout) confirmation(cookie string) SignOutForm {
	f := SignOutForm{Action: pathEndSession, Fields: []Field{{confirmField, confirmationOf(cookie)}}}
	if x.to == "" {
		return f
	}
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		if v := x.form.get(name); v != "" {
			f.Fields = append(f.Fields, Field{name, v})
		}
	}
	return f
}

// confirmationOf proves knowledge of the session cookie without containing it.
func confirmationOf(cookie string) string {
	d := credential.DigestOf("end_session " + cookie)
	return base64.RawURLEncoding.EncodeToString(d[:])
}

func isConfirmation(given, cookie string) bool {
	return cookie != "" && subtle.ConstantTimeCompare([]byte(given), []byte(confirmationOf(cookie))) == 1
}

func (p *Provider) failLogout(w http.ResponseWriter, r *http.Request, err error) {
	p.failPage(w, r, "Signing out did not work", err)
}

package oidc

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// presented is what a client says to authenticate (RFC 6749 section 2.3).
type presented struct {
	id        access.ClientID
	secret    secret.String
	assertion string
	endpoint  string // where it was sent: assertions may be made out to it
	basic     bool   // in the Authorization header
}

// present reads the client's authentication: client_secret_basic, client_secret_post,
// an assertion or none, and never two at once.
func present(r *http.Request, f form) (presented, error) {
	header := r.Header["Authorization"]
	if f.get("client_assertion") != "" || f.get("client_assertion_type") != "" {
		return presentAssertion(r, f, len(header) > 0)
	}
	if len(header) == 0 {
		return presented{id: access.ClientID(f.get("client_id")), secret: secret.New(f.get("client_secret"))}, nil
	}
	if f.get("client_secret") != "" || len(header) > 1 {
		return presented{}, invalid("Authenticate by one method: the Authorization header or client_secret, not both.")
	}
	id, pass, ok := basicAuth(header[0])
	if !ok {
		return presented{}, unauthenticated(true, "The Authorization header is not Basic with a form-encoded client id and secret (RFC 6749 section 2.3.1).")
	}
	if named := f.get("client_id"); named != "" && named != id {
		return presented{}, invalid("The client_id is not the one in the Authorization header.")
	}
	return presented{id: access.ClientID(id), secret: secret.New(pass), basic: true}, nil
}

// presentAssertion reads a JWT that stands for the client (RFC 7523 section 2.2). The
// form need not name the client that the JWT names (RFC 7521 section 4.2).
func presentAssertion(r *http.Request, f form, hasHeader bool) (presented, error) {
	if hasHeader || f.get("client_secret") != "" {
		return presented{}, invalid("Authenticate by one method: client_assertion or a secret, not both.")
	}
	if f.get("client_assertion_type") != assertion.Type || f.get("client_assertion") == "" {
		return presented{}, unauthenticated(false, "Send a JWT as client_assertion, with the client_assertion_type "+assertion.Type+".")
	}
	if err := f.within(limit{"client_assertion", assertion.MaxLength}); err != nil {
		return presented{}, err
	}
	id := f.get("client_id")
	if id == "" {
		_, id = assertion.Claimed(f.get("client_assertion"))
	}
	return presented{id: access.ClientID(id), assertion: f.get("client_assertion"), endpoint: r.URL.Path}, nil
}

// basicAuth reads HTTP Basic as OAuth uses it: the id and the secret are form-encoded
// before they are joined (RFC 6749 section 2.3.1).
func basicAuth(header string) (id, pass string, ok bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") || len(rest) > 4*(maxClientID+maxSecret) {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return "", "", false
	}
	encodedID, encodedPass, found := strings.Cut(string(text), ":")
	id, okID := unescape(encodedID)
	pass, okPass := unescape(encodedPass)
	return id, pass, found && okID && okPass && id != ""
}

// authenticate finds the client and holds what it says against how it is registered.
// An unknown client and a wrong secret get the same answer for the same work.
func (p *Provider) authenticate(r *http.Request, who presented) (Client, error) {
	ctx := r.Context()
	if who.id == "" || len(who.id) > maxClientID {
		return Client{}, unauthenticated(who.basic, noClient)
	}
	c, err := p.Clients.Client(ctx, who.id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Client{}, err
	}
	if err == nil {
		err = p.prove(ctx, c, who)
	}
	if err != nil && cannotAnswer(err) {
		return Client{}, err
	}
	if err != nil {
		if tooOften := p.failedClient(r, who.id); tooOften != nil {
			return Client{}, tooOften
		}
		refused := fault.New(fault.Unauthenticated, "oidc.authenticate", "client %q did not authenticate", who.id).Because(fault.ReasonOf(err))
		refused.Err = err // why, for the log
		p.observe(ctx, refused)
		return Client{}, unauthenticated(who.basic, noClient)
	}
	return c, nil
}

// prove wants the one method that the client is registered for: a secret, an assertion,
// or nothing at all.
func (p *Provider) prove(ctx context.Context, c Client, who presented) error {
	if who.assertion != "" && !c.Trust.Empty() {
		return p.Applications.Prove(ctx, c, who.assertion, p.Issuer+who.endpoint)
	}
	same := credential.DigestOf(who.secret.Reveal()).Equal(c.SecretDigest)
	public := c.Public() && who.secret.Empty() && !who.basic
	if who.assertion != "" || !same && !public {
		return fault.New(fault.Unauthenticated, "oidc.prove", "it proved nothing, or by another method than it is registered for")
	}
	return nil
}

// unauthenticated is invalid_client, with a challenge if the client used Basic
// (RFC 6749 section 5.2).
func unauthenticated(basic bool, description string) *Error {
	e := &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: description}
	if basic {
		e.challenge = `Basic realm="oauth2", charset="UTF-8"`
	}
	return e
}

// clientForm is how the introspection and revocation endpoints begin: the form, and
// the client that sent it.
func (p *Provider) clientForm(w http.ResponseWriter, r *http.Request, known ...string) (form, Client, error) {
	f, who, err := presentedForm(w, r, known...)
	if err != nil {
		return nil, Client{}, err
	}
	c, err := p.authenticate(r, who)
	return f, c, err
}

// presentedForm reads the form, and what its sender says to authenticate.
func presentedForm(w http.ResponseWriter, r *http.Request, known ...string) (form, presented, error) {
	f, err := readBody(w, r)
	if err != nil {
		return nil, presented{}, err
	}
	if err := f.once(append(known, "client_id", "client_secret", "client_assertion", "client_assertion_type")...); err != nil {
		return nil, presented{}, err
	}
	who, err := present(r, f)
	return f, who, err
}

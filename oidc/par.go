package oidc

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// PushedLife is how long a request that was sent ahead waits for the browser that
// brings its request_uri.
const PushedLife = 60 * time.Second

// requestURI begins every request_uri of ours (RFC 9126 section 2.2).
const requestURI = "urn:ietf:params:oauth:request_uri:"

// push is the pushed authorization request endpoint (RFC 9126): an application sends
// its request ahead, authenticated, and gets a name for it. The request is judged as
// the authorization endpoint would, and again when it comes back. Anybody can push as a public
// client, so that this is a step of a sign-in like others.
func (p *Provider) push(w http.ResponseWriter, r *http.Request) {
	f, c, err := p.clientForm(w, r, authorizeParams[:]...)
	if err == nil { // a client that fails is counted at another door
		err = p.countStep(r)
	}
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	p.Proofs.Announce(w)
	ahead, err := p.provingKey(r, f.ahead(c))
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	name, err := p.keep(r, ahead, c)
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	writeJSON(w, http.StatusCreated, struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int64  `json:"expires_in"` // seconds
	}{requestURI + name, int64(PushedLife / time.Second)})
}

// provingKey binds a request's code to the key that was proved when it was pushed, as if
// dpop_jkt had named it (RFC 9449 section 10.1). Where both are there, they are the same.
func (p *Provider) provingKey(r *http.Request, f form) (form, error) {
	proof, err := p.Proofs.prove(r, "")
	if err == nil {
		err = p.Proofs.use(r.Context(), proof, ahead)
	}
	key := proof.Key
	if err != nil || key == "" {
		return f, err
	}
	switch f.get("dpop_jkt") {
	case "":
		return append(f, param{"dpop_jkt", key}), nil
	case key:
		return f, nil
	}
	return nil, badProof("The DPoP proof is of another key than dpop_jkt names.")
}

// ahead is the request of a form that its client sent: what is read of it. What the client
// authenticated by, and what nobody reads, takes no room.
func (f form) ahead(c Client) form {
	own := slices.DeleteFunc(slices.Clone(f), func(q param) bool { return !isRead(q.name) || q.value == "" })
	if own.get("client_id") == "" {
		own = append(own, param{"client_id", string(c.ID)})
	}
	return own
}

// isRead reports whether the authorization endpoint reads a parameter, or refuses it.
func isRead(name string) bool {
	switch name {
	case "display", "claims_locales":
		return false
	case "resource": // which may repeat (RFC 8707)
		return true
	}
	return slices.Contains(authorizeParams[:], name)
}

// keep stores a good request for its client, and names it.
func (p *Provider) keep(r *http.Request, f form, c Client) (string, error) {
	ctx := r.Context()
	if named := f.get("client_id"); named != string(c.ID) { // an assertion may have said who sends it
		return "", invalid("The client_id is not that of the client that sends this request.")
	}
	_, uri, err := p.registered(ctx, f)
	if err != nil {
		return "", err
	}
	if _, err := p.request(f, c, uri); err != nil {
		return "", badRequest(err)
	}
	if _, err := p.readHint(ctx, f, c); err != nil {
		return "", err
	}
	name, now := credential.NewID("par"), p.Now()
	return name, p.Requests.PutPushed(ctx, name, hot.Pushed{Client: c.ID, From: networkOf(p.Doors, r), Params: f.encode(), Created: now, Expires: now.Add(PushedLife)})
}

// badRequest gives the errors of the authorization endpoint a status.
func badRequest(err error) error {
	if e, ours := err.(*Error); ours && e.Status == 0 { //nolint:errorlint // made here, never wrapped
		e.Status = http.StatusBadRequest
	}
	return err
}

// sentAhead is the request that a request_uri of ours names, once; the request itself
// if it names none. Whatever stands beside a request_uri counts for nothing (RFC 9126
// section 4).
func (p *Provider) sentAhead(ctx context.Context, f form) (_ form, pushed bool, err error) {
	name, ours := strings.CutPrefix(f.get("request_uri"), requestURI)
	if !ours {
		return f, false, nil
	}
	if err := f.once("client_id", "request_uri"); err != nil {
		return nil, true, err
	}
	if id := f.get("client_id"); id == "" || len(id) > maxClientID || len(name) > maxConnection {
		return nil, true, invalid("A request_uri needs the client_id of the application that it was given to.")
	}
	kept, err := p.Requests.TakePushed(ctx, name, access.ClientID(f.get("client_id")), p.Now())
	if fault.Is(err, fault.NotFound) {
		return nil, true, &Error{Status: http.StatusBadRequest, Code: "invalid_request_uri",
			Description: "This request_uri was used before, is older than a minute, or was given to another application. Go back to the application and start again."}
	}
	if err != nil {
		return nil, true, err
	}
	f, err = parseForm(kept.Params)
	return f, true, err
}

package oidc

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Revocations is an answer of the feed that APIs follow, so that an access token that
// they verify by themselves ends when it is ended here.
type Revocations struct {
	Cursor  string       `json:"cursor"`         // where to go on
	At      int64        `json:"at"`             // Unix seconds
	Reset   bool         `json:"reset,omitzero"` // forget all that was told; tokens issued at or before At count only if the bridge says so
	More    bool         `json:"more,omitzero"`  // ask again at once
	Changes []Revocation `json:"changes"`
}

// The values of Revocation.Claim.
const (
	RevokedHost       = "host"
	RevokedConnection = "connection"
	RevokedClient     = "client_id"
	RevokedPerson     = "sub"
	RevokedSession    = "sid"
	RevokedFamily     = "family" // always Ended: what one sign-in led to, of a session that lives on
)

// Revocation says which access tokens count no longer: of those whose claim has this
// id, those whose number in epochs is lower. The latest one about an id replaces others.
type Revocation struct {
	Claim string `json:"claim"`
	ID    string `json:"id,omitzero"` // empty for the host
	Epoch int64  `json:"epoch"`
	Ended bool   `json:"ended,omitzero"` // none counts
	Ask   int64  `json:"ask,omitzero"`   // Unix seconds: those issued at or before count only if the bridge says so
	Until int64  `json:"until,omitzero"` // Unix seconds: those issued before end then at the latest
}

// maxFeedWait is the longest that a request waits for a change: a server that stops
// waits for it.
const maxFeedWait = 8 * time.Second

// revocations answers at once when there is something to tell, or when the time that
// the request is ready to wait is over. It lets nobody in by an access token that ended
// meanwhile.
func (p *Provider) revocations(w http.ResponseWriter, r *http.Request) {
	since, wait, err := readFeed(r.URL.RawQuery)
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	p.Proofs.Announce(w)
	shown, err := p.Proofs.Present(r)
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for last := false; ; {
		changed := p.Feed.Revoked()
		found, err := p.told(r, shown, since)
		if err != nil {
			p.refuse(w, r, err, ServiceError)
			return
		}
		if last || found.Reset || found.More || len(found.Changes) > 0 {
			writeJSON(w, http.StatusOK, found)
			return
		}
		since = found.Cursor
		select {
		case <-r.Context().Done():
			return
		case <-over.C:
			last = true
		case <-changed:
		}
	}
}

func (p *Provider) told(r *http.Request, shown Presented, since string) (Revocations, error) {
	c, err := p.Feed.Follows(r.Context(), shown)
	if err != nil {
		return Revocations{}, err
	}
	return p.Feed.Revocations(r.Context(), c, since)
}

// readFeed reads since, a cursor, and wait, in seconds.
func readFeed(query string) (since string, wait time.Duration, err error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values["since"]) > 1 || len(values["wait"]) > 1 || len(values.Get("since")) > maxCursor {
		return "", 0, invalid("Send since, the cursor of the answer before, and wait, in seconds, each at most once.")
	}
	if values.Get("wait") == "" {
		return values.Get("since"), 0, nil
	}
	n, err := strconv.ParseUint(values.Get("wait"), 10, 16)
	if err != nil {
		return "", 0, invalid("wait is a number of seconds.")
	}
	return values.Get("since"), min(time.Duration(n)*time.Second, maxFeedWait), nil
}

// maxCursor is the longest cursor that is looked at, in bytes.
const maxCursor = 1024

// ServiceError is the answer to an application whose own access token does not count,
// or lacks the OAuth scope.
func ServiceError(err error) *Error {
	if e, ours := err.(*Error); ours { //nolint:errorlint // made here, never wrapped
		return e
	}
	if fault.ReasonOf(err) == "insufficient_scope" {
		return &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: fault.DetailOf(err),
			challenge: `Bearer realm="oauth2", error="insufficient_scope"`}
	}
	return bearerError(err)
}

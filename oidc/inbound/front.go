package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The kinds of message, and what came of them, as they are counted.
const (
	KindLogout     = "logout"
	KindRevocation = "revocation"
	KindSignal     = "signal"

	OutcomeEnded    = "ended"    // sessions ended
	OutcomeNothing  = "nothing"  // it counts, and there was nothing to end
	OutcomeUnknown  = "unknown"  // of a signal: nobody here is meant
	OutcomeIgnored  = "ignored"  // of a signal: nothing is done about such an event
	OutcomeRepeated = "repeated" // of a signal: it came before
	OutcomeRefused  = "refused"  // it does not count
	OutcomeFailed   = "failed"   // it could not be judged or done now
)

const maxBody = 64 << 10 // bytes of a request

// Config is what a Front uses. All fields but Counted and Observe are needed.
type Config struct {
	Base   string       // origin, without a trailing slash
	Client *http.Client // the one egress client
	Signed Signed
	Ends   Ends
	Now    func() time.Time
	// Counted is told what came of each message of a known connection.
	Counted func(c access.ConnectionID, kind, outcome string)
	// Observe hears of every error once, where it is rendered.
	Observe func(ctx context.Context, err error)
}

// Front serves the endpoints. Make it with New.
type Front struct {
	Config
	sources atomic.Pointer[map[access.ConnectionID]known]
}

// known is a source with the keys of those who speak for it.
type known struct {
	Source
	revokers *assertion.KeySet
}

// New makes a Front that hears these sources.
func New(c Config, sources []Source) *Front {
	f := &Front{Config: c}
	f.sources.Store(&map[access.ConnectionID]known{})
	f.Prepare(sources)()
	return f
}

// Prepare gets other sources ready; put puts them in the place of those that were. Keys
// that are known stay known. One Prepare at a time.
func (f *Front) Prepare(sources []Source) (put func()) {
	all := make(map[access.ConnectionID]known, len(sources))
	was := *f.sources.Load()
	for _, s := range sources {
		k := known{Source: s}
		if old := was[s.Connection]; s.Revocation != nil {
			k.revokers = old.revokers
			if old.Revocation == nil || old.Revocation.KeysURI != s.Revocation.KeysURI {
				k.revokers = assertion.NewKeySet(s.Revocation.KeysURI, f.Client)
			}
		}
		all[s.Connection] = k
	}
	return func() { f.sources.Store(&all) }
}

// Routes puts the endpoints on mux.
func (f *Front) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /connect/{connection}/backchannel-logout", f.serveLogout)
	mux.HandleFunc("POST /connect/{connection}/global-token-revocation", f.serveRevocation)
}

func (f *Front) source(r *http.Request) (known, error) {
	k, ok := (*f.sources.Load())[access.ConnectionID(r.PathValue("connection"))]
	if !ok {
		return known{}, refused(errors.New("there is no such connection, or it has no sign_in"))
	}
	return k, nil
}

// serveLogout answers a logout token: 200, 400, or 503 while it cannot be judged
// (Back-Channel Logout 1.0 section 2.8). What a stranger sends gets one answer, whether
// there is such a connection or not.
func (f *Front) serveLogout(w http.ResponseWriter, r *http.Request) {
	token, err := logoutToken(w, r)
	if err == nil {
		err = f.hearLogout(r, token)
	}
	if err == nil {
		f.answer(w, http.StatusOK, nil)
		return
	}
	status := http.StatusBadRequest
	if isOurs(err) {
		status = http.StatusServiceUnavailable
	}
	f.refuse(w, r, status, "invalid_request", err)
}

func logoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if !isType(r, "application/x-www-form-urlencoded") {
		return "", malformed("Send logout_token as application/x-www-form-urlencoded.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil || len(r.PostForm["logout_token"]) != 1 {
		return "", malformed("Send one logout_token.")
	}
	return r.PostForm.Get("logout_token"), nil
}

func (f *Front) hearLogout(r *http.Request, token string) error {
	s, err := f.source(r)
	if err != nil {
		return err
	}
	ended := 0
	l, err := f.logout(r.Context(), s.Source, token)
	if err == nil {
		ended, err = f.Ends.HearLogout(r.Context(), l)
	}
	f.count(s, KindLogout, ended, err)
	return err
}

// serveRevocation answers a request for revocation when all of it is done
// (draft-parecki-oauth-global-token-revocation).
func (f *Front) serveRevocation(w http.ResponseWriter, r *http.Request) {
	s, err := f.source(r)
	ended := 0
	if err == nil {
		ended, err = f.hearRevocation(w, r, s)
		f.count(s, KindRevocation, ended, err)
	}
	status, code := http.StatusInternalServerError, "server_error"
	switch {
	case err == nil:
		f.answer(w, http.StatusNoContent, nil)
		return
	case isOurs(err):
		status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
	case fault.Is(err, fault.Invalid):
		status, code = http.StatusBadRequest, "invalid_request"
	case fault.Is(err, fault.Denied):
		status, code = http.StatusForbidden, "access_denied"
	case fault.Is(err, fault.NotFound):
		status, code = http.StatusNotFound, "user_not_found"
	case fault.Is(err, fault.Conflict):
		status, code = http.StatusUnprocessableEntity, "ambiguous_user"
	default:
		status, code = http.StatusUnauthorized, "invalid_token"
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	f.refuse(w, r, status, code, err)
}

func (f *Front) hearRevocation(w http.ResponseWriter, r *http.Request, s known) (int, error) {
	if s.Revocation == nil {
		return 0, refused(errors.New("the connection has no sign_in.revocation"))
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(r.Header.Values("Authorization")) != 1 {
		return 0, refused(errors.New("there is no bearer token"))
	}
	m, err := f.caller(r.Context(), s.Source, s.revokers, token, f.Base+"/connect/"+string(s.Connection)+"/global-token-revocation")
	if err != nil {
		return 0, err
	}
	if !isType(r, "application/json") {
		return 0, malformed("Send the sub_id as application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return 0, malformed("The request is longer than 64 KiB, or ended before its body did.")
	}
	subject, err := ParseRevocation(body)
	if err != nil {
		return 0, err
	}
	if subject.Issuer != "" && subject.Issuer != s.Issuer && subject.Issuer != s.Revocation.Issuer {
		return 0, fault.New(fault.Denied, "inbound", "The sub_id is of another issuer than this connection's.")
	}
	return f.Ends.HearRevocation(r.Context(), Revocation{Message: m, Connection: s.Connection, Issuer: s.Issuer, Subject: subject})
}

// isOurs reports whether an error says nothing about the message.
func isOurs(err error) bool {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Limited:
		return true
	}
	return false
}

func isType(r *http.Request, want string) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == want
}

func (f *Front) count(s known, kind string, ended int, err error) {
	outcome := OutcomeNothing
	switch {
	case isOurs(err) && err != nil:
		outcome = OutcomeFailed
	case err != nil:
		outcome = OutcomeRefused
	case ended > 0:
		outcome = OutcomeEnded
	}
	if f.Counted != nil {
		f.Counted(s.Connection, kind, outcome)
	}
}

// refuse says no more to the sender than that, unless they can mend it.
func (f *Front) refuse(w http.ResponseWriter, r *http.Request, status int, code string, err error) {
	if f.Observe != nil {
		f.Observe(r.Context(), err)
	}
	said := map[string]string{"error": code}
	if detail := fault.DetailOf(err); status != http.StatusServiceUnavailable && detail != "" {
		said["error_description"] = detail
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "60") // seconds
	}
	f.answer(w, status, said)
}

func (f *Front) answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if body == nil {
		w.WriteHeader(status)
		return
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil { // strings always encode
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := b.WriteTo(w); err != nil && f.Observe != nil {
		f.Observe(context.Background(), fault.Wrap(fault.Unavailable, "inbound.answer", err))
	}
}

package ssf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Config is what a Front uses. All fields but Proofs and Observe are needed.
type Config struct {
	Issuer    string // origin, without a trailing slash
	JWKS      string // address of the public keys
	Receivers Receivers
	Streams   Streams
	Subjects  Subjects
	Tokens    Tokens
	Proofs    *oidc.Proofs // nil: no DPoP
	// Observe hears of every error once, where it is rendered. It may be nil.
	Observe func(ctx context.Context, err error)
}

// Front serves the transmitter's endpoints. Make it with New.
type Front struct {
	Config
	metadata []byte
	closing  chan struct{}
	close    sync.Once
}

// The paths of the endpoints, below the issuer.
const (
	PathMetadata = "/.well-known/ssf-configuration"
	pathStreams  = "/ssf/streams"
	pathStatus   = "/ssf/status"
	pathAdd      = "/ssf/subjects:add"
	pathRemove   = "/ssf/subjects:remove"
	pathVerify   = "/ssf/verify"
	pathPoll     = "/ssf/poll/"
)

// New makes a Front.
func New(c Config) *Front {
	return &Front{Config: c, metadata: metadata(c), closing: make(chan struct{})}
}

// Close ends the polls that wait, so that a server can stop.
func (f *Front) Close() { f.close.Do(func() { close(f.closing) }) }

// Routes puts the endpoints on mux. The patterns name no method: a wrong one is
// answered here.
func (f *Front) Routes(mux *http.ServeMux) {
	manage, read := []string{oidc.ScopeSignalsManage}, []string{oidc.ScopeSignalsRead, oidc.ScopeSignalsManage}
	mux.Handle(PathMetadata, f.verbs(map[string]http.HandlerFunc{http.MethodGet: f.configuration, http.MethodHead: f.configuration}))
	mux.Handle(pathStreams, f.verbs(map[string]http.HandlerFunc{
		http.MethodGet:    f.by(read, f.read),
		http.MethodPost:   f.by(manage, f.create),
		http.MethodPatch:  f.by(manage, f.change(false)),
		http.MethodPut:    f.by(manage, f.change(true)),
		http.MethodDelete: f.by(manage, f.remove),
	}))
	mux.Handle(pathStatus, f.verbs(map[string]http.HandlerFunc{http.MethodGet: f.by(read, f.status), http.MethodPost: f.by(manage, f.setStatus)}))
	mux.Handle(pathAdd, f.verbs(map[string]http.HandlerFunc{http.MethodPost: f.by(manage, f.subject(f.addSubject))}))
	mux.Handle(pathRemove, f.verbs(map[string]http.HandlerFunc{http.MethodPost: f.by(manage, f.subject(f.removeSubject))}))
	mux.Handle(pathVerify, f.verbs(map[string]http.HandlerFunc{http.MethodPost: f.by(read, f.verify)}))
	mux.Handle(pathPoll+"{stream}", f.verbs(map[string]http.HandlerFunc{http.MethodPost: f.by(read, f.poll)}))
}

// handler answers a receiver that is known.
type handler func(w http.ResponseWriter, r *http.Request, client oidc.Client) error

// by lets in whoever brings an access token with one of the OAuth scopes.
func (f *Front) by(scopes []string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.Proofs.Announce(w)
		client, err := f.receiver(r, scopes)
		if err == nil {
			err = next(w, r, client)
		}
		if err != nil {
			f.refuse(w, r, err, scopes[0])
		}
	}
}

// receiver is who asks. Any of the scopes will do.
func (f *Front) receiver(r *http.Request, scopes []string) (c oidc.Client, err error) {
	shown, err := f.shown(r)
	if err != nil {
		return oidc.Client{}, err
	}
	for _, scope := range scopes {
		c, err = f.Receivers.AcceptServiceShown(r.Context(), shown, scope)
		if !fault.Is(err, fault.Denied) {
			break
		}
	}
	return c, err
}

// shown is the access token of a request: as a bearer token, or by DPoP (RFC 9449 section
// 7.1) with the proof of a key. The error of a proof is an *oidc.Error.
func (f *Front) shown(r *http.Request) (oidc.Presented, error) {
	header := r.Header["Authorization"]
	if len(header) == 1 {
		if scheme, _, _ := strings.Cut(header[0], " "); strings.EqualFold(scheme, "DPoP") {
			return f.Proofs.Present(r)
		}
	}
	token, err := bearer(r)
	return oidc.Presented{Token: token}, err
}

// reasonNoToken tells a request that tried nothing from one that tried wrongly
// (RFC 6750 section 3.1).
const reasonNoToken = "no_token"

func bearer(r *http.Request) (string, error) {
	const op = "ssf.bearer"
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return "", fault.New(fault.Unauthenticated, op, "Send an access token: Authorization: Bearer <token>.").Because(reasonNoToken)
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if token = strings.TrimSpace(token); len(header) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken {
		return "", fault.New(fault.Unauthenticated, op, "Send one access token: Authorization: Bearer <token>.")
	}
	return token, nil
}

// maxToken is the longest access token that is looked at, in bytes.
const maxToken = 8 << 10

func (f *Front) configuration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Access-Control-Allow-Origin", "*") // public, and never with credentials
	writeBody(w, http.StatusOK, f.metadata)
}

func (f *Front) create(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	raw, err := body(w, r, maxBody)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}") // every member may be left out
	}
	_, wish, said, err := ParseWish(raw)
	if err != nil {
		return err
	}
	wish = wish.Whole()
	if err := wish.On(Stream{Client: client.ID, Wide: client.SignalsWide}).Configuration(f.Issuer).Agrees(said); err != nil {
		return err
	}
	s, err := f.Streams.CreateStream(r.Context(), client, wish)
	if err != nil {
		return err
	}
	return write(w, http.StatusCreated, s.Configuration(f.Issuer))
}

func (f *Front) read(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	id, err := queriedStream(r)
	if err != nil {
		return err
	}
	s, err := f.Streams.Stream(r.Context(), client, id)
	switch {
	case id != "" && err == nil:
		return write(w, http.StatusOK, s.Configuration(f.Issuer))
	case id == "" && err == nil:
		return write(w, http.StatusOK, []Configuration{s.Configuration(f.Issuer)})
	case id == "" && fault.Is(err, fault.NotFound):
		return write(w, http.StatusOK, []Configuration{})
	}
	return err
}

func (f *Front) change(whole bool) handler {
	return func(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
		raw, err := body(w, r, maxBody)
		if err != nil {
			return err
		}
		id, wish, said, err := ParseWish(raw)
		if err == nil && id == "" {
			err = invalid("Say in stream_id which stream is meant.")
		}
		if err != nil {
			return err
		}
		if whole {
			wish = wish.Whole()
		}
		s, err := f.Streams.ChangeStream(r.Context(), client, id, wish, func(s Stream) error { return s.Configuration(f.Issuer).Agrees(said) })
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, s.Configuration(f.Issuer))
	}
}

func (f *Front) remove(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	id, err := queriedStream(r)
	if err == nil && id == "" {
		err = invalid("Say in the parameter stream_id which stream is meant.")
	}
	if err == nil {
		err = f.Streams.DeleteStream(r.Context(), client, id)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// shownStatus is a stream's status on the wire (SSF 1.0 section 8.1.2.1).
type shownStatus struct {
	Stream string `json:"stream_id"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitzero"`
}

func (f *Front) status(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	id, err := queriedStream(r)
	if err == nil && id == "" {
		err = invalid("Say in the parameter stream_id which stream is meant.")
	}
	if err != nil {
		return err
	}
	s, err := f.Streams.Stream(r.Context(), client, id)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, shownStatus{s.ID, s.Status, s.Reason})
}

func (f *Front) setStatus(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	raw, err := body(w, r, maxBody)
	if err != nil {
		return err
	}
	wish, err := ParseStatus(raw)
	if err != nil {
		return err
	}
	s, err := f.Streams.SetStreamStatus(r.Context(), client, wish)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, shownStatus{s.ID, s.Status, s.Reason})
}

func (f *Front) subject(next func(ctx context.Context, client oidc.Client, stream string, s Subject) (status int, err error)) handler {
	return func(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
		raw, err := body(w, r, maxBody)
		if err != nil {
			return err
		}
		stream, s, err := ParseSubjectRequest(raw)
		if err != nil {
			return err
		}
		status, err := next(r.Context(), client, stream, s)
		if err == nil {
			w.WriteHeader(status)
		}
		return err
	}
}

func (f *Front) addSubject(ctx context.Context, client oidc.Client, stream string, s Subject) (int, error) {
	return http.StatusOK, f.Subjects.AddSubject(ctx, client, stream, s)
}

func (f *Front) removeSubject(ctx context.Context, client oidc.Client, stream string, s Subject) (int, error) {
	return http.StatusNoContent, f.Subjects.RemoveSubject(ctx, client, stream, s)
}

func (f *Front) verify(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	raw, err := body(w, r, maxBody)
	if err != nil {
		return err
	}
	stream, state, err := ParseVerify(raw)
	if err != nil {
		return err
	}
	if err := f.Tokens.VerifyStream(r.Context(), client, stream, state); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (f *Front) poll(w http.ResponseWriter, r *http.Request, client oidc.Client) error {
	raw, err := body(w, r, maxPoll)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	p, err := ParsePoll(raw)
	if err != nil {
		return err
	}
	ctx, cancel := f.untilClosed(r.Context())
	defer cancel()
	answer, err := f.Tokens.PollStream(ctx, client, r.PathValue("stream"), p)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, answer)
}

// untilClosed is ctx, ended by Close as well.
func (f *Front) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-f.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// queriedStream is the stream that the address names; "" if it names none.
func queriedStream(r *http.Request) (string, error) {
	ids := r.URL.Query()["stream_id"]
	if len(ids) == 0 {
		return "", nil
	}
	if len(ids) > 1 || ids[0] == "" {
		return "", invalid("Say once in the parameter stream_id which stream is meant.")
	}
	if len(ids[0]) > maxStreamID {
		return "", fault.New(fault.NotFound, "ssf.queriedStream", "%s", noStream)
	}
	return ids[0], nil
}

const noStream = "There is no such stream of this receiver."

// body reads a request's body, at most limit bytes of it.
func body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return nil, invalid("The request is too long.")
	}
	if err != nil {
		return nil, invalid("The request ended before its body did.")
	}
	return b.Bytes(), nil
}

// verbs answers by the request's method, and sets the headers that every answer has.
func (f *Front) verbs(of map[string]http.HandlerFunc) http.Handler {
	allow := allowed(of)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		serve, ok := of[r.Method]
		if !ok {
			h.Set("Allow", allow)
			writeError(w, http.StatusMethodNotAllowed, "invalid_request", "This endpoint takes "+allow+".")
			return
		}
		serve(w, r)
	})
}

func write(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Internal, "ssf.write", err)
	}
	writeBody(w, status, b)
	return nil
}

func writeBody(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a failed write means that the reader has gone
}

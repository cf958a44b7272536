package inbound

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/rsakey"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// streamRows keeps streams as the store does: each is a copy.
type streamRows struct {
	mu   sync.Mutex // guards rows
	rows map[access.ConnectionID]Stream
}

func (r *streamRows) IdPStream(_ context.Context, c access.ConnectionID) (Stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.rows[c]
	if !ok {
		return s, fault.New(fault.NotFound, "t", "none")
	}
	return s, nil
}

func (r *streamRows) IdPStreams(context.Context) (all []Stream, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.rows {
		all = append(all, s)
	}
	return all, nil
}

func (r *streamRows) KeepIdPStream(_ context.Context, s Stream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[s.Connection] = s
	return nil
}

func (r *streamRows) ChangeIdPStream(_ context.Context, c access.ConnectionID, change func(*Stream)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.rows[c]; ok {
		change(&s)
		r.rows[c] = s
	}
	return nil
}

func (r *streamRows) DropIdPStream(_ context.Context, c access.ConnectionID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rows, c)
	return nil
}

// sender is a transmitter that was made by hand: it has at most one stream, and notes
// what it is asked.
type sender struct {
	t      *testing.T
	server *httptest.Server
	key    jose.SigningKey
	public jose.JSONWebKeySet

	mu      sync.Mutex // guards what follows
	meta    map[string]any
	stream  map[string]any // nil: there is none
	status  ssf.Status
	asked   []string
	waiting map[string]string
	acked   []string
	errs    map[string]setError
	states  []string
	tokens  int
	down    bool
	gone    bool   // the metadata alone
	firm    bool   // the stream's status is not the receiver's to change
	eager   func() // called while a stream is made
	max     int    // SETs of one answer
}

func newSender(t *testing.T) *sender {
	t.Helper()
	key, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	one := jose.JSONWebKey{Key: key, KeyID: "one", Use: "sig"}
	s := &sender{t: t, key: jose.SigningKey{Algorithm: jose.RS256, Key: one}, public: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{one.Public()}},
		status: ssf.Enabled, waiting: map[string]string{}, errs: map[string]setError{}, max: 100}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(body map[string]any, r *http.Request) (int, any){
		"GET /.well-known/ssf-configuration/t": func(map[string]any, *http.Request) (int, any) {
			if s.gone {
				return 503, nil
			}
			return 200, s.meta
		},
		"GET /keys":    func(map[string]any, *http.Request) (int, any) { return 200, s.public },
		"/streams":     s.streams,
		"/status":      s.statuses,
		"POST /verify": s.verify,
		"POST /poll":   s.polled,
		"POST /token":  s.token,
	} {
		mux.HandleFunc(pattern, s.answer(serve))
	}
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	s.meta = map[string]any{"issuer": s.issuer(), "jwks_uri": s.server.URL + "/keys", "delivery_methods_supported": []string{ssf.Push, ssf.Poll},
		"configuration_endpoint": s.server.URL + "/streams", "status_endpoint": s.server.URL + "/status", "verification_endpoint": s.server.URL + "/verify"}
	return s
}

func (s *sender) issuer() string { return s.server.URL + "/t" }

func (s *sender) answer(serve func(map[string]any, *http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Error(err)
		}
		var body map[string]any
		if r.Header.Get("Content-Type") == "application/json" {
			if err := json.Unmarshal(raw, &body); err != nil {
				s.t.Error(err)
			}
		} else {
			r.Body = io.NopCloser(strings.NewReader(string(raw)))
		}
		status, out := http.StatusServiceUnavailable, any(nil)
		open := strings.HasPrefix(r.URL.Path, "/.well-known") || r.URL.Path == "/keys" || r.URL.Path == "/token"
		switch {
		case s.down:
		case !open && r.Header.Get("Authorization") != "Bearer key4711":
			status = http.StatusUnauthorized
		default:
			if !open {
				s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
			}
			status, out = serve(body, r)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if out != nil {
			if err := json.NewEncoder(w).Encode(out); err != nil {
				s.t.Error(err)
			}
		}
	}
}

func (s *sender) streams(body map[string]any, r *http.Request) (int, any) {
	if r.Method == http.MethodGet && !r.URL.Query().Has("stream_id") {
		if s.stream == nil {
			return 200, []any{}
		}
		return 200, []any{s.stream}
	}
	if r.Method == http.MethodPost {
		if s.stream != nil {
			return 409, nil
		}
		s.stream = map[string]any{"stream_id": "str-1", "iss": s.issuer(), "aud": "bridge-there", "events_supported": []string{string(ssf.SessionRevoked), string(ssf.AccountPurged)}}
		s.wished(body)
		if s.eager != nil {
			s.mu.Unlock()
			s.eager()
			s.mu.Lock()
		}
		return 201, s.stream
	}
	id, _ := body["stream_id"].(string)
	if s.stream == nil || s.stream["stream_id"] != max(id, r.URL.Query().Get("stream_id")) {
		return 404, nil
	}
	switch r.Method {
	case http.MethodPatch, http.MethodPut:
		s.wished(body)
	case http.MethodDelete:
		s.stream = nil
		return 204, nil
	}
	return 200, s.stream
}

func (s *sender) wished(body map[string]any) {
	for name, v := range body {
		s.stream[name] = v
	}
	if d := s.stream["delivery"].(map[string]any); d["method"] == ssf.Poll {
		d["endpoint_url"] = s.server.URL + "/poll"
	}
}

func (s *sender) statuses(body map[string]any, r *http.Request) (int, any) {
	if s.stream == nil {
		return 404, nil
	}
	if r.Method == http.MethodPost {
		if s.firm {
			return 403, nil
		}
		s.status = ssf.Status(body["status"].(string))
	}
	return 200, map[string]any{"stream_id": "str-1", "status": s.status}
}

func (s *sender) verify(body map[string]any, _ *http.Request) (int, any) {
	s.states = append(s.states, body["state"].(string))
	return 204, nil
}

func (s *sender) polled(body map[string]any, _ *http.Request) (int, any) {
	for _, jti := range asList(body["ack"]) {
		s.acked = append(s.acked, jti.(string))
		delete(s.waiting, jti.(string))
	}
	errs, _ := body["setErrs"].(map[string]any)
	for jti, e := range errs {
		s.errs[jti] = setError{Code: e.(map[string]any)["err"].(string), Description: e.(map[string]any)["description"].(string)}
		delete(s.waiting, jti)
	}
	sets, most := map[string]string{}, min(s.max, int(body["maxEvents"].(float64)))
	for jti, raw := range s.waiting {
		if len(sets) < most {
			sets[jti] = raw
		}
	}
	return 200, map[string]any{"sets": sets, "moreAvailable": len(s.waiting) > len(sets)}
}

func asList(v any) []any { l, _ := v.([]any); return l }

func (s *sender) token(_ map[string]any, r *http.Request) (int, any) {
	s.tokens++
	id, word, _ := r.BasicAuth()
	if id != "bridge-client" || word != "word4711" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "ssf.manage ssf.read" {
		return 401, map[string]string{"error": "invalid_client"}
	}
	return 200, map[string]any{"access_token": "key4711", "token_type": "Bearer", "expires_in": 300}
}

// since gives what was asked since the last time, without query and polls.
func (s *sender) since() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if a, _, _ = strings.Cut(a, "?"); a != "POST /poll" {
			all = append(all, a)
		}
	}
	s.asked = nil
	return all
}

// listening is a world with a receiver of one sender's signals.
type listening struct {
	*world
	sender  *sender
	rows    *streamRows
	r       *Receiver
	clock   time.Time
	signals []Signal
	heard   Heard
	errors  []error
}

func (s *sender) config(push bool) Listening {
	return Listening{Connection: "okta", SignIn: "https://login.example", Issuer: s.issuer(), Push: push, Every: 10 * time.Second,
		Events: []ssf.Type{ssf.SessionRevoked, SessionsRevoked, ssf.AccountDisabled, ssf.AccountPurged},
		Access: Access{Metadata: MetadataAddress(s.issuer()), Token: secret.New("key4711")}}
}

func newListening(t *testing.T, s *sender, l Listening) *listening {
	t.Helper()
	w := &listening{world: &world{t: t, mux: http.NewServeMux()}, sender: s, rows: &streamRows{rows: map[access.ConnectionID]Stream{}}, clock: noon,
		heard: Heard{Outcome: OutcomeEnded, Ended: 1}}
	w.restart(l)
	return w
}

// restart begins a new process that listens as is configured now.
func (w *listening) restart(all ...Listening) {
	var mu sync.Mutex
	w.mux = http.NewServeMux()
	w.r = NewReceiver(ReceiverConfig{Base: base, Client: w.sender.server.Client(), Ends: w, Streams: w.rows, Now: func() time.Time { return w.clock },
		Counted: func(c access.ConnectionID, kind, outcome string) {
			mu.Lock()
			defer mu.Unlock()
			w.counted = append(w.counted, string(c)+" "+kind+" "+outcome)
		},
		Observe: func(_ context.Context, err error) {
			mu.Lock()
			defer mu.Unlock()
			w.errors = append(w.errors, err)
		}}, all)
	w.r.Routes(w.mux)
}

func (w *listening) HearSignal(_ context.Context, s Signal) (Heard, error) {
	w.signals = append(w.signals, s)
	return w.heard, w.says
}

// turn has a turn after a while.
func (w *listening) turn(after time.Duration) {
	w.clock = w.clock.Add(after)
	w.r.Round(w.t.Context())
}

func (w *listening) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *listening) quiet() {
	w.t.Helper()
	if len(w.errors) > 0 {
		w.t.Errorf("%v", w.errors)
	}
	w.errors = nil
}

func (w *listening) stream() Stream {
	w.t.Helper()
	s, err := w.rows.IdPStream(w.t.Context(), "okta")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *listening) claims(event ssf.Type, subject map[string]any) map[string]any {
	return map[string]any{"iss": w.sender.issuer(), "aud": "bridge-there", "jti": "set-1", "iat": w.clock.Unix(), "sub_id": subject,
		"events": map[string]any{string(event): map[string]any{"event_timestamp": w.clock.Unix()}}}
}

func (w *listening) signed(claims map[string]any) string {
	return w.sign(w.sender.key, setType, claims)
}

// send delivers a token by push or poll, and gives "" or the code that refused it.
func (w *listening) send(raw, jti string) (status int, code string) {
	w.t.Helper()
	w.sender.mu.Lock()
	delivery := w.sender.stream["delivery"].(map[string]any)
	w.sender.mu.Unlock()
	if delivery["method"] == ssf.Push {
		return w.push(delivery["authorization_header"].(string), raw)
	}
	w.sender.mu.Lock()
	w.sender.waiting[jti] = raw
	w.sender.mu.Unlock()
	w.turn(time.Minute)
	w.sender.mu.Lock()
	defer w.sender.mu.Unlock()
	refused, ok := w.sender.errs[jti]
	delete(w.sender.errs, jti)
	switch _, waits := w.sender.waiting[jti]; {
	case ok:
		return 400, refused.Code
	case waits:
		delete(w.sender.waiting, jti)
		return 503, ""
	}
	return 202, ""
}

func (w *listening) push(authorization, raw string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/connect/okta/events", strings.NewReader(raw))
	r.Header.Set("Content-Type", "application/secevent+jwt")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	var said setError
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil {
			w.t.Error(err)
		}
	}
	if rec.Code == http.StatusServiceUnavailable {
		said.Code = ""
	}
	return rec.Code, said.Code
}

func both(t *testing.T, of func(t *testing.T, push bool)) {
	t.Helper()
	for _, push := range []bool{false, true} {
		t.Run(map[bool]string{false: "poll", true: "push"}[push], func(t *testing.T) { of(t, push) })
	}
}

func streamSubject() map[string]any { return map[string]any{"format": "opaque", "id": "str-1"} }

func kim(s *sender) map[string]any {
	return map[string]any{"format": "iss_sub", "iss": s.issuer(), "sub": "00u1"}
}

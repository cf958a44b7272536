package inbound

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// servePush answers a token that a transmitter pushes (RFC 8935): 202 when what it asks
// for is done, 400 with a code where it does not count, 401 for whoever does not bring the
// stream's secret, 503 while it cannot be judged or done.
func (r *Receiver) servePush(w http.ResponseWriter, req *http.Request) {
	l := (*r.listeners.Load())[access.ConnectionID(req.PathValue("connection"))]
	err := r.pushed(w, req, l)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	r.observe(req.Context(), err)
	status, said := http.StatusBadRequest, setError{Code: codeOf(err), Description: fault.DetailOf(err)}
	switch {
	case said.Code == codeAuthentication:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="events"`)
	case isOurs(err):
		status, said.Code, said.Description = http.StatusServiceUnavailable, "temporarily_unavailable", "Try again in a minute."
		w.Header().Set("Retry-After", "60") // seconds
	}
	body, err := json.Marshal(said)
	if err != nil { // strings always encode
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a failed write means that the transmitter has gone
}

func (r *Receiver) pushed(w http.ResponseWriter, req *http.Request, l *listener) error {
	if err := r.authenticated(req, l); err != nil {
		return err
	}
	if !isType(req, "application/secevent+jwt") {
		return malformed("Send one token as application/secevent+jwt.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxSET))
	if err != nil {
		return malformed("The token is longer than 64 KiB, or the request ended before its body did.")
	}
	_, err = r.hear(req.Context(), l, string(body))
	return err
}

// authenticated lets in whoever brings the secret that the stream was made with.
func (r *Receiver) authenticated(req *http.Request, l *listener) error {
	unknown := refusedAs(codeAuthentication, errors.New("the secret of the stream is missing or another one"))
	if l == nil || !l.Push {
		return unknown
	}
	s, err := r.Streams.IdPStream(req.Context(), l.Connection)
	if fault.Is(err, fault.NotFound) {
		return unknown
	}
	if err != nil {
		return err
	}
	scheme, secret, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(secret))
	if !strings.EqualFold(scheme, "Bearer") || len(req.Header.Values("Authorization")) != 1 || s.PushedBy == nil || subtle.ConstantTimeCompare(sum[:], s.PushedBy) != 1 {
		return unknown
	}
	return nil
}

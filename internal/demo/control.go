package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// Control is where the running demo listens, as its file says. The file has mode
// 0600: whoever reads it may change the demo's people.
type Control struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// Outcome is what a change made an identity provider send.
type Outcome struct {
	Connection string              `json:"connection"`
	IdP        string              `json:"idp"` // its name
	Person     string              `json:"person"`
	Exchanges  []oidctest.Exchange `json:"exchanges"`
	Token      string              `json:"token,omitzero"` // of "token": the person's own access token
	OAuthScope string              `json:"oauth_scope,omitzero"`
	Error      string              `json:"error,omitzero"`
}

// ErrNoSuchPerson says that the name fits nobody, or several.
var ErrNoSuchPerson = errors.New("no such person in the demo")

// ErrNotRunning says that no demo is running that the file leads to.
var ErrNotRunning = errors.New("no running demo was found: start one with `drawbridge demo`")

// ReadControl reads the file that a running demo wrote.
func ReadControl(file string) (Control, error) {
	b, err := os.ReadFile(file) //nolint:gosec // the caller names its own folder
	if errors.Is(err, fs.ErrNotExist) {
		return Control{}, fmt.Errorf("demo: %w (%s does not exist)", ErrNotRunning, file)
	}
	if err != nil {
		return Control{}, fmt.Errorf("demo: %w", err)
	}
	var c Control
	if err := json.Unmarshal(b, &c); err != nil {
		return Control{}, fmt.Errorf("demo: read %s: %w", file, err)
	}
	return c, nil
}

// Change asks the running demo to "disable" or "enable" a person, or to sign them in for a
// "token" of theirs; by e-mail address, user name or the part before the @.
func (c Control) Change(ctx context.Context, act, person string) (Outcome, error) {
	body, err := json.Marshal(map[string]string{"person": person})
	if err != nil {
		return Outcome{}, fmt.Errorf("demo: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Address+"/control/"+act, bytes.NewReader(body))
	if err != nil {
		return Outcome{}, fmt.Errorf("demo: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Timeout: 60 * time.Second}).Do(req)
	if err != nil {
		return Outcome{}, fmt.Errorf("demo: %w: %w", ErrNotRunning, err)
	}
	defer res.Body.Close() //nolint:errcheck // read below
	var o Outcome
	if err := json.NewDecoder(io.LimitReader(res.Body, 8<<20)).Decode(&o); err != nil {
		return Outcome{}, fmt.Errorf("demo: %w", err)
	}
	switch {
	case res.StatusCode == http.StatusNotFound:
		return o, fmt.Errorf("demo: %w: %s", ErrNoSuchPerson, o.Error)
	case res.StatusCode != http.StatusOK:
		return o, fmt.Errorf("demo: %s", o.Error)
	}
	return o, nil
}

// String shows what was sent, what was answered and how long it took.
func (o Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s), %s:\n", o.IdP, o.Connection, o.Person)
	if len(o.Exchanges) == 0 {
		b.WriteString("  nothing had to be sent\n")
	}
	for _, x := range o.Exchanges {
		fmt.Fprintf(&b, "  %s %s %s\n", x.At.Format("15:04:05.000"), x.Method, x.Path)
		if x.Request != "" {
			fmt.Fprintf(&b, "    sent      %s\n", x.Request)
		}
		answer := fmt.Sprintf("%d %s", x.Status, x.Response)
		if x.Status == 0 {
			answer = x.Err
		}
		fmt.Fprintf(&b, "    answered  %s\n    took      %.1f ms\n", strings.TrimSpace(answer), float64(x.Took)/float64(time.Millisecond))
	}
	return b.String()
}

func (s *Servers) writeControl() error {
	if s.opts.Control == "" {
		return nil
	}
	return replace(s.opts.Control, Control{Address: s.control.url(), Token: s.token.Reveal()})
}

// removeControl takes the file away unless another demo has written its own since.
func (s *Servers) removeControl() error {
	if s.opts.Control == "" {
		return nil
	}
	c, err := ReadControl(s.opts.Control)
	if errors.Is(err, ErrNotRunning) || err == nil && c.Token != s.token.Reveal() {
		return nil
	}
	return errors.Join(err, os.Remove(s.opts.Control))
}

// controlHandler answers POST /control/{act} with {"person": "…"} to whoever has
// the token of the file.
func (s *Servers) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /control/{act}", func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got, want := sha256.Sum256([]byte(bearer)), sha256.Sum256([]byte(s.token.Reveal()))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			reply(w, http.StatusUnauthorized, Outcome{Error: "the token of the control file is needed"})
			return
		}
		var ask struct {
			Person string `json:"person"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&ask); err != nil {
			reply(w, http.StatusBadRequest, Outcome{Error: `the body must be {"person": "…"}`})
			return
		}
		status, o := s.change(r.Context(), r.PathValue("act"), ask.Person)
		reply(w, status, o)
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

func (s *Servers) change(ctx context.Context, act, name string) (int, Outcome) {
	i, person, err := s.find(name)
	if err != nil {
		return http.StatusNotFound, Outcome{Person: name, Error: err.Error()}
	}
	o := Outcome{Connection: i.spec.ID, IdP: i.Name(), Person: person.UserName, Exchanges: []oidctest.Exchange{}}
	var sent []oidctest.Exchange
	switch act {
	case "disable":
		sent, err = i.Disable(ctx, person.ObjectID)
	case "enable":
		sent, err = i.Enable(ctx, person.ObjectID)
	case "token":
		o.Token, o.OAuthScope, err = s.signIn(ctx, i, person)
	default:
		o.Error = act + " is not something the demo can do: disable, enable and token are"
		return http.StatusBadRequest, o
	}
	o.Exchanges = append(o.Exchanges, sent...)
	if err != nil {
		o.Error = err.Error()
		return http.StatusBadGateway, o
	}
	return http.StatusOK, o
}

// signIn signs a person in to Fleet Web through their own identity provider, as a browser
// would, and gives their access token: with users.manage, if their grant opens it. They
// work by what they start with, their primary.
func (s *Servers) signIn(ctx context.Context, i *idp, person oidctest.Person) (token, oauthScope string, err error) {
	c := oidctest.Client{Issuer: s.BridgeURL(), ClientID: s.wiring.ClientID, ClientSecret: s.wiring.ClientSecret, RedirectURI: s.AppRedirectURI(),
		OAuthScopes: []string{"profile", "users.manage"}, Connection: i.spec.ID}
	t, err := c.SignIn(ctx, person.UserName)
	if _, stopped := errors.AsType[*oidctest.Stopped](err); stopped {
		return "", "", fmt.Errorf("%s is shown a page instead of being signed in: %s explain says what is held, and Fleet Web shows the page", person.UserName, s.opts.Command)
	}
	return t.AccessToken, t.OAuthScope, err
}

// find names exactly one person of all directories.
func (s *Servers) find(name string) (*idp, oidctest.Person, error) {
	var at *idp
	var found oidctest.Person
	var fits, all []string
	for _, i := range s.idps {
		for _, p := range i.Directory().People() {
			all = append(all, p.UserName)
			local, _, _ := strings.Cut(p.UserName, "@")
			if p.ObjectID == name || strings.EqualFold(p.UserName, name) || strings.EqualFold(p.Email, name) || strings.EqualFold(local, name) {
				at, found = i, p
				fits = append(fits, p.UserName+" of "+i.spec.ID)
			}
		}
	}
	switch len(fits) {
	case 1:
		return at, found, nil
	case 0:
		return nil, found, fmt.Errorf("nobody is called %q; there are %s", name, strings.Join(all, ", "))
	}
	return nil, found, fmt.Errorf("%q fits several people: %s", name, strings.Join(fits, ", "))
}

func reply(w http.ResponseWriter, status int, o Outcome) {
	b, err := json.Marshal(o)
	if err != nil {
		http.Error(w, "this answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) //nolint:errcheck // the client went away
}

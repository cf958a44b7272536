package fleetweb

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed pages
var files embed.FS

// workflow is something this application can do, in its own words.
type workflow struct{ name, label string }

func workflows() []workflow {
	return []workflow{
		{"live_view", "See vehicles live"}, {"playback", "Play back journeys"}, {"reports", "Read reports"},
		{"events.view", "See fatigue events"}, {"media.view", "See in-cabin video and stills"},
		{"events.download", "Download events"}, {"ivs_dashboard", "Open the in-vehicle system dashboard"},
		{"recordings.download", "Download extended recordings"}, {"settings.view", "See settings"},
		{"settings.manage", "Change settings"}, {"addresses.view", "See address lists"},
		{"addresses.manage", "Change address lists"}, {"users.manage", "Manage users"},
	}
}

type view struct {
	Title    string
	SignedIn bool
	Message  message
	Name     string
	Grant    ActiveGrant
	Says     grantWords
	May, Not []string
	Choices  []choice
	NoList   bool // the list of grants could not be read
	Expires  string
	Claims   []claims
}

type message struct {
	Title, Text, Detail string
	SignIn, Choose      bool
}

type claims struct{ Title, JSON string }

type choice struct {
	Words  grantWords
	Link   string
	Active bool
}

// grantWords is an active grant in words for people.
type grantWords struct {
	Grant, Standing, Scope, Level, Events, Until string
	Above                                        []string
	Video                                        bool
}

func words(g ActiveGrant) grantWords {
	w := grantWords{
		Grant:    or(map[string]string{"technician": "Technician", "standard": "Standard user", "elevated": "Elevated user", "administrator": "Administrator"}[g.Grant], g.Grant),
		Standing: g.Standing, Scope: g.Scope.Path, Level: strings.ReplaceAll(g.Scope.Level, "_", " "), Video: g.Flags.Video,
		Events: or(map[string]string{"standard": "standard events", "restricted": "all events, restricted ones too"}[g.Flags.Events], "no events"),
	}
	if n := len(g.Scope.Names); n > 0 {
		w.Scope, w.Above = g.Scope.Names[n-1], g.Scope.Names[:n-1]
	}
	if g.Until != 0 {
		w.Until = time.Unix(g.Until, 0).UTC().Format("2 January 2006 15:04 UTC")
	}
	return w
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// home shows what the session may do now, or why it may do nothing.
func (a *App) home(w http.ResponseWriter, r *http.Request) {
	_, b := a.session(r)
	if b == nil || b.held().Access == "" {
		a.render(w, http.StatusOK, "welcome.html", view{Title: "Welcome"})
		return
	}
	s, t, err := a.check(r.Context(), b)
	switch {
	case errors.Is(err, errEnded) && t.Unproven:
		b.hold(tokens{}, a.cfg.Now())
		if a.kept(w) {
			a.message(w, http.StatusForbidden, endedMessage(t.Name, "", ""))
		}
		return
	case errors.Is(err, errEnded):
		// Perhaps only the grant was switched in another window: ask without showing
		// a page. The answer is either a new token or the reason to say goodbye.
		http.Redirect(w, r, "/signin?prompt=none", http.StatusFound)
		return
	case errors.Is(err, errUnreachable):
		a.unreachable(w)
		return
	case err != nil:
		a.message(w, http.StatusInternalServerError, message{Title: "Your session cannot be kept", Text: "The data folder cannot be written.", Detail: err.Error()})
		return
	}
	v := a.position(s, t)
	choices, err := a.bridge.grants(r.Context(), t.Access)
	v.NoList = err != nil
	for _, g := range choices {
		v.Choices = append(v.Choices, choice{Words: words(g), Active: g.ID == s.Grant.ID, Link: "/signin?" + url.Values{"grant": {g.ID}}.Encode()})
	}
	a.render(w, http.StatusOK, "home.html", v)
}

func (a *App) position(s says, t tokens) view {
	v := view{Title: "Your fleet", SignedIn: true, Name: t.Name, Grant: s.Grant, Says: words(s.Grant)}
	if !t.Expires.IsZero() {
		v.Expires = t.Expires.UTC().Format("15:04:05 UTC")
	}
	open := strings.Fields(s.Scope)
	for _, w := range workflows() {
		if slices.Contains(open, w.name) {
			v.May = append(v.May, w.label)
		} else {
			v.Not = append(v.Not, w.label)
		}
	}
	v.Claims = []claims{{"What the bridge says about the token (introspection)", indent(s.raw)}, {"The ID token", indent(payload(t.ID))}}
	return v
}

// payload is the middle of a token that was verified when it came.
func payload(token string) []byte {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	return b
}

func indent(raw []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}

func lostSignIn() message {
	return message{
		Title: "This sign-in was not started here", SignIn: true,
		Text: "It may be too old, or it was started in another browser. Nothing was signed in. Start again.",
	}
}

func declinedMessage(code, description string) message {
	return message{
		Title: "You were not signed in", SignIn: true, Detail: code,
		Text: or(description, "The bridge did not sign you in. Your company decides who may use Fleet Web: ask your administrator."),
	}
}

// endedMessage says why nothing is shown any more, in words for the person.
func endedMessage(name, code, description string) message {
	m := message{Title: "Your access ended", Detail: strings.TrimSpace(code + " " + description), SignIn: true}
	switch code {
	case "interaction_required", "account_selection_required", "consent_required":
		m.Text = "The grant you worked with is no longer yours, so Fleet Web closed it at once. You hold another one: choose it to go on."
		m.SignIn, m.Choose = false, true
	case "login_required":
		m.Text = "You are no longer signed in. Either your company's administrators ended your access, or you signed out in another window. " +
			"Nothing that was open here can be used any more. If you think this is a mistake, ask your administrator."
	default:
		m.Text = "The bridge no longer accepts your access, so Fleet Web closed it at once. Your company decides who may use Fleet Web: ask your administrator."
	}
	if name != "" {
		m.Title = name + ", your access ended"
	}
	return m
}

func (a *App) unreachable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	a.message(w, http.StatusServiceUnavailable, message{
		Title: "Your access cannot be checked now",
		Text:  "The bridge does not answer. Until it does, nothing is shown. Try again in a moment.",
	})
}

func (a *App) message(w http.ResponseWriter, status int, m message) {
	a.render(w, status, "message.html", view{Title: m.Title, Message: m})
}

func (a *App) render(w http.ResponseWriter, status int, name string, v view) {
	t, err := template.ParseFS(files, "pages/frame.html", "pages/"+name)
	var out bytes.Buffer
	if err == nil {
		err = t.ExecuteTemplate(&out, "frame.html", v)
	}
	if err != nil {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) //nolint:errcheck // the browser went away
}

func stylesheet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, files, "pages/fleet-web.css")
}

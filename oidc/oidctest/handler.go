package oidctest

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

const idpCSP = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// cookieName differs for each identity provider: cookies do not know ports.
func (i *IdP) cookieName() string { return "idp_" + i.cfg.ID }

// Handler serves the OpenID Provider and the identity provider's own page at "/".
// It answers only to the host name of its base URL.
func (i *IdP) Handler() http.Handler {
	p, mux := i.sign, http.NewServeMux()
	mux.HandleFunc("GET "+p.paths.issuer+"/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET "+p.paths.keys, p.keys)
	mux.HandleFunc("GET "+p.paths.authorize, i.authorize)
	mux.HandleFunc("POST "+p.paths.token, p.token)
	mux.HandleFunc("GET "+p.paths.userinfo, p.userinfo)
	mux.HandleFunc("GET "+p.paths.logout, i.logout)
	mux.HandleFunc("GET /{$}", i.home)
	mux.HandleFunc("GET /idp.css", stylesheet)
	mux.HandleFunc("POST /people/{person}/{act}", i.act)
	mux.HandleFunc("POST /groups/{group}/{act}", i.actOnGroup)
	guarded := http.NewCrossOriginProtection().Handler(mux)
	host := hostOf(i.cfg.BaseURL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host { // a name rebound to this address must not reach the buttons
			http.Error(w, "this identity provider is "+i.cfg.BaseURL, http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", idpCSP)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // not no-referrer: that would make a form's Origin "null"
		h.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

func stylesheet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, pageFiles, "pages/idp.css")
}

// authorize signs in the person that login_hint or the page's own pick names, with
// prompt=none the one who signed in last, and shows the list of people otherwise.
// Nothing is redirected to an address that is not registered.
func (i *IdP) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != i.cfg.ClientID {
		i.fail(w, http.StatusBadRequest, "This application is not registered", "The client_id in the address is not one that this identity provider knows.")
		return
	}
	if !slices.Contains(i.cfg.RedirectURIs, q.Get("redirect_uri")) {
		i.fail(w, http.StatusBadRequest, "The address to return to is not registered", "redirect_uri must be one of the registered ones, byte for byte.")
		return
	}
	if code, why := wrongRequest(q); code != "" {
		i.back(w, r, q, code, why)
		return
	}
	i.identify(w, r, q)
}

func wrongRequest(q url.Values) (code, why string) {
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type", "only response_type=code is offered"
	case !slices.Contains(strings.Fields(q.Get("scope")), "openid"):
		return "invalid_scope", "scope must have openid"
	case q.Get("code_challenge") == "" || q.Get("code_challenge_method") != "S256":
		return "invalid_request", "code_challenge with code_challenge_method=S256 is needed"
	}
	return "", ""
}

func (i *IdP) back(w http.ResponseWriter, r *http.Request, q url.Values, code, why string) {
	v := url.Values{"error": {code}, "error_description": {why}, "state": {q.Get("state")}}
	http.Redirect(w, r, withQuery(q.Get("redirect_uri"), v), http.StatusFound)
}

func (i *IdP) identify(w http.ResponseWriter, r *http.Request, q url.Values) {
	name := q.Get("pick")
	if name == "" {
		name = q.Get("login_hint")
	}
	prompts := strings.Fields(q.Get("prompt"))
	if name == "" && slices.Contains(prompts, "none") {
		name = i.remembered(r)
	}
	person, known := i.cfg.Directory.Find(name)
	switch {
	case name != "" && known && person.Active:
		i.signIn(w, r, q, person)
	case slices.Contains(prompts, "none"):
		i.back(w, r, q, "login_required", "nobody is signed in here")
	case known && name != "":
		i.choose(w, q, http.StatusForbidden, "The account of "+person.DisplayName+" is disabled. Nobody can sign in with it.")
	case name != "":
		i.choose(w, q, http.StatusOK, fmt.Sprintf("Nobody called %q has an account here.", name))
	default:
		i.choose(w, q, http.StatusOK, "")
	}
}

// remembered is who signed in here last in this browser, if that is still possible.
func (i *IdP) remembered(r *http.Request) string {
	c, err := r.Cookie(i.cookieName())
	if err != nil {
		return ""
	}
	p, ok := i.cfg.Directory.Find(c.Value)
	if !ok || !p.Active {
		return ""
	}
	return p.ObjectID
}

func (i *IdP) signIn(w http.ResponseWriter, r *http.Request, q url.Values, person Person) {
	http.SetCookie(w, &http.Cookie{Name: i.cookieName(), Value: person.ObjectID, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, i.sign.issue(person, q, i.cfg.Now()), http.StatusFound)
}

func (i *IdP) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: i.cookieName(), Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	q := r.URL.Query()
	if to := q.Get("post_logout_redirect_uri"); slices.Contains(i.cfg.PostLogoutRedirectURIs, to) {
		http.Redirect(w, r, withQuery(to, url.Values{"state": {q.Get("state")}}), http.StatusFound)
		return
	}
	i.fail(w, http.StatusOK, "You are signed out", "Close this window, or go back to the application.")
}

// act is a button of a person's row: disable or enable.
func (i *IdP) act(w http.ResponseWriter, r *http.Request) {
	do, ok := map[string]func() ([]Exchange, error){
		"disable": func() ([]Exchange, error) { return i.Disable(r.Context(), r.PathValue("person")) },
		"enable":  func() ([]Exchange, error) { return i.Enable(r.Context(), r.PathValue("person")) },
	}[r.PathValue("act")]
	i.finish(w, r, do, ok)
}

// actOnGroup is a button of a group: add or remove the person in the form.
func (i *IdP) actOnGroup(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	group, person := r.PathValue("group"), r.PostFormValue("person")
	do, ok := map[string]func() ([]Exchange, error){
		"add":    func() ([]Exchange, error) { return i.AddToGroup(r.Context(), group, person) },
		"remove": func() ([]Exchange, error) { return i.RemoveFromGroup(r.Context(), group, person) },
	}[r.PathValue("act")]
	i.finish(w, r, do, ok)
}

func (i *IdP) finish(w http.ResponseWriter, r *http.Request, do func() ([]Exchange, error), ok bool) {
	if !ok {
		i.fail(w, http.StatusNotFound, "There is no such button", "Go back to the page of this identity provider.")
		return
	}
	if _, err := do(); err != nil {
		i.fail(w, http.StatusBadGateway, "The change could not be sent", err.Error())
		return
	}
	http.Redirect(w, r, "/#wire", http.StatusSeeOther)
}

type page struct {
	Name, Vendor, Kind string
	Title, Detail      string // of a message
	Notice             string
	People             []personRow
	Groups             []groupRow
	Exchanges          []exchangeRow
}

type personRow struct {
	Person
	Groups []string
	Link   string // signs in; "" where that cannot be
}

type groupRow struct {
	ObjectID, Name  string
	Members, Others []Person
}

type exchangeRow struct {
	Exchange
	Clock, Millis string
}

func (i *IdP) page() page {
	kind := map[string]string{"entra": "an Entra-like identity provider", "okta": "an Okta-like identity provider"}[i.vendor]
	return page{Name: i.cfg.Name, Vendor: i.vendor, Kind: kind}
}

// choose lists the people as links: a form whose answer redirects to another
// origin would be stopped by form-action.
func (i *IdP) choose(w http.ResponseWriter, q url.Values, status int, notice string) {
	p := i.page()
	p.Notice = notice
	for _, person := range i.cfg.Directory.People() {
		row := personRow{Person: person, Groups: i.cfg.Directory.GroupsOf(person.ObjectID)}
		if person.Active {
			with := url.Values{}
			for k, v := range q {
				with[k] = v
			}
			with.Set("pick", person.ObjectID)
			row.Link = i.sign.paths.authorize + "?" + with.Encode()
		}
		p.People = append(p.People, row)
	}
	i.render(w, status, "choose.html", p)
}

func (i *IdP) home(w http.ResponseWriter, _ *http.Request) {
	p := i.page()
	people := i.cfg.Directory.People()
	for _, person := range people {
		p.People = append(p.People, personRow{Person: person, Groups: i.cfg.Directory.GroupsOf(person.ObjectID)})
	}
	for _, g := range i.cfg.Directory.Groups() {
		row := groupRow{ObjectID: g.ObjectID, Name: g.Name}
		for _, person := range people {
			if slices.Contains(g.Members, person.ObjectID) {
				row.Members = append(row.Members, person)
			} else {
				row.Others = append(row.Others, person)
			}
		}
		p.Groups = append(p.Groups, row)
	}
	for _, x := range slices.Backward(i.Exchanges()) {
		p.Exchanges = append(p.Exchanges, exchangeRow{Exchange: x, Clock: x.At.Format("15:04:05.000"), Millis: millis(x.Took)})
	}
	i.render(w, http.StatusOK, "home.html", p)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func (i *IdP) fail(w http.ResponseWriter, status int, title, detail string) {
	p := i.page()
	p.Title, p.Detail = title, detail
	i.render(w, status, "message.html", p)
}

func (i *IdP) render(w http.ResponseWriter, status int, name string, p page) {
	t, err := template.ParseFS(pageFiles, "pages/frame.html", "pages/"+name)
	var out strings.Builder
	if err == nil {
		err = t.ExecuteTemplate(&out, "frame.html", p)
	}
	if err != nil {
		http.Error(w, "this page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(out.String())) //nolint:errcheck // the browser went away
}

package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

//go:embed templates/*.html style.css
var files embed.FS

// pages holds one template set per page, each with the layout.
type pages map[string]*template.Template

// The pages. Each is a file under templates that defines "main".
const (
	pageAddress  = "address"
	pageSeveral  = "several"
	pageContinue = "continue"
	pageChoose   = "choose"
	pageConsent  = "consent"
	pageApps     = "apps"
	pageMe       = "me"
	pageNotice   = "notice"
	pageConfirm  = "confirm"

	pageSignedOut = "signedout"
)

func parsePages() pages {
	p := pages{}
	for _, name := range []string{pageAddress, pageSeveral, pageContinue, pageChoose, pageConsent, pageApps, pageMe, pageNotice, pageConfirm, pageSignedOut} {
		p[name] = template.Must(template.New("layout.html").ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return p
}

// layout is what every page has around it.
type layout struct {
	Title   Public
	Product Public
	Support Public
	Body    any
}

// page renders one page. It is written whole or not at all: a template that fails
// half way must not leave half a page with a 200.
func (c *Console) page(w http.ResponseWriter, r *http.Request, status int, name string, title Public, body any) {
	var b bytes.Buffer
	err := c.pages[name].Execute(&b, layout{Title: title, Product: c.Product, Support: c.Support, Body: body})
	if err != nil {
		c.observe(r, fault.Wrap(fault.Internal, "console.page", err))
		http.Error(w, "The page could not be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		c.observe(r, fault.Wrap(fault.Unavailable, "console.page", err)) // the browser has gone
	}
}

// see redirects with 303, so that a POST does not travel on.
func see(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// ofRequest is a path that names an authorization request.
func ofRequest(path, id string) string { return path + "?" + url.Values{"request": {id}}.Encode() }

// origin is what a Content-Security-Policy calls an address: scheme, host and port,
// or the scheme alone where there is no host (RFC 8252 7.1). "" if it names none,
// or one that could say more in a policy than where to go.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || strings.ContainsFunc(u.Host, notOfHost) {
		return ""
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return u.Scheme + ":"
	case u.Host == "":
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func notOfHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-:[]", r)
}

func (c *Console) style(w http.ResponseWriter, r *http.Request) {
	css, err := files.ReadFile("style.css")
	if err != nil {
		c.refuse(w, r, fault.Wrap(fault.Internal, "console.style", err), place{})
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	http.ServeContent(w, r, "style.css", time.Time{}, bytes.NewReader(css))
}

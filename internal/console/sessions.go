package console

import (
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// ownSession is one of a person's live sessions as the page shows it.
type ownSession struct {
	ID           opaque
	Device       Public // what the browser called itself at the sign-in; "" if nobody knows
	Since        Public
	Until        Public
	Grant        Public // what it stands on; "" if a choice is due
	Where        Public
	Applications []Public
	This         bool
	Offline      bool // an application keeps it; no browser has it
}

func (c *Console) ownSessions(r *http.Request, b oidc.Browser) ([]ownSession, error) {
	all, err := c.Own.OwnSessions(r.Context(), c.sessionCookie(r))
	if err != nil {
		return nil, err
	}
	out := make([]ownSession, len(all))
	for i, s := range all {
		out[i] = ownSession{ID: opaque(s.Session.ID), Device: Public(s.Session.Upstream.Device), Since: instant(s.Session.Created), Until: instant(s.Session.Expires),
			This: s.Session.ID == b.Session.ID, Offline: s.Session.Offline != ""}
		if s.Assignment.ID != "" {
			k := newCard(b.Catalogue, s.Assignment, true, c.Now())
			out[i].Grant, out[i].Where = k.Grant, k.Where
		}
		for _, app := range s.Applications {
			out[i].Applications = append(out[i].Applications, Public(app.Name))
		}
	}
	return out, nil
}

// endOne is POST /me/end: one of the person's own sessions. Another's is no page.
func (c *Console) endOne(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, fault.Wrap(fault.Invalid, "console.endOne", err), place{})
		return
	}
	b, ok := c.mine(w, r)
	if !ok {
		return
	}
	id := session.ID(r.PostForm.Get("session"))
	if id == b.Session.ID {
		c.signOut(w, r)
		return
	}
	err := c.Own.EndOwn(r.Context(), c.sessionCookie(r), id)
	switch {
	case fault.Is(err, fault.NotFound):
		c.Fail(w, r, http.StatusNotFound, "There is no such sign-in", "It may have ended long ago. Your access shows those that are open.")
	case err != nil:
		c.refuse(w, r, err, place{})
	default:
		see(w, pathMe)
	}
}

// endOthers is POST /me/end-others: all of the person's sessions but this one.
func (c *Console) endOthers(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.mine(w, r); !ok {
		return
	}
	if err := c.Own.EndOwnSessions(r.Context(), c.sessionCookie(r), true); err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	see(w, pathMe)
}

// endAll is POST /me/end-all: everything that the person has, this browser's too.
func (c *Console) endAll(w http.ResponseWriter, r *http.Request) {
	b, ok := c.mine(w, r)
	if !ok {
		return
	}
	if err := c.Own.EndOwnSessions(r.Context(), c.sessionCookie(r), false); err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	c.goodbye(w, r, b.Session)
}

// mine is the browser's session; without one it sends the browser away.
func (c *Console) mine(w http.ResponseWriter, r *http.Request) (oidc.Browser, bool) {
	b, err := c.browser(w, r)
	switch {
	case fault.Is(err, fault.Unauthenticated):
		c.awaySign(w, err)
	case err != nil:
		c.refuse(w, r, err, place{})
	}
	return b, err == nil
}

// goodbye takes the cookie of a session that was just ended, and tells the
// applications that ask to be told in the browser.
func (c *Console) goodbye(w http.ResponseWriter, r *http.Request, s session.Session) {
	c.clearSession(w)
	l := oidc.Leaving{Connection: s.Connection}
	reached, err := c.SignIns.Reached(r.Context(), s.ID)
	if err != nil { // it is signed out all the same
		c.observe(r, err)
	}
	l.Frames = oidc.FrontchannelLogouts(c.Base, reached)
	if len(l.Frames) == 0 && c.Upstream.SignOutURL(s.Connection) == "" {
		see(w, pathSignedOut)
		return
	}
	c.SignedOut(w, r, l)
}

// frameTime is how long applications have to hear of a sign-out in the browser before
// it goes on. Those that do not are told without it.
const frameTime = "3"

// signedOutView says that the browser is signed out.
type signedOutView struct {
	Sentence     Public
	Frames       []href // of applications, to be opened unseen
	Next         href   // the application's own page
	Customer     Public
	SignOutThere href // where the person ends their session at the company
	Access       href
}

// SignedOut says that the browser is signed out here, and opens, unseen, the pages of
// applications that ask for it: for this answer alone the policy allows their origins.
func (c *Console) SignedOut(w http.ResponseWriter, r *http.Request, l oidc.Leaving) {
	setHeaders(w.Header(), c.secure, "")
	c.forget(w)
	if l.Next != "" && len(l.Frames) == 0 {
		see(w, l.Next)
		return
	}
	at := place{}
	if l.Connection != "" {
		at = c.about(r, hot.AuthRequest{}, l.Connection)
	}
	s := sentence(session.EndSignedOut, at.names(c.Product))
	v := signedOutView{Sentence: s.Sentence, Next: href(l.Next), Customer: Public(at.connection.Name), Access: pathMe}
	if l.Connection != "" {
		v.SignOutThere = href(c.Upstream.SignOutURL(l.Connection))
	}
	for _, frame := range l.Frames {
		v.Frames = append(v.Frames, href(frame))
	}
	allowFrames(w.Header(), l.Frames)
	if l.Next != "" {
		w.Header().Set("Refresh", frameTime+"; url="+l.Next)
	}
	c.page(w, r, http.StatusOK, pageSignedOut, s.Title, v)
}

// allowFrames lets the page hold frames of exactly these origins.
func allowFrames(h http.Header, frames []string) {
	var origins []string
	for _, f := range frames {
		if o := origin(f); strings.HasPrefix(o, "http") {
			origins = append(origins, o)
		}
	}
	if len(origins) > 0 {
		h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+"; frame-src "+strings.Join(origins, " "))
	}
}

// signedOutPage is GET /signed-out.
func (c *Console) signedOutPage(w http.ResponseWriter, r *http.Request) {
	c.SignedOut(w, r, oidc.Leaving{})
}

// deviceOf names a browser and its system, in words of our own, so that people
// recognise where they signed in; "" if it is none that we know.
func deviceOf(userAgent string) string {
	browser := firstIn(userAgent, [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}})
	system := firstIn(userAgent, [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"},
		{"Macintosh", "macOS"}, {"Linux", "Linux"}})
	if browser == "" || system == "" {
		return browser + system
	}
	return browser + " on " + system
}

func firstIn(text string, table [][2]string) string {
	for _, row := range table {
		if strings.Contains(text, row[0]) {
			return row[1]
		}
	}
	return ""
}

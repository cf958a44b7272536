package console

import (
	"bytes"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// views is every page with the view it is given; the test of the templates fails
// if one is missing.
func views() map[string]any {
	return map[string]any{
		pageAddress: addressView{}, pageSeveral: severalView{}, pageContinue: continueView{}, pageChoose: chooseView{},
		pageConsent: consentView{}, pageApps: appsView{}, pageMe: meView{}, pageNotice: notice{}, pageConfirm: confirmView{}, pageSignedOut: signedOutView{},
	}
}

// filled gives a view in which every field holds the canary.
func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			v.Field(i).Set(filled(t.Field(i).Type))
		}
	case reflect.Slice:
		v = reflect.Append(v, filled(t.Elem()), filled(t.Elem()))
	case reflect.Pointer:
		v = reflect.New(t.Elem())
		v.Elem().Set(filled(t.Elem()))
	case reflect.String:
		v.SetString(canary)
	case reflect.Bool:
		v.SetBool(true)
	}
	return v
}

func render(t *testing.T, c *Console, name string, view any) string {
	t.Helper()
	w := httptest.NewRecorder()
	c.page(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, name, canary, view)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", name, w.Code)
	}
	return w.Body.String()
}

// Threats: T-E7.
func TestEveryTemplateRendersEmptyAndFullWithoutLettingTextBecomeMarkup(t *testing.T) {
	c := newWorld(t).console
	c.Product, c.Support = canary, canary
	all := views()
	if len(all) != len(c.pages) {
		t.Errorf("%d views for %d pages", len(all), len(c.pages))
	}
	for name, empty := range all {
		for _, view := range []any{empty, filled(reflect.TypeOf(empty)).Interface()} {
			holdPage(t, name, render(t, c, name, view))
		}
	}
}

var (
	handler    = regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`)
	styleAttr  = regexp.MustCompile(`(?i)<[^>]*\sstyle\s*=`)
	scriptURL  = regexp.MustCompile(`(?i)(href|action|src)="\s*javascript:`)
	labelled   = regexp.MustCompile(`<input id="([^"]+)"`)
	unquoted   = regexp.MustCompile(`(?i)<(script|style|iframe|object|embed|base|img)\b`)
	inAttr     = regexp.MustCompile(`"[^"]*"`)
	tagsInText = regexp.MustCompile(`<[^>]*>`)
)

// holdPage is what is true of every page.
func holdPage(t *testing.T, name, body string) {
	t.Helper()
	looked := body
	if name == pageSignedOut { // the one page with frames, whose origins its policy names
		looked = strings.ReplaceAll(body, `<iframe src="`, "")
	}
	if m := unquoted.FindString(looked); m != "" {
		t.Errorf("%s has a %s", name, m)
	}
	if styleAttr.MatchString(body) || scriptURL.MatchString(body) {
		t.Errorf("%s has an inline style or a script address", name)
	}
	for _, tag := range tagsInText.FindAllString(body, -1) {
		if handler.MatchString(inAttr.ReplaceAllString(tag, `""`)) {
			t.Errorf("%s has an event handler: %s", name, tag)
		}
	}
	for _, want := range []string{"<!doctype html>", `<html lang="en">`, `<main id="main"`, `href="#main"`, "<title>", `name="viewport"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", name, want)
		}
	}
	if strings.Count(body, "<h1>") != 1 || strings.Count(body, "<main") != 1 {
		t.Errorf("%s has not exactly one heading and one main", name)
	}
	for _, m := range labelled.FindAllStringSubmatch(body, -1) {
		if !strings.Contains(body, `<label for="`+m[1]+`"`) {
			t.Errorf("%s: the field %s has no label", name, m[1])
		}
	}
}

// Templates are given Public text, addresses and ids, and nothing else: an internal
// name would need a conversion that a reviewer sees.
func TestViewsHoldPublicTextOnly(t *testing.T) {
	allowed := map[reflect.Type]bool{reflect.TypeFor[Public](): true, reflect.TypeFor[href](): true, reflect.TypeFor[opaque](): true, reflect.TypeFor[bool](): true}
	var walk func(path string, ty reflect.Type)
	walk = func(path string, ty reflect.Type) {
		switch {
		case allowed[ty]:
		case ty.Kind() == reflect.Slice || ty.Kind() == reflect.Pointer:
			walk(path, ty.Elem())
		case ty.Kind() == reflect.Struct:
			for i := range ty.NumField() {
				walk(path+"."+ty.Field(i).Name, ty.Field(i).Type)
			}
		default:
			t.Errorf("%s is a %s", path, ty)
		}
	}
	for name, v := range views() {
		walk(name, reflect.TypeOf(v))
	}
	walk("names", reflect.TypeFor[names]())
	walk("say", reflect.TypeFor[say]())
}

func TestEveryRouteHasTheHeadersAndAnHTMLRefusal(t *testing.T) {
	w := newWorld(t)
	const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	hold := func(name string, got shown) {
		t.Helper()
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Content-Security-Policy": policy} {
			if got.header.Get(header) != want {
				t.Errorf("%s: %s is %q", name, header, got.header.Get(header))
			}
		}
		if !strings.HasPrefix(name, "GET "+pathStyle) && got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached: %q", name, got.header.Get("Cache-Control"))
		}
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			holdPage(t, name, got.body)
		}
	}
	for pattern, m := range w.console.routes() {
		path := strings.NewReplacer("{connection}", "ironbark-entra", "{$}", "").Replace(pattern)
		for _, signedIn := range []bool{false, true} {
			b := w.browserTab(t)
			if signedIn {
				b.signIn("kim", "")
			}
			for method := range m {
				if method == http.MethodPost {
					hold("POST "+path, b.post(path, nil))
					continue
				}
				hold(method+" "+path, b.get(path))
			}
		}
		got := w.browserTab(t).send(w.browserTab(t).request(http.MethodDelete, path, nil))
		hold("DELETE "+path, got)
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" || !strings.Contains(got.body, "<main") {
			t.Errorf("DELETE %s: %d", path, got.status)
		}
	}
	got := w.browserTab(t).get("/nowhere/at/all")
	hold("GET /nowhere", got)
	if got.status != http.StatusNotFound || !strings.Contains(got.body, "<main") {
		t.Errorf("an unknown page: %d", got.status)
	}
}

// T-G5: what another site makes a browser send changes nothing.
func TestAnotherSiteCannotPressOurButtons(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("kim", "")
	for pattern, m := range w.console.routes() {
		if m[http.MethodPost] == nil {
			continue
		}
		for _, headers := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}} {
			req := b.request(http.MethodPost, pattern, strings.NewReader(url.Values{"assignment": {"asg_cairns"}}.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for k, v := range headers {
				req.Header.Set(k, v)
			}
			if got := b.send(req); got.status != http.StatusForbidden {
				t.Errorf("POST %s with %v: %d", pattern, headers, got.status)
			}
		}
	}
	for _, s := range w.sessions {
		if s.Session.Active != "asg_perth" {
			t.Error("the session was switched from another site")
		}
	}
	if len(w.sessions) != 1 {
		t.Error("the session was ended from another site")
	}
}

// Threats: T-E7.
func TestNamesFromOutsideStayText(t *testing.T) {
	w := newWorld(t)
	hostile := perth
	hostile.Scope.Names = []string{canary, canary}
	w.people["eve"] = []oidc.ActiveGrant{hostile}
	w.clients["fleet-web"] = oidc.Client{ID: "fleet-web", Name: canary}
	b := w.browserTab(t)
	b.signIn("eve", "")
	holdPage(t, "me", b.get(pathMe).body)
	chooser := b.get(b.get("/test/begin?client=fleet-web&prompt=select_account").to)
	if chooser.status != http.StatusOK {
		t.Fatal(chooser.status)
	}
	holdPage(t, "choose", chooser.body)
	fresh := w.browserTab(t)
	ask := fresh.get("/test/begin?client=fleet-web&hint=" + url.QueryEscape(`x"><script>@shared.example`)).to
	holdPage(t, "address", fresh.get(ask).body)
	holdPage(t, "typed", fresh.post(pathSignIn, url.Values{"request": {requestID(t, ask)}, "email": {canary}}).body)
	holdPage(t, "several", fresh.post(pathSignIn, url.Values{"request": {requestID(t, ask)}, "email": {`"><script>@shared.example`}}).body)
}

// Every reason that any part of the bridge gives has its own sentence.
func TestEveryReasonHasASentence(t *testing.T) {
	reasons := []string{
		"not_provisioned", "deactivated_by_idp", "no_rule_matched", "withheld", "condition_false", "attribute_missing", "certificate_lapsed", "grant_expired",
		"suspended_by_vendor", "contact_only", "app_not_allowed_for_grant", "email_domain_mismatch", "connection_paused", "ambiguous",
		session.ReasonNoRule, session.ReasonContact, session.ReasonNotYet, session.ReasonExpired, session.ReasonNotHeld, session.ReasonEnded,
		credential.ReasonMalformed, credential.ReasonExpired, credential.ReasonSuperseded, credential.ReasonSubject, credential.ReasonEnded, credential.ReasonUndecided,
		"subject_mismatch", "client_disabled", "not_found",
		session.EndIdPSilent, session.EndIdPLogout, session.EndIdPRevoked, session.EndIdPExpired, session.EndIdPRefused, session.EndElsewhere,
		session.EndIdPSession, session.EndIdPDisabled, session.EndIdPCredential, session.EndDeactivated, session.EndDeleted, session.EndNoAssignment, session.EndSignedOut, session.EndReplaced, session.EndExpired,
		session.EndConnection, session.EndRefreshReused, session.EndSubject, session.EndAdministrator,
		upstream.ReasonIdP, upstream.ReasonMixUp, upstream.ReasonToken, upstream.ReasonStale, upstream.ReasonSetUp, upstream.ReasonDown, upstream.ReasonUnknown, hot.ReasonLegs,
	}
	for _, code := range []mapping.Code{mapping.NotActive, mapping.NotInGroup, mapping.ScopeUnknown, mapping.AmbiguousGroup, mapping.AboveCeiling,
		mapping.NotCertified, mapping.CertificateLapsed, mapping.TimeOver, mapping.ShadowOnly,
		mapping.RuleExpired, mapping.ExcludedByGroup, mapping.ConditionFalse, mapping.AttributeMissing, mapping.ConditionFailed} {
		reasons = append(reasons, string(code))
	}
	table := sentences()
	for _, r := range reasons {
		if s, ok := table[r]; !ok || s.Title == "" || len(s.Sentence) < 20 {
			t.Errorf("%q has no sentence", r)
		}
	}
	for r, s := range table {
		full := sentence(r, names{"Ironbark Haulage", "Fleet Web", "Sentinel Access"})
		empty := sentence(r, names{})
		for _, text := range []Public{full.Sentence, empty.Sentence} {
			if strings.ContainsAny(string(text), "{}_") || !strings.HasSuffix(string(text), ".") || text[0] >= 'a' {
				t.Errorf("%s reads %q", r, text)
			}
		}
		for _, internal := range []string{"associate", "scope", "assignment", "grant", "SCIM", "rule", "ceiling", "token", "session"} {
			if strings.Contains(strings.ToLower(string(s.Sentence)), internal) {
				t.Errorf("%s uses the internal word %q: %s", r, internal, s.Sentence)
			}
		}
	}
}

func TestEveryWordOfTheDomainHasAPublicName(t *testing.T) {
	for _, g := range access.Grants() {
		if (access.Catalogue{}).PublicName(g) == "" {
			t.Errorf("%s", g)
		}
	}
	for _, f := range access.Workflows() {
		if workflowName(f) == "" {
			t.Errorf("%s", f)
		}
	}
	for _, l := range []access.Level{access.Host, access.ServiceProvider, access.Account, access.Fleet} {
		if levelName(l) == "" {
			t.Errorf("%s", l)
		}
	}
}

func TestAnOriginSaysOnlyWhereToGo(t *testing.T) {
	for address, want := range map[string]string{
		"https://fleet.example/callback?x=1": "https://fleet.example", "http://127.0.0.1:9200/cb": "http://127.0.0.1:9200",
		"com.example.app:/callback": "com.example.app:", "https://a;script-src/": "", "https://a,b/": "", "https:///x": "", "": "", "/relative": "", "https://*/": "",
	} {
		if got := origin(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

func TestTheSignOutQuestionMayLeadBackToTheApplication(t *testing.T) {
	c := newWorld(t).console
	w := httptest.NewRecorder()
	c.ConfirmSignOut(w, httptest.NewRequest(http.MethodGet, "/", nil), oidc.SignOutForm{Action: "/oauth2/end_session",
		Fields: []oidc.Field{{Name: "confirm", Value: `a"b`}, {Name: "post_logout_redirect_uri", Value: "https://fleet.example/bye"}}})
	if !strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'self' https://fleet.example;") {
		t.Error(w.Header().Get("Content-Security-Policy"))
	}
	if body := w.Body.String(); !strings.Contains(body, `name="confirm" value="a&#34;b"`) || !strings.Contains(body, `action="/oauth2/end_session"`) {
		t.Error(body)
	}
}

// Threats: T-B15.
func TestOverHTTPSCookiesAreBoundToTheHost(t *testing.T) {
	c := New(Config{Base: "https://id.example"})
	w := httptest.NewRecorder()
	c.setCookie(w, SessionCookie(c.secure), "x", time.Time{})
	setHeaders(w.Header(), c.secure, "")
	if k := w.Header().Get("Set-Cookie"); !strings.HasPrefix(k, "__Host-drawbridge_session=x; Path=/;") || !strings.Contains(k, "Secure") || strings.Contains(k, "Domain") {
		t.Error(k)
	}
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

// WCAG 2.2 AA: 4.5:1 for text, 3:1 for what marks a control, in both schemes.
func TestColoursContrast(t *testing.T) {
	css, err := os.ReadFile(filepath.Join("style.css"))
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := bytes.Cut(css, []byte("prefers-color-scheme: dark"))
	if !ok {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ = bytes.Cut(dark, []byte("* {"))
	for scheme, text := range map[string][]byte{"light": light, "dark": dark} {
		colour := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(string(text), -1) {
			colour[m[1]] = m[2]
		}
		for _, pair := range [][2]string{{"ink", "ground"}, {"ink", "paper"}, {"soft", "ground"}, {"soft", "paper"}, {"accent", "paper"}, {"accent", "ground"},
			{"accent-ink", "accent"}, {"accent", "accent-soft"}, {"ink", "accent-soft"}, {"good", "good-soft"}, {"warn", "warn-soft"}, {"bad", "bad-soft"}} {
			if r := contrast(t, colour[pair[0]], colour[pair[1]]); r < 4.5 {
				t.Errorf("%s: %s on %s is %.2f:1", scheme, pair[0], pair[1], r)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(hex string) float64 {
		if len(hex) != 7 {
			t.Fatalf("%q is not a colour", hex)
		}
		n, err := strconv.ParseUint(hex[1:], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		channel := func(v uint64) float64 {
			c := float64(v&0xff) / 255
			if c <= 0.04045 {
				return c / 12.92
			}
			return math.Pow((c+0.055)/1.055, 2.4)
		}
		return 0.2126*channel(n>>16) + 0.7152*channel(n>>8) + 0.0722*channel(n)
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

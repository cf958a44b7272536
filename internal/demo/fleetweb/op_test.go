package fleetweb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// op is an OpenID Provider with one person, two grants and sessions of its own:
// the standard part of what the bridge is, without its reasons.
type op struct {
	t      *testing.T
	server *httptest.Server
	signer jose.Signer
	keys   jose.JSONWebKeySet

	mu      sync.Mutex // guards the rest
	disable bool       // the person has left
	down    bool       // nothing answers
	deny    bool       // tokens are given, and none counts
	nonce   string     // instead of the one that was asked for
	life    time.Duration
	codes   map[string]*live
	tokens  map[string]*live // access and refresh
	used    map[string]*live // refresh tokens that were exchanged
	session map[string]*sess // by cookie
}

type sess struct {
	sid, grant string
	version    int
	over       bool
}

type live struct {
	s         *sess
	version   int
	grant     string
	challenge string
	nonce     string
	redirect  string
	dead      bool
	until     time.Time
	family    *bool // true: ended
}

var grants = map[string]map[string]any{
	"asg_1": grant("asg_1", "technician", "primary", "ivs_dashboard recordings.download", "Southern Telematics", "Banksia Freight"),
	"asg_2": grant("asg_2", "standard", "guest", "live_view", "Southern Telematics", "Reefline Coaches", "Cairns"),
}

func grant(id, kind, standing, opens string, names ...string) map[string]any {
	return map[string]any{
		"id": id, "grant": kind, "standing": standing, "opens": opens, "flags": map[string]any{"events": "none", "video": false},
		"scope": map[string]any{"id": "scp_" + id, "level": "account", "path": "p", "ancestor_ids": []string{}, "names": append([]string{"Lantern"}, names...)},
	}
}

func claim(id string) map[string]any {
	c := map[string]any{}
	for k, v := range grants[id] {
		if k != "opens" {
			c[k] = v
		}
	}
	return c
}

func newOP(t *testing.T) *op {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := jose.JSONWebKey{Key: key, KeyID: "k1", Algorithm: "ES256", Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jwk}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &op{t: t, signer: signer, keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}}, life: 5 * time.Minute,
		codes: map[string]*live{}, tokens: map[string]*live{}, used: map[string]*live{}, session: map[string]*sess{}}
	o.server = httptest.NewServer(o)
	t.Cleanup(o.server.Close)
	return o
}

func (o *op) set(change func(*op)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

func (o *op) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	serve, ok := map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": o.discovery, "/keys": func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, o.keys) },
		"/authorize": o.authorize, "/token": o.token, "/introspect": o.introspect, "/me/grants": o.grants,
		"/userinfo": o.userinfo, "/revoke": o.revoke, "/end_session": o.endSession,
	}[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	serve(w, r)
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func no(w http.ResponseWriter, code string) { answer(w, 400, map[string]string{"error": code}) }

func (o *op) discovery(w http.ResponseWriter, _ *http.Request) {
	u := o.server.URL
	answer(w, 200, map[string]any{
		"issuer": u, "authorization_endpoint": u + "/authorize", "token_endpoint": u + "/token", "jwks_uri": u + "/keys",
		"introspection_endpoint": u + "/introspect", "revocation_endpoint": u + "/revoke", "userinfo_endpoint": u + "/userinfo",
		"end_session_endpoint": u + "/end_session", "id_token_signing_alg_values_supported": []string{"ES256"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "code_challenge_methods_supported": []string{"S256"},
		"scopes_supported": []string{"openid", "profile", "email", "offline_access", "live_view", "ivs_dashboard", "recordings.download"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (o *op) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := func(v url.Values) {
		v.Set("state", q.Get("state"))
		v.Set("iss", o.server.URL)
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+v.Encode(), http.StatusFound)
	}
	if q.Get("code_challenge_method") != "S256" {
		back(url.Values{"error": {"invalid_request"}})
		return
	}
	s := o.browser(r)
	if s == nil && (o.disable || q.Get("prompt") == "none") {
		code := map[bool]string{true: "login_required", false: "access_denied"}[q.Get("prompt") == "none"]
		back(url.Values{"error": {code}, "error_description": {"Your company ended your access."}})
		return
	}
	if s == nil {
		s = &sess{sid: rand.Text(), grant: "asg_1"}
		id := rand.Text()
		o.session[id] = s
		http.SetCookie(w, &http.Cookie{Name: "op", Value: id, Path: "/"})
	}
	for _, scope := range strings.Fields(q.Get("scope")) {
		if id, ok := strings.CutPrefix(scope, "grant:"); ok && id != s.grant {
			s.grant, s.version = id, s.version+1
		}
	}
	code := rand.Text()
	o.codes[code] = &live{s: s, version: s.version, grant: s.grant, challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), redirect: q.Get("redirect_uri"), family: new(bool)}
	back(url.Values{"code": {code}})
}

func (o *op) browser(r *http.Request) *sess {
	c, err := r.Cookie("op")
	if err != nil || o.disable || o.session[c.Value] == nil || o.session[c.Value].over {
		return nil
	}
	return o.session[c.Value]
}

func (o *op) holds(l *live) bool {
	return l != nil && !l.dead && !*l.family && !o.disable && !l.s.over && l.version == l.s.version && (l.until.IsZero() || time.Now().Before(l.until))
}

// authenticated undoes the form encoding of RFC 6749 section 2.3.1.
func authenticated(r *http.Request) bool {
	id, sec, _ := r.BasicAuth()
	id, err1 := url.QueryUnescape(id)
	sec, err2 := url.QueryUnescape(sec)
	return err1 == nil && err2 == nil && id == "fleet-web" && sec == "app secret"
}

func (o *op) token(w http.ResponseWriter, r *http.Request) {
	if !authenticated(r) {
		answer(w, 401, map[string]string{"error": "invalid_client"})
		return
	}
	var l *live
	if r.PostForm.Get("grant_type") == "refresh_token" {
		raw := r.PostForm.Get("refresh_token")
		if was := o.used[raw]; was != nil {
			*was.family = true
		}
		if l = o.tokens[raw]; !o.holds(l) {
			no(w, "invalid_grant")
			return
		}
		delete(o.tokens, raw)
		o.used[raw] = l
	} else {
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		l = o.codes[r.PostForm.Get("code")]
		delete(o.codes, r.PostForm.Get("code"))
		if !o.holds(l) || l.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) || l.redirect != r.PostForm.Get("redirect_uri") {
			no(w, "invalid_grant")
			return
		}
	}
	o.mint(w, l)
}

func (o *op) mint(w http.ResponseWriter, l *live) {
	now := time.Now()
	access, refresh := "at-"+rand.Text(), "rt-"+rand.Text()
	a, f := *l, *l
	a.until = now.Add(o.life)
	o.tokens[access], o.tokens[refresh] = &a, &f
	claims := map[string]any{"iss": o.server.URL, "aud": "fleet-web", "sub": "per_1", "sid": l.s.sid, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"nonce": l.nonce, "name": "Kim Oakes", "active_grant": claim(l.grant)}
	if o.nonce != "" {
		claims["nonce"] = o.nonce
	}
	id, err := jwt.Signed(o.signer).Claims(claims).Serialize()
	if err != nil {
		o.t.Error(err)
	}
	answer(w, 200, map[string]any{"access_token": access, "refresh_token": refresh, "id_token": id, "token_type": "Bearer",
		"expires_in": int(o.life / time.Second), "scope": "openid " + grants[l.grant]["opens"].(string)})
}

func (o *op) introspect(w http.ResponseWriter, r *http.Request) {
	l := o.tokens[r.PostForm.Get("token")]
	if !o.holds(l) || o.deny {
		answer(w, 200, map[string]any{"active": false})
		return
	}
	answer(w, 200, map[string]any{"active": true, "sub": "per_1", "sid": l.s.sid, "scope": "openid " + grants[l.grant]["opens"].(string), "active_grant": claim(l.grant)})
}

func (o *op) bearer(r *http.Request) *live {
	l := o.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !o.holds(l) {
		return nil
	}
	return l
}

func (o *op) grants(w http.ResponseWriter, r *http.Request) {
	l := o.bearer(r)
	if l == nil {
		answer(w, 401, map[string]string{"error": "invalid_token"})
		return
	}
	list := []map[string]any{}
	for _, id := range slices.Sorted(func(yield func(string) bool) {
		for id := range grants {
			if !yield(id) {
				return
			}
		}
	}) {
		g := claim(id)
		g["active"] = id == l.grant
		list = append(list, g)
	}
	answer(w, 200, map[string]any{"grants": list})
}

func (o *op) userinfo(w http.ResponseWriter, r *http.Request) {
	if o.bearer(r) == nil {
		answer(w, 401, map[string]string{"error": "invalid_token"})
		return
	}
	answer(w, 200, map[string]string{"sub": "per_1", "email": "kim@southern.example"})
}

func (o *op) revoke(w http.ResponseWriter, r *http.Request) {
	if l := o.tokens[r.PostForm.Get("token")]; l != nil {
		*l.family = true
	}
	w.WriteHeader(http.StatusOK)
}

func (o *op) endSession(w http.ResponseWriter, r *http.Request) {
	if s := o.browser(r); s != nil {
		s.over = true
	}
	q := r.URL.Query()
	to := q.Get("post_logout_redirect_uri")
	if s := q.Get("state"); s != "" {
		to += "?state=" + s
	}
	http.Redirect(w, r, to, http.StatusFound)
}

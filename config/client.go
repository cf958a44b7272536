package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// maxSecret bounds a file that a secret stands in.
const maxSecret = 4 << 10

// maxRefresh is how long a refresh family may live.
const maxRefresh = 90 * 24 * time.Hour

func (l *loader) clients(root block) []Client {
	f, ok := root.get("clients")
	if !ok {
		return nil
	}
	var clients []Client
	ids := taken{}
	for _, item := range f.items() {
		c, ok := l.client(item)
		if ok {
			ids.claim(string(c.ID), item, "id", "client has the id")
		}
		clients = append(clients, c)
	}
	return clients
}

func (l *loader) client(f field) (Client, bool) {
	b, ok := f.open("id", "name", "public", "secret", "secret_file", "secret_env", "jwks_file", "jwks_uri", "redirect_uris",
		"post_logout_redirect_uris", "origins", "backchannel_logout_uri", "frontchannel_logout_uri", "grant_types", "grants", "scopes",
		"service_scopes", "signals_of_everybody", "offline_access", "resources", "insecure_no_pkce", "require_par", "require_dpop", "consent", "audience",
		"id_token_alg", "access_token_alg", "access_token", "refresh", "pairwise_sector")
	if !ok {
		return Client{}, false
	}
	c := Client{Client: oidc.Client{ID: access.ClientID(b.needText("id")), Name: b.needText("name")}}
	b.clientPlaces(&c.Client)
	b.clientRights(&c.Client)
	b.clientTokens(&c.Client)
	if id, ok := b.get("id"); ok && !plainID(string(c.ID)) {
		id.say("an id is made of letters, digits, hyphens, dots and underscores, at most 64")
	}
	if id, ok := b.get("id"); ok && credential.NamesSCIMClient(string(c.ID)) {
		id.say("ids that begin so are made by the bridge, for SCIM clients")
	}
	l.clientProof(b, &c)
	b.clientSense(c.Client)
	return c, c.ID != ""
}

// clientPlaces reads where an application lives.
func (b block) clientPlaces(c *oidc.Client) {
	c.RedirectURIs, c.PostLogoutRedirectURIs = b.redirects("redirect_uris"), b.redirects("post_logout_redirect_uris")
	c.Origins = b.origins("origins")
	c.BackchannelLogoutURI, c.FrontchannelLogoutURI = b.address("backchannel_logout_uri"), b.address("frontchannel_logout_uri")
}

// clientRights reads what an application may ask for, and how.
func (b block) clientRights(c *oidc.Client) {
	c.GrantTypes = b.among("grant_types", "grant type", oidc.GrantTypes())
	c.Grants, c.OAuthScopes = b.grants("grants"), b.workflows("scopes")
	c.ServiceScopes = b.among("service_scopes", "scope of a service", oidc.ServiceScopes())
	c.Offline, c.Resources = b.truth("offline_access"), b.resources("resources")
	c.SignalsWide = b.truth("signals_of_everybody")
	c.InsecureNoPKCE, c.RequirePAR = b.truth("insecure_no_pkce"), b.truth("require_par")
	c.RequireDPoP, c.Consent = b.truth("require_dpop"), b.truth("consent")
	for i, g := range c.Grants {
		if g.Known() && !g.MaySignIn() {
			at, _ := b.get("grants")
			at.items()[i].say("%s never signs in", g)
		}
	}
}

// clientTokens reads what an application's tokens are like.
func (b block) clientTokens(c *oidc.Client) {
	c.Audience, c.Sector = b.text("audience"), b.text("pairwise_sector")
	c.IDTokenAlg, c.AccessTokenAlg = b.oneOf("id_token_alg", "ES256", "RS256"), b.oneOf("access_token_alg", "ES256", "RS256")
	c.AccessTokenLife = b.duration("access_token", 0, credential.MaxLife)
	c.RefreshLife = b.duration("refresh", 0, maxRefresh)
	if at, ok := b.get("pairwise_sector"); ok && (c.Sector == "" || !plainID(strings.ToLower(c.Sector)) || strings.ToLower(c.Sector) != c.Sector) {
		at.say("a sector is a host name in lower case, such as fleet.example")
	}
}

// clientProof reads how an application proves that it is itself: by a secret, by its
// keys, or not at all.
func (l *loader) clientProof(b block, c *Client) {
	public := b.truth("public")
	var has bool
	if c.Secret, has = l.secret(b, "secret"); has {
		c.SecretDigest = credential.DigestOf(c.Secret.Reveal())
	}
	c.Trust = l.signedBy(b, "")
	switch {
	case public && (has || !c.Trust.Empty()):
		b.say("a public client has no secret and no keys")
	case has && !c.Trust.Empty():
		b.say("a client has a secret or keys, not both")
	case !public && !has && c.Trust.Empty():
		b.say("a client needs secret_env or secret_file, jwks_uri or jwks_file, or public: true if it can keep neither")
	}
}

// clientSense reports what does not go together.
func (b block) clientSense(c oidc.Client) {
	signsIn := c.MayUse(oidc.GrantTypeCode)
	if at, ok := b.get("redirect_uris"); signsIn && len(c.RedirectURIs) == 0 {
		if ok {
			at.say("redirect_uris is empty: nobody could come back from signing in")
		} else {
			b.say("redirect_uris is missing")
		}
	}
	if at, ok := b.get("insecure_no_pkce"); ok && c.InsecureNoPKCE && c.Public() {
		at.say("a public client cannot go without PKCE: nothing else would protect its codes")
	}
	if at, ok := b.get("service_scopes"); ok && c.Public() {
		at.say("a public client has nothing for itself: everybody could take it")
	}
	if at, ok := b.get("signals_of_everybody"); ok && c.SignalsWide && !slices.Contains(c.ServiceScopes, oidc.ScopeSignalsRead) && !slices.Contains(c.ServiceScopes, oidc.ScopeSignalsManage) {
		at.say("it hears of nobody without ssf.read or ssf.manage in service_scopes")
	}
	if at, ok := b.get("service_scopes"); ok && !c.MayUse(oidc.GrantTypeClientCredentials) {
		at.say("they are had by client_credentials, which grant_types does not list")
	}
}

func plainID(s string) bool {
	if s == "" {
		return true // said already
	}
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
	})
}

func (b block) redirects(name string) []string {
	return b.each(name, func(s string) string {
		if err := oidc.CheckRedirectURI(s); err != nil {
			return err.Error() // not s, which may carry a password
		}
		return ""
	})
}

// origins reads a list of web origins: what a browser sends as Origin, byte for byte.
func (b block) origins(name string) []string {
	return b.each(name, func(s string) string {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != s || strings.ToLower(s) != s || u.Scheme != "https" && !IsLoopbackURL(s) {
			return "an origin is https:// with a host in lower case, and a port if it is not 443, without a path; http only on this machine"
		}
		return ""
	})
}

// resources reads a list of absolute URIs (RFC 8707 section 2).
func (b block) resources(name string) []string {
	return b.each(name, func(s string) string {
		if u, err := url.Parse(s); err != nil || !u.IsAbs() || strings.ContainsAny(s, "# \t") || len(s) > maxResource {
			return fmt.Sprintf("a resource is an absolute URI without a fragment, at most %d bytes", maxResource)
		}
		return ""
	})
}

// maxResource bounds a resource's URI in bytes.
const maxResource = 512

// each reads a list of texts that are all different; wrong says what is wrong with one.
func (b block) each(name string, wrong func(string) string) []string {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	var all []string
	for _, item := range f.items() {
		s, ok := item.text()
		if !ok {
			continue
		}
		if why := wrong(s); why != "" {
			item.say("%s", why)
		}
		if slices.Contains(all, s) {
			item.say("%q is listed twice", s)
		}
		all = append(all, s)
	}
	return all
}

// among reads a list whose members are known; what it is of stands in the messages.
func (b block) among(name, what string, known []string) []string {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	var all []string
	for _, item := range f.items() {
		s, ok := item.text()
		if ok && !slices.Contains(known, s) {
			item.hint(suggest.Closest(s, known), "%q is not a %s; there are %s", s, what, strings.Join(known, ", "))
		}
		all = append(all, s)
	}
	return all
}

// grants reads a list of grants; unknown ones are reported and kept out.
func (b block) grants(name string) []access.Grant {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	var all []access.Grant
	var names []string
	for _, g := range access.Grants() {
		names = append(names, string(g))
	}
	for _, item := range f.items() {
		s, ok := item.text()
		if ok && !access.Grant(s).Known() {
			item.hint(suggest.Closest(s, names), "%q is not a grant; there are %s", s, strings.Join(names, ", "))
		}
		all = append(all, access.Grant(s)) // kept, so that places in the two lists agree
	}
	return all
}

func (b block) workflows(name string) []string {
	var known []string
	for _, w := range access.Workflows() {
		known = append(known, string(w))
	}
	return b.among(name, "workflow", known)
}

// secret reads name, name_file or name_env: one of the three. A literal is only
// allowed while the bridge serves nobody but this machine.
func (l *loader) secret(b block, name string) (secret.String, bool) {
	var found []field
	for _, k := range []string{name, name + "_file", name + "_env"} {
		if f, ok := b.get(k); ok {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return secret.String{}, false
	}
	if len(found) > 1 {
		found[1].say("there is a secret already, %s", strings.TrimPrefix(found[0].path, b.path+"."))
		return secret.String{}, true
	}
	text, err := l.reveal(found[0], name)
	if err != nil {
		found[0].say("%v", err)
	}
	return secret.New(text), true
}

func (l *loader) reveal(f field, name string) (string, error) {
	text, ok := f.text()
	if !ok {
		return "", nil // said already
	}
	switch _, key, _ := cutLast(f.path); key {
	case name:
		if !l.loopback {
			return "", fmt.Errorf("a secret does not stand in the file; use %s_file or %s_env (literals are for public_url on this machine)", name, name)
		}
		return text, nil
	case name + "_env":
		v, set := l.env.get(text)
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set", text)
		}
		return v, nil
	}
	data, err := l.read(text)
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", err)
	}
	v := strings.TrimRight(string(data), "\r\n")
	if v == "" || len(v) > maxSecret {
		return "", fmt.Errorf("the file %s is empty, or longer than %d KiB", text, maxSecret>>10)
	}
	return v, nil
}

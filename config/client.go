package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// maxSecret bounds a file that a secret stands in.
const maxSecret = 4 << 10

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
	b, ok := f.open("id", "name", "public", "secret", "secret_file", "secret_env", "redirect_uris",
		"post_logout_redirect_uris", "audience", "grants", "scopes", "id_token_alg")
	if !ok {
		return Client{}, false
	}
	c := Client{
		ID: access.ClientID(b.needText("id")), Name: b.needText("name"), Public: b.truth("public"),
		Audience: b.text("audience"), IDTokenAlg: b.oneOf("id_token_alg", "ES256", "RS256"),
		RedirectURIs: b.redirects("redirect_uris"), PostLogoutRedirectURIs: b.redirects("post_logout_redirect_uris"),
		Grants: b.grants("grants"), OAuthScopes: b.workflows("scopes"),
	}
	if id, ok := b.get("id"); ok && !plainID(string(c.ID)) {
		id.say("an id is made of letters, digits, hyphens, dots and underscores, at most 64")
	}
	if id, ok := b.get("id"); ok && credential.NamesSCIMClient(string(c.ID)) {
		id.say("ids that begin so are made by the bridge, for SCIM clients")
	}
	if _, ok := b.need("redirect_uris"); ok && len(c.RedirectURIs) == 0 {
		b.say("redirect_uris is empty: nobody could come back from signing in")
	}
	for i, g := range c.Grants {
		if g.Known() && !g.MaySignIn() {
			at, _ := b.get("grants")
			at.items()[i].say("%s never signs in", g)
		}
	}
	var has bool
	c.Secret, has = l.secret(b, "secret")
	switch {
	case c.Public && has:
		b.say("a public client has no secret")
	case !c.Public && !has:
		b.say("a client needs secret_env or secret_file, or public: true if it cannot keep one")
	}
	return c, c.ID != ""
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
		if err := oidc.CheckRedirectURI(s); err != nil {
			item.say("%v", err) // not s, which may carry a password
		}
		if slices.Contains(all, s) {
			item.say("%q is listed twice", s)
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
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	var known []string
	for _, w := range access.Workflows() {
		known = append(known, string(w))
	}
	var all []string
	for _, item := range f.items() {
		s, ok := item.text()
		if ok && !slices.Contains(known, s) {
			item.hint(suggest.Closest(s, known), "%q is not a workflow; there are %s", s, strings.Join(known, ", "))
		}
		all = append(all, s)
	}
	return all
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

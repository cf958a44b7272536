package config

import (
	"net/url"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
)

// maxAudiences bounds federation.audience; public material states three.
const maxAudiences = 8

// signedBy reads whose signed word opens a connection over SCIM.
func (l *loader) signedBy(b block, idp string) assertion.Trust {
	t := assertion.Trust{KeysURI: b.address("jwks_uri")}
	if at, ok := b.get("jwks_file"); ok {
		t.Keys = l.keysIn(at)
	}
	if at, ok := b.get("jwks_file"); ok && t.KeysURI != "" {
		at.say("there are keys already, at jwks_uri; give one of the two")
	}
	if at, ok := b.get("federation"); ok {
		t.Federation = l.federation(at, idp)
	}
	return t
}

func (l *loader) keysIn(f field) []assertion.Key {
	path, ok := f.text()
	if !ok {
		return nil
	}
	data, err := l.read(path)
	if err != nil {
		f.say("the file cannot be read: %v", err)
		return nil
	}
	keys, err := assertion.ParseKeys(data)
	if err != nil {
		f.say("%s: %v", path, err)
	}
	return keys
}

// federation reads the one identity of another issuer that is believed.
func (l *loader) federation(f field, idp string) *assertion.Federation {
	b, ok := f.open("issuer", "subject", "audience", "tenant_id", "object_id", "authorized_party", "version", "jwks_uri")
	if !ok {
		return nil
	}
	t := &assertion.Federation{Issuer: b.needText("issuer"), Subject: b.needText("subject"), Audiences: b.texts("audience"), TenantID: b.text("tenant_id"),
		ObjectID: b.text("object_id"), AuthorizedParty: b.text("authorized_party"), Version: b.text("version"), KeysURI: b.address("jwks_uri")}
	b.address("issuer")
	if at, ok := b.need("audience"); ok && (len(t.Audiences) == 0 || len(t.Audiences) > maxAudiences) {
		at.say("name the exact audience of the tokens, or up to %d of them", maxAudiences)
	}
	issuer, err := url.Parse(t.Issuer)
	if err != nil || t.Issuer == "" {
		return t // said already
	}
	isEntra := issuer.Host == "login.microsoftonline.com" || issuer.Host == "sts.windows.net"
	if t.TenantID == "" && (isEntra || idp == "entra") {
		b.say("tenant_id is missing: Entra's issuers sign for every directory with the same keys")
	} else if at, ok := b.get("issuer"); ok && isEntra && !strings.Contains(issuer.Path, "/"+t.TenantID+"/") {
		at.say("the issuer does not name the directory %s of tenant_id", t.TenantID)
	}
	switch {
	case t.KeysURI != "":
	case isEntra:
		t.KeysURI = "https://login.microsoftonline.com/" + t.TenantID + "/discovery/v2.0/keys"
	default:
		b.say("jwks_uri is missing: where the issuer publishes its keys")
	}
	return t
}

// address reads an optional URL that the bridge will call or compare.
func (b block) address(name string) string {
	f, ok := b.get(name)
	if !ok {
		return ""
	}
	s, ok := f.text()
	if !ok {
		return ""
	}
	if _, err := checkURL(s); err != nil {
		f.say("%v", err)
	}
	return s
}

package config

import (
	"cmp"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

// SubjectClaim is the claim that means a person for good, unless the file names
// another.
func SubjectClaim(idp string) string {
	d, _ := dialect.Named(idp)
	return d.SubjectClaim
}

func (l *loader) signIn(f field, idp string) *SignIn {
	b, ok := f.open("issuer", "client_id", "client_secret", "client_secret_file", "client_secret_env", "subject_claim", "tenant_id",
		"scopes", "prompt", "acr_values", "require_acr", "require_amr", "auth_time_claim", "insecure_auth_time_from_iat", "probe", "probe_grace", "revocation")
	if !ok {
		return nil
	}
	s := &SignIn{Issuer: b.needText("issuer"), ClientID: b.needText("client_id"), SubjectClaim: b.text("subject_claim"), TenantID: b.text("tenant_id")}
	if at, ok := b.get("issuer"); ok && s.Issuer != "" {
		if u, err := checkURL(s.Issuer); err != nil {
			at.say("%v", err)
		} else if u.RawQuery != "" {
			at.say("an issuer has no query")
		}
	}
	var has bool
	if s.ClientSecret, has = l.secret(b, "client_secret"); !has {
		b.say("client_secret_env or client_secret_file is missing")
	}
	if s.SubjectClaim == "" {
		s.SubjectClaim = SubjectClaim(idp)
	}
	if s.SubjectClaim == "oid" && s.TenantID == "" {
		b.say("tenant_id is missing: an oid means a person only within its directory")
	}
	b.asked(s)
	b.proof(s)
	b.probing(s)
	if at, ok := b.get("revocation"); ok {
		s.Revocation = at.revocation(s)
	}
	return s
}

// revocation reads who may ask to end all that a person has: where only an issuer is
// named, its keys are where Okta has them.
func (f field) revocation(s *SignIn) *Revocation {
	b, ok := f.open("issuer", "client_id", "jwks_uri")
	if !ok {
		return nil
	}
	b.need("issuer")
	return &Revocation{Issuer: b.address("issuer"), ClientID: cmp.Or(b.text("client_id"), s.ClientID),
		KeysURI: cmp.Or(b.address("jwks_uri"), strings.TrimSuffix(b.text("issuer"), "/")+"/oauth2/v1/keys")}
}

// probing reads how often the provider is asked about sessions.
func (b block) probing(s *SignIn) {
	const least, most = time.Minute, 24 * time.Hour
	s.Probe = b.duration("probe", 0, most)
	s.ProbeGrace = b.duration("probe_grace", 0, 30*most)
	if at, ok := b.get("probe"); ok && s.Probe > 0 && s.Probe < least {
		at.say("a provider is asked once a minute at most")
	}
	if at, ok := b.get("probe_grace"); ok && s.ProbeGrace > 0 && s.ProbeGrace < 2*s.Probe {
		at.say("this is at least twice probe: one answer may get lost")
	} else if ok && s.Probe == 0 {
		at.say("this says nothing without probe")
	}
}

// asked reads what the provider is asked for.
func (b block) asked(s *SignIn) {
	s.Scopes = b.each("scopes", func(word string) string {
		if word == "openid" || word == "offline_access" {
			return word + " is not listed here: it is asked for where it is needed"
		}
		return oneWord(word)
	})
	if _, ok := b.get("prompt"); ok {
		s.Prompt = b.oneOf("prompt", "login", "select_account")
	}
	s.ACRValues = b.each("acr_values", oneWord)
}

// proof reads what a sign-in must prove.
func (b block) proof(s *SignIn) {
	s.RequireACR, s.RequireAMR = b.each("require_acr", oneWord), b.each("require_amr", oneWord)
	s.AuthTimeClaim, s.InsecureAuthTimeFromIat = b.text("auth_time_claim"), b.truth("insecure_auth_time_from_iat")
	if at, ok := b.get("prompt"); ok && s.Prompt == "login" && s.InsecureAuthTimeFromIat {
		at.say("prompt: login cannot be proven while insecure_auth_time_from_iat is true")
	}
}

// oneWord says what is wrong with a value that travels in a list with spaces between.
func oneWord(word string) string {
	const most = 256
	if word == "" || len(word) > most || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "this is one word of at most 256 printable ASCII characters"
	}
	return ""
}

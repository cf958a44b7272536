package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
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
		"client_authentication", "assertion_audience", "scopes", "prompt", "acr_values", "require_acr", "require_amr", "auth_time_claim", "insecure_auth_time_from_iat",
		"probe", "probe_grace", "revocation", "signals")
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
	s.ClientSecret, s.Authentication = l.authentication(b, "")
	s.AssertToIssuer = b.oneOf("assertion_audience", "token_endpoint", "issuer") == "issuer"
	if at, ok := b.get("assertion_audience"); ok && s.Authentication != upstream.SignedJWT {
		at.say("this says nothing without client_authentication: private_key_jwt")
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
	if at, ok := b.get("signals"); ok {
		s.Signals = l.signals(at)
	}
	return s
}

// authentication reads how the bridge proves itself as an OAuth client: by a secret, or
// by its own keys. otherwise is what it does where nothing is said.
func (l *loader) authentication(b block, otherwise string) (secret.String, string) {
	how := otherwise
	if _, ok := b.get("client_authentication"); ok {
		how = b.oneOf("client_authentication", upstream.BasicSecret, upstream.PostSecret, upstream.SignedJWT)
	}
	word, has := l.secret(b, "client_secret")
	switch {
	case how == upstream.SignedJWT && has:
		b.secretAt("client_secret").say("with client_authentication: private_key_jwt there is no secret")
	case how != upstream.SignedJWT && !has:
		b.say("client_secret_env or client_secret_file is missing")
	}
	return word, how
}

// signals reads how security events of the provider are received.
func (l *loader) signals(f field) *Signals {
	const least, most = time.Second, time.Hour
	b, ok := f.open("issuer", "configuration_url", "delivery", "every", "bearer_secret", "bearer_secret_file", "bearer_secret_env", "client_id", "client_secret", "client_secret_file",
		"client_secret_env", "client_authentication", "token_endpoint", "scopes", "events", "on_credential_change")
	if !ok {
		return nil
	}
	b.need("issuer")
	s := &Signals{Issuer: b.address("issuer"), Push: b.oneOf("delivery", "poll", "push") == "push", Every: b.duration("every", 10*time.Second, most)}
	s.ConfigurationURL = cmp.Or(b.address("configuration_url"), inbound.MetadataAddress(s.Issuer))
	if at, ok := b.get("every"); ok && s.Push {
		at.say("this says nothing with delivery: push")
	} else if ok && s.Every < least {
		at.say("a provider is polled once a second at most")
	}
	s.EndOnCredentialChange = b.oneOf("on_credential_change", "ignore", "end_sessions") == "end_sessions"
	s.Events = b.signalEvents(s.EndOnCredentialChange)
	l.transmitterAccess(b, s)
	return s
}

// transmitterAccess reads by what the bridge proves itself to a transmitter: a token, or
// client credentials.
func (l *loader) transmitterAccess(b block, s *Signals) {
	var has bool
	s.Bearer, has = l.secret(b, "bearer_secret")
	at, client := b.get("client_id")
	switch {
	case has && client:
		at.say("there is a bearer_secret already: the provider wants one or the other")
	case has:
		return
	case !client:
		b.say("bearer_secret_env, bearer_secret_file or client_id is missing: the provider must know who asks for signals")
		return
	}
	s.ClientID = b.text("client_id")
	if _, ok := b.need("token_endpoint"); ok {
		s.TokenEndpoint = b.address("token_endpoint")
	}
	s.ClientSecret, s.Authentication = l.authentication(b, upstream.BasicSecret)
	if s.Scopes = b.each("scopes", oneWord); s.Scopes == nil {
		s.Scopes = []string{"ssf.manage", "ssf.read"}
	}
}

// signalEvents reads which events may have an effect; left out, all that have one by the
// other settings.
func (b block) signalEvents(credentials bool) (names []string) {
	all := inbound.Acceptable()
	known := slices.Sorted(maps.Keys(all))
	f, ok := b.get("events")
	if !ok {
		return slices.DeleteFunc(known, func(name string) bool { return !credentials && inbound.AboutCredentials(all[name]) })
	}
	for _, item := range f.items() {
		name, ok := item.text()
		switch {
		case ok && !slices.Contains(known, name):
			item.hint(suggest.Closest(name, known), "nothing is done about an event %q: name one of %s", name, strings.Join(known, ", "))
		case ok && inbound.AboutCredentials(all[name]) && !credentials:
			item.say("nothing is done about this without on_credential_change: end_sessions")
		case ok && slices.Contains(names, name):
			item.say("%q is listed twice", name)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		f.say("name an event, or leave the key out for all of them")
	}
	return names
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

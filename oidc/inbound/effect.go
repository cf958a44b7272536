package inbound

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// Of the names of event types, what CAEP and RISC put before the short ones.
const (
	prefixCAEP = "https://schemas.openid.net/secevent/caep/event-type/"
	prefixRISC = "https://schemas.openid.net/secevent/risc/event-type/"
)

// Event types of CAEP 1.0 and RISC 1.0 that are heard here and never sent.
const (
	CredentialChange         ssf.Type = prefixCAEP + "credential-change"
	CredentialCompromise     ssf.Type = prefixRISC + "credential-compromise"
	CredentialChangeRequired ssf.Type = prefixRISC + "account-credential-change-required"
	SessionsRevoked          ssf.Type = prefixRISC + "sessions-revoked"
)

// Acceptable are the event types that may have an effect, by the names that a
// configuration has for them.
func Acceptable() map[string]ssf.Type {
	all := map[string]ssf.Type{}
	for _, t := range []ssf.Type{ssf.SessionRevoked, SessionsRevoked, ssf.AccountDisabled, ssf.AccountPurged, CredentialChange, CredentialCompromise, CredentialChangeRequired} {
		all[nameOf(t)] = t
	}
	return all
}

// AboutCredentials reports whether an event type says that something has happened to what
// a person signs in with.
func AboutCredentials(t ssf.Type) bool {
	return t == CredentialChange || t == CredentialCompromise || t == CredentialChangeRequired
}

// nameOf is an event type's short name, by which counts and the audit trail tell it apart;
// "other" for what is not of CAEP or RISC.
func nameOf(t ssf.Type) string {
	for _, prefix := range []string{prefixCAEP, prefixRISC} {
		if name, ok := strings.CutPrefix(string(t), prefix); ok && plain(name) {
			return name
		}
	}
	return "other"
}

// plain reports whether a name is one that may be shown.
func plain(name string) bool {
	const most = 64 // bytes
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }
	return name != "" && len(name) <= most && !strings.ContainsFunc(name, odd)
}

// Effect is what an event asks for. The zero Effect is nothing.
type Effect int

// The effects.
const (
	EffectNone    Effect = iota
	EffectSession        // the session that is named ends, or all of the person's where none is
	EffectPerson         // all that the person has ends
)

// effectOf is what an event of a type asks for, where the configuration lets it.
func effectOf(t ssf.Type, c Listening) Effect {
	if !slices.Contains(c.Events, t) {
		return EffectNone
	}
	switch t {
	case ssf.SessionRevoked:
		return EffectSession
	case SessionsRevoked, ssf.AccountDisabled, ssf.AccountPurged:
		return EffectPerson
	}
	if AboutCredentials(t) && c.EndOnCredentialChange {
		return EffectPerson
	}
	return EffectNone
}

package config

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
)

// scim reads how a connection's identity provider is answered over SCIM, and whose
// signed word it may prove itself by.
func (l *loader) scim(f field, idp string) (access.SCIM, assertion.Trust) {
	b, ok := f.open("strict", "raw_token", "patched_users", "patched_groups", "networks", "unknown_members", "rate", "jwks_file", "jwks_uri", "federation", "extensions")
	if !ok {
		return access.SCIM{}, assertion.Trust{}
	}
	s := access.SCIM{
		Strict: b.truth("strict"), RawToken: b.truth("raw_token"),
		PatchedUsers: b.echo("patched_users"), PatchedGroups: b.echo("patched_groups"),
		Networks: b.networks("networks"), UnknownMembers: b.unknownMembers("unknown_members"),
		Rate: b.rate("rate", leastPerSecond),
	}
	if at, ok := b.get("extensions"); ok {
		s.UserExtensions, s.GroupExtensions = l.extensions(at)
	}
	return s, l.signedBy(b, idp)
}

// unknownMembers reads what becomes of changes that name members who do not exist.
func (b block) unknownMembers(name string) access.UnknownMembers {
	if _, there := b.get(name); !there {
		return ""
	}
	return access.UnknownMembers(b.oneOf(name, string(access.KeepUnknown), string(access.RefuseUnknown)))
}

// echo reads what a successful PATCH is answered with; missing leaves it to the dialect.
func (b block) echo(name string) access.Echo {
	if _, there := b.get(name); !there {
		return ""
	}
	return access.Echo(b.oneOf(name, string(access.EchoResource), string(access.EchoVersion)))
}

package oidc

import "slices"

// Claims are the profile and email claims that these OAuth scopes show (OpenID
// Connect Core section 5.4), by name; what is empty is left out. The ID token and
// userinfo show the same.
func (q Profile) Claims(oauthScopes []string) map[string]any {
	claims := map[string]any{}
	add := func(name, value string) {
		if value != "" {
			claims[name] = value
		}
	}
	if slices.Contains(oauthScopes, scopeProfile) {
		add("name", q.Name)
		add("given_name", q.GivenName)
		add("family_name", q.FamilyName)
		add("preferred_username", q.UserName)
		add("locale", q.Locale)
		add("zoneinfo", q.ZoneInfo)
		if !q.UpdatedAt.IsZero() {
			claims["updated_at"] = q.UpdatedAt.Unix()
		}
	}
	if slices.Contains(oauthScopes, scopeEmail) {
		add("email", q.Email)
	}
	return claims
}

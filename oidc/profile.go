package oidc

import "slices"

// Address is the address claim (OpenID Connect Core section 5.1.1).
type Address struct {
	Formatted     string `json:"formatted,omitzero"`
	StreetAddress string `json:"street_address,omitzero"`
	Locality      string `json:"locality,omitzero"`
	Region        string `json:"region,omitzero"`
	PostalCode    string `json:"postal_code,omitzero"`
	Country       string `json:"country,omitzero"`
}

// aboutPerson are the claims about a person, by the OAuth scope that shows each (OpenID
// Connect Core section 5.4), in the order of that section.
var aboutPerson = [...]struct{ claim, scope string }{
	{"name", scopeProfile}, {"given_name", scopeProfile}, {"family_name", scopeProfile}, {"preferred_username", scopeProfile},
	{"locale", scopeProfile}, {"zoneinfo", scopeProfile}, {"updated_at", scopeProfile},
	{"email", ScopeEmail}, {"phone_number", scopePhone}, {"address", scopeAddress},
}

// scopeOf is the OAuth scope that shows a claim; "" if it is not about the person.
func scopeOf(claim string) string {
	for _, a := range aboutPerson {
		if a.claim == claim {
			return a.scope
		}
	}
	return ""
}

// value is what the profile says for a claim; nil if it says nothing.
func (q Profile) value(claim string) any {
	text := map[string]string{"name": q.Name, "given_name": q.GivenName, "family_name": q.FamilyName, "preferred_username": q.UserName,
		"locale": q.Locale, "zoneinfo": q.ZoneInfo, "email": q.Email, "phone_number": q.Phone}[claim]
	switch {
	case text != "":
		return text
	case claim == "updated_at" && !q.UpdatedAt.IsZero():
		return q.UpdatedAt.Unix()
	case claim == "address" && q.Address != Address{}:
		return q.Address
	}
	return nil
}

// Claims are the claims about the person that these OAuth scopes show, and those that
// were asked for by name; what is empty is left out. The ID token and userinfo show the
// same by scope.
func (q Profile) Claims(oauthScopes, asked []string) map[string]any {
	claims := map[string]any{}
	for _, a := range aboutPerson {
		if !slices.Contains(oauthScopes, a.scope) && !slices.Contains(asked, a.claim) {
			continue
		}
		if v := q.value(a.claim); v != nil {
			claims[a.claim] = v
		}
	}
	return claims
}

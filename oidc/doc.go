// Package oidc is the OpenID Provider: authorization code with PKCE S256 only,
// refresh with rotation, introspection, revocation, userinfo, end-session and
// discovery. Each endpoint is a chain of phases; what they ask for is in ports.go.
package oidc

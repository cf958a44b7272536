package oidc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

const (
	maxResources = 8   // of one authorization request
	maxResource  = 512 // bytes
)

// MayTarget reports whether the client's access tokens may be for a resource: its own
// audience, or one that it is registered for.
func (c Client) MayTarget(resource string) bool {
	return resource == c.TokenAudience() || slices.Contains(c.Resources, resource)
}

// all are the values of a parameter that may repeat, those without a value left out.
func (f form) all(name string) (values []string) {
	for _, p := range f {
		if p.name == name && p.value != "" {
			values = append(values, p.value)
		}
	}
	return values
}

// readResources reads whom the access tokens of a sign-in may be for (RFC 8707 section
// 2.1). The first is the one that a token is for if its request names none.
func readResources(f form, c Client, req *hot.AuthRequest) error {
	named := f.all("resource")
	if len(named) > maxResources {
		return noTarget("At most eight resources can be named.")
	}
	for _, r := range named {
		if !isResource(r) || !c.MayTarget(r) {
			return noTarget("A resource is an absolute URI without a fragment, and one that this application is registered for.")
		}
		if !slices.Contains(req.Resources, r) {
			req.Resources = append(req.Resources, r)
		}
	}
	return nil
}

func isResource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && len(s) <= maxResource && !strings.ContainsAny(s, "# ")
}

// target is the one resource that a token request names, "" if none: an access token
// has one audience (RFC 8707 section 2.2). A token exchange may call it audience (RFC
// 8693 section 2.1).
func (f form) target(c Client, names ...string) (string, error) {
	var named []string
	for _, name := range names {
		named = append(named, f.all(name)...)
	}
	named = slices.Compact(named)
	switch {
	case len(named) == 0:
		return "", nil
	case len(named) > 1:
		return "", noTarget("An access token is for one resource: ask for one at a time.")
	case len(named[0]) > maxResource || !c.MayTarget(named[0]):
		return "", noTarget("This application is not registered for that resource.")
	}
	return named[0], nil
}

func noTarget(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_target", Description: description}
}

package scim

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// path is a request's path, cut at the slashes that were really there.
type path struct {
	connection string
	collection string // "Users"; "" at the connection's base
	item       string // decoded; "" on the collection
	hasItem    bool
}

// parsePath reads the path as it was sent. Fixed segments are compared as written,
// so an encoded slash, dot or percent sign in one matches no route; only the last
// segment is decoded, once.
func parsePath(r *http.Request) (path, error) {
	escaped := r.URL.EscapedPath()
	if len(escaped)+len(r.URL.RawQuery) > maxTarget {
		return path{}, &Error{Status: http.StatusRequestURITooLong, Detail: "The path and query are longer than 64 KiB."}
	}
	rest, ok := strings.CutPrefix(escaped, Prefix)
	if !ok || rest == "" {
		return path{}, &Error{Status: http.StatusNotFound, Detail: "A SCIM base URL looks like " + Prefix + "{connection}."}
	}
	var p path
	p.connection, rest, _ = strings.Cut(rest, "/")
	rest = strings.TrimSuffix(rest, "/")
	p.collection, p.item, p.hasItem = strings.Cut(rest, "/")
	return p, nil
}

// route finds what to do. It runs only after the credential has been checked.
func (s *Server) route(c *call) (action, error) {
	if err := accepts(c.r.Header["Accept"]); err != nil && c.path.collection != asyncSegment {
		return nil, err
	}
	pattern := c.path.collection
	if search := pattern + "/" + searchSegment; c.path.item == searchSegment && s.routes[search] != nil {
		pattern = search
	} else if c.path.hasItem {
		item, err := decodeItem(c.path.item)
		if err != nil {
			return nil, err
		}
		c.path.item = item
		pattern += "/*"
	}
	at, found := s.routes[pattern]
	if !found {
		return nil, noRoute(c.path.collection)
	}
	c.resource = c.path.collection
	do, found := at[c.r.Method]
	if !found {
		c.w.Header().Set("Allow", allow(at))
		return nil, &Error{Status: http.StatusMethodNotAllowed, Detail: "This address takes " + allow(at) + "."}
	}
	return do, nil
}

func allow(at methods) string { return strings.Join(slices.Sorted(maps.Keys(at)), ", ") }

// decodeItem decodes the last segment once. Ids and URNs are made of letters,
// digits and "_-.:"; anything else names nothing here.
func decodeItem(segment string) (string, error) {
	const longest = 256
	item, err := url.PathUnescape(segment)
	if err != nil || len(item) > longest || strings.Trim(item, ".") == "" || strings.IndexFunc(item, foreign) >= 0 {
		return "", NotFound(segment)
	}
	return item, nil
}

func foreign(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !letter && (r < '0' || r > '9') && !strings.ContainsRune("_-.:", r)
}

// noRoute says of the parts of the protocol that are not offered that they are
// not (RFC 7644 section 3.11 asks for 501 at /Me), and of the rest that it is not there.
func noRoute(collection string) error {
	switch collection {
	case meSegment:
		return NotImplemented("/Me is a person to their own access token; a connection's credential stands for nobody. Use Users.")
	}
	return &Error{Status: http.StatusNotFound,
		Detail: "There is no such address; try Users, Groups, Roles, Entitlements, ServiceProviderConfig, ResourceTypes or Schemas."}
}

// accepts refuses a client that says it cannot read JSON. No Accept means any.
func accepts(header []string) error {
	if len(header) == 0 || (len(header) == 1 && acceptable(header[0])) {
		return nil
	}
	for _, line := range header {
		for option := range strings.SplitSeq(line, ",") {
			if acceptable(option) {
				return nil
			}
		}
	}
	return &Error{Status: http.StatusNotAcceptable, Detail: "Answers are " + contentType + "; accept that, application/json or */*."}
}

func acceptable(option string) bool {
	name, params, _ := strings.Cut(option, ";")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case contentType, "application/json", "application/*", "*/*", "":
		return strings.ReplaceAll(params, " ", "") != "q=0"
	}
	return false
}

package oidc

import (
	"net/url"
)

// maxFrames bounds how many applications one page tells. Those beyond it are told as
// all others are, without the browser.
const maxFrames = 20

// FrontchannelLogouts are the addresses that a browser opens so that applications hear
// of a sign-out: each client's own, with iss and sid (OpenID Connect Front-Channel
// Logout 1.0 section 2).
func FrontchannelLogouts(issuer string, reached []Reached) []string {
	var frames []string
	for _, c := range reached {
		if c.FrontchannelLogoutURI == "" || len(frames) == maxFrames {
			continue
		}
		u, err := url.Parse(c.FrontchannelLogoutURI)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			continue // the configuration accepts no such address
		}
		q := u.Query()
		q.Set("iss", issuer)
		q.Set("sid", c.Session)
		u.RawQuery = q.Encode()
		frames = append(frames, u.String())
	}
	return frames
}

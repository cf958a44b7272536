package scimtest

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is how many bytes of a body a report shows.
const maxShown = 2 << 10

// sentText is a request for the report. The credential is never part of it.
func (c *client) sentText(q request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s\n", q.method, c.base.Path, q.target)
	for _, name := range []string{"Authorization", "Accept", "Content-Type", "If-Match", "If-None-Match"} {
		for _, value := range q.header[name] {
			if name == "Authorization" {
				value = "[redacted]"
			}
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return c.clean(b.String(), q.body)
}

// receivedText is an answer for the report.
func (c *client) receivedText(r *reply) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", r.status, http.StatusText(r.status))
	for _, name := range []string{"Content-Type", "Location", "Etag", "Www-Authenticate", "Allow", "Retry-After"} {
		for _, value := range r.header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, clip(value, 300))
		}
	}
	return c.clean(b.String(), r.body)
}

// clean joins head and body, takes the token out wherever a server echoes it, and
// leaves nothing that a terminal would obey.
func (c *client) clean(head string, body []byte) string {
	text := head
	if len(body) > 0 {
		text += "\n" + string(body)
	}
	return printable(clip(c.redact(text), maxShown))
}

func (c *client) redact(text string) string {
	return strings.ReplaceAll(text, c.token, "[redacted]")
}

// printable replaces what is not text: a hostile server must not write to the
// terminal or break an XML report.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
}

// clip shortens a text to at most so many bytes, and says so.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:cut], len(text)-cut)
}

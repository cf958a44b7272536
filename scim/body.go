package scim

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// body reads a request's body, whole and bounded.
func body(c *call, most int64) ([]byte, error) {
	if err := isJSON(c.r.Header); err != nil {
		return nil, err
	}
	if c.r.ContentLength > most {
		return nil, tooLong(most)
	}
	b := make([]byte, 0, max(c.r.ContentLength+1, 512))
	limited := http.MaxBytesReader(c.w, c.r.Body, most)
	for {
		n, err := limited.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			c.sent(b)
			c.bytes += len(b)
			return b, nil
		}
		if err != nil {
			return nil, unreadable(err, most)
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

func unreadable(err error, most int64) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return tooLong(most)
	}
	e := Invalid(TypeInvalidSyntax, "The request body ended before it was complete.")
	e.Err = err
	return e
}

func tooLong(most int64) error {
	return TooLarge(fmt.Sprintf("The request body is larger than %d bytes; send less in one request.", most))
}

// isJSON accepts the two media types of RFC 7644 section 3.1, in UTF-8.
func isJSON(h http.Header) error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return unsupportedMedia("Send the body without a Content-Encoding.")
	}
	switch sent := h.Get("Content-Type"); sent {
	case contentType, "application/json":
		return nil
	default:
		media, params, err := mime.ParseMediaType(sent)
		utf8 := params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8") || strings.EqualFold(params["charset"], "utf8")
		if err != nil || !utf8 || (media != contentType && media != "application/json") {
			return unsupportedMedia("Send the body as " + contentType + " or application/json, in UTF-8.")
		}
	}
	return nil
}

func unsupportedMedia(detail string) error {
	return &Error{Status: http.StatusUnsupportedMediaType, Detail: detail}
}

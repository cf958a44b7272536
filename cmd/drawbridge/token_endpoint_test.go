package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A token endpoint takes forms (RFC 6749 section 3.2) whatever SCIM's own addresses
// take: a server that asked for SCIM's media types there locked its clients out.
func TestATokenEndpointTakesForms(t *testing.T) {
	d := startDemo(t, t.TempDir())
	for _, media := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8"} {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"nobody"}, "client_secret": {"wrong"}}
		resp, err := http.Post(d.Issuer+"/oauth2/token", media, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close() //nolint:errcheck // nothing was asked of it
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s %s", media, resp.Status, resp.Header.Get("Content-Type"))
		}
	}
}

package bridge_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/scim"
)

// set applies the sample policy with one connection's SCIM settings changed.
func (w *world) set(c access.ConnectionID, change func(*access.SCIM)) {
	w.t.Helper()
	src := samplePolicy(w.t)
	for i := range src.Connections {
		if src.Connections[i].ID == c {
			change(&src.Connections[i].SCIM)
		}
	}
	if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
		w.t.Fatal(err)
	}
}

// TestACredentialCountsOnlyWhereItsConnectionSays: from elsewhere a good token is
// answered, byte for byte, as a wrong one; the reason is for the log alone.
func TestACredentialCountsOnlyWhereItsConnectionSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(banksia, func(s *access.SCIM) {
		s.Networks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	})
	for from, good := range map[string]bool{"203.0.113.7": true, "2001:db8::7": true, "198.51.100.1": false, "2001:db9::7": false, "": false} {
		address, _ := netip.ParseAddr(from) // "" is the address that nobody knows
		_, err := w.bridge.Open(w.ctx, scim.Caller{Connection: banksia, Bearer: w.tokens[banksia], From: address})
		if (err == nil) != good {
			t.Errorf("from %q: %v", from, err)
		}
		if err != nil && fault.ReasonOf(unwrapped(err)) != "foreign_network" {
			t.Errorf("from %q the log would say %v", from, err)
		}
		if _, err := w.bridge.Open(w.ctx, scim.Caller{Connection: southern, Bearer: w.tokens[southern], From: address}); err != nil {
			t.Errorf("another connection is limited too: %v", err)
		}
	}
	token, _ := credential.NewSCIMToken()
	wrong, elsewhere := w.knock(banksia, token.Reveal()), w.knock(banksia, w.tokens[banksia])
	if wrong.Code != 401 || elsewhere.Code != 401 || wrong.Body.String() != elsewhere.Body.String() {
		t.Errorf("a wrong token is told %d %s, one from elsewhere %d %s", wrong.Code, wrong.Body, elsewhere.Code, elsewhere.Body)
	}
}

// unwrapped is what the front wraps for the log.
func unwrapped(err error) error { return err.(*scim.Error).Err } //nolint:errorlint,forcetypeassert // made by Open

// knock asks for a connection's configuration with a bearer token, from nowhere known.
func (w *world) knock(c access.ConnectionID, bearer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/scim/v2/"+string(c)+"/ServiceProviderConfig", nil)
	r.Header.Set("Authorization", "Bearer "+bearer)
	rec := httptest.NewRecorder()
	w.scim.ServeHTTP(rec, r)
	return rec
}

package bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// chained are two bridges: people of the one sign in at the other, which is its identity
// provider and transmits to it.
type chained struct {
	*world     // the one that receives
	idp        *transmitter
	r          *inbound.Receiver
	idpSession visit
	idpPerson  string
	push       bool
	idpOrigin  string
	counted    []string
}

// toServer leads what is addressed to the other bridge to its server in this test.
type toServer struct{ server *httptest.Server }

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := url.Parse(s.server.URL)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Host = at.Host
	return s.server.Client().Transport.RoundTrip(r)
}

func newChained(t *testing.T, push bool) *chained {
	t.Helper()
	c := &chained{idp: newTransmitter(t), push: push, idpOrigin: "http://127.0.0.1:8443"}
	c.world = newWorld(t)
	c.kim()
	c.idpPerson = c.idp.person(banksia, "sam@banksia.example", "oid-sam")
	c.idp.group(banksia, "GL Geelong Managers", c.idpPerson)
	c.idpSession = c.idp.session(banksia, "oid-sam")

	keys := http.NewServeMux()
	keys.HandleFunc("GET /oauth2/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(c.idp.ring.JWKS()) })
	keys.Handle("/", c.idp.server.Config.Handler)
	front := httptest.NewServer(keys)
	t.Cleanup(front.Close)
	mux := http.NewServeMux()
	own := httptest.NewServer(mux)
	t.Cleanup(own.Close)
	c.r = inbound.NewReceiver(inbound.ReceiverConfig{Base: own.URL, Client: &http.Client{Transport: toServer{front}}, Ends: c.bridge, Streams: c.bridge, Now: c.clock.Now,
		Counted: func(_ access.ConnectionID, _, outcome string) { c.counted = append(c.counted, outcome) },
		Observe: func(_ context.Context, err error) { t.Error(err) }}, []inbound.Listening{c.listening()})
	c.r.Routes(mux)
	return c
}

func (c *chained) listening() inbound.Listening {
	return inbound.Listening{Connection: southern, SignIn: c.idpOrigin, Issuer: c.idpOrigin, Push: c.push, Every: 10 * time.Second,
		Events: []ssf.Type{ssf.SessionRevoked, ssf.AccountDisabled, ssf.AccountPurged},
		Access: inbound.Access{Metadata: inbound.MetadataAddress(c.idpOrigin), Token: secret.New("fleet-web" + canManage + canRead)}}
}

// turn lets everything that is due happen on both sides.
func (c *chained) turn() {
	c.t.Helper()
	for range 2 {
		c.clock.Add(time.Minute)
		c.idp.clock.Add(time.Minute)
		c.idp.pushed()
		c.r.Round(c.ctx)
	}
}

// signedIn is a session here that stands on the one at the other bridge, as its ID token
// names person and session.
func (c *chained) signedIn() visit {
	c.t.Helper()
	return c.saidIn(upstream.Identity{Connection: southern, Issuer: c.idpOrigin, Subject: "oid-kim", Sub: c.idp.bridge.SubjectFor(c.idp.web, access.PersonID(c.idpPerson)),
		Session: c.idp.bridge.SessionFor(c.idp.web, c.idpSession.browser.Session.ID)})
}

// TestWhatEndsAtOneBridgeEndsAtTheNext: a stream is made, verified, used and removed
// between two bridges, by push and by poll.
func TestWhatEndsAtOneBridgeEndsAtTheNext(t *testing.T) {
	t.Parallel()
	for _, push := range []bool{false, true} {
		t.Run(fmt.Sprint("push ", push), func(t *testing.T) {
			t.Parallel()
			c := newChained(t, push)
			c.turn()
			s, err := c.bridge.IdPStream(c.ctx, southern)
			if c.do(err); s.ID == "" || s.Verified.IsZero() || s.State != "" || s.Access.Token.Reveal() != "fleet-web"+canManage+canRead {
				t.Fatalf("%+v", s)
			}
			v := c.signedIn()
			c.idp.do(c.idp.bridge.SignOut(c.idp.ctx, c.idpSession.browser.Session.ID, "signed_out"))
			c.turn()
			if c.living(v) || c.endOf(v.browser) != session.EndIdPSession {
				t.Errorf("it ended with %q", c.endOf(v.browser))
			}
			c.idpSession = c.idp.session(banksia, "oid-sam")
			v = c.signedIn()
			c.idp.patchUser(banksia, c.idpPerson, `{"op":"replace","path":"active","value":false}`)
			c.turn()
			if reason := c.endOf(v.browser); c.living(v) || reason != session.EndIdPDisabled && reason != session.EndIdPSession {
				t.Errorf("it ended with %q", reason)
			}
			c.r.Prepare(nil)()
			c.clock.Add(time.Hour)
			c.r.Round(c.ctx)
			if left := c.idp.want(200, "fleet-web"+canRead, "GET", "/ssf/streams", ""); len(left) != 0 {
				t.Errorf("the stream is left: %v", left)
			}
			if all, err := c.bridge.IdPStreams(c.ctx); err != nil || len(all) != 0 {
				t.Errorf("%+v (%v)", all, err)
			}
			if want := "[nothing ended ended unknown]"; fmt.Sprint(c.counted) != want {
				t.Errorf("counted %v, not %s", c.counted, want)
			}
		})
	}
}

package deliver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/egress"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// apps are the applications of a configuration, by id.
type apps map[access.ClientID]oidc.Client

func (a apps) Client(_ context.Context, id access.ClientID) (oidc.Client, error) {
	if c, ok := a[id]; ok {
		return c, nil
	}
	return oidc.Client{}, fault.New(fault.NotFound, "test", "no such application")
}

func (a apps) SubjectFor(c oidc.Client, p access.PersonID) string {
	return string(p) + "@" + string(c.ID)
}

func (a apps) SessionFor(c oidc.Client, id session.ID) string { return string(id) + "@" + string(c.ID) }

// plainSigner says what it was asked to sign.
type plainSigner struct{}

func (plainSigner) LogoutToken(o credential.LogoutOrder) (string, error) {
	return fmt.Sprint(o.Client, " ", o.Subject, " ", o.Session, " ", o.JTI, " ", o.Alg, " ", o.Reason, " ", o.Now.Unix()), nil
}

// receiving makes a receiver and a sender to it that waits for 200 ms at most.
func receiving(t *testing.T, h http.HandlerFunc) Logouts {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Logouts{Applications: apps{"fleet": {ID: "fleet", BackchannelLogoutURI: s.URL + "/logout", IDTokenAlg: "RS256"}, "silent": {ID: "silent"}}, Signer: plainSigner{},
		HTTP: egress.New(egress.Options{InsecureAllowLoopback: true, Timeout: 200 * time.Millisecond}), Now: func() time.Time { return day }}
}

func logoutOf(client string) store.Delivery {
	return store.Delivery{Receiver: logoutPrefix + client, Kind: KindLogout, JTI: "lgo_1", Body: []byte(`{"sid":"ses_1","person":"per_1","reason":"deactivated"}`)}
}

// OpenID Connect Back-Channel Logout 1.0 section 2.5: a POST with the token alone.
func TestALogoutIsAFormWithTheTokenAlone(t *testing.T) {
	var got string
	l := receiving(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)
	})
	if err := l.Send(t.Context(), logoutOf("fleet")); err != nil {
		t.Fatal(err)
	}
	if want := "POST application/x-www-form-urlencoded logout_token=fleet+per_1%40fleet+ses_1%40fleet+lgo_1+RS256+deactivated+1795770000"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatAnAnswerToALogoutMeans(t *testing.T) {
	status := func(code int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name    string
		answers http.HandlerFunc
		want    string // "done", "refused", "later" with what was asked for, or "again"
		says    string
	}{
		{"200", status(200, "bye"), "done", ""},
		{"204", status(204, ""), "done", ""},
		{"400", status(400, `{"error":"invalid_request","error_description":"no such session"}`+"\n"), "refused", `the receiver answered 400: {"error":"invalid_request","error_description":"no such session"}`},
		{"404", status(404, ""), "later 0s", "the receiver answered 404"},
		{"429", status(429, "", "Retry-After", "120"), "later 2m0s", "429"},
		{"503 until", status(503, "", "Retry-After", day.Add(time.Hour).Format(http.TimeFormat)), "later 1h0m0s", "503"},
		{"500 with a huge body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			for range 64 {
				_, _ = w.Write(make([]byte, 64<<10))
			}
		}, "later 0s", "500"},
		{"a redirect", status(302, "", "Location", "http://169.254.169.254/latest/meta-data"), "again", "redirect"},
		{"a reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "again", ""},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }, "again", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := receiving(t, c.answers).Send(t.Context(), logoutOf("fleet"))
			got := "again"
			switch e := err.(type) { //nolint:errorlint // as they are returned
			case nil:
				got = "done"
			case *Refused:
				got = "refused"
			case *Later:
				got = "later " + e.After.String()
			}
			if got != c.want || err != nil && !strings.Contains(reasonOf(err), c.says) {
				t.Errorf("%s: %v", got, err)
			}
		})
	}
}

// The egress guard holds for receivers as for everybody.
func TestALogoutDoesNotGoToPrivateAddresses(t *testing.T) {
	var reached atomic.Bool
	l := receiving(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	l.HTTP = egress.New(egress.Options{})
	if err := l.Send(t.Context(), logoutOf("fleet")); !fault.Is(err, fault.Denied) || reached.Load() {
		t.Errorf("reached %t: %v", reached.Load(), err)
	}
}

func TestAnApplicationThatIsNoMoreIsToldNothing(t *testing.T) {
	l := receiving(t, func(http.ResponseWriter, *http.Request) { t.Error("it was told") })
	for _, client := range []string{"gone", "silent"} {
		var no *Refused
		if err := l.Send(t.Context(), logoutOf(client)); !asRefused(err, &no) || !no.Gone {
			t.Errorf("%s: %v", client, err)
		}
	}
}

func asRefused(err error, no **Refused) (ok bool) {
	*no, ok = err.(*Refused) //nolint:errorlint // as it is returned
	return ok
}

// For an hour an application answers nothing but errors, over HTTP; then it hears all, in order.
func TestAnApplicationThatFailsForAnHourHearsAllAfterwards(t *testing.T) {
	b := newBench(t)
	var heard []string
	var up atomic.Bool
	l := receiving(t, func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		heard = append(heard, strings.Fields(r.PostFormValue("logout_token"))[3])
	})
	l.Now = b.clock
	b.w.Senders = map[string]Sender{KindLogout: l}
	b.update(func(tx *store.Tx) error {
		var all []store.Delivery
		for i := range 3 {
			d := logoutOf("fleet")
			d.JTI, d.At = fmt.Sprint("lgo_", i), b.clock()
			all = append(all, d)
		}
		return tx.PutDeliveries(all)
	})
	tries := 0
	for b.clock().Before(day.Add(time.Hour)) {
		b.work()
		tries++
		b.pass(b.receiver("logout:fleet").Next.Sub(b.clock()))
	}
	up.Store(true)
	b.work()
	if fmt.Sprint(heard) != "[lgo_0 lgo_1 lgo_2]" || tries > 16 {
		t.Errorf("heard %v after %d tries", heard, tries)
	}
}

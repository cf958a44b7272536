package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// KindLogout is a session's end, told to an application (OpenID Connect Back-Channel
// Logout 1.0).
const KindLogout = "logout"

const logoutPrefix = "logout:"

// Applications is what is asked about applications.
type Applications interface {
	// Client finds one: fault.NotFound if there is none by that id any more.
	Client(ctx context.Context, id access.ClientID) (oidc.Client, error)
	// SubjectFor is the sub that the application knows a person by.
	SubjectFor(c oidc.Client, p access.PersonID) string
	// SessionFor is the sid that the application knows a session by.
	SessionFor(c oidc.Client, id session.ID) string
}

// LogoutSigner signs logout tokens; credential.Issuer does.
type LogoutSigner interface {
	LogoutToken(o credential.LogoutOrder) (string, error)
}

// Logouts tells applications of the sessions that have ended: as translator, each that was
// signed in to under the session and has a backchannel_logout_uri, and one that was taken
// out of a session that lives on; as sender, by a logout token, signed when it is sent.
type Logouts struct {
	Applications Applications
	Signer       LogoutSigner
	HTTP         *http.Client // of internal/egress
	Now          func() time.Time
}

// ended is what a delivery says.
type ended struct {
	Session session.ID      `json:"sid"`
	Person  access.PersonID `json:"person"`
	Reason  string          `json:"reason"`
}

// ending are the events that end what an application has of a session, as a row's body
// begins.
var ending = [][]byte{beginning(event.SessionRevoked), beginning(event.SessionClientEnded)}

func beginning(t event.Type) []byte { return []byte(`{"type":"` + string(t) + `"`) }

// Translate implements outbox.Translator.
func (l Logouts) Translate(v *store.View, facts []store.OutboxRow) ([]store.Delivery, error) {
	var all []store.Delivery
	for _, row := range facts {
		if !slices.ContainsFunc(ending, func(begin []byte) bool { return bytes.HasPrefix(row.Body, begin) }) {
			continue
		}
		told, err := l.told(v, row)
		if err != nil {
			return nil, err
		}
		all = append(all, told...)
	}
	return all, nil
}

// told are the deliveries of one end.
func (l Logouts) told(v *store.View, row store.OutboxRow) ([]store.Delivery, error) {
	var e event.Event
	if err := json.Unmarshal(row.Body, &e); err != nil {
		return nil, fault.Wrap(fault.Internal, "deliver.Logouts", err)
	}
	clients, err := endedFor(v, e)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(ended{session.ID(e.Session), e.Person, e.Data["reason"]})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "deliver.Logouts", err)
	}
	var all []store.Delivery
	for _, id := range clients {
		c, err := l.Applications.Client(context.Background(), id)
		if fault.Is(err, fault.NotFound) || err == nil && c.BackchannelLogoutURI == "" {
			continue // it is no more, or does not want to know
		}
		if err != nil {
			return nil, err
		}
		all = append(all, store.Delivery{Receiver: logoutPrefix + string(id), Kind: KindLogout, JTI: credential.NewID("lgo"), Event: row.ID, Body: body, At: row.At})
	}
	return all, nil
}

// endedFor are the applications whose part of a session has ended. One that was taken out
// of it stands in the event alone: the session does not know of it any more.
func endedFor(v *store.View, e event.Event) ([]access.ClientID, error) {
	if e.Type == event.SessionClientEnded {
		return []access.ClientID{access.ClientID(e.Data["client"])}, nil
	}
	return v.SessionClients(session.ID(e.Session))
}

// Send implements Sender. 200 and 204 are done, 400 is final: the application will not
// have it (Back-Channel Logout 1.0 section 2.8). Anything else is tried again.
func (l Logouts) Send(ctx context.Context, d store.Delivery) error {
	c, err := l.Applications.Client(ctx, access.ClientID(strings.TrimPrefix(d.Receiver, logoutPrefix)))
	if fault.Is(err, fault.NotFound) || err == nil && c.BackchannelLogoutURI == "" {
		return &Refused{Why: "the application is no more, or has no backchannel_logout_uri any more", Gone: true}
	}
	if err != nil {
		return err
	}
	var said ended
	if err := json.Unmarshal(d.Body, &said); err != nil {
		return &Refused{Why: "what was to be said cannot be read: " + err.Error()}
	}
	token, err := l.Signer.LogoutToken(credential.LogoutOrder{Client: c.ID, Subject: l.Applications.SubjectFor(c, said.Person), Session: l.Applications.SessionFor(c, said.Session),
		JTI: d.JTI, Alg: c.IDTokenAlg, Reason: said.Reason, Now: l.Now()})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	answer, err := Post(ctx, l.HTTP, c.BackchannelLogoutURI, []byte(url.Values{"logout_token": {token}}.Encode()), header, l.Now())
	switch {
	case err != nil:
		return err
	case answer.Arrived():
		return nil
	case answer.Status == http.StatusBadRequest:
		return &Refused{Why: answer.Err().Error()}
	}
	return answer.Err()
}

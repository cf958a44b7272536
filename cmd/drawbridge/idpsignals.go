package main

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// listenings are the identity providers whose signals are received.
func listenings(cfg *config.Config) []inbound.Listening {
	var out []inbound.Listening
	named := inbound.Acceptable()
	for _, c := range cfg.Connections {
		if c.SignIn == nil || c.SignIn.Signals == nil {
			continue
		}
		s := c.SignIn.Signals
		l := inbound.Listening{Connection: c.ID, SignIn: c.SignIn.Issuer, Issuer: s.Issuer, Push: s.Push, Every: s.Every, EndOnCredentialChange: s.EndOnCredentialChange,
			Access: inbound.Access{Metadata: s.ConfigurationURL, Token: s.Bearer, ClientID: s.ClientID, ClientSecret: s.ClientSecret, TokenEndpoint: s.TokenEndpoint,
				Authentication: s.Authentication, OAuthScopes: s.Scopes}}
		for _, name := range s.Events {
			l.Events = append(l.Events, named[name])
		}
		out = append(out, l)
	}
	return out
}

// unverifiedFor is how long a verification that was asked for may be under way before
// doctor asks why.
const unverifiedFor = 15 * time.Minute

// examineSignals tells how the stream of a connection's signals stands, and of one that
// the configuration has forgotten and its transmitter still has.
func (a *app) examineSignals(ctx context.Context, conn access.ConnectionID, say finding) {
	s, err := a.bridge.IdPStream(ctx, conn)
	if err != nil && !fault.Is(err, fault.NotFound) {
		say(api.LevelFail, "look at the log", "%s: what is known of its stream of signals cannot be read", conn)
		return
	}
	since, failing := a.receiver.Standing(conn)
	switch listens := a.receiver.Listens(conn); {
	case !listens && s.ID != "":
		say(api.LevelWarn, "nothing, if it is there again; or delete the stream "+s.ID+" at "+s.Issuer, "%s: its signals are not configured any more; the stream %s is yet to be removed at the transmitter", conn, s.ID)
	case !listens:
	case failing != nil:
		say(api.LevelFail, "check sign_in.signals, and what the log says of it", "%s: signals: the transmitter has not done what it was asked since %s: %s", conn, since.Local().Format(time.DateTime),
			cmp.Or(fault.DetailOf(failing), fault.KindOf(failing).String()))
	case s.ID == "":
		say(api.LevelWarn, "look again in a minute", "%s: signals: there is no stream yet", conn)
	default:
		examineStream(s, time.Now(), say)
	}
}

// examineStream looks at a stream that is there.
func examineStream(s inbound.Stream, now time.Time, say finding) {
	switch {
	case s.Status != ssf.Enabled:
		say(api.LevelWarn, "ask the identity provider's administrator; it is asked to enable it every hour", "%s: signals: the stream %s is %s: %s", s.Connection, s.ID, s.Status, cmp.Or(s.Reason, "no reason was given"))
	case s.Verified.Before(s.Asked) && now.Sub(s.Asked) > unverifiedFor:
		say(api.LevelWarn, "see that what the transmitter sends arrives here, and what the log says of it", "%s: signals: a verification was asked for at %s and has not come", s.Connection, s.Asked.Local().Format(time.DateTime))
	default:
		say(api.LevelOK, "", "%s: signals: the stream %s (%s) stands; last verified: %s; last event: %s", s.Connection, s.ID, deliveredBy(s), instantOrNever(s.Verified), instantOrNever(s.Heard))
	}
}

func deliveredBy(s inbound.Stream) string {
	if s.Method == ssf.Push {
		return "pushed"
	}
	return "polled"
}

func instantOrNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

// streamsHeard tells, for each connection whose signals are received, whether its stream
// is enabled, and when something last came by it.
type streamsHeard struct {
	bridge          *bridge.Bridge
	enabled, latest *prometheus.Desc
}

func newStreamsHeard(b *bridge.Bridge) *streamsHeard {
	enabled := prometheus.Opts{Name: "drawbridge_idp_stream_enabled", Help: "1 if the stream of signals of the connection's identity provider is enabled, by connection."}
	latest := prometheus.Opts{Name: "drawbridge_idp_stream_heard_timestamp_seconds", Help: "When a signal or a verification last came from the connection's identity provider, by connection; 0: never."}
	return &streamsHeard{bridge: b, enabled: prometheus.NewDesc(enabled.Name, enabled.Help, []string{"connection"}, nil),
		latest: prometheus.NewDesc(latest.Name, latest.Help, []string{"connection"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *streamsHeard) Describe(to chan<- *prometheus.Desc) { to <- m.enabled; to <- m.latest }

// Collect implements prometheus.Collector.
func (m *streamsHeard) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	all, err := m.bridge.IdPStreams(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.enabled, err)
		return
	}
	for _, s := range all {
		enabled, latest := 0.0, 0.0
		if s.ID != "" && s.Status == ssf.Enabled {
			enabled = 1
		}
		if at := later(s.Heard, s.Verified); !at.IsZero() {
			latest = float64(at.UnixMilli()) / 1000
		}
		to <- prometheus.MustNewConstMetric(m.enabled, prometheus.GaugeValue, enabled, string(s.Connection))
		to <- prometheus.MustNewConstMetric(m.latest, prometheus.GaugeValue, latest, string(s.Connection))
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

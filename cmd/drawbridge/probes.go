package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// unproved tells, for each connection whose identity provider is asked about sessions,
// since how long it has not answered about one of them.
type unproved struct {
	bridge *bridge.Bridge
	now    func() time.Time
	desc   *prometheus.Desc
}

func newUnproved(b *bridge.Bridge) *unproved {
	o := prometheus.Opts{Name: "drawbridge_idp_unproved_seconds", Help: "How long ago the identity provider last answered about the session that waits longest, by connection."}
	return &unproved{bridge: b, now: time.Now, desc: prometheus.NewDesc(o.Name, o.Help, []string{"connection"}, nil)}
}

// Describe implements prometheus.Collector.
func (u *unproved) Describe(to chan<- *prometheus.Desc) { to <- u.desc }

// Collect implements prometheus.Collector.
func (u *unproved) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	all, err := u.bridge.Unproved(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(u.desc, err)
		return
	}
	for _, c := range all {
		to <- prometheus.MustNewConstMetric(u.desc, prometheus.GaugeValue, u.now().Sub(c.Since).Seconds(), string(c.Connection))
	}
}

// examineProbes warns of an identity provider that has not answered about a session for
// three times as long as it is usually asked.
func (a *app) examineProbes(ctx context.Context, conn access.ConnectionID, say finding) {
	every, _ := a.upstreams.Staleness(conn)
	if every <= 0 {
		return
	}
	all, err := a.bridge.Unproved(ctx)
	if err != nil {
		say(api.LevelFail, "look at the log", "%s: the sessions that its identity provider is asked about cannot be read", conn)
		return
	}
	for _, c := range all {
		silent := time.Since(c.Since).Round(time.Second)
		switch {
		case c.Connection != conn:
		case silent > 3*every:
			say(api.LevelWarn, "look at the log for bridge.Probe, and at the application's refresh tokens in the identity provider",
				"%s: the identity provider has not answered about a session for %s; it is asked every %s", conn, silent, every)
		default:
			say(api.LevelOK, "", "%s: the identity provider answers about %d sessions", conn, c.Sessions)
		}
	}
}

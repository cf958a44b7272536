package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// When a connection's tokens and secrets are worth a line.
const (
	endsSoon    = 30 * 24 * time.Hour
	endsNow     = 7 * 24 * time.Hour
	unusedNew   = 14 * 24 * time.Hour // made, and never used since
	unusedLong  = 90 * 24 * time.Hour
	hoursPerDay = 24
)

// opener is a token or a client's secret.
type opener struct {
	what                     string // as people read it
	successor                string // the command that makes one
	revoke                   string
	created, expires, lastIn time.Time
	revoked                  bool
}

func (o opener) liveAt(now time.Time) bool { return !o.revoked && now.Before(o.expires) }

// openers are all tokens and secrets of a connection, and which of its clients live.
func openers(c bridge.ConnectionView) (all []opener, clients []store.SCIMClient) {
	for _, t := range c.Tokens {
		all = append(all, opener{what: "the SCIM token ending in …" + t.Tail, successor: "drawbridge token create " + string(c.ID),
			revoke: fmt.Sprintf("drawbridge token revoke %s %s", c.ID, t.PublicID), created: t.Created, expires: t.Expires, lastIn: t.LastUsed, revoked: !t.Revoked.IsZero()})
	}
	for _, k := range c.Clients {
		if k.Live() {
			clients = append(clients, k)
		}
		for _, s := range k.Secrets {
			all = append(all, opener{what: fmt.Sprintf("the secret ending in …%s of the client %s", s.Tail, cmp.Or(k.Name, k.ID)),
				successor: fmt.Sprintf("drawbridge connection client secret %s %s", c.ID, k.ID),
				revoke:    fmt.Sprintf("drawbridge connection client revoke %s %s %s", c.ID, k.ID, s.PublicID),
				created:   s.Created, expires: s.Expires, lastIn: s.LastUsed, revoked: !k.Live() || !s.Revoked.IsZero()})
		}
	}
	return all, clients
}

// examineCredentials finds credentials that end, have ended, or that nobody uses.
func examineCredentials(c bridge.ConnectionView, now time.Time, say finding) {
	all, clients := openers(c)
	live := slices.DeleteFunc(slices.Clone(all), func(o opener) bool { return !o.liveAt(now) })
	for _, o := range live {
		examineEnd(c.ID, o, live, now, say)
		examineUse(c.ID, o, now, say)
	}
	signed := c.Signed && len(clients) > 0
	if c.Signed && len(clients) == 0 {
		say(api.LevelWarn, fmt.Sprintf("drawbridge connection client create %s --without-secret", c.ID), "%s: signed assertions are trusted, but there is no client that could send one", c.ID)
	}
	if len(live) > 0 || signed {
		return
	}
	create, last := "drawbridge token create "+string(c.ID), lastEnd(all)
	if last.IsZero() {
		say(api.LevelFail, create, "%s: no live SCIM token or client; nobody can be provisioned", c.ID)
	} else {
		say(api.LevelFail, create, "%s: no live SCIM token or client; the last ended on %s, and nobody can be provisioned", c.ID, last.Format(time.DateOnly))
	}
}

// examineEnd looks at one that lives. One that ends soon is no news when another, that
// lives on, has been used since: it has been replaced.
func examineEnd(id access.ConnectionID, o opener, live []opener, now time.Time, say finding) {
	left := o.expires.Sub(now)
	if left >= endsSoon {
		return
	}
	replaced := slices.ContainsFunc(live, func(other opener) bool {
		return other.expires.Sub(now) >= endsSoon && other.lastIn.After(o.lastIn)
	})
	if replaced {
		say(api.LevelOK, "", "%s: %s ends on %s, and its successor is in use", id, o.what, o.expires.Format(time.DateOnly))
		return
	}
	level := api.LevelWarn
	if left < endsNow {
		level = api.LevelFail
	}
	say(level, o.successor, "%s: %s ends in %d days, on %s", id, o.what, int(left.Hours()/hoursPerDay), o.expires.Format(time.DateOnly))
}

func examineUse(id access.ConnectionID, o opener, now time.Time, say finding) {
	switch {
	case o.lastIn.IsZero() && now.Sub(o.created) >= unusedNew:
		say(api.LevelWarn, o.revoke, "%s: %s was made on %s and has never been used", id, o.what, o.created.Format(time.DateOnly))
	case !o.lastIn.IsZero() && now.Sub(o.lastIn) >= unusedLong:
		say(api.LevelWarn, o.revoke, "%s: %s was last used on %s", id, o.what, o.lastIn.Format(time.DateOnly))
	}
}

// lastEnd is when the last of them ends or ended; revoked ones do not count.
func lastEnd(all []opener) (last time.Time) {
	for _, o := range all {
		if !o.revoked && o.expires.After(last) {
			last = o.expires
		}
	}
	return last
}

// examineKeys reads the key sets by which a connection's clients prove themselves.
func (a *app) examineKeys(ctx context.Context, c bridge.ConnectionView, say finding) {
	for _, conn := range a.cfg.Connections {
		if conn.ID != c.ID {
			continue
		}
		for _, uri := range conn.Trust.URIs() {
			if err := a.assertions.Probe(ctx, uri, time.Now()); err != nil {
				say(api.LevelFail, "check the address, and that this machine may reach it", "%s: the keys at %s cannot be read: %s", c.ID, uri, cmp.Or(fault.DetailOf(err), "nobody answers with a key set"))
			} else {
				say(api.LevelOK, "", "%s: the keys at %s can be read", c.ID, uri)
			}
		}
	}
}

// ends tells, for each live connection, how many days are left until the last of its
// SCIM tokens and client secrets ends: below 0 when it has, +Inf when its clients prove
// themselves by what has no end. It reads memory only.
type ends struct {
	bridge *bridge.Bridge
	now    func() time.Time
	desc   *prometheus.Desc
}

func newEnds(b *bridge.Bridge) *ends {
	o := prometheus.Opts{Name: "drawbridge_scim_credential_days", Help: "Days until the last SCIM token or client secret of a connection ends."}
	return &ends{bridge: b, now: time.Now, desc: prometheus.NewDesc(o.Name, o.Help, []string{"connection"}, nil)}
}

// Describe implements prometheus.Collector.
func (e *ends) Describe(to chan<- *prometheus.Desc) { to <- e.desc }

// Collect implements prometheus.Collector.
func (e *ends) Collect(to chan<- prometheus.Metric) {
	now := e.now()
	for _, c := range e.bridge.Doors() {
		to <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, daysLeft(c, now), string(c.ID))
	}
}

// daysLeft is 0 for a connection that never had a credential.
func daysLeft(c bridge.ConnectionView, now time.Time) float64 {
	all, clients := openers(c)
	last := lastEnd(all)
	switch {
	case c.Signed && len(clients) > 0:
		return math.Inf(1)
	case last.IsZero():
		return 0
	}
	return last.Sub(now).Hours() / hoursPerDay
}

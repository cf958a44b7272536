package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// reconcileMetrics tell how far everybody has been compared with what rules and people give.
type reconcileMetrics struct {
	bridge        *bridge.Bridge
	ended, people *prometheus.Desc
	differences   *prometheus.Desc
}

func newReconcileMetrics(b *bridge.Bridge) *reconcileMetrics {
	desc := func(o prometheus.Opts) *prometheus.Desc { return prometheus.NewDesc(o.Name, o.Help, nil, nil) }
	return &reconcileMetrics{bridge: b,
		ended:       desc(prometheus.Opts{Name: "drawbridge_reconciliation_ended_timestamp_seconds", Help: "When everybody had last been compared with what rules and people give; 0: never."}),
		people:      desc(prometheus.Opts{Name: "drawbridge_reconciliation_people", Help: "How many people were compared in that round."}),
		differences: desc(prometheus.Opts{Name: "drawbridge_reconciliation_differences_total", Help: "People who did not hold what they should, ever."})}
}

// Describe implements prometheus.Collector.
func (m *reconcileMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.ended
	to <- m.people
	to <- m.differences
}

// Collect implements prometheus.Collector. It is silent while the store does not answer.
func (m *reconcileMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := m.bridge.Reconciled(ctx)
	if err != nil {
		return
	}
	ended := 0.0
	if !r.Ended.IsZero() {
		ended = float64(r.Ended.UnixMilli()) / 1000
	}
	to <- prometheus.MustNewConstMetric(m.ended, prometheus.GaugeValue, ended)
	to <- prometheus.MustNewConstMetric(m.people, prometheus.GaugeValue, float64(r.LastPeople))
	to <- prometheus.MustNewConstMetric(m.differences, prometheus.CounterValue, float64(r.Differences))
}

// roundLate is how old the last whole round may be before doctor warns of it.
const roundLate = 24 * time.Hour

// examineReconciliation tells when everybody had last been compared.
func (a *app) examineReconciliation(ctx context.Context, now time.Time, say finding) {
	r, err := a.bridge.Reconciled(ctx)
	switch {
	case err != nil:
		say(api.LevelFail, "look at the log", "it cannot be read how far everybody has been compared with the rules")
	case r.Ended.IsZero() && (r.Began.IsZero() || now.Sub(r.Began) < roundLate):
		say(api.LevelOK, "", "not everybody has been compared with what rules and people give yet")
	case now.Sub(r.Ended) >= roundLate:
		say(api.LevelWarn, "look for bridge.Reconcile in the log", "not everybody has been compared with what rules and people give for a day")
	default:
		say(api.LevelOK, "", "everybody had been compared with what rules and people give %s ago, %s", now.Sub(r.Ended).Round(time.Second), plural(int(r.LastPeople), "person", "people"))
	}
}

// comparedAsText is how far everybody has been compared, for status.
func comparedAsText(r *api.Reconciliation) string {
	if r == nil {
		return "not everybody has been compared yet"
	}
	text := fmt.Sprintf("%s compared, until %s", plural(int(r.People), "person", "people"), r.Ended.Local().Format(time.DateTime))
	if r.Differences > 0 {
		text += fmt.Sprintf("; %d in all did not hold what they should", r.Differences)
	}
	return text
}

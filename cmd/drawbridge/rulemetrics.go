package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// ruleMetrics tell what the bridge counts of single rules. Labels are the ids of
// rules: few, and nobody's name.
type ruleMetrics struct {
	bridge *bridge.Bridge
	shadow *prometheus.Desc
}

func newRuleMetrics(b *bridge.Bridge) *ruleMetrics {
	o := prometheus.Opts{Name: "drawbridge_rule_shadow_people", Help: "People to whom a rule that only counts would give something, as counted within the last 15 minutes."}
	return &ruleMetrics{bridge: b, shadow: prometheus.NewDesc(o.Name, o.Help, []string{"rule"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *ruleMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.shadow }

// Collect implements prometheus.Collector. It reads what was counted, and counts nothing.
func (m *ruleMetrics) Collect(to chan<- prometheus.Metric) {
	people, _ := m.bridge.ShadowPeople()
	for rule, n := range people {
		to <- prometheus.MustNewConstMetric(m.shadow, prometheus.GaugeValue, float64(n), rule)
	}
}

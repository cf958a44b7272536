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
	errors *prometheus.Desc
}

func newRuleMetrics(b *bridge.Bridge) *ruleMetrics {
	o := prometheus.Opts{Name: "drawbridge_rule_shadow_people", Help: "People to whom a rule that only counts would give something, as counted within the last 15 minutes."}
	e := prometheus.Opts{Name: "drawbridge_rule_errors_total", Help: "Decisions in which a rule's condition could not be told."}
	return &ruleMetrics{bridge: b, shadow: prometheus.NewDesc(o.Name, o.Help, []string{"rule"}, nil), errors: prometheus.NewDesc(e.Name, e.Help, []string{"rule"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *ruleMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.shadow
	to <- m.errors
}

// Collect implements prometheus.Collector. It reads what was counted, and counts nothing.
func (m *ruleMetrics) Collect(to chan<- prometheus.Metric) {
	people, _ := m.bridge.ShadowPeople()
	for rule, n := range people {
		to <- prometheus.MustNewConstMetric(m.shadow, prometheus.GaugeValue, float64(n), rule)
	}
	for rule, n := range m.bridge.RuleErrors() {
		to <- prometheus.MustNewConstMetric(m.errors, prometheus.CounterValue, float64(n), rule)
	}
}

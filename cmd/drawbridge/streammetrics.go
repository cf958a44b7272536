package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// streamMetrics tell how many streams of signals there are, and where they stand. What
// waits for them and how it goes is told with all deliveries.
type streamMetrics struct {
	store   *store.Store
	streams *prometheus.Desc
}

func newStreamMetrics(s *store.Store) *streamMetrics {
	o := prometheus.Opts{Name: "drawbridge_signal_streams", Help: "Streams of signals, by how they are delivered and where they stand."}
	return &streamMetrics{store: s, streams: prometheus.NewDesc(o.Name, o.Help, []string{"method", "status"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *streamMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.streams }

// Collect implements prometheus.Collector. A database that does not answer in time has
// a metric of its own.
func (m *streamMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var streams []store.Stream
	err := m.store.View(ctx, func(v *store.View) (err error) { streams, err = v.Streams(); return err })
	if err != nil {
		return
	}
	counts := map[[2]string]int{}
	for _, s := range streams {
		counts[[2]string{methodOf(s), s.Status}]++
	}
	for labels, n := range counts {
		to <- prometheus.MustNewConstMetric(m.streams, prometheus.GaugeValue, float64(n), labels[0], labels[1])
	}
}

func methodOf(s store.Stream) string {
	if s.Endpoint == "" {
		return "poll"
	}
	return "push"
}

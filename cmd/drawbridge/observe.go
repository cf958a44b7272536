package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

// metrics are the bridge's own. Labels are bounded: connections, resources, verbs
// and codes; never a person, a group or an address.
type metrics struct {
	scim     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	fixups   *prometheus.CounterVec
	compared *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	alarms   *prometheus.CounterVec
	probes   *prometheus.CounterVec
	messages *prometheus.CounterVec
	away     *prometheus.CounterVec
}

// turnedAway counts who came too often.
func (m *metrics) turnedAway(door string) { m.away.WithLabelValues(door).Inc() }

// asked counts the questions about sessions that identity providers were asked.
func (m *metrics) asked(conn access.ConnectionID, outcome string) {
	m.probes.WithLabelValues(string(conn), outcome).Inc()
}

// heard counts what identity providers said about people who are signed in.
func (m *metrics) heard(conn access.ConnectionID, kind, outcome string) {
	m.messages.WithLabelValues(string(conn), kind, outcome).Inc()
}

// alarmed counts the alarms that were raised since the start.
func (m *metrics) alarmed(conn access.ConnectionID, kind string) {
	m.alarms.WithLabelValues(string(conn), kind).Inc()
}

// droppedFromLog counts requests that were answered but not recorded.
func (m *metrics) droppedFromLog(conn access.ConnectionID, n int) {
	m.dropped.WithLabelValues(string(conn)).Add(float64(n))
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		scim: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_scim_requests_total",
			Help: "SCIM requests answered, by connection, resource, method and status code."}, []string{"connection", "resource", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "drawbridge_scim_request_duration_seconds",
			Help: "Time to answer a SCIM request.", Buckets: prometheus.ExponentialBuckets(.0005, 2, 14)}, []string{"resource", "method"}),
		fixups: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_scim_dialect_fixups_total",
			Help: "Requests that were understood only by a leniency, by connection and kind."}, []string{"connection", "fixup"}),
	}
	m.compared = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_scim_rows_compared_total",
		Help: "Rows that searches compared because no index serves them, by connection."}, []string{"connection"})
	m.dropped = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_scim_log_dropped_total",
		Help: "SCIM requests that came faster than they could be recorded, by connection."}, []string{"connection"})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "drawbridge_build_info", Help: "1, with the version."}, []string{"version"})
	build.WithLabelValues(version()).Set(1)
	m.alarms = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_alarms_total",
		Help: "Alarms about what an identity provider did at large, by connection and kind."}, []string{"connection", "kind"})
	m.probes = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_idp_probes_total",
		Help: "Questions to identity providers whether a session stands, by connection and outcome."}, []string{"connection", "outcome"})
	m.messages = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_idp_messages_total",
		Help: "What identity providers said about people who are signed in, by connection, kind and outcome."}, []string{"connection", "kind", "outcome"})
	m.away = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_turned_away_total",
		Help: "Requests that were answered 429 because too many came from one network, by door."}, []string{"door"})
	r.MustRegister(m.away, m.alarms, m.probes, m.messages, m.scim, m.duration, m.fixups, m.dropped, m.compared, build)
	return m
}

// observeSCIM counts every SCIM request, and logs the refused ones.
func (a *app) observeSCIM(m *metrics) func(context.Context, scim.Observation) {
	return func(ctx context.Context, o scim.Observation) {
		m.scim.WithLabelValues(o.Connection, o.Resource, o.Method, strconv.Itoa(o.Status)).Inc()
		m.duration.WithLabelValues(o.Resource, o.Method).Observe(o.Duration.Seconds())
		for _, fixup := range dialect.Reliances(o.Notes) {
			m.fixups.WithLabelValues(o.Connection, fixup).Inc()
		}
		if o.Connection != "" && o.Resource != "Me" { // at /Me speaks a person
			a.bridge.Hear(access.ConnectionID(o.Connection), o.Signs, o.Notes)
		}
		if o.Compared > 0 {
			m.compared.WithLabelValues(o.Connection).Add(float64(o.Compared))
		}
		a.recorder.Observe(o, bridge.RequestID(ctx))
		if o.Err == nil {
			return
		}
		level := zapcore.InfoLevel
		switch {
		case ctx.Err() != nil: // the client hung up: nobody was answered, and nothing of ours failed
			level = zapcore.DebugLevel
		case o.Status >= 500 && o.Status != http.StatusNotImplemented:
			level = zapcore.ErrorLevel
		}
		a.log.Log(level, "scim", zap.String("request_id", bridge.RequestID(ctx)), zap.String("connection", o.Connection),
			zap.String("method", o.Method), zap.String("resource", o.Resource), zap.Int("status", o.Status), zap.String("reason", fault.ReasonOf(o.Err)), why(o))
	}
}

// why is the error of a request as the log has it. What a request that was let in says
// may be anything: a refusal quotes it, so it is told as the log of requests tells it.
func why(o scim.Observation) zap.Field {
	switch {
	case o.Connection == "" || o.Status >= http.StatusInternalServerError:
		return zap.Error(o.Err)
	case o.Traffic.Refused > 0:
		return zap.String("error", fmt.Sprintf("%d operations of the bulk were refused", o.Traffic.Refused))
	}
	return zap.String("error", o.Traffic.Refusal())
}

// levelOf is the table of docs/architecture.md: what each kind of error is worth.
func levelOf(err error) zapcore.Level {
	switch fault.KindOf(err) {
	case fault.Internal:
		return zapcore.ErrorLevel
	case fault.Unavailable:
		return zapcore.WarnLevel
	case fault.Unauthenticated, fault.Denied, fault.Stale, fault.Limited:
		return zapcore.InfoLevel
	}
	return zapcore.DebugLevel
}

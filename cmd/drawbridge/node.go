package main

import (
	"context"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/cluster"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/redis"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// feedOfNews is the feed by which nodes tell each other of commits.
const feedOfNews = "news"

// joinNodes makes this process a node among those on the same database, if others may be there.
func (a *app) joinNodes(ctx context.Context) (err error) {
	a.nodeMetrics = newNodeMetrics()
	a.store.Measure(a.nodeMetrics.deprovisioned)
	if !a.store.Shared() {
		return nil
	}
	name := a.cfg.Server.Node
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return err
		}
	}
	c := cluster.Config{Store: a.store, Name: name, Version: version(), Alone: true, Clocks: clocks(), Waited: a.nodeMetrics.waited, Polled: a.nodeMetrics.polled,
		Observe: func(op string, err error) { a.log.Warn("node", zap.String("op", op), zap.Error(err)) }}
	if shared, ok := a.hot.(*redis.Engine); ok {
		c.Alone, c.Feed = false, hot.Feed(shared.Feed(feedOfNews))
	}
	if a.node, err = cluster.Join(ctx, c); err != nil {
		return err
	}
	a.works = cluster.Works{Store: a.store, Node: a.node.ID(), Observe: func(err error) { a.log.Warn("a turn at work", zap.Error(err)) }}
	return nil
}

// clocks looks at both clocks of this machine.
func clocks() func() lease.Instant {
	began := now()
	return func() lease.Instant {
		t := now()
		return lease.Instant{Mono: t.Sub(began), Wall: t.Round(0)}
	}
}

// listNodes is what the admin API tells of nodes; nil where there is one.
func (a *app) listNodes() func(context.Context) ([]api.Node, error) {
	if a.node == nil {
		return nil
	}
	return func(ctx context.Context) ([]api.Node, error) {
		all, err := a.store.Nodes(ctx)
		out := make([]api.Node, len(all))
		for i, n := range all {
			if n.BeatAge >= store.GoneAfter {
				n.Lease = 0 // it had one when it was heard of last
			}
			out[i] = api.Node{ID: n.ID, Name: n.Name, Version: n.Version, Started: n.Started, This: n.ID == a.node.ID(), Draining: n.Draining,
				BeatAge: n.BeatAge.Milliseconds(), Lag: n.Lag.Milliseconds(), Lease: n.Lease.Milliseconds(), Applied: n.Applied, Gone: n.BeatAge >= store.GoneAfter}
		}
		return out, err
	}
}

// tagged marks the context of a request with its id, and with when it came.
func tagged(ctx context.Context, id string) context.Context {
	return store.Received(bridge.WithRequestID(ctx, id), time.Now())
}

// nodeMetrics are about what the end of somebody's access waits for.
type nodeMetrics struct {
	deprovision prometheus.Histogram
	waiting     *prometheus.HistogramVec
	polls       *prometheus.CounterVec
	polling     prometheus.Histogram
}

// waits are the upper bounds of what takes a millisecond, or as long as a lease.
var waits = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.25, 1.5, 2.5, 5}

func newNodeMetrics() *nodeMetrics {
	return &nodeMetrics{
		deprovision: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "drawbridge_deprovision_duration_seconds", Buckets: waits,
			Help: "From a request that ends somebody's access until no node accepts them."}),
		waiting: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "drawbridge_node_wait_duration_seconds", Buckets: waits,
			Help: "How long commits of this node waited for other nodes, by why no longer."}, []string{"outcome"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_node_polls_total", Help: "Polls of the directory by which this node keeps its lease, by outcome."}, []string{"outcome"}),
		polling: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "drawbridge_node_poll_duration_seconds", Buckets: waits,
			Help: "How long polls of the directory took."}),
	}
}

func (m *nodeMetrics) deprovisioned(took time.Duration) { m.deprovision.Observe(took.Seconds()) }

func (m *nodeMetrics) waited(took time.Duration, outcome string) {
	m.waiting.WithLabelValues(outcome).Observe(took.Seconds())
}

func (m *nodeMetrics) polled(took time.Duration, found store.Followed, err error) {
	outcome := "followed"
	switch {
	case err != nil:
		outcome = "failed"
	case found.Begun:
		outcome = "begun"
	}
	m.polls.WithLabelValues(outcome).Inc()
	m.polling.Observe(took.Seconds())
}

// collectors are those that a process has: more of them on a database that others share.
func (m *nodeMetrics) collectors(a *app) []prometheus.Collector {
	all := []prometheus.Collector{m.deprovision}
	if a.node == nil {
		return all
	}
	return append(all, m.waiting, m.polls, m.polling, registered{a.store})
}

// registered tells of every node, as the registry has it.
type registered struct{ store *store.Store }

var (
	nodeBeat    = ofNode(prometheus.GaugeOpts{Name: "drawbridge_node_beat_age_seconds", Help: "How long ago a node was heard of."})
	nodeLag     = ofNode(prometheus.GaugeOpts{Name: "drawbridge_node_lag_seconds", Help: "How late the last change reached a node by its poll."})
	nodeLease   = ofNode(prometheus.GaugeOpts{Name: "drawbridge_node_lease_seconds", Help: "How much of a node's lease was left at its last poll."})
	nodeApplied = ofNode(prometheus.GaugeOpts{Name: "drawbridge_node_applied_news", Help: "The last change that a node has read."})
)

func ofNode(o prometheus.GaugeOpts) *prometheus.Desc {
	return prometheus.NewDesc(o.Name, o.Help, []string{"node", "version"}, nil)
}

// Describe implements prometheus.Collector.
func (registered) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodeBeat, nodeLag, nodeLease, nodeApplied} {
		to <- d
	}
}

// Collect implements prometheus.Collector. A registry that does not answer is told by
// drawbridge_node_polls_total.
func (r registered) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lease.Life)
	defer cancel()
	all, err := r.store.Nodes(ctx)
	if err != nil {
		return
	}
	for _, n := range living(all) {
		for desc, value := range map[*prometheus.Desc]float64{nodeBeat: n.BeatAge.Seconds(), nodeLag: n.Lag.Seconds(), nodeLease: n.Lease.Seconds(), nodeApplied: float64(n.Applied)} {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, n.Name, n.Version)
		}
	}
}

// living are the nodes with whom others reckon, each under its name. Of two runs of one name, of
// which one was killed just now, it is that which was heard of last: a kill makes no new series.
func living(all []store.Node) (out []store.Node) {
	at := map[string]int{}
	for _, n := range all {
		if n.BeatAge >= store.GoneAfter {
			continue
		}
		if i, there := at[n.Name]; !there {
			at[n.Name] = len(out)
			out = append(out, n)
		} else if n.BeatAge < out[i].BeatAge {
			out[i] = n
		}
	}
	return out
}

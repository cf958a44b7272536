package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (c *cli) delivery() *cobra.Command {
	cmd := &cobra.Command{Use: "delivery", Short: "Look at what is sent to applications and others, and send it again"}
	cmd.AddCommand(c.deliveryList(), c.deliveryRetry())
	return cmd
}

func (c *cli) deliveryList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List to whom something is sent, what waits, and how it goes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []api.Receiver
			if err := c.ask(cmd.Context(), http.MethodGet, "/receivers", nil, &all); err != nil {
				return err
			}
			if c.json {
				return c.print(all)
			}
			if len(all) == 0 {
				fmt.Fprintln(c.out, "Nothing has been sent to anybody yet.")
				return nil
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "RECEIVER\tSTATE\tPENDING\tOLDEST\tNEXT\tSENT\tFAILED\tREFUSED\tABANDONED\tERROR")
			for _, r := range all {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", legible(r.Receiver), r.State, r.Pending, instantOrDash(r.Oldest), instantOrDash(r.Next),
					r.Sent, r.Failed, r.Refused, r.Abandoned, legible(r.Error))
			}
			return w.Flush()
		}}
}

func instantOrDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func (c *cli) deliveryRetry() *cobra.Command {
	return &cobra.Command{Use: "retry RECEIVER", Short: "Send what waits for a receiver again at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r api.Receiver
			if err := c.ask(cmd.Context(), http.MethodPost, "/receivers/"+url.PathEscape(args[0])+"/retry", nil, &r); err != nil {
				return err
			}
			if c.json {
				return c.print(r)
			}
			fmt.Fprintf(c.out, "%s is tried again now. Waiting: %d.\n", legible(r.Receiver), r.Pending)
			return nil
		}}
}

// examineDeliveries tells of receivers that nothing arrives at, or that refuse.
func (a *app) examineDeliveries(ctx context.Context, say finding) {
	all, err := a.bridge.Receivers(ctx)
	if err != nil {
		say(api.LevelFail, "look at the log", "deliveries cannot be read")
		return
	}
	for _, r := range all {
		switch {
		case r.State == bridge.ReceiverPaused && r.Kind != bridge.KindWebhook:
			say(api.LevelWarn, "let its application look at the stream's status, mend its side and enable it", "%s is paused, since nothing arrived there or nobody polled it; %d deliveries wait", r.Name, r.Pending)
		case r.State == bridge.ReceiverPaused:
			say(api.LevelWarn, "take it out of the configuration, or: drawbridge delivery retry "+r.Name, "%s wants nothing any more: %s", r.Name, r.Error)
		case r.State == bridge.ReceiverFailing:
			say(api.LevelWarn, "mend the receiver, then: drawbridge delivery retry "+r.Name, "%s: %d deliveries wait, the oldest since %s; %d attempts in vain: %s",
				r.Name, r.Pending, r.Oldest.Local().Format(time.DateTime), r.Failures, r.Error)
		case r.LastError.After(r.LastOK) && r.Refused > 0:
			say(api.LevelWarn, "look at why it refuses", "%s: the last delivery was refused: %s", r.Name, r.Error)
		}
	}
}

// deliveryMetrics tell what is kept of each receiver. Labels are the names of
// receivers: applications, streams and webhooks, few, and nobody's name.
type deliveryMetrics struct {
	bridge                           *bridge.Bridge
	pending, oldest, failures        *prometheus.Desc
	sent, failed, refused, abandoned *prometheus.Desc
	lag                              *prometheus.Desc
}

func newDeliveryMetrics(b *bridge.Bridge) *deliveryMetrics {
	desc := func(o prometheus.Opts) *prometheus.Desc {
		return prometheus.NewDesc(o.Name, o.Help, []string{"receiver"}, nil)
	}
	lag := prometheus.Opts{Name: "drawbridge_outbox_lag_seconds", Help: "How long ago the oldest event happened that has not been read to be told; 0 if all have."}
	return &deliveryMetrics{bridge: b,
		pending:   desc(prometheus.Opts{Name: "drawbridge_delivery_pending", Help: "Deliveries that wait for the receiver."}),
		oldest:    desc(prometheus.Opts{Name: "drawbridge_delivery_oldest_seconds", Help: "How long ago what waits longest happened; 0 if nothing waits."}),
		failures:  desc(prometheus.Opts{Name: "drawbridge_delivery_failures", Help: "Attempts in vain since the last one that arrived."}),
		sent:      desc(prometheus.Opts{Name: "drawbridge_delivery_sent_total", Help: "Deliveries that have arrived."}),
		failed:    desc(prometheus.Opts{Name: "drawbridge_delivery_failed_total", Help: "Attempts in vain."}),
		refused:   desc(prometheus.Opts{Name: "drawbridge_delivery_refused_total", Help: "Deliveries that the receiver will not have."}),
		abandoned: desc(prometheus.Opts{Name: "drawbridge_delivery_abandoned_total", Help: "Deliveries that were given up, being too old or too many."}),
		lag:       prometheus.NewDesc(lag.Name, lag.Help, nil, nil)}
}

// Describe implements prometheus.Collector.
func (m *deliveryMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.pending, m.oldest, m.failures, m.sent, m.failed, m.refused, m.abandoned, m.lag} {
		to <- d
	}
}

// Collect implements prometheus.Collector. It reads one row for each receiver.
func (m *deliveryMetrics) Collect(to chan<- prometheus.Metric) {
	ctx := context.Background()
	all, err := m.bridge.Receivers(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.pending, err)
		return
	}
	lag, err := m.bridge.RelayLag(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.lag, err)
		return
	}
	to <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, lag.Seconds())
	now := time.Now()
	for _, r := range all {
		oldest := 0.0
		if !r.Oldest.IsZero() {
			oldest = now.Sub(r.Oldest).Seconds()
		}
		gauge := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, r.Name)
		}
		count := func(d *prometheus.Desc, n int64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), r.Name)
		}
		gauge(m.pending, float64(r.Pending))
		gauge(m.oldest, oldest)
		gauge(m.failures, float64(r.Failures))
		count(m.sent, r.Sent)
		count(m.failed, r.Failed)
		count(m.refused, r.Refused)
		count(m.abandoned, r.Abandoned)
	}
}

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/keys"
)

// late is by how much a step of the schedule may be overdue before it is a finding.
const late = time.Hour

func (c *cli) key() *cobra.Command {
	cmd := family("key", "Keys: which sign, how to replace them, and what they are sealed under")
	cmd.AddCommand(c.keyList(), c.keyRotate(), c.keyRetire(), c.keyRewrap())
	return cmd
}

func (c *cli) keyList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the keys that sign, that will, and that did", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []keys.Key
			if err := c.ask(cmd.Context(), http.MethodGet, "/signing-keys", nil, &all); err != nil {
				return err
			}
			return c.listKeys(all)
		}}
}

func (c *cli) listKeys(all []keys.Key) error {
	if c.json {
		return c.print(all)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tALGORITHM\tSTATE\tSINCE\tTHEN")
	for _, k := range all {
		then := map[string]string{"next": "signs", "active": "is retired", "retired": "is erased"}[k.State]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s %s\n", k.ID, k.Algorithm, k.State, k.Since.Local().Format(minute), then, k.Until.Local().Format(minute))
	}
	return w.Flush()
}

func (c *cli) keyRotate() *cobra.Command {
	var algorithm string
	var now bool
	cmd := &cobra.Command{Use: "rotate", Short: "Replace the keys that sign, in time or now", Args: cobra.NoArgs,
		Long: "rotate publishes a new key for each algorithm, which signs once it was published for as long as keys.publish_ahead\nsays. What the old one signed is accepted until it ends. With --now the new key signs at once: applications that do\nnot read the published keys again when they meet a new id refuse its tokens until they do.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []keys.Key
			in := map[string]any{"now": now}
			if algorithm != "" {
				in["algorithm"] = algorithm
			}
			if err := c.ask(cmd.Context(), http.MethodPost, "/signing-keys/rotate", in, &all); err != nil {
				return err
			}
			return c.listKeys(all)
		}}
	cmd.Flags().StringVar(&algorithm, "alg", "", "ES256 or RS256; both if not given")
	cmd.Flags().BoolVar(&now, "now", false, "the new key signs at once")
	return cmd
}

func (c *cli) keyRetire() *cobra.Command {
	var force, now bool
	cmd := &cobra.Command{Use: "retire KEY", Short: "Take a key out of use, or erase it", Args: cobra.ExactArgs(1),
		Long: "retire withdraws a key that has not signed yet. One that signs hands over to its successor only with --force or\n--now, because applications may not know that one. --now is for a key that others may have: it is erased, and this\nbridge accepts nothing that it signed. Applications refresh; those that check signatures themselves believe it until\nthey read the published keys again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []keys.Key
			if err := c.ask(cmd.Context(), http.MethodPost, "/signing-keys/"+url.PathEscape(args[0])+"/retire", map[string]any{"force": force, "now": now}, &all); err != nil {
				return err
			}
			if now && !c.json {
				fmt.Fprintf(c.out, "%s is erased: nothing that it signed is accepted here any more, and applications refresh. One that checks\nsignatures itself believes the key until it reads the published ones again: within five minutes, if it keeps to what they say.\n", visible(args[0]))
			}
			return c.listKeys(all)
		}}
	cmd.Flags().BoolVar(&force, "force", false, "also a key that signs")
	cmd.Flags().BoolVar(&now, "now", false, "erase it: nothing that it signed is accepted any more")
	return cmd
}

// examineSigningKeys finds steps of the schedule that were not made.
func examineSigningKeys(all []keys.Key, s keys.Schedule, now time.Time, say finding) {
	coming := map[string]bool{}
	for _, k := range all {
		coming[k.Algorithm] = coming[k.Algorithm] || k.State == "next"
	}
	for _, k := range all {
		if k.State != "active" {
			continue
		}
		age := now.Sub(k.Since)
		switch {
		case age > s.Rotate+s.PublishAhead+late:
			say(api.LevelFail, "look at the log for \"signing keys\"; drawbridge key rotate", "the key that signs %s was to be replaced on %s", k.Algorithm, k.Since.Add(s.Rotate).Format(time.DateOnly))
		case age > s.Rotate-s.PublishAhead+late && !coming[k.Algorithm]:
			say(api.LevelWarn, "look at the log for \"signing keys\"; drawbridge key rotate", "the next key for %s was to be published on %s", k.Algorithm, k.Since.Add(s.Rotate-s.PublishAhead).Format(time.DateOnly))
		default:
			say(api.LevelOK, "", "the key that signs %s changes on %s", k.Algorithm, k.Until.Format(time.DateOnly))
		}
	}
}

// keyAges tells how old the keys that sign are. It reads memory only.
type keyAges struct {
	list func() []keys.Key
	now  func() time.Time
	age  *prometheus.Desc
}

func newKeyAges(r *keys.Ring) *keyAges {
	o := prometheus.Opts{Name: "drawbridge_signing_key_age_seconds", Help: "For how long the key of an algorithm has been signing."}
	return &keyAges{list: r.List, now: time.Now, age: prometheus.NewDesc(o.Name, o.Help, []string{"algorithm"}, nil)}
}

// Describe implements prometheus.Collector.
func (a *keyAges) Describe(to chan<- *prometheus.Desc) { to <- a.age }

// Collect implements prometheus.Collector.
func (a *keyAges) Collect(to chan<- prometheus.Metric) {
	for _, k := range a.list() {
		if k.State == "active" {
			to <- prometheus.MustNewConstMetric(a.age, prometheus.GaugeValue, a.now().Sub(k.Since).Seconds(), k.Algorithm)
		}
	}
}

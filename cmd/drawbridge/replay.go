package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// replayFile tells what a file's policy would have decided otherwise about what has
// been recorded.
func (c *cli) replayFile(ctx context.Context, file string, f planFlags) error {
	since, err := instant("--replay", f.replay, time.Now())
	if err != nil {
		return err
	}
	cfg, err := config.Load(file, c.env)
	if err != nil {
		return &exit{code: exitUsage, err: err}
	}
	req := api.ReplayRequest{Since: since}
	if f.full {
		req.Most = 1_000
	}
	if req.Source, err = json.Marshal(cfg.Policy); err != nil {
		return err
	}
	var got bridge.PolicyReplay
	if err := c.ask(ctx, http.MethodPost, "/policy/replays", req, &got); err != nil {
		return err
	}
	if c.json {
		err = c.print(got)
	} else {
		c.tellReplay(got, f.summary)
	}
	if err == nil && f.exitCode && got.Differing > 0 {
		return &exit{code: exitNo}
	}
	return err
}

func (c *cli) tellReplay(r bridge.PolicyReplay, summary bool) {
	const clock = "2006-01-02 15:04:05"
	if !summary {
		for _, d := range r.Differences {
			fmt.Fprintf(c.out, "%s  %s", d.At.Local().Format(clock), cmp.Or(d.UserName, string(d.Person)))
			if d.Request != "" {
				fmt.Fprintf(c.out, "  request %s", d.Request)
			}
			fmt.Fprintf(c.out, "  for %s\n", d.Until.Sub(d.At).Round(time.Second))
			tellReplayed(c, "+", d.Gains)
			tellReplayed(c, "-", d.Loses)
		}
		for _, p := range r.Totals {
			var parts []string
			for _, h := range p.Gains {
				parts = append(parts, fmt.Sprintf("+ %s for %s", h.Is, time.Duration(h.Seconds)*time.Second))
			}
			for _, h := range p.Loses {
				parts = append(parts, fmt.Sprintf("- %s for %s", h.Is, time.Duration(h.Seconds)*time.Second))
			}
			fmt.Fprintf(c.out, "in all  %s  %s\n", cmp.Or(p.UserName, string(p.Person)), strings.Join(parts, ", "))
		}
	}
	fmt.Fprintf(c.out, "Replay: %d changes of %d people since %s; %d decisions, of which %d differ, about %d people; about %d of them at the end.\n",
		r.Changes, r.People, r.From.Local().Format(clock), r.Decisions, r.Differing, r.Affected, r.AtEnd)
	for _, u := range r.Unknown {
		fmt.Fprintln(c.out, "Not known:", u)
	}
	fmt.Fprintln(c.out, "Nothing was changed.")
}

func tellReplayed(c *cli, mark string, all []string) {
	for _, is := range all {
		fmt.Fprintf(c.out, "  %s %s\n", mark, is)
	}
}

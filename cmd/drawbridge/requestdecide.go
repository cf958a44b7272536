package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

// decides is a command by which somebody decides about a request.
func (c *cli) decides(cmd *cobra.Command, act string, in func(context.Context) (map[string]any, error)) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := in(cmd.Context())
		if err != nil {
			return err
		}
		body["author"] = authorOr(c.author)
		var v steward.RequestView
		if err := c.ask(cmd.Context(), http.MethodPost, requestPath(args[0], act), body, &v); err != nil {
			return err
		}
		return c.tellRequest(v)
	}
	return cmd
}

func (c *cli) requestApprove() *cobra.Command {
	var w wish
	var comment string
	var last lastOne
	cmd := c.decides(&cobra.Command{Use: "approve REQUEST", Short: "Say yes, or yes to less: a smaller grant or area, fewer flags, an earlier end"}, "approve", func(ctx context.Context) (map[string]any, error) {
		in := map[string]any{"comment": comment}
		until, err := untilFlags(w.lasts, w.until, time.Now())
		if err != nil {
			return nil, err
		}
		less := steward.Less{Grant: access.Grant(w.grant), Area: w.at, Until: until}
		if w.events != "" {
			less.Flags = &access.Flags{Video: w.video}
			if err := less.Flags.Events.UnmarshalText([]byte(w.events)); err != nil {
				return nil, failed(exitUsage, "--events is none, standard or restricted, not %q", w.events)
			}
		}
		if less != (steward.Less{}) {
			in["less"] = less
		}
		return in, last.put(ctx, c, in)
	})
	f := cmd.Flags()
	f.StringVar(&w.grant, "grant", "", "this grant, which opens less")
	f.StringVar(&w.at, "at", "", "this area, which lies inside the one that was asked for")
	f.StringVar(&w.events, "events", "", "the most that they see of events: none, standard or restricted; with it, --video says whether they see that")
	f.BoolVar(&w.video, "video", false, "with --events: in-cabin video and stills")
	f.StringVar(&w.lasts, "for", "", "how long from now: 14d, 8h, 30m")
	f.StringVar(&w.until, "until", "", "or until when")
	f.StringVar(&comment, "comment", "", "for whoever reads the decision")
	last.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("for", "until")
	return cmd
}

// lastOne is what is said where an area would be left without an administrator.
type lastOne struct {
	successor, connection string
	confirm               bool
}

func (l *lastOne) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.successor, "successor", "", "who administers the area when this ends: userName or id")
	f.StringVar(&l.connection, "connection", "", "of the successor")
	f.BoolVar(&l.confirm, "confirm-last", false, "nobody will, and that is meant")
}

func (l lastOne) put(ctx context.Context, c *cli, in map[string]any) error {
	in["confirm_last"] = l.confirm
	if l.successor == "" {
		return nil
	}
	ref, err := c.personNamed(ctx, l.successor, l.connection)
	in["successor"] = ref
	return err
}

func (c *cli) requestDeny() *cobra.Command {
	var reason string
	cmd := c.decides(&cobra.Command{Use: "deny REQUEST", Short: "Say no, and why"}, "deny", func(context.Context) (map[string]any, error) {
		return map[string]any{"reason": reason}, nil
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; whoever asked reads it")
	cmd.MarkFlagRequired("reason") //nolint:errcheck // the flag is there
	return cmd
}

func (c *cli) requestWithdraw() *cobra.Command {
	var reason string
	cmd := c.decides(&cobra.Command{Use: "withdraw REQUEST", Short: "Take a request back that nobody has decided"}, "withdraw", func(context.Context) (map[string]any, error) {
		return map[string]any{"reason": reason}, nil
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func (c *cli) requestConfirm() *cobra.Command {
	var comment string
	cmd := c.decides(&cobra.Command{Use: "confirm REQUEST", Short: "Confirm access that somebody took by breaking glass"}, "confirm", func(context.Context) (map[string]any, error) {
		return map[string]any{"comment": comment}, nil
	})
	cmd.Flags().StringVar(&comment, "comment", "", "for whoever reads the decision")
	return cmd
}

func (c *cli) requestExtend() *cobra.Command {
	var w wish
	cmd := &cobra.Command{Use: "extend REQUEST", Short: "Ask that what a request gave lasts longer: a new decision", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.extend(cmd.Context(), args[0], w) }}
	w.timeFlags(cmd)
	return cmd
}

func (c *cli) extend(ctx context.Context, id string, w wish) error {
	in, err := w.ask(time.Now())
	if err != nil {
		return err
	}
	in.Extends = access.RequestID(id)
	var v steward.RequestView
	if err := c.asks(ctx, "/requests", "", w, in, &v); err != nil {
		return err
	}
	return c.tellRequest(v)
}

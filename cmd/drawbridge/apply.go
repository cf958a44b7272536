package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// applyFlags are what applies a plan, and what of it is approved.
type applyFlags struct {
	plan           string
	author, reason string
	losing         []string
	withoutAccess  []string
	administrators []string
}

func (f *applyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.plan, "plan", "", "the plan to apply, by the hash that plan printed")
	f.approve(cmd)
}

// approve adds the flags that go past guards.
func (f *applyFlags) approve(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.losing, "accept-losing", nil, "people who may lose something, by userName, past the guard; for more than 100, their exact number")
	flags.StringSliceVar(&f.withoutAccess, "accept-without-access", nil, "people who may end with no access, likewise")
	flags.StringSliceVar(&f.administrators, "accept-administrators", nil, "scopes that may keep too few administrators, by path")
	flags.StringVar(&f.reason, "reason", "", "why; needed where something is approved")
	flags.StringVar(&f.author, "author", "", "who does it (default: who is logged in here)")
}

func (f *applyFlags) request() api.ApplyRequest {
	return api.ApplyRequest{Plan: f.plan, Author: authorOr(f.author), Reason: f.reason, Approvals: f.approvals()}
}

func (f *applyFlags) approvals() bridge.Approvals {
	return bridge.Approvals{Losing: f.losing, WithoutAccess: f.withoutAccess, Administrators: f.administrators}
}

func (c *cli) apply() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{Use: "apply [FILE]", Short: "Apply a policy: exactly what a plan showed, or not at all", Args: cobra.MaximumNArgs(1),
		Long: "With --plan, apply does what that plan showed, and refuses if the policy has moved, the file is another, or somebody\nwould lose what the plan did not show. Without it, apply plans the file, and applies it if nobody loses anything and\nno guard refuses.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.plan == "" && len(args) == 0:
				return failed(exitUsage, "name the FILE to plan and apply, or a plan by --plan")
			case f.plan == "":
				return c.applyFile(cmd.Context(), args[0], &f)
			}
			in := f.request()
			if len(args) == 1 {
				cfg, err := c.load(args[0])
				if err != nil {
					return err
				}
				if in.Source, err = json.Marshal(cfg.Policy); err != nil {
					return err
				}
			}
			return c.applyPlan(cmd.Context(), in)
		}}
	f.add(cmd)
	return cmd
}

// applyFile plans a file, and applies it if there is nothing to review.
func (c *cli) applyFile(ctx context.Context, file string, f *applyFlags) error {
	cfg, err := config.Load(file, c.env)
	if err != nil {
		return &exit{code: exitUsage, err: err}
	}
	source, err := json.Marshal(cfg.Policy)
	if err != nil {
		return err
	}
	ask := api.PlanRequest{Source: source, File: file, Text: cfg.Text, Author: authorOr(f.author)}
	plan, err := c.askForPlan(ctx, ask, func(bridge.PersonChange) error { return nil })
	if err != nil {
		return err
	}
	return c.applyUnlessReviewed(ctx, plan, file, f)
}

// applyUnlessReviewed applies a plan by which nobody loses anything; any other is shown.
func (c *cli) applyUnlessReviewed(ctx context.Context, plan bridge.PolicyPlan, file string, f *applyFlags) error {
	fails := false
	for _, t := range plan.Tests {
		fails = fails || !t.Passed
	}
	if plan.Summary.Losing == 0 && len(plan.Guards) == 0 && !fails {
		in := f.request()
		in.Plan = plan.Hash
		return c.applyPlan(ctx, in)
	}
	var err error
	if c.json {
		err = c.print(plan)
	} else {
		err = c.planAsText(plan, nil, file, planFlags{})
	}
	switch {
	case err != nil:
		return err
	case fails:
		return &exit{code: exitUsage}
	case len(plan.Guards) > 0:
		return &exit{code: exitGuard}
	}
	return &exit{code: exitNo}
}

// applyPlan asks the running bridge to apply a plan, and says what came of it.
func (c *cli) applyPlan(ctx context.Context, in api.ApplyRequest) error {
	var done bridge.Applied
	if err := c.askLong(ctx, "/policy/applications", in, &done); err != nil {
		return err
	}
	switch {
	case c.json:
		return c.print(done)
	case done.Changed:
		fmt.Fprintf(c.out, "Applied plan %s: version %d of the policy is in force.\nTo go back: drawbridge policy revert %d\n", in.Plan, done.Version, done.Version-1)
	default:
		fmt.Fprintf(c.out, "Nothing to do: version %d of the policy is in force, and says the same.\n", done.Version)
	}
	return nil
}

// askLong asks for something that takes as long as there are people. A refusal is told
// with all that stands in the way.
func (c *cli) askLong(ctx context.Context, path string, in, out any) error {
	a, err := c.find()
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return failed(exitUsage, "%s is not an address: %w", a.APIURL, err)
	}
	req.Header.Set("Authorization", "Bearer "+a.AdminToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{}).Do(req) // it takes as long as it takes, and ends with ctx
	if err != nil {
		var u *url.Error
		errors.As(err, &u)
		return failed(exitUnreachable, "no bridge answers at %s: %w. Is it running?", req.URL.Host, u.Err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusMultipleChoices {
		return c.answer(resp, out)
	}
	const most = 64 << 20
	answered, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return failed(exitUnreachable, "the bridge broke off its answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(answered))
	var r api.Refusal
	if c.decodeLegibly(answered, &r) != nil || r.Reason == "" {
		return c.answer(resp, nil)
	}
	return c.refused(r)
}

// refused tells why a plan was not carried out, and how to go on.
func (c *cli) refused(r api.Refusal) error {
	code := map[string]int{bridge.ReasonGuard: exitGuard, bridge.ReasonUnreviewed: exitStale, bridge.ReasonMoved: exitStale, bridge.ReasonTestsFail: exitUsage}[r.Reason]
	if c.json {
		return errors.Join(c.print(r), &exit{code: code})
	}
	fmt.Fprintf(c.err, "Refused: %s. Nothing was changed.\n", strings.TrimSuffix(r.Detail, "."))
	for _, p := range r.People {
		tellChange(c.err, p)
	}
	for _, t := range r.Tests {
		fmt.Fprintf(c.err, "FAIL  %s%s\n", t.Name, placed(t.Pos))
		for _, why := range t.Failures {
			fmt.Fprintf(c.err, "      %s\n", why)
		}
	}
	if len(r.Guards) > 0 {
		fmt.Fprintf(c.err, "To go on: change what it does, or approve by name:%s\n", approving(r.Guards))
	}
	return &exit{code: code}
}

// approving are the flags that would approve of what guards found.
func approving(guards []bridge.GuardFinding) string {
	flag := map[string]string{bridge.GuardLosing: "--accept-losing", bridge.GuardWithoutAccess: "--accept-without-access", bridge.GuardAdministrators: "--accept-administrators"}
	text := ""
	for _, g := range guards {
		names := pastedList(g.Names)
		if g.Counted() {
			names = fmt.Sprint(g.Found)
		}
		text += " " + flag[g.Guard] + " " + names
	}
	if text != "" {
		text += " --reason TEXT"
	}
	return text
}

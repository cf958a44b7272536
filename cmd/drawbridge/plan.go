package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// planFlags are the flags of plan.
type planFlags struct {
	full, summary, exitCode bool
	author                  string
	replay                  string // how long a recorded span to replay; "": plan
}

func (c *cli) plan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{Use: "plan FILE|FOLDER", Short: "Say who would gain and lose what, before a policy is applied", Args: cobra.ExactArgs(1),
		Long: "plan compares the policy of a configuration file with what everybody holds in the running bridge. Nothing is changed;\nthe plan is kept for a day, so that exactly it can be applied by its hash.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.full && f.summary {
				return failed(exitUsage, "--full and --summary exclude each other")
			}
			if f.replay != "" {
				return c.replayFile(cmd.Context(), args[0], f)
			}
			return c.planFile(cmd.Context(), args[0], f)
		}}
	flags := cmd.Flags()
	flags.BoolVar(&f.full, "full", false, fmt.Sprintf("every person who would notice, not the first %d", bridge.DefaultPlanned))
	flags.BoolVar(&f.summary, "summary", false, "nobody by name")
	flags.BoolVar(&f.exitCode, "exit-code", false, "exit 1 when somebody would lose something")
	flags.StringVar(&f.replay, "replay", "", "instead, decide about the changes recorded since then: a duration before now such as 24h, or a time")
	flags.StringVar(&f.author, "author", "", "who asks (default: who is logged in here)")
	return cmd
}

func (c *cli) planFile(ctx context.Context, file string, f planFlags) (err error) {
	cfg, err := config.Load(file, c.env)
	if err != nil {
		return &exit{code: exitUsage, err: err}
	}
	source, err := json.Marshal(cfg.Policy)
	if err != nil {
		return err
	}
	people, err := newSpool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, people.remove()) }()
	ask := api.PlanRequest{Source: source, File: file, Text: cfg.Text, Author: authorOr(f.author), Full: f.full}
	if f.summary {
		ask.Most = 1
	}
	plan, err := c.askForPlan(ctx, ask, func(p bridge.PersonChange) error { return c.planned(people, p) })
	if err != nil {
		return err
	}
	if c.json {
		err = c.planAsJSON(plan, people, f)
	} else {
		err = c.planAsText(plan, people, file, f)
	}
	if err == nil && f.exitCode && plan.Summary.Losing > 0 {
		return &exit{code: exitNo}
	}
	return err
}

// authorOr is who asks: as named, else the name of whoever runs this.
func authorOr(named string) string {
	if named != "" {
		return named
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// spool is a file that is gone when this process is: what comes before the summary and
// is shown behind it.
type spool struct {
	file *os.File
	*bufio.Writer
	lines int
}

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "drawbridge-plan-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) //nolint:errcheck // where an open file cannot be removed, remove does it
	return &spool{file: f, Writer: bufio.NewWriter(f)}, nil
}

func (s *spool) copyTo(w io.Writer) error {
	if err := s.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *spool) remove() error {
	err := s.file.Close()
	_ = os.Remove(s.file.Name()) //nolint:errcheck // it may have gone
	return err
}

// planned spools one person's change, as it will be shown.
func (c *cli) planned(s *spool, p bridge.PersonChange) error {
	if !c.json {
		tellChange(s, p)
		return nil
	}
	body, err := printable(p, "")
	if err != nil {
		return err
	}
	separator := ""
	if s.lines++; s.lines > 1 {
		separator = ","
	}
	_, err = fmt.Fprintf(s, "%s\n    %s", separator, bytes.TrimSuffix(body, []byte("\n")))
	return err
}

// askForPlan asks the running bridge, and shows how far it has come.
func (c *cli) askForPlan(ctx context.Context, in api.PlanRequest, each func(bridge.PersonChange) error) (bridge.PolicyPlan, error) {
	return c.askForPlanAt(ctx, "/policy/plans", in, each)
}

// askForPlanAt asks for a plan of whatever is planned there.
func (c *cli) askForPlanAt(ctx context.Context, path string, in any, each func(bridge.PersonChange) error) (bridge.PolicyPlan, error) {
	a, err := c.find()
	if err != nil {
		return bridge.PolicyPlan{}, err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return bridge.PolicyPlan{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return bridge.PolicyPlan{}, failed(exitUsage, "%s is not an address: %w", a.APIURL, err)
	}
	req.Header.Set("Authorization", "Bearer "+a.AdminToken)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", api.NDJSON)
	resp, err := (&http.Client{}).Do(req) // it takes as long as it takes, and ends with ctx
	if err != nil {
		var u *url.Error
		errors.As(err, &u)
		return bridge.PolicyPlan{}, failed(exitUnreachable, "no bridge answers at %s: %w. Is it running?", req.URL.Host, u.Err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return bridge.PolicyPlan{}, c.answer(resp, nil)
	}
	shown := c.showPlanning(ctx)
	defer shown.end()
	return c.planLines(ctx, resp.Body, shown, each)
}

// planLines reads the answer line by line.
func (c *cli) planLines(ctx context.Context, r io.Reader, shown *planProgress, each func(bridge.PersonChange) error) (bridge.PolicyPlan, error) {
	for lines := json.NewDecoder(r); ; {
		var raw json.RawMessage
		if err := lines.Decode(&raw); err != nil {
			if ctx.Err() != nil {
				return bridge.PolicyPlan{}, failed(exitNo, "interrupted: nothing was planned, and nothing is left behind")
			}
			return bridge.PolicyPlan{}, failed(exitUnreachable, "the bridge broke off its answer: %w", err)
		}
		var line api.PlanLine
		if err := c.decodeLegibly(raw, &line); err != nil {
			return bridge.PolicyPlan{}, err
		}
		switch {
		case line.Progress != nil:
			shown.at(line.Progress.Done, line.Progress.Total)
		case line.Change != nil:
			if err := each(*line.Change); err != nil {
				return bridge.PolicyPlan{}, err
			}
		case line.Error != nil:
			return bridge.PolicyPlan{}, failed(exitCodeOf(line.Error.Status), "%s", legible(line.Error.Detail))
		case line.Plan != nil:
			return *line.Plan, nil
		}
	}
}

// decodeLegibly decodes what is to be shown: its texts are legible, unless it is shown
// as JSON.
func (c *cli) decodeLegibly(body []byte, out any) (err error) {
	if !c.json {
		if body, err = legibleTexts(body); err != nil {
			return failed(exitUnreachable, "what answers there is not a bridge: %w", err)
		}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return failed(exitUnreachable, "what answers there is not a bridge: %w", err)
	}
	return nil
}

// planProgress shows how far a plan of many people has come: a bar on a terminal, a
// line each five seconds elsewhere, nothing beside JSON.
type planProgress struct {
	c        *cli
	ctx      context.Context //nolint:containedctx // it lives inside one call
	bars     *mpb.Progress
	bar      *mpb.Bar
	begun    time.Time
	told     time.Time
	terminal bool
}

// progressFrom is for how many people it is worth while.
const progressFrom = 2000

func (c *cli) showPlanning(ctx context.Context) *planProgress {
	now := time.Now()
	return &planProgress{c: c, ctx: ctx, begun: now, told: now, terminal: isTerminal(c.err)}
}

func (p *planProgress) at(done, total int64) {
	if p.c.json || total <= progressFrom {
		return
	}
	if p.terminal {
		if p.bar == nil {
			p.bars = mpb.NewWithContext(p.ctx, mpb.WithOutput(p.c.err), mpb.WithWidth(40), mpb.WithAutoRefresh())
			p.bar = p.bars.AddBar(total, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.CountersNoUnit("planning %d/%d people ")),
				mpb.AppendDecorators(decor.AverageSpeed(0, " %.0f/s"), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
		}
		p.bar.SetTotal(total, false)
		p.bar.SetCurrent(done)
		return
	}
	if now := time.Now(); now.Sub(p.told) >= 5*time.Second {
		rate := float64(done) / now.Sub(p.begun).Seconds()
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		fmt.Fprintf(p.c.err, "planning %d/%d people, %.0f/s, %s left\n", done, total, rate, left.Round(time.Second))
		p.told = now
	}
}

func (p *planProgress) end() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

// planAsJSON prints the plan as one document; every change, if all were asked for.
func (c *cli) planAsJSON(plan bridge.PolicyPlan, people *spool, f planFlags) error {
	if f.summary {
		plan.People = []bridge.PersonChange{}
	}
	if !f.full {
		return c.print(plan)
	}
	plan.People = []bridge.PersonChange{}
	document, err := printable(plan, "  ")
	if err != nil {
		return err
	}
	before, after, found := bytes.Cut(document, []byte(`"people": []`))
	if !found {
		return errors.New("the plan has no list of people")
	}
	_, _ = c.out.Write(before)       //nolint:errcheck // c.out reports nothing that could be told elsewhere
	fmt.Fprint(c.out, `"people": [`) //
	if err := people.copyTo(c.out); err != nil {
		return err
	}
	fmt.Fprint(c.out, "\n  ]")
	return c.printed(after, nil)
}

func (c *cli) planAsText(plan bridge.PolicyPlan, people *spool, file string, f planFlags) error {
	out := bufio.NewWriter(c.out)
	defer out.Flush() //nolint:errcheck // c.out reports nothing that could be told elsewhere
	fmt.Fprintln(out, planSentence(plan.Summary))
	tellConnections(out, plan.Connections)
	tellDemands(out, plan.Demands)
	if !f.summary && plan.Summary.Changing > 0 {
		fmt.Fprintln(out)
		if f.full {
			if err := people.copyTo(out); err != nil {
				return err
			}
		} else {
			tellPeople(out, plan)
		}
	}
	tellFindings(out, plan)
	if !f.summary && plan.Summary.Changing > 0 { // it has gone out of sight
		fmt.Fprintln(out, planSentence(plan.Summary))
	}
	tellPlan(out, plan, file)
	return nil
}

// planSentence is the summary in a sentence or two.
func planSentence(s bridge.PlanSummary) string {
	if s.Changing == 0 {
		return fmt.Sprintf("Plan: nothing changes for any of %s.", howMany(s.People, "person", "people"))
	}
	text := fmt.Sprintf("Plan: %d of %s would notice: %d gain, %d lose, %d keep something that is altered, %d end with no access.",
		s.Changing, howMany(s.People, "person", "people"), s.Gaining, s.Losing, s.Altered, s.WithoutAccess)
	if s.Losing > 0 {
		text += fmt.Sprintf("\n%d of the %d who lose used it in the last 30 days.", s.LosingInUse, s.Losing)
	}
	if s.Sessions > 0 {
		text += fmt.Sprintf(" %s would end or have to choose.", howMany(int64(s.Sessions), "session", "sessions"))
	}
	return text
}

func howMany(n int64, one, many string) string { return plural(int(n), one, many) }

func tellConnections(w io.Writer, all []bridge.ConnectionChange) {
	for _, c := range all {
		switch c.Change {
		case bridge.ConnectionEnds:
			fmt.Fprintf(w, "  - connection %s ends; it has %s\n", c.Connection, howMany(c.People, "person", "people"))
		case bridge.ConnectionOpens:
			fmt.Fprintf(w, "  + connection %s opens again; it has %s\n", c.Connection, howMany(c.People, "person", "people"))
		default:
			fmt.Fprintf(w, "  + connection %s is new\n", c.Connection)
		}
	}
}

func tellDemands(w io.Writer, all []bridge.DemandChange) {
	for _, d := range all {
		switch {
		case d.Is == "":
			fmt.Fprintf(w, "  ~ %s demands no special sign-in any more; it was %s\n", d.Grant, d.Was)
		case d.Was == "":
			fmt.Fprintf(w, "  ! %s demands a sign-in with %s: whoever is signed in otherwise must sign in again\n", d.Grant, d.Is)
		default:
			fmt.Fprintf(w, "  ! %s demands a sign-in with %s, not %s: whoever is signed in otherwise must sign in again\n", d.Grant, d.Is, d.Was)
		}
	}
}

// tellPeople shows the changes by connection and name.
func tellPeople(w io.Writer, plan bridge.PolicyPlan) {
	for _, p := range plan.People {
		tellChange(w, p)
	}
	if more := plan.Summary.Changing - int64(len(plan.People)); more > 0 {
		fmt.Fprintf(w, "… and %d more; --full shows everybody.\n", more)
	}
}

func tellChange(w io.Writer, p bridge.PersonChange) {
	fmt.Fprintf(w, "%s   via %s\n", p.UserName, p.Connection)
	for _, h := range p.Loses {
		tellHolding(w, "-", h)
	}
	for _, h := range p.Alters {
		tellHolding(w, "~", h)
	}
	for _, h := range p.Gains {
		tellHolding(w, "+", h)
	}
	if p.WithoutAccess {
		fmt.Fprintln(w, "  ! will have no access at all")
	}
	if p.Sessions > 0 {
		fmt.Fprintf(w, "  ! %s would end or have to choose\n", howMany(int64(p.Sessions), "session", "sessions"))
	}
}

func tellHolding(w io.Writer, mark string, h bridge.PlannedHolding) {
	is := h.Is
	if h.Standing != "primary" {
		is += " (guest)"
	}
	fmt.Fprintf(w, "  %s %-44s %-6s  events %s, video %t", mark, is, h.Risk, h.Flags.Events, h.Flags.Video)
	if h.Demands != "" {
		fmt.Fprintf(w, ", demands %s", h.Demands)
	}
	if len(h.Rules) > 0 {
		by := "rule"
		if len(h.Rules) > 1 {
			by = "rules"
		}
		fmt.Fprintf(w, ", %s %s", by, strings.Join(h.Rules, ", "))
	}
	if !h.Until.IsZero() {
		fmt.Fprintf(w, ", until %s", h.Until.Local().Format("2006-01-02 15:04"))
	}
	if len(h.Was) > 0 {
		fmt.Fprintf(w, "; was %s", strings.Join(h.Was, ", "))
	}
	if mark == "-" || h.Narrows {
		used := "never used"
		if !h.LastUsed.IsZero() {
			used = "last used " + h.LastUsed.Local().Format(time.DateOnly)
		}
		fmt.Fprintf(w, ", %s", used)
	}
	fmt.Fprintln(w)
}

// tellFindings shows what there is to say of rules, groups and tests.
func tellFindings(w io.Writer, plan bridge.PolicyPlan) {
	if len(plan.Findings)+len(plan.Shadow)+len(plan.Tests) > 0 {
		fmt.Fprintln(w)
	}
	for _, f := range plan.Findings {
		about := ""
		if f.Rule != "" {
			about = "rule " + f.Rule + placed(f.Pos)
		}
		if f.Group != "" {
			about = strings.TrimPrefix(about+fmt.Sprintf(", group %q of %s (%s)", f.Group, f.Connection, howMany(f.People, "member", "members")), ", ")
		}
		if about == "" {
			about = f.Code
		}
		fmt.Fprintf(w, "note  %s: %s\n", about, f.Message)
	}
	for _, r := range plan.Shadow {
		fmt.Fprintf(w, "note  rule %s%s only counts: it would give %s something\n", r.Rule, placed(r.Pos), howMany(r.People, "person", "people"))
	}
	for _, t := range mapping.FailedTests(plan.Tests) {
		fmt.Fprintf(w, "FAIL  %s%s\n", t.Name, placed(t.Pos))
		for _, why := range t.Failures {
			fmt.Fprintf(w, "      %s\n", why)
		}
	}
	if len(plan.Findings)+len(plan.Shadow)+len(plan.Tests) > 0 {
		fmt.Fprintln(w)
	}
}

func placed(p mapping.Pos) string {
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", p.File, p.Line)
}

// tellPlan ends with what stands in the way, and how to go on.
func tellPlan(w io.Writer, plan bridge.PolicyPlan, file string) {
	if wrong := len(mapping.FailedTests(plan.Tests)); wrong > 0 {
		fmt.Fprintf(w, "%s, so it would not be applied.\n", howMany(int64(wrong), "test fails", "tests fail"))
	} else if n := len(plan.Tests); n > 0 {
		fmt.Fprintf(w, "%s.\n", howMany(int64(n), "test passes", "tests pass"))
	}
	for _, g := range plan.Guards {
		fmt.Fprintf(w, "Guard %s: %s.\n", g.Guard, g.Message)
	}
	fmt.Fprintf(w, "Plan %s, compared with version %d. It is kept for a day, and holds until the rules change or somebody would lose more.\n", plan.Hash, plan.Base)
	if len(mapping.FailedTests(plan.Tests)) > 0 {
		return
	}
	how := "Apply it"
	if len(plan.Guards) > 0 {
		how = "Apply it all the same"
	}
	fmt.Fprintf(w, "%s: drawbridge %s --plan %s%s\n", how, applying(plan, file), plan.Hash, approving(plan.Guards))
}

// applying is the command that applies a plan.
func applying(plan bridge.PolicyPlan, file string) string {
	switch {
	case plan.Reverts > 0:
		return fmt.Sprintf("policy revert %d", plan.Reverts)
	case file == "":
		return "apply"
	}
	return "apply " + pasted(file)
}

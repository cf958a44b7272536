package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/drive"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func (c *cli) drive() *cobra.Command {
	var o drive.Options
	var token, names, cycle string
	cmd := &cobra.Command{Use: "drive VENDOR", Short: "Act as an identity provider against a SCIM server, and measure it", ValidArgs: []string{drive.VendorEntra, drive.VendorOkta},
		Long: "drive makes up people and groups, and sends them as \"entra\" or \"okta\" does: its own requests, in its own\norder, at most 100 members a PATCH. Everybody is looked up before they are created: the same command goes on\nafter an interruption, and doubles nothing. It drives this machine only, unless you own the other one and say so.",
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.Vendor, o.Cycle = args[0], drive.Cycle(cycle)
			if o.Token, err = readToken(token); err != nil {
				return err
			}
			if o.GroupNames, err = readNames(names); err != nil {
				return err
			}
			return c.runDrive(cmd.Context(), o)
		}}
	f := cmd.Flags()
	f.StringVar(&o.URL, "url", "", "SCIM base URL of the connection; for Entra also with ?aadOptscim062020")
	f.StringVar(&token, "token-file", "", "file with the connection's SCIM token")
	f.StringVar(&cycle, "cycle", string(drive.Initial), "initial, incremental, restore or cleanup")
	f.IntVar(&o.People, "people", 1000, "how many people there are")
	f.IntVar(&o.Groups, "groups", 20, "how many groups there are")
	f.IntVar(&o.Memberships, "memberships", 5000, "how many memberships all groups have together")
	f.StringVar(&names, "group-names", "", "file with names for the first groups, one a line, so that they feed rules")
	f.IntVar(&o.Seed, "seed", 1, "other people and groups for each number")
	f.IntVar(&o.Share, "share", 5, "percent that an incremental or restore cycle changes")
	f.IntVar(&o.Round, "round", 0, "which incremental cycle this is, or how many there were before a restore cycle")
	f.BoolVar(&o.Bulk, "bulk", false, "send the initial cycle in bulk requests, which no vendor does")
	f.IntVar(&o.Concurrency, "concurrency", 16, "requests at a time")
	f.DurationVar(&o.Timeout, "timeout", 30*time.Minute, "when to stop, done or not")
	f.BoolVar(&o.IOwnThisServer, "i-own-this-server", false, "drive another machine than this one: you own it, and may load it")
	return cmd
}

func readToken(file string) (secret.String, error) {
	body, err := readSmall(file)
	if err != nil {
		return secret.String{}, failed(exitUsage, "--token-file needs a file with the connection's SCIM token: %w", err)
	}
	return secret.New(strings.TrimSpace(body)), nil
}

func readNames(file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	body, err := readSmall(file)
	if err != nil {
		return nil, failed(exitUsage, "--group-names: %w", err)
	}
	var names []string
	for line := range strings.Lines(body) {
		if name := strings.TrimSpace(line); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// readSmall reads a file that somebody wrote by hand, and no device without an end.
func readSmall(file string) (string, error) {
	const most = 4 << 20
	f, err := os.Open(file) //nolint:gosec // the caller names their own file
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(body) > most {
		err = fmt.Errorf("%s is over %d bytes", file, most)
	}
	return string(body), errors.Join(err, f.Close())
}

func (c *cli) runDrive(ctx context.Context, o drive.Options) error {
	d, err := drive.New(o)
	if err != nil {
		return &exit{code: exitUsage, err: err}
	}
	hide := c.showProgress(d.Progress)
	report, err := d.Run(ctx)
	hide()
	if c.json {
		if err := c.print(report); err != nil {
			return err
		}
	} else {
		fmt.Fprint(c.out, report)
	}
	switch {
	case errors.Is(err, drive.ErrUnreachable):
		return &exit{code: exitUnreachable, err: err}
	case errors.Is(err, drive.ErrNotAllowed):
		return &exit{code: exitNotAllowed, err: err}
	case err != nil:
		return &exit{code: exitNo, err: err}
	case !report.Good():
		return &exit{code: exitNo}
	}
	return nil
}

// showProgress draws a bar on a terminal four times a second, and elsewhere writes a
// line each five seconds. The function it returns ends that, and takes the bar away.
func (c *cli) showProgress(ask func() drive.Progress) (hide func()) {
	every, line := 5*time.Second, progressLine
	if isTerminal(c.err) {
		every, line = 250*time.Millisecond, progressBar
	}
	done := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if p := ask(); p.Phase != "" {
					fmt.Fprint(c.err, line(p))
				}
			}
		}
	})
	return func() {
		close(done)
		drawing.Wait()
		if isTerminal(c.err) {
			fmt.Fprint(c.err, "\r\x1b[K")
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func progressLine(p drive.Progress) string {
	text := fmt.Sprintf("%s %s/%s, %s/s", p.Phase, drive.Thousands(p.Done), drive.Thousands(p.Total), drive.Thousands(int64(p.Rate)))
	if p.Left > 0 {
		text += ", " + p.Left.Round(time.Second).String() + " left"
	}
	return text + "\n"
}

// progressBar is one line that replaces itself.
func progressBar(p drive.Progress) string {
	const width = 24
	full := width
	if p.Total > 0 {
		full = int(min(p.Done, p.Total) * width / p.Total)
	}
	return "\r\x1b[K[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] " + strings.TrimSuffix(progressLine(p), "\n")
}

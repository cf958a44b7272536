package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/scim/scimtest"
)

func (c *cli) scim() *cobra.Command {
	cmd := family("scim", "SCIM servers: ours, and anybody's")
	cmd.AddCommand(c.scimCheck(), c.scimLog())
	return cmd
}

// checkFlags are the flags of scim check.
type checkFlags struct {
	token, junit, failOn string
	timeout              time.Duration
	requests             int
	verbose, insecure    bool
}

func (c *cli) scimCheck() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{Use: "check URL", Short: "Check any SCIM 2.0 server against the RFCs, and grade it", Args: cobra.ExactArgs(1),
		Long: `check tries what RFC 7643, 7644 and 9865 ask of a SCIM server, ours or another's, and what identity
providers depend on. It makes people and groups whose names begin with "scimtest-", changes these alone,
and removes them, also when it is interrupted. URL is what stands before /Users.`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.checkServer(cmd.Context(), args[0], f) }}
	cmd.Flags().StringVar(&f.token, "token-file", "", "file with the SCIM server's bearer token, or - for standard input")
	cmd.Flags().StringVar(&f.junit, "junit", "", "also write a JUnit report to this file")
	cmd.Flags().StringVar(&f.failOn, "fail-on", "must", "the least binding failure that makes the exit code 1: must, should or may")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Minute, "how long the checks may take; removing what they made comes after")
	cmd.Flags().IntVar(&f.requests, "max-requests", 2000, "how many requests the checks may send")
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "name the checks that hold, too")
	cmd.Flags().BoolVar(&f.insecure, "insecure-allow-http", false, "send the token in the clear to another machine")
	return cmd
}

func (c *cli) checkServer(ctx context.Context, at string, f checkFlags) error {
	least, err := scimtest.ParseSeverity(f.failOn)
	if err != nil {
		return failed(exitUsage, "--fail-on: %w", err)
	}
	if f.timeout <= 0 || f.requests <= 0 {
		return failed(exitUsage, "--timeout and --max-requests must be above zero")
	}
	token, err := c.scimToken(f.token)
	if err != nil {
		return err
	}
	report, err := scimtest.Run(ctx, scimtest.Options{BaseURL: at, Token: token, MaxRequests: f.requests, Timeout: f.timeout,
		Progress: c.progress(), InsecureAllowHTTP: f.insecure})
	if err != nil {
		return failed(checkCode(err), "%w", err)
	}
	return errors.Join(c.writeReport(report, f, least), c.verdict(report, least))
}

// checkCode is the exit code of a run that could not begin.
func checkCode(err error) int {
	switch {
	case errors.Is(err, scimtest.ErrUnreachable):
		return exitUnreachable
	case errors.Is(err, scimtest.ErrRefused):
		return exitNotAllowed
	}
	return exitUsage
}

// verdict is the exit code of a report: a run that did not come to its end, or left
// something behind, is no success.
func (c *cli) verdict(r scimtest.Report, least scimtest.Severity) error {
	if r.Worse(least) || r.Stopped != "" || len(r.Left) > 0 {
		return &exit{code: exitNo}
	}
	return nil
}

// maxToken is the longest token that is read, in bytes.
const maxToken = 16 << 10

// scimToken reads a token: one line, from a file or standard input.
func (c *cli) scimToken(file string) (string, error) {
	if file == "" {
		return "", failed(exitUsage, "--token-file must name a file with the SCIM server's token, or - for standard input")
	}
	from := c.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return "", failed(exitUsage, "--token-file: %w", err)
		}
		defer opened.Close()
		from = opened
	}
	text, err := io.ReadAll(io.LimitReader(from, maxToken+1))
	if err != nil {
		return "", failed(exitUsage, "--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", failed(exitUsage, "--token-file: %s must hold one token and nothing else", cmp.Or(file, "it"))
	}
	return token, nil
}

func (c *cli) writeReport(r scimtest.Report, f checkFlags, least scimtest.Severity) error {
	if f.junit != "" {
		var b bytes.Buffer
		if err := scimtest.WriteJUnit(&b, r, least); err != nil {
			return err
		}
		if err := os.WriteFile(f.junit, b.Bytes(), 0o600); err != nil {
			return failed(exitUsage, "--junit: %w", err)
		}
	}
	if c.json {
		return c.print(r)
	}
	return scimtest.WriteText(c.out, r, c.terminal(c.out) && !c.noColour(), f.verbose)
}

// terminal reports whether somebody looks at w.
func (c *cli) terminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && !slices.Contains(c.env, "TERM=dumb")
}

// noColour is the NO_COLOR convention: set to anything, it forbids colour.
func (c *cli) noColour() bool {
	return slices.ContainsFunc(c.env, func(kv string) bool { return strings.HasPrefix(kv, "NO_COLOR=") && kv != "NO_COLOR=" })
}

// progress tells a terminal how far a run is, in one line that is gone at the end.
func (c *cli) progress() func(done, total int, id string) {
	if !c.terminal(c.err) {
		return nil
	}
	return func(done, total int, id string) {
		if done == total {
			fmt.Fprint(c.err, "\r\x1b[K")
			return
		}
		fmt.Fprintf(c.err, "\r\x1b[K%d/%d %s", done+1, total, id)
	}
}

package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func (c *cli) test() *cobra.Command {
	var junit, pattern, at string
	cmd := &cobra.Command{Use: "test FILE", Short: "Run the tests that a configuration carries",
		Long: "test decides for the made-up person of each test what the rules give, and compares. It asks no bridge\nand changes nothing. The exit code is 1 if a test fails, and 2 if the file does not hold.",
		Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
			now := time.Now()
			if at != "" {
				var err error
				if now, err = instant("--at", at, now); err != nil {
					return err
				}
			}
			only, err := regexp.Compile(pattern)
			if err != nil {
				return failed(exitUsage, "--run: %w", err)
			}
			return c.testFile(args[0], only, now, junit)
		}}
	cmd.Flags().StringVar(&junit, "junit", "", "write the results into this file as JUnit XML; - is standard output, instead of the text")
	cmd.Flags().StringVar(&pattern, "run", "", "only tests whose name this regular expression matches")
	cmd.Flags().StringVar(&at, "at", "", "the instant of tests that name none: a time, or a duration before now (default: now)")
	return cmd
}

// tested is how the tests of one file came out, as --json shows it.
type tested struct {
	File    string               `json:"file"`
	Passed  int                  `json:"passed"`
	Failed  int                  `json:"failed"`
	Results []mapping.TestResult `json:"results"`
}

func (c *cli) testFile(file string, only *regexp.Regexp, now time.Time, junit string) error {
	cfg, err := c.load(file)
	if err != nil {
		return err
	}
	done, err := runTests(file, cfg, only, now)
	if err != nil {
		return err
	}
	if len(done.Results) == 0 && len(cfg.Policy.Tests) > 0 {
		return failed(exitUsage, "none of the %d tests of %s has a name that %q matches", len(cfg.Policy.Tests), file, only)
	}
	if err := c.reportTests(done, junit); err != nil {
		return err
	}
	if done.Failed > 0 {
		return &exit{code: exitNo}
	}
	return nil
}

// runTests runs those tests of a configuration whose names match; nil: all.
func runTests(file string, cfg *config.Config, only *regexp.Regexp, now time.Time) (tested, error) {
	policy, err := mapping.Compile(cfg.Testable())
	if err != nil {
		return tested{}, &exit{code: exitUsage, err: err}
	}
	var chosen []mapping.TestSource
	for _, t := range cfg.Policy.Tests {
		if only == nil || only.MatchString(t.Name) {
			chosen = append(chosen, t)
		}
	}
	done := tested{File: file, Results: mapping.RunTests(policy, chosen, now)}
	done.Failed = len(mapping.FailedTests(done.Results))
	done.Passed = len(done.Results) - done.Failed
	return done, nil
}

// failing tells check's reader which tests fail: such a file is not applied.
func (c *cli) failing(done tested) error {
	if c.json {
		return errors.Join(c.print(map[string]any{"ok": false, "tests": mapping.FailedTests(done.Results)}), &exit{code: exitUsage})
	}
	for _, r := range mapping.FailedTests(done.Results) {
		c.tellTest(c.err, r)
	}
	return failed(exitUsage, "%d of %d tests of %s fail, so it would not be applied", done.Failed, len(done.Results), done.File)
}

func (c *cli) reportTests(done tested, junit string) error {
	if junit != "" {
		body, err := junitXML(done)
		if err != nil {
			return err
		}
		if junit == "-" {
			_, err := c.out.Write(body)
			return err
		}
		if err := os.WriteFile(junit, body, 0o644); err != nil { //nolint:gosec // a report for other programs
			return failed(exitUsage, "--junit: %w", err)
		}
	}
	if c.json {
		return c.print(done)
	}
	for _, r := range done.Results {
		c.tellTest(c.out, r)
	}
	if len(done.Results) == 0 {
		fmt.Fprintf(c.out, "%s carries no tests.\n", done.File)
		return nil
	}
	fmt.Fprintf(c.out, "%d passed, %d failed\n", done.Passed, done.Failed)
	return nil
}

func (c *cli) tellTest(w io.Writer, r mapping.TestResult) {
	if r.Passed {
		fmt.Fprintf(w, "ok    %s\n", legible(r.Name))
		return
	}
	fmt.Fprintf(w, "FAIL  %s\n", legible(r.Name))
	for _, line := range failureLines(r) {
		fmt.Fprintf(w, "      %s\n", legible(line))
	}
}

// failureLines tell why a test failed: what was wanted, what was there, what the
// rules involved say, and where the test stands.
func failureLines(r mapping.TestResult) []string {
	var lines []string
	for _, f := range r.Failures {
		lines = append(lines, "want "+f.Want, "got  "+f.Got)
	}
	for _, reason := range r.Reasons {
		lines = append(lines, reason.String()+inFile(reason.Pos))
	}
	if at := r.Pos.String(); at != "" {
		lines = append(lines, "at "+at)
	}
	return lines
}

// The elements of JUnit's report that GitLab, Jenkins and GitHub's readers share.
// Times are zero: a test is arithmetic.
type (
	junitReport struct {
		XMLName xml.Name     `xml:"testsuites"`
		Counts  junitCounts  `xml:",any,attr"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name   string      `xml:"name,attr"`
		Counts junitCounts `xml:",any,attr"`
		Cases  []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Time      int           `xml:"time,attr"`
		Failure   *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// junitCounts are the attributes that report and suite have in common.
type junitCounts []xml.Attr

func countsOf(done tested) junitCounts {
	attr := func(name string, n int) xml.Attr { return xml.Attr{Name: xml.Name{Local: name}, Value: fmt.Sprint(n)} }
	return junitCounts{attr("tests", len(done.Results)), attr("failures", done.Failed), attr("errors", 0), attr("skipped", 0), attr("time", 0)}
}

func junitXML(done tested) ([]byte, error) {
	suite := junitSuite{Name: done.File, Counts: countsOf(done)}
	for _, r := range done.Results {
		one := junitCase{Name: r.Name, ClassName: done.File, File: r.Pos.File, Line: r.Pos.Line}
		if !r.Passed {
			one.Failure = &junitFailure{Message: r.Failures[0].String(), Type: "policy", Text: strings.Join(failureLines(r), "\n")}
		}
		suite.Cases = append(suite.Cases, one)
	}
	body, err := xml.MarshalIndent(junitReport{Counts: countsOf(done), Suites: []junitSuite{suite}}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(append([]byte(xml.Header), body...), '\n'), nil
}

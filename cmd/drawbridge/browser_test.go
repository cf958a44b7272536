//go:build lanes

package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/launcher"
	"github.com/go-rod/rod/lib/proto"
)

// window is a browser with a window of its own: a profile that nobody else uses,
// and an ear for all that a page should not do.
type window struct {
	t       *testing.T
	d       *running
	browser *rod.Browser
	axe     string
	shots   string

	mu       sync.Mutex // guards the rest
	faults   []string
	document map[proto.NetworkRequestID]string
}

// openWindow starts Debian's chromium. It is never downloaded, and a machine
// without it fails the lane.
func openWindow(t *testing.T, d *running) *window {
	t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this lane needs chromium (make setup-browser): %v", err)
	}
	l := launcher.New().Bin(bin).Leakless(false).UserDataDir(t.TempDir()).NoSandbox(true).Set("disable-gpu").Set("disable-quic").
		Set("no-first-run").Set("disable-background-networking").Set("disable-component-update").Set("disable-sync")
	control, err := l.Launch()
	if err != nil {
		t.Fatalf("chromium did not start: %v", err)
	}
	browser := rod.New().ControlURL(control)
	if err := browser.Connect(); err != nil {
		t.Fatal(err)
	}
	w := &window{t: t, d: d, browser: browser, axe: axeSource(t), shots: t.TempDir(), document: map[proto.NetworkRequestID]string{}}
	t.Cleanup(func() {
		if err := browser.Close(); err != nil {
			t.Error(err)
		}
		l.Cleanup() // waits for the process, so that its profile can be removed
	})
	return w
}

func axeSource(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("this lane needs axe-core (make setup-axe): %v", err)
	}
	return string(b)
}

// tab is one page of a window.
type tab struct {
	*window
	page *rod.Page
}

// open opens a tab at an address.
func (w *window) open(at string) *tab {
	w.t.Helper()
	page, err := w.browser.Page(proto.TargetCreateTarget{})
	if err != nil {
		w.t.Fatal(err)
	}
	page = page.Timeout(60 * time.Second)
	w.listen(page)
	tb := &tab{window: w, page: page}
	tb.visit(at)
	return tb
}

// listen keeps every console error, every report of a broken content policy and
// every request to an origin that is not the demo's.
func (w *window) listen(page *rod.Page) {
	wait := page.EachEvent(
		func(e *proto.RuntimeConsoleAPICalled) {
			if e.Type == proto.RuntimeConsoleAPICalledTypeError || e.Type == proto.RuntimeConsoleAPICalledTypeWarning {
				w.fault("console: %v", e.Args)
			}
		},
		func(e *proto.RuntimeExceptionThrown) { w.fault("exception: %s", e.ExceptionDetails.Text) },
		func(e *proto.LogEntryAdded) { w.entry(e.Entry) },
		func(e *proto.AuditsIssueAdded) {
			if e.Issue.Details.ContentSecurityPolicyIssueDetails != nil {
				w.fault("content policy: %s", e.Issue.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective)
			}
		},
		func(e *proto.NetworkRequestWillBeSent) { w.request(e) },
	)
	go wait()
}

func (w *window) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// entry forgives one line: that the document itself came with a 4xx, which is how
// pages that say no are answered.
func (w *window) entry(e *proto.LogLogEntry) {
	w.mu.Lock()
	_, isDocument := w.document[e.NetworkRequestID]
	w.mu.Unlock()
	if isDocument && strings.Contains(e.Text, "status of 4") || e.Level == proto.LogLogEntryLevelVerbose || e.Level == proto.LogLogEntryLevelInfo {
		return
	}
	w.fault("%s %s: %s (%s)", e.Source, e.Level, e.Text, e.URL)
}

func (w *window) request(e *proto.NetworkRequestWillBeSent) {
	if e.Type == proto.NetworkResourceTypeDocument {
		w.mu.Lock()
		w.document[e.RequestID] = e.Request.URL
		w.mu.Unlock()
	}
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Scheme != "data" && !slices.Contains(w.origins(), u.Scheme+"://"+u.Host) {
		w.fault("a request to %s", e.Request.URL)
	}
}

// origins are the demo's own.
func (w *window) origins() []string {
	all := []string{w.d.Issuer, w.d.AppURL}
	for _, c := range w.d.Connections {
		if u, err := url.Parse(c.IdPIssuer); err == nil {
			all = append(all, u.Scheme+"://"+u.Host)
		}
	}
	return all
}

// quiet fails the test with everything that was heard so far.
func (w *window) quiet(where string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		w.t.Errorf("%s: %s", where, f)
	}
	w.faults = nil
}

func (tb *tab) visit(at string) {
	tb.t.Helper()
	if err := tb.page.Navigate(at); err != nil {
		tb.t.Fatalf("open %s: %v", at, err)
	}
}

// eval runs an expression in the page through the DevTools protocol, which works
// whatever the page's policy is, and with script switched off too, as long as
// nothing waits for a promise.
func (tb *tab) eval(expression string) (string, error) {
	return tb.evaluate(proto.RuntimeEvaluate{Expression: expression, ReturnByValue: true})
}

func (tb *tab) evaluate(e proto.RuntimeEvaluate) (string, error) {
	res, err := e.Call(tb.page)
	switch {
	case err != nil:
		return "", err
	case res.ExceptionDetails != nil:
		return "", fmt.Errorf("%s: %s", res.ExceptionDetails.Text, res.ExceptionDetails.Exception.Description)
	}
	return res.Result.Value.Str(), nil
}

// loaded is empty until a page is there that came after the last leave.
const loaded = `document.readyState === "complete" && !document.documentElement.dataset.left ? location.href + "\n" + document.querySelector("main")?.innerText : ""`

// rest waits until the tab shows a page below origin whose text has all parts.
func (tb *tab) rest(origin string, parts ...string) {
	tb.t.Helper()
	var last string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(25 * time.Millisecond) {
		text, err := tb.eval(loaded)
		if err != nil || text == "" {
			continue // on its way to another page
		}
		last = text
		if strings.HasPrefix(text, origin) && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) }) {
			return
		}
	}
	tb.t.Fatalf("the tab did not come to %s with %q; it shows\n%s", origin, parts, last)
}

// leave marks the page that the next click or key leads away from.
func (tb *tab) leave() {
	tb.t.Helper()
	if _, err := tb.eval(`document.documentElement.dataset.left = "yes"`); err != nil {
		tb.t.Fatal(err)
	}
}

// find is the first element of a CSS selector whose HTML holds the text. Like click,
// it asks the DOM and runs no script.
func (tb *tab) find(selector, text string) proto.DOMNodeID {
	tb.t.Helper()
	root, err := proto.DOMGetDocument{}.Call(tb.page)
	if err != nil {
		tb.t.Fatal(err)
	}
	all, err := proto.DOMQuerySelectorAll{NodeID: root.Root.NodeID, Selector: selector}.Call(tb.page)
	if err != nil {
		tb.t.Fatal(err)
	}
	for _, id := range all.NodeIDs {
		html, err := proto.DOMGetOuterHTML{NodeID: id}.Call(tb.page)
		if err != nil {
			tb.t.Fatal(err)
		}
		if strings.Contains(html.OuterHTML, text) {
			return id
		}
	}
	tb.t.Fatalf("there is no %s with %q", selector, text)
	return 0
}

// click clicks in the middle of what find finds, as a hand does. It leads to
// another page.
func (tb *tab) click(selector, text string) {
	tb.t.Helper()
	id := tb.find(selector, text)
	if err := (proto.DOMScrollIntoViewIfNeeded{NodeID: id}).Call(tb.page); err != nil {
		tb.t.Fatal(err)
	}
	box, err := proto.DOMGetContentQuads{NodeID: id}.Call(tb.page)
	if err != nil || len(box.Quads) == 0 {
		tb.t.Fatalf("%s %q cannot be seen: %v", selector, text, err)
	}
	q := box.Quads[0]
	tb.leave()
	for _, kind := range []proto.InputDispatchMouseEventType{proto.InputDispatchMouseEventTypeMousePressed, proto.InputDispatchMouseEventTypeMouseReleased} {
		e := proto.InputDispatchMouseEvent{Type: kind, X: (q[0] + q[4]) / 2, Y: (q[1] + q[5]) / 2, Button: proto.InputMouseButtonLeft, ClickCount: 1}
		if err := e.Call(tb.page); err != nil {
			tb.t.Fatal(err)
		}
	}
}

// address fills in the bridge's address page.
func (tb *tab) address(email string) {
	tb.t.Helper()
	tb.rest(tb.d.Issuer+"/sign-in", "Work e-mail")
	err := proto.DOMFocus{NodeID: tb.find("#email", "")}.Call(tb.page)
	if err == nil {
		err = tb.page.InsertText(email)
	}
	if err != nil {
		tb.t.Fatal(err)
	}
	tb.click("button", "Continue")
}

// signIn walks from the application's first page to its page for people.
func (tb *tab) signIn(email string) {
	tb.t.Helper()
	tb.visit(tb.d.AppURL + "/")
	tb.rest(tb.d.AppURL, "It knows nobody")
	tb.click("a.button", "Sign in")
	tb.address(email)
	tb.rest(tb.d.AppURL, "You work as")
}

// look holds the page that the tab shows to the rules of every page: axe-core finds
// nothing in light and in dark, and nothing was heard that should not be.
func (tb *tab) look(name string) {
	tb.t.Helper()
	// Without an icon of its own a browser with a window asks for /favicon.ico, which
	// the page's policy forbids; one without a window does not ask.
	if icon, err := tb.eval(`document.querySelector("link[rel=icon]")?.href ?? ""`); err != nil || !strings.HasPrefix(icon, "data:") {
		tb.t.Errorf("%s: its icon is %q, %v", name, icon, err)
	}
	for _, scheme := range []string{"light", "dark"} {
		media := proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if err := media.Call(tb.page); err != nil {
			tb.t.Fatal(err)
		}
		shot, err := tb.page.Screenshot(true, nil)
		if err == nil {
			err = os.WriteFile(filepath.Join(tb.shots, name+"-"+scheme+".png"), shot, 0o600)
		}
		if err != nil {
			tb.t.Fatal(err)
		}
		for _, v := range tb.violations() {
			tb.t.Errorf("%s in %s: %s: %s\n\t%s", name, scheme, v.ID, v.Help, strings.Join(v.Where, "\n\t"))
		}
	}
	tb.quiet(name)
}

type violation struct {
	ID    string   `json:"id"`
	Help  string   `json:"help"`
	Where []string `json:"where"`
}

// runAxe does not preload: axe would fetch style sheets, which pages forbid.
const runAxe = `axe.run(document, {preload: false}).then(r => JSON.stringify({rules: r.passes.length, violations:
	r.violations.map(v => ({id: v.id, help: v.help, where: v.nodes.map(n => n.html + " " + n.failureSummary)}))}))`

func (tb *tab) violations() []violation {
	tb.t.Helper()
	if _, err := tb.eval(tb.axe + ";''"); err != nil {
		tb.t.Fatalf("axe-core does not load: %v", err)
	}
	text, err := tb.evaluate(proto.RuntimeEvaluate{Expression: runAxe, ReturnByValue: true, AwaitPromise: true})
	var found struct {
		Rules      int         `json:"rules"`
		Violations []violation `json:"violations"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &found)
	}
	if err != nil || found.Rules < 5 {
		tb.t.Fatalf("axe-core looked at %d rules: %v", found.Rules, err)
	}
	return found.Violations
}

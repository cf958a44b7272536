package scimtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What a run takes at most, unless Options say otherwise.
const (
	defaultRequests = 2000
	defaultTimeout  = 10 * time.Minute
	requestTimeout  = 30 * time.Second
	sweepTimeout    = time.Minute // for removing what was made, after everything else
	parallel        = 8           // requests at once, in the checks that need it
)

// Errors of Run, to be found with errors.Is.
var (
	// ErrUnreachable: nothing there speaks SCIM.
	ErrUnreachable = errors.New("no SCIM server answers")
	// ErrRefused: the token opens nothing.
	ErrRefused = errors.New("the server refuses the token")
)

// Options says which server to check. BaseURL and Token are required.
type Options struct {
	BaseURL string // what stands before /Users
	Token   string // sent as a bearer token, to this server alone

	MaxRequests int           // 0: 2,000
	Timeout     time.Duration // of the whole run without the final removal; 0: 10 minutes

	// Progress is told before each check, and once at the end with done == total.
	Progress func(done, total int, id string)
	// Transport replaces the way out, for servers inside the process.
	Transport http.RoundTripper
	// Now is the clock of the report; nil: the machine's.
	Now func() time.Time

	// InsecureAllowHTTP sends the token in the clear to other machines.
	InsecureAllowHTTP bool
}

// run is one run on its way.
type run struct {
	client *client
	ledger *ledger
	claims map[feature]bool
	known  map[string]bool // top-level attributes of people, lower case; nil: not told
	limits limits
	config *reply // ServiceProviderConfig
	cast   *cast  // nil until the first check that needs it

	required required
	declined []int // findings: lenient checks whose request was answered 400
}

// Run checks a server. The error is about the run itself: options that do not hold,
// ErrUnreachable, ErrRefused. An interrupted run is a report with Stopped set.
func Run(ctx context.Context, o Options) (Report, error) {
	base, err := parseBase(o.BaseURL, o.InsecureAllowHTTP)
	if err != nil {
		return Report{}, err
	}
	if o.Token == "" {
		return Report{}, errors.New("a token is needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	if o.Transport == nil {
		o.Transport = transport(base, o.InsecureAllowHTTP)
	}
	r := &run{ledger: newLedger(nonce()), client: &client{base: base, token: o.Token, timeout: requestTimeout,
		most: cmp.Or(o.MaxRequests, defaultRequests), http: &http.Client{Transport: o.Transport, CheckRedirect: stay}}}
	defer r.client.http.CloseIdleConnections()
	report := Report{Target: base.String(), Started: o.Now().UTC()}
	if err := r.all(ctx, o, &report); err != nil {
		return Report{}, err
	}
	report.Left = r.sweep(ctx)
	report.Requests, report.Took = r.client.count(), o.Now().Sub(report.Started)
	report.Grade = report.grade()
	o.Progress(len(report.Findings), len(report.Findings), "")
	return report, nil
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// nonce sets the names of one run apart from those of another.
func nonce() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

// all learns what the server claims, and tries every check.
func (r *run) all(ctx context.Context, o Options, report *Report) error {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(o.Timeout, defaultTimeout), errTime)
	defer cancel()
	if err := r.learn(ctx); err != nil {
		return err
	}
	checks, readsLeniently := Checks(), false
	for i, c := range checks {
		o.Progress(i, len(checks), c.ID)
		f := c.blank()
		switch missing := r.missing(c); {
		case report.Stopped != "":
			f.Verdict, f.Found = NotRun, report.Stopped
		case missing != "":
			f.Verdict, f.Found = Skipped, "the server does not claim "+string(missing)
		default:
			if r.attempt(ctx, i, c, &f); c.lenient && f.Verdict == Holds {
				readsLeniently = true
			}
		}
		if f.Verdict == NotRun && report.Stopped == "" {
			report.Stopped = f.Found
		}
		report.Findings = append(report.Findings, f)
	}
	if !readsLeniently {
		r.strict(report)
	}
	return nil
}

// strict takes back what is held against a server that refuses every departure from
// the RFC: that is a decision, and the RFC is on its side. One that takes some of them
// and not others keeps its findings.
func (r *run) strict(report *Report) {
	for _, i := range r.declined {
		f := &report.Findings[i]
		f.Verdict, f.Sent, f.Received = Skipped, "", ""
		f.Found = "the server reads strictly: it refuses each departure from the RFC that identity providers make"
	}
}

var errTime = errors.New("the time of this run is spent")

func (r *run) missing(c Check) feature {
	for _, f := range c.needs {
		if !r.claims[f] {
			return f
		}
	}
	return ""
}

// attempt tries one check and says what became of it.
func (r *run) attempt(ctx context.Context, at int, c Check, f *Finding) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		s, ours := p.(stop)
		if !ours {
			panic(p)
		}
		f.Verdict, f.Found = s.verdict, printable(r.client.redact(s.found))
		if c.lenient && s.verdict == Fails && s.reply != nil && s.reply.status == http.StatusBadRequest {
			r.declined = append(r.declined, at)
		}
		if s.reply != nil && s.verdict == Fails {
			f.Sent, f.Received = r.client.sentText(s.reply.sent), r.client.receivedText(s.reply)
		}
	}()
	c.try(&trial{run: r, ctx: ctx, id: c.ID})
	f.Verdict = Holds
}

// unanswered is how a trial ends when a request got no answer.
func unanswered(ctx context.Context, q request, err error) stop {
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errTime):
		return stop{verdict: NotRun, found: errTime.Error()}
	case ctx.Err() != nil:
		return stop{verdict: NotRun, found: "interrupted"}
	case errors.Is(err, errSpent):
		return stop{verdict: NotRun, found: errSpent.Error()}
	}
	return stop{verdict: Fails, found: fmt.Sprintf("%s %s got no answer: %v", q.method, q.target, err)}
}

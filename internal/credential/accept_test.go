package credential

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

func mara() Subject {
	return Subject{Connection: "ironbark-entra", Client: "fleet-web", Person: "per_mara", Session: "ses_1", Family: "fam_1"}
}

func alive() Current {
	return Current{Subject: mara(), Epochs: Epochs{Host: 2, Connection: 3, Client: 4, Person: 5, Session: 6},
		Alive: true, Decided: true, ValidUntil: noon().Add(time.Hour), SessionExpires: noon().Add(8 * time.Hour)}
}

func boundTo(c Current) Bound {
	return Bound{Subject: c.Subject, Epochs: c.Epochs, Expires: noon().Add(5 * time.Minute)}
}

// change is one thing that is different between what was minted and what is now.
type change struct {
	name   string
	to     func(*Current)
	reason string
}

func withWhy(why string) func(*Current) {
	return func(c *Current) { c.Alive, c.Why = false, why }
}

// changes lists every field of Current, each way that it can speak against a
// credential. TestEveryFieldOfCurrentIsJudged fails when a field is missing here.
func changes() []change {
	all := []change{
		{"host, connection, client, person or session ended", withWhy(""), ReasonEnded},
		{"person deactivated", withWhy("deactivated"), "deactivated"},
		{"connection ended", withWhy("connection_ended"), "connection_ended"},
		{"other connection", func(c *Current) { c.Subject.Connection = "pacific-okta" }, ReasonSubject},
		{"other client", func(c *Current) { c.Subject.Client = "reports-app" }, ReasonSubject},
		{"no client", func(c *Current) { c.Subject.Client = "" }, ReasonSubject},
		{"other person", func(c *Current) { c.Subject.Person = "per_noel" }, ReasonSubject},
		{"other session", func(c *Current) { c.Subject.Session = "ses_2" }, ReasonSubject},
		{"other family", func(c *Current) { c.Subject.Family = "fam_2" }, ReasonSubject},
		{"undecided", func(c *Current) { c.Decided = false }, ReasonUndecided},
		{"decision ran out", func(c *Current) { c.ValidUntil = noon() }, ReasonUndecided},
		{"session ran out", func(c *Current) { c.SessionExpires = noon() }, ReasonExpired},
		{"session without an end", func(c *Current) { c.SessionExpires = time.Time{} }, ReasonExpired},
	}
	counters := map[string]func(*Current) *int64{
		"host":       func(c *Current) *int64 { return &c.Epochs.Host },
		"connection": func(c *Current) *int64 { return &c.Epochs.Connection },
		"client":     func(c *Current) *int64 { return &c.Epochs.Client },
		"person":     func(c *Current) *int64 { return &c.Epochs.Person },
		"session":    func(c *Current) *int64 { return &c.Epochs.Session },
	}
	for name, counter := range counters {
		for _, by := range []int64{1, -1, 1 << 40} {
			all = append(all, change{fmt.Sprintf("%s epoch %+d", name, by), func(c *Current) { *counter(c) += by }, ReasonSuperseded})
		}
		all = append(all, change{name + " epoch 0", func(c *Current) { *counter(c) = 0 }, ReasonSuperseded})
	}
	return all
}

func TestAcceptWhenNothingHasChanged(t *testing.T) {
	c := alive()
	if err := Accept(boundTo(c), c, noon()); err != nil {
		t.Error(err)
	}
	c.ValidUntil = time.Time{}
	if err := Accept(boundTo(c), c, noon()); err != nil {
		t.Errorf("a decision without an end: %v", err)
	}
}

// Threats: T-B7.
func TestAcceptRefusesEveryChange(t *testing.T) {
	for _, x := range changes() {
		now := alive()
		x.to(&now)
		err := Accept(boundTo(alive()), now, noon())
		if !fault.Is(err, fault.Unauthenticated) || fault.ReasonOf(err) != x.reason {
			t.Errorf("%s: %v, want reason %s", x.name, err, x.reason)
		}
	}
	if err := Accept(boundTo(alive()), alive(), boundTo(alive()).Expires); fault.ReasonOf(err) != ReasonExpired {
		t.Errorf("at its end: %v", err)
	}
	if err := Accept(boundTo(alive()), alive(), boundTo(alive()).Expires.Add(-1)); err != nil {
		t.Errorf("a nanosecond before its end: %v", err)
	}
}

// Undecided means that recomputing could help, so it is said only when nothing else
// speaks against the credential.
func TestUndecidedIsSaidLast(t *testing.T) {
	for _, x := range changes() {
		now := alive()
		now.Decided = false
		x.to(&now)
		if err := Accept(boundTo(alive()), now, noon()); fault.ReasonOf(err) != x.reason {
			t.Errorf("%s, and undecided: reason %q, want %q", x.name, fault.ReasonOf(err), x.reason)
		}
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	for name, err := range map[string]error{
		"nothing at all":      Accept(Bound{}, Current{}, noon()),
		"nothing at no time":  Accept(Bound{}, Current{}, time.Time{}),
		"no current":          Accept(boundTo(alive()), Current{}, noon()),
		"no bound":            Accept(Bound{}, alive(), noon()),
		"zero epochs in both": Accept(Bound{Subject: mara(), Expires: noon().Add(1)}, zeroEpochs(alive()), noon()),
	} {
		if err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

func zeroEpochs(c Current) Current {
	c.Epochs = Epochs{}
	return c
}

// A browser session's cookie has no client and no client's counter; nothing else may
// go without, and a counter without a client is nobody's.
func TestCookieHasNoClient(t *testing.T) {
	cookie := alive()
	cookie.Subject.Client, cookie.Epochs.Client = "", 0
	if err := Accept(boundTo(cookie), cookie, noon()); err != nil {
		t.Errorf("a cookie: %v", err)
	}
	cookie.Epochs.Client = 1
	if Accept(boundTo(cookie), cookie, noon()) == nil {
		t.Error("a client's counter without a client")
	}
	token := alive()
	token.Epochs.Client = 0
	if Accept(boundTo(token), token, noon()) == nil {
		t.Error("a client without its counter")
	}
	for name, drop := range map[string]func(*Subject){
		"connection": func(s *Subject) { s.Connection = "" },
		"person":     func(s *Subject) { s.Person = "" },
		"session":    func(s *Subject) { s.Session = "" },
	} {
		c := alive()
		drop(&c.Subject)
		if Accept(boundTo(c), c, noon()) == nil {
			t.Errorf("accepted without a %s", name)
		}
	}
}

// Leaving and coming back, any number of times: each change of active raises the
// person's epoch, and no credential of an earlier life is accepted in a later one.
func TestI13_ReactivationRevivesNothing(t *testing.T) {
	now := alive()
	var earlier []Bound
	for range 10 {
		earlier = append(earlier, boundTo(now))
		now.Alive, now.Why = false, "deactivated"
		now.Epochs.Person++
		refuseAll(t, earlier, now)
		now.Alive, now.Why = true, ""
		now.Epochs.Person++
		refuseAll(t, earlier, now)
		if err := Accept(boundTo(now), now, noon()); err != nil {
			t.Fatalf("what is made after the return counts: %v", err)
		}
	}
}

func refuseAll(t *testing.T, bounds []Bound, now Current) {
	t.Helper()
	for _, b := range bounds {
		if err := Accept(b, now, noon()); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a credential of person epoch %d is accepted at %d", b.Epochs.Person, now.Epochs.Person)
		}
	}
}

// When the directory cannot be read there is no Current but the zero one, and that
// refuses whatever it is held against.
func TestI23_NoDirectoryNoAcceptance(t *testing.T) {
	for _, b := range []Bound{boundTo(alive()), {}, boundTo(zeroEpochs(alive())), {Expires: noon().Add(time.Hour)}} {
		if Accept(b, Current{}, noon()) == nil {
			t.Errorf("%+v is accepted without a directory", b)
		}
	}
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// examine makes doctor's findings anew.
func (a *app) examine(ctx context.Context) []api.Finding {
	var found []api.Finding
	say := func(level, fix, format string, args ...any) {
		found = append(found, api.Finding{Level: level, What: fmt.Sprintf(format, args...), Fix: fix})
	}
	rows, err := a.bridge.Connections(ctx)
	if err != nil {
		say(api.LevelFail, "look at the disk and the log", "the store does not answer: %s", fault.KindOf(err))
		return found
	}
	say(api.LevelOK, "", "the store answers")
	if policy, err := a.bridge.PolicyInForce(ctx); err != nil || policy.Version == 0 {
		say(api.LevelFail, "start with a configuration that has rules", "no policy is in force")
	} else {
		say(api.LevelOK, "", "policy version %d, applied %s", policy.Version, policy.Applied.Local().Format(time.DateTime))
	}
	a.examineDatabase(ctx, say)
	root, envelope := a.ring.Root()
	examineRoot(root, envelope, time.Now(), say)
	examineSigningKeys(a.ring.List(), a.ring.Schedule(), time.Now(), say)
	a.examineConfiguration(ctx, say)
	a.examineDeliveries(ctx, say)
	a.examineReconciliation(ctx, time.Now(), say)
	for _, c := range rows {
		if c.State == store.ConnectionActive {
			a.examineConnection(ctx, c, say)
		}
	}
	return found
}

type finding func(level, fix, format string, args ...any)

func (a *app) examineConnection(ctx context.Context, c bridge.ConnectionView, say finding) {
	examineCredentials(c, time.Now(), say)
	a.examineKeys(ctx, c, say)
	if c.LastSCIM.IsZero() {
		say(api.LevelWarn, "press Test Connection in the identity provider", "%s: the identity provider has never been heard of", c.ID)
	} else {
		say(api.LevelOK, "", "%s: heard of %s ago, %d people in %d groups", c.ID, time.Since(c.LastSCIM).Round(time.Second), c.People, c.Groups)
	}
	a.examineSpeech(ctx, c, say)
	switch err := a.upstreams.Probe(ctx, c.ID); {
	case fault.ReasonOf(err) == upstream.ReasonUnknown:
		say(api.LevelWarn, "give it sign_in, once its people are to sign in", "%s: nobody can sign in through it", c.ID)
	case err != nil:
		say(api.LevelFail, "check sign_in.issuer, and that this machine may reach it", "%s: sign-in: %s", c.ID, cmp.Or(fault.DetailOf(err), "the identity provider does not answer"))
	default:
		say(api.LevelOK, "", "%s: the identity provider's discovery document answers", c.ID)
	}
	a.examineProbes(ctx, c.ID, say)
	a.examineSignals(ctx, c.ID, say)
	a.examineAlarms(ctx, c.ID, say)
	switch chain, err := audit.Verify(ctx, a.store, c.ID); {
	case err != nil:
		say(api.LevelFail, "look at the log", "%s: the audit chain cannot be read", c.ID)
	case chain.Bad != 0:
		say(api.LevelFail, "keep the database as evidence and restore from a backup", "%s: the audit chain is broken at row %d: %s", c.ID, chain.Bad, chain.Why)
	default:
		say(api.LevelOK, "", "%s: the audit chain is intact: %d rows", c.ID, chain.Rows)
	}
}

// examineSpeech tells whom a connection that is in use sounds like, and warns if that
// is not whom it was set up for: a token may have come into other hands.
func (a *app) examineSpeech(ctx context.Context, c bridge.ConnectionView, say finding) {
	s, err := a.bridge.Speaks(ctx, c.Connection)
	switch {
	case err != nil:
		say(api.LevelFail, "look at the log", "%s: what its requests were like cannot be read", c.ID)
	case s.Verdict.Several():
		say(api.LevelWarn, "give each identity provider a connection of its own, and find out who holds this one's token", "%s: %s use it at the same time", c.ID, s.Verdict)
	case s.Contradicts():
		say(api.LevelWarn, "set connections."+string(c.ID)+".idp to "+s.Verdict.Names[0]+", or find out who holds its token",
			"%s: it is set up for %s, and speaks %s", c.ID, s.Configured.Title, s.Verdict)
	case s.Today.Requests > 0 || len(s.Verdict.Names) > 0:
		say(api.LevelOK, "", "%s: %s", c.ID, s)
	}
	if err == nil && len(s.Beyond) > 0 {
		say(api.LevelOK, "", "%s: in the last seven days it relied on leniencies that %s is not known to need: %s", c.ID, s.Configured.Title, kindsCalled(s.Beyond))
	}
}

// remedy is what somebody does about an alarm.
func remedy(id access.ConnectionID, kind string) string {
	switch kind {
	case bridge.KindLastUnanswered:
		return "drawbridge review report shows whom; let somebody name a successor"
	case bridge.KindReconciled:
		return "drawbridge audit show lists person.reconciled; find out who wrote into the database by hand, or tell the bridge's developers"
	case bridge.KindGlassBroken, bridge.KindGlassUnconfirmed:
		return "drawbridge exception list and drawbridge request list --all show who took what; ask them why"
	}
	return fmt.Sprintf("ask the customer whether that was meant; drawbridge restore %s --at TIME shows what taking it back would do", id)
}

// examineAlarms tells what happened lately that somebody should look at.
func (a *app) examineAlarms(ctx context.Context, id access.ConnectionID, say finding) {
	found, err := a.bridge.Alarms(ctx, id)
	if err != nil {
		say(api.LevelFail, "look at the log", "%s: the audit trail cannot be read", id)
		return
	}
	for _, alarm := range []struct {
		kind      event.Type
		what, fix string
	}{
		{event.SubjectChanged, "times the identifier behind a sign-in changed, which ended the person's sessions", "ask the customer's administrator whether that was meant; see docs/operations.md"},
		{event.CodeReplayed, "authorization codes came twice", "look at the application: it repeats requests, or somebody intercepts them"},
		{event.RefreshReused, "refresh tokens came twice", "look at the application: it keeps old tokens, or somebody stole one"},
	} {
		if n := found.Recent[alarm.kind]; n > 0 {
			say("warn", alarm.fix, "%s: %d %s", id, n, alarm.what)
		}
	}
	for _, alarm := range found.Raised {
		say("warn", remedy(id, alarm.Kind), "%s: at %s, %s", id, alarm.At.UTC().Format(time.RFC3339), bridge.Sentence(alarm))
	}
	if n := len(found.Drift); n > 0 {
		say("warn", fmt.Sprintf("drawbridge connection drift %s shows them; let the identity provider send those groups anew", id),
			"%s: the identity provider names %s here, in %s", id, plural(n, "member id that is nobody's", "member ids that are nobody's"), plural(found.DriftGroups(), "group", "groups"))
	}
	if len(found.Doubled) > 0 {
		say("warn", "let the identity provider send an immutable id of its own as externalId", "%s: several active people carry the same externalId and cannot sign in: %s", id, strings.Join(found.Doubled, ", "))
	}
}

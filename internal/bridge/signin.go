package bridge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// reasonDeactivated is why somebody cannot sign in whom their company switched off.
const reasonDeactivated = "deactivated_by_idp"

// reasonWithheld is why somebody cannot sign in from whom a review took what rules give.
const reasonWithheld = "withheld"

// SignIn starts a session for a verified identity. The person is found by
// (connection, issuer, stable subject) alone; nobody is created. A refusal is
// fault.Denied with a reason code, and writes an audit row and nothing else.
func (b *Bridge) SignIn(ctx context.Context, id upstream.Identity) (secret.String, oidc.Browser, error) {
	if err := b.freshen(ctx, id); err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	cookie := credential.NewOpaque(credential.KindSession)
	var refused error
	err := b.change(ctx, id.Connection, event.ByPerson, func(c *change) error {
		refused = nil // fn may run again
		err := c.signIn(id, b.lives.Session, cookie, b.probes)
		if fault.Is(err, fault.Denied) {
			refused = err
			c.refuse(id, fault.ReasonOf(err))
			return nil
		}
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	browser, err := b.Browser(ctx, cookie.Reveal())
	if err == nil {
		b.stoodOn(browser.Session)
	}
	return cookie, browser, err
}

// freshen decides the person anew before the sign-in looks at what they hold, if
// the last decision no longer counts. It is a transaction of its own, so that a
// refused sign-in writes an audit row only.
func (b *Bridge) freshen(ctx context.Context, id upstream.Identity) error {
	var who access.PersonID
	err := b.read(ctx, id.Connection, func(dir *store.Directory) error {
		p, err := findPerson(dir, id)
		if fault.Is(err, fault.Denied) {
			return nil // SignIn finds out the same, and records it
		}
		who = p.ID
		return err
	})
	if err != nil || who == "" {
		return err
	}
	return b.settle(ctx, id.Connection, who)
}

func (c *change) signIn(id upstream.Identity, life time.Duration, cookie secret.String, probes Probes) error {
	p, err := findPerson(&c.dir.Directory, id)
	if err != nil {
		return err
	}
	if planted.Bug(planted.SignInReactivates) && !p.Active {
		p.Active, p.Epoch = true, p.Epoch+1
		if err := errors.Join(c.dir.UpdatePerson(p), c.decide(p)); err != nil {
			return err
		}
	}
	held, err := c.dir.Assignments(p)
	if err != nil {
		return err
	}
	if err := refusal(c.policy.Policy, p, held, func() (mapping.Decision, access.Decided, error) { return c.evaluate(p) }, c.now); err != nil {
		return err
	}
	if err := c.standsThere(p, id); err != nil {
		return err
	}
	host, err := c.tx.Host()
	if err != nil {
		return err
	}
	s, events, err := session.Start(session.Opening{ID: session.ID(credential.NewID("ses")), Connection: c.conn, Person: p.ID, Held: held, Catalogue: c.policy.Catalogue(),
		Upstream: session.Upstream{Issuer: id.Issuer, Subject: id.Subject, Sub: otherThan(id.Subject, id.Sub), Session: id.Session, AMR: id.AMR, ACR: id.ACR, Device: id.Device, Until: id.Until},
		Epochs:   session.Epochs{Host: host, Connection: c.dir.Row().Epoch, Person: p.Epoch},
		AuthTime: id.AuthTime, Now: c.now, Expires: sessionEnd(c.now.Add(life), id.Until)})
	if err != nil {
		return err
	}
	if err := c.pin(p, id); err != nil {
		return err
	}
	c.add(events)
	if err := c.tx.InsertSession(store.SessionRow{Session: s, Cookie: credential.DigestOf(cookie.Reveal())}); err != nil {
		return err
	}
	return c.keepUpstreamToken(probes, s.ID, id.Refresh)
}

// sessionEnd is the end of a session: ours, or the identity provider's where it names one
// that comes first.
func sessionEnd(ours, theirs time.Time) time.Time {
	if !theirs.IsZero() && theirs.Before(ours) {
		return theirs
	}
	return ours
}

// pin binds the person to the subject at the first sign-in.
func (c *change) pin(p store.Person, id upstream.Identity) error {
	_, _, pinned, err := c.dir.SubjectOf(p)
	if err != nil || pinned {
		return err
	}
	c.say(event.SubjectPinned, p.ID, nil)
	return c.dir.PinSubject(p, id.Issuer, id.Subject)
}

// findPerson finds who a verified identity is. An address never decides; two
// active people who would match are nobody, whether or not one of them is pinned.
func findPerson(dir *store.Directory, id upstream.Identity) (store.Person, error) {
	pinned, err := dir.PersonBySubject(id.Issuer, id.Subject)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return store.Person{}, err
	}
	known := err == nil
	named, err := dir.PeopleByExternalID(id.Subject)
	if err != nil {
		return store.Person{}, err
	}
	others := slices.DeleteFunc(slices.Clone(named), func(p store.Person) bool { return !p.Active || known && p.Key == pinned.Key })
	switch {
	case len(others) > 1, len(others) == 1 && known && pinned.Active:
		return store.Person{}, denied("ambiguous", "two people of your company carry the same identifier; neither is signed in until that is put right")
	case known:
		return pinned, nil
	case len(others) == 1:
		return unpinned(dir, others[0])
	case len(named) > 0:
		return named[0], nil
	}
	if planted.Bug(planted.LinkedByAddress) {
		if p, err := dir.PersonByUserName(id.Subject); err == nil {
			return p, nil
		}
	}
	return store.Person{}, denied("not_provisioned", "your company has not given you an account here yet")
}

// unpinned refuses a person who is bound to another subject already.
func unpinned(dir *store.Directory, p store.Person) (store.Person, error) {
	_, _, pinned, err := dir.SubjectOf(p)
	if err != nil {
		return store.Person{}, err
	}
	if pinned {
		return store.Person{}, denied("subject_mismatch", "your sign-in does not match the one this account was linked to")
	}
	return p, nil
}

// evaluate is what the rules say of a person, with their reasons, and what people decided.
func (c *change) evaluate(p store.Person) (mapping.Decision, access.Decided, error) {
	facts, err := c.dir.Facts(p, c.policy.Attributes(c.conn))
	if err != nil {
		return mapping.Decision{}, access.Decided{}, err
	}
	by, err := c.dir.Decided(p)
	by.Certification = facts.Certification
	return mapping.Evaluate(c.policy.Policy, facts, c.now), by, err
}

func (c *change) refuse(id upstream.Identity, reason string) {
	e := fact(event.SignInRefused, c.by, c.conn, "", c.now, map[string]string{"reason": reason})
	e.Personal = map[string]string{"issuer": id.Issuer, "subject": id.Subject}
	c.events = append(c.events, e)
}

func denied(reason, detail string) error {
	return fault.New(fault.Denied, "bridge.SignIn", "%s", detail).Because(reason)
}

// refusedAMinute is how many failed sign-ins of one connection are recorded in a
// minute: anybody can cause one without an account, and the audit trail is for good.
const refusedAMinute = 30

// Refused records a sign-in that failed before there was an identity. It writes an
// audit row only; beyond refusedAMinute it writes none and tells the log.
func (b *Bridge) Refused(ctx context.Context, conn access.ConnectionID, cause error) error {
	if !b.refusals.admit(conn, b.now()) {
		b.observe("bridge.Refused", fault.New(fault.Limited, "bridge.Refused", "more than %d sign-ins of connection %s failed within a minute; this one is not recorded", refusedAMinute, conn))
		return nil
	}
	return b.change(ctx, conn, event.ByPerson, func(c *change) error {
		c.say(event.SignInRefused, "", map[string]string{"reason": cmp.Or(fault.ReasonOf(cause), upstream.ReasonIdP)})
		return nil
	})
}

// refusals counts failed sign-ins by connection and minute.
type refusals struct {
	mu     sync.Mutex // guards both
	minute time.Time
	count  map[access.ConnectionID]int
}

func (r *refusals) admit(conn access.ConnectionID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(r.minute) {
		r.minute, r.count = minute, map[access.ConnectionID]int{}
	}
	r.count[conn]++
	return r.count[conn] <= refusedAMinute
}

package bridge

import (
	"context"
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// HearSignal does what a security event of an identity provider asks for, and records
// that it came. With an answer that is no error all of it is done. Sessions and what
// applications hold end; the person's record, which is SCIM's, stays as it is.
func (b *Bridge) HearSignal(ctx context.Context, s inbound.Signal) (h inbound.Heard, err error) {
	reason := endBySignal(s.Event)
	err = b.ending(ctx, s.Connection, why{reason: reason, by: event.ByIdP}, func(c *change) error {
		first, err := c.dir.HearSignal(credential.DigestOf("signal\x00"+s.Signer+"\x00"+s.JTI), c.now, s.Ends)
		if err != nil {
			return err
		}
		if h = (inbound.Heard{Outcome: inbound.OutcomeRepeated}); !first {
			return nil
		}
		var p access.PersonID
		if h, p, err = c.signalled(s, reason); err != nil {
			return err
		}
		c.say(event.SignalReceived, p, map[string]string{"event": s.Name, "outcome": h.Outcome, "sessions": strconv.Itoa(h.Ended)})
		return nil
	})
	return h, err
}

// endBySignal is why sessions end by an event.
func endBySignal(t ssf.Type) string {
	switch t {
	case ssf.AccountDisabled, ssf.AccountPurged:
		return session.EndIdPDisabled
	case inbound.CredentialChange, inbound.CredentialCompromise, inbound.CredentialChangeRequired:
		return session.EndIdPCredential
	}
	return session.EndIdPSession
}

func (c *change) signalled(s inbound.Signal, reason string) (inbound.Heard, access.PersonID, error) {
	switch s.Effect {
	case inbound.EffectNone:
		return inbound.Heard{Outcome: inbound.OutcomeIgnored}, "", nil
	case inbound.EffectSession:
		if s.Session != "" {
			return c.endOfIdPSession(s, s.Session, reason)
		}
		if s.Named != "" {
			if h, p, err := c.endOfIdPSession(s, s.Named, reason); err != nil || h.Outcome == inbound.OutcomeEnded {
				return h, p, err
			}
		}
	case inbound.EffectPerson:
	}
	if s.User == (inbound.Subject{}) {
		s.User = inbound.Subject{ID: s.Named}
	}
	if s.User.ID != "" { // whoever they are: a sign-in that is under way does not count
		if err := c.dir.HearAgain(idpSubject(s.Issuer, s.User.ID), c.now, c.now.Add(underWay)); err != nil {
			return inbound.Heard{}, "", err
		}
	}
	p, known, err := c.signalledOf(s)
	if err != nil || !known {
		return inbound.Heard{Outcome: inbound.OutcomeUnknown}, "", err
	}
	n, err := c.endAll(p, reason)
	if err != nil {
		return inbound.Heard{}, "", err
	}
	return heardOf(n), p.ID, c.dir.MustBeFresh(p, c.now)
}

func heardOf(ended int) inbound.Heard {
	if ended > 0 {
		return inbound.Heard{Outcome: inbound.OutcomeEnded, Ended: ended}
	}
	return inbound.Heard{Outcome: inbound.OutcomeNothing}
}

// signalledOf is the one person of the connection whom a signal names.
func (c *change) signalledOf(s inbound.Signal) (p store.Person, known bool, err error) {
	if s.User.ID == "" && s.User.Email == "" {
		return store.Person{}, false, nil
	}
	p, err = meant(&c.dir.Directory, s.Issuer, s.User)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return store.Person{}, false, nil
	}
	return p, err == nil, err
}

// endOfIdPSession ends what stands on one session of the identity provider, of the person
// who is named if one is; and what may stand on it: sessions of that person of which it is
// not known on which they stand. A sign-in that is under way on it does not count.
func (c *change) endOfIdPSession(s inbound.Signal, sid, reason string) (inbound.Heard, access.PersonID, error) {
	none := inbound.Heard{Outcome: inbound.OutcomeUnknown}
	if err := c.dir.HearAgain(idpSession(s.Issuer, sid), c.now, c.now.Add(underWay)); err != nil {
		return none, "", err
	}
	rows, err := c.dir.SessionsFrom(s.Issuer, sid, "")
	if err != nil {
		return none, "", err
	}
	p, known, err := c.signalledOf(s)
	if err != nil {
		return none, "", err
	}
	if known {
		own, err := c.dir.Sessions(p)
		if err != nil {
			return none, "", err
		}
		rows = slices.DeleteFunc(own, func(r store.SessionRow) bool {
			return r.State == session.Ended || r.Upstream.Issuer != s.Issuer || r.Upstream.Session != sid && r.Upstream.Session != ""
		})
	}
	switch {
	case len(rows) > 0:
		return heardOf(len(rows)), rows[0].Person, c.end(rows, reason)
	case known:
		return heardOf(0), p.ID, nil
	}
	return none, "", nil
}

package bridge

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// underWay is longer than any sign-in takes: for so long it is remembered that something
// has ended at the identity provider, so that a sign-in that began before does not count.
const underWay = time.Hour

// HearLogout ends the browsers' sessions that stand on what has ended at the identity
// provider, and says how many: none is no error. A sign-in that is under way is refused.
// Offline sessions live on. fault.Stale if the message came before.
func (b *Bridge) HearLogout(ctx context.Context, l inbound.Logout) (ended int, err error) {
	err = b.ending(ctx, l.Connection, why{reason: session.EndIdPLogout, by: event.ByIdP}, func(c *change) error {
		if err := c.once("logout", l.Message); err != nil {
			return err
		}
		over := idpSubject(l.Issuer, l.Subject)
		if l.Session != "" {
			over = idpSession(l.Issuer, l.Session)
		}
		if err := c.dir.HearAgain(over, c.now, c.now.Add(underWay)); err != nil {
			return err
		}
		rows, err := c.dir.SessionsFrom(l.Issuer, l.Session, l.Subject)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r store.SessionRow) bool { return r.Offline != "" })
		ended = len(rows)
		return c.end(rows, session.EndIdPLogout)
	})
	return ended, err
}

// HearRevocation ends all that a person has, offline sessions too, and says how many
// sessions that were. Their next sign-in must be newer than this. Whoever is named by the
// provider's sub: a sign-in that is under way does not count, also if nobody is known by it.
// Errors: fault.NotFound if the connection has nobody like that, fault.Conflict if it is
// not certain who is meant, fault.Stale if the message came before.
func (b *Bridge) HearRevocation(ctx context.Context, r inbound.Revocation) (ended int, err error) {
	var unclear error // is answered, and undoes nothing
	err = b.ending(ctx, r.Connection, why{reason: session.EndIdPRevoked, by: event.ByIdP}, func(c *change) error {
		unclear = nil
		if err := c.once("revocation", r.Message); err != nil {
			return err
		}
		if r.Subject.ID != "" {
			if err := c.dir.HearAgain(idpSubject(r.Issuer, r.Subject.ID), c.now, c.now.Add(underWay)); err != nil {
				return err
			}
		}
		p, err := meant(&c.dir.Directory, r.Issuer, r.Subject)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
			unclear = err
			return nil
		}
		if err != nil {
			return err
		}
		if ended, err = c.endAll(p, session.EndIdPRevoked); err != nil {
			return err
		}
		c.say(event.PersonSignedOut, p.ID, map[string]string{"sessions": strconv.Itoa(ended)})
		return c.dir.MustBeFresh(p, c.now)
	})
	return ended, cmp.Or(err, unclear)
}

// once lets a message of an identity provider through that did not come before.
func (c *change) once(kind string, m inbound.Message) error {
	first, err := c.dir.Hear(credential.DigestOf(kind+"\x00"+m.Signer+"\x00"+m.JTI), c.now, m.Ends)
	if err == nil && !first {
		return fault.New(fault.Stale, "bridge.once", "this message came before").Because("replayed")
	}
	return err
}

func idpSession(issuer, sid string) credential.Digest {
	return credential.DigestOf("session\x00" + issuer + "\x00" + sid)
}

func idpSubject(issuer, sub string) credential.Digest {
	return credential.DigestOf("subject\x00" + issuer + "\x00" + sub)
}

// meant is the one person of the connection that its identity provider names: by the
// subject of their sessions or of their account, or by an address that nobody else has.
func meant(dir *store.Directory, issuer string, s inbound.Subject) (store.Person, error) {
	const op = "bridge.meant"
	nobody := fault.New(fault.NotFound, op, "nobody of this connection is named like that")
	several := fault.New(fault.Conflict, op, "several people of this connection are named like that")
	if s.Email != "" {
		found, err := dir.PeopleByEmail(s.Email)
		switch {
		case err != nil:
			return store.Person{}, err
		case len(found) == 0:
			return store.Person{}, nobody
		case len(found) > 1:
			return store.Person{}, several
		}
		return found[0], nil
	}
	rows, err := dir.SessionsFrom(issuer, "", s.ID)
	if err != nil {
		return store.Person{}, err
	}
	for _, r := range rows {
		if r.Person != rows[0].Person {
			return store.Person{}, several
		}
	}
	if len(rows) > 0 {
		return dir.Person(rows[0].Person)
	}
	p, err := findPerson(dir, upstream.Identity{Issuer: issuer, Subject: s.ID})
	switch {
	case fault.ReasonOf(err) == "not_provisioned":
		return p, nobody
	case fault.Is(err, fault.Denied):
		return p, several
	}
	return p, err
}

// standsThere refuses a sign-in that is no newer than what the identity provider has
// said since: that its session is over, or that all the person has is to end.
func (c *change) standsThere(p store.Person, id upstream.Identity) error {
	after, err := c.dir.FreshAfter(p)
	if err != nil {
		return err
	}
	if !after.IsZero() && (before(id.Started, after) || !id.Fresh && id.AuthTime.Before(after)) {
		return denied(upstream.ReasonStale, "the identity provider has ended all that the person had; they must sign in there anew")
	}
	for _, what := range []credential.Digest{idpSession(id.Issuer, id.Session), idpSubject(id.Issuer, id.Sub)} {
		over, err := c.dir.HeardAt(what)
		if err != nil {
			return err
		}
		if !over.IsZero() && before(id.Started, over) {
			return denied(upstream.ReasonOver, "the sign-in began before its session at the identity provider ended")
		}
	}
	return nil
}

// before reports whether t lies before an instant that was stored, which has lost what is
// below a millisecond.
func before(t, stored time.Time) bool { return t.Before(stored.Add(time.Millisecond)) }

// otherThan is sub, or nothing where the subject says the same.
func otherThan(subject, sub string) string {
	if sub == subject {
		return ""
	}
	return sub
}

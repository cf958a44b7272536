package session

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The reasons for which a sign-in or a switch is refused. Each has a sentence on
// the page that the person reads.
const (
	ReasonNoRule  = "no_rule_matched" // the person holds nothing
	ReasonContact = "contact_only"    // the person holds associate grants only
	ReasonNotYet  = "not_yet"         // what the person holds begins later
	ReasonExpired = "grant_expired"   // what the person held is over
	ReasonNotHeld = "not_held"        // the assignment asked for is not the person's to use now
	ReasonEnded   = "session_ended"
	// ReasonStepUp is an error code too (RFC 9470 section 3): the grant demands another
	// sign-in than the session's.
	ReasonStepUp = "insufficient_user_authentication"
)

// Opening is what a sign-in knows when it becomes a session.
type Opening struct {
	ID         ID
	Connection access.ConnectionID
	Person     access.PersonID
	Held       []access.Assignment
	Catalogue  access.Catalogue // what grants demand of the sign-in
	Upstream   Upstream
	Epochs     Epochs
	AuthTime   time.Time
	Now        time.Time
	Expires    time.Time
}

// LiveAt reports whether the session may be used at that instant.
func (s Session) LiveAt(now time.Time) bool {
	return s.State != Ended && now.Before(s.Expires)
}

// Choices lists the assignments that a session may stand on at that instant,
// primary first.
func Choices(held []access.Assignment, now time.Time) []access.Assignment {
	var may []access.Assignment
	for _, a := range held {
		if a.MaySignIn(now) {
			may = append(may, a)
		}
	}
	slices.SortFunc(may, access.CompareAssignments)
	return may
}

// Meets reports whether the sign-in of s is what a grant demands, at that instant.
func (s Session) Meets(d access.Demand, now time.Time) bool {
	return d.Met(s.Upstream.ACR, s.AuthTime, now)
}

// Start opens a session on the primary assignment if it may sign in, and the sign-in is
// what its grant demands; otherwise the person must choose, even if there is only one.
// The error is fault.Denied, with one of the reasons above, if nothing may.
func Start(o Opening) (Session, []event.Event, error) {
	if err := Refusal(o.Held, o.Now); err != nil {
		return Session{}, nil, err
	}
	may := Choices(o.Held, o.Now)
	s := Session{
		ID: o.ID, Connection: o.Connection, Person: o.Person, State: MustChoose, Version: 1,
		Epochs: o.Epochs, AuthTime: o.AuthTime, Created: o.Now, Expires: o.Expires, Upstream: o.Upstream,
	}
	if may[0].Standing != access.Primary || !s.Meets(o.Catalogue.Demands(may[0].Grant), o.Now) {
		return s, []event.Event{
			s.event(event.SessionStarted, event.ByPerson, o.Now, nil),
			s.event(event.SessionMustChoose, event.ByBridge, o.Now, nil),
		}, nil
	}
	s.State, s.Active = Active, may[0].ID
	return s, []event.Event{s.event(event.SessionStarted, event.ByPerson, o.Now, map[string]string{"assignment": string(s.Active)})}, nil
}

// GoOffline opens a session that outlives the browser's, for one application that may
// act while the person is away (OpenID Connect Core section 11): on the assignment that
// from stands on, under the same epochs, and no longer than the provider wants. The end
// of the provider's own session is the browser's matter and does not end it. The error
// is fault.Denied.
func GoOffline(from Session, id ID, client access.ClientID, held []access.Assignment, now, expires time.Time) (Session, []event.Event, error) {
	may := slices.ContainsFunc(held, func(a access.Assignment) bool { return a.ID == from.Active && a.MaySignIn(now) })
	if from.State != Active || !from.LiveAt(now) || from.Offline != "" || client == "" || !may {
		return Session{}, nil, fault.New(fault.Denied, "session.GoOffline", "the session stands on nothing that is held now").Because(ReasonNotHeld)
	}
	if until := from.Upstream.Until; !until.IsZero() && until.Before(expires) {
		expires = until
	}
	s := Session{ID: id, Connection: from.Connection, Person: from.Person, State: Active, Active: from.Active, Version: 1,
		Epochs: from.Epochs, AuthTime: from.AuthTime, Created: now, Expires: expires, Upstream: from.Upstream, Offline: client}
	s.Upstream.Session = ""
	return s, []event.Event{s.event(event.SessionStarted, event.ByPerson, now,
		map[string]string{"assignment": string(s.Active), "kind": "offline", "client": string(client)})}, nil
}

// Refusal says why nothing that is held may sign in, nil if something may: what will
// begin before what is over, both before the grants that never sign in.
func Refusal(held []access.Assignment, now time.Time) error {
	const op = "session.Start"
	if len(Choices(held, now)) > 0 {
		return nil
	}
	later := func(a access.Assignment) bool { return a.Grant.MaySignIn() && now.Before(a.NotBefore) }
	over := func(a access.Assignment) bool { return a.Grant.MaySignIn() && !later(a) && !a.ValidAt(now) }
	switch {
	case slices.ContainsFunc(held, later):
		return fault.New(fault.Denied, op, "access has been given, but it has not begun yet").Because(ReasonNotYet)
	case slices.ContainsFunc(held, over):
		return fault.New(fault.Denied, op, "access was given for a time that is over").Because(ReasonExpired)
	case len(held) > 0:
		return fault.New(fault.Denied, op, "this person is a contact only, and contacts do not sign in").Because(ReasonContact)
	}
	return fault.New(fault.Denied, op, "no access has been given to this person").Because(ReasonNoRule)
}

// Switch moves the session to another assignment that the person holds now, and whose
// grant is content with the sign-in: the tokens of the one that is left die. Switching to
// the active one changes nothing. The error is fault.Denied; with ReasonStepUp, another
// sign-in helps.
func Switch(s Session, held []access.Assignment, to access.AssignmentID, of access.Catalogue, now time.Time) (Session, []event.Event, error) {
	if !s.LiveAt(now) {
		return s, nil, fault.New(fault.Denied, "session.Switch", "the session has ended; sign in again").Because(ReasonEnded)
	}
	at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.ID == to && a.MaySignIn(now) })
	if to == "" || at < 0 {
		return s, nil, fault.New(fault.Denied, "session.Switch", "this access is not held now; choose another").Because(ReasonNotHeld)
	}
	if !s.Meets(of.Demands(held[at].Grant), now) {
		return s, nil, fault.New(fault.Denied, "session.Switch", "this access demands another sign-in").Because(ReasonStepUp)
	}
	if s.State == Active && s.Active == to {
		return s, nil, nil
	}
	data := map[string]string{"to": string(to)}
	if s.Active != "" {
		data["from"] = string(s.Active)
	}
	s.State, s.Active = Active, to
	s.Version++
	return s, []event.Event{s.event(event.SessionSwitched, event.ByPerson, now, data)}, nil
}

// Reconcile brings a session in line with what its person holds after a change.
// Only the active assignment matters: if it means something else now, the tokens
// minted for it die; if it is lost, the person must choose among what may still
// sign in, or the session ends, as an offline one does: nobody is there to choose.
// The loss of another assignment changes nothing, and no session is ever moved to
// another assignment.
func Reconcile(s Session, before, after []access.Assignment, now time.Time) (Session, []event.Event) {
	if s.State == Ended {
		return s, nil
	}
	may := Choices(after, now)
	if len(may) == 0 {
		return Revoke(s, EndNoAssignment, now)
	}
	if s.State == MustChoose {
		return s, nil
	}
	is := func(a access.Assignment) bool { return a.ID == s.Active }
	data := map[string]string{"assignment": string(s.Active)}
	at := slices.IndexFunc(may, is)
	if at < 0 && s.Offline != "" {
		return Revoke(s, EndNoAssignment, now)
	}
	if at < 0 {
		s.State, s.Active = MustChoose, ""
		s.Version++
		return s, []event.Event{s.event(event.SessionMustChoose, event.ByBridge, now, data)}
	}
	was := slices.IndexFunc(before, is)
	if was >= 0 && before[was].GoesOn(may[at]) {
		return s, nil
	}
	s.Version++
	return s, []event.Event{s.event(event.SessionChanged, event.ByBridge, now, data)}
}

// Revoke ends the session for good, with one of the End reasons. An ended one
// stays as it is.
func Revoke(s Session, reason string, now time.Time) (Session, []event.Event) {
	if s.State == Ended {
		return s, nil
	}
	data := map[string]string{"reason": reason}
	if s.Active != "" {
		data["assignment"] = string(s.Active)
	}
	s.State, s.Active = Ended, ""
	s.Version++
	s.EndedAt, s.EndReason = now, reason
	return s, []event.Event{s.event(event.SessionRevoked, event.ByBridge, now, data)}
}

// event is a fact about the session. The caller may name another actor if it
// knows who stood behind the change.
func (s Session) event(t event.Type, by event.Actor, now time.Time, data map[string]string) event.Event {
	return event.Event{Type: t, Actor: by, At: now, Connection: s.Connection, Person: s.Person, Session: string(s.ID), Data: data}
}

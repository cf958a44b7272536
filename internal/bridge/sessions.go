package bridge

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// SessionEntry is a session as an operator sees it.
type SessionEntry struct {
	ID           session.ID          `json:"id" doc:"the sid claim"`
	Connection   access.ConnectionID `json:"connection"`
	Person       access.PersonID     `json:"person"`
	UserName     string              `json:"user_name,omitzero" doc:"empty once the person is deleted"`
	State        string              `json:"state" enum:"active,must_choose,ended"`
	Active       string              `json:"active,omitzero" doc:"the assignment that it stands on: the grant and the path of its scope"`
	Offline      access.ClientID     `json:"offline,omitzero" doc:"the application that keeps it beyond the browser's session; empty: it is a browser's"`
	Applications []access.ClientID   `json:"applications" doc:"that were signed in to under it"`
	AuthTime     time.Time           `json:"auth_time" doc:"when the identity provider signed the person in"`
	AMR          []string            `json:"amr,omitempty" doc:"how the person proved who they are"`
	ACR          string              `json:"acr,omitzero"`
	Created      time.Time           `json:"created"`
	Expires      time.Time           `json:"expires"`
	Ended        time.Time           `json:"ended,omitzero"`
	Reason       string              `json:"reason,omitzero" doc:"why it ended, or why nothing of it is accepted any more"`
}

// SessionQuery names live sessions: of a person (userName, e-mail address or id), of a
// connection, of an application, or of a person or application in one connection.
type SessionQuery struct {
	Person     string
	Connection access.ConnectionID
	Client     access.ClientID
	Limit      int // at most 1000
}

// SessionList is an answer to a SessionQuery.
type SessionList struct {
	Sessions []SessionEntry `json:"sessions"`
	More     bool           `json:"more" doc:"there are more than were asked for"`
}

// Sessions lists the live sessions that a query names. fault.Invalid if it names none,
// fault.NotFound if nobody answers to what it names.
func (b *Bridge) Sessions(ctx context.Context, q SessionQuery) (SessionList, error) {
	out := SessionList{Sessions: []SessionEntry{}}
	err := b.store.View(ctx, func(v *store.View) error {
		rows, err := b.sessionsNamed(v, q)
		if err != nil {
			return err
		}
		now := b.now()
		rows = slices.DeleteFunc(rows, func(s store.SessionRow) bool {
			return !s.LiveAt(now) || q.Connection != "" && s.Connection != q.Connection
		})
		if out.More = len(rows) > q.Limit; out.More {
			rows = rows[:q.Limit]
		}
		out.Sessions, err = b.entries(v, rows)
		return err
	})
	return out, err
}

func (b *Bridge) sessionsNamed(v *store.View, q SessionQuery) ([]store.SessionRow, error) {
	switch {
	case q.Person != "":
		return sessionsOfPeople(v, q)
	case q.Client != "":
		if _, configured := b.clients[q.Client]; !configured {
			return nil, noApplication(q.Client)
		}
		return v.SessionsOf(q.Client, "", q.Limit+1)
	case q.Connection != "":
		dir, err := v.In(q.Connection)
		if err != nil {
			return nil, err
		}
		return dir.LiveSessions(b.now(), q.Limit+1)
	}
	return nil, fault.New(fault.Invalid, "bridge.Sessions", "name a person, a connection or an application")
}

func noApplication(id access.ClientID) error {
	return fault.New(fault.NotFound, "bridge.Sessions", "no application is configured as %q", id)
}

func sessionsOfPeople(v *store.View, q SessionQuery) ([]store.SessionRow, error) {
	people, err := peopleOf(v, q.Person, q.Connection)
	if err != nil {
		return nil, err
	}
	var rows []store.SessionRow
	for _, p := range people {
		dir, err := v.In(p.Connection)
		if err != nil {
			return nil, err
		}
		own, err := dir.Sessions(p)
		if err != nil {
			return nil, err
		}
		for _, row := range own {
			if q.Client != "" {
				reached, err := v.SessionClients(row.ID)
				if err != nil {
					return nil, err
				}
				if !slices.Contains(reached, q.Client) {
					continue
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// peopleOf finds who answers to a name, in one connection or in all; fault.NotFound
// if nobody does.
func peopleOf(v *store.View, name string, conn access.ConnectionID) ([]store.Person, error) {
	people, err := v.PeopleNamed(name)
	if err != nil {
		return nil, err
	}
	people = slices.DeleteFunc(people, func(p store.Person) bool { return conn != "" && p.Connection != conn })
	if len(people) == 0 {
		return nil, fault.New(fault.NotFound, "bridge.Sessions", "nobody here is called %q; give a userName, an e-mail address or a person id", name)
	}
	return people, nil
}

// Session shows one session, live or ended; fault.NotFound if there is none, or it
// ended so long ago that it is forgotten.
func (b *Bridge) Session(ctx context.Context, id session.ID) (SessionEntry, error) {
	var e SessionEntry
	var row store.SessionRow
	err := b.store.View(ctx, func(v *store.View) (err error) {
		if row, err = v.Session(id); err != nil {
			return err
		}
		all, err := b.entries(v, []store.SessionRow{row})
		if err == nil {
			e = all[0]
		}
		return err
	})
	if err != nil || row.State == session.Ended {
		return e, err
	}
	if _, err := b.weigh(ctx, bound(row.Session)); err != nil {
		if !fault.Is(err, fault.Unauthenticated) {
			return e, err
		}
		e.Reason = fault.ReasonOf(err)
	}
	return e, nil
}

func (b *Bridge) entries(v *store.View, rows []store.SessionRow) ([]SessionEntry, error) {
	policy, err := b.active(v)
	if err != nil {
		return nil, err
	}
	out := make([]SessionEntry, len(rows))
	for i, row := range rows {
		if out[i], err = entryOf(v, policy, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func entryOf(v *store.View, policy *activePolicy, row store.SessionRow) (SessionEntry, error) {
	e := SessionEntry{ID: row.ID, Connection: row.Connection, Person: row.Person, State: row.State.String(), Offline: row.Offline, AuthTime: row.AuthTime,
		AMR: row.Upstream.AMR, ACR: row.Upstream.ACR, Created: row.Created, Expires: row.Expires, Ended: row.EndedAt, Reason: row.EndReason}
	reached, err := v.SessionClients(row.ID)
	if err != nil {
		return e, err
	}
	e.Applications = append([]access.ClientID{}, reached...)
	dir, err := v.In(row.Connection)
	if err != nil {
		return e, err
	}
	p, err := dir.Person(row.Person)
	if fault.Is(err, fault.NotFound) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	e.UserName = p.UserName
	held, err := dir.Assignments(p)
	for _, a := range held {
		if a.ID == row.Active {
			e.Active = string(a.Grant) + " @ " + policy.Tree().Path(a.Scope)
		}
	}
	return e, err
}

// Ending names what an administrator ends: exactly one of a session, a person, an
// application, a connection, or everything. Connection may stand beside Person, where
// people of several connections answer to the name.
type Ending struct {
	Session    session.ID          `json:"session,omitempty" maxLength:"128"`
	Person     string              `json:"person,omitempty" maxLength:"512" doc:"userName, e-mail address or person id"`
	Client     access.ClientID     `json:"client,omitempty" maxLength:"128"`
	Connection access.ConnectionID `json:"connection,omitempty" maxLength:"128"`
	Everything bool                `json:"everything,omitempty" doc:"every session, code and token of everybody"`
	Note       string              `json:"note,omitempty" maxLength:"1000" doc:"why, for the audit trail"`
}

// EndedSessions is what became of an Ending.
type EndedSessions struct {
	Sessions   int                 `json:"sessions" doc:"how many ended; with everything they are not counted"`
	Person     access.PersonID     `json:"person,omitempty"`
	Connection access.ConnectionID `json:"connection,omitempty"`
	Client     access.ClientID     `json:"client,omitempty" doc:"the application that was signed out of them; they live on"`
	Everything bool                `json:"everything,omitempty"`
}

// EndSessions ends what an administrator names. fault.Invalid if that is not one
// thing, fault.NotFound if there is nothing of that name, fault.Conflict if people of
// several connections answer to it.
func (b *Bridge) EndSessions(ctx context.Context, e Ending) (EndedSessions, error) {
	y := why{reason: session.EndAdministrator, by: event.ByAdministrator, note: e.Note}
	named := e
	named.Note = ""
	if named.Person != "" {
		named.Connection = ""
	}
	switch named {
	case Ending{Session: e.Session}:
		return b.endOne(ctx, e.Session, y)
	case Ending{Person: e.Person}:
		return b.endNamed(ctx, e.Person, e.Connection, y)
	case Ending{Client: e.Client}:
		n, err := b.endClient(ctx, e.Client, y)
		return EndedSessions{Sessions: n, Client: e.Client}, err
	case Ending{Connection: e.Connection}:
		n, err := b.endConnection(ctx, e.Connection, y)
		return EndedSessions{Sessions: n, Connection: e.Connection}, err
	case Ending{Everything: true}:
		return EndedSessions{Everything: true}, b.endEverything(ctx, y)
	}
	return EndedSessions{}, fault.New(fault.Invalid, "bridge.EndSessions", "name one of: a session, a person, an application, a connection, everything")
}

func (b *Bridge) endOne(ctx context.Context, id session.ID, y why) (EndedSessions, error) {
	if id == "" {
		return EndedSessions{}, fault.New(fault.Invalid, "bridge.EndSessions", "name a session, a person, an application, a connection, or everything")
	}
	before, err := b.Session(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return EndedSessions{}, b.endSession(ctx, id, y)
	}
	if err != nil {
		return EndedSessions{}, err
	}
	out := EndedSessions{Person: before.Person, Connection: before.Connection}
	if before.State != session.Ended.String() {
		out.Sessions = 1
	}
	return out, b.endSession(ctx, id, y)
}

func (b *Bridge) endNamed(ctx context.Context, name string, conn access.ConnectionID, y why) (EndedSessions, error) {
	var people []store.Person
	err := b.found(ctx, conn, func(v *store.View) (err error) { people, err = peopleOf(v, name, conn); return err })
	if err != nil {
		return EndedSessions{}, err
	}
	if len(people) > 1 {
		return EndedSessions{}, fault.New(fault.Conflict, "bridge.EndSessions", "%d people are called %q, the first of them in the connections %s and %s; name the person by id, or the connection as well",
			len(people), name, people[0].Connection, people[1].Connection)
	}
	n, err := b.endPerson(ctx, people[0].Connection, people[0].ID, y)
	return EndedSessions{Sessions: n, Person: people[0].ID, Connection: people[0].Connection}, err
}

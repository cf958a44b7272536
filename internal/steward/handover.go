package steward

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/handover"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why nothing is ticked, and no note is made.
const (
	ReasonObservedOnly = "observed_only"   // the bridge ticks that point itself
	ReasonPermitEnded  = "permit_ended"    // nothing is handed over any more
	ReasonNotForThem   = "not_for_readers" // the message holds what no customer should read
)

// The points of a check-list.
const (
	PointSignIn    = "sign_in"
	PointScope     = "scope"
	PointWorkflows = "workflows"
	PointRefused   = "refused"
	PointNothing   = "nothing_else"
	PointVehicles  = "vehicles" // only a person sees that
)

// CheckList is what is to be tried after access was given, and what the bridge has seen of it.
type CheckList struct {
	Permit PermitState `json:"permit"`
	For    Who         `json:"for"`
	Grant  string      `json:"grant" doc:"as customers read it"`
	Area   AreaView    `json:"area"`
	Points []Point     `json:"points"`
	Done   bool        `json:"done" doc:"all that must be seen was seen, and nothing that must not"`
	Until  time.Time   `json:"observed_until" doc:"what happens later is not observed"`
}

// Point is one thing to try.
type Point struct {
	Name    string    `json:"name" enum:"sign_in,scope,workflows,refused,nothing_else,vehicles"`
	What    string    `json:"what"`
	State   string    `json:"state" enum:"open,observed,ticked,wrong"`
	At      time.Time `json:"at,omitzero"`
	By      string    `json:"by,omitempty" doc:"of a point that somebody ticked"`
	Comment string    `json:"comment,omitempty"`
	Seen    []string  `json:"seen,omitempty"`
	Missing []string  `json:"missing,omitempty"`
}

// Ticking ticks a point by hand, or takes that back.
type Ticking struct {
	Point   string `json:"point" maxLength:"32" doc:"vehicles: the bridge ticks the others itself"`
	Undo    bool   `json:"undo,omitempty"`
	Comment string `json:"comment,omitempty" maxLength:"500"`
}

// handed is a permit as its hand-over needs it.
type handed struct {
	row    store.PermitRow
	person store.Person
	held   *access.Assignment // nil: it is not held now
	opens  []access.Workflow
}

// openPermit finds a permit where whoever acts decides, or that is their own.
func openPermit(v *store.View, p *mapping.Policy, r request.Right, id access.PermitID) (h handed, err error) {
	if h.row, err = v.Permit(id); err != nil {
		return h, err
	}
	if !r.Is(h.row.Connection, h.row.Person) {
		if err := sees(r, p.Tree(), h.row.Scope, "permit"); err != nil {
			return h, err
		}
	}
	dir, err := v.In(h.row.Connection)
	if err != nil {
		return h, err
	}
	if h.person, err = dir.Person(h.row.Person); err != nil {
		return h, err
	}
	held, err := dir.Assignments(h.person)
	if at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.Grant == h.row.Grant && a.Scope == h.row.Scope }); at >= 0 {
		h.held = &held[at]
	}
	flags, standing := h.row.Flags.Union(h.row.Grant.Floor()), h.row.Standing
	if h.held != nil {
		flags, standing = h.held.Flags, h.held.Standing
	}
	h.opens = p.Catalogue().Opens(h.row.Grant, flags, standing)
	return h, err
}

// Verify shows the check-list of a permit.
func (s *Steward) Verify(ctx context.Context, a Actor, id access.PermitID) (out CheckList, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		h, err := openPermit(v, p, r, id)
		if err == nil {
			out, err = checkList(v, p, h, now)
		}
		return err
	})
	return out, err
}

// TickPoint ticks a point that a person alone can see, or takes that back.
func (s *Steward) TickPoint(ctx context.Context, a Actor, id access.PermitID, t Ticking) (out CheckList, err error) {
	const op = "steward.TickPoint"
	if t.Point != PointVehicles {
		return out, fault.New(fault.Invalid, op, "%q is not ticked by hand: the bridge ticks what it sees itself, and a person ticks %s alone", t.Point, PointVehicles).Because(ReasonObservedOnly)
	}
	if t.Comment != "" {
		if err := checkReason(op, t.Comment); err != nil {
			return out, err
		}
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		v := &d.Tx().View
		h, err := openPermit(v, d.Policy(), r, id)
		if err != nil {
			return err
		}
		if t.Undo {
			_, err = d.Tx().DropTick(id, t.Point)
		} else {
			err = d.Tx().PutTick(id, store.Tick{Point: t.Point, At: d.Now(), By: r.Name, Comment: t.Comment})
		}
		if err != nil {
			return err
		}
		data := map[string]string{"permit": string(id), "point": t.Point, "ticked": strconv.FormatBool(!t.Undo)}
		d.Say(event.HandoverChecked, h.row.Connection, h.row.Person, data)
		out, err = checkList(v, d.Policy(), h, d.Now())
		return err
	})
	return out, err
}

func checkList(v *store.View, p *mapping.Policy, h handed, now time.Time) (CheckList, error) {
	seen, err := v.Seen(h.row.ID)
	if err != nil {
		return CheckList{}, err
	}
	ticks, err := v.Ticks(h.row.ID)
	if err != nil {
		return CheckList{}, err
	}
	area := areaAt(p.Tree(), h.row.Scope)
	out := CheckList{Permit: stateOf(h.row.Permit, now), For: Who{PersonRef: PersonRef{Connection: h.row.Connection, Person: h.row.Person}, UserName: h.person.UserName, DisplayName: h.person.DisplayName},
		Grant: p.Catalogue().PublicName(h.row.Grant), Area: area, Until: h.row.Given.Add(store.HandoverKept),
		Points: []Point{signIn(h, seen), inScope(area, seen), opened(h, seen), refusedPoint(seen), nothingElse(h, seen), vehicles(area, ticks)}}
	out.Done = !slices.ContainsFunc(out.Points, func(p Point) bool {
		return p.State == "wrong" || p.State == "open" && p.Name != PointRefused
	})
	return out, nil
}

// sightings are those of a kind.
func sightings(seen []store.Seen, kind string) []store.Seen {
	return slices.DeleteFunc(slices.Clone(seen), func(s store.Seen) bool { return s.Kind != kind })
}

// observed is a point at the first time that it was seen.
func observed(name, what string, seen []store.Seen) Point {
	p := Point{Name: name, What: what, State: "open"}
	for _, s := range seen {
		if p.State = "observed"; p.At.IsZero() || s.First.Before(p.At) {
			p.At = s.First
		}
	}
	return p
}

func signIn(h handed, seen []store.Seen) Point {
	p := observed(PointSignIn, "Sign-in works: a session stood on it", sightings(seen, store.SeenToken))
	if h.held != nil && !h.held.LastUsed.Before(h.row.Given) && (p.At.IsZero() || h.held.LastUsed.Before(p.At)) {
		p.State, p.At = "observed", h.held.LastUsed
	}
	return p
}

func inScope(area AreaView, seen []store.Seen) Point {
	return observed(PointScope, "The token names "+area.Name+", and nothing above it", sightings(seen, store.SeenToken))
}

// opened: what was asked for and opened, and what nobody has tried yet.
func opened(h handed, seen []store.Seen) Point {
	tried := slices.DeleteFunc(sightings(seen, store.SeenOpened), func(s store.Seen) bool { return !slices.Contains(h.opens, s.What) })
	p := observed(PointWorkflows, "The approved workflows open", tried)
	for _, w := range h.opens {
		name := handover.Workflow(w).String()
		if slices.ContainsFunc(tried, func(s store.Seen) bool { return s.What == w }) {
			p.Seen = append(p.Seen, name)
		} else {
			p.Missing = append(p.Missing, name)
		}
	}
	return p
}

func refusedPoint(seen []store.Seen) Point {
	refused := append(sightings(seen, store.SeenRefused), sightings(seen, store.SeenOutside)...)
	p := observed(PointRefused, "What was not meant is refused", refused)
	for _, s := range refused {
		if s.Kind == store.SeenOutside {
			p.Seen = append(p.Seen, "what lies elsewhere")
			continue
		}
		p.Seen = append(p.Seen, handover.Workflow(s.What).String())
	}
	return p
}

// nothingElse is wrong if a token opened what the grant does not open now.
func nothingElse(h handed, seen []store.Seen) Point {
	p := observed(PointNothing, "Tokens opened nothing else", sightings(seen, store.SeenToken))
	for _, s := range sightings(seen, store.SeenOpened) {
		if !slices.Contains(h.opens, s.What) {
			p.State = "wrong"
			p.Seen = append(p.Seen, handover.Workflow(s.What).String())
		}
	}
	return p
}

func vehicles(area AreaView, ticks []store.Tick) Point {
	p := Point{Name: PointVehicles, What: "The list of vehicles is that of " + area.Name, State: "open"}
	for _, t := range ticks {
		if t.Point == PointVehicles {
			p.State, p.At, p.By, p.Comment = "ticked", t.At, t.By, t.Comment
		}
	}
	return p
}

// The formats of a note.
const (
	NoteText = "text"
	NoteHTML = "html"
	NoteJSON = "json"
)

// Handed is a note as it is handed over.
type Handed struct {
	Format  string `json:"format" enum:"text,html,json"`
	Content string `json:"content"`
}

// Handover makes the note of a permit, for the customer to read. message is a sentence for
// them, "" for none. Its maker decides where the permit gives something.
func (s *Steward) Handover(ctx context.Context, a Actor, id access.PermitID, format, message string) (out Handed, err error) {
	const op = "steward.Handover"
	if _, err := forCustomer(message, handover.Given{Vendor: s.vendor}); err != nil {
		return out, err
	}
	if !slices.Contains([]string{NoteText, NoteHTML, NoteJSON}, format) {
		return out, fault.New(fault.Invalid, op, "a note is made as %s, %s or %s, not as %q", NoteText, NoteHTML, NoteJSON, format)
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		h, err := openPermit(&d.Tx().View, d.Policy(), r, id)
		if err != nil {
			return err
		}
		if err := sees(r, d.Policy().Tree(), h.row.Scope, "permit"); err != nil {
			return err
		}
		if st := stateOf(h.row.Permit, d.Now()).State; st == "ended" || st == "over" {
			return fault.New(fault.Conflict, op, "the permit has ended: there is nothing to hand over").Because(ReasonPermitEnded)
		}
		given := givenBy(d.Policy(), h, s.vendor)
		if given.Internal, err = internalOf(newDesk(&d.Tx().View, d.Policy(), d.Now(), r), h); err != nil {
			return err
		}
		if given.Message, err = forCustomer(message, given); err != nil {
			return err
		}
		note, err := handover.Of(given)
		if err != nil {
			return fault.Wrap(fault.Internal, op, err)
		}
		if out, err = written(note, format); err != nil {
			return err
		}
		d.Say(event.HandoverNoted, h.row.Connection, h.row.Person, map[string]string{"permit": string(id), "format": format})
		return nil
	})
	return out, err
}

func forCustomer(message string, g handover.Given) (handover.Public, error) {
	said, err := handover.ForCustomer(message, g)
	if err != nil {
		err = fault.New(fault.Invalid, "steward.Handover", "%v", err).Because(ReasonNotForThem)
	}
	return said, err
}

// internalOf is what is known about a permit beside itself, and must not reach its note: the
// texts of its request, who had to do with it, and what configuration calls things.
func internalOf(k *desk, h handed) (in handover.Internal, err error) {
	in.Names = []string{h.person.UserName}
	for _, c := range k.policy.Connections() {
		in.Names = append(in.Names, string(c.ID))
	}
	for _, rule := range k.policy.Source().Rules {
		in.Names = append(in.Names, rule.ID)
	}
	if h.row.Request == "" {
		return in, nil
	}
	q, err := k.v.Request(h.row.Request)
	if err != nil {
		return in, err
	}
	in.Texts = []string{q.Wish.Reason, q.Wish.Organisation, string(q.Wish.Case), q.Because}
	parties := []request.Party{q.By, q.Wish.Approver, q.DecidedBy}
	for _, a := range q.Approvals {
		parties, in.Texts = append(parties, a.By), append(in.Texts, a.Comment)
	}
	for _, p := range parties {
		if p == (request.Party{}) {
			continue
		}
		who, err := k.who(p)
		if err != nil {
			return in, err
		}
		in.Names = append(in.Names, string(who.Person), who.UserName, who.Operator)
	}
	return in, nil
}

func written(n handover.Note, format string) (Handed, error) {
	var b strings.Builder
	write := n.Text
	switch format {
	case NoteHTML:
		write = n.HTML
	case NoteJSON:
		write = n.JSON
	}
	err := write(&b)
	return Handed{Format: format, Content: b.String()}, fault.Wrap(fault.Internal, "steward.Handover", err)
}

// givenBy is what a note is made of.
func givenBy(p *mapping.Policy, h handed, vendor handover.Vendor) handover.Given {
	t := p.Tree()
	g := handover.Given{Permit: h.row.Permit, Workflows: h.opens, Catalogue: p.Catalogue(), Owner: ownerOf(p, h.row.Scope), Place: placeOf(t, h.row.Scope), Vendor: vendor}
	for s, ok := t.Scope(h.row.Scope); ok; s, ok = t.Scope(s.Parent) {
		g.Scopes = append(g.Scopes, s)
	}
	return g
}

// ownerOf is the connection of the customer who owns an area: the one whose root lies
// nearest above it.
func ownerOf(p *mapping.Policy, at access.ScopeID) (owner access.Connection) {
	t := p.Tree()
	for _, c := range p.Connections() {
		root, _ := t.Scope(c.Root)
		if root.Level >= access.Account && t.Covers(c.Root, at) && (owner.Root == "" || t.Covers(owner.Root, c.Root)) {
			owner = c
		}
	}
	return owner
}

// placeOf is whose clock counts at a scope: that of the one time zone of the fleets there,
// or nil.
func placeOf(t *access.Tree, at access.ScopeID) *time.Location {
	zone := ""
	for _, id := range t.Under(at) {
		s, _ := t.Scope(id)
		switch {
		case s.Level != access.Fleet || s.TimeZone == "" || !t.Live(id):
		case zone == "":
			zone = s.TimeZone
		case zone != s.TimeZone:
			return nil
		}
	}
	place, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return nil
	}
	return place
}

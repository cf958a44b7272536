package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// HolderQuery asks who holds something: at a scope, of a grant, or in a group.
type HolderQuery struct {
	Scope      string // path or id
	Grant      access.Grant
	Group      string // name, id or externalId
	Connection access.ConnectionID
	At         time.Time // zero: now
	After      string    // where the last page ended
	Limit      int       // 1 to MostHolders; 0: a hundred
}

// The questions, as cursors name them.
const (
	whoCanSee = "who-can-see"
	whoHas    = "who-has"
	whoWasIn  = "who-was-in"
)

// MostHolders is the largest page.
const MostHolders = 1000

// Holders is who holds something, counted first and then by pages.
type Holders struct {
	At      time.Time     `json:"at"`
	Scope   *Sight        `json:"scope,omitempty"`
	Total   int64         `json:"total" doc:"how many assignments there are; on the first page alone"`
	Counts  []HolderCount `json:"counts" doc:"by grant and scope; on the first page alone"`
	Holders []HolderView  `json:"holders"`
	Next    string        `json:"next,omitzero" doc:"ask for the next page with after"`
	Notes   []string      `json:"notes,omitempty"`
}

// HolderCount is how many assignments of a grant are held at a scope.
type HolderCount struct {
	Grant access.Grant   `json:"grant"`
	Scope access.ScopeID `json:"scope"`
	Path  string         `json:"path"`
	Count int64          `json:"count"`
}

// HolderView is one assignment with whose it is.
type HolderView struct {
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	UserName   string              `json:"user_name,omitzero" doc:"as it is now; empty for somebody who was deleted"`
	Name       string              `json:"name,omitzero"`
	ID         access.AssignmentID `json:"id"`
	Is         string              `json:"is" doc:"the grant and the path of its scope"`
	Grant      access.Grant        `json:"grant"`
	Scope      access.ScopeID      `json:"scope"`
	FromAbove  bool                `json:"from_above,omitzero" doc:"it is held at a scope that covers the one asked for"`
	Standing   access.Standing     `json:"standing"`
	Flags      access.Flags        `json:"flags"`
	Risk       access.Risk         `json:"risk"`
	NotBefore  time.Time           `json:"not_before,omitzero"`
	Until      time.Time           `json:"until,omitzero"`
	LastUsed   time.Time           `json:"last_used,omitzero"`
	Sources    []access.Source     `json:"sources"`
	Permits    []PermitRef         `json:"permits,omitempty" doc:"what people decided; not answered for the past, where sources name the requests"`
	Limits     []access.LimitID    `json:"limits,omitempty" doc:"the person's limits that bind it; not answered for the past"`
	Stale      string              `json:"stale,omitzero" doc:"why it does not count now, though it has not been dropped"`
}

// PermitRef is a permit that an assignment is held by.
type PermitRef struct {
	ID      access.PermitID  `json:"id"`
	Request access.RequestID `json:"request,omitzero"`
	Case    access.CaseID    `json:"case,omitzero"`
	Until   time.Time        `json:"until,omitzero"`
}

// WhoCanSee is everybody who holds a grant that may sign in at a scope or above it.
func (b *Bridge) WhoCanSee(ctx context.Context, q HolderQuery) (Holders, error) {
	return b.holders(ctx, whoCanSee, q, func(policy *activePolicy, at access.Scope) ([]access.Grant, []access.ScopeID) {
		grants := slices.DeleteFunc(access.Grants(), func(g access.Grant) bool { return !g.MaySignIn() })
		up := policy.Tree().Ancestors(at.ID)
		slices.SortFunc(up, func(a, b access.ScopeID) int { // nearest first
			return -cmp.Compare(len(policy.Tree().Ancestors(a)), len(policy.Tree().Ancestors(b)))
		})
		return grants, append([]access.ScopeID{at.ID}, up...)
	})
}

// WhoHas is everybody who holds a grant, anywhere or at one scope.
func (b *Bridge) WhoHas(ctx context.Context, q HolderQuery) (Holders, error) {
	const op = "bridge.WhoHas"
	if !slices.Contains(access.Grants(), q.Grant) {
		return Holders{}, fault.New(fault.Invalid, op, "there is no grant %q; there are %s", q.Grant, joinGrants())
	}
	if q.Scope == "" && !q.At.IsZero() {
		return Holders{}, fault.New(fault.Invalid, op, "the past is recorded by scope: name one (at_scope, --at-scope)")
	}
	return b.holders(ctx, whoHas, q, func(_ *activePolicy, at access.Scope) ([]access.Grant, []access.ScopeID) {
		return []access.Grant{q.Grant}, []access.ScopeID{at.ID}
	})
}

func joinGrants() string {
	var all []string
	for _, g := range access.Grants() {
		all = append(all, string(g))
	}
	return strings.Join(all, ", ")
}

// holders answers a question about grants at scopes.
func (b *Bridge) holders(ctx context.Context, what string, q HolderQuery, places func(*activePolicy, access.Scope) ([]access.Grant, []access.ScopeID)) (Holders, error) {
	now := b.now()
	if err := b.isPast("bridge."+what, q.At); err != nil {
		return Holders{}, err
	}
	var out Holders
	err := b.store.View(ctx, func(v *store.View) error {
		policy, err := b.active(v)
		if err != nil {
			return err
		}
		r := holderSearch{b: b, v: v, policy: policy, q: q, what: what, seeing: what == whoCanSee, now: now}
		if q.Scope != "" {
			if r.at, err = policy.scopeNamed(q.Scope); err != nil {
				return err
			}
		}
		r.grants, r.scopes = places(policy, r.at)
		if q.At.IsZero() {
			out, err = r.present()
		} else {
			out, err = r.past()
		}
		return err
	})
	return out, err
}

func (p *activePolicy) scopeNamed(name string) (access.Scope, error) {
	if s, ok := p.Tree().Find(name); ok {
		return s, nil
	}
	if s, ok := p.Tree().Scope(access.ScopeID(name)); ok {
		return s, nil
	}
	return access.Scope{}, fault.New(fault.NotFound, "bridge.scopeNamed", "there is no scope %q; give its path, such as southern/banksia, or its id", name)
}

// holderSearch is one question while it is answered.
type holderSearch struct {
	b      *Bridge
	v      *store.View
	policy *activePolicy
	q      HolderQuery
	what   string
	seeing bool // what is held for later does not count
	now    time.Time
	at     access.Scope
	grants []access.Grant
	scopes []access.ScopeID // that are asked about, nearest first
}

func (r holderSearch) limit() int { return pageOf(r.q.Limit) }

func pageOf(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, MostHolders)
}

// bound is what a cursor is good for.
func (r holderSearch) bound() string {
	return strings.Join([]string{r.what, string(r.at.ID), string(r.q.Grant), string(r.q.Connection), r.q.At.UTC().Format(time.RFC3339Nano)}, "\x00")
}

// seats are where the answer is looked for. Without a scope they are each connection's.
func (r holderSearch) seats() (all []store.Seat, err error) {
	if r.q.Scope != "" {
		for _, scope := range r.scopes {
			seats, err := r.v.SeatsAt(scope, r.grants)
			if err != nil {
				return nil, err
			}
			all = append(all, seats...)
		}
		return all, nil
	}
	conns, err := r.connections()
	for _, conn := range conns {
		seats, err := r.v.SeatsOf(conn, r.q.Grant)
		if err != nil {
			return nil, err
		}
		all = append(all, seats...)
	}
	return all, err
}

func (r holderSearch) connections() (ids []access.ConnectionID, err error) {
	if r.q.Connection != "" {
		return []access.ConnectionID{r.q.Connection}, nil
	}
	rows, err := r.v.Connections()
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids, err
}

// seatPlace is where a page ended.
type seatPlace struct {
	Seat store.Seat `json:"s"`
	Key  int64      `json:"k"`
}

func (r holderSearch) present() (Holders, error) {
	out := r.begin(r.now)
	seats, err := r.seats()
	if err != nil {
		return out, err
	}
	held := store.Held{Now: r.now, Connection: r.q.Connection, Begun: r.seeing}
	var from seatPlace
	if r.q.After == "" {
		err = r.count(&out, seats, held)
	} else if err = r.open(&from); err == nil {
		at := slices.Index(seats, from.Seat)
		if at < 0 {
			return out, fault.New(fault.Stale, "bridge.holders", "what was asked about has changed since the last page; begin again")
		}
		seats = seats[at:]
	}
	if err != nil {
		return out, err
	}
	for _, seat := range seats {
		rows, last, err := r.v.Holders(seat, held, from.Key, r.limit()-len(out.Holders))
		if err != nil {
			return out, err
		}
		decided, err := r.v.DecidedOf(rows)
		if err != nil {
			return out, err
		}
		for _, row := range rows {
			shown := r.shown(row)
			r.backed(&shown, decided[row.Key])
			if !row.Counts {
				shown.Stale = staleNow
			}
			out.Holders = append(out.Holders, shown)
		}
		if len(out.Holders) == r.limit() {
			out.Next = r.seal(seatPlace{seat, last})
			return out, nil
		}
		from.Key = 0
	}
	return out, nil
}

func (r holderSearch) begin(at time.Time) Holders {
	out := Holders{At: at, Counts: []HolderCount{}, Holders: []HolderView{}}
	if r.q.Scope != "" {
		s := sight(r.policy.Tree(), r.at.ID)
		s.Below = below(r.policy.Tree(), r.at.ID)
		out.Scope = &s
	}
	return out
}

func (r holderSearch) count(out *Holders, seats []store.Seat, held store.Held) error {
	sums := map[HolderCount]int64{}
	for _, seat := range seats {
		found, err := r.v.CountHolders(seat, held)
		if err != nil {
			return err
		}
		for scope, n := range found {
			sums[HolderCount{Grant: seat.Grant, Scope: scope, Path: r.policy.Tree().Path(scope)}] += n
		}
	}
	for c, n := range sums {
		c.Count = n
		out.Counts, out.Total = append(out.Counts, c), out.Total+n
	}
	sortCounts(out.Counts)
	return nil
}

func sortCounts(counts []HolderCount) {
	slices.SortFunc(counts, func(a, b HolderCount) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(slices.Index(access.Grants(), a.Grant), slices.Index(access.Grants(), b.Grant)))
	})
}

func (r holderSearch) shown(h store.Holder) HolderView {
	s, _ := r.policy.Tree().Scope(h.Scope)
	return HolderView{Connection: h.Connection, Person: h.Person, UserName: h.UserName, Name: h.Name, ID: h.ID, Is: r.policy.Describe(h.Grant, h.Scope),
		Grant: h.Grant, Scope: h.Scope, FromAbove: r.q.Scope != "" && h.Scope != r.at.ID, Standing: h.Standing, Flags: h.Flags,
		Risk: r.policy.Catalogue().RiskOf(s.Level, h.Grant, h.Flags), NotBefore: h.NotBefore, Until: h.Until, LastUsed: h.LastUsed, Sources: h.Sources}
}

// backed names the permits that an assignment is held by, and the limits that bind it.
func (r holderSearch) backed(h *HolderView, by access.Decided) {
	for _, t := range by.Permits {
		if t.Grant == h.Grant && t.Scope == h.Scope {
			h.Permits = append(h.Permits, PermitRef{ID: t.ID, Request: t.Request, Case: t.Case, Until: t.Until})
		}
	}
	for _, l := range by.Limits {
		if r.policy.Binds(l, mapping.Pair{Grant: h.Grant, Scope: h.Scope}) {
			h.Limits = append(h.Limits, l.ID)
		}
	}
}

func (r holderSearch) seal(place any) string { return r.b.sealPlace(place, r.bound()) }

func (r holderSearch) open(place any) error { return r.b.openPlace(r.q.After, r.bound(), place) }

func (b *Bridge) sealPlace(place any, bound string) string {
	text, _ := json.Marshal(place) // ids and numbers always marshal
	return b.cursors.Seal(text, bound)
}

func (b *Bridge) openPlace(after, bound string, place any) error {
	text, err := b.cursors.Open(after, bound)
	if err == nil {
		err = json.Unmarshal(text, place)
	}
	if err != nil {
		return fault.New(fault.Invalid, "bridge.openPlace", "after is not what the last page of this question gave")
	}
	return nil
}

// staleNow is said of what is stored of somebody whom a newer policy, a change of a group
// or the time may have changed: nothing of it is accepted before that is known.
const staleNow = "not counted until decided anew"

// The notes of answers about the past.
const noteStale = "What a newer policy or the end of a group had made void is counted until it was dropped, some seconds later: explain --at tells of one person."

// past is what the record says of the scopes.
func (r holderSearch) past() (Holders, error) {
	out := r.begin(r.q.At)
	out.Notes = []string{notePastNames, "Scopes lie where they lie today.", noteStale}
	conns, err := r.connections()
	if err != nil {
		return out, err
	}
	var all []store.Holder
	for _, conn := range conns {
		for _, scope := range r.scopes {
			records, err := recorded(r.v, conn, event.Subject{Kind: event.KindScope, ID: string(scope)}, r.q.At)
			if err != nil {
				return out, err
			}
			for _, a := range replay(records, r.q.At).assignments(r.q.At) {
				if slices.Contains(r.grants, a.Grant) && (!r.seeing || a.ValidAt(r.q.At)) {
					all = append(all, store.Holder{Assignment: a, Connection: conn})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b store.Holder) int {
		return cmp.Or(cmp.Compare(slices.Index(r.scopes, a.Scope), slices.Index(r.scopes, b.Scope)), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.ID, b.ID))
	})
	return out, r.pastPage(&out, all)
}

func (r holderSearch) pastPage(out *Holders, all []store.Holder) error {
	from := 0
	if r.q.After != "" {
		if err := r.open(&from); err != nil {
			return err
		}
	} else {
		sums := map[HolderCount]int64{}
		for _, h := range all {
			sums[HolderCount{Grant: h.Grant, Scope: h.Scope, Path: r.policy.Tree().Path(h.Scope)}]++
		}
		for c, n := range sums {
			c.Count = n
			out.Counts = append(out.Counts, c)
		}
		sortCounts(out.Counts)
		out.Total = int64(len(all))
	}
	from = min(max(from, 0), len(all))
	to := min(from+r.limit(), len(all))
	if to < len(all) {
		out.Next = r.seal(to)
	}
	names := map[access.ConnectionID][]access.PersonID{}
	for _, h := range all[from:to] {
		names[h.Connection] = append(names[h.Connection], h.Person)
	}
	for conn, ids := range names {
		dir, err := r.v.In(conn)
		if err != nil {
			return err
		}
		called, err := dir.UserNames(ids)
		if err != nil {
			return err
		}
		for i := range all[from:to] {
			if h := &all[from+i]; h.Connection == conn {
				h.UserName = called[h.Person]
			}
		}
	}
	for _, h := range all[from:to] {
		out.Holders = append(out.Holders, r.shown(h))
	}
	return nil
}

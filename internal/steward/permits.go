package steward

import (
	"context"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Permits lists what people permitted, the newest first: what whoever acts sees. A person
// who decides nowhere sees their own.
func (s *Steward) Permits(ctx context.Context, a Actor, q PermitQuery) (out PermitPage, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		k := newDesk(v, p, now, r)
		out = PermitPage{Permits: []PermitView{}}
		list, keep, err := k.permitList(q)
		if err != nil {
			return err
		}
		id := func(x store.PermitRow) access.PermitID { return x.ID }
		rows, next, err := walk(q.After, countOf(q.Count), func(before access.PermitID, n int) ([]store.PermitRow, bool, error) {
			rows, err := v.PermitPage(list, before, n)
			return rows, len(rows) == n, err
		}, id, keep)
		if err != nil {
			return err
		}
		out.Next = next
		for _, row := range rows {
			view, err := k.permitView(row)
			if err != nil {
				return err
			}
			out.Permits = append(out.Permits, view)
		}
		return nil
	})
	return out, err
}

// permitList says what is read for a query, and what of it is kept.
func (k *desk) permitList(q PermitQuery) (l store.PermitList, keep func(store.PermitRow) bool, err error) {
	me, root := k.by(), k.r.Root(k.Tree)
	at := access.ScopeID("")
	if q.Area != "" {
		s, err := k.area(q.Area)
		if err != nil {
			return l, nil, err
		}
		at = s.ID
	}
	keep = func(p store.PermitRow) bool {
		state := stateOf(p.Permit, k.Now).State
		return k.seesPermit(p) && (!q.Live || state == "running" || state == "to_come") && (q.Case == "" || p.Case == q.Case) && (at == "" || k.Tree.Covers(at, p.Scope))
	}
	switch {
	case q.For != nil:
		p, err := k.named(*q.For)
		if err != nil {
			return l, nil, err
		}
		l.For = &request.Party{Connection: p.Connection, Person: p.ID}
		return l, keep, nil
	case root == "":
		l.For = &me
		return l, keep, nil
	case q.Case != "":
		l.Case = q.Case
		return l, keep, nil
	}
	if at == "" || k.Tree.Covers(at, root) {
		at = root
	}
	host, _ := k.Tree.Resolve(".")
	if under := k.Tree.Under(at); at != host.ID && len(under) <= enumerated {
		l.Scopes, l.Live = under, q.Live
	}
	return l, keep, nil
}

func (k *desk) seesPermit(p store.PermitRow) bool {
	return k.r.Is(p.Connection, p.Person) || k.r.Sees(k.Tree, p.Scope)
}

func (k *desk) permitView(p store.PermitRow) (PermitView, error) {
	t := request.Terms{Grant: p.Grant, Scope: p.Scope, Flags: p.Flags, Until: p.Until}
	who, err := k.who(request.Party{Connection: p.Connection, Person: p.Person})
	return PermitView{PermitState: stateOf(p.Permit, k.Now), For: who, Terms: k.terms(t), Standing: p.Standing, NotBefore: p.NotBefore,
		Request: p.Request, Case: p.Case, Given: p.Given, Risk: t.Risk(k.Setting)}, err
}

// Revoke takes back what people permitted: an administrator of its scope may, the
// operator, and the person it was given to. fault.Stale if it has ended.
func (s *Steward) Revoke(ctx context.Context, a Actor, id access.PermitID, reason string) (out PermitView, err error) {
	if err := given(reason); err != nil {
		return out, err
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		k := newDesk(&d.Tx().View, d.Policy(), d.Now(), r)
		p, err := k.v.Permit(id)
		if err != nil {
			return err
		}
		if !k.seesPermit(p) {
			return sees(r, k.Tree, p.Scope, "permit")
		}
		if p.Permit, err = d.EndPermit(p.Connection, id, access.EndPermitRevoked); err != nil {
			return gone(err)
		}
		if err := d.Tx().DropWatch(id); err != nil {
			return err
		}
		if err := k.noteRevoked(d, p.Permit, strings.TrimSpace(reason)); err != nil {
			return err
		}
		out, err = k.permitView(p)
		return err
	})
	return out, err
}

// noteRevoked writes with the request why what it gave was taken back.
func (k *desk) noteRevoked(d *bridge.Deciding, p access.Permit, reason string) error {
	if p.Request == "" {
		return nil
	}
	q, err := k.v.Request(p.Request)
	if fault.Is(err, fault.NotFound) {
		return nil // it was given by other ways than a request
	}
	if err != nil || q.Permit != p.ID {
		return err
	}
	switch {
	case q.State != request.Unconfirmed:
	case !q.StateAt(k.Now).Waits(): // nobody confirmed it in time, and that stays so
		return k.lapse(d, q, "")
	case k.concerns(q.By, q.For): // given back: others still look at what was taken
		return nil
	default:
		q.Permit = "" // it has ended
		_, err := k.close(d, q, request.Denied, reason, event.RequestDenied)
		return err
	}
	q.Revoked, q.RevokedBecause = k.by(), reason
	return d.Tx().MoveRequest(q, q.State)
}

package bridge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// PermitHeld is what people decided that a person may hold.
type PermitHeld struct {
	ID         access.PermitID   `json:"id"`
	Is         string            `json:"is" doc:"the grant and the path of its scope"`
	Grant      access.Grant      `json:"grant"`
	Scope      access.ScopeID    `json:"scope"`
	Flags      access.Flags      `json:"flags"`
	Kind       access.SourceKind `json:"kind"`
	Request    access.RequestID  `json:"request,omitzero" doc:"the request that it was given by"`
	AskedBy    string            `json:"asked_by,omitzero"`
	ApprovedBy []string          `json:"approved_by,omitempty"`
	Case       access.CaseID     `json:"case,omitzero"`
	Given      time.Time         `json:"given"`
	NotBefore  time.Time         `json:"not_before,omitzero"`
	Until      time.Time         `json:"until,omitzero"`
	Waits      string            `json:"waits,omitzero" enum:"begins_later,not_certified,certificate_lapsed,time_over,scope_retired" doc:"why it gives nothing now, though it has not been ended"`
}

// LimitHeld is what was taken from a person, within a scope.
type LimitHeld struct {
	ID        access.LimitID    `json:"id"`
	Scope     access.ScopeID    `json:"scope"`
	Path      string            `json:"path"`
	Grant     access.Grant      `json:"grant,omitzero" doc:"of this grant alone; empty: of all"`
	Events    *access.EventFlag `json:"events,omitempty" doc:"the most that may be seen"`
	NoVideo   bool              `json:"no_video,omitzero"`
	Withheld  bool              `json:"withheld,omitzero" doc:"rules do not give the grant there; what people decide is not bound"`
	Withholds []string          `json:"withholds,omitempty" doc:"what rules would give; not answered for the past"`
	Set       time.Time         `json:"set"`
	By        string            `json:"by,omitzero" doc:"who set it"`
	Reason    string            `json:"reason,omitzero"`
}

// Says is the limit in words.
func (l LimitHeld) Says() string {
	var parts []string
	if l.Withheld {
		parts = append(parts, "takes what rules give of it")
	}
	if l.Events != nil {
		parts = append(parts, "events at most "+l.Events.String())
	}
	if l.NoVideo {
		parts = append(parts, "no video")
	}
	of := ""
	if l.Grant != "" {
		of = string(l.Grant) + " "
	}
	text := fmt.Sprintf("%s@ %s: %s", of, l.Path, strings.Join(parts, ", "))
	if l.By != "" {
		text += fmt.Sprintf(" (set by %s: %s)", l.By, l.Reason)
	}
	return text
}

// peopleSaid fills in what people had decided about somebody at the instant of x: rows of
// permits and limits are kept for ever. want is what rules give now; nil for the past.
func (x explainer) peopleSaid(v *store.View, dir *store.Directory, p store.Person, want []mapping.Wanted, e *Explanation) error {
	permits, err := dir.PermitsOf(p)
	if err != nil {
		return err
	}
	limits, err := dir.LimitsOf(p)
	if err != nil {
		return err
	}
	during := func(from, to time.Time) bool { return !from.After(x.at) && (to.IsZero() || to.After(x.at)) }
	permits = slices.DeleteFunc(permits, func(t access.Permit) bool { return !during(t.Given, t.Ended) })
	limits = slices.DeleteFunc(limits, func(l access.Limit) bool { return !during(l.Set, l.Lifted) })
	e.Permits, e.Limits = make([]PermitHeld, len(permits)), make([]LimitHeld, len(limits))
	for i, t := range permits {
		if e.Permits[i], err = x.permitHeld(v, t); err != nil {
			return err
		}
	}
	ids := make([]access.LimitID, len(limits))
	for i, l := range limits {
		ids[i] = l.ID
	}
	notes, err := v.LimitNotes(ids)
	if err != nil {
		return err
	}
	for i, l := range limits {
		l.Lifted = time.Time{} // it bound then
		e.Limits[i] = x.limitHeld(l, want)
		e.Limits[i].By, e.Limits[i].Reason = notes[l.ID].SetBy, notes[l.ID].SetReason
	}
	for i := range e.Holds {
		x.backed(&e.Holds[i], e.Permits, limits)
	}
	return nil
}

// backed puts permits to the sources that they are, and notes the limits that bind.
func (x explainer) backed(h *Holding, permits []PermitHeld, limits []access.Limit) {
	for i, l := range h.Chain {
		at := slices.IndexFunc(permits, func(t PermitHeld) bool {
			return l.Kind != access.SourceRule && t.Grant == h.Grant && t.Scope == h.Scope && (string(t.Request) == l.ID || string(t.ID) == l.ID)
		})
		if at >= 0 {
			h.Chain[i].Permit = &permits[at]
		}
	}
	for _, l := range limits {
		if x.policy.Binds(l, mapping.Pair{Grant: h.Grant, Scope: h.Scope}) {
			h.Limits = append(h.Limits, l.ID)
		}
	}
}

func (x explainer) permitHeld(v *store.View, t access.Permit) (PermitHeld, error) {
	out := PermitHeld{ID: t.ID, Is: x.policy.Describe(t.Grant, t.Scope), Grant: t.Grant, Scope: t.Scope, Flags: t.Flags, Kind: t.Kind, Request: t.Request, Case: t.Case,
		Given: t.Given, NotBefore: t.NotBefore, Until: t.Until, Waits: x.waits(t)}
	if t.Request == "" {
		return out, nil
	}
	r, err := v.Request(t.Request)
	if fault.Is(err, fault.NotFound) {
		return out, nil // of before requests were kept
	}
	if err != nil {
		return out, err
	}
	if out.AskedBy, err = called(v, r.By.Operator, r.By.Connection, r.By.Person); err != nil {
		return out, err
	}
	for _, a := range r.Approvals {
		who, err := called(v, a.By.Operator, a.By.Connection, a.By.Person)
		if err != nil {
			return out, err
		}
		out.ApprovedBy = append(out.ApprovedBy, who)
	}
	return out, nil
}

// called is what operators call whoever decided something: the userName of today, or the id
// of somebody who is gone.
func called(v *store.View, operator string, conn access.ConnectionID, person access.PersonID) (string, error) {
	if conn == "" {
		return operator, nil
	}
	dir, err := v.In(conn)
	if err != nil {
		return "", err
	}
	names, err := dir.UserNames([]access.PersonID{person})
	if name := names[person]; name != "" {
		return name, err
	}
	return string(person), err
}

// waits says why a permit that has not been ended gives nothing.
func (x explainer) waits(t access.Permit) string {
	switch c := x.certification; {
	case !t.Until.IsZero() && !x.at.Before(t.Until):
		return access.EndPermitTime
	case !x.policy.Tree().Live(t.Scope):
		return access.EndPermitScope
	case t.NotBefore.After(x.at):
		return "begins_later"
	case !t.Grant.NeedsCertification() || c == nil || c.CertifiedAt(x.at):
		return ""
	default:
		return uncertified(*c, x.at)
	}
}

func (x explainer) limitHeld(l access.Limit, want []mapping.Wanted) LimitHeld {
	out := LimitHeld{ID: l.ID, Scope: l.Scope, Path: x.policy.Tree().Path(l.Scope), Grant: l.Grant, Events: l.Events, NoVideo: l.NoVideo, Withheld: l.Withheld, Set: l.Set}
	for _, w := range want {
		if _, withheld := x.policy.Withheld([]access.Limit{l}, mapping.Pair{Grant: w.Grant, Scope: w.Scope}); withheld {
			out.Withholds = append(out.Withholds, x.policy.Describe(w.Grant, w.Scope))
		}
	}
	return out
}

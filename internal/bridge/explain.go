package bridge

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Explanation is why one person holds what they hold: the trace from group to rule
// to grant at scope, with what nearly matched. The command line and the API show
// the same one.
type Explanation struct {
	Person     access.PersonID     `json:"person"`
	UserName   string              `json:"user_name"`
	Name       string              `json:"name"`
	Connection access.ConnectionID `json:"connection"`
	Active     bool                `json:"active"`
	Groups     []string            `json:"groups"`
	Holds      []Holding           `json:"holds"`
	Reasons    []mapping.Reason    `json:"reasons"`          // in file order
	Refusal    string              `json:"refusal,omitzero"` // why the person cannot sign in, as a reason code
	Sessions   []SessionView       `json:"sessions"`
	ValidUntil time.Time           `json:"valid_until,omitzero"` // until when the decision holds
	Policy     int64               `json:"policy"`
}

// Holding is one assignment as people read it.
type Holding struct {
	ID       access.AssignmentID `json:"id"`
	Is       string              `json:"is"` // "standard @ southern/banksia/geelong"
	Standing access.Standing     `json:"standing"`
	Flags    access.Flags        `json:"flags"`
	Risk     access.Risk         `json:"risk"`
	Until    time.Time           `json:"until,omitzero"`
	Sources  []access.Source     `json:"sources"`
}

// SessionView is a live session as an operator sees it.
type SessionView struct {
	ID       session.ID          `json:"id"`
	State    string              `json:"state"`
	Active   access.AssignmentID `json:"active,omitzero"`
	AuthTime time.Time           `json:"auth_time"`
	Expires  time.Time           `json:"expires"`
}

// Explain explains everybody who answers to who: a person id, a userName or an
// e-mail address, in every connection that knows it (or only in conn, if given).
// fault.NotFound if nobody does.
func (b *Bridge) Explain(ctx context.Context, who string, conn access.ConnectionID) ([]Explanation, error) {
	now := b.now()
	var out []Explanation
	err := b.store.View(ctx, func(v *store.View) error {
		out = nil
		people, err := v.PeopleNamed(who)
		if err != nil {
			return err
		}
		policy, err := b.active(v)
		if err != nil {
			return err
		}
		for _, p := range people {
			if conn != "" && p.Connection != conn {
				continue
			}
			e, err := explain(v, policy, p, now)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		return nil, fault.New(fault.NotFound, "bridge.Explain", "nobody here is called %q; give a userName, an e-mail address or a person id", who)
	}
	return out, err
}

func explain(v *store.View, policy *activePolicy, p store.Person, now time.Time) (Explanation, error) {
	dir, err := v.In(p.Connection)
	if err != nil {
		return Explanation{}, err
	}
	facts, err := dir.Facts(p, policy.Attributes(p.Connection))
	if err != nil {
		return Explanation{}, err
	}
	held, err := dir.Assignments(p)
	if err != nil {
		return Explanation{}, err
	}
	sessions, err := dir.Sessions(p)
	if err != nil {
		return Explanation{}, err
	}
	d := mapping.Evaluate(policy.Policy, facts, now)
	e := Explanation{Person: p.ID, UserName: p.UserName, Name: p.DisplayName, Connection: p.Connection, Active: p.Active,
		Groups: []string{}, Holds: []Holding{}, Sessions: []SessionView{},
		Reasons: d.Reasons, ValidUntil: earliest(d.ValidUntil, mapping.NextChange(held, now)), Policy: policy.version}
	for _, m := range facts.Memberships {
		e.Groups = append(e.Groups, m.Name)
	}
	slices.Sort(e.Groups)
	e.Holds = append(e.Holds, holdings(policy, held, now)...)
	for _, s := range sessions {
		e.Sessions = append(e.Sessions, SessionView{ID: s.ID, State: s.State.String(), Active: s.Active, AuthTime: s.AuthTime, Expires: s.Expires})
	}
	e.Refusal = refusalOf(p, held, d, now)
	return e, nil
}

func holdings(policy *activePolicy, held []access.Assignment, now time.Time) []Holding {
	held = slices.DeleteFunc(slices.Clone(held), func(a access.Assignment) bool { return !a.Until.IsZero() && !now.Before(a.Until) })
	slices.SortFunc(held, access.CompareAssignments)
	out := make([]Holding, len(held))
	for i, a := range held {
		s, _ := policy.Tree().Scope(a.Scope)
		out[i] = Holding{ID: a.ID, Is: policy.Describe(a.Grant, a.Scope), Standing: a.Standing, Flags: a.Flags,
			Risk: policy.Catalogue().RiskOf(s.Level, a.Grant, a.Flags), Until: a.Until, Sources: a.Sources}
	}
	return out
}

// refusalOf is the reason code the person would read at sign-in; "" if they may.
func refusalOf(p store.Person, held []access.Assignment, d mapping.Decision, now time.Time) string {
	if !p.Active {
		return reasonDeactivated
	}
	return fault.ReasonOf(nearest(session.Refusal(held, now), d))
}

// nearest gives a person who holds nothing the nearest reason: a rule that almost
// matched says more than "no rule matched".
func nearest(refusal error, d mapping.Decision) error {
	if code := nearMiss(d); code != "" && fault.ReasonOf(refusal) == session.ReasonNoRule {
		return denied(code, fault.DetailOf(refusal))
	}
	return refusal
}

// nearMiss is the reason code of the rule that almost gave something; "" if none did.
func nearMiss(d mapping.Decision) string {
	for _, r := range d.Reasons {
		switch r.Code {
		case mapping.CertificateLapsed, mapping.NotCertified, mapping.TimeOver:
			return string(r.Code)
		}
	}
	return ""
}

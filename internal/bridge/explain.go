package bridge

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Explanation is why one person holds what they hold, now or at an instant of the
// past: the chain from group to rule to grant at scope, with what nearly matched, what
// they see, and why they cannot sign in. Whoever explains access shows this one object.
type Explanation struct {
	Person      access.PersonID     `json:"person"`
	UserName    string              `json:"user_name,omitzero" doc:"as it is now; empty for somebody who was deleted"`
	Name        string              `json:"name,omitzero"`
	Connection  access.ConnectionID `json:"connection"`
	Customer    string              `json:"customer"`
	Active      bool                `json:"active"`
	Groups      []string            `json:"groups" doc:"names of the groups; the id where none is known"`
	Memberships []Belonging         `json:"memberships" doc:"the groups, with how the person came into them"`
	Holds       []Holding           `json:"holds"`
	Permits     []PermitHeld        `json:"permits" doc:"what people decided that the person may hold, and has not been ended"`
	Limits      []LimitHeld         `json:"limits" doc:"what was taken from the person, and has not been lifted"`
	Sees        []Sight             `json:"sees" doc:"scopes that are seen with all below them"`
	ByName      []Sight             `json:"by_name" doc:"scopes above those, of which the name alone is seen"`
	Reasons     []mapping.Reason    `json:"reasons" doc:"what each rule says, in file order; not answered for the past"`
	Refusal     string              `json:"refusal,omitzero" doc:"why the person cannot sign in, as a reason code"`
	Says        string              `json:"says,omitzero" doc:"what the page tells them then"`
	Sessions    []SessionView       `json:"sessions" doc:"that live; not answered for the past"`
	ValidUntil  time.Time           `json:"valid_until,omitzero" doc:"until when the decision holds, if nothing else changes"`
	Policy      int64               `json:"policy" doc:"the version of the policy"`
	Past        *Past               `json:"past,omitempty" doc:"where this is about an instant of the past"`
}

// Belonging is one group that a person is in, and how they came into it.
type Belonging struct {
	Group   access.GroupID `json:"group"`
	Name    string         `json:"name,omitzero" doc:"as it is now; empty once the group is gone"`
	Since   time.Time      `json:"since" doc:"since when the person counts as a member; a rule's for: is counted from it"`
	Request string         `json:"request,omitzero" doc:"the SCIM request that did it: drawbridge scim log REQUEST"`
	Renames []Renaming     `json:"renames,omitempty" doc:"when the group got another name or externalId, and which rules it entered or left by that; the latest five"`
}

// Holding is one assignment as people read it.
type Holding struct {
	ID        access.AssignmentID `json:"id"`
	Is        string              `json:"is" doc:"the grant and the path of its scope"`
	Grant     access.Grant        `json:"grant"`
	Scope     access.ScopeID      `json:"scope"`
	Standing  access.Standing     `json:"standing"`
	Flags     access.Flags        `json:"flags"`
	Risk      access.Risk         `json:"risk"`
	Demands   string              `json:"demands,omitzero" doc:"what the grant demands of the sign-in: acr values, and how old it may be"`
	NotBefore time.Time           `json:"not_before,omitzero"`
	Until     time.Time           `json:"until,omitzero"`
	LastUsed  time.Time           `json:"last_used,omitzero" doc:"when a session last stood on it, to the minute"`
	Sessions  int                 `json:"sessions" doc:"how many live sessions stand on it"`
	Offline   int                 `json:"offline_sessions,omitzero" doc:"how many of them applications keep beyond the browser's session"`
	Given     time.Time           `json:"given,omitzero" doc:"when it became what it is, where the record says so"`
	Request   string              `json:"request,omitzero" doc:"the request that did it"`
	Chain     []Link              `json:"chain" doc:"each reason for which it is held"`
	Sources   []access.Source     `json:"sources"`
	Limits    []access.LimitID    `json:"limits,omitempty" doc:"the person's limits that bind it"`
	Stale     string              `json:"stale,omitzero" doc:"why it counted for nothing, though it had not been dropped yet"`
}

// Link is one reason for which an assignment is held: a group, and the rule that it feeds.
type Link struct {
	Kind      access.SourceKind `json:"kind"`
	ID        string            `json:"id" doc:"the rule's, request's or act's"`
	Pos       mapping.Pos       `json:"pos,omitzero" doc:"where the rule stands in its file"`
	Owner     string            `json:"owner,omitzero"`
	Note      string            `json:"note,omitzero"`
	Group     *Belonging        `json:"group,omitempty"`
	MatchedBy string            `json:"matched_by,omitzero" enum:"name,group_id" doc:"a name may be given to another group; an id may not"`
	Captures  map[string]string `json:"captures,omitempty" doc:"what the group's name gave to the rule"`
	Until     time.Time         `json:"until,omitzero"`
	Permit    *PermitHeld       `json:"permit,omitempty" doc:"where people decided"`
}

// Sight is a scope that a person sees.
type Sight struct {
	ID      access.ScopeID        `json:"id"`
	Path    string                `json:"path"`
	Name    string                `json:"name"`
	Level   access.Level          `json:"level"`
	Below   int                   `json:"below,omitzero" doc:"how many scopes lie below it"`
	Through []access.AssignmentID `json:"through,omitempty"`
}

// SessionView is a live session as an operator sees it.
type SessionView struct {
	ID       session.ID          `json:"id"`
	State    string              `json:"state"`
	Active   access.AssignmentID `json:"active,omitzero"`
	Offline  access.ClientID     `json:"offline,omitzero" doc:"the application that keeps it beyond the browser's session; empty: it is a browser's"`
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

// explain is what is so now. How it came to be is read from the record; where that
// cannot be read yet, those instants are left out.
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
	came, err := howItCame(v, p)
	if err != nil {
		return Explanation{}, err
	}
	d := mapping.Evaluate(policy.Policy, facts, now)
	x := supposedly(policy, facts, now)
	x.came = came
	for id, g := range x.groups {
		g.Request = came.groups[id].request
		x.groups[id] = g
	}
	if err := renamings(v, p.Connection, x.groups, time.Time{}); err != nil && !fault.Is(err, fault.Conflict) {
		return Explanation{}, err
	}
	e := Explanation{Person: p.ID, UserName: p.UserName, Name: p.DisplayName, Connection: p.Connection, Customer: dir.Row().Name, Active: p.Active,
		Groups: []string{}, Memberships: []Belonging{}, Sessions: []SessionView{},
		Reasons: d.Reasons, ValidUntil: earliest(d.ValidUntil, mapping.NextChange(held, now)), Policy: policy.version}
	e.belong(x.groups)
	for _, s := range sessions {
		if s.LiveAt(now) {
			e.Sessions = append(e.Sessions, SessionView{ID: s.ID, State: s.State.String(), Active: s.Active, Offline: s.Offline, AuthTime: s.AuthTime, Expires: s.Expires})
		}
	}
	e.Holds = x.holdings(held, e.Sessions)
	if err := x.peopleSaid(v, dir, p, d.Want, &e); err != nil {
		return Explanation{}, err
	}
	open, err := dir.Unsettled([]store.PersonKey{p.Key}, now)
	if err != nil {
		return Explanation{}, err
	}
	for i := range e.Holds {
		if len(open) > 0 {
			e.Holds[i].Stale = staleNow
		}
	}
	e.Sees, e.ByName = x.sights(held)
	by, err := dir.Decided(p)
	by.Certification = facts.Certification
	e.Refusal = refusalOf(policy.Policy, p, held, d, by, now)
	return e, err
}

// howItCame is what the record says of a person up to now.
func howItCame(v *store.View, p store.Person) (then, error) {
	all, err := recorded(v, p.Connection, event.Subject{Kind: event.KindPerson, ID: string(p.ID)}, time.Time{})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.Limited) {
		return then{}, nil
	}
	return replay(all, time.Time{}), err
}

// belong fills in the groups, by name.
func (e *Explanation) belong(groups map[access.GroupID]Belonging) {
	for _, g := range groups {
		e.Memberships = append(e.Memberships, g)
	}
	slices.SortFunc(e.Memberships, func(a, b Belonging) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(string(a.Group), string(b.Group))
	})
	for _, g := range e.Memberships {
		e.Groups = append(e.Groups, g.called())
	}
}

func (g Belonging) called() string {
	if g.Name == "" {
		return string(g.Group)
	}
	return g.Name
}

// explainer puts what was held into words, under the policy of its time.
type explainer struct {
	policy *activePolicy
	rules  []mapping.RuleSource // as they stood at that time; nil: that is not kept
	at     time.Time
	groups map[access.GroupID]Belonging
	came   then

	certification *access.Certification // nil: it is not known
}

// supposedly is an explainer of facts that need not be recorded anywhere.
func supposedly(policy *activePolicy, facts mapping.Facts, at time.Time) explainer {
	x := explainer{policy: policy, rules: policy.Source().Rules, at: at, groups: map[access.GroupID]Belonging{}, certification: &facts.Certification}
	for _, m := range facts.Memberships {
		x.groups[m.Group] = Belonging{Group: m.Group, Name: m.Name, Since: m.Since}
	}
	return x
}

func (x explainer) holdings(held []access.Assignment, sessions []SessionView) []Holding {
	standing, offline := map[access.AssignmentID]int{}, map[access.AssignmentID]int{}
	for _, s := range sessions {
		standing[s.Active]++
		if s.Offline != "" {
			offline[s.Active]++
		}
	}
	held = slices.DeleteFunc(slices.Clone(held), func(a access.Assignment) bool { return !a.Until.IsZero() && !x.at.Before(a.Until) })
	slices.SortFunc(held, access.CompareAssignments)
	out := make([]Holding, len(held))
	for i, a := range held {
		s, _ := x.policy.Tree().Scope(a.Scope)
		came := x.came.held[a.ID]
		out[i] = Holding{ID: a.ID, Is: x.policy.Describe(a.Grant, a.Scope), Grant: a.Grant, Scope: a.Scope, Standing: a.Standing, Flags: a.Flags,
			Risk: x.policy.Catalogue().RiskOf(s.Level, a.Grant, a.Flags), Demands: x.policy.Catalogue().Demands(a.Grant).String(), NotBefore: a.NotBefore, Until: a.Until, LastUsed: a.LastUsed,
			Sessions: standing[a.ID], Offline: offline[a.ID], Given: came.at, Request: came.request, Sources: a.Sources}
		for _, source := range a.Sources {
			out[i].Chain = append(out[i].Chain, x.link(source))
		}
	}
	return out
}

func (x explainer) link(s access.Source) Link {
	l := Link{Kind: s.Kind, ID: s.ID, Until: s.Until}
	if s.Group != "" {
		g, in := x.groups[s.Group]
		if !in {
			g = Belonging{Group: s.Group}
		}
		l.Group = &g
	}
	if s.Kind != access.SourceRule {
		return l
	}
	at := slices.IndexFunc(x.rules, func(r mapping.RuleSource) bool { return r.ID == s.ID })
	if at < 0 {
		return l
	}
	r := x.rules[at]
	l.Pos, l.Owner, l.Note = r.Pos, r.Owner, r.Note
	if l.Group != nil {
		l.MatchedBy, l.Captures = matchedBy(r, l.Group.Name)
	}
	return l
}

// sights are the scopes that assignments let a person see, each with all below it, and
// those above them, of which they see the name.
func (x explainer) sights(held []access.Assignment) (sees, byName []Sight) {
	tree := x.policy.Tree()
	sees, byName = []Sight{}, []Sight{}
	through := map[access.ScopeID][]access.AssignmentID{}
	for _, a := range held {
		if a.MaySignIn(x.at) {
			through[a.Scope] = append(through[a.Scope], a.ID)
		}
	}
	above := map[access.ScopeID]bool{}
	for id := range through {
		if _, known := tree.Scope(id); !known {
			continue
		}
		seen := sight(tree, id)
		seen.Below, seen.Through = below(tree, id), through[id]
		sees = append(sees, seen)
		for _, up := range tree.Ancestors(id) {
			above[up] = true
		}
	}
	for id := range above {
		if !slices.ContainsFunc(sees, func(s Sight) bool { return tree.Covers(s.ID, id) }) {
			byName = append(byName, sight(tree, id))
		}
	}
	byPath := func(a, b Sight) int { return strings.Compare(a.Path, b.Path) }
	slices.SortFunc(sees, byPath)
	slices.SortFunc(byName, byPath)
	return sees, byName
}

func sight(tree *access.Tree, id access.ScopeID) Sight {
	s, _ := tree.Scope(id)
	return Sight{ID: id, Path: tree.Path(id), Name: s.Name, Level: s.Level}
}

func below(tree *access.Tree, id access.ScopeID) (n int) {
	for _, s := range tree.Children(id) {
		n += 1 + below(tree, s.ID)
	}
	return n
}

// refusal is why a person cannot sign in, nil if they may: at the sign-in itself and
// wherever it is explained. decide is asked only for somebody who holds nothing to sign in
// by: it says what rules give, and what people decided.
func refusal(policy *mapping.Policy, p store.Person, held []access.Assignment, decide func() (mapping.Decision, access.Decided, error), now time.Time) error {
	if !p.Active {
		return denied(reasonDeactivated, "your company has switched your account off")
	}
	err := session.Refusal(held, now)
	reason := fault.ReasonOf(err)
	if reason != session.ReasonNoRule && reason != session.ReasonContact {
		return err
	}
	d, by, failed := decide()
	if failed != nil {
		return failed
	}
	if takenBack(policy, d.Want, by.Limits) {
		return denied(reasonWithheld, "your access was ended by a review of access; whoever administers it can give it back")
	}
	if code := nearMiss(d, by, now); code != "" && reason == session.ReasonNoRule { // a rule that almost matched says more than that none did
		return denied(code, fault.DetailOf(err))
	}
	return err
}

// refusalOf is refusal's reason code, by a decision that is there already.
func refusalOf(policy *mapping.Policy, p store.Person, held []access.Assignment, d mapping.Decision, by access.Decided, now time.Time) string {
	return fault.ReasonOf(refusal(policy, p, held, func() (mapping.Decision, access.Decided, error) { return d, by, nil }, now))
}

// takenBack reports whether rules give something to sign in by, which a limit withholds.
func takenBack(policy *mapping.Policy, want []mapping.Wanted, limits []access.Limit) bool {
	return slices.ContainsFunc(want, func(w mapping.Wanted) bool {
		_, withheld := policy.Withheld(limits, mapping.Pair{Grant: w.Grant, Scope: w.Scope})
		return withheld && w.Grant.MaySignIn()
	})
}

// nearMiss is the reason code of what almost gave something: what people decided, else a
// rule; "" if nothing did.
func nearMiss(d mapping.Decision, by access.Decided, now time.Time) string {
	for _, t := range by.Permits {
		if t.Ended.IsZero() && (t.Until.IsZero() || now.Before(t.Until)) && t.Grant.NeedsCertification() && !by.Certification.CertifiedAt(now) {
			return uncertified(by.Certification, now)
		}
	}
	for _, r := range d.Reasons {
		switch r.Code {
		case mapping.CertificateLapsed, mapping.NotCertified, mapping.TimeOver, mapping.ConditionFalse, mapping.AttributeMissing, mapping.ExcludedByGroup:
			return string(r.Code)
		}
	}
	return ""
}

// uncertified says why a certification that does not count at that instant does not.
func uncertified(c access.Certification, at time.Time) string {
	if (access.Certification{Level: c.Level}).CertifiedAt(at) {
		return string(mapping.CertificateLapsed)
	}
	return string(mapping.NotCertified)
}

package request

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Offer is what a wish comes to.
type Offer struct {
	Smallest Terms // that opens the workflows; no grant: none does
	Asked    Terms // what is asked for: the smallest, unless a grant was named
	Standing access.Standing
	Opens    []access.Workflow // all that Asked opens
	Beyond   []access.Workflow // what of it nobody asked for
	Class    mapping.RequestClass
	Need     int // approvals: the class's, and two where several customers become visible
	Several  bool
	Outside  bool
	Held     *access.Assignment // opens all of it already
	DecideBy time.Time
	Refused  []Refusal
}

// Propose finds the smallest grant at the smallest scope that opens what is wished for,
// and says all for which the request would be refused, whoever asks.
func Propose(s Setting, h Holder, w Wish) Offer {
	o := Offer{Standing: StandingOf(h, w)}
	o.refuse(apart(s.Catalogue, w)...)
	scope := w.Area
	if w.Grant == "" {
		scope = smallestScope(s.Tree, w.Area)
	}
	o.choose(s, h, w, scope)
	o.weigh(s, h, w)
	o.refuse(missing(s, o.Class, w)...)
	o.refuse(tooLong(s, o.Class, w)...)
	return o
}

func (o *Offer) refuse(r ...Refusal) { o.Refused = append(o.Refused, r...) }

// StandingOf is what the access would be: a visit, unless the person has no place of their
// own, or this is that place for longer.
func StandingOf(h Holder, w Wish) access.Standing {
	own, has := h.primary()
	same := func(s access.Source) bool {
		return s.Kind == access.SourceRequest && s.ID == string(w.Extends) && s.Standing == access.Primary
	}
	if !has || w.Extends != "" && slices.ContainsFunc(own.Sources, same) {
		return access.Primary
	}
	return access.Guest
}

// Needs are the flags without which the workflows do not open.
func Needs(ws []access.Workflow) (f access.Flags) {
	for _, w := range ws {
		switch w {
		case access.EventsView, access.EventsDownload:
			f = f.Union(access.Flags{Events: access.EventsStandard})
		case access.MediaView:
			f.Video = true
		}
	}
	return f
}

// smallestScope is the area, or the one fleet of it.
func smallestScope(t *access.Tree, area access.ScopeID) access.ScopeID {
	s, _ := t.Scope(area)
	if s.Level != access.Account && s.Level != access.ServiceProvider {
		return area
	}
	only := area
	for {
		below := t.Children(only)
		if len(below) == 0 {
			break
		}
		if len(below) > 1 {
			return area
		}
		only = below[0].ID
	}
	if f, _ := t.Scope(only); f.Level == access.Fleet {
		return only
	}
	return area
}

// candidate is a grant that opens all that is asked for.
type candidate struct {
	Terms
	opens, beyond []access.Workflow
	risk          access.Risk
}

func compare(a, b candidate) int {
	return cmp.Or(cmp.Compare(len(a.beyond), len(b.beyond)), cmp.Compare(a.risk, b.risk),
		cmp.Compare(slices.Index(access.Grants(), a.Grant), slices.Index(access.Grants(), b.Grant)))
}

// as is what a grant would open at a scope, for that wish.
func as(s Setting, w Wish, g access.Grant, scope access.ScopeID, st access.Standing) candidate {
	at, _ := s.Tree.Scope(scope)
	c := candidate{Terms: Terms{Grant: g, Scope: scope, Flags: w.Flags.Union(Needs(w.Workflows)).Union(g.Floor()), Until: w.Until}}
	c.opens = s.Catalogue.Opens(g, c.Flags, st)
	c.beyond = without(c.opens, w.Workflows)
	c.risk = s.Catalogue.RiskOf(at.Level, g, c.Flags)
	return c
}

// opening lists what opens all that is wished for, the smallest first; certified or not.
// Administration is nothing that an operator gets by the way.
func opening(s Setting, w Wish, scope access.ScopeID, st access.Standing) []candidate {
	var all []candidate
	for _, g := range access.Grants() {
		c := as(s, w, g, scope, st)
		byTheWay := slices.ContainsFunc(c.opens, administers) && !slices.ContainsFunc(w.Workflows, administers)
		if g.MaySignIn() && len(without(w.Workflows, c.opens)) == 0 && !byTheWay {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, compare)
	return all
}

// choose sets the terms.
func (o *Offer) choose(s Setting, h Holder, w Wish, scope access.ScopeID) {
	certified := h.Certification.CertifiedAt(s.Now)
	var best candidate
	if len(w.Workflows) > 0 {
		best = o.smallest(s, w, smallestScope(s.Tree, w.Area), certified)
		o.Smallest = best.Terms
	}
	switch {
	case w.Grant != "":
		best = as(s, w, w.Grant, scope, o.Standing)
		o.insist(w, best, certified)
		if len(w.Workflows) == 0 {
			o.Smallest = best.Terms
		}
	case len(w.Workflows) == 0:
		o.refuse(refusal(ReasonWorkflows, "say what they need to do (workflows), or name a grant"))
	}
	o.Asked, o.Opens, o.Beyond = best.Terms, best.opens, best.beyond
	if len(w.Workflows) == 0 {
		o.Beyond = nil
	}
	o.Held = held(s, h, w, best)
	if o.Held != nil && w.Extends == "" && lasts(*o.Held, w, s.Now) {
		o.refuse(refusal(ReasonHeld, "the person has this already%s", untilWords(o.Held.Until)))
	}
}

// smallest is the least that opens the workflows, or why nothing does.
func (o *Offer) smallest(s Setting, w Wish, scope access.ScopeID, certified bool) candidate {
	all := opening(s, w, scope, o.Standing)
	for _, c := range all {
		if certified || !c.Grant.NeedsCertification() {
			return c
		}
	}
	switch {
	case w.Grant != "": // the one that was named is judged by itself
	case len(all) > 0:
		o.refuse(uncertified())
	case slices.Contains(w.Workflows, access.Reports) && o.Standing == access.Guest && len(opening(s, w, scope, access.Primary)) > 0:
		o.refuse(reports())
	case len(o.Refused) == 0:
		o.refuse(refusal(ReasonNoGrant, "no single grant opens %s: ask for them one by one", words(w.Workflows)))
	}
	return candidate{}
}

// insist judges a grant that was named.
func (o *Offer) insist(w Wish, c candidate, certified bool) {
	lacking := without(w.Workflows, c.opens)
	switch {
	case c.Grant.NeedsCertification() && !certified:
		o.refuse(uncertified())
	case o.Standing == access.Guest && slices.Contains(lacking, access.Reports):
		o.refuse(reports())
	case len(lacking) > 0:
		o.refuse(refusal(ReasonGrantOpensLess, "%s does not open %s", c.Grant, words(lacking)))
	}
}

func uncertified() Refusal {
	return refusal(ReasonNotCertified, "the person has no technician's certification that is in date")
}

func reports() Refusal {
	return refusal(ReasonReports, "the person has a place of their own, so this would be a visit, and reports do not include what guests visit")
}

// held is what opens all that is asked for already.
func held(s Setting, h Holder, w Wish, c candidate) *access.Assignment {
	for _, a := range h.valid(s.Tree, s.Now) {
		opens := s.Catalogue.Opens(a.Grant, a.Flags, a.Standing)
		switch {
		case c.Grant == "" || !s.Tree.Covers(a.Scope, c.Scope):
		case w.Grant != "" && (a.Grant != w.Grant || a.Flags.Union(c.Flags) != a.Flags):
		case a.Flags.Union(w.Flags) != a.Flags || len(without(w.Workflows, opens)) > 0:
		default:
			return &a
		}
	}
	return nil
}

// lasts reports whether what is held lasts as long as what is asked for.
func lasts(a access.Assignment, w Wish, now time.Time) bool {
	return a.Until.IsZero() || !w.Until.IsZero() && !a.Until.Before(w.Until) && a.ValidAt(now)
}

// weigh says how it is decided.
func (o *Offer) weigh(s Setting, h Holder, w Wish) {
	at := o.Asked.Scope
	if at == "" {
		at = w.Area
	}
	scope, _ := s.Tree.Scope(at)
	o.Outside = !s.Tree.Covers(h.Root, at)
	o.Several = several(s, h, at)
	o.Class = ClassOf(s.Policy, o.Asked.Grant, scope.Level, o.Outside)
	o.Need = max(1, o.Class.Need)
	if o.Several {
		o.Need = max(2, o.Need)
	}
	o.DecideBy = s.Now.Add(cmp.Or(s.Policy.Within, decideWithin))
}

// decideWithin is how long a request stays open where the policy does not say.
const decideWithin = 7 * 24 * time.Hour

func without(ws, gone []access.Workflow) []access.Workflow {
	return slices.DeleteFunc(slices.Clone(ws), func(w access.Workflow) bool { return slices.Contains(gone, w) })
}

func words(ws []access.Workflow) string {
	var all []string
	for _, w := range ws {
		all = append(all, PlainWord(w))
	}
	return strings.Join(all, ", ")
}

func untilWords(t time.Time) string {
	if t.IsZero() {
		return ", without an end"
	}
	return ", until " + t.UTC().Format(time.RFC3339)
}

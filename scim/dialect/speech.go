package dialect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Speech is what a connection's requests of some time were like, in counts. The zero
// Speech is silence.
type Speech struct {
	Requests   int64
	Lenient    int64            // of these, how many relied on a leniency
	Leniencies map[string]int64 // by its kind, how many requests relied on it
	Signs      map[string]int64
}

// Hear counts one request, unless it is a checker's: that is no identity provider.
func (s *Speech) Hear(signs, notes []string) {
	if slices.Contains(signs, SignChecker) {
		return
	}
	s.Requests++
	kinds := Reliances(notes)
	if len(kinds) > 0 {
		s.Lenient++
	}
	for _, kind := range kinds {
		count(&s.Leniencies, kind, 1)
	}
	for _, sign := range signs {
		count(&s.Signs, sign, 1)
	}
}

// Add counts what another has counted.
func (s *Speech) Add(t Speech) {
	s.Requests += t.Requests
	s.Lenient += t.Lenient
	for kind, n := range t.Leniencies {
		count(&s.Leniencies, kind, n)
	}
	for sign, n := range t.Signs {
		count(&s.Signs, sign, n)
	}
}

func count(of *map[string]int64, word string, n int64) {
	if *of == nil {
		*of = map[string]int64{}
	}
	(*of)[word] += n
}

// Verdict is whom a speech sounds like.
type Verdict struct {
	Names   []string // of the dialects it may be, the likeliest first; none: it gives nothing away
	Variant string   // how that identity provider has been set up, where that shows
	Sure    bool     // nobody else speaks like that
}

// The variants.
const (
	VariantFlag      = "with the flag aadOptscim062020"
	VariantNoFlag    = "without the flag aadOptscim062020"
	VariantBothFlags = "with and without the flag aadOptscim062020"
	VariantOktaPut   = "with an app that sends whole resources (PUT)"
	VariantOktaPatch = "with an app that sends changes (PATCH)"
)

// Detect says whom a speech sounds like. It is for showing to an administrator:
// nothing is decided by it.
func (s Speech) Detect() Verdict {
	var sure []Verdict
	if s.Signs[SignOktaAgent] > 0 {
		sure = append(sure, Verdict{Names: []string{NameOkta}, Variant: s.okta(), Sure: true})
	}
	if s.Signs[SignAuthentikAgent] > 0 {
		sure = append(sure, Verdict{Names: []string{NameAuthentik}, Sure: true})
	}
	if s.Signs[SignEntraFlag] > 0 || s.Signs[SignEntraGroup] > 0 {
		sure = append(sure, Verdict{Names: []string{NameEntra}, Variant: s.entra(), Sure: true})
	}
	switch {
	case len(sure) == 1:
		return sure[0]
	case len(sure) > 1:
		return several(sure)
	case s.Signs[SignEntraPatch] > 0:
		return Verdict{Names: []string{NameEntra}, Variant: VariantNoFlag, Sure: true}
	case s.Signs[SignTextBoolean] > 0:
		return Verdict{Names: []string{NameEntra}, Variant: VariantNoFlag}
	case s.Signs[SignUpperCase] > 0:
		return Verdict{Names: []string{NameEntra, NameJumpCloud}}
	case s.Signs[SignSCIM1] > 0:
		return Verdict{Names: []string{NameOneLogin}}
	}
	return Verdict{}
}

func several(all []Verdict) Verdict {
	var v Verdict
	for _, one := range all {
		v.Names = append(v.Names, one.Names...)
	}
	v.Sure = true
	return v
}

// okta tells an app of its catalogue, which patches at least active, from one made
// with its wizard, which puts everything, groups too.
func (s Speech) okta() string {
	switch {
	case s.Signs[SignPatchUser] > 0:
		return VariantOktaPatch
	case s.Signs[SignPutGroup] > 0:
		return VariantOktaPut
	}
	return ""
}

func (s Speech) entra() string {
	flagged, plain := s.Signs[SignEntraFlag] > 0, s.Signs[SignUpperCase] > 0
	switch {
	case flagged && plain:
		return VariantBothFlags // on-demand provisioning does not honour the flag
	case flagged:
		return VariantFlag
	}
	return VariantNoFlag
}

// Several says that more than one identity provider uses the connection.
func (v Verdict) Several() bool { return v.Sure && len(v.Names) > 1 }

// Contradicts says that a connection set up for this dialect hears another one.
func (v Verdict) Contradicts(configured string) bool {
	return v.Sure && configured != NameOther && configured != "" && !slices.Contains(v.Names, configured)
}

// String is who it is, for people.
func (v Verdict) String() string {
	var titles []string
	for _, name := range v.Names {
		d, _ := Named(name)
		titles = append(titles, d.Title)
	}
	who := strings.Join(titles, " or ")
	switch {
	case v.Several():
		return strings.Join(titles, " and ")
	case who == "":
		return "no dialect that gives itself away"
	case v.Variant != "":
		who += " " + v.Variant
	}
	if !v.Sure && len(v.Names) == 1 {
		return "what sounds like " + who
	}
	return who
}

// Beyond are the kinds of leniency that were used and that d is not known to need,
// the most used first.
func (s Speech) Beyond(d Dialect) []string {
	return slices.DeleteFunc(s.used(), func(kind string) bool { return slices.Contains(d.Needs, kind) })
}

// used are the kinds of leniency that were used, the most used first.
func (s Speech) used() []string {
	return slices.SortedFunc(maps.Keys(s.Leniencies), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Leniencies[b], s.Leniencies[a]), cmp.Compare(a, b))
	})
}

// Reliance tells how many requests relied on leniencies, and on which.
func (s Speech) Reliance() string {
	switch {
	case s.Requests == 0:
		return "no requests"
	case s.Lenient == 0:
		return fmt.Sprintf("none of %d requests relied on a leniency", s.Requests)
	}
	var kinds []string
	for _, kind := range s.used() {
		kinds = append(kinds, fmt.Sprintf("%s (%d)", Called(kind), s.Leniencies[kind]))
	}
	return fmt.Sprintf("%d of %d requests relied on a leniency: %s", s.Lenient, s.Requests, strings.Join(kinds, ", "))
}

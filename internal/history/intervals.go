package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Violation is something that was accepted, or made, after what it stands on had ended.
type Violation struct {
	Credential Credential
	End        End
	Use        Use // zero: it was made although nothing was left to make it for
}

func (v Violation) String() string {
	if v.Use.Credential == "" {
		return fmt.Sprintf("%s was made from %s, after %s at %s (%s, acknowledged)", v.Credential.ID, v.Credential.Made, v.End.What, v.End.Node, v.End.At)
	}
	return fmt.Sprintf("%s, made from %s, was accepted by %s at %s from %s, after %s at %s (%s, acknowledged)",
		v.Credential.ID, v.Credential.Made, v.Use.Node, v.Use.Door, v.Use.At, v.End.What, v.End.Node, v.End.At)
}

// Outlived finds what was accepted by any node, in a request that began after an end of
// what it stands on had been acknowledged: I-1 where the key is a person, I-2 where it is
// something that the person held. After sorting it is one pass.
//
// A credential that was answered before the end was asked for has ended for ever, whatever
// is given back later. One that was made while the end was under way has ended, too, unless
// a Begin may have come between: what nobody can tell is not reported.
func Outlived(r Record) []Violation {
	lives := livesOf(r)
	made := make(map[string]Credential, len(r.Credentials))
	dead := make(map[string]End, len(r.Credentials))
	var found []Violation
	for _, c := range r.Credentials {
		made[c.ID] = c
		for _, key := range c.Keys {
			if end, ok := lives[key].endOf(c.Made); ok {
				if before, known := dead[c.ID]; !known || end.At.To < before.At.To {
					dead[c.ID] = end
				}
			}
			if end, ok := lives[key].none(c.Made); ok {
				found = append(found, Violation{Credential: c, End: end})
			}
		}
	}
	for _, u := range r.Uses {
		if end, ok := dead[u.Credential]; ok && u.Accepted && u.At.From > end.At.To {
			found = append(found, Violation{made[u.Credential], end, u})
		}
	}
	return found
}

// life is what became of one key: acknowledged ends, in the order in which they were asked
// for, what may have given it back, and for each end the earliest instant at which that
// may have been.
type life struct {
	ends   []End
	begins []Begin
	until  []time.Duration // by end: nothing gave the key back before
	first  []End           // by end: of this and all later ones, the one acknowledged first
}

func livesOf(r Record) map[string]*life {
	lives := map[string]*life{}
	of := func(key string) *life {
		l := lives[key]
		if l == nil {
			l = &life{}
			lives[key] = l
		}
		return l
	}
	for _, e := range r.Ends {
		if e.Acked {
			l := of(e.Key)
			l.ends = append(l.ends, e)
		}
	}
	for _, b := range r.Begins {
		l := of(b.Key)
		l.begins = append(l.begins, b)
	}
	for _, l := range lives {
		l.settle()
	}
	return lives
}

// settle sorts, and reckons from the last end to the first.
func (l *life) settle() {
	slices.SortFunc(l.ends, func(a, b End) int { return cmp.Compare(a.At.From, b.At.From) })
	slices.SortFunc(l.begins, func(a, b Begin) int { return cmp.Compare(a.At.To, b.At.To) })
	l.until, l.first = make([]time.Duration, len(l.ends)), make([]End, len(l.ends))
	until, at := Open, len(l.begins)
	for i, e := range slices.Backward(l.ends) {
		for ; at > 0 && l.begins[at-1].At.To > e.At.From; at-- {
			until = min(until, l.begins[at-1].At.From)
		}
		l.until[i] = max(until, e.At.From)
		l.first[i] = e
		if i+1 < len(l.ends) && l.first[i+1].At.To < e.At.To {
			l.first[i] = l.first[i+1]
		}
	}
}

// endOf is the end that what was made in that span did not outlive, the one that was
// acknowledged first.
func (l *life) endOf(made Span) (first End, ok bool) {
	if l == nil {
		return End{}, false
	}
	at, _ := slices.BinarySearchFunc(l.ends, made.To, func(e End, to time.Duration) int { return cmp.Compare(e.At.From, to) })
	if at < len(l.ends) {
		first, ok = l.first[at], true
	}
	for at--; at >= 0 && l.until[at] >= made.To; at-- { // asked for before it was made, and not given back
		if !ok || l.ends[at].At.To < first.At.To {
			first, ok = l.ends[at], true
		}
	}
	return first, ok
}

// none is an end after which nothing could be made in that span: it was over, and
// nothing had been given back.
func (l *life) none(made Span) (End, bool) {
	if l == nil {
		return End{}, false
	}
	at, _ := slices.BinarySearchFunc(l.ends, made.From, func(e End, from time.Duration) int { return cmp.Compare(e.At.From, from) })
	for at--; at >= 0 && l.until[at] >= made.To; at-- {
		if l.ends[at].At.To < made.From {
			return l.ends[at], true
		}
	}
	return End{}, false
}

// Unasked finds refusals that nothing explains: of a credential none of whose keys anybody
// had begun to end when the answer came, acknowledged or not.
func Unasked(r Record) []Use {
	begun := map[string]time.Duration{}
	for _, e := range r.Ends {
		if first, known := begun[e.Key]; !known || e.At.From < first {
			begun[e.Key] = e.At.From
		}
	}
	excused := map[string]time.Duration{}
	for _, c := range r.Credentials {
		excused[c.ID] = Open
		for _, key := range c.Keys {
			if first, known := begun[key]; known {
				excused[c.ID] = min(excused[c.ID], first)
			}
		}
	}
	var found []Use
	for _, u := range r.Uses {
		if from, known := excused[u.Credential]; known && !u.Accepted && from > u.At.To {
			found = append(found, u)
		}
	}
	return found
}

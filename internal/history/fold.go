package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
)

// Standing is what one person is and holds, as ids and short texts that can be compared.
type Standing struct {
	Active bool
	Groups map[string]bool
	Holds  map[string]string // by the assignment's id: grant @ scope
}

// State is everybody who is there, by id.
type State map[access.PersonID]Standing

// Fold adds the events of an audit trail up, in their order: what they say is what must be
// held now (I-10). It is written from the meaning of the events, and not from the product's
// own replay of the past.
func Fold(trail []event.Event) State {
	all := State{}
	for _, e := range trail {
		if e.Person == "" {
			continue
		}
		p, known := all[e.Person]
		switch e.Type {
		case event.PersonProvisioned:
			all[e.Person] = Standing{Active: e.Data["active"] != "false", Groups: map[string]bool{}, Holds: map[string]string{}}
			continue
		case event.PersonDeleted:
			delete(all, e.Person)
			continue
		}
		if known {
			p.take(e)
			all[e.Person] = p
		}
	}
	return all
}

func (p *Standing) take(e event.Event) {
	switch e.Type {
	case event.PersonDeactivated:
		p.Active = false
	case event.PersonReactivated:
		p.Active = true
	case event.MemberAdded:
		p.Groups[e.Data["group"]] = true
	case event.MemberRemoved:
		delete(p.Groups, e.Data["group"])
	case event.AssignmentGiven, event.AssignmentChanged:
		p.Holds[e.Data["assignment"]] = e.Data["grant"] + " @ " + e.Data["scope"]
	case event.AssignmentDropped:
		delete(p.Holds, e.Data["assignment"])
	}
}

// Differences says where two states differ, each line with the two names, in order.
func Differences(one, other State, named, otherNamed string) []string {
	var out []string
	say := func(who access.PersonID, what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %s: %s says %q, %s says %q", who, what, named, a, otherNamed, b))
		}
	}
	everybody := maps.Clone(one)
	maps.Copy(everybody, other)
	for _, who := range slices.Sorted(maps.Keys(everybody)) {
		a, here := one[who]
		b, there := other[who]
		say(who, "there", fmt.Sprint(here), fmt.Sprint(there))
		if here && there {
			say(who, "active", fmt.Sprint(a.Active), fmt.Sprint(b.Active))
			say(who, "groups", joined(maps.Keys(a.Groups)), joined(maps.Keys(b.Groups)))
			say(who, "holds", a.held(), b.held())
		}
	}
	return out
}

func joined(all func(yield func(string) bool)) string {
	return strings.Join(slices.Sorted(all), " ")
}

func (p Standing) held() string {
	var all []string
	for id, is := range p.Holds {
		all = append(all, id+" = "+is)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// Rule is one line of policy as simple as a second reading needs it: who is in the group
// holds the grant at the scope.
type Rule struct{ Group, Gives string }

// Recomputed is what somebody must hold (I-8): what the rules give for the groups they are
// in, named, each thing once; nothing, to who is not active.
func Recomputed(rules []Rule, active bool, groups []string) []string {
	var out []string
	for _, r := range rules {
		if active && slices.Contains(groups, r.Group) && !slices.Contains(out, r.Gives) {
			out = append(out, r.Gives)
		}
	}
	slices.Sort(out)
	return out
}

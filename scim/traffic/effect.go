// Package traffic says in words what a SCIM request asked for and what came of it,
// without saying whom it was about: personal values become their type and length,
// secrets nothing at all. It is pure.
package traffic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Effect is what a write did, counted. It names nobody: people are ids, and the
// only name is a group's.
type Effect struct {
	Users, Groups Counts
	Group         string // the display name of the group it was done to; "" for none or several
	Added         int    // members that came
	Removed       int    // members that went
	Unknown       int    // ids of members that name nobody here
	Access        []Access
	Sessions      Sessions
	Relinked      int      // people whose identifier, which their sign-in is pinned to, changed
	Later         bool     // people are left to the background work
	People        []string // ids of those it touched, at most MostPeople, each once
	More          int      // people beyond those
}

// MostPeople is how many people one request is remembered with.
const MostPeople = 100

// Counts are resources by what became of them.
type Counts struct{ Created, Changed, Renamed, Deactivated, Reactivated, Deleted, Unchanged int }

func (c Counts) plus(d Counts) Counts {
	return Counts{c.Created + d.Created, c.Changed + d.Changed, c.Renamed + d.Renamed, c.Deactivated + d.Deactivated,
		c.Reactivated + d.Reactivated, c.Deleted + d.Deleted, c.Unchanged + d.Unchanged}
}

func (c Counts) all() int {
	return c.Created + c.Changed + c.Renamed + c.Deactivated + c.Reactivated + c.Deleted + c.Unchanged
}

// Turn says which way access went.
type Turn uint8

// The turns, in the order in which they are told.
const (
	Gained Turn = iota + 1
	Altered
	Lost
)

// Access is one grant at one scope that people gained, lost, or hold in another way.
type Access struct {
	Turn   Turn
	What   string // "standard @ southern/banksia/geelong"
	People int
}

// Sessions are live sessions by what became of them.
type Sessions struct {
	Ended      int
	MustChoose int
	Changed    int // go on, but their tokens are dead
}

// Touch remembers a person by id, if there is room.
func (e *Effect) Touch(person string) {
	switch {
	case person == "" || slices.Contains(e.People, person):
	case len(e.People) == MostPeople:
		e.More++ // somebody beyond the room may be counted twice: they are not looked for
	default:
		e.People = append(e.People, person)
	}
}

// Turned counts somebody whose access turned.
func (e *Effect) Turned(t Turn, what string, people int) {
	for i := range e.Access {
		if e.Access[i].Turn == t && e.Access[i].What == what {
			e.Access[i].People += people
			return
		}
	}
	e.Access = append(e.Access, Access{t, what, people})
}

// Plus is what e and f did together, as the operations of one bulk.
func (e Effect) Plus(f Effect) Effect {
	sum := e
	sum.Access, sum.People = slices.Clone(e.Access), slices.Clone(e.People)
	if sum.Users, sum.Groups = e.Users.plus(f.Users), e.Groups.plus(f.Groups); sum.Groups.all() > 1 {
		sum.Group = ""
	} else {
		sum.Group = cmp.Or(e.Group, f.Group)
	}
	sum.Added, sum.Removed, sum.Unknown = e.Added+f.Added, e.Removed+f.Removed, e.Unknown+f.Unknown
	for _, a := range f.Access {
		sum.Turned(a.Turn, a.What, a.People)
	}
	sum.Sessions = Sessions{e.Sessions.Ended + f.Sessions.Ended, e.Sessions.MustChoose + f.Sessions.MustChoose, e.Sessions.Changed + f.Sessions.Changed}
	sum.Relinked, sum.Later, sum.More = e.Relinked+f.Relinked, e.Later || f.Later, e.More+f.More
	for _, p := range f.People {
		sum.Touch(p)
	}
	return sum
}

// Sentence tells e: what became of the resources, then of members, of access and of
// sessions. "" if e is of no write.
func (e Effect) Sentence() string {
	parts := e.resources()
	if said := e.members(); said != "" {
		parts = append(parts, said)
	}
	one := e.Users.all() == 1 && e.Groups.all() == 0 && len(e.People)+e.More <= 1
	parts = append(parts, e.access(one)...)
	parts = append(parts, e.Sessions.told()...)
	if e.Relinked > 0 {
		parts = append(parts, "the identifier that a sign-in was pinned to changed")
	}
	if e.Unknown > 0 {
		parts = append(parts, fmt.Sprintf("%s here", plural(e.Unknown, "member id names nobody", "member ids name nobody")))
	}
	if e.Later {
		parts = append(parts, "access is decided anew in the background, and refused until then")
	}
	return strings.Join(parts, "; ")
}

// resources is silent about a group whose members alone changed.
func (e Effect) resources() []string {
	var parts []string
	parts = append(parts, e.Users.told("user", "")...)
	groups := e.Groups
	if e.Added+e.Removed > 0 && groups.all() == 1 {
		groups.Changed, groups.Unchanged = 0, 0
	}
	return append(parts, groups.told("group", e.Group)...)
}

func (c Counts) told(noun, name string) []string {
	total := c.all()
	var parts []string
	for _, one := range []struct {
		n    int
		word string
	}{{c.Created, "created"}, {c.Changed, "changed"}, {c.Renamed, "renamed"}, {c.Deactivated, "deactivated"}, {c.Reactivated, "reactivated"}, {c.Deleted, "deleted"}, {c.Unchanged, "unchanged"}} {
		switch {
		case one.n == 0:
		case total == 1 && name != "":
			parts = append(parts, noun+" "+name+" "+one.word)
		case total == 1:
			parts = append(parts, noun+" "+one.word)
		default:
			parts = append(parts, plural(one.n, noun, noun+"s")+" "+one.word)
		}
	}
	return parts
}

func (e Effect) members() string {
	of := ""
	if e.Group != "" {
		of = " " + e.Group
	}
	var said []string
	if e.Added > 0 {
		said = append(said, "added "+plural(e.Added, "member", "members")+prefixed(" to", of))
	}
	if e.Removed > 0 {
		from := prefixed(" from", of)
		if e.Added > 0 {
			from = ""
		}
		said = append(said, "removed "+plural(e.Removed, "member", "members")+from)
	}
	return strings.Join(said, " and ")
}

func prefixed(word, name string) string {
	if name == "" {
		return ""
	}
	return word + name
}

// accessTold is how many grants one sentence spells out for each turn.
const accessTold = 3

func (e Effect) access(one bool) []string {
	all := slices.Clone(e.Access)
	slices.SortFunc(all, func(a, b Access) int {
		return cmp.Or(cmp.Compare(a.Turn, b.Turn), cmp.Compare(b.People, a.People), cmp.Compare(a.What, b.What))
	})
	var parts []string
	for _, turn := range []Turn{Gained, Altered, Lost} {
		of := slices.DeleteFunc(slices.Clone(all), func(a Access) bool { return a.Turn != turn })
		if len(of) == 0 {
			continue
		}
		var said []string
		for _, a := range of[:min(len(of), accessTold)] {
			said = append(said, a.told(one))
		}
		parts = append(parts, strings.Join(said, ", ")+more(len(of)-accessTold, "kind of access", "kinds of access"))
	}
	return parts
}

func (a Access) told(one bool) string {
	verbs := map[Turn][2]string{Gained: {"gains", "gain"}, Lost: {"loses", "lose"}, Altered: {"holds in another way", "hold in another way"}}[a.Turn]
	switch {
	case one:
		return verbs[0] + " " + a.What
	case a.People == 1:
		return "1 person " + verbs[0] + " " + a.What
	}
	return fmt.Sprintf("%d people %s %s", a.People, verbs[1], a.What)
}

func (s Sessions) told() []string {
	var parts []string
	if s.Ended > 0 {
		parts = append(parts, plural(s.Ended, "session", "sessions")+" ended")
	}
	if s.MustChoose > 0 {
		parts = append(parts, plural(s.MustChoose, "session", "sessions")+" must choose again")
	}
	if s.Changed > 0 {
		parts = append(parts, plural(s.Changed, "session", "sessions")+" need new tokens")
	}
	return parts
}

// more is "and 97 more", or nothing.
func more(n int, one, many string) string {
	if n <= 0 {
		return ""
	}
	return " and " + plural(n, "more "+one, "more "+many)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

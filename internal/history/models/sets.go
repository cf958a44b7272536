package models

import (
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Add, Remove and Read are the verbs of a group, the others those of a session.
const (
	Add      = "add"
	Remove   = "remove"
	Read     = "read"
	Switch   = "switch"
	Switched = "switched"
	Stand    = "stand"
)

// Members is the life of a group's member set (I-17). Read gives the members of now, as
// Set writes them. A refused change changed nothing.
func Members(first ...string) porcupine.NondeterministicModel {
	return model(Set(first), func(is string, asked Asked, got Step) []string {
		if asked.Verb == Read {
			if got.Outcome == Accepted && got.Got != is {
				return nil
			}
			return []string{is}
		}
		next := changed(is, asked)
		switch got.Outcome {
		case Accepted:
			return []string{next}
		case Refused:
			return []string{is}
		}
		return []string{is, next}
	})
}

// Set writes members so that equal sets are equal texts.
func Set(members []string) string {
	sorted := slices.Clone(members)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), " ")
}

func changed(is string, asked Asked) string {
	members := slices.DeleteFunc(strings.Fields(is), func(m string) bool { return m == asked.What })
	if asked.Verb == Add {
		members = append(members, asked.What)
	}
	return Set(members)
}

// standing is what a session stands on, and the switch that is under way, if one is.
type standing struct{ is, next string }

// ActiveGrant is the life of what a session stands on (I-6), each switch with a name of its
// own. Switch asks for one, and Switched is its answer: in between, or when no answer comes,
// nobody can tell whether what was made before is still accepted, at one node or another.
// Stand asks that: what was made by the last switch is accepted, and what was made before it
// never again.
func ActiveGrant(first string) porcupine.NondeterministicModel {
	return model(standing{is: first}, func(s standing, asked Asked, got Step) []standing {
		switch {
		case asked.Verb == Switch:
			return []standing{{s.is, asked.What}}
		case asked.Verb == Switched && got.Outcome == Accepted:
			return []standing{{is: asked.What}}
		case asked.Verb == Switched && got.Outcome == Refused:
			return []standing{{is: s.is}}
		case asked.Verb == Switched,
			got.Outcome == Accepted && asked.What != s.is && asked.What != s.next,
			got.Outcome == Refused && asked.What == s.is && s.next == "":
			return nil
		}
		return []standing{s}
	})
}

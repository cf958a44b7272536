package models

import (
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Add, Remove and Read are the verbs of a group, Switch and Stand those of a session.
const (
	Add    = "add"
	Remove = "remove"
	Read   = "read"
	Switch = "switch"
	Stand  = "stand"
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

// ActiveGrant is the life of what a session stands on (I-6), each switch with a name of its
// own: Stand asks whether what was made by that switch is still accepted, which it is until
// the next one, and never again.
func ActiveGrant(first string) porcupine.NondeterministicModel {
	return model(first, func(is string, asked Asked, got Step) []string {
		stands := is == asked.What
		switch {
		case asked.Verb == Stand && got.Outcome != Unknown && stands != (got.Outcome == Accepted):
			return nil
		case asked.Verb == Stand || got.Outcome == Refused:
			return []string{is}
		case got.Outcome == Accepted:
			return []string{asked.What}
		}
		return []string{is, asked.What}
	})
}

package event

import "strings"

// Kind is what kind of thing an event is found by.
type Kind int64

// A membership is found by its person and its group, an assignment by its person and
// its scope. Sign-ins and sessions are not found by anything.
const (
	KindPerson Kind = 1
	KindGroup  Kind = 2
	KindScope  Kind = 3
	KindPolicy Kind = 4 // the host's own, with an empty subject
	KindRename Kind = 5 // a group's, apart from all else that happened to it
)

// Subject is something that an event is found by.
type Subject struct {
	Kind Kind
	ID   string
}

// About is what an event of that type is found by, where it names that person, and
// that group and scope in its data.
func About(t Type, person, group, scope string) []Subject {
	family, _, _ := strings.Cut(string(t), ".")
	var found []Subject
	add := func(k Kind, id string) {
		if id != "" {
			found = append(found, Subject{k, id})
		}
	}
	switch family {
	case "person":
		add(KindPerson, person)
	case "group":
		add(KindPerson, person)
		add(KindGroup, group)
	case "assignment":
		add(KindPerson, person)
		add(KindScope, scope)
	}
	if t == GroupRenamed {
		add(KindRename, group)
	}
	if t == PolicyApplied {
		found = append(found, Subject{Kind: KindPolicy})
	}
	return found
}

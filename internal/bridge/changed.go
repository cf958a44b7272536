package bridge

import (
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The verbs that change a person, as events have them.
const (
	verbPatch = "patch"
	verbPut   = "put"
)

// wasEmail and isEmail are what an event says, apart, of a changed address.
const (
	wasEmail = "email_before"
	isEmail  = "email"
)

// namesInEvent is how many attributes an event names at most.
const namesInEvent = 64

// changedFrom is what the record says of a change: the names of the attributes that are
// other than they were, by which verb, and whether the address changed that the person
// was known by, which itself stands apart and can be erased.
func changedFrom(was, is store.Person, doc schema.Object, verb string) (event.Event, error) {
	before, err := stored(was.Doc)
	if err != nil {
		return event.Event{}, err
	}
	var names []string
	for name := range doc {
		if !schema.Equal(before[name], doc[name]) {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, still := doc[name]; !still {
			names = append(names, name)
		}
	}
	e := event.Event{Data: map[string]string{"attributes": attributeNames(names), "verb": verb, "version": strconv.FormatInt(is.Version, 10)}}
	if was.Email != is.Email && was.Email != "" {
		e.Data["identifier"] = "email"
		e.Personal = map[string]string{wasEmail: was.Email}
		if is.Email != "" {
			e.Personal[isEmail] = is.Email
		}
	}
	return e, nil
}

// attributeNames writes names of attributes down in their order.
func attributeNames(names []string) string {
	slices.Sort(names)
	return strings.Join(names[:min(len(names), namesInEvent)], ",")
}

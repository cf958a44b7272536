package bridge

import (
	"net/mail"
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

// What an event says, apart, of changed addresses: of the e-mail address, and of a userName
// that is an address before and after.
const (
	wasEmail    = "email_before"
	isEmail     = "email"
	wasUserName = "user_name_before"
	isUserName  = "user_name"
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
	if e.Personal = addressesChanged(was, is); len(e.Personal) > 0 {
		e.Data["identifier"] = "email"
	}
	return e, nil
}

// addressesChanged are the addresses that somebody was known by and is not any more; nil if
// that is none. Case alone changes no userName (RFC 7643 section 4.1.1).
func addressesChanged(was, is store.Person) map[string]string {
	said := map[string]string{}
	if was.Email != is.Email && was.Email != "" {
		said[wasEmail] = was.Email
		if is.Email != "" {
			said[isEmail] = is.Email
		}
	}
	if store.Fold(was.UserName) != store.Fold(is.UserName) && isAddress(was.UserName) && isAddress(is.UserName) {
		said[wasUserName], said[isUserName] = was.UserName, is.UserName
	}
	if len(said) == 0 {
		return nil
	}
	return said
}

// isAddress reports whether a name is an e-mail address and nothing else (RFC 5322 addr-spec).
func isAddress(name string) bool {
	a, err := mail.ParseAddress(name)
	return err == nil && a.Address == name
}

// attributeNames writes names of attributes down in their order.
func attributeNames(names []string) string {
	slices.Sort(names)
	return strings.Join(names[:min(len(names), namesInEvent)], ",")
}

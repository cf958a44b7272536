package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Public is text that a customer may read. There is no way to it from a string but through
// the functions of this file, each of which takes what is public: what a catalogue calls a
// grant, the name of a scope, what a connection says of its contact, what the vendor says of
// itself, and a sentence that somebody wrote for the customer. Internal names, ids, cases and
// reasons have no function, and the sentence is refused if it holds one, so they cannot get
// into a note.
type Public struct{ text string }

// String is the text.
func (p Public) String() string { return p.text }

// MarshalJSON writes the text.
func (p Public) MarshalJSON() ([]byte, error) { return json.Marshal(p.text) }

// GrantName is what customers call a grant, "" for none.
func GrantName(c access.Catalogue, g access.Grant) Public { return Public{c.PublicName(g)} }

// GrantDescription is what customers read about it.
func GrantDescription(c access.Catalogue, g access.Grant) Public {
	return Public{c.PublicDescription(g)}
}

// ScopeName is a scope's name: not its slug, path or id.
func ScopeName(s access.Scope) Public { return Public{s.Name} }

// Contact is whom a connection tells its people to ask.
func Contact(c access.Connection) Public { return Public{c.Contact} }

// Administrators is whoever administers a scope, where nobody is named.
func Administrators(s access.Scope) Public {
	return Public{"the administrators of " + s.Name}
}

// workflows in words that need no manual.
var workflows = map[access.Workflow]string{
	access.IVSDashboard:       "Installer dashboard",
	access.RecordingsDownload: "Download recordings",
	access.LiveView:           "Live view",
	access.Playback:           "Playback",
	access.Reports:            "Reports",
	access.EventsView:         "See events",
	access.MediaView:          "See video and stills",
	access.SettingsView:       "See settings",
	access.AddressesView:      "See address lists",
	access.EventsDownload:     "Download events",
	access.SettingsManage:     "Change settings",
	access.AddressesManage:    "Change address lists",
	access.UsersManage:        "Manage people",
}

// Workflow is what one may do, in plain words; "" for what is no workflow.
func Workflow(w access.Workflow) Public { return Public{workflows[w]} }

// Instant is a point in time as people of a place read it. place is that of the clock.
func Instant(t time.Time, place *time.Location) Public {
	t = t.In(place)
	clock := "15:04"
	if t.Second() != 0 || t.Nanosecond() != 0 {
		clock = "15:04:05"
	}
	return Public{fmt.Sprintf("%s (%s)", t.Format("Monday, 2 January 2006, "+clock), place)}
}

// Vendor is what the vendor says of itself in its configuration, for customers.
type Vendor struct{ Name, Support, Email, Hours string }

func (v Vendor) name() Public { return Public{v.Name} }

var errNoArea = errors.New("handover: the scopes of a note are the one that was given and those above it")

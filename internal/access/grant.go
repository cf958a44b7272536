package access

import (
	"fmt"
	"slices"
)

// Grant is one of the five kinds of thing a person may be given. They are a
// table, not a ladder: a technician is not "more" than a standard user.
type Grant string

// The five kinds. The zero Grant is none of them and opens nothing.
const (
	Associate     Grant = "associate"
	Technician    Grant = "technician"
	Standard      Grant = "standard"
	Elevated      Grant = "elevated"
	Administrator Grant = "administrator"
)

// Grants lists the five kinds in the order of the guide.
func Grants() []Grant {
	return []Grant{Associate, Technician, Standard, Elevated, Administrator}
}

// Known reports whether g is one of the five.
func (g Grant) Known() bool { return slices.Contains(Grants(), g) }

// MaySignIn reports whether a person may use g to sign in. An associate is a
// contact for fatigue calls and never signs in.
func (g Grant) MaySignIn() bool { return g.Known() && g != Associate }

// NeedsCertification reports whether g is given only to certified people.
func (g Grant) NeedsCertification() bool { return g == Technician }

// Floor is the flags that a grant brings by itself: elevated users and
// administrators see restricted events unless somebody narrows that for them.
func (g Grant) Floor() Flags {
	if g == Elevated || g == Administrator {
		return Flags{Events: EventsRestricted}
	}
	return Flags{}
}

// EventFlag is how sensitive the events are that an assignment may show.
type EventFlag string

// EventsNone is the zero flag: nothing is shown unless a rule says so.
const (
	EventsNone       EventFlag = ""
	EventsStandard   EventFlag = "standard"
	EventsRestricted EventFlag = "restricted"
)

// String is the flag's name on the wire; the zero flag is "none".
func (f EventFlag) String() string {
	if f == EventsNone {
		return "none"
	}
	return string(f)
}

// MarshalText writes the wire name.
func (f EventFlag) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads "none", "standard" or "restricted".
func (f *EventFlag) UnmarshalText(b []byte) error {
	switch s := string(b); s {
	case "none", "":
		*f = EventsNone
	case string(EventsStandard), string(EventsRestricted):
		*f = EventFlag(s)
	default:
		return fmt.Errorf("access: events is none, standard or restricted, not %q", s)
	}
	return nil
}

func (f EventFlag) rank() int {
	switch f {
	case EventsStandard:
		return 1
	case EventsRestricted:
		return 2
	}
	return 0
}

// Flags refine a grant: event sensitivity and in-cabin video.
type Flags struct {
	Events EventFlag `json:"events"`
	Video  bool      `json:"video"`
}

// Union is the wider of each flag; what two sources of one assignment give together.
func (f Flags) Union(o Flags) Flags {
	if o.Events.rank() > f.Events.rank() {
		f.Events = o.Events
	}
	f.Video = f.Video || o.Video
	return f
}

// Risk is how much harm an assignment could do; shown wherever one is shown.
type Risk uint8

// RiskLow is the zero risk.
const (
	RiskLow Risk = iota
	RiskMedium
	RiskHigh
)

func (r Risk) String() string { return [...]string{"low", "medium", "high"}[min(r, RiskHigh)] }

// MarshalText writes low, medium or high.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads low, medium or high.
func (r *Risk) UnmarshalText(b []byte) error {
	for known := RiskLow; known <= RiskHigh; known++ {
		if known.String() == string(b) {
			*r = known
			return nil
		}
	}
	return fmt.Errorf("access: a risk is low, medium or high, not %q", b)
}

// Workflow is something a vendor's application can do; OAuth scopes are named by it.
type Workflow string

// The workflows the guide names.
const (
	IVSDashboard       Workflow = "ivs_dashboard"
	RecordingsDownload Workflow = "recordings.download"
	LiveView           Workflow = "live_view"
	Playback           Workflow = "playback"
	Reports            Workflow = "reports"
	EventsView         Workflow = "events.view"
	MediaView          Workflow = "media.view"
	SettingsView       Workflow = "settings.view"
	AddressesView      Workflow = "addresses.view"
	EventsDownload     Workflow = "events.download"
	SettingsManage     Workflow = "settings.manage"
	AddressesManage    Workflow = "addresses.manage"
	UsersManage        Workflow = "users.manage"
)

// Workflows lists every workflow, in the order of the guide.
func Workflows() []Workflow {
	return []Workflow{IVSDashboard, RecordingsDownload, LiveView, Playback, Reports, EventsView, MediaView,
		SettingsView, AddressesView, EventsDownload, SettingsManage, AddressesManage, UsersManage}
}

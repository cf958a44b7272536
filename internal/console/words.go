package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Public is text that customers may read. Templates are given no other text (a
// test holds every view to it), so that an internal name cannot slip onto a page.
type Public string

// href is an address that a page links to or a form is sent to: a path of ours, or
// a redirect that the protocol made.
type href string

// opaque is an id or value that a form carries back unread.
type opaque string

func standingName(s access.Standing) Public {
	if s == access.Guest {
		return "Guest"
	}
	return "Your own"
}

func levelName(l access.Level) Public {
	switch l {
	case access.Host:
		return "Everything"
	case access.ServiceProvider:
		return "Service provider"
	case access.Account:
		return "Account"
	case access.Fleet:
		return "Fleet"
	}
	return ""
}

// sees says what the flags let a person see, and what they do not.
func sees(f access.Flags) []Public {
	events, video := Public("No event details"), Public("No in-cabin video")
	switch {
	case f.Events == access.EventsRestricted:
		events = "Standard and restricted events"
	case f.Events == access.EventsStandard:
		events = "Standard events"
	}
	if f.Video {
		video = "In-cabin video and stills"
	}
	return []Public{events, video}
}

// workflowName is what a workflow is to the person who does it.
func workflowName(w access.Workflow) Public {
	switch w {
	case access.IVSDashboard:
		return "Installer dashboard"
	case access.RecordingsDownload:
		return "Download recordings"
	case access.LiveView:
		return "Live view"
	case access.Playback:
		return "Playback"
	case access.Reports:
		return "Reports"
	case access.EventsView:
		return "See events"
	case access.MediaView:
		return "See video and stills"
	case access.SettingsView:
		return "See settings"
	case access.AddressesView:
		return "See address lists"
	case access.EventsDownload:
		return "Download events"
	case access.SettingsManage:
		return "Change settings"
	case access.AddressesManage:
		return "Change address lists"
	case access.UsersManage:
		return "Manage people"
	}
	return ""
}

func workflowNames(ws []access.Workflow) []Public {
	var names []Public
	for _, w := range ws {
		if n := workflowName(w); n != "" {
			names = append(names, n)
		}
	}
	return names
}

// card is one assignment as a page shows it.
type card struct {
	ID     opaque
	Grant  Public
	Level  Public
	Ring   Public   // which ring of the drawing is filled: host, service_provider, account or fleet
	Names  []Public // outermost first; the last is the scope itself
	Where  Public   // the last of Names
	Kind   Public
	Guest  bool
	Flags  []Public
	Opens  []Public
	Risk   Public
	Until  Public // "" if it has no end
	Ends   Public // "in 6 days"
	Active bool
	Again  bool // it demands another sign-in than the person has
}

// ownCard is a card of what somebody who is signed in may use, at once or after another
// sign-in.
func ownCard(b oidc.Browser, a oidc.ActiveGrant, now time.Time) card {
	k := newCard(b.Catalogue, a, standsOn(b, a.ID), now)
	k.Again = b.Guards(a.ID)
	return k
}

func newCard(of access.Catalogue, a oidc.ActiveGrant, active bool, now time.Time) card {
	opens := of.Opens(a.Grant, a.Flags, a.Standing)
	k := card{
		ID: opaque(a.ID), Grant: Public(of.PublicName(a.Grant)), Level: levelName(a.Scope.Level), Ring: Public(a.Scope.Level.String()),
		Kind: standingName(a.Standing), Guest: a.Standing == access.Guest,
		Flags: sees(a.Flags), Opens: workflowNames(opens),
		Risk: Public(of.RiskOf(a.Scope.Level, a.Grant, a.Flags).String()), Active: active,
	}
	for _, n := range a.Scope.Names {
		k.Names = append(k.Names, Public(n))
	}
	if len(k.Names) > 0 {
		k.Where = k.Names[len(k.Names)-1]
	}
	if a.Until != 0 {
		end := time.Unix(a.Until, 0)
		k.Until, k.Ends = instant(end), remaining(end.Sub(now))
	}
	return k
}

// instant writes a time so that nobody can take the day for the month.
func instant(t time.Time) Public { return Public(t.UTC().Format("2 January 2006, 15:04 UTC")) }

// remaining says how long something still lasts, rounded down.
func remaining(d time.Duration) Public {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "now"
	case d < time.Hour:
		return count(int(d/time.Minute)+1, "minute")
	case d < 2*day:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/day), "day")
}

func count(n int, unit string) Public {
	if n != 1 {
		unit += "s"
	}
	return Public(fmt.Sprintf("in %d %s", n, unit))
}

// fill puts names into a sentence: {customer}, {application}, {product}. What stands
// for a name that nobody knows begins a sentence with a capital.
func fill(sentence Public, n names) Public {
	const company, application, product = "your company", "the application", "this service"
	filled := strings.NewReplacer(
		"{customer}", string(cmp.Or(n.Customer, company)),
		"{application}", string(cmp.Or(n.Application, application)),
		"{product}", string(cmp.Or(n.Product, product)),
	).Replace(string(sentence))
	for _, unnamed := range []string{company, application, product} {
		if strings.HasPrefix(filled, unnamed) {
			return Public(strings.ToUpper(filled[:1]) + filled[1:])
		}
	}
	return Public(filled)
}

package access

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Catalogue is what each grant is called, what it opens and what it risks, where a
// deployment says otherwise than the guide. The zero Catalogue is the guide's table.
//
// Two things are no part of it, so that no deployment can change them: who may sign
// in, and who needs a certification.
type Catalogue struct {
	Grants map[Grant]Terms    `json:"grants,omitempty"`
	Scopes map[Level]Risk     `json:"scopes,omitempty"` // the risk of a scope by its level
	Events map[EventFlag]Risk `json:"events,omitempty"` // of what shows such events: standard or restricted
	Video  *Risk              `json:"video,omitempty"`
}

// Terms are what a catalogue says of one grant; what is left out is the guide's.
type Terms struct {
	PublicName        string      `json:"public_name,omitzero"`
	PublicDescription string      `json:"public_description,omitzero"`
	Workflows         *[]Workflow `json:"workflows,omitempty"` // an empty list opens nothing
	Risk              *Risk       `json:"risk,omitempty"`
	// ACR and MaxAge are the Demand of the grant.
	ACR    []string      `json:"acr,omitempty"`
	MaxAge time.Duration `json:"max_age,omitzero"`
}

// The longest texts that customers read about a grant, in characters.
const (
	MaxPublicName        = 60
	MaxPublicDescription = 300
)

var guide = map[Grant]struct {
	name, description string
	risk              Risk
	opens             []Workflow
}{
	Associate: {name: "Contact", description: "Is called about events and receives reports. Does not sign in."},
	Technician: {name: "Technician", description: "Works on vehicle systems and downloads recordings. Needs a certification in date.", risk: RiskMedium,
		opens: []Workflow{IVSDashboard, RecordingsDownload}},
	Standard: {name: "Standard user", description: "Watches live and recorded video, and reads reports.",
		opens: []Workflow{LiveView, Playback, Reports, EventsView, MediaView}},
	Elevated: {name: "Elevated user", description: "Does what a standard user does, reads settings and address lists, and downloads events.", risk: RiskHigh,
		opens: []Workflow{LiveView, Playback, Reports, EventsView, MediaView, SettingsView, AddressesView, EventsDownload}},
	Administrator: {name: "Administrator", description: "Does what an elevated user does, and changes settings, address lists and users.", risk: RiskHigh,
		opens: []Workflow{LiveView, Playback, Reports, EventsView, MediaView, SettingsView, AddressesView, EventsDownload, SettingsManage, AddressesManage, UsersManage}},
}

// IsZero reports whether nothing differs from the guide.
func (c Catalogue) IsZero() bool {
	return len(c.Grants) == 0 && len(c.Scopes) == 0 && len(c.Events) == 0 && c.Video == nil
}

// PublicName is what a customer reads instead of the grant's own name.
func (c Catalogue) PublicName(g Grant) string {
	if own := c.Grants[g].PublicName; own != "" && g.Known() {
		return own
	}
	return guide[g].name
}

// PublicDescription is what a customer reads about the grant.
func (c Catalogue) PublicDescription(g Grant) string {
	if own := c.Grants[g].PublicDescription; own != "" && g.Known() {
		return own
	}
	return guide[g].description
}

// Opens lists the workflows that g with these flags opens, in the order of the guide.
// Events need the events flag, and video and stills the video flag, whatever the
// table says. A guest never opens reports: they do not include the guest scope's
// data. What never signs in opens nothing.
func (c Catalogue) Opens(g Grant, f Flags, s Standing) []Workflow {
	if !g.MaySignIn() {
		return nil
	}
	open := guide[g].opens
	if own := c.Grants[g].Workflows; own != nil {
		open = *own
	}
	return slices.DeleteFunc(Workflows(), func(w Workflow) bool {
		switch {
		case !slices.Contains(open, w):
			return true
		case w == EventsView || w == EventsDownload:
			return f.Events == EventsNone
		case w == MediaView:
			return !f.Video
		case w == Reports:
			return s == Guest
		}
		return false
	})
}

// RiskOf is the highest of the scope's, the grant's and the flags' risk.
func (c Catalogue) RiskOf(l Level, g Grant, f Flags) Risk {
	grant, own := guide[g].risk, c.Grants[g].Risk
	if own != nil {
		grant = *own
	}
	r := max(grant, riskIn(c.Scopes, l, scopeRisk(l)))
	if f.Events != EventsNone {
		r = max(r, riskIn(c.Events, f.Events, eventsRisk(f.Events)))
	}
	switch {
	case f.Video && c.Video != nil:
		r = max(r, *c.Video)
	case f.Video:
		r = RiskHigh
	}
	return r
}

func riskIn[K comparable](own map[K]Risk, k K, usual Risk) Risk {
	if r, said := own[k]; said {
		return r
	}
	return usual
}

func scopeRisk(l Level) Risk {
	switch l {
	case Fleet:
		return RiskLow
	case Account:
		return RiskMedium
	}
	return RiskHigh // an unknown level is never called low
}

func eventsRisk(f EventFlag) Risk {
	if f == EventsStandard {
		return RiskMedium
	}
	return RiskHigh
}

// Check says all that is wrong with the catalogue, joined, in a fixed order.
func (c Catalogue) Check() error {
	var faults []error
	for _, g := range slices.Sorted(maps.Keys(c.Grants)) {
		if !g.Known() {
			faults = append(faults, fmt.Errorf("%q is not one of the five grants", g))
			continue
		}
		faults = append(faults, c.Grants[g].check(g)...)
	}
	for _, l := range slices.Sorted(maps.Keys(c.Scopes)) {
		if l < Host || l > Fleet {
			faults = append(faults, errors.New("a scope's risk names a level that there is not"))
		}
	}
	for _, e := range slices.Sorted(maps.Keys(c.Events)) {
		if e != EventsStandard && e != EventsRestricted {
			faults = append(faults, fmt.Errorf("the risk of events is that of standard or restricted ones, not of %q", e.String()))
		}
	}
	if a, b, shared := c.sharedName(); shared {
		faults = append(faults, fmt.Errorf("%s and %s are both called %q: customers could not tell them apart", a, b, c.PublicName(a)))
	}
	return errors.Join(faults...)
}

// sharedName finds two grants that customers could not tell apart.
func (c Catalogue) sharedName() (a, b Grant, shared bool) {
	all := Grants()
	for i, a := range all {
		for _, b := range all[i+1:] {
			if strings.EqualFold(c.PublicName(a), c.PublicName(b)) {
				return a, b, true
			}
		}
	}
	return "", "", false
}

func (t Terms) check(g Grant) (faults []error) {
	if err := CheckPublic(t.PublicName, MaxPublicName); err != nil {
		faults = append(faults, fmt.Errorf("%s: public_name %w", g, err))
	}
	if err := CheckPublic(t.PublicDescription, MaxPublicDescription); err != nil {
		faults = append(faults, fmt.Errorf("%s: public_description %w", g, err))
	}
	faults = append(faults, Demand{ACR: t.ACR, MaxAge: t.MaxAge}.check(g)...)
	if t.Workflows == nil {
		return faults
	}
	if !g.MaySignIn() && len(*t.Workflows) > 0 {
		faults = append(faults, fmt.Errorf("%s never signs in, and opens nothing", g))
	}
	for _, w := range *t.Workflows {
		if !slices.Contains(Workflows(), w) {
			faults = append(faults, fmt.Errorf("%s: %q is not a workflow", g, w))
		}
	}
	return faults
}

// CheckPublic holds a text for customers to its limit.
func CheckPublic(text string, most int) error {
	switch {
	case len([]rune(text)) > most:
		return fmt.Errorf("is longer than %d characters", most)
	case strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("holds a character that is not printed, or begins or ends with space")
	}
	return nil
}

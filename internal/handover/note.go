package handover

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Given is what a note is made of. Of most of it nothing reaches the note.
type Given struct {
	Permit    access.Permit
	Workflows []access.Workflow // that it opens
	Catalogue access.Catalogue
	Scopes    []access.Scope    // of the permit, and those above it, the innermost first
	Owner     access.Connection // the customer's who owns the area; zero: nobody is known
	Place     *time.Location    // whose clock counts there; nil: UTC
	Vendor    Vendor
	Internal  Internal
	Message   Public // for the customer
}

// Note says what was given in customers' words alone.
type Note struct {
	From        Public   `json:"from"`
	What        Public   `json:"what"`
	Description *Public  `json:"description,omitempty"` // left out: not all of what it promises was given
	Workflows   []Public `json:"workflows"`
	Area        []Public `json:"area"` // the customer, then the fleet, if it is one
	Begins      *Public  `json:"begins,omitempty"`
	Ends        *Public  `json:"ends,omitempty"`
	Temporary   bool     `json:"temporary"`
	Owner       Public   `json:"owner"`
	Support     []Public `json:"support"`
	Message     *Public  `json:"message,omitempty"`
}

// Of makes the note of a permit. The error says that what it is made of does not belong
// together.
func Of(g Given) (Note, error) {
	if len(g.Scopes) == 0 || g.Scopes[0].ID != g.Permit.Scope {
		return Note{}, errNoArea
	}
	place := g.Place
	if place == nil {
		place = time.UTC
	}
	n := Note{From: g.Vendor.name(), What: GrantName(g.Catalogue, g.Permit.Grant),
		Workflows: []Public{}, Area: area(g.Scopes), Temporary: !g.Permit.Until.IsZero(), Owner: Contact(g.Owner), Support: []Public{}}
	if g.whole() {
		described := GrantDescription(g.Catalogue, g.Permit.Grant)
		n.Description = &described
	}
	for _, w := range g.Workflows {
		if said := Workflow(w); said.text != "" {
			n.Workflows = append(n.Workflows, said)
		}
	}
	if g.Permit.NotBefore.After(g.Permit.Given) {
		begins := Instant(g.Permit.NotBefore, place)
		n.Begins = &begins
	}
	if n.Temporary {
		ends := Instant(g.Permit.Until, place)
		n.Ends = &ends
	}
	if n.Owner.text == "" {
		n.Owner = Administrators(customer(g.Scopes))
	}
	for _, s := range []string{g.Vendor.Support, g.Vendor.Email, g.Vendor.Hours} {
		if s != "" {
			n.Support = append(n.Support, Public{s})
		}
	}
	if g.Message.text != "" {
		n.Message = &g.Message
	}
	return n, nil
}

// whole reports whether all was given that the grant gives with these flags to whoever has
// nothing else, so that what customers read about the grant is true of it.
func (g Given) whole() bool {
	for _, w := range g.Catalogue.Opens(g.Permit.Grant, g.Permit.Flags.Union(g.Permit.Grant.Floor()), access.Primary) {
		if !slices.Contains(g.Workflows, w) {
			return false
		}
	}
	return true
}

// area is the customer and the fleet; above a customer it is the scope alone. What lies
// above is none of the reader's business.
func area(scopes []access.Scope) []Public {
	names := []Public{ScopeName(scopes[0])}
	if c := customer(scopes); c.ID != scopes[0].ID {
		names = append([]Public{ScopeName(c)}, names...)
	}
	return names
}

// customer is the account that a fleet is of, or the scope itself.
func customer(scopes []access.Scope) access.Scope {
	for _, s := range scopes[1:] {
		if s.Level == access.Account {
			return s
		}
	}
	return scopes[0]
}

// JSON writes the note as one object.
func (n Note) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(true)
	e.SetIndent("", "  ")
	return e.Encode(n)
}

//go:embed note.html
var page string

var html = template.Must(template.New("note").Parse(page))

// HTML writes the note as one page: no script, nothing from elsewhere, light and dark, and
// it prints.
func (n Note) HTML(w io.Writer) error { return html.Execute(w, n) }

// Text writes the note as plain text.
func (n Note) Text(w io.Writer) error {
	var b strings.Builder
	line := func(what string, said ...Public) {
		for i, p := range said {
			if i > 0 {
				what = ""
			}
			fmt.Fprintf(&b, "%-14s %s\n", what, p)
		}
	}
	fmt.Fprintf(&b, "Your access\n\n")
	line("What", n.What)
	if n.Description != nil {
		line("", *n.Description)
	}
	line("You can", n.Workflows...)
	line("Where", n.Area...)
	if n.Begins != nil {
		line("From", *n.Begins)
	}
	switch {
	case n.Ends != nil:
		line("Until", *n.Ends)
	default:
		line("Until", Public{"no end date"})
	}
	line("Changes", n.Owner)
	line("Support", n.Support...)
	if n.Message != nil {
		fmt.Fprintf(&b, "\n%s\n", *n.Message)
	}
	if n.From.text != "" {
		fmt.Fprintf(&b, "\n%s\n", n.From)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

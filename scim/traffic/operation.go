package traffic

import (
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Operation is one thing that a request asked for, as it was understood. It is kept
// in memory only: a filter in it holds what was searched for.
type Operation struct {
	Method string
	Type   *schema.ResourceType // nil: of no resource, or of several types
	ID     string               // "": of none in particular

	Said    []patch.Said // of a PATCH
	More    int          // said beyond those
	Members int          // that a POST or PUT names
	Active  string       // "true" or "false", where a POST or PUT says so
	Search  *Search      // of a GET without an id, and of a POST of a search

	Status  int    // of an operation of a bulk
	Where   string // what its refusal is about, as it was sent
	Refusal string // why an operation of a bulk was refused
}

// Search is what a list was asked for.
type Search struct {
	Filter     filter.Expr // nil: all
	Sort       string
	Start      int
	Count      int
	Walk, Next bool // by cursor; behind the first page
}

// Sentence tells o in the imperative, as it was meant: "set active to false; add 3
// members".
func (o Operation) Sentence() string {
	noun := "resource"
	if o.Type != nil {
		noun = strings.ToLower(o.Type.Name)
	}
	switch {
	case o.Search != nil:
		return o.Search.sentence(o.Type, noun)
	case o.Method == "POST" && o.Active == "false":
		return "create an inactive " + noun
	case o.Method == "POST":
		return "create a " + noun + o.with()
	case o.Method == "PUT" && o.Active != "":
		return "replace the " + noun + ", active " + o.Active
	case o.Method == "PUT":
		return "replace the " + noun + o.with()
	case o.Method == "PATCH":
		return o.patch(noun)
	case o.Method == "DELETE":
		return "delete the " + noun
	}
	return "read the " + noun
}

func (o Operation) with() string {
	if o.Members == 0 {
		return ""
	}
	return " with " + plural(o.Members, "member", "members")
}

// saidTold is how much of a PATCH one sentence spells out.
const saidTold = 6

func (o Operation) patch(noun string) string {
	if len(o.Said) == 0 {
		return "change nothing of the " + noun
	}
	var parts []string
	for _, s := range o.Said[:min(len(o.Said), saidTold)] {
		parts = append(parts, clause(o.Type, s))
	}
	return strings.Join(parts, "; ") + more(o.More+len(o.Said)-saidTold, "change", "changes")
}

func clause(rt *schema.ResourceType, s patch.Said) string {
	at := where(rt, s.Where)
	switch {
	case s.Where.Attr != nil && s.Where.Attr.Relation && s.Verb == "replace" && s.Members == 0:
		return "leave no members"
	case s.Where.Attr != nil && s.Where.Attr.Relation && s.Verb == "replace":
		return "make the members these " + fmt.Sprint(s.Members)
	case s.Where.Attr != nil && s.Where.Attr.Relation && s.Verb == "remove" && s.Members == 0:
		return "remove all members"
	case s.Where.Attr != nil && s.Where.Attr.Relation:
		return s.Verb + " " + plural(s.Members, "member", "members")
	case s.Truth != "":
		return "set " + at + " to " + s.Truth
	case s.Verb == "replace":
		return "set " + at
	}
	return s.Verb + " " + at
}

// where writes a path as it was resolved, with what it selects by hidden.
func where(rt *schema.ResourceType, p filter.Path) string {
	if p.Schema != nil {
		return p.Schema.ID
	}
	text := p.Attr.Path()
	if p.Filter != nil {
		text = filter.Print(&filter.ValuePath{Attr: p.Attr, Term: p.Filter}, func(c *filter.Compare) string { return literal(rt, c) })
	}
	if p.Sub != nil {
		text += "." + p.Sub.Name
	}
	return text
}

func (s Search) sentence(rt *schema.ResourceType, noun string) string {
	text := "list " + noun + "s"
	if s.Filter != nil {
		text = "find " + noun + "s where " + Filter(rt, s.Filter)
	}
	if s.Sort != "" {
		text += ", by " + s.Sort
	}
	switch {
	case s.Walk && s.Next:
		return text + ", the next page"
	case s.Walk:
		return text + ", page by page"
	case s.Start > 1:
		text += fmt.Sprintf(", from number %d", s.Start)
	}
	if s.Count == 0 {
		text += ", how many only"
	}
	return text
}

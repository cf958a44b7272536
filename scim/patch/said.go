package patch

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Said is one thing that a request asks for, as it was understood: for whoever tells
// people what came in. It holds no value but a boolean.
type Said struct {
	Verb    string // "add", "replace" or "remove"
	Where   filter.Path
	Truth   string // "true" or "false", where Where is a boolean; else ""
	Members int    // of a relation: how many the operation names
}

// mostSaid bounds what a request of a thousand operations is remembered with.
const mostSaid = 24

// Says is what the request asks for, in its order: the first 24 things, and how many
// there are beyond those. What was left out, with a note, is not among them.
func (p Plan) Says() (said []Said, more int) { return p.said, p.more }

func (c *compiler) say(t target) {
	if len(c.plan.said) == mostSaid {
		c.plan.more++
		return
	}
	c.plan.said = append(c.plan.said, Said{Verb: c.op.verb.String(), Where: t.Path, Truth: t.truth()})
}

// sayMembers completes what say said of a relation.
func (c *compiler) sayMembers(n int) {
	if c.plan.more == 0 {
		c.plan.said[len(c.plan.said)-1].Members = n
	}
}

// truth is the boolean that t sets.
func (t target) truth() string {
	at := t.Attr
	if t.Sub != nil {
		at = t.Sub
	}
	if at == nil || at.Type != schema.Boolean || !at.Searchable() {
		return ""
	}
	switch v := t.value.(type) {
	case bool:
		if v {
			return "true"
		}
		return "false"
	case string:
		if word := strings.ToLower(v); word == "true" || word == "false" {
			return word
		}
	}
	return ""
}

func (v verb) String() string {
	switch v {
	case add:
		return "add"
	case replace:
		return "replace"
	default:
		return "remove"
	}
}

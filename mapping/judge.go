package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Looked is one thing that a condition looked at.
type Looked struct {
	What  string `json:"what"`            // the name of an attribute, or what now was compared with
	Value string `json:"value,omitempty"` // as text
	None  bool   `json:"none,omitempty"`  // the person does not have it
}

// verdict is what a condition says of a person.
type verdict struct {
	holds   bool
	code    Code   // Matched, ConditionFalse, AttributeMissing or ConditionFailed
	missing string // the attribute that was asked for and is not there
	failed  string // what went wrong
	turn    time.Time
	sides   []Looked // what now was compared with
}

// judge says what a condition says of the person, once.
func (e *evaluation) judge(c *condition) *verdict {
	if v := e.verdicts[c]; v != nil {
		return v
	}
	if e.verdicts == nil {
		e.verdicts = map[*condition]*verdict{}
	}
	v := &verdict{}
	e.verdicts[c] = v
	asked := &vars{evaluation: e, condition: c, verdict: v}
	value, details, err := c.program.Eval(asked)
	for _, t := range c.turns {
		v.turned(t, details, e)
	}
	switch b, isBool := value.(types.Bool); {
	case err == nil && isBool:
		v.holds, v.code = bool(b), ConditionFalse
		if v.holds {
			v.code = Matched
		}
	case err == nil:
		v.code, v.failed = ConditionFailed, "it said neither true nor false"
	case v.missing != "" && strings.Contains(err.Error(), noSuchAttribute):
		v.code = AttributeMissing
	default:
		v.code, v.failed = ConditionFailed, err.Error()
	}
	if v.code == ConditionFailed {
		e.failed++
	}
	return v
}

// noSuchAttribute begins what CEL says about a variable that is not there.
const noSuchAttribute = "no such attribute"

// turned notes when a comparison with now changes. One that was not reached says nothing:
// it is not reached either as long as those before it stay as they are.
func (v *verdict) turned(t turn, details *cel.EvalDetails, e *evaluation) {
	value, reached := details.State().Value(t.side)
	if !reached {
		return
	}
	side, ok := value.(types.Timestamp)
	if !ok {
		return
	}
	at := side.Time.Truncate(time.Millisecond)
	if !t.at || at.Before(side.Time) {
		at = at.Add(time.Millisecond)
	}
	if at.After(e.now) {
		v.turn = earlier(v.turn, at)
	}
	if e.tell {
		v.sides = append(v.sides, Looked{What: t.text, Value: shown(side.Time)})
	}
}

// vars are what a condition may ask for.
type vars struct {
	*evaluation
	condition *condition
	verdict   *verdict
}

// Parent implements cel.Activation.
func (*vars) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (v *vars) ResolveName(name string) (any, bool) {
	if attribute, ok := strings.CutPrefix(name, attrPrefix); ok {
		value, has := v.facts.Attributes[attribute]
		if !has && v.verdict.missing == "" {
			v.verdict.missing = attribute
		}
		return value, has
	}
	if attribute, ok := strings.CutPrefix(name, hasPrefix); ok {
		_, has := v.facts.Attributes[attribute]
		return has, true
	}
	switch name {
	case nowName:
		return v.now, true
	case groupsName:
		return v.names(func(m Membership) string { return m.Name }, &v.groupNames), true
	case foldedName:
		return v.names(func(m Membership) string { return schema.Fold(m.Name) }, &v.foldedNames), true
	}
	for _, c := range v.condition.uses {
		if c.name == name {
			return v.other(c), true
		}
	}
	return nil, false
}

// other is what another condition says, or why it says nothing.
func (v *vars) other(c *condition) any {
	said := v.judge(c)
	v.verdict.turn = earlier(v.verdict.turn, said.turn)
	v.verdict.sides = append(v.verdict.sides, said.sides...)
	switch said.code {
	case AttributeMissing:
		if v.verdict.missing == "" {
			v.verdict.missing = said.missing
		}
		return types.NewErr("%s: %s%s", noSuchAttribute, attrPrefix, said.missing)
	case ConditionFailed:
		return types.NewErr("%s: %s", c.name, said.failed)
	}
	return said.holds
}

// names are those of the person's groups, in order.
func (e *evaluation) names(of func(Membership) string, known *[]string) []string {
	if *known == nil {
		names := make([]string, len(e.facts.Memberships))
		for i, m := range e.facts.Memberships {
			names[i] = of(m)
		}
		slices.Sort(names)
		*known = names
	}
	return *known
}

// looked tells what a condition looked at.
func (e *evaluation) looked(c *condition, v *verdict) []Looked {
	var all []Looked
	for _, a := range c.attributes() {
		value, has := e.facts.Attributes[a.Name]
		l := Looked{What: a.Name, None: !has}
		if has {
			l.Value = shown(value)
		}
		all = append(all, l)
	}
	for _, side := range v.sides {
		known := slices.ContainsFunc(all, func(l Looked) bool { return attrPrefix+l.What == side.What || l.What == side.What })
		if !known {
			all = append(all, side)
		}
	}
	return all
}

// shownText bounds how much of a value is shown, in letters.
const shownText = 200

// shown is a value as people read it.
func shown(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []any:
		texts := make([]string, len(v))
		for i, one := range v {
			texts[i] = shown(one)
		}
		return clip("[" + strings.Join(texts, ", ") + "]")
	}
	return clip(fmt.Sprint(v))
}

func clip(text string) string {
	letters := []rune(text)
	if len(letters) <= shownText {
		return text
	}
	return string(letters[:shownText]) + "…"
}

// because says why a condition does not hold.
func (e *evaluation) because(c *condition, v *verdict, looked []Looked) string {
	what := "matches, but when: " + clip(c.label())
	switch v.code {
	case AttributeMissing:
		return fmt.Sprintf("%s needs %s, which the person does not have", what, v.missing)
	case ConditionFailed:
		return fmt.Sprintf("%s cannot be told: %s", what, clip(v.failed))
	}
	var seen []string
	for _, l := range looked {
		if l.None {
			seen = append(seen, "no "+l.What)
		} else {
			seen = append(seen, l.What+" "+l.Value)
		}
	}
	if len(seen) == 0 {
		return what + " is false"
	}
	return what + " is false: " + strings.Join(seen, ", ")
}

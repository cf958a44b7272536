package mapping

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// Selection says of an assignment whether a review looks at it: compiled CEL. It is
// immutable, and safe for any number of readers.
type Selection struct{ program cel.Program }

// AssignmentFacts are all that a selection may look at.
type AssignmentFacts struct {
	Grant      access.Grant
	Level      access.Level // of its scope
	Standing   access.Standing
	Risk       access.Risk
	UnusedDays int64 // whole days since it was last used, or since it was given if it never was
	Permanent  bool  // it has no end
	ByPeople   bool  // people decided it, if only beside a rule
	Outside    bool  // it lies outside the root of the person's connection
}

const (
	selectIdent = "assignment"
	grantName   = selectIdent + ".grant"
	levelName   = selectIdent + ".level"
	standName   = selectIdent + ".standing"
	riskName    = selectIdent + ".risk"
	unusedName  = selectIdent + ".unused_days"
	permName    = selectIdent + ".permanent"
	peopleName  = selectIdent + ".by_people"
	outsideName = selectIdent + ".outside"
)

// selectable are the names that a selection knows, with their types.
var selectable = []variable{{grantName, cel.StringType}, {levelName, cel.StringType}, {standName, cel.StringType}, {riskName, cel.StringType},
	{unusedName, cel.IntType}, {permName, cel.BoolType}, {peopleName, cel.BoolType}, {outsideName, cel.BoolType}}

// variable is a name with its type.
type variable struct {
	name string
	kind *cel.Type
}

// wordsOf are all texts that a name may have; nil if it has none.
func wordsOf(name string) (words []string) {
	switch name {
	case grantName:
		for _, g := range access.Grants() {
			words = append(words, string(g))
		}
	case levelName:
		for _, l := range []access.Level{access.Host, access.ServiceProvider, access.Account, access.Fleet} {
			words = append(words, l.String())
		}
	case standName:
		words = []string{string(access.Primary), string(access.Guest)}
	case riskName:
		words = []string{access.RiskLow.String(), access.RiskMedium.String(), access.RiskHigh.String()}
	}
	return words
}

// Match says whether the selection picks an assignment. A selection that cannot be told
// (its regular expression costs more than it may) is fault.Limited: whoever looks at access
// then must not take it for no.
func (s *Selection) Match(f AssignmentFacts) (bool, error) {
	out, _, err := s.program.Eval(map[string]any{grantName: string(f.Grant), levelName: f.Level.String(), standName: string(f.Standing), riskName: f.Risk.String(),
		unusedName: f.UnusedDays, permName: f.Permanent, peopleName: f.ByPeople, outsideName: f.Outside})
	if err != nil {
		return false, fault.Wrap(fault.Limited, "mapping.Match", err)
	}
	return out.Value() == true, nil
}

// CompileSelection checks a selection and makes it ready for Match. The faults have their
// offset in the text and no position, which is the caller's to know.
func CompileSelection(text string) (*Selection, Faults) {
	r := &selecting{}
	r.compile(text)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return &Selection{r.program}, nil
}

// checkReviews says what is wrong with what reviews select.
func (src PolicySource) checkReviews() (faults Faults) {
	for _, r := range src.Reviews {
		_, wrong := CompileSelection(r.Select)
		for _, f := range wrong {
			f.Pos, f.Message = at(r.Written, "select"), fmt.Sprintf("review %q: %s", r.Name, f.Message)
			faults = append(faults, f)
		}
	}
	return faults
}

// selecting compiles one selection.
type selecting struct {
	text    string
	info    *ast.SourceInfo
	faults  Faults
	program cel.Program
}

func (r *selecting) say(at place, hint, format string, args ...any) {
	f := Fault{Message: fmt.Sprintf(format, args...), Suggestion: hint}
	if at.known() {
		f.Inside, f.Offset = true, at.offset(r.text)
	}
	r.faults = append(r.faults, f)
}

func (r *selecting) compile(text string) {
	r.text = text
	if strings.TrimSpace(text) == "" || len(text) > maxCondition {
		r.say(place{}, "", "a selection has 1 to %d bytes of CEL", maxCondition)
		return
	}
	env, err := selectionCEL()
	if err != nil {
		r.say(place{}, "", "CEL cannot be used: %v", err)
		return
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		tell(issues.Errors()[:1], text, r.say)
		return
	}
	r.info = parsed.NativeRep().SourceInfo()
	if r.read(parsed.NativeRep().Expr()); len(r.faults) > 0 {
		return
	}
	checked, issues := env.Check(parsed)
	switch {
	case issues.Err() != nil:
		tell(issues.Errors(), text, r.say)
	case checked.OutputType() != types.BoolType:
		r.say(place{}, "", "a selection says true or false, and this is a %s", checked.OutputType())
	default:
		if r.program, err = env.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize)); err != nil {
			r.say(place{}, "", "%v", err)
		}
	}
}

// selectionCEL is CEL without loops: what a selection costs is bounded by its length.
func selectionCEL() (*cel.Env, error) {
	options := []cel.EnvOption{cel.StdLib(), cel.ClearMacros(), cel.ParserExpressionSizeLimit(maxCondition), cel.ParserRecursionLimit(maxParse), cel.CrossTypeNumericComparisons(true)}
	for _, s := range selectable {
		options = append(options, cel.Variable(s.name, s.kind))
	}
	return cel.NewCustomEnv(options...)
}

// mayCall are the functions of a selection; what else CEL has makes no sense here.
var mayCall = []string{operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals,
	operators.Greater, operators.GreaterEquals, operators.In, operators.Conditional, operators.Negate, overloads.StartsWith, overloads.EndsWith, overloads.Contains, overloads.Matches}

func (r *selecting) read(e ast.Expr) {
	switch e.Kind() {
	case ast.LiteralKind:
	case ast.IdentKind:
		name := e.AsIdent()
		r.say(begin(r.info, e), nearestSelectable(name), "%s is unknown; a selection looks at %s", name, strings.Join(selectableNames(), ", "))
	case ast.SelectKind:
		r.sel(e)
	case ast.CallKind:
		r.call(e)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			r.read(item)
		}
	case ast.UnspecifiedExprKind, ast.ComprehensionKind, ast.MapKind, ast.StructKind:
		r.say(begin(r.info, e), "", "a selection has no maps, messages or loops")
	}
}

// nearestSelectable is what was probably meant by a name, without or with its prefix.
func nearestSelectable(name string) string {
	names := selectableNames()
	if full := selectIdent + "." + name; slices.Contains(names, full) {
		return full
	}
	if near := suggest.Closest(name, names); near != "" {
		return near
	}
	return suggest.Closest(selectIdent+"."+name, names)
}

func selectableNames() (names []string) {
	for _, s := range selectable {
		names = append(names, s.name)
	}
	return names
}

func (r *selecting) sel(e ast.Expr) {
	if name, ok := selected(e); !ok {
		r.read(e.AsSelect().Operand())
	} else if !slices.Contains(selectableNames(), name) {
		r.say(begin(r.info, e.AsSelect().Operand()), nearestSelectable(name), "%s is unknown; a selection looks at %s", name, strings.Join(selectableNames(), ", "))
	}
}

// selected is the name that an expression is, if it is one: assignment.grant.
func selected(e ast.Expr) (string, bool) {
	if e.Kind() != ast.SelectKind || e.AsSelect().Operand().Kind() != ast.IdentKind || e.AsSelect().Operand().AsIdent() != selectIdent {
		return "", false
	}
	return selectIdent + "." + e.AsSelect().FieldName(), true
}

func (r *selecting) call(e ast.Expr) {
	c := e.AsCall()
	name, args := c.FunctionName(), c.Args()
	if !slices.Contains(mayCall, name) {
		plain := strings.Trim(name, "_@[]")
		r.say(begin(r.info, e), "", "a selection has no %s; it compares, and combines by &&, || and !", plain)
		return
	}
	switch {
	case name == overloads.Matches && len(args) > 0:
		r.regex(args[len(args)-1])
	case (name == operators.Equals || name == operators.NotEquals) && len(args) == 2:
		r.word(args[0], args[1])
		r.word(args[1], args[0])
	case name == operators.In && len(args) == 2 && args[1].Kind() == ast.ListKind:
		for _, item := range args[1].AsList().Elements() {
			r.word(args[0], item)
		}
	}
	if c.IsMemberFunction() {
		r.read(c.Target())
	}
	for _, a := range args {
		r.read(a)
	}
}

// word refuses a text that a name never has: it would select nothing, and nobody would see.
func (r *selecting) word(of, is ast.Expr) {
	name, named := selected(of)
	written, isText := text(is)
	if words := wordsOf(name); named && isText && words != nil && !slices.Contains(words, written) {
		r.say(begin(r.info, is), suggest.Closest(written, words), "%s is never %q; it is one of %s", name, written, strings.Join(words, ", "))
	}
}

func (r *selecting) regex(e ast.Expr) {
	pattern, ok := text(e)
	if !ok {
		r.say(begin(r.info, e), "", "the regular expression of matches is written out, and not computed")
		return
	}
	if err := checkRegex(pattern); err != nil {
		r.say(begin(r.info, e), "", "%v", err)
	}
}

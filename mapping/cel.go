package mapping

import (
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"

	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// What conditions may name.
const (
	attrPrefix   = "attr."
	hasIdent     = "@has" // nobody can write it: has(attr.x) becomes it
	hasPrefix    = hasIdent + "."
	groupsName   = "user.groups"
	foldedName   = "user.folded_groups"
	nowName      = "now"
	foldFunction = "fold"
)

// The limits of evaluation: in CEL's own units, so that a decision is the same on every
// machine. A condition could be made to cost more than is estimated by texts and lists
// that are longer than usual; then it fails.
const (
	maxEstimate = 1_000_000
	maxCost     = 100_000
	usualList   = 500   // entries of a list attribute, groups of a person
	usualText   = 1_000 // letters of an attribute
	usualName   = 200   // letters of a group's name, or of an entry
	maxRegex    = 256   // bytes of a regular expression
	maxRegexOps = 1_000 // instructions of its program
	maxParse    = 50    // nested expressions
	maxLoops    = 4     // loops inside each other
)

// newCEL is CEL's standard library without what reads time zones, with fold, and with
// has for attributes.
func newCEL(vars []cel.EnvOption) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.StdLib(),
		cel.ClearMacros(),
		cel.Macros(parser.NewGlobalMacro("has", 1, expandHas), cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserRecursionLimit(maxParse),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.EnableMacroCallTracking(),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateComprehensionNestingLimit(maxLoops)),
		cel.Variable(groupsName, cel.ListType(cel.StringType)),
		cel.Variable(foldedName, cel.ListType(cel.StringType)),
		cel.Variable(nowName, cel.TimestampType),
		cel.Function(foldFunction, cel.Overload("fold_string", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				text, ok := v.(types.String)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				return types.String(schema.Fold(string(text)))
			}))),
	}
	return cel.NewCustomEnv(append(options, vars...)...)
}

// expandHas makes has(attr.x) a question of its own: whether the person has it.
func expandHas(f parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	if args[0].Kind() == ast.SelectKind {
		s := args[0].AsSelect()
		if s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent()+"." == attrPrefix {
			return f.NewSelect(f.NewIdent(hasIdent), s.FieldName()), nil
		}
	}
	return nil, f.NewError(args[0].ID(), "has asks for an attribute: has(attr.department)")
}

// estimator is how large things usually are.
type estimator struct{}

// EstimateSize implements cost.Estimator.
func (estimator) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	switch {
	case len(path) == 0:
		return nil
	case len(path) > 1:
		return &cost.SizeEstimate{Max: usualName}
	case n.Type().Kind() == types.ListKind:
		return &cost.SizeEstimate{Max: usualList}
	case n.Type().Kind() == types.StringKind:
		return &cost.SizeEstimate{Max: usualText}
	}
	return nil
}

// EstimateCallCost implements cost.Estimator: fold reads its text.
func (e estimator) EstimateCallCost(function, _ string, _ *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if function != foldFunction || len(args) != 1 {
		return nil
	}
	size := args[0].ComputedSize()
	if size == nil {
		size = e.EstimateSize(args[0])
	}
	if size == nil {
		size = &cost.SizeEstimate{Max: usualText}
	}
	return cost.NewCallEstimate(cost.RangedCostEstimate(size.Min+1, size.Max+1), size)
}

// CallCost implements cost.ActualCostEstimator.
func (estimator) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if function != foldFunction || len(args) != 1 {
		return nil
	}
	spent := cost.ActualSize(args[0]) + 1
	return &spent
}

// plan estimates what the condition costs and makes it ready to run.
func (m *maker) plan(c *condition, checked *cel.Ast) error {
	estimate, err := m.env.cel.EstimateCost(checked, estimator{})
	if err != nil {
		return fmt.Errorf("its cost cannot be estimated: %w", err)
	}
	c.cost = estimate.Max
	total := uint64(0)
	c.each(func(c *condition) { total = cost.SafeAdd(total, c.cost) })
	if total > maxEstimate {
		return fmt.Errorf("it could cost %s, and at most %d is allowed: loops over lists are counted with %d entries each", written(total), maxEstimate, usualList)
	}
	options := []cel.ProgramOption{cel.CostLimit(maxCost), cel.CostTracking(estimator{}), cel.EvalOptions(cel.OptOptimize)}
	if len(c.turns) > 0 {
		options = append(options, cel.EvalOptions(cel.OptOptimize, cel.OptTrackState))
	}
	c.program, err = m.env.cel.Program(checked, options...)
	return err
}

func written(cost uint64) string {
	if cost > 1<<62 {
		return "any amount"
	}
	return fmt.Sprint(cost)
}

// reader reads what a condition names, and refuses what it may not say.
type reader struct {
	*maker
	condition *condition
	info      *ast.SourceInfo
	say       func(at place, hint, format string, args ...any)
}

func (r *reader) refuse(e ast.Expr, format string, args ...any) {
	r.say(begin(r.info, e), "", format, args...)
}

// read walks an expression; locals are the names of loops around it.
func (r *reader) read(e ast.Expr, locals []string, loops int) {
	switch e.Kind() {
	case ast.IdentKind:
		r.ident(e, locals)
	case ast.SelectKind:
		r.sel(e, locals, loops)
	case ast.CallKind:
		r.call(e, locals, loops)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			r.read(item, locals, loops)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.read(entry.AsMapEntry().Key(), locals, loops)
			r.read(entry.AsMapEntry().Value(), locals, loops)
		}
	case ast.StructKind:
		r.refuse(e, "a condition makes no messages")
	case ast.ComprehensionKind:
		r.loop(e, locals, loops)
	}
}

func (r *reader) loop(e ast.Expr, locals []string, loops int) {
	l := e.AsComprehension()
	for _, name := range []string{l.IterVar(), l.IterVar2()} {
		if _, isCondition := r.named[name]; isCondition || slices.Contains([]string{"attr", "user", nowName}, name) {
			r.refuse(e, "%s means something else already; call what the loop looks at otherwise", name)
		}
	}
	r.read(l.IterRange(), locals, loops)
	r.read(l.AccuInit(), locals, loops)
	inside := append(slices.Clone(locals), l.IterVar(), l.IterVar2(), l.AccuVar())
	for _, part := range []ast.Expr{l.LoopCondition(), l.LoopStep(), l.Result()} {
		r.read(part, inside, loops+1)
	}
}

func (r *reader) ident(e ast.Expr, locals []string) {
	name := e.AsIdent()
	switch _, isCondition := r.named[name]; {
	case slices.Contains(locals, name):
	case name == nowName:
		r.refuse(e, "now may only be one side of <, <=, > or >=, so that the instant is known at which this changes: %s", nowForm)
	case isCondition:
		if used := r.byName(name); used != nil && !slices.Contains(r.condition.uses, used) {
			r.condition.uses = append(r.condition.uses, used)
		} else if used == nil && len(r.wrong)+len(r.absent) == 0 {
			r.refuse(e, "the condition %s is wrong", name)
		}
	case name+"." == attrPrefix, name == "user":
		r.refuse(e, "%s is followed by a dot and a name", name)
	case slices.Contains(typeNames, name):
	default:
		known := append(slices.Sorted(maps.Keys(r.named)), nowName, groupsName, foldedName)
		for a := range maps.Keys(r.env.has) {
			known = append(known, attrPrefix+a)
		}
		slices.Sort(known)
		hint := suggest.Closest(name, known)
		if _, isAttribute := r.paths[name]; isAttribute {
			hint = attrPrefix + name
		}
		r.say(begin(r.info, e), hint, "%s is unknown", name)
	}
}

const nowForm = `attr.expires - duration("720h") > now`

var typeNames = []string{"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}

func (r *reader) sel(e ast.Expr, locals []string, loops int) {
	s := e.AsSelect()
	if s.Operand().Kind() != ast.IdentKind || slices.Contains(locals, s.Operand().AsIdent()) {
		r.read(s.Operand(), locals, loops)
		return
	}
	switch of := s.Operand().AsIdent(); of {
	case "attr", hasIdent:
		r.attribute(e, s.FieldName())
	case "user":
		r.user(e, s.FieldName())
		r.condition.looks.all = true // who asks for a name only does not come here
	default:
		r.read(s.Operand(), locals, loops)
	}
}

func (r *reader) attribute(e ast.Expr, name string) {
	a, has := r.env.has[name]
	switch _, known := r.paths[name]; {
	case has:
		if !slices.ContainsFunc(r.condition.refs, func(b Attribute) bool { return b.Name == name }) {
			r.condition.refs = append(r.condition.refs, a)
		}
	case known:
		r.absent = append(r.absent, fmt.Errorf("%s needs attr.%s (%s)", r.condition.label(), name, r.paths[name].From))
	default:
		r.say(begin(r.info, e.AsSelect().Operand()), prefixed(attrPrefix, suggest.Closest(name, slices.Sorted(maps.Keys(r.paths)))), "attr.%s is unknown; attributes are named under attributes", name)
	}
}

func (r *reader) user(e ast.Expr, name string) bool {
	if full := "user." + name; full == groupsName || full == foldedName {
		return true
	}
	r.say(begin(r.info, e.AsSelect().Operand()), prefixed("user.", suggest.Closest(name, []string{"groups", "folded_groups"})), "user.%s is unknown; there are %s and %s", name, groupsName, foldedName)
	return false
}

func prefixed(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + name
}

// zoned read a time zone, if they are given one, from the machine.
var zoned = []string{overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDate, overloads.TimeGetDayOfMonth, overloads.TimeGetDayOfWeek,
	overloads.TimeGetDayOfYear, overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds}

func (r *reader) call(e ast.Expr, locals []string, loops int) {
	c := e.AsCall()
	args := c.Args()
	switch name := c.FunctionName(); {
	case name == operators.In && len(args) == 2 && r.groupByName(args[0], args[1], locals):
		r.read(args[0], locals, loops)
		return
	case slices.Contains([]string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals}, name) && len(args) == 2 && (isNow(args[0], locals) || isNow(args[1], locals)):
		r.compareNow(e, name, args, locals, loops)
		return
	case name == overloads.Matches && len(args) > 0:
		r.regex(args[len(args)-1])
	case slices.Contains(zoned, name) && c.IsMemberFunction() && len(args) > 0:
		r.refuse(e, "%s takes no time zone here: everything is in UTC, so that a decision is the same on every machine", name)
	}
	if c.IsMemberFunction() {
		r.read(c.Target(), locals, loops)
	}
	for _, a := range args {
		r.read(a, locals, loops)
	}
}

// groupByName notes "name" in user.groups, and fold("name") in user.folded_groups: then
// only that group can make a difference.
func (r *reader) groupByName(what, in ast.Expr, locals []string) bool {
	if in.Kind() != ast.SelectKind || in.AsSelect().Operand().Kind() != ast.IdentKind || in.AsSelect().Operand().AsIdent() != "user" || slices.Contains(locals, "user") {
		return false
	}
	if !r.user(in, in.AsSelect().FieldName()) {
		return true
	}
	if what.Kind() == ast.CallKind && what.AsCall().FunctionName() == foldFunction && len(what.AsCall().Args()) == 1 {
		what = what.AsCall().Args()[0]
	}
	name, ok := text(what)
	if ok {
		r.condition.looks.add(name)
	}
	return ok
}

// text is a literal's.
func text(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

func isNow(e ast.Expr, locals []string) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == nowName && !slices.Contains(locals, nowName)
}

func (r *reader) compareNow(e ast.Expr, name string, args []ast.Expr, locals []string, loops int) {
	side, left := args[1], isNow(args[0], locals)
	if !left {
		side = args[0]
	}
	if loops > 0 {
		r.refuse(e, "now is compared outside of loops only: %s", nowForm)
		return
	}
	r.read(side, locals, loops) // and refuses another now
	t := turn{side: side.ID()}
	t.text, _ = cel.ExprToString(side, r.info)
	// now < x and now >= x change at x; now <= x and now > x right after it.
	if left {
		t.at = name == operators.Less || name == operators.GreaterEquals
	} else {
		t.at = name == operators.Greater || name == operators.LessEquals
	}
	r.condition.turns = append(r.condition.turns, t)
}

func (r *reader) regex(e ast.Expr) {
	pattern, ok := text(e)
	if !ok {
		r.refuse(e, "the regular expression of matches is written out, and not computed")
		return
	}
	if err := checkRegex(pattern); err != nil {
		r.refuse(e, "%v", err)
	}
}

// checkRegex bounds a regular expression. RE2 reads a text once, whatever the
// expression, at a cost for each letter that grows with the size of its program.
func checkRegex(pattern string) error {
	if len(pattern) > maxRegex {
		return fmt.Errorf("the regular expression has more than %d bytes", maxRegex)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err
	}
	if len(program.Inst) > maxRegexOps {
		return errors.New("the regular expression is too large: its repetitions multiply")
	}
	return nil
}

package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The most that a policy may carry: tests run at every check, plan and apply.
const (
	maxTests      = 2_000
	maxTestGroups = 1_000
)

// noPrimary is what a test writes for a person without a place of their own.
const noPrimary = "none"

// TestResult is how one test of a policy came out.
type TestResult struct {
	Name     string        `json:"name"`
	Pos      Pos           `json:"pos,omitzero"`
	Passed   bool          `json:"passed"`
	Failures []TestFailure `json:"failures,omitempty"`
	Reasons  []Reason      `json:"reasons,omitempty"` // of a failed test: what the rules involved say
}

// TestFailure is one thing that a test wanted otherwise.
type TestFailure struct {
	Want string `json:"want"`
	Got  string `json:"got"`
}

// String is the failure on one line.
func (f TestFailure) String() string { return "want " + f.Want + ", got " + f.Got }

// RunTests decides for every test's made-up person, as at the test's own instant or
// else at now, and compares. The person is new: they hold what the rules give and
// nothing else.
func RunTests(p *Policy, tests []TestSource, now time.Time) []TestResult {
	results := make([]TestResult, len(tests))
	for i, t := range tests {
		results[i] = runTest(p, t, now)
	}
	return results
}

// FailedTests are the results of those that did not pass.
func FailedTests(results []TestResult) []TestResult {
	return slices.DeleteFunc(slices.Clone(results), func(r TestResult) bool { return r.Passed })
}

func runTest(p *Policy, t TestSource, now time.Time) TestResult {
	if !t.At.IsZero() {
		now = t.At
	}
	r := TestResult{Name: t.Name, Pos: t.Pos}
	facts, wrong := p.testFacts(t.As, now)
	for _, f := range slices.Concat(wrong, p.wrongInTest(t)) {
		r.Failures = append(r.Failures, TestFailure{Want: "a test that can be run", Got: f.Error()})
	}
	if len(r.Failures) > 0 {
		return r
	}
	d := Evaluate(p, facts, now)
	got := outcomeOf(p, d, now)
	r.Failures = got.compare(p, t)
	r.Passed = len(r.Failures) == 0
	if !r.Passed {
		r.Reasons = p.involved(d, t)
	}
	return r
}

// testFacts are what the rules may look at of somebody made up. What cannot be read
// of their attributes is told, and left out.
func (p *Policy) testFacts(as TestPerson, now time.Time) (Facts, []error) {
	f := Facts{Connection: as.From, Person: "made-up", Active: !as.Inactive, Certification: as.Certification}
	for i, g := range as.Groups {
		since := g.Since
		if since.IsZero() {
			since = now
		}
		f.Memberships = append(f.Memberships, Membership{Group: access.GroupID(fmt.Sprintf("made-up-%d", i+1)), Name: g.Group, ExternalID: g.GroupID, Since: since})
	}
	attributes, wrong := p.MadeUpAttributes(as.From, as.Attributes)
	f.Attributes = attributes
	return f, wrong
}

// testOutcome is what a made-up person holds at an instant.
type testOutcome struct {
	policy *Policy
	held   []access.Assignment // primary first
	signIn bool
}

// outcomeOf is what somebody who held nothing holds by the decision.
func outcomeOf(p *Policy, d Decision, now time.Time) testOutcome {
	held := slices.DeleteFunc(p.Diff(nil, d.Want, access.Decided{}, now).After(), func(a access.Assignment) bool { return !a.ValidAt(now) })
	may := func(a access.Assignment) bool { return a.MaySignIn(now) }
	return testOutcome{policy: p, held: held, signIn: slices.ContainsFunc(held, may)}
}

func (o testOutcome) primary() string {
	for _, a := range o.held {
		if a.Standing == access.Primary {
			return o.policy.Describe(a.Grant, a.Scope)
		}
	}
	return noPrimary
}

func (o testOutcome) guests() []string {
	guests := []string{}
	for _, a := range o.held {
		if a.Standing == access.Guest {
			guests = append(guests, o.policy.Describe(a.Grant, a.Scope))
		}
	}
	slices.Sort(guests)
	return guests
}

func (o testOutcome) compare(p *Policy, t TestSource) []TestFailure {
	var failures []TestFailure
	if f := o.comparePlaces(p, t); f != (TestFailure{}) {
		failures = append(failures, f)
	}
	for _, path := range t.Sees {
		if sight := Sight(p.tree, o.held, mustResolve(p, path)); sight != Seen {
			failures = append(failures, TestFailure{"sees " + path, sightWords[sight] + path})
		}
	}
	for _, path := range t.NeverSees {
		if sight := Sight(p.tree, o.held, mustResolve(p, path)); sight != Unseen {
			failures = append(failures, TestFailure{"never sees " + path, sightWords[sight] + path})
		}
	}
	if t.MaySignIn != nil && *t.MaySignIn != o.signIn {
		failures = append(failures, TestFailure{fmt.Sprintf("may sign in: %t", *t.MaySignIn), fmt.Sprintf("may sign in: %t", o.signIn)})
	}
	return failures
}

var sightWords = map[Seeing]string{Seen: "sees ", NameOnly: "sees the name only of ", Unseen: "does not see "}

// comparePlaces compares primary and guests, of which a test may name either or both.
func (o testOutcome) comparePlaces(p *Policy, t TestSource) TestFailure {
	var want, got []string
	differs := false
	if t.Primary != nil {
		wanted := p.canonical(*t.Primary)
		want, got = append(want, "primary "+wanted), append(got, "primary "+o.primary())
		differs = wanted != o.primary()
	}
	if t.Guests != nil {
		wanted := make([]string, len(*t.Guests))
		for i, g := range *t.Guests {
			wanted[i] = p.canonical(g)
		}
		slices.Sort(wanted)
		want, got = append(want, listed(wanted)), append(got, listed(o.guests()))
		differs = differs || !slices.Equal(slices.Compact(wanted), o.guests())
	}
	if !differs {
		return TestFailure{}
	}
	return TestFailure{strings.Join(want, " "), strings.Join(got, " ")}
}

func listed(guests []string) string { return "guests [" + strings.Join(guests, ", ") + "]" }

// canonical is "grant @ path" as Describe writes it, so that former slugs and spaces
// do not count.
func (p *Policy) canonical(text string) string {
	if at, err := p.place(text); err == nil && text != noPrimary {
		return p.Describe(at.Grant, at.Scope)
	}
	return text
}

// place reads "grant @ path" without captures.
func (p *Policy) place(text string) (Pair, error) {
	t, unknown, err := parseTarget(text)
	if err == nil {
		err = unknown
	}
	if err != nil {
		return Pair{}, err
	}
	if len(t.captures()) > 0 {
		return Pair{}, errors.New("a test names one scope, and captures none")
	}
	scopes, err := t.reach(p.tree)
	if err != nil {
		return Pair{}, err
	}
	return Pair{t.grant, scopes[0]}, nil
}

func mustResolve(p *Policy, path string) access.ScopeID {
	s, _ := p.tree.Resolve(path) // checked before
	return s.ID
}

// Seeing is how much of a scope somebody sees.
type Seeing uint8

// Unseen is the zero Seeing: the scope does not exist for the person.
const (
	Unseen   Seeing = iota
	NameOnly        // it lies above what they see
	Seen            // with all below it
)

// Sight says how much of a scope those assignments show: one that may sign in shows
// its own scope and all below, and of the scopes above the names. A contact sees nothing.
func Sight(tree *access.Tree, held []access.Assignment, s access.ScopeID) Seeing {
	sight := Unseen
	for _, a := range held {
		switch {
		case !a.Grant.MaySignIn():
		case tree.Covers(a.Scope, s):
			return Seen
		case tree.Covers(s, a.Scope):
			sight = NameOnly
		}
	}
	return sight
}

// involved are the reasons that tell why a test failed: of the rules that matched or
// nearly did, and of those that could give what was wanted.
func (p *Policy) involved(d Decision, t TestSource) []Reason {
	var wanted []Pair
	for _, text := range t.places() {
		if at, err := p.place(text); err == nil {
			wanted = append(wanted, at)
		}
	}
	rules := map[string]bool{}
	for _, r := range p.rulesOf(t.As.From) {
		rules[r.ID] = slices.ContainsFunc(wanted, func(at Pair) bool { return p.couldGive(r.RuleSource, at) })
	}
	return slices.DeleteFunc(slices.Clone(d.Reasons), func(r Reason) bool { return !r.Matched && !r.Near && !rules[r.Rule] })
}

func (p *Policy) couldGive(r RuleSource, at Pair) bool {
	for _, text := range append([]string{r.Give}, r.Guest...) {
		t, _, err := parseTarget(text)
		if err != nil || t.grant != at.Grant {
			continue
		}
		if scopes, err := t.reach(p.tree); err == nil && slices.Contains(scopes, at.Scope) {
			return true
		}
	}
	return false
}

// places lists every "grant @ path" that a test names.
func (t TestSource) places() []string {
	var all []string
	if t.Primary != nil && *t.Primary != noPrimary {
		all = append(all, *t.Primary)
	}
	if t.Guests != nil {
		all = append(all, *t.Guests...)
	}
	return all
}

// SeesField and NeverSeesField are the keys of FieldPos for one entry of each.
func SeesField(i int) string { return fmt.Sprintf("sees.%d", i) }

// NeverSeesField is SeesField for never_sees.
func NeverSeesField(i int) string { return fmt.Sprintf("never_sees.%d", i) }

// testFault is something wrong with a test, under the key where it stands.
type testFault struct {
	field string
	err   error
}

func (f testFault) Error() string {
	var h hinted
	if errors.As(f.err, &h) && h.suggestion != "" {
		return fmt.Sprintf("%s; did you mean %q?", h.message, h.suggestion)
	}
	return f.err.Error()
}

// checkTests finds what is wrong with the tests of a policy before any is run.
func (p *Policy) checkTests(tests []TestSource) Faults {
	if len(tests) > maxTests {
		return Faults{{Pos: tests[maxTests].Pos, Message: fmt.Sprintf("a policy carries at most %d tests, and this one has %d", maxTests, len(tests))}}
	}
	var faults Faults
	seen := map[string]bool{}
	for _, t := range tests {
		wrong := p.wrongInTest(t)
		switch {
		case strings.TrimSpace(t.Name) == "":
			wrong = append(wrong, testFault{"name", errors.New("a test needs a name")})
		case seen[t.Name]:
			wrong = append(wrong, testFault{"name", errors.New("another test has this name")})
		}
		seen[t.Name] = true
		_, unread := p.MadeUpAttributes(t.As.From, t.As.Attributes)
		for _, err := range slices.Concat(wrong, unread) {
			faults = append(faults, t.fault(err))
		}
	}
	return faults
}

// fault places an error at its key's value, or else at the nearest key above it.
func (t TestSource) fault(err error) Fault {
	f := Fault{Pos: t.Pos, Message: err.Error()}
	var at testFault
	if !errors.As(err, &at) {
		return f
	}
	f.Message, f.left = at.err.Error(), isLeft(at.err)
	if t.Name != "" {
		f.Message = fmt.Sprintf("test %q: %s", t.Name, f.Message)
	}
	for field := at.field; field != ""; {
		if pos, ok := t.FieldPos[field]; ok {
			f.Pos = pos
			break
		}
		field = field[:max(0, strings.LastIndexByte(field, '.'))]
	}
	var h hinted
	if errors.As(at.err, &h) {
		f.Suggestion = h.suggestion
	}
	return f
}

// wrongInTest checks what a test names: its connection, groups, scopes and grants.
func (p *Policy) wrongInTest(t TestSource) []error {
	var wrong []error
	say := func(field string, err error) { wrong = append(wrong, testFault{field, err}) }
	if _, known := p.connections[t.As.From]; !known {
		say("as.from", hinted{fmt.Sprintf("there is no connection %q", t.As.From), suggest.Closest(string(t.As.From), p.connectionIDs())})
	}
	if len(t.As.Groups) > maxTestGroups {
		say("as.groups", fmt.Errorf("a made-up person is in at most %d groups", maxTestGroups))
	}
	for i, g := range t.As.Groups {
		if g.Group == "" && g.GroupID == "" {
			say(fmt.Sprintf("as.groups.%d", i), errors.New("a group has a name, a group_id or both"))
		}
	}
	if t.Primary != nil && *t.Primary != noPrimary {
		if _, err := p.place(*t.Primary); err != nil {
			say("primary", err)
		}
	}
	if t.Guests != nil {
		for i, g := range *t.Guests {
			if _, err := p.place(g); err != nil {
				say(fmt.Sprintf("guests.%d", i), err)
			}
		}
	}
	for i, path := range t.Sees {
		p.checkPath(path, func(err error) { say(SeesField(i), err) })
	}
	for i, path := range t.NeverSees {
		p.checkPath(path, func(err error) { say(NeverSeesField(i), err) })
	}
	if t.Primary == nil && t.Guests == nil && len(t.Sees) == 0 && len(t.NeverSees) == 0 && t.MaySignIn == nil {
		say("", errors.New("the test asks for nothing; give it primary, guests, sees, never_sees or may_sign_in"))
	}
	return wrong
}

func (p *Policy) checkPath(path string, say func(error)) {
	s, there := p.tree.Find(path)
	switch {
	case there && p.tree.Live(s.ID):
		return
	case there:
		say(left{fmt.Errorf("%s was retired on %s", path, p.tree.RetiredSince(s.ID).UTC().Format(time.DateOnly))})
		return
	}
	var paths []string
	for _, s := range p.tree.All() {
		paths = append(paths, p.tree.Path(s.ID))
	}
	say(hinted{fmt.Sprintf("there is no scope %q", path), suggest.Closest(path, paths)})
}

// MadeUpAttributes are attributes by the policy's names as Facts carry them, read
// from what a test or a simulation writes. Each that cannot be is an error.
func (p *Policy) MadeUpAttributes(conn access.ConnectionID, written map[string]any) (map[string]any, []error) {
	var wrong []error
	read := map[string]any{}
	for _, name := range sortedKeys(written) {
		v, err := p.madeUpAttribute(conn, name, written[name])
		if err != nil {
			wrong = append(wrong, testFault{"as." + name, err})
			continue
		}
		if v != nil {
			read[name] = v
		}
	}
	return read, wrong
}

// TestOf is the test that somebody with these facts passes at that instant: their
// place, their guests and whether they may sign in, as the rules alone decide. It
// carries no name and no address of theirs.
func TestOf(p *Policy, f Facts, now time.Time) TestSource {
	got := outcomeOf(p, Evaluate(p, f, now), now)
	primary, guests, signIn := got.primary(), got.guests(), got.signIn
	t := TestSource{At: now, Primary: &primary, Guests: &guests, MaySignIn: &signIn,
		As: TestPerson{From: f.Connection, Inactive: !f.Active, Certification: f.Certification, Attributes: f.Attributes}}
	timed := slices.ContainsFunc(p.source.Rules, func(r RuleSource) bool { return r.From == f.Connection && r.For > 0 })
	asked := slices.ContainsFunc(p.source.Rules, func(r RuleSource) bool { return r.From == f.Connection && r.When != "" })
	for _, m := range f.Memberships {
		var since time.Time
		if timed && !m.Since.Equal(now) {
			since = m.Since
		}
		g := TestGroup{Since: since}
		if m.Name != "" && (asked || p.LooksAt(f.Connection, m.Name, "")) {
			g.Group = m.Name
		}
		if m.ExternalID != "" && !m.Shared && p.asksByID(f.Connection, m.ExternalID) {
			g.GroupID = m.ExternalID
		}
		if g.GroupRef != (GroupRef{}) {
			t.As.Groups = append(t.As.Groups, g)
		}
	}
	t.Name = t.called()
	return t
}

// called is a name for a test that has none.
func (t TestSource) called() string {
	const most = 3
	var groups []string
	for _, g := range t.As.Groups {
		groups = append(groups, cmp.Or(g.Group, "group_id "+g.GroupID))
	}
	who := "somebody in no group"
	if len(groups) > 0 {
		who = "somebody in " + strings.Join(groups[:min(most, len(groups))], ", ")
	}
	if len(groups) > most {
		who += fmt.Sprintf(" and %d more", len(groups)-most)
	}
	if t.As.Inactive {
		who += ", inactive"
	}
	return fmt.Sprintf("%s of %s holds %s", who, t.As.From, *t.Primary)
}

// madeUpAttribute is nil for an attribute that the connection's rules do not look at.
func (p *Policy) madeUpAttribute(conn access.ConnectionID, name string, written any) (any, error) {
	var names []string
	for _, a := range p.source.Attributes {
		names = append(names, a.Name)
	}
	if !slices.Contains(names, name) {
		return nil, hinted{fmt.Sprintf("the policy knows no attribute %q", name), suggest.Closest(name, names)}
	}
	for _, a := range p.Attributes(conn) {
		if a.Name == name {
			return a.MadeUp(written)
		}
	}
	return nil, nil
}

// MadeUp is a value that somebody wrote as the attribute's values are: text may stand
// for a value of any type, and one value for a list of it.
func (a Attribute) MadeUp(written any) (any, error) {
	items, several := written.([]any)
	if !several {
		items = []any{written}
	}
	if several && !a.List() {
		return nil, errors.New("the attribute has one value, and this is a list")
	}
	var values []any
	for _, item := range items {
		v := a.plain(a.leaf(), plainly(a.leaf().Type, item))
		if v == nil {
			return nil, fmt.Errorf("%v is no value of type %s, which the attribute has", item, a.leaf().Type)
		}
		values = append(values, v)
	}
	if a.List() {
		return list(values), nil
	}
	return values[0], nil
}

// plainly is what somebody wrote as a document of that type has it.
func plainly(t schema.Type, written any) any {
	if n, ok := written.(float64); ok && n == math.Trunc(n) && math.Abs(n) < 1<<53 { // from JSON
		written = int64(n)
	}
	if at, ok := written.(time.Time); ok {
		written = at.Format(time.RFC3339Nano)
	}
	text, isText := written.(string)
	if !isText {
		return written
	}
	switch t {
	case schema.Boolean:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case schema.Integer:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case schema.Decimal:
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case schema.String, schema.DateTime, schema.Binary, schema.Reference, schema.Complex:
	}
	return text
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

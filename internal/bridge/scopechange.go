package bridge

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// ReasonTreeInFile is the reason of a refusal to change a tree that stands in the
// configuration file.
const ReasonTreeInFile = "tree_in_file"

// ReasonPlanFirst is the reason of a refusal of a change of the tree that may take
// something from somebody, and has not been planned.
const ReasonPlanFirst = "plan_first"

// PlanItFirst ends the sentence of such a refusal.
const PlanItFirst = "plan it first"

// NewScope is a scope that is to be added.
type NewScope struct {
	ID       access.ScopeID // "" lets the bridge make one
	Under    string         // path or id of its parent
	Slug     string
	Name     string
	TimeZone string // of a fleet
	Location string
	By       TreeAuthor // who adds it; From is written here
}

// ScopeChanged is a scope as a change left it.
type ScopeChanged struct {
	Policy  int64     `json:"policy" doc:"version of the policy that is in force now"`
	Changed bool      `json:"changed" doc:"false: it was so already"`
	Scope   ScopeView `json:"scope"`
}

// treeEdit is one change of the tree: the scopes that there will be, and the one that
// it is about.
type treeEdit struct {
	scopes  []access.Scope
	subject access.ScopeID
	judged  access.ScopeID // where the right of whoever makes it is judged: of what is added, the parent
}

// treeTurn is a changed tree that is ready to be put in force in place of the one that
// it was made of.
type treeTurn struct {
	treeEdit
	was   *activePolicy
	next  *mapping.Policy
	diff  access.TreeDiff
	told  []event.Event
	hash  string
	batch *store.ScopeBatch // an import that is put in force with it; nil: none
	by    TreeAuthor
}

// AddScope adds a scope under a parent, which says its level. Somebody may gain by it:
// whose group named a scope that was not there yet.
func (b *Bridge) AddScope(ctx context.Context, s NewScope) (ScopeChanged, error) {
	const op = "bridge.AddScope"
	if s.ID == "" {
		s.ID = access.ScopeID(credential.NewID("scp"))
	}
	s.By.From = "scope add " + join(s.Under, s.Slug)
	return b.changeTree(ctx, s.By, func(tree *access.Tree) (treeEdit, error) {
		parent, err := find(tree, s.Under)
		if err != nil {
			return treeEdit{}, err
		}
		if err := knownZone(s.TimeZone); err != nil {
			return treeEdit{}, err
		}
		scopes, err := tree.Added(access.Scope{ID: s.ID, Slug: s.Slug, Name: s.Name, Parent: parent.ID, TimeZone: s.TimeZone, Location: s.Location})
		return treeEdit{scopes: scopes, subject: s.ID, judged: parent.ID}, invalid(op, err)
	})
}

// DescribeScope gives a scope another slug, name, time zone or location. Its id stays, and
// so does what everybody holds; the former slug still leads to it.
func (b *Bridge) DescribeScope(ctx context.Context, at string, d access.Description, by TreeAuthor) (ScopeChanged, error) {
	const op = "bridge.DescribeScope"
	by.From = "scope rename " + at
	return b.changeTree(ctx, by, func(tree *access.Tree) (treeEdit, error) {
		s, err := find(tree, at)
		if err != nil {
			return treeEdit{}, err
		}
		if d.TimeZone != nil {
			if err := knownZone(*d.TimeZone); err != nil {
				return treeEdit{}, err
			}
		}
		scopes, err := tree.Described(s.ID, d)
		return treeEdit{scopes: scopes, subject: s.ID, judged: s.ID}, invalid(op, err)
	})
}

func tellScope(t event.Type, id access.ScopeID, now time.Time, data map[string]string) []event.Event {
	all := map[string]string{"scope": string(id)}
	maps.Copy(all, data)
	return []event.Event{fact(t, event.ByAdministrator, "", "", now, all)}
}

// invalid names where an edit of the tree was refused.
func invalid(op string, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Invalid, op, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// knownZone refuses what is no time zone of the IANA database. "" is for the tree to judge.
func knownZone(name string) error {
	if name == "" {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fault.New(fault.Invalid, "bridge.knownZone", "%q is not a time zone such as Australia/Melbourne", name)
	}
	return nil
}

// changeTree makes a change that takes nothing from anybody. It is worked out beside the
// requests; if another policy has been put in force meanwhile, it is worked out again.
func (b *Bridge) changeTree(ctx context.Context, by TreeAuthor, edit func(*access.Tree) (treeEdit, error)) (ScopeChanged, error) {
	const tries = 5
	b.turning.Lock()
	defer b.turning.Unlock()
	for try := 1; ; try++ {
		t, now, err := b.turnOf(ctx, edit)
		if err != nil {
			return ScopeChanged{}, err
		}
		if t.diff.Empty() {
			return ScopeChanged{Policy: t.was.version, Scope: viewOf(t.was.Tree(), t.subject)}, nil
		}
		if text := t.taken(); text != "" {
			return ScopeChanged{}, fault.New(fault.Conflict, "bridge.changeTree", "groups that name a scope by %q would come to mean something else: "+PlanItFirst, text).Because(ReasonPlanFirst)
		}
		t.by = by
		version, err := b.putTree(ctx, t, now)
		if fault.Is(err, fault.Stale) && try < tries {
			continue
		}
		if err != nil {
			return ScopeChanged{}, err
		}
		return ScopeChanged{Policy: version, Changed: true, Scope: viewOf(t.next.Tree(), t.subject)}, nil
	}
}

// turnOf works a change of the tree out.
func (b *Bridge) turnOf(ctx context.Context, edit func(*access.Tree) (treeEdit, error)) (*treeTurn, time.Time, error) {
	const op = "bridge.turnOf"
	now := b.now()
	was, err := b.treeInStore(ctx)
	if err != nil {
		return nil, now, err
	}
	src := was.Source()
	t := &treeTurn{was: was}
	if t.treeEdit, err = edit(was.Tree()); err != nil {
		return nil, now, err
	}
	src.Scopes = t.scopes
	if src, err = adopt(src, was.Tree(), newScopeID); err != nil {
		return nil, now, err
	}
	if t.next, err = mapping.Compile(src); err != nil {
		return nil, now, fault.New(fault.Invalid, op, "the policy does not hold: %v", err)
	}
	if t.hash, err = policyHash(src); err != nil {
		return nil, now, fault.Wrap(fault.Internal, op, err)
	}
	t.diff = access.DiffTrees(was.Tree(), t.next.Tree())
	t.told = scopeEvents(was.Tree(), t.next.Tree(), t.diff, now)
	return t, now, nil
}

// taken is a text by which groups can name a scope today, and which would name another
// or none after the change; "" if there is none, and the change only adds.
func (t *treeTurn) taken() string {
	parents := map[access.ScopeID]bool{}
	for _, s := range slices.Concat(t.diff.New, t.diff.Changed) {
		parents[s.Parent] = true
		if before, there := t.was.Tree().Scope(s.ID); there {
			if before.Parent != s.Parent || before.Retired.IsZero() && !s.Retired.IsZero() {
				return t.was.Tree().Path(s.ID)
			}
			parents[before.Parent] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(parents)) {
		after := spellings(t.next.Tree(), id)
		for text, scope := range spellings(t.was.Tree(), id) {
			if scope != "" && after[text] != scope {
				return text
			}
		}
	}
	return ""
}

// spellings are the texts by which a group's name can name a scope under a parent; ""
// is several.
func spellings(tree *access.Tree, parent access.ScopeID) map[string]access.ScopeID {
	m := map[string]access.ScopeID{}
	children := tree.Children(parent)
	for _, c := range children {
		for _, slug := range c.Slugs() {
			m[schema.Fold(slug)] = c.ID
		}
	}
	slugs := maps.Clone(m)
	for _, c := range children {
		name := schema.Fold(c.Name)
		if _, slug := slugs[name]; slug || name == "" {
			continue
		}
		if _, taken := m[name]; taken {
			m[name] = ""
			continue
		}
		m[name] = c.ID
	}
	return m
}

// putTree puts a changed tree in force. fault.Stale if another policy is in force by now.
// Whoever makes the change by a right of their own must have it in this transaction.
func (b *Bridge) putTree(ctx context.Context, t *treeTurn, now time.Time) (version int64, err error) {
	reaches := reachesOf(t.was.Policy, t.next)
	var judged *Deciding
	err = b.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.PolicyAlone(); err != nil {
			return err
		}
		row, err := tx.Policy()
		if err != nil {
			return err
		}
		if row.Version != t.was.version {
			return fault.New(fault.Stale, "bridge.putTree", "another policy has been put in force since: version %d", row.Version)
		}
		judged = b.decidingIn(ctx, tx, t.by.actor(), t.was, b.now())
		if t.by.May != nil {
			if err := t.by.May(judged, t.judged); err != nil {
				return err
			}
		}
		if err := putScopes(tx, t.diff, now); err != nil {
			return err
		}
		if t.batch != nil {
			if err := tx.ForceScopeBatch(*t.batch); err != nil {
				return err
			}
		}
		lived, err := live(tx)
		if err != nil {
			return err
		}
		version, err = putPolicy(tx, reaches, t.next, lived, store.Policy{Hash: t.hash, Source: row.Source, Applied: now})
		if err != nil {
			return err
		}
		b.coming.Store(&comingPolicy{activePolicy: activePolicy{Policy: t.next, version: version}, hash: t.hash})
		if err := tx.Append(append(judged.said(), t.toldBy()...)...); err != nil {
			return err
		}
		if err := reviewMoved(tx, t.was.Tree(), t.next.Tree(), t.diff, now); err != nil {
			return err
		}
		return application{actor: t.by.actor(), author: t.by.Author, file: t.by.From}.record(tx, store.Policy{Version: version, Hash: t.hash, Source: row.Source, Applied: now})
	})
	if err == nil {
		judged.follow()
		b.nudge()
	}
	return version, err
}

// putScopes writes what has changed of the tree. What people gave at a scope that is
// retired ends for good, also where the scope comes back before anybody was decided anew.
func putScopes(tx *store.Tx, d access.TreeDiff, now time.Time) error {
	if err := tx.PutTree(d); err != nil {
		return err
	}
	retired := slices.Clone(d.Gone)
	for _, l := range d.Above {
		if len(l.Ancestors) == 0 {
			retired = append(retired, l.Scope)
		}
	}
	ended, err := tx.EndPermitsAt(retired, access.EndPermitScope, now)
	if err != nil {
		return err
	}
	told := make([]event.Event, len(ended))
	for i, t := range ended {
		told[i] = fact(event.PermitEnded, event.ByAdministrator, t.Connection, t.Person, now, PermitFact(t.Permit))
	}
	return tx.Append(told...)
}

// live are the connections that are active.
func live(tx *store.Tx) (map[access.ConnectionID]bool, error) {
	have, err := tx.Connections()
	lived := map[access.ConnectionID]bool{}
	for _, c := range have {
		lived[c.ID] = c.State == store.ConnectionActive
	}
	return lived, err
}

// ScopePlan is a change of the tree that is planned before it is made.
type ScopePlan struct {
	Do          ScopeDeed
	At          string // path or id of the scope
	Under       string // of a move: path or id of its parent to be
	Description access.Description
}

// ScopeDeed is what is done to a scope.
type ScopeDeed string

// The deeds that may take something from somebody.
const (
	RenameScope  ScopeDeed = "rename"
	MoveScope    ScopeDeed = "move"
	RetireScope  ScopeDeed = "retire"
	RestoreScope ScopeDeed = "restore"
)

// PlanScope says who would gain and lose what by a change of the tree, and changes
// nothing; the plan is applied by its hash, as that of a file is.
func (b *Bridge) PlanScope(ctx context.Context, p ScopePlan, o PlanOptions) (PolicyPlan, error) {
	was, err := b.treeInStore(ctx)
	if err != nil {
		return PolicyPlan{}, err
	}
	tree := was.Tree()
	scopes, err := p.edit(tree, b.now())
	if err != nil {
		return PolicyPlan{}, err
	}
	after, err := access.NewTree(scopes)
	if err != nil {
		return PolicyPlan{}, fault.Wrap(fault.Internal, "bridge.PlanScope", err)
	}
	src := was.Source()
	src.Scopes, src.Edits = tree.All()[:1], access.DiffTrees(tree, after).Changed
	return b.PlanPolicy(ctx, src, o)
}

func (p ScopePlan) edit(tree *access.Tree, now time.Time) ([]access.Scope, error) {
	const op = "bridge.PlanScope"
	s, err := find(tree, p.At)
	if err != nil {
		return nil, err
	}
	var scopes []access.Scope
	switch p.Do {
	case RenameScope:
		if p.Description.TimeZone != nil {
			if err := knownZone(*p.Description.TimeZone); err != nil {
				return nil, err
			}
		}
		scopes, err = tree.Described(s.ID, p.Description)
	case MoveScope:
		var parent access.Scope
		if parent, err = find(tree, p.Under); err != nil {
			return nil, err
		}
		scopes, err = tree.Moved(s.ID, parent.ID)
	case RetireScope:
		scopes, err = tree.RetiredAt(s.ID, now.Truncate(time.Millisecond))
	case RestoreScope:
		scopes, err = tree.RetiredAt(s.ID, time.Time{})
	default:
		return nil, fault.New(fault.Invalid, op, "a scope is renamed, moved, retired or restored; %q is none of these", p.Do)
	}
	return scopes, invalid(op, err)
}

// maxScopeEvents is how many scopes one change tells of each by itself.
const maxScopeEvents = 100

// scopeEvents tells what leads from one tree to the other, by ids.
func scopeEvents(was, next *access.Tree, d access.TreeDiff, now time.Time) []event.Event {
	var told []event.Event
	say := func(t event.Type, id access.ScopeID, data map[string]string) {
		told = append(told, tellScope(t, id, now, data)...)
	}
	if was == nil {
		return nil // policy.applied says that there is a tree
	}
	if n := len(d.New) + len(d.Changed); n > maxScopeEvents {
		return []event.Event{fact(event.ScopesImported, event.ByAdministrator, "", "", now,
			map[string]string{"added": strconv.Itoa(len(d.New)), "changed": strconv.Itoa(len(d.Changed))})}
	}
	for _, s := range d.New {
		say(event.ScopeAdded, s.ID, map[string]string{"parent": string(s.Parent)})
	}
	for _, s := range d.Changed {
		before, _ := was.Scope(s.ID)
		switch {
		case before.Parent != s.Parent:
			say(event.ScopeMoved, s.ID, map[string]string{"from": string(before.Parent), "to": string(s.Parent)})
		case before.Retired.IsZero() && !s.Retired.IsZero():
			say(event.ScopeRetired, s.ID, nil)
		case !before.Retired.IsZero() && s.Retired.IsZero():
			say(event.ScopeRestored, s.ID, nil)
		default:
			say(event.ScopeRenamed, s.ID, nil)
		}
	}
	return told
}

package bridge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Applied says what became of a policy that was to be applied.
type Applied struct {
	Version int64  `json:"version"`
	Hash    string `json:"hash"`
	Changed bool   `json:"changed"` // false: it was the active one already
}

// InsecureApplyUnreviewed makes src the active policy as it is: nobody has seen what it
// does, and no guard judges it. It is for a first policy, under which nobody holds
// anything yet, and for tests; else ApplyPlan and Reload are the doors.
func (b *Bridge) InsecureApplyUnreviewed(ctx context.Context, src mapping.PolicySource) (Applied, error) {
	return b.applyUnreviewed(ctx, src, application{actor: event.ByAdministrator})
}

func (b *Bridge) applyUnreviewed(ctx context.Context, src mapping.PolicySource, how application) (Applied, error) {
	for {
		var p prepared
		err := b.store.View(ctx, func(v *store.View) (err error) { p, err = b.prepare(v, src); return err })
		if err != nil {
			return Applied{}, err
		}
		done, err := b.putIn(ctx, p, how, nil)
		if fault.ReasonOf(err) != ReasonMoved || ctx.Err() != nil {
			return done, err
		}
	}
}

// application is how a policy came to be applied: by whom, and from what.
type application struct {
	actor     event.Actor
	author    string
	file      string
	text      []byte // of the file, secrets masked
	plan      string // the hash of the plan that was reviewed
	reverts   int64
	summary   PlanSummary
	approvals Approvals
	reason    string
	input     string // what the file said, if it is serve's
}

// prepared is a policy ready to take the place of another: worked out while others
// write, however large it is.
type prepared struct {
	base      store.Policy
	was, next *mapping.Policy // was is nil where there is no policy yet
	body      []byte
	hash      string
	tree      access.TreeDiff
	reaches   map[access.ConnectionID]mapping.Reach
}

// prepare gives the scopes of src the ids that they have, and new ones to those that
// are new, and works out what leads to it from the policy in force.
func (b *Bridge) prepare(v *store.View, src mapping.PolicySource) (p prepared, err error) {
	const op = "bridge.ApplyPolicy"
	if p.base, err = v.Policy(); err != nil {
		return p, err
	}
	var old *access.Tree
	if p.base.Version > 0 {
		was, err := b.compiled(v, p.base)
		if err != nil {
			return p, err
		}
		p.was, old = was.Policy, was.Tree()
	}
	if src, err = adopt(src, old, newScopeID); err != nil {
		return p, err
	}
	if p.next, err = mapping.Compile(src); err != nil {
		return p, fault.New(fault.Invalid, op, "the policy does not hold: %v", err)
	}
	if p.body, err = json.Marshal(src.Stored()); err != nil {
		return p, fault.Wrap(fault.Internal, op, err)
	}
	if p.hash, err = policyHash(src); err != nil {
		return p, fault.Wrap(fault.Internal, op, err)
	}
	p.tree, p.reaches = access.DiffTrees(old, p.next.Tree()), reachesOf(p.was, p.next)
	return p, nil
}

// putIn applies a prepared policy in one transaction, unless check finds something
// against it there. Scopes, connections, the policy, its place in the history and the
// end of the decisions of those whom it may concern are one commit; the recompute itself
// follows in chunks (Run), or at a person's next use, whichever comes first.
func (b *Bridge) putIn(ctx context.Context, p prepared, how application, check func(*store.Tx) error) (Applied, error) {
	var done Applied
	now := b.now()
	if p.hash != p.base.Hash {
		if err := refuseFailing(p.next, now); err != nil {
			return done, err
		}
	}
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		version, err := tx.PolicyAlone()
		if err != nil {
			return err
		}
		if version != p.base.Version {
			return overtaken("bridge.ApplyPolicy", p.base.Version, version)
		}
		if check != nil {
			if err := check(tx); err != nil {
				return err
			}
		}
		done, err = p.put(tx, how, now)
		return err
	})
	if err != nil {
		return Applied{}, err
	}
	b.policy.Store(nil) // read again: its rules may stand elsewhere in their file
	b.coming.Store(nil)
	if done.Changed {
		b.nudge()
	}
	return done, nil
}

func overtaken(op string, planned, now int64) error {
	return fault.New(fault.Stale, op, "version %d of the policy is in force, and this was planned against version %d: plan again", now, planned).Because(ReasonMoved)
}

func (p prepared) put(tx *store.Tx, how application, now time.Time) (Applied, error) {
	done := Applied{Version: p.base.Version, Hash: p.hash}
	if p.hash == p.base.Hash {
		if err := movePolicy(tx, p.base, p.body); err != nil {
			return done, err
		}
		return done, rememberInput(tx, how.input)
	}
	if err := putScopes(tx, p.tree, now); err != nil {
		return done, err
	}
	lived, err := applyConnections(tx, p.next, now)
	if err != nil {
		return done, err
	}
	if done.Version, err = putPolicy(tx, p.reaches, p.next, lived, store.Policy{Hash: p.hash, Source: p.body, Applied: now}); err != nil {
		return done, err
	}
	done.Changed = true
	if p.was != nil {
		if err := tx.Append(scopeEvents(p.was.Tree(), p.next.Tree(), p.tree, now)...); err != nil {
			return done, err
		}
		if err := reviewMoved(tx, p.was.Tree(), p.next.Tree(), p.tree, now); err != nil {
			return done, err
		}
	}
	if err := rememberInput(tx, how.input); err != nil {
		return done, err
	}
	return done, how.record(tx, store.Policy{Version: done.Version, Hash: p.hash, Source: p.body, Applied: now})
}

func rememberInput(tx *store.Tx, input string) error {
	if input == "" {
		return nil
	}
	return tx.SetPolicyInput(input)
}

// record writes an application down, for people and for the audit trail: ids, hashes
// and counts only in the latter.
func (how application) record(tx *store.Tx, p store.Policy) error {
	const op = "bridge.ApplyPolicy"
	summary, err := json.Marshal(how.summary)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	approvals, err := json.Marshal(how.approvals)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	err = tx.PutApplication(store.Application{Version: p.Version, Hash: p.Hash, Base: p.Version - 1, Author: how.author, At: p.Applied, File: how.file, Plan: how.plan,
		Reason: how.reason, Reverts: how.reverts, Summary: summary, Approvals: approvals}, p.Source, how.text)
	if err != nil {
		return err
	}
	data := map[string]string{"version": strconv.FormatInt(p.Version, 10), "hash": p.Hash}
	if how.plan != "" {
		data["plan"] = how.plan
		how.approvals.note(data)
		for name, n := range map[string]int64{"gaining": how.summary.Gaining, "losing": how.summary.Losing, "without_access": how.summary.WithoutAccess} {
			if n > 0 {
				data[name] = strconv.FormatInt(n, 10)
			}
		}
	}
	if how.reverts > 0 {
		data["reverts"] = strconv.FormatInt(how.reverts, 10)
	}
	told := fact(event.PolicyApplied, how.actor, "", "", p.Applied, data)
	if how.author != "" {
		told.Personal = map[string]string{"author": how.author}
	}
	return tx.Append(told)
}

// policyHash is the identity of a policy: all that it says, but not where in its
// file. A comment above a rule makes no new version, and nobody is decided anew.
func policyHash(src mapping.PolicySource) (string, error) {
	body, err := json.Marshal(src.Unplaced())
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), err
}

// movePolicy keeps where the active policy's rules stand in their file, for reasons
// and faults; its version stays.
func movePolicy(tx *store.Tx, before store.Policy, body []byte) error {
	if bytes.Equal(body, before.Source) {
		return nil
	}
	return tx.MovePolicy(body)
}

// newScopeID is the id of a scope that is new; sameScopeID leaves it provisional, for
// who only plans.
func newScopeID(access.ScopeID) access.ScopeID { return access.ScopeID(credential.NewID("scp")) }

func sameScopeID(provisional access.ScopeID) access.ScopeID { return provisional }

// sourceOf reads a policy's source, with its scopes from wherever they are kept.
func sourceOf(v *store.View, p store.Policy) (mapping.PolicySource, error) {
	const op = "bridge.sourceOf"
	var src mapping.PolicySource
	if err := json.Unmarshal(p.Source, &src); err != nil {
		return src, fault.Wrap(fault.Internal, op, err)
	}
	if !src.TreeInStore {
		return src, nil
	}
	var err error
	src.Scopes, err = v.Scopes()
	return src, err
}

// treeOf is the scope tree of the policy in force; nil when there is none yet.
func (b *Bridge) treeOf(v *store.View, p store.Policy) (*access.Tree, error) {
	if known := b.policy.Load(); known != nil && known.version == p.Version {
		return known.Tree(), nil
	}
	if p.Version == 0 {
		return nil, nil
	}
	src, err := sourceOf(v, p)
	if err != nil {
		return nil, err
	}
	tree, err := access.NewTree(src.Scopes)
	return tree, fault.Wrap(fault.Internal, "bridge.treeOf", err)
}

// adopt completes a policy that is to be planned or applied: scopes get the ids that
// they have in the tree in force, and one that leaves its tree in the store gets it
// from there. old is nil when no policy has been applied yet; fresh is as for adoptIDs.
func adopt(src mapping.PolicySource, old *access.Tree, fresh func(access.ScopeID) access.ScopeID) (mapping.PolicySource, error) {
	if !src.TreeInStore {
		return adoptIDs(src, old, fresh)
	}
	if len(src.Scopes) <= 1 {
		src.Scopes = edited(storedScopes(src.Scopes, old), src.Edits)
	}
	src.Edits = nil
	tree, err := access.NewTree(src.Scopes)
	if err != nil {
		return src, fault.Wrap(fault.Invalid, "bridge.adopt", err)
	}
	src.Scopes = tree.All() // in the order of the tree, which makes part of the policy's hash
	src.Connections = slices.Clone(src.Connections)
	for i := range src.Connections {
		c := &src.Connections[i]
		if c.Root, err = scopeAt(tree, *c, c.Root); err != nil {
			return src, err
		}
		if c.Ceiling.Scope, err = scopeAt(tree, *c, c.Ceiling.Scope); err != nil {
			return src, err
		}
	}
	return src, nil
}

// storedScopes are those of the tree in force. host is what the file says of the host,
// or nothing; it is all that there is as long as no policy has been applied.
func storedScopes(host []access.Scope, old *access.Tree) []access.Scope {
	all := old.All()
	if len(all) == 0 {
		all = []access.Scope{{ID: access.ScopeID(credential.NewID("scp")), Level: access.Host}}
	}
	if len(host) == 1 {
		all[0].Name = host[0].Name
	}
	return all
}

// edited are scopes with some of them as they will be.
func edited(scopes, edits []access.Scope) []access.Scope {
	if len(edits) == 0 {
		return scopes
	}
	later := make(map[access.ScopeID]access.Scope, len(edits))
	for _, s := range edits {
		later[s.ID] = s
	}
	for i, s := range scopes {
		if e, is := later[s.ID]; is {
			scopes[i] = e
			delete(later, s.ID)
		}
	}
	for _, s := range edits {
		if _, is := later[s.ID]; is {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// ReasonNoScope is the reason of a refusal of a policy that names a scope which the
// stored tree does not have.
const ReasonNoScope = "no_scope"

// scopeAt is the id of the scope that a connection's file names by its path.
func scopeAt(tree *access.Tree, c access.Connection, id access.ScopeID) (access.ScopeID, error) {
	path := mapping.ProvisionalPath(id)
	if path == "" {
		return id, nil
	}
	s, ok := tree.Find(path)
	if !ok {
		return "", fault.New(fault.Invalid, "bridge.adopt", "connection %q: there is no scope %q in the stored tree; drawbridge scope list shows it", c.ID, path).Because(ReasonNoScope)
	}
	return s.ID, nil
}

// adoptIDs gives every provisional scope id (mapping.ProvisionalID) the id
// that the scope at that path, or at a former slug of it, has in the active tree;
// a scope that is new gets one from fresh. So a rename changes nobody's access.
func adoptIDs(src mapping.PolicySource, old *access.Tree, fresh func(access.ScopeID) access.ScopeID) (mapping.PolicySource, error) {
	const op = "bridge.ApplyPolicy"
	tree, err := access.NewTree(src.Scopes)
	if err != nil {
		return src, fault.Wrap(fault.Invalid, op, err)
	}
	names := scopeIDs(tree, old, fresh)
	out := src
	out.Scopes = make([]access.Scope, len(src.Scopes))
	for i, s := range src.Scopes {
		s.ID, s.Parent = names[s.ID], names[s.Parent]
		out.Scopes[i] = s
	}
	out.Connections = make([]access.Connection, len(src.Connections))
	for i, c := range src.Connections {
		c.Root, c.Ceiling.Scope = names[c.Root], names[c.Ceiling.Scope]
		out.Connections[i] = c
	}
	return out, nil
}

// scopeIDs maps each id of a tree to the id it shall have, walking both trees from
// the host down so that a renamed parent is followed.
func scopeIDs(tree, old *access.Tree, fresh func(access.ScopeID) access.ScopeID) map[access.ScopeID]access.ScopeID {
	names := map[access.ScopeID]access.ScopeID{"": ""}
	for _, s := range tree.All() { // parents come first
		if !mapping.Provisional(s.ID) {
			names[s.ID] = s.ID
			continue
		}
		names[s.ID] = formerID(s, names[s.Parent], old)
		if names[s.ID] == "" {
			names[s.ID] = fresh(s.ID)
		}
	}
	return names
}

func formerID(s access.Scope, parent access.ScopeID, old *access.Tree) access.ScopeID {
	if s.Level == access.Host {
		host, _ := old.Resolve(".")
		return host.ID
	}
	for _, slug := range s.Slugs() {
		if sibling, ok := old.Child(parent, slug); ok && sibling.Slug == slug && sibling.Parent == parent {
			return sibling.ID
		}
	}
	return ""
}

// PolicyInForce is the active policy's row; Version 0 when none has been applied.
func (b *Bridge) PolicyInForce(ctx context.Context) (store.Policy, error) {
	var p store.Policy
	err := b.store.View(ctx, func(v *store.View) error {
		var err error
		p, err = v.Policy()
		return err
	})
	return p, err
}

// policyNow is the compiled policy in force, from memory where nothing newer has been
// applied.
func (b *Bridge) policyNow(ctx context.Context) (*activePolicy, error) {
	if p := b.policy.Load(); p != nil && p.version == b.store.PolicyVersion() {
		return p, nil
	}
	var now *activePolicy
	err := b.store.View(ctx, func(v *store.View) (err error) { now, err = b.active(v); return err })
	return now, err
}

// active is the compiled policy of the version that this transaction sees.
func (b *Bridge) active(v *store.View) (*activePolicy, error) {
	version, err := v.PolicyVersion()
	if err != nil {
		return nil, err
	}
	if p := b.policy.Load(); p != nil && p.version == version {
		return p, nil
	}
	row, err := v.Policy()
	if err != nil {
		return nil, err
	}
	if row.Version == 0 {
		return nil, fault.New(fault.Unavailable, "bridge.active", "no policy has been applied yet")
	}
	p, err := b.compiled(v, row)
	if err != nil {
		return nil, err
	}
	if row.Version == b.store.PolicyVersion() { // not one that another transaction of this commit has put in, and may take back
		b.policy.Store(p)
	}
	return p, nil
}

// comingPolicy is one that somebody has compiled and is putting in force, so that nobody
// compiles it again, least of all while holding the writer. It counts for what it is:
// the row of that version may have come to be another.
type comingPolicy struct {
	activePolicy
	hash string
}

// compiled is the policy of a row, from memory where somebody has compiled it.
func (b *Bridge) compiled(v *store.View, row store.Policy) (*activePolicy, error) {
	if p := b.policy.Load(); p != nil && p.version == row.Version {
		return p, nil
	}
	if c := b.coming.Load(); c != nil && c.version == row.Version && c.hash == row.Hash {
		return &c.activePolicy, nil
	}
	src, err := sourceOf(v, row)
	if err != nil {
		return nil, err
	}
	compiled, err := mapping.Compile(src)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "bridge.compiled", err)
	}
	return &activePolicy{Policy: compiled, version: row.Version}, nil
}

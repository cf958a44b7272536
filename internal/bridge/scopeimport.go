package bridge

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// The bounds of an import: how many scopes one part brings, how many a whole one, and
// how many one commit describes anew.
const (
	ImportPart        = 100
	maxImport         = 1_000_000
	MaxImportChanges  = 1000
	importTakenInPart = 500 // rows of an import that was given up, in one transaction
)

// ImportRow is a scope of an import.
type ImportRow struct {
	Path     string         `json:"path" maxLength:"300"`
	Name     string         `json:"name" maxLength:"200"`
	TimeZone string         `json:"timezone,omitempty" maxLength:"64"`
	Location string         `json:"location,omitempty" maxLength:"200"`
	ID       access.ScopeID `json:"id,omitempty" maxLength:"128"`
}

// ImportState is how far an import has come.
type ImportState struct {
	Import int64 `json:"import"`
	Staged int64 `json:"staged" doc:"how many of its scopes are written, in the order in which they were sent"`
}

// Imported is what an import did.
type Imported struct {
	Policy  int64 `json:"policy" doc:"version of the policy that is in force now"`
	Added   int   `json:"added"`
	Changed int   `json:"changed"`
}

// treeImport is an import that is being written; Bridge.turning guards it.
type treeImport struct {
	store.ScopeBatch
	was    *activePolicy
	staged map[string]access.Scope // by path
	above  map[access.ScopeID][]access.ScopeID
}

// BeginImport begins an import of what has that digest into the tree in force, or goes
// on with one that was interrupted. Another that was not finished is given up.
func (b *Bridge) BeginImport(ctx context.Context, digest string) (ImportState, error) {
	b.turning.Lock()
	defer b.turning.Unlock()
	was, err := b.treeInStore(ctx)
	if err != nil {
		return ImportState{}, err
	}
	open, err := b.openImport(ctx)
	if err != nil {
		return ImportState{}, err
	}
	if open.ID != 0 && (open.Digest != digest || open.Base != was.version) {
		if err := b.dropImport(ctx, open); err != nil {
			return ImportState{}, err
		}
		open = store.ScopeBatch{}
	}
	if open.ID == 0 {
		err = b.store.Update(ctx, func(tx *store.Tx) (err error) { open, err = tx.BeginScopeBatch(was.version, digest); return err })
		if err != nil {
			return ImportState{}, err
		}
	}
	if err := b.loadImport(ctx, was, open); err != nil {
		return ImportState{}, err
	}
	return ImportState{Import: open.ID, Staged: open.Staged}, nil
}

// treeInStore is the policy in force, if its tree may be changed here.
func (b *Bridge) treeInStore(ctx context.Context) (*activePolicy, error) {
	was, err := b.policyNow(ctx)
	if err != nil {
		return nil, err
	}
	if !was.Source().TreeInStore {
		return nil, fault.New(fault.Conflict, "bridge.treeInStore",
			"the scope tree stands in the configuration file: change it there, or write \"scopes: store\" instead of it and start the bridge anew, which changes nobody's access").Because(ReasonTreeInFile)
	}
	return was, nil
}

func (b *Bridge) openImport(ctx context.Context) (open store.ScopeBatch, err error) {
	err = b.store.View(ctx, func(v *store.View) (err error) { open, err = v.OpenScopeBatch(); return err })
	return open, err
}

func (b *Bridge) dropImport(ctx context.Context, open store.ScopeBatch) error {
	b.importing = nil
	for left := int64(1); left > 0; {
		err := b.store.Update(ctx, func(tx *store.Tx) (err error) { left, err = tx.DropScopeBatch(open, importTakenInPart); return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// loadImport reads what an import has written.
func (b *Bridge) loadImport(ctx context.Context, was *activePolicy, open store.ScopeBatch) error {
	im := &treeImport{ScopeBatch: open, was: was, staged: map[string]access.Scope{}, above: map[access.ScopeID][]access.ScopeID{}}
	var rows []access.Scope
	if err := b.store.View(ctx, func(v *store.View) (err error) { rows, err = v.StagedScopes(open); return err }); err != nil {
		return err
	}
	paths := map[access.ScopeID]string{}
	for _, s := range rows { // parents come first
		parent, ok := paths[s.Parent]
		if !ok {
			parent = was.Tree().Path(s.Parent)
		}
		paths[s.ID] = join(parent, s.Slug)
		im.put(paths[s.ID], s)
	}
	b.importing = im
	return nil
}

func (im *treeImport) put(path string, s access.Scope) {
	im.staged[path] = s
	im.above[s.ID] = append([]access.ScopeID{s.ID}, im.covers(s.Parent)...)
}

// covers is what covers a scope, from itself up to the host.
func (im *treeImport) covers(id access.ScopeID) []access.ScopeID {
	if above, staged := im.above[id]; staged {
		return above
	}
	above := im.was.Tree().Ancestors(id)
	slices.Reverse(above)
	if n := len(above); n > 1 { // the host comes last
		above = append(above[1:], above[0])
	}
	return append([]access.ScopeID{id}, above...)
}

// StageImport writes a part of an import, from the scope of that number on, unseen by
// anybody. What has been written already is passed over.
func (b *Bridge) StageImport(ctx context.Context, id, from int64, rows []ImportRow) (ImportState, error) {
	const op = "bridge.StageImport"
	b.turning.Lock()
	defer b.turning.Unlock()
	im, err := b.importOf(ctx, id, from)
	if err != nil {
		return ImportState{}, err
	}
	if from < 0 || from > im.Staged || len(rows) > ImportPart || im.Staged+int64(len(rows)) > maxImport {
		return ImportState{}, fault.New(fault.Invalid, op, "a part has at most %d scopes and begins at %d, an import at most %d", ImportPart, im.Staged, maxImport)
	}
	if done := im.Staged - from; done < int64(len(rows)) {
		rows = rows[done:]
	} else {
		rows = nil
	}
	scopes := make([]access.Scope, 0, len(rows))
	fresh := map[string]access.Scope{}
	for i, r := range rows {
		s, err := im.read(r, fresh)
		if err != nil {
			return ImportState{}, fault.New(fault.Invalid, op, "scope %d of the import, %q: %s", im.Staged+int64(i)+1, r.Path, fault.DetailOf(err))
		}
		fresh[r.Path] = s
		scopes = append(scopes, s)
	}
	state, err := im.write(ctx, b.store, rows, scopes)
	if err != nil {
		b.importing = nil // the part may have come to another node before, or be there although this one failed
	}
	return state, err
}

// importOf is the import that is being written, as far as it has come, and up to from at least. What
// is remembered of it may be less: parts may have been written by another node, or before a start.
func (b *Bridge) importOf(ctx context.Context, id, from int64) (*treeImport, error) {
	if im := b.importing; im != nil && im.ID == id && from <= im.Staged {
		return im, nil
	}
	was, err := b.treeInStore(ctx)
	if err != nil {
		return nil, err
	}
	open, err := b.openImport(ctx)
	if err != nil {
		return nil, err
	}
	if open.ID != id || open.Base != was.version {
		return nil, fault.New(fault.Stale, "bridge.importOf", "this import is not being written any more; begin it again").Because(ReasonImport)
	}
	err = b.loadImport(ctx, was, open)
	return b.importing, err
}

// wholeImport is the import as it is in the store, for whoever puts it in force; nil for 0.
func (b *Bridge) wholeImport(ctx context.Context, id int64) (*treeImport, error) {
	if id == 0 {
		return nil, nil
	}
	open, err := b.openImport(ctx)
	if err != nil {
		return nil, err
	}
	return b.importOf(ctx, id, open.Staged)
}

// ReasonImport is the reason of a refusal of a part of an import that is over.
const ReasonImport = "import"

func (im *treeImport) write(ctx context.Context, s *store.Store, rows []ImportRow, scopes []access.Scope) (ImportState, error) {
	for i, sc := range scopes {
		im.put(rows[i].Path, sc)
	}
	err := s.Update(ctx, func(tx *store.Tx) error {
		above := make([]access.Lineage, len(scopes))
		for i, sc := range scopes {
			above[i] = access.Lineage{Scope: sc.ID, Ancestors: im.above[sc.ID]}
		}
		return tx.StageScopes(im.ScopeBatch, scopes, above)
	})
	if err != nil {
		return ImportState{}, err // im is forgotten
	}
	im.Staged += int64(len(scopes))
	return ImportState{Import: im.ID, Staged: im.Staged}, nil
}

// read makes a scope of a row. Its parent is in the tree, in the import, or among the
// fresh ones before it.
func (im *treeImport) read(r ImportRow, fresh map[string]access.Scope) (access.Scope, error) {
	const op = "bridge.StageImport"
	under, slug := cutPath(r.Path)
	s := access.Scope{ID: cmp.Or(r.ID, access.ScopeID(credential.NewID("scp"))), Slug: slug, Name: r.Name, TimeZone: r.TimeZone, Location: r.Location}
	parent, known := fresh[under]
	if !known {
		parent, known = im.staged[under]
	}
	tree := im.was.Tree()
	if !known {
		if parent, known = tree.Find(under); !known {
			return s, fault.New(fault.Invalid, op, "there is no scope %q to put it under", under)
		}
		s.Parent = parent.ID
		if err := tree.CheckNew(s); err != nil {
			return s, fault.New(fault.Invalid, op, "%v", err)
		}
	}
	s.Parent, s.Level = parent.ID, parent.Level+1
	_, twice := fresh[r.Path]
	_, again := im.staged[r.Path]
	if twice || again {
		return s, fault.New(fault.Invalid, op, "it comes twice")
	}
	if err := access.CheckScope(s); err != nil {
		return s, fault.New(fault.Invalid, op, "%v", err)
	}
	return s, knownZone(s.TimeZone)
}

func cutPath(path string) (under, slug string) {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
	}
	return ".", path
}

// ImportChange is what an import says of a scope that is there already; nil stays.
type ImportChange struct {
	Scope    access.ScopeID `json:"scope" maxLength:"128"`
	Name     *string        `json:"name,omitempty" maxLength:"200"`
	TimeZone *string        `json:"timezone,omitempty" maxLength:"64"`
	Location *string        `json:"location,omitempty" maxLength:"200"`
}

// CommitImport puts what an import has written in force, all of it at once, and with it
// what is said anew of scopes that were there. id is 0 if nothing was added.
func (b *Bridge) CommitImport(ctx context.Context, id int64, changes []ImportChange, by TreeAuthor) (Imported, error) {
	const op = "bridge.CommitImport"
	if len(changes) > MaxImportChanges {
		return Imported{}, fault.New(fault.Invalid, op, "at most %d scopes are described anew at a time", MaxImportChanges)
	}
	b.turning.Lock()
	defer b.turning.Unlock()
	im, err := b.wholeImport(ctx, id)
	if err != nil {
		return Imported{}, err
	}
	t, now, err := b.turnOf(ctx, func(tree *access.Tree) (treeEdit, error) { return im.edit(tree, changes) })
	if err != nil {
		return Imported{}, err
	}
	if text := t.taken(); text != "" {
		return Imported{}, fault.New(fault.Conflict, op, "groups that name a scope by %q would come to mean something else", text).Because(ReasonPlanFirst)
	}
	done := Imported{Policy: t.was.version, Added: len(t.diff.New), Changed: len(t.diff.Changed)}
	if im != nil {
		if t.was.version != im.Base {
			return Imported{}, fault.New(fault.Stale, op, "the tree or the rules were changed since the import began; begin it again").Because(ReasonImport)
		}
		t.batch, t.diff.New, t.diff.Above = &im.ScopeBatch, nil, nil // they are written
	} else if t.diff.Empty() {
		return done, nil
	}
	t.by = TreeAuthor{Author: by.Author, From: strings.TrimSpace("scope import " + by.From)}
	if done.Policy, err = b.putTree(ctx, t, now); err == nil {
		b.importing = nil
	}
	return done, err
}

// edit is the tree with what was imported. im may be nil.
func (im *treeImport) edit(tree *access.Tree, changes []ImportChange) (treeEdit, error) {
	const op = "bridge.CommitImport"
	scopes := tree.All()
	for _, c := range changes {
		if c.TimeZone != nil {
			if err := knownZone(*c.TimeZone); err != nil {
				return treeEdit{}, err
			}
		}
		s, err := tree.DescribedScope(c.Scope, access.Description{Name: c.Name, TimeZone: c.TimeZone, Location: c.Location})
		if err != nil {
			return treeEdit{}, fault.New(fault.Invalid, op, "%s: %v", c.Scope, err)
		}
		scopes[tree.Place(c.Scope)] = s
	}
	if im != nil {
		for _, s := range im.staged {
			scopes = append(scopes, s)
		}
	}
	return treeEdit{scopes: scopes}, nil
}

package steward

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/register"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why the register cannot be changed so.
const (
	ReasonRegisterOfHost = "register_of_the_host" // only the operator and administrators of the host change it
	ReasonAmbiguous      = "several_people"       // a name means several people
	ReasonFaults         = "faults_in_table"
)

// Entry is an entry of the certification register as people read it.
type Entry struct {
	Connection access.ConnectionID `json:"connection"`
	User       string              `json:"user" doc:"the name by which the vendor knows the person: userName, e-mail address or id"`
	Person     access.PersonID     `json:"person,omitempty" doc:"left out: nobody answers to the name yet"`
	State      string              `json:"state" enum:"counts,lapsed,waiting" doc:"waiting: it takes effect when such a person is provisioned"`
	Level      string              `json:"level"`
	Until      time.Time           `json:"until,omitzero" doc:"left out: no end"`
	Note       string              `json:"note,omitempty"`
	Source     string              `json:"source"`
	Set        time.Time           `json:"set"`
	By         string              `json:"by,omitempty"`
}

// Row is the entry as a table has it.
func (e Entry) Row() register.Row {
	return register.Row{Connection: e.Connection, User: e.User, Level: e.Level, Until: e.Until, Note: e.Note}
}

// EntryPage is a part of the register, in the order in which names came into it. It may be
// short of entries that somebody may not see, and still go on.
type EntryPage struct {
	Entries []Entry           `json:"entries"`
	Next    store.RegisterKey `json:"next,omitempty" doc:"for after; left out: there are no more"`
}

// EntryQuery asks for entries. What is left out does not matter.
type EntryQuery struct {
	Connection access.ConnectionID
	Waiting    bool // only those that nobody answers to
	Lapsed     bool // only those whose end is over
	After      store.RegisterKey
	Count      int // at most 1000; 200 if left out
}

// shown is an entry as it stands at that instant.
func shownEntry(e store.Registered, now time.Time) Entry {
	out := Entry{Connection: e.Connection, User: e.Who, Person: e.Person, State: "counts", Level: e.Level, Until: e.Until, Note: e.Note, Source: e.Source, Set: e.Set, By: e.By}
	switch {
	case !e.Certification().CertifiedAt(now):
		out.State = "lapsed"
	case e.Person == "":
		out.State = "waiting"
	}
	return out
}

// keeps says why whoever acts may not change the register; nil if they may. It is the
// vendor's: no administrator of a customer certifies anybody.
func keeps(r request.Right, t *access.Tree) error {
	host, _ := t.Resolve(".")
	err := sees(r, t, host.ID, "register")
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Denied, "steward.keeps", "the register of certifications is the vendor's: the operator and administrators of the host change it").Because(ReasonRegisterOfHost)
	}
	return err
}

// Register lists entries: all for the operator and administrators of the host, for others
// those of people who hold something in their scope.
func (s *Steward) Register(ctx context.Context, a Actor, q EntryQuery) (EntryPage, error) {
	q.Count = max(1, min(cmp.Or(q.Count, 200), 1000))
	var page EntryPage
	err := s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		page = EntryPage{Entries: []Entry{}}
		host, _ := p.Tree().Resolve(".")
		switch r.Root(p.Tree()) {
		case host.ID:
			return page.fill(v, q, now, nil)
		case "":
			return page.own(v, q, r, now)
		}
		return page.fill(v, q, now, func(row store.Registered) (bool, error) { return seesEntry(v, p.Tree(), r, row) })
	})
	return page, err
}

// entriesLooked is how many entries a page looks at, for whoever does not see them all.
const entriesLooked = 20_000

// fill reads on until the page is full, and ends it with an entry that is shown, so that the
// place where it ended says nothing of others.
func (page *EntryPage) fill(v *store.View, q EntryQuery, now time.Time, sees func(store.Registered) (bool, error)) error {
	at, last := q.After, q.After
	for n := 0; n < entriesLooked; n += q.Count + 1 {
		rows, err := v.Register(q.Connection, at, q.Count+1)
		if err != nil {
			return err
		}
		for _, row := range rows {
			seen := sees == nil
			if !seen {
				if seen, err = sees(row); err != nil {
					return err
				}
			}
			if e := shownEntry(row, now); seen && (!q.Waiting || row.Person == "") && (!q.Lapsed || e.State == "lapsed") {
				if len(page.Entries) == q.Count {
					page.Next = last
					return nil
				}
				page.Entries, last = append(page.Entries, e), row.Key
			}
		}
		if len(rows) <= q.Count {
			return nil
		}
		at = rows[q.Count].Key
	}
	page.Next = at
	return nil
}

// own is what somebody sees who decides nowhere: their own entry.
func (page *EntryPage) own(v *store.View, q EntryQuery, r request.Right, now time.Time) error {
	if q.Connection != "" && q.Connection != r.Connection || q.Waiting || q.After != 0 {
		return nil
	}
	dir, err := v.In(r.Connection)
	if err != nil {
		return err
	}
	row, err := dir.RegisteredOf(r.Person)
	if err != nil {
		return noFault(err)
	}
	if e := shownEntry(row, now); !q.Lapsed || e.State == "lapsed" {
		page.Entries = append(page.Entries, e)
	}
	return nil
}

// seesEntry reports whether whoever acts sees an entry: their own, those of people who hold
// something where they decide, and no others.
func seesEntry(v *store.View, t *access.Tree, r request.Right, e store.Registered) (bool, error) {
	host, _ := t.Resolve(".")
	root := r.Root(t)
	if e.Person != "" && r.Is(e.Connection, e.Person) {
		return true, nil
	}
	if root == host.ID || root == "" || e.Person == "" {
		return root == host.ID, nil
	}
	dir, err := v.In(e.Connection)
	if err != nil {
		return false, err
	}
	p, err := dir.Person(e.Person)
	if err != nil {
		return false, err
	}
	return holdsUnder(dir, p, t, root)
}

// holdsUnder reports whether somebody holds anything at a scope or below.
func holdsUnder(dir *store.Directory, p store.Person, t *access.Tree, root access.ScopeID) (bool, error) {
	held, err := dir.Assignments(p)
	return slices.ContainsFunc(held, func(a access.Assignment) bool { return t.Covers(root, a.Scope) }), err
}

// Entry shows the entry of a name.
func (s *Steward) Entry(ctx context.Context, a Actor, conn access.ConnectionID, who string) (out Entry, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		e, err := entryIn(v, conn, who)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
			err = noEntry(conn, who) // whatever is not there: nobody learns which connections there are
		}
		if err != nil {
			return err
		}
		if seen, err := seesEntry(v, p.Tree(), r, e); err != nil || !seen {
			return cmp.Or(err, noEntry(conn, who))
		}
		out = shownEntry(e, now)
		return nil
	})
	return out, err
}

func noEntry(conn access.ConnectionID, who string) error {
	return fault.New(fault.NotFound, "steward.Entry", "the register has no entry of %s in %s", who, conn)
}

// entryIn finds the entry of a name: the one that has it, or that of whom it names.
func entryIn(v *store.View, conn access.ConnectionID, who string) (store.Registered, error) {
	dir, err := v.In(conn)
	if err != nil {
		return store.Registered{}, err
	}
	e, err := dir.RegisteredAs(who)
	if !fault.Is(err, fault.NotFound) {
		return e, err
	}
	people, err := dir.Called(who)
	for _, p := range people {
		if e, err = dir.RegisteredOf(p.ID); err == nil || !fault.Is(err, fault.NotFound) {
			return e, err
		}
	}
	return e, cmp.Or(noFault(err), noEntry(conn, who))
}

// noFault is err unless it only says that something is not there.
func noFault(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// SetEntry records one entry, which counts at once.
func (s *Steward) SetEntry(ctx context.Context, a Actor, row register.Row) (out Entry, err error) {
	if err := row.Check(); err != nil {
		return out, fault.New(fault.Invalid, "steward.SetEntry", "%v", err)
	}
	row.Until = row.Until.UTC().Truncate(time.Millisecond)
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		if err := keeps(r, d.Policy().Tree()); err != nil {
			return err
		}
		e, err := resolve(&d.Tx().View, row)
		if err != nil {
			return err
		}
		e.Source, e.Set, e.By = "set", d.Now(), r.Name
		out = shownEntry(e, d.Now())
		return d.Register(e)
	})
	return out, err
}

// RemoveEntry takes the entry of a name back: it counts for nothing from then on.
func (s *Steward) RemoveEntry(ctx context.Context, a Actor, conn access.ConnectionID, who string) error {
	return s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		if err := keeps(r, d.Policy().Tree()); err != nil {
			return err
		}
		e, err := entryIn(&d.Tx().View, conn, who)
		if err != nil {
			return err
		}
		return d.Unregister(e)
	})
}

// resolve is the entry that a row comes to: about the person that its name means now, or
// has meant all along, or about nobody yet. fault.Invalid if there is no such connection,
// or several people are called so.
func resolve(v *store.View, row register.Row) (store.Registered, error) {
	const op = "steward.resolve"
	e := store.Registered{Connection: row.Connection, Who: row.User, Level: row.Level, Until: row.Until, Note: row.Note}
	dir, err := v.In(row.Connection)
	if fault.Is(err, fault.NotFound) || err == nil && dir.Row().State != store.ConnectionActive {
		return e, fault.New(fault.Invalid, op, "there is no connection %s", row.Connection)
	}
	if err != nil {
		return e, err
	}
	before, err := dir.RegisteredAs(row.User)
	if noFault(err) != nil {
		return e, err
	}
	people, err := dir.Called(row.User)
	if err != nil {
		return e, err
	}
	if active := slices.DeleteFunc(slices.Clone(people), func(p store.Person) bool { return !p.Active }); len(active) > 0 {
		people = active
	}
	switch {
	case len(people) > 1 && !slices.ContainsFunc(people, func(p store.Person) bool { return p.ID == before.Person }):
		return e, fault.New(fault.Invalid, op, "%s means several people of %s: %s; name one by id", row.User, row.Connection, idsOf(people)).Because(ReasonAmbiguous)
	case len(people) == 1:
		e.Person = people[0].ID
	default:
		e.Person = before.Person
	}
	return e, nil
}

func idsOf(people []store.Person) string {
	var ids []string
	for _, p := range people {
		ids = append(ids, string(p.ID))
	}
	return strings.Join(ids, ", ")
}

// registerPart is how many entries one transaction writes: some 20 ms of the writer. Rows
// are looked at in larger parts.
const (
	registerPart = 50
	registerLook = 500
)

// Import is what an import of a table did, or would do.
type Import struct {
	DryRun  bool             `json:"dry_run" doc:"nothing was changed"`
	Rows    int              `json:"rows"`
	Set     int              `json:"set" doc:"entries that are new, or say something else than before"`
	Same    int              `json:"same"`
	Waiting int              `json:"waiting" doc:"of all, those that nobody answers to yet"`
	Lapsed  int              `json:"lapsed" doc:"of all, those whose end is over already"`
	Faults  []register.Fault `json:"faults,omitempty" doc:"if there are any, nothing was changed"`
	Changes []Entry          `json:"changes,omitempty" doc:"the first 200 that are new or other"`
}

// maxImportChanges is how many changes an import shows.
const maxImportChanges = 200

// ImportRegister takes a table in, of which source says what it is. All of it is looked at
// first: if anything is wrong, nothing is changed, and Faults says it. Then it is written
// in parts: interrupted, what was done stays, and the same import does the rest. What the
// table does not name stays as it is.
func (s *Steward) ImportRegister(ctx context.Context, a Actor, rows []register.Row, source string, dryRun bool) (Import, error) {
	done, todo, err := s.lookAt(ctx, a, rows)
	if err != nil || len(done.Faults) > 0 || dryRun {
		done.DryRun = true
		return done, err
	}
	for part := range slices.Chunk(todo, registerPart) {
		if err := ctx.Err(); err != nil {
			return done, fault.Wrap(fault.Unavailable, "steward.ImportRegister", err)
		}
		if err := s.writeEntries(ctx, a, part, source); err != nil {
			return done, err
		}
	}
	return done, s.deciding(ctx, a, func(d *bridge.Deciding, _ request.Right) error {
		d.Say(event.RegisterImported, "", "", map[string]string{"rows": strconv.Itoa(done.Rows), "set": strconv.Itoa(done.Set),
			"waiting": strconv.Itoa(done.Waiting), "digest": digestOf(rows)})
		return nil
	})
}

func digestOf(rows []register.Row) string {
	h := sha256.New()
	if err := register.Write(h, rows); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// lookAt says what a table would change, and what is wrong with it.
func (s *Steward) lookAt(ctx context.Context, a Actor, rows []register.Row) (done Import, todo []register.Row, err error) {
	done = Import{Rows: len(rows)}
	lines := map[string]int{} // by person
	for part := range slices.Chunk(rows, registerLook) {
		var seen []looked
		err := s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
			seen = nil
			if err := keeps(r, p.Tree()); err != nil {
				return err
			}
			for _, row := range part {
				l, err := look(v, row, now)
				if err != nil {
					return err
				}
				seen = append(seen, l)
			}
			return nil
		})
		if err != nil {
			return done, nil, err
		}
		for _, l := range seen {
			if done.count(l, lines) {
				todo = append(todo, l.row)
			}
		}
	}
	return done, todo, nil
}

// looked is what one row comes to.
type looked struct {
	row   register.Row
	entry store.Registered
	shown Entry
	same  bool
	fault string
}

func look(v *store.View, row register.Row, now time.Time) (looked, error) {
	l := looked{row: row}
	var err error
	if l.entry, err = resolve(v, row); fault.Is(err, fault.Invalid) {
		l.fault = fault.DetailOf(err)
		return l, nil
	}
	if err != nil {
		return l, err
	}
	l.shown = shownEntry(l.entry, now)
	dir, err := v.In(row.Connection)
	if err != nil {
		return l, err
	}
	before, err := dir.RegisteredAs(row.User)
	l.same = err == nil && before.Says(l.entry)
	return l, noFault(err)
}

// count adds a row to what an import does; true if it changes something.
func (i *Import) count(l looked, lines map[string]int) bool {
	if l.entry.Person != "" && l.fault == "" {
		whom := string(l.entry.Connection) + "\x00" + string(l.entry.Person)
		if line, twice := lines[whom]; twice {
			l.fault = fmt.Sprintf("%s is the person of line %d", l.row.User, line)
		}
		lines[whom] = l.row.Line
	}
	switch {
	case l.fault != "":
		if len(i.Faults) <= register.MaxFaults {
			i.Faults = append(i.Faults, register.Fault{Line: l.row.Line, Column: 1, Text: l.fault})
		}
		return false
	case l.shown.State == "lapsed":
		i.Lapsed++
	case l.entry.Person == "":
		i.Waiting++
	}
	if l.same {
		i.Same++
		return false
	}
	if i.Set++; i.Set <= maxImportChanges {
		i.Changes = append(i.Changes, l.shown)
	}
	return true
}

// writeEntries is one transaction of an import.
func (s *Steward) writeEntries(ctx context.Context, a Actor, rows []register.Row, source string) error {
	return s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		if err := keeps(r, d.Policy().Tree()); err != nil {
			return err
		}
		for _, row := range rows {
			e, err := resolve(&d.Tx().View, row)
			if err != nil {
				return err
			}
			e.Source, e.Set, e.By = source, d.Now(), r.Name
			if err := d.Register(e); err != nil {
				return err
			}
		}
		return nil
	})
}

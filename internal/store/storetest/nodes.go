package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// RunNodes shows that whoever reads before they write is not overtaken, in whichever lane
// and on whichever node. open gives two stores over one database; an engine for one process
// gives the same one twice.
func RunNodes(t *testing.T, open func(t *testing.T) (a, b *store.Store)) {
	for name, run := range map[string]func(*testing.T, *nodes){
		"no change of a person is lost":            testNoChangeIsLost,
		"no change of a session is lost":           testNoSessionIsLost,
		"no member is lost":                        testNoMemberIsLost,
		"a name is given once":                     testOneName,
		"a subject is pinned once":                 testOneSubject,
		"what works once works once":               testOnce,
		"whoever follows the trail misses nothing": testTrailIsWhole,
		"nobody decides by an older policy":        testPolicyIsHeeded,
		"a ceiling that is lowered holds":          testCeilingIsHeeded,
		"work and receivers are one node's":        testClaimedOnce,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			run(t, &nodes{newFixture(t, a), &fixture{t, b}})
		})
	}
}

// nodes are two stores over one database.
type nodes struct{ a, b *fixture }

// lanes are the ways to write in a connection: on its behalf and on nobody's, on either node.
func (n *nodes) lanes(id access.ConnectionID) []func(fn func(*store.Tx) error) error {
	var all []func(fn func(*store.Tx) error) error
	for _, f := range []*fixture{n.a, n.b} {
		for _, lane := range []access.ConnectionID{"", id} {
			all = append(all, func(fn func(*store.Tx) error) error { return f.UpdateFor(f.t.Context(), lane, fn) })
		}
	}
	return all
}

// atOnce runs do in every lane so many times, all at the same time.
func (n *nodes) atOnce(id access.ConnectionID, times int, do func(tx *store.Tx, i int) error) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	lanes := n.lanes(id)
	for l, write := range lanes {
		for w := range times {
			wg.Go(func() {
				if err := write(func(tx *store.Tx) error { return do(tx, w*len(lanes)+l) }); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = append(failed, err)
				}
			})
		}
	}
	wg.Wait()
	return failed
}

func testNoChangeIsLost(t *testing.T, n *nodes) {
	p := n.a.person(north, "per_1", "one@north.example")
	failed := n.atOnce(north, 10, func(tx *store.Tx, _ int) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		now, err := d.Person(p.ID)
		if err != nil {
			return err
		}
		now.Version++
		now.Epoch++
		return d.UpdatePerson(now)
	})
	n.b.read(north, func(d *store.Directory) error {
		now, err := d.Person(p.ID)
		if err != nil || len(failed) > 0 || now.Version != 41 || now.Epoch != 41 {
			t.Errorf("after 40 changes: version %d, epoch %d (%v, %v)", now.Version, now.Epoch, failed, err)
		}
		return err
	})
}

// A session is changed by sign-ins, which are nobody's lane, and by what its person's
// identity provider says.
func testNoSessionIsLost(t *testing.T, n *nodes) {
	p := n.a.person(north, "per_1", "one@north.example")
	n.a.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", p)) })
	failed := n.atOnce(north, 10, func(tx *store.Tx, i int) error {
		now, err := tx.Session("ses_1")
		if i%3 == 0 {
			var live []store.SessionRow
			d, in := tx.In(north)
			if in != nil {
				return in
			}
			if live, err = d.Sessions(p); err == nil {
				now = live[0]
			}
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond) // the others have read, too
		now.Version++
		return tx.UpdateSession(now.Session, nil)
	})
	n.b.view(func(v *store.View) error {
		now, err := v.Session("ses_1")
		if err != nil || len(failed) > 0 || now.Version != 41 {
			t.Errorf("after 40 changes: version %d (%v, %v)", now.Version, failed, err)
		}
		return err
	})
}

func testNoMemberIsLost(t *testing.T, n *nodes) {
	g := n.a.group(north, "grp_1", "Team")
	people := make([]store.Person, 40)
	for i := range people {
		people[i] = n.a.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
	}
	failed := n.atOnce(north, 10, func(tx *store.Tx, i int) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		g := g
		_, err = d.AddMembers(&g, []store.PersonKey{people[i].Key}, day)
		return err
	})
	now := n.b.groupNow(north, "grp_1")
	n.b.read(north, func(d *store.Directory) error {
		keys, err := d.MemberKeys(g)
		if err != nil || len(failed) > 0 || len(keys) != 40 || now.MemberCount != 40 || now.Version != 41 {
			t.Errorf("%d members, counted %d, version %d (%v, %v)", len(keys), now.MemberCount, now.Version, failed, err)
		}
		return err
	})
}

func testOneName(t *testing.T, n *nodes) {
	failed := n.atOnce(north, 5, func(tx *store.Tx, i int) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		p := newPerson(fmt.Sprint("per_", i), []string{"One@north.example", "oNE@north.example"}[i%2])
		return d.InsertPerson(&p)
	})
	for _, err := range failed {
		if !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != "user_name" {
			t.Errorf("a name that is taken: %v", err)
		}
	}
	n.b.read(north, func(d *store.Directory) error {
		if row := counted(t, d); len(failed) != 19 || row.People != 1 {
			t.Errorf("%d of 20 were refused, and there are %d people", len(failed), row.People)
		}
		return nil
	})
}

func testOneSubject(t *testing.T, n *nodes) {
	people := make([]store.Person, 20)
	for i := range people {
		people[i] = n.a.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
	}
	failed := n.atOnce(north, 5, func(tx *store.Tx, i int) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		return d.PinSubject(people[i], "https://idp.example", "s")
	})
	for _, err := range failed {
		if !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != "subject" {
			t.Errorf("a subject that is taken: %v", err)
		}
	}
	if len(failed) != 19 {
		t.Errorf("%d of 20 were refused", len(failed))
	}
}

func testOnce(t *testing.T, n *nodes) {
	n.a.update(func(tx *store.Tx) error {
		return tx.PutSCIMClient(store.SCIMClient{ID: "k", Connection: north, Created: day})
	})
	var families, assertions, marks atomic.Int64
	failed := n.atOnce(north, 5, func(tx *store.Tx, _ int) error {
		family, err := tx.EndFamily(store.EndedFamily{ID: "fam_1", Client: "app"}, day)
		if err != nil {
			return err
		}
		assertion, err := tx.UseAssertion("k", credential.Digest{1}, day.Add(time.Hour), day)
		if family {
			families.Add(1)
		}
		if assertion {
			assertions.Add(1)
		}
		return err
	})
	if len(failed) > 0 || families.Load() != 1 || assertions.Load() != 1 {
		t.Errorf("the first was %d times the first to end a family, and %d times the first to use an assertion (%v)", families.Load(), assertions.Load(), failed)
	}
	failed = n.atOnce("", 5, func(tx *store.Tx, _ int) error {
		defer marks.Add(1)
		return tx.MoveRelayMark(0, 7)
	})
	if len(failed) != 19 || marks.Load() < 20 {
		t.Errorf("the relay was moved on from the same place %d times", 20-len(failed))
	}
}

// testTrailIsWhole: events of several connections are recorded at once, while somebody
// reads on from the last one they have seen.
func testTrailIsWhole(t *testing.T, n *nodes) {
	const each = 60
	n.a.person(north, "per_n", "n@north.example")
	n.a.person(south, "per_s", "s@south.example")
	var start int64
	n.a.view(func(v *store.View) (err error) {
		rows, err := v.AuditAfter(0, 1000)
		if len(rows) > 0 {
			start = rows[len(rows)-1].ID
		}
		return err
	})
	var wg sync.WaitGroup
	for i, conn := range []access.ConnectionID{north, south, north, south} {
		f := []*fixture{n.a, n.a, n.b, n.b}[i]
		wg.Go(func() {
			for k := range each {
				err := f.UpdateFor(t.Context(), conn, func(tx *store.Tx) error {
					if _, err := tx.In(conn); err != nil {
						return err
					}
					if err := tx.Append(event.Event{Type: event.PersonProvisioned, At: day, Connection: conn, Person: access.PersonID(fmt.Sprintf("per_%d_%d", i, k))}); err != nil {
						return err
					}
					time.Sleep(time.Duration(k%3) * time.Millisecond)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { wg.Wait(); close(written) }()
	seen := follow(t, n.b, start, written)
	if len(seen) != 4*each {
		t.Errorf("%d of %d events were met", len(seen), 4*each)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was met %d times", id, times)
		}
	}
}

// follow reads on until all is written, and counts whom it has met.
func follow(t *testing.T, f *fixture, after int64, written <-chan struct{}) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for {
		over := false
		select {
		case <-written:
			over = true
		default:
		}
		var rows []store.AuditRow
		f.view(func(v *store.View) (err error) { rows, err = v.AuditAfter(after, 7); return err })
		for _, r := range rows {
			_, rest, _ := strings.Cut(string(r.Body), `"person":"`)
			id, _, _ := strings.Cut(rest, `"`)
			seen[id]++
			after = r.ID
		}
		if over && len(rows) == 0 {
			return seen
		}
	}
}

// testPolicyIsHeeded: a decision that began under one version of the policy is there before
// the next is.
func testPolicyIsHeeded(t *testing.T, n *nodes) {
	p := n.a.person(north, "per_1", "one@north.example")
	read, wrote := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		wrote <- n.a.UpdateFor(t.Context(), north, func(tx *store.Tx) error {
			d, err := tx.In(north)
			if err != nil {
				return err
			}
			version, err := tx.PolicyVersion()
			if err != nil {
				return err
			}
			once.Do(func() { close(read) })
			time.Sleep(50 * time.Millisecond) // the next policy comes meanwhile
			return d.SetDecided(p.Key, version, time.Time{})
		})
	}()
	<-read
	n.b.update(func(tx *store.Tx) error {
		if _, err := tx.PutPolicy("next", []byte("{}"), day); err != nil {
			return err
		}
		d, err := tx.View.In(north)
		if err != nil {
			return err
		}
		now, err := d.Person(p.ID)
		if err == nil && now.Policy != 1 {
			t.Error("somebody is still deciding by the policy before")
		}
		return err
	})
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	current, err := n.b.Current(t.Context(), credential.Subject{Connection: north, Person: p.ID})
	if err != nil || current.Decided {
		t.Errorf("who was decided by the policy before counts as decided: %+v (%v)", current, err)
	}
}

// testCeilingIsHeeded: what a ceiling no longer allows is given to nobody from then on.
func testCeilingIsHeeded(t *testing.T, n *nodes) {
	people := make([]store.Person, 20)
	for i := range people {
		people[i] = n.a.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
	}
	var lowered atomic.Bool
	var wg sync.WaitGroup
	for i, p := range people {
		f := []*fixture{n.a, n.b}[i%2]
		wg.Go(func() {
			before := lowered.Load()
			err := f.UpdateFor(t.Context(), north, func(tx *store.Tx) error {
				d, err := tx.In(north)
				if err != nil {
					return err
				}
				return d.ApplyPlan(p, planOf(byRule(access.AssignmentID(fmt.Sprint("asg_", i)), "elevated", "scp_fleet")))
			})
			if before && err == nil {
				t.Error("something was given that the ceiling no longer allows")
			}
			if err != nil && fault.ReasonOf(err) != store.ReasonAboveCeiling {
				t.Error(err)
			}
		})
	}
	n.b.update(func(tx *store.Tx) error { return tx.PutCeiling(north, ceiling(access.Standard)) })
	lowered.Store(true)
	wg.Wait()
}

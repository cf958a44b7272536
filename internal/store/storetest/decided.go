package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func permit(id, scope string) access.Permit {
	return access.Permit{ID: access.PermitID(id), Grant: access.Standard, Scope: access.ScopeID(scope), Flags: access.Flags{Events: access.EventsStandard, Video: true},
		Standing: access.Guest, NotBefore: day, Until: day.Add(time.Hour), Kind: access.SourceRequest, Request: access.RequestID("req_" + id), Case: "C-1", Given: day}
}

// permitOf is permit as it is read back.
func permitOf(p store.Person, t access.Permit) access.Permit { t.Person = p.ID; return t }

// What was permitted is read as it was written, counts until it ends, ends once, and is
// known when its person is gone.
func testPermits(t *testing.T, f *fixture) {
	mara := f.person(north, "per_mara", "mara")
	one, two := permit("prm_1", "scp_a"), permit("prm_2", "scp_b")
	two.Kind, two.Request, two.Case, two.Until, two.NotBefore, two.Standing = access.SourceAdministrator, "", "", time.Time{}, time.Time{}, access.Primary
	f.write(north, func(d *store.DirectoryTx) error {
		if err := d.PutPermit(mara, one); err != nil {
			return err
		}
		return d.PutPermit(mara, two)
	})
	f.read(north, func(d *store.Directory) error {
		mara = reread(t, d, mara)
		by, err := d.Decided(mara)
		if want := []access.Permit{permitOf(mara, one), permitOf(mara, two)}; err != nil || mara.Decided != 2 || !reflect.DeepEqual(by.Permits, want) {
			t.Errorf("%d: %+v, %v", mara.Decided, by.Permits, err)
		}
		if mara.ValidUntil.IsZero() || mara.ValidUntil.After(day) {
			t.Errorf("a decision that does not know of it holds until %v", mara.ValidUntil)
		}
		return nil
	})
	if err := f.try(south, func(d *store.DirectoryTx) error {
		_, err := d.EndPermit(one.ID, access.EndPermitRevoked, day)
		return err
	}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another connection ends it: %v", err)
	}
	ended := permitOf(mara, one)
	ended.Ended, ended.EndReason = day.Add(time.Minute), access.EndPermitRevoked
	f.write(north, func(d *store.DirectoryTx) error {
		got, err := d.EndPermit(one.ID, access.EndPermitRevoked, day.Add(time.Minute))
		if !reflect.DeepEqual(got, ended) {
			t.Errorf("%+v", got)
		}
		return err
	})
	if err := f.try(north, func(d *store.DirectoryTx) error {
		_, err := d.EndPermit(one.ID, access.EndPermitCase, day.Add(time.Hour))
		return err
	}); !fault.Is(err, fault.Stale) {
		t.Errorf("it ends twice: %v", err)
	}
	f.read(north, func(d *store.Directory) error {
		mara = reread(t, d, mara)
		by, err := d.Decided(mara)
		if mara.Decided != 1 || len(by.Permits) != 1 || by.Permits[0].ID != two.ID {
			t.Errorf("%d: %+v", mara.Decided, by)
		}
		return err
	})
	f.write(north, func(d *store.DirectoryTx) error { return d.DeletePerson(mara, day.Add(time.Hour)) })
	f.read(north, func(d *store.Directory) error {
		gone := permitOf(mara, two)
		gone.Ended, gone.EndReason = day.Add(time.Hour), access.EndPermitDeactivated
		if all, err := d.PermitsOf(store.Person{ID: mara.ID}); err != nil || !reflect.DeepEqual(all, []access.Permit{ended, gone}) {
			t.Errorf("%+v, %v", all, err)
		}
		got, err := permitRow(f, one.ID)
		if got.Connection != north || !reflect.DeepEqual(got.Permit, ended) {
			t.Errorf("%+v", got)
		}
		return err
	})
	if err := f.try(north, func(d *store.DirectoryTx) error { return d.PutPermit(mara, permit("prm_3", "scp_a")) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody who is gone is permitted something: %v", err)
	}
}

// decide gives two people something and takes something from them, of different kinds, and
// ends and lifts some of it.
func (f *fixture) decide(a, b store.Person) {
	f.t.Helper()
	put := func(p store.Person, permits []string, limits ...string) {
		f.write(p.Connection, func(d *store.DirectoryTx) error {
			for _, id := range permits {
				if err := d.PutPermit(p, permit(id, "scp_a")); err != nil {
					return err
				}
			}
			for _, id := range limits {
				if err := d.PutLimit(p, access.Limit{ID: access.LimitID(id), Scope: "scp_a", NoVideo: true, Set: day}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	put(a, []string{"prm_a1", "prm_a2"}, "lim_a")
	put(b, []string{"prm_b2", "prm_b1"}, "lim_b1", "lim_b2")
	f.write(a.Connection, func(d *store.DirectoryTx) error {
		_, err := d.EndPermit("prm_a1", access.EndPermitCase, day)
		return err
	})
	f.write(b.Connection, func(d *store.DirectoryTx) error {
		_, err := d.LiftLimit("lim_b2", day)
		return err
	})
}

func reread(t *testing.T, d *store.Directory, p store.Person) store.Person {
	t.Helper()
	p, err := d.Person(p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func permitRow(f *fixture, id access.PermitID) (p store.PermitRow, err error) {
	return p, f.View(f.t.Context(), func(v *store.View) error {
		var err error
		p, err = v.Permit(id)
		return err
	})
}

func testPermitsEnding(t *testing.T, f *fixture) {
	mara := f.person(north, "per_mara", "mara")
	f.write(north, func(d *store.DirectoryTx) error {
		for i, until := range []time.Time{{}, day.Add(3), day.Add(2 * time.Hour), day.Add(time.Hour), day.Add(time.Hour), day.Add(-time.Hour)} {
			one := permit(fmt.Sprintf("prm_%d", i), "scp_a")
			one.Until = until
			if err := d.PutPermit(mara, one); err != nil {
				return err
			}
		}
		_, err := d.EndPermit("prm_1", access.EndPermitTime, day)
		return err
	})
	var got []access.PermitID
	f.view(func(v *store.View) error {
		for at := (store.PermitEnd{}); ; {
			page, err := v.PermitsEnding(day.Add(time.Hour), at, 1)
			if err != nil || len(page) == 0 {
				return err
			}
			got, at = append(got, page[0].ID), store.PermitEnd{Until: page[0].Until, ID: page[0].ID}
		}
	})
	if !slices.Equal(got, []access.PermitID{"prm_5", "prm_3", "prm_4"}) {
		t.Errorf("%v", got)
	}
}

// What was taken from somebody is read as it was written, binds until it is lifted, and is
// lifted once.
func testLimits(t *testing.T, f *fixture) {
	mara := f.person(north, "per_mara", "mara")
	none := access.EventsNone
	one := access.Limit{ID: "lim_1", Person: mara.ID, Scope: "scp_a", Events: &none, NoVideo: true, Set: day}
	two := access.Limit{ID: "lim_2", Person: mara.ID, Scope: "scp_b", Grant: access.Elevated, Withheld: true, Set: day}
	f.write(north, func(d *store.DirectoryTx) error {
		if err := d.PutLimit(mara, one); err != nil {
			return err
		}
		return d.PutLimit(mara, two)
	})
	f.read(north, func(d *store.Directory) error {
		mara = reread(t, d, mara)
		by, err := d.Decided(mara)
		if mara.Decided != 2 || !reflect.DeepEqual(by.Limits, []access.Limit{one, two}) {
			t.Errorf("%d: %+v", mara.Decided, by.Limits)
		}
		return err
	})
	lift := func(conn access.ConnectionID) error {
		return f.try(conn, func(d *store.DirectoryTx) error {
			l, err := d.LiftLimit(one.ID, day.Add(time.Hour))
			if err == nil && !l.Lifted.Equal(day.Add(time.Hour)) {
				t.Errorf("%+v", l)
			}
			return err
		})
	}
	if err := lift(south); !fault.Is(err, fault.NotFound) {
		t.Errorf("another connection lifts it: %v", err)
	}
	if err := lift(north); err != nil {
		t.Error(err)
	}
	if err := lift(north); !fault.Is(err, fault.Stale) {
		t.Errorf("it is lifted twice: %v", err)
	}
	one.Lifted = day.Add(time.Hour)
	f.read(north, func(d *store.Directory) error {
		mara = reread(t, d, mara)
		by, err := d.Decided(mara)
		if err != nil || mara.Decided != 1 || !reflect.DeepEqual(by.Limits, []access.Limit{two}) {
			t.Errorf("%d: %+v, %v", mara.Decided, by.Limits, err)
		}
		all, err := d.LimitsOf(mara)
		if !reflect.DeepEqual(all, []access.Limit{one, two}) {
			t.Errorf("%+v", all)
		}
		return err
	})
	f.view(func(v *store.View) error {
		l, err := v.Limit(two.ID)
		if l.Connection != north || !reflect.DeepEqual(l.Limit, two) {
			t.Errorf("%+v", l)
		}
		return err
	})
}

// The database refuses an assignment that no rule gives and that points at no living permit
// of just that person, grant and scope; and one whose permit ends is not held.
func testNotPermitted(t *testing.T, f *fixture) {
	mara, sam := f.person(north, "per_mara", "mara"), f.person(north, "per_sam", "sam")
	a := f.permitted(mara, "asg_1", access.Elevated, "scp_far")
	for name, try := range map[string]func() error{
		"another person": func() error { return f.apply(sam, mapping.Plan{Give: []access.Assignment{a}}) },
		"another grant": func() error {
			return f.apply(mara, mapping.Plan{Give: []access.Assignment{byPeople("asg_1", access.Standard, "scp_far")}})
		},
		"another scope": func() error {
			return f.apply(mara, mapping.Plan{Give: []access.Assignment{byPeople("asg_1", access.Elevated, "scp_near")}})
		},
		"nothing gave it": func() error {
			return f.apply(mara, mapping.Plan{Give: []access.Assignment{{ID: "asg_1", Grant: access.Standard, Scope: "scp_fleet", Standing: access.Guest}}})
		},
	} {
		if err := try(); !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != store.ReasonNotPermitted {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.apply(mara, mapping.Plan{Give: []access.Assignment{a}}); err != nil || len(f.held(mara)) != 1 {
		t.Fatalf("permitted: %v", err)
	}
	f.write(north, func(d *store.DirectoryTx) error {
		_, err := d.EndPermit("prm_asg_1", access.EndPermitRevoked, day)
		return err
	})
	if held := f.held(mara); len(held) != 0 {
		t.Errorf("held without a permit: %v", held)
	}
	f.read(north, func(d *store.Directory) error {
		stored, err := d.Stored(mara)
		if len(stored) != 1 {
			t.Errorf("to be written anew: %v", stored)
		}
		return err
	})
	if err := f.apply(mara, mapping.Plan{Change: []mapping.Change{{From: a, To: a}}}); fault.ReasonOf(err) != store.ReasonNotPermitted {
		t.Errorf("changed without a permit: %v", err)
	}
}

// What was given before a connection ended counts for nothing when it is open again, and is
// found to be ended.
func testVoidPermits(t *testing.T, f *fixture) {
	mara, sam := f.person(north, "per_mara", "mara"), f.person(south, "per_sam", "sam")
	a := f.permitted(mara, "asg_1", access.Elevated, "scp_far")
	f.permitted(sam, "asg_2", access.Elevated, "scp_far")
	if err := f.apply(mara, mapping.Plan{Give: []access.Assignment{a}}); err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *store.Tx) error {
		err := tx.EndConnection(north, day)
		return errors.Join(err, tx.ResumeConnection(north, day.Add(time.Hour)))
	})
	later := permit("prm_later", "scp_far")
	later.Given = day.Add(2 * time.Hour)
	f.write(north, func(d *store.DirectoryTx) error { return d.PutPermit(mara, later) })
	f.read(north, func(d *store.Directory) error {
		by, err := d.Decided(reread(t, d, mara))
		if len(by.Permits) != 1 || by.Permits[0].ID != later.ID {
			t.Errorf("%+v counts", by.Permits)
		}
		return err
	})
	if held := f.held(mara); len(held) != 0 {
		t.Errorf("held: %v", held)
	}
	f.view(func(v *store.View) error {
		void, err := v.VoidPermits(10)
		if len(void) != 1 || void[0].ID != "prm_asg_1" || void[0].Connection != north {
			t.Errorf("%+v", void)
		}
		return err
	})
}

// What was permitted at scopes ends at once, of all connections, and nothing else does.
func testPermitsAtEnd(t *testing.T, f *fixture) {
	mara, sam := f.person(north, "per_mara", "mara"), f.person(south, "per_sam", "sam")
	f.decide(mara, sam)
	other := permit("prm_z", "scp_b")
	f.write(north, func(d *store.DirectoryTx) error { return d.PutPermit(mara, other) })
	f.update(func(tx *store.Tx) error {
		ended, err := tx.EndPermitsAt([]access.ScopeID{"scp_a", "scp_c"}, access.EndPermitScope, day.Add(time.Hour))
		if len(ended) != 3 || ended[0].ID != "prm_a2" || ended[0].Connection != north || ended[0].EndReason != access.EndPermitScope || ended[2].Person != sam.ID {
			t.Errorf("%+v", ended)
		}
		return err
	})
	f.read(north, func(d *store.Directory) error {
		mara = reread(t, d, mara)
		by, err := d.Decided(mara)
		if mara.Decided != 2 || len(by.Permits) != 1 || by.Permits[0].ID != other.ID || mara.ValidUntil.After(day) || mara.ValidUntil.IsZero() {
			t.Errorf("%+v: %+v", mara, by)
		}
		return err
	})
}

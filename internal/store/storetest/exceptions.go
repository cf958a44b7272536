package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func outOfOrder(k exception.Kind, g access.Grant, s access.ScopeID) exception.Exception {
	return exception.Exception{Kind: k, Pair: exception.Pair{Grant: g, Scope: s}}
}

// The exceptions of a person are what was found last, each since when it was found first.
func testExceptions(t *testing.T, f *fixture) {
	a, b := f.person(north, "per_a", "a@north.example"), f.person(south, "per_b", "b@south.example")
	find := func(p store.Person, now time.Time, found ...exception.Exception) (changed bool) {
		f.write(p.Connection, func(d *store.DirectoryTx) (err error) { changed, err = d.Found(p, found, now); return err })
		return changed
	}
	of := func(p store.Person) (said []string) {
		f.read(p.Connection, func(d *store.Directory) error {
			all, err := d.ExceptionsOf(p)
			for _, x := range all {
				said = append(said, fmt.Sprintf("%s %s@%s %d %d %v %v %v", x.Kind, x.Grant, x.Scope, x.Since.Sub(day)/time.Hour, x.Until.Sub(day)/time.Hour, x.With, x.Rules, x.Requests))
				if x.Person != p.ID || x.Connection != p.Connection {
					t.Errorf("%+v", x)
				}
			}
			return err
		})
		return said
	}
	one, two := outOfOrder(exception.TwoHighRisk, access.Elevated, "scp_1"), outOfOrder(exception.AboveCeiling, access.Elevated, "scp_2")
	one.With, one.Rules, one.Requests, one.Until = []exception.Pair{two.Pair}, []string{"r"}, []access.RequestID{"req_1"}, day.Add(9*time.Hour)
	two.Since, two.Until = day.Add(-2*time.Hour), day.Add(3*time.Hour)
	if !find(a, day, one, two) || find(a, day.Add(time.Hour), one, two) {
		t.Error("what is the same changes nothing, and only that")
	}
	want := []string{"above_ceiling elevated@scp_2 -2 3 [] [] []", "two_high_risk elevated@scp_1 0 9 [{elevated scp_2}] [r] [req_1]"}
	if got := of(a); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	one.Rules = nil
	if !find(a, day.Add(time.Hour), one) {
		t.Error("other rules are another exception")
	}
	if got := of(a); !slices.Equal(got, []string{"two_high_risk elevated@scp_1 0 9 [{elevated scp_2}] [] [req_1]"}) {
		t.Errorf("%q", got)
	}
	find(b, day, outOfOrder(exception.TwoHighRisk, access.Elevated, "scp_1"), outOfOrder(exception.Permanent, access.Standard, "scp_0"))
	testExceptionLists(t, f)
	f.write(north, func(d *store.DirectoryTx) error { return d.DeletePerson(a, day) })
	if got := of(a); got != nil {
		t.Errorf("they outlive their person: %q", got)
	}
	testExceptionsPass(t, f)
}

func testExceptionLists(t *testing.T, f *fixture) {
	listed := func(now time.Time, scopes ...access.ScopeID) (said []string) {
		f.view(func(v *store.View) error {
			for after := (store.ExceptionPlace{}); ; {
				some, err := v.Exceptions(scopes, after, 1, now)
				if err != nil || len(some) == 0 {
					return err
				}
				after = store.ExceptionPlace{Scope: some[0].Scope, Key: some[0].Key}
				said = append(said, fmt.Sprintf("%s %s", some[0].Scope, some[0].Person))
			}
		})
		return said
	}
	all := []string{"scp_0 per_b", "scp_1 per_a", "scp_1 per_b"}
	if got := listed(day); !slices.Equal(got, all) {
		t.Errorf("%q", got)
	}
	if got := listed(day, "scp_7", "scp_1", "scp_0"); !slices.Equal(got, all) {
		t.Errorf("%q", got)
	}
	if got := listed(day.Add(9*time.Hour), "scp_1"); !slices.Equal(got, []string{"scp_1 per_b"}) {
		t.Errorf("what is over is listed: %q", got)
	}
	f.update(func(tx *store.Tx) error { return tx.EndConnection(south, day) })
	if got := listed(day); !slices.Equal(got, []string{"scp_1 per_a"}) {
		t.Errorf("of a connection that has ended: %q", got)
	}
}

// Everybody who holds something, or has an exception, is met once.
func testExceptionsPass(t *testing.T, f *fixture) {
	for i := range 3 {
		p := f.person(north, fmt.Sprintf("per_%d", i), fmt.Sprintf("%d@north.example", i))
		if i > 0 {
			if err := f.apply(p, planOf(byRule(access.AssignmentID(fmt.Sprintf("asg_%d", i)), access.Standard, "scp_fleet"))); err != nil {
				t.Fatal(err)
			}
		} else {
			f.write(north, func(d *store.DirectoryTx) error {
				_, err := d.Found(p, []exception.Exception{outOfOrder(exception.Permanent, access.Standard, "scp_0")}, day)
				return err
			})
		}
	}
	var met []store.PersonKey
	f.update(func(tx *store.Tx) error {
		at, err := tx.ExceptionsPass()
		for err == nil {
			conn, people, next, err := tx.NextHolding(at, 2)
			if err != nil || len(people) == 0 {
				return err
			}
			if conn != north {
				t.Errorf("met %v of %s", people, conn)
			}
			met = append(met, people...)
			if err := tx.MoveExceptionsPass(at, next); err != nil {
				return err
			}
			if err := tx.MoveExceptionsPass(at, next); !fault.Is(err, fault.Stale) {
				return errors.Join(err, errors.New("it moves twice"))
			}
			if at, err = tx.ExceptionsPass(); err != nil || at != next {
				t.Errorf("it stands at %+v, not %+v (%v)", at, next, err)
			}
		}
		return err
	})
	if len(met) != 3 || !slices.IsSorted(met) {
		t.Errorf("met %v", met)
	}
}

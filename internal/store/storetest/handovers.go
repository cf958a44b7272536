package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// What happens with an assignment is kept with the permit behind it, for a while.
func testHandovers(t *testing.T, f *fixture) {
	p := f.person(north, "per_a", "a@north.example")
	a := byPeople("asg_1", access.Elevated, "scp_fleet")
	f.write(north, func(d *store.DirectoryTx) error {
		given := access.Permit{ID: "prm_1", Grant: a.Grant, Scope: a.Scope, Standing: access.Guest, Kind: access.SourceRequest, Request: "req_1", Given: day}
		return errors.Join(d.PutPermit(p, given), d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{a}}))
	})
	seen := func(o store.Observation, after time.Duration) {
		f.update(func(tx *store.Tx) error { return tx.Observe(o, day.Add(after)) })
	}
	of := func(id access.PermitID) (said []string) {
		f.view(func(v *store.View) error {
			all, err := v.Seen(id)
			for _, s := range all {
				said = append(said, fmt.Sprintf("%s %s %v %v", s.Kind, s.What, s.First.Sub(day), s.Last.Sub(day)))
			}
			return err
		})
		return said
	}
	token := store.Observation{Connection: north, Assignment: "asg_1", Kind: store.SeenToken}
	seen(token, time.Minute)
	seen(token, 3*time.Minute)
	seen(token, 2*time.Minute)
	seen(store.Observation{Connection: north, Assignment: "asg_1", Kind: store.SeenRefused, What: access.UsersManage}, time.Hour)
	seen(store.Observation{Connection: north, Assignment: "asg_9", Kind: store.SeenToken}, time.Hour)
	seen(store.Observation{Connection: south, Assignment: "asg_1", Kind: store.SeenOutside}, time.Hour)
	seen(store.Observation{Connection: north, Assignment: "asg_1", Kind: store.SeenOutside}, store.HandoverKept)
	if got := of("prm_1"); !slices.Equal(got, []string{"refused users.manage 1h0m0s 1h0m0s", "token  1m0s 3m0s"}) {
		t.Errorf("%q", got)
	}
	tick := store.Tick{Point: "vehicles", At: day, By: "asha", Comment: "all twelve"}
	f.update(func(tx *store.Tx) error {
		return errors.Join(tx.PutTick("prm_1", store.Tick{Point: "vehicles", At: day.Add(-time.Hour)}), tx.PutTick("prm_1", tick))
	})
	f.update(func(tx *store.Tx) error {
		all, err := tx.Ticks("prm_1")
		if !slices.Equal(all, []store.Tick{tick}) {
			t.Errorf("%+v", all)
		}
		was, err2 := tx.DropTick("prm_1", "vehicles")
		again, err3 := tx.DropTick("prm_1", "vehicles")
		if !was || again {
			t.Errorf("%t %t", was, again)
		}
		return errors.Join(err, err2, err3)
	})
}

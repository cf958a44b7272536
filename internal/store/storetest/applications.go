package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// How each version of the policy came to be is kept, the latest first; a plan leads to
// the version that it was applied as.
func testApplications(t *testing.T, f *fixture) {
	first := store.Application{Version: 1, Hash: "h1", At: day, Summary: []byte(`{}`), Approvals: []byte(`{}`)}
	second := store.Application{Version: 2, Hash: "h2", Base: 1, Author: "ops", At: day.Add(time.Hour), File: "rules.yaml", Plan: "p2", Reason: "CASE-7", Reverts: 1,
		Summary: []byte(`{"losing":2}`), Approvals: []byte(`{"losing":["a"]}`)}
	f.update(func(tx *store.Tx) error {
		if err := tx.PutApplication(store.Application{Version: 1, Hash: "h1", At: day}, []byte(`{"rules":[]}`), nil); err != nil {
			return err
		}
		return tx.PutApplication(second, []byte(`{"rules":[{}]}`), []byte("rules: …"))
	})
	f.view(func(v *store.View) error {
		for _, c := range []struct {
			below int64
			limit int
			want  []store.Application
		}{{100, 10, []store.Application{second, first}}, {100, 1, []store.Application{second}}, {2, 10, []store.Application{first}}, {1, 10, nil}} {
			if got, err := v.Applications(c.below, c.limit); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("at most %d below %d: %+v (%v)", c.limit, c.below, got, err)
			}
		}
		got, err := v.Application(2)
		if err != nil || !reflect.DeepEqual(got, second) {
			t.Errorf("version 2 is %+v (%v)", got, err)
		}
		if _, err := v.Application(3); !fault.Is(err, fault.NotFound) {
			t.Errorf("version 3: %v", err)
		}
		source, text, err := v.ApplicationText(2)
		if err != nil || string(source) != `{"rules":[{}]}` || string(text) != "rules: …" {
			t.Errorf("it says %s, its file %s (%v)", source, text, err)
		}
		of, found, err := v.ApplicationOf("p2")
		if err != nil || !found || of.Version != 2 {
			t.Errorf("the plan led to %+v, %t (%v)", of, found, err)
		}
		_, found, err = v.ApplicationOf("")
		if err != nil || found {
			t.Errorf("no plan led to something (%v)", err)
		}
		input, err := v.PolicyInput()
		if err != nil || input != "" {
			t.Errorf("a file was taken: %q (%v)", input, err)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error { return tx.SetPolicyInput("file-1") })
	f.update(func(tx *store.Tx) error { _, err := tx.PutPolicy("next", []byte("{}"), day); return err })
	f.view(func(v *store.View) error {
		input, err := v.PolicyInput()
		if err != nil || input != "file-1" {
			t.Errorf("what was taken of a file is %q after another policy (%v)", input, err)
		}
		return nil
	})
	err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.PutApplication(second, nil, nil) })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a version came to be twice: %v", err)
	}
}

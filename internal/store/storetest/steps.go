package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

var errRefused = fault.New(fault.Denied, "test", "no")

// stepper adds people in steps of one transaction. What is wrong counts when the
// transaction is through: it may run again.
type stepper struct {
	tx    *store.Tx
	wrong *[]string
}

// add inserts a person and records it, in a step that ends in refusal.
func (s stepper) add(id string, refusal error, inner func()) {
	err := s.tx.Step(func() error {
		d, err := s.tx.In(north)
		if err != nil {
			return err
		}
		p := newPerson(id, id+"@north.example")
		if err := d.InsertPerson(&p); err != nil {
			return err
		}
		if err := s.tx.Append(event.Event{Type: event.PersonProvisioned, At: day, Connection: north, Person: p.ID}); err != nil {
			return err
		}
		if inner != nil {
			inner()
		}
		return refusal
	})
	if !fault.Is(err, fault.Denied) && refusal != nil || refusal == nil && err != nil {
		*s.wrong = append(*s.wrong, fmt.Sprintf("the step of %s ended in %v", id, err))
	}
}

// testSteps: of several use cases in one transaction each is all or nothing by
// itself, and what an undone step contains is undone with it.
func testSteps(t *testing.T, f *fixture) {
	before := len(f.outbox())
	var wrong []string
	f.update(func(tx *store.Tx) error {
		wrong = nil
		s := stepper{tx, &wrong}
		s.add("per_1", nil, nil)
		s.add("per_2", errRefused, nil)
		s.add("per_3", errRefused, func() { s.add("per_4", nil, nil) })
		s.add("per_5", nil, func() { s.add("per_6", errRefused, nil) })
		return nil
	})
	if len(wrong) > 0 {
		t.Error(wrong)
	}
	var kept []access.PersonID
	f.read(north, func(d *store.Directory) error {
		people, total, err := d.People(store.Query{Start: 1, Count: 10})
		for _, p := range people {
			kept = append(kept, p.ID)
		}
		if total != 2 || counted(t, d).People != 2 {
			t.Errorf("%d people are counted, %d found", counted(t, d).People, total)
		}
		return err
	})
	if !slices.Equal(kept, []access.PersonID{"per_1", "per_5"}) {
		t.Errorf("kept are %v", kept)
	}
	if after := len(f.outbox()); after != before+2 {
		t.Errorf("the outbox grew from %d to %d", before, after)
	}
	for _, id := range kept {
		if !f.current(credential.Subject{Connection: north, Person: id}).Alive {
			t.Errorf("%s is not alive", id)
		}
	}
}

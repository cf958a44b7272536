package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// What is stored is what is read, to the millisecond.
func testPeople(t *testing.T, f *fixture) {
	p := newPerson("per_1", "Ada@North.example")
	p.ExternalID, p.DisplayName, p.Email = "x-1", "Ada", "Ada@north.example"
	p.Claimed = access.Certification{Level: "Trainer", Until: day.Add(time.Hour)}
	p.Asserted = &access.Certification{Level: "Trainer"}
	f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	want := p
	find := map[string]func(*store.Directory) (store.Person, error){
		"id":   func(d *store.Directory) (store.Person, error) { return d.Person("per_1") },
		"name": func(d *store.Directory) (store.Person, error) { return d.PersonByUserName("aDA@nORTH.example") },
	}
	for by, find := range find {
		f.read(north, func(d *store.Directory) error {
			got, err := find(d)
			if err != nil {
				return err
			}
			if !samePerson(got, want) {
				t.Errorf("by %s:\n got %+v\nwant %+v", by, got, want)
			}
			return nil
		})
	}
	err := f.try(north, func(d *store.DirectoryTx) error {
		twin := newPerson("per_2", "ADA@north.EXAMPLE")
		return d.InsertPerson(&twin)
	})
	if !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != "user_name" || fault.DetailOf(err) == "" {
		t.Errorf("a second person of the same name: %v", err)
	}
}

func samePerson(a, b store.Person) bool {
	return a.Key == b.Key && a.ID == b.ID && a.Connection == b.Connection && a.UserName == b.UserName && a.ExternalID == b.ExternalID &&
		a.DisplayName == b.DisplayName && a.Email == b.Email && a.Active == b.Active && a.Epoch == b.Epoch && a.Version == b.Version &&
		a.Policy == b.Policy && a.ValidUntil.Equal(b.ValidUntil) && a.Claimed == b.Claimed && (a.Asserted == nil) == (b.Asserted == nil) &&
		(a.Asserted == nil || *a.Asserted == *b.Asserted) && slices.Equal(a.Doc, b.Doc) && a.Created.Equal(b.Created) && a.Updated.Equal(b.Updated)
}

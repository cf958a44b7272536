package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// logged appends rows to a connection's log and gives their ids.
func (f *fixture) logged(conn access.ConnectionID, rows ...store.TrafficRow) []int64 {
	f.t.Helper()
	var ids []int64
	f.write(conn, func(d *store.DirectoryTx) error {
		if err := d.AddTraffic(rows); err != nil {
			return err
		}
		ids = nil
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return nil
	})
	return ids
}

// traffic is the ids that a question to a connection's log is answered with.
func (f *fixture) traffic(conn access.ConnectionID, q store.TrafficQuery) []int64 {
	f.t.Helper()
	ids := []int64{}
	f.read(conn, func(d *store.Directory) error {
		rows, err := d.Traffic(q)
		for _, r := range rows {
			ids = append(ids, r.ID)
			if r.Connection != conn {
				f.t.Errorf("%s was shown a request of %s", conn, r.Connection)
			}
		}
		return err
	})
	return ids
}

func testTraffic(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	first := store.TrafficRow{At: day, Person: p.ID, People: []access.PersonID{"per_2", "per_3"}, Marks: []string{"m1", "m2"}, Body: []byte(`{"asked":"one"}`)}
	ids := f.logged(north, first,
		store.TrafficRow{At: day.Add(time.Minute), Failed: true, Marks: []string{"m3"}, Body: []byte(`{}`)},
		store.TrafficRow{At: day.Add(2 * time.Minute), Body: []byte(`{}`)},
		store.TrafficRow{At: day.Add(3 * time.Minute), Failed: true, People: []access.PersonID{"per_22"}, Body: []byte(`{}`)})
	foreign := f.logged(south, store.TrafficRow{At: day, Person: p.ID, People: []access.PersonID{"per_2"}, Body: []byte(`{}`)})
	a, b, c, d := ids[0], ids[1], ids[2], ids[3]
	if !slices.IsSorted(append(ids, foreign...)) {
		t.Errorf("ids %v, then %v, do not rise", ids, foreign)
	}
	for name, ask := range map[string]struct {
		q    store.TrafficQuery
		want []int64
	}{
		"newest first":       {store.TrafficQuery{Limit: 10}, []int64{d, c, b, a}},
		"a page":             {store.TrafficQuery{Limit: 3}, []int64{d, c, b}},
		"the next page":      {store.TrafficQuery{Limit: 3, Before: b}, []int64{a}},
		"what has come":      {store.TrafficQuery{Limit: 10, After: b, Oldest: true}, []int64{c, d}},
		"a page of that":     {store.TrafficQuery{Limit: 1, After: b, Oldest: true}, []int64{c}},
		"failed":             {store.TrafficQuery{Limit: 10, Failed: true}, []int64{d, b}},
		"since":              {store.TrafficQuery{Limit: 10, Since: day.Add(2 * time.Minute)}, []int64{d, c}},
		"about a person":     {store.TrafficQuery{Limit: 10, People: []access.PersonID{p.ID}}, []int64{a}},
		"touching a person":  {store.TrafficQuery{Limit: 10, People: []access.PersonID{"per_2"}}, []int64{a}},
		"touching somebody":  {store.TrafficQuery{Limit: 10, People: []access.PersonID{"per_2", "per_22"}}, []int64{d, a}},
		"touching nobody":    {store.TrafficQuery{Limit: 10, People: []access.PersonID{"per_"}}, []int64{}},
		"holding a name":     {store.TrafficQuery{Limit: 10, Marks: []string{"m3"}}, []int64{b}},
		"a person or a name": {store.TrafficQuery{Limit: 10, People: []access.PersonID{p.ID}, Marks: []string{"m3"}}, []int64{b, a}},
	} {
		if got := f.traffic(north, ask.q); !slices.Equal(got, ask.want) {
			t.Errorf("%s: %v, want %v", name, got, ask.want)
		}
	}
	f.write(north, func(dir *store.DirectoryTx) error { return dir.SetTraffic(foreign[0], []byte(`{"asked":"changed"}`)) })
	f.view(func(v *store.View) error {
		row, err := v.TrafficRow(a)
		first.ID, first.Connection = a, north
		if err != nil || fmt.Sprint(row) != fmt.Sprint(first) {
			t.Errorf("got %+v, want %+v (%v)", row, first, err)
		}
		if row, err = v.TrafficRow(foreign[0]); err != nil || row.Connection != south || string(row.Body) != `{}` {
			t.Errorf("another connection's row is %+v (%v)", row, err)
		}
		if _, err := v.TrafficRow(foreign[0] + 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("a row that is not there: %v", err)
		}
		return nil
	})
	f.read(north, func(dir *store.Directory) error {
		if _, err := dir.Traffic(store.TrafficQuery{Limit: store.MaxPage + 1}); !fault.Is(err, fault.Invalid) {
			t.Errorf("too large a page: %v", err)
		}
		names, err := dir.UserNames([]access.PersonID{p.ID, "per_2"})
		if len(names) != 1 || names[p.ID] != "one@north.example" {
			t.Errorf("names %v", names)
		}
		return err
	})
	if !f.HasConnection(north) || f.HasConnection("west") {
		t.Error("a connection is there that is not, or the other way")
	}
}

// trim trims a connection's log as far as one call goes.
func (f *fixture) trim(conn access.ConnectionID, failed bool, keep int) (removed int64) {
	f.t.Helper()
	f.write(conn, func(d *store.DirectoryTx) (err error) {
		removed, err = d.TrimTraffic(failed, keep)
		return err
	})
	return removed
}

func testTrafficRing(t *testing.T, f *fixture) {
	var good, bad, foreign []int64
	for i := range 8 {
		at := day.Add(time.Duration(i) * time.Hour)
		good = append(good, f.logged(north, store.TrafficRow{At: at, Body: []byte(`{}`)})...)
		foreign = append(foreign, f.logged(south, store.TrafficRow{At: at, Body: []byte(`{}`)})...)
		if i%4 == 0 {
			bad = append(bad, f.logged(north, store.TrafficRow{At: at, Failed: true, Body: []byte(`{}`)})...)
		}
	}
	if n := f.trim(north, false, 8); n != 0 {
		t.Errorf("%d rows went although there was room", n)
	}
	if n := f.trim(north, false, 3); n != 5 {
		t.Errorf("%d rows went, want 5", n)
	}
	want := append(slices.Clone(good[5:]), bad...)
	slices.Sort(want)
	if got := f.traffic(north, store.TrafficQuery{Limit: 100, Oldest: true}); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	if got := f.traffic(south, store.TrafficQuery{Limit: 100, Oldest: true}); !slices.Equal(got, foreign) {
		t.Errorf("another connection's log is %v, want %v", got, foreign)
	}
	f.update(func(tx *store.Tx) error {
		n, err := tx.TrimTrafficBefore(day.Add(6 * time.Hour))
		if n == 0 {
			t.Error("nothing was too old")
		}
		return err
	})
	if got := f.traffic(south, store.TrafficQuery{Limit: 100, Oldest: true}); !slices.Equal(got, foreign[6:]) {
		t.Errorf("young enough are %v, want %v", got, foreign[6:])
	}
	for _, failed := range []bool{true, false} {
		f.trim(north, failed, 0)
	}
	last := f.logged(north, store.TrafficRow{At: day, Body: []byte(`{}`)})
	if got := f.traffic(north, store.TrafficQuery{Limit: 100}); !slices.Equal(got, last) || last[0] <= foreign[7] {
		t.Errorf("after all went: %v; an id was used again", got)
	}
}

func testTrafficForgets(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	other := f.person(north, "per_2", "two@north.example")
	ids := f.logged(north, store.TrafficRow{At: day, Person: p.ID, Marks: []string{"m1"}, Body: []byte(`{}`)},
		store.TrafficRow{At: day, Person: other.ID, Marks: []string{"m1"}, Body: []byte(`{}`)})
	f.write(north, func(d *store.DirectoryTx) error { return d.DeletePerson(p, day) })
	late := f.logged(north, store.TrafficRow{At: day, Person: p.ID, Marks: []string{"m1"}, Body: []byte(`{}`)},
		store.TrafficRow{At: day, Person: other.ID, Marks: []string{"m1"}, Body: []byte(`{}`)})
	if got, want := f.traffic(north, store.TrafficQuery{Limit: 10, Marks: []string{"m1"}}), []int64{late[1], ids[1]}; !slices.Equal(got, want) {
		t.Errorf("the name is in %v, want %v", got, want)
	}
	if got, want := f.traffic(north, store.TrafficQuery{Limit: 10, People: []access.PersonID{p.ID}}), []int64{late[0], ids[0]}; !slices.Equal(got, want) {
		t.Errorf("by id are found %v, want %v", got, want)
	}
}

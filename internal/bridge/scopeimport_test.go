package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestAnImportIsWholeOrNotThere: what is written is seen by nobody until it is in force,
// an import that was interrupted goes on, and one that was overtaken begins again.
func TestAnImportIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	w := stored(t)
	kim := w.person(banksia, "kim@banksia.example", "oid-kim")
	w.group(banksia, "GL Perth Managers", kim)
	rows := []bridge.ImportRow{{Path: "southern/wattle", Name: "Wattle Couriers"}, {Path: "southern/wattle/hobart", Name: "Hobart", TimeZone: "Australia/Hobart"},
		{Path: "southern/banksia/perth", Name: "Perth Depot", TimeZone: "Australia/Perth", ID: "scp_perth"}}
	begin := func(digest string, staged int64) int64 {
		t.Helper()
		s, err := w.bridge.BeginImport(w.ctx, digest)
		w.do(err)
		if s.Staged != staged {
			t.Errorf("%d scopes are written, want %d", s.Staged, staged)
		}
		return s.Import
	}
	total := func() int {
		list, err := w.bridge.Scopes(w.ctx, ".", "", 1)
		w.do(err)
		return list.Total
	}
	before := total()
	id := begin("one", 0)
	_, err := w.bridge.StageImport(w.ctx, id, 0, rows[:2])
	w.do(err)
	w.restart()
	if _, err := w.bridge.StageImport(w.ctx, id+1, 2, rows[2:]); fault.ReasonOf(err) != bridge.ReasonImport {
		t.Errorf("went on with what was never begun: %v", err)
	}
	id = begin("one", 2)
	w.restart()
	s, err := w.bridge.StageImport(w.ctx, id, 0, rows) // without being begun again, and from the beginning: two are there already
	w.do(err)
	if s.Staged != 3 || total() != before {
		t.Errorf("%+v are written, %d in force", s, total())
	}
	done, err := w.bridge.CommitImport(w.ctx, id, []bridge.ImportChange{{Scope: w.scope("southern/banksia/geelong").ID, Location: text("Corio VIC")}}, bridge.TreeAuthor{Author: "ops@vendor.example", From: "fleets.csv"})
	w.do(err)
	w.settle()
	if done.Added != 3 || done.Changed != 1 || total() != before+3 || w.scope("southern/banksia/perth").ID != "scp_perth" {
		t.Errorf("%+v, %d scopes", done, total())
	}
	if held := w.holds("kim@banksia.example"); !slices.Contains(held, "primary standard @ southern/banksia/perth") {
		t.Errorf("whose group names a new fleet holds %v", held)
	}
	id = begin("two", 0)
	_, err = w.bridge.StageImport(w.ctx, id, 0, []bridge.ImportRow{{Path: "southern/acacia", Name: "Acacia"}})
	w.do(err)
	_, err = w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern", Slug: "acacia", Name: "Acacia Lines"})
	w.do(err)
	if _, err := w.bridge.CommitImport(w.ctx, id, nil, bridge.TreeAuthor{}); err == nil {
		t.Error("an import that was overtaken is in force")
	}
	begin("three", 0) // the one before is given up
	w.restart()
	if s := w.scope("southern/acacia"); s.Name != "Acacia Lines" || total() != before+4 {
		t.Errorf("%+v, %d scopes", s, total())
	}
}

func TestAnImportRefusesWhatIsNoScope(t *testing.T) {
	t.Parallel()
	w := stored(t)
	s, err := w.bridge.BeginImport(w.ctx, "one")
	w.do(err)
	good := bridge.ImportRow{Path: "southern/banksia/a", Name: "A", TimeZone: "Australia/Perth"}
	for what, r := range map[string]bridge.ImportRow{
		"no parent":      {Path: "nowhere/x", Name: "X"},
		"below a fleet":  {Path: "southern/banksia/geelong/x", Name: "X"},
		"there already":  {Path: "southern/banksia/geelong", Name: "X", TimeZone: "Australia/Perth"},
		"no time zone":   {Path: "southern/banksia/b", Name: "B"},
		"a made-up zone": {Path: "southern/banksia/b", Name: "B", TimeZone: "Mars/Phobos"},
		"no slug":        {Path: "southern/banksia/", Name: "B", TimeZone: "Australia/Perth"},
		"an id twice":    {Path: "southern/banksia/b", Name: "B", TimeZone: "Australia/Perth", ID: w.scope("southern").ID},
		"a path twice":   good,
	} {
		if _, err := w.bridge.StageImport(w.ctx, s.Import, 0, []bridge.ImportRow{good, r}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var many []bridge.ImportRow
	for i := range bridge.ImportPart + 1 {
		many = append(many, bridge.ImportRow{Path: fmt.Sprintf("southern/x%d", i), Name: "X"})
	}
	if _, err := w.bridge.StageImport(w.ctx, s.Import, 0, many); !fault.Is(err, fault.Invalid) {
		t.Errorf("too many at once: %v", err)
	}
	if _, err := w.bridge.CommitImport(w.ctx, 0, make([]bridge.ImportChange, bridge.MaxImportChanges+1), bridge.TreeAuthor{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("too many changes: %v", err)
	}
	if _, err := w.bridge.CommitImport(w.ctx, 0, []bridge.ImportChange{{Scope: "scp_gone", Name: text("X")}}, bridge.TreeAuthor{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a change of nothing: %v", err)
	}
	if _, err := newWorld(t).bridge.BeginImport(w.ctx, "one"); fault.ReasonOf(err) != bridge.ReasonTreeInFile {
		t.Errorf("into a file: %v", err)
	}
}

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// sampleTree is the tree of the sample organisation, hobart being retired.
func sampleTree(t *testing.T) *access.Tree {
	t.Helper()
	cfg, err := config.Load("../../examples/drawbridge.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Policy.Scopes {
		s := &cfg.Policy.Scopes[i]
		s.ID, s.Parent = access.ScopeID(strings.ReplaceAll(string(s.ID), "path:", "scp/")), access.ScopeID(strings.ReplaceAll(string(s.Parent), "path:", "scp/"))
		switch s.Slug {
		case "hobart":
			s.Retired = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
		case "cairns":
			s.Was = []string{"smithfield"}
		}
	}
	tree, err := access.NewTree(cfg.Policy.Scopes)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestATableSaysAllThatIsWrongAtOnce(t *testing.T) {
	for what, c := range map[string]struct {
		table string
		want  []string // "line: text" of each fault
	}{
		"nothing":           {"", []string{"1: the first line names the columns"}},
		"unknown columns":   {"path,title,path\nx,y,z\n", []string{`1: column "title"`, `1: column "path"`}},
		"no path":           {"name\nx\n", []string{"1: the column path is missing"}},
		"fields":            {"path,name\nsouthern/a,A\nsouthern/b\nsouthern/c,C,D\n", []string{"3: 1 field, and there are 2 columns", "4: 3 fields"}},
		"not CSV":           {"path,name\nsouthern/a,\"A\nsouthern/b,B\n", []string{"3: this is not CSV"}},
		"each its own":      {"path,name,timezone\nsouthern/nowhere/x,X,Australia/Perth\nsouthern/banksia/X,X,Australia/Perth\nsouthern/banksia/y,,\nsouthern/banksia/z,Z,Mars/Phobos\nsouthern/banksia/geelong,Geelong Depot,Mars/Phobos\nsouthern,Southern,Australia/Perth\n", []string{`2: southern/nowhere/x: there is no scope "southern/nowhere"`, `3: southern/banksia/X: slug "X"`, "4: southern/banksia/y: a scope has a name", `5: southern/banksia/z: "Mars/Phobos"`, `6: southern/banksia/geelong: "Mars/Phobos"`, "7: southern: only a fleet"}},
		"twice":             {"path,name,id\nsouthern/a,A,scp_1\nsouthern/b,B,scp_1\nsouthern/a,A,\n", []string{"3: southern/b: the id scp_1 stands on line 2", "4: southern/a: the scope stands on line 2"}},
		"what is not to be": {"path,name,id\nsouthern/banksia/hobart,H,\nsouthern/banksia/geelong,,scp_1\n.,Host,\nsouthern/a,A,scp/southern\nsouthern/banksia/geelong/x,X,\n", []string{"2: southern/banksia/hobart: it was retired", "3: southern/banksia/geelong: there it has the id", "4: .: this is the host", "5: southern/a: a scope with the id", "6: southern/banksia/geelong/x: southern/banksia/geelong is a fleet"}},
	} {
		rows, faults := readCSV([]byte(c.table))
		_, more := planImport(sampleTree(t), rows)
		err := tableFaults("t.csv", append(faults, more...))
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want)+1 {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(lines[i], "t.csv:"+want) {
				t.Errorf("%s: %q does not begin with %q", what, lines[i], want)
			}
		}
	}
}

func TestATableIsComparedWithTheTree(t *testing.T) {
	table := "path,name,timezone,location,id\n" +
		"southern/wattle/perth,Perth,Australia/Perth,Perth WA,scp_perth\n" + // before its parent
		"southern/wattle,Wattle Couriers,,,\n" +
		"southern/banksia/geelong,Corio,,,\n" +
		"southern/reefline/smithfield,Cairns,Australia/Brisbane,Cairns QLD,\n" // by its former slug
	rows, faults := readCSV([]byte("\ufeff" + strings.ReplaceAll(table, "\n", "\r\n")))
	plan, more := planImport(sampleTree(t), rows)
	if faults = append(faults, more...); len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []bridge.ImportRow{{Path: "southern/wattle", Name: "Wattle Couriers"}, {Path: "southern/wattle/perth", Name: "Perth", TimeZone: "Australia/Perth", Location: "Perth WA", ID: "scp_perth"}}
	if !slices.Equal(plan.Add, want) || plan.Same != 1 || len(plan.Change) != 1 || *plan.Change[0].Name != "Corio" || plan.Change[0].Location != nil {
		t.Errorf("%+v", plan)
	}
	if got := plan.String(); got != "1 account, 1 fleet to add, 1 scope to describe anew; 1 is so already. Nothing was changed; --apply does it." {
		t.Error(got)
	}
}

// What export writes as YAML is what a scopes_file says, ids included.
func TestAnExportedTreeIsTheTree(t *testing.T) {
	all := sampleTree(t).All()
	for i := range all { // slugs that YAML reads as something else, and ids of the bridge's kind
		all[i].ID, all[i].Parent = access.ScopeID(strings.ReplaceAll(string(all[i].ID), "/", "-")), access.ScopeID(strings.ReplaceAll(string(all[i].Parent), "/", "-"))
		switch all[i].Slug {
		case "tromso":
			all[i].Slug, all[i].Name = "1e3", `He said: "no" # 1`
		case "lulea":
			all[i].Slug = "no"
		}
	}
	tree, err := access.NewTree(all)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	write := yamlOf(&text)
	for _, s := range tree.All() {
		v := bridge.ScopeView{ID: s.ID, Slug: s.Slug, Level: s.Level, Name: s.Name, TimeZone: s.TimeZone, Location: s.Location, Was: s.Was}
		if !s.Retired.IsZero() {
			v.Retired = &s.Retired
		}
		if err := write(v); err != nil {
			t.Fatal(err)
		}
	}
	rows, faults := readTable("t.yaml", text.Bytes())
	if len(faults) > 0 || len(rows) != tree.Len()-1 {
		t.Fatalf("%v\n%s", faults, &text)
	}
	scopes, err := config.ScopesOf("t.yaml", text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	scopes[0] = tree.All()[0]
	for i := range scopes {
		if scopes[i].Level == access.ServiceProvider {
			scopes[i].Parent = scopes[0].ID
		}
	}
	again, err := access.NewTree(scopes)
	if err != nil || !access.DiffTrees(tree, again).Empty() {
		t.Errorf("%v: %+v\n%s", err, access.DiffTrees(tree, again), &text)
	}
}

func TestATreeIsDrawnWithLines(t *testing.T) {
	tree := sampleTree(t)
	var text strings.Builder
	d := &drawing{w: &text}
	for _, id := range tree.Under("scp/southern") {
		s, _ := tree.Scope(id)
		v := bridge.ScopeView{Path: tree.Path(id), Slug: s.Slug, Name: s.Name, Level: s.Level, Last: tree.IsLast(id)}
		if s.Slug == "geelong" {
			v.Holds = bridge.GrantCounts{access.Administrator: 1, access.Standard: 3}
		}
		d.draw(v)
	}
	want := "southern  Southern Telematics\n├─ banksia  Banksia Freight\n│  ├─ geelong  Geelong Depot  · 3 standard, 1 administrator\n│  └─ hobart  Hobart Depot\n└─ reefline  Reefline Coaches\n   └─ cairns  Cairns\n"
	if text.String() != want {
		t.Errorf("got\n%s", &text)
	}
}

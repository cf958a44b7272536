package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const example = "../examples/drawbridge.yaml"

// noFiles stands for a machine without any secret file.
func noFiles(string) ([]byte, error) { return nil, errors.New("no such file") }

func TestTheExampleIsTheSampleOrganisation(t *testing.T) {
	c, err := Load(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	levels := map[access.Level]int{}
	for _, s := range c.Policy.Scopes {
		levels[s.Level]++
	}
	if levels[access.ServiceProvider] != 2 || levels[access.Account] != 3 || levels[access.Fleet] != 5 {
		t.Errorf("two service providers, three accounts, five fleets: %v", levels)
	}
	if len(c.Connections) != 3 || len(c.Clients) != 1 || len(c.Policy.Rules) != 8 {
		t.Errorf("%d connections, %d clients, %d rules", len(c.Connections), len(c.Clients), len(c.Policy.Rules))
	}
	if c.Policy.Scopes[0].Name != "Lantern Fleet Safety" || c.Vendor.Support.Email != "support@lantern.example" {
		t.Errorf("the vendor is the host: %+v", c.Vendor)
	}
	s := c.Connections[1]
	if s.ID != "southern-entra" || !s.TrustsCertification || s.SignIn.SubjectClaim != "oid" || c.Connections[2].SignIn.SubjectClaim != "sub" {
		t.Errorf("southern-entra is %+v", s)
	}
	if r := c.Policy.Rules[3]; r.For != 14*24*time.Hour || len(r.Guest) != 1 || r.FieldPos["guest.0"].Line == 0 || r.FieldPos["give"].Line <= r.Pos.Line {
		t.Errorf("the installers' rule is %+v", r)
	}
	if _, err := mapping.Compile(c.Policy); err != nil {
		t.Error(err)
	}
}

var update = flag.Bool("update", false, "write the reports as they are now")

// TestReports holds the exact report for every broken file under testdata.
func TestReports(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d broken files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { report1(t, file) })
	}
}

func report1(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]int{}
	for i, f := range a.Files {
		parts[f.Name] = i
	}
	var environ []string
	if i, ok := parts["environment"]; ok {
		environ = strings.Split(strings.TrimSpace(string(a.Files[i].Data)), "\n")
	}
	_, err = Parse("drawbridge.yaml", a.Files[parts["drawbridge.yaml"]].Data, environ, noFiles)
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the file is broken, but the error is %v", err)
	}
	want := &a.Files[parts["report"]]
	got := err.Error() + "\n"
	if *update {
		want.Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(want.Data) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want.Data)
	}
}

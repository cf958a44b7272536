package oidctest_test

import (
	"context"
	"flag"
	"os"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

var update = flag.Bool("update", false, "write testdata again")

type step struct {
	name string
	do   func(context.Context, *oidctest.IdP) error
}

func sent(_ []oidctest.Exchange, err error) error { return err }

// life is a year of one directory, in the order in which each vendor would see it.
var life = []step{
	{"initial-cycle", func(ctx context.Context, i *oidctest.IdP) error { _, err := i.SyncAll(ctx); return err }},
	{"again-changes-nothing", func(ctx context.Context, i *oidctest.IdP) error { _, err := i.SyncAll(ctx); return err }},
	{"update-attributes", func(ctx context.Context, i *oidctest.IdP) error {
		return sent(i.UpdatePerson(ctx, "update", "sam@banksia.example", func(p *oidctest.Person) {
			p.Email, p.FamilyName, p.Certification = "sam.vale@banksia.example", "Vale", "Trainer"
		}))
	}},
	{"add-to-group", func(ctx context.Context, i *oidctest.IdP) error {
		return sent(i.AddToGroup(ctx, "GL Geelong Managers", "kim@banksia.example"))
	}},
	{"remove-from-group", func(ctx context.Context, i *oidctest.IdP) error {
		return sent(i.RemoveFromGroup(ctx, "GL Geelong Managers", "kim@banksia.example"))
	}},
	{"rename-group", func(ctx context.Context, i *oidctest.IdP) error {
		return sent(i.RenameGroup(ctx, "GL Geelong Managers", "GL Hobart Managers"))
	}},
	{"push-group", func(ctx context.Context, i *oidctest.IdP) error {
		return sent(i.AddGroup(ctx, oidctest.Group{ObjectID: "gid-new", Name: "GL Account Admins", Members: []string{"oid-kim"}}))
	}},
	{"disable", func(ctx context.Context, i *oidctest.IdP) error { return sent(i.Disable(ctx, "sam@banksia.example")) }},
	{"enable", func(ctx context.Context, i *oidctest.IdP) error { return sent(i.Enable(ctx, "oid-sam")) }},
	{"delete", func(ctx context.Context, i *oidctest.IdP) error { return sent(i.Delete(ctx, "sam@banksia.example")) }},
	{"delete-group", func(ctx context.Context, i *oidctest.IdP) error {
		return sent(i.DeleteGroup(ctx, "GL Hobart Managers"))
	}},
}

// Each vendor sends exactly the bytes in its file, for every change.
func TestWireIsTheVendors(t *testing.T) {
	for name, v := range map[string]struct {
		make   vendor
		change func(*oidctest.Config)
	}{
		"entra":      {oidctest.NewEntra, nil},
		"entra-flag": {oidctest.NewEntra, func(c *oidctest.Config) { c.EntraFlag = true }},
		"okta":       {oidctest.NewOkta, nil},
		"okta-put":   {oidctest.NewOkta, func(c *oidctest.Config) { c.OktaPUT = true }},
	} {
		t.Run(name, func(t *testing.T) {
			f, base := newFar(t)
			idp, _ := open(t, v.make, base, v.change)
			var got txtar.Archive
			for _, s := range life {
				if err := s.do(t.Context(), idp); err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				got.Files = append(got.Files, txtar.File{Name: s.name, Data: []byte(hideProbe(f.said()))})
			}
			golden(t, "testdata/"+name+".txtar", got)
		})
	}
}

func golden(t *testing.T, path string, got txtar.Archive) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, txtar.Format(&got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Files) != len(got.Files) {
		t.Fatalf("%s has %d steps, the test %d", path, len(want.Files), len(got.Files))
	}
	for n, w := range want.Files {
		if g := got.Files[n]; g.Name != w.Name || string(g.Data) != string(w.Data) {
			t.Errorf("%s, %s:\n--- want\n%s--- got\n%s", path, w.Name, w.Data, g.Data)
		}
	}
}

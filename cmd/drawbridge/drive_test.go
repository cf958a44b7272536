package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/drive"
)

// driven is a running demo, one of its connections and the groups that feed a rule
// there: `drawbridge drive` sends it forty people in four groups of ten.
type driven struct {
	*running
	vendor, scim, token, names string
	feeding, gives             string // a group that feeds a rule, and what the rule gives
}

func startDriven(t *testing.T, vendor string) driven {
	t.Helper()
	d := driven{running: startDemo(t, t.TempDir()), vendor: vendor, names: filepath.Join(t.TempDir(), "names"), token: filepath.Join(t.TempDir(), "token")}
	connection, names := "banksia-entra", "GL Geelong Managers\nGL Hobart Managers\n"
	d.feeding, d.gives = "GL Geelong Managers", "standard @ southern/banksia/geelong"
	if vendor == drive.VendorOkta {
		connection, names = "tundra-okta", "gl-lulea-ops\ngl-tromso-ops\n"
		d.feeding, d.gives = "gl-lulea-ops", "standard @ boreal/tundra/lulea"
	}
	c := d.connection(connection)
	d.scim = c.SCIMURL
	for file, text := range map[string]string{d.names: names, d.token: c.SCIMToken + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// drive runs a cycle and expects it to be good.
func (d driven) drive(cycle drive.Cycle, more ...string) drive.Report {
	d.t.Helper()
	args := append([]string{"drive", d.vendor, "--json", "--url", d.scim, "--token-file", d.token, "--group-names", d.names, "--cycle", string(cycle),
		"--people", "40", "--groups", "4", "--memberships", "40", "--seed", "11", "--share", "20", "--concurrency", "4"}, more...)
	code, out := d.command(args...)
	var r drive.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone || !r.Good() {
		d.t.Fatalf("%v: %d, %v\n%s", args, code, err, out)
	}
	return r
}

// told is what `drawbridge explain` says of somebody, as far as these tests ask.
type told struct {
	Person   string   `json:"person"`
	UserName string   `json:"user_name"`
	Name     string   `json:"name"`
	Active   bool     `json:"active"`
	Groups   []string `json:"groups"`
	Holds    []struct {
		Is string `json:"is"`
	} `json:"holds"`
}

func (p told) in(group string) bool { return slices.Contains(p.Groups, group) }

func (p told) holds(is string) bool {
	for _, h := range p.Holds {
		if h.Is == is {
			return true
		}
	}
	return false
}

// people are those that a drive made, by user name, as the bridge explains them.
func (d driven) people() map[string]told {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.scim+"/Users?count=200&attributes=userName", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	token, err := os.ReadFile(d.token)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	var list struct{ Resources []struct{ UserName string } }
	if err := json.Unmarshal([]byte(visit(d.t, &http.Client{}, req).body), &list); err != nil {
		d.t.Fatal(err)
	}
	out := map[string]told{}
	for _, u := range list.Resources {
		if !strings.HasSuffix(u.UserName, "@drive-11.example") {
			continue
		}
		var p []told
		code, said := d.command("explain", u.UserName, "--json")
		if err := json.Unmarshal([]byte(said), &p); err != nil || code != exitDone || len(p) != 1 {
			d.t.Fatalf("explain %s: %d %v\n%s", u.UserName, code, err, said)
		}
		out[u.UserName] = p[0]
	}
	return out
}

// settled is what must hold after each cycle: forty active people, four groups of
// ten, and the rule's grant for exactly those of the group that feeds it.
func (d driven) settled() map[string]told {
	d.t.Helper()
	all, memberships, fed := d.people(), 0, 0
	for _, p := range all {
		memberships += len(p.Groups)
		if p.in(d.feeding) {
			fed++
		}
		if !p.Active || p.in(d.feeding) != p.holds(d.gives) {
			d.t.Errorf("%+v", p)
		}
	}
	if len(all) != 40 || memberships != 40 || fed != 10 {
		d.t.Errorf("%d people, %d memberships, %d of them in %s", len(all), memberships, fed, d.feeding)
	}
	return all
}

// Every cycle of both vendors leaves the bridge's directory and everybody's grants
// as the identity provider means them.
func TestDriveLeavesTheDirectoryAsTheVendorMeansIt(t *testing.T) {
	t.Parallel()
	for _, vendor := range []string{drive.VendorEntra, drive.VendorOkta} {
		t.Run(vendor, func(t *testing.T) {
			d := startDriven(t, vendor)
			if r := d.drive(drive.Initial); r.People.Created != 40 || r.Memberships != 40 {
				t.Errorf("%s", r)
			}
			first := d.settled()
			if r := d.drive(drive.Initial); r.People.Created+r.People.Updated+r.Groups.Created != 0 {
				t.Errorf("a second time:\n%s", r)
			}
			same(t, "a second initial cycle", first, d.settled())
			if r := d.drive(drive.Incremental); r.People.Updated != 8 || r.Joined != 8 || r.Left != 8 {
				t.Errorf("%s", r)
			}
			second := d.settled()
			if m := moved(first, second, d.feeding); m != 4 {
				t.Errorf("%d people changed places, not 2 out and 2 in", m)
			}
			if n := renamed(first, second); n != 8 {
				t.Errorf("%d people have another name, not 8", n)
			}
			if r := d.drive(drive.Restore, "--round", "1"); r.Gone != 8 || r.Back != 8 || r.Kept == 0 {
				t.Errorf("%s", r)
			}
			same(t, "a restore cycle", second, d.settled())
			if r := d.drive(drive.Cleanup); r.People.Deleted != 40 || len(d.people()) != 0 {
				t.Errorf("%d are left:\n%s", len(d.people()), r)
			}
		})
	}
}

// The same directory comes of bulk requests, once and again.
func TestDriveInBulkLeavesTheSameDirectory(t *testing.T) {
	t.Parallel()
	d := startDriven(t, drive.VendorEntra)
	if r := d.drive(drive.Initial, "--bulk"); r.People.Created != 40 || r.Memberships != 40 {
		t.Errorf("%s", r)
	}
	first := d.settled()
	if r := d.drive(drive.Initial, "--bulk"); r.People.Created+r.Groups.Created != 0 {
		t.Errorf("a second time:\n%s", r)
	}
	same(t, "a second cycle in bulk", first, d.settled())
	if r := d.drive(drive.Initial); r.People.Created+r.Groups.Created != 0 {
		t.Errorf("one by one after it:\n%s", r)
	}
	same(t, "a cycle one by one", first, d.settled())
}

// same says that everybody has kept id, name, groups and grants.
func same(t *testing.T, after string, a, b map[string]told) {
	t.Helper()
	for name, was := range a {
		is := b[name]
		slices.Sort(was.Groups)
		slices.Sort(is.Groups)
		if was.Person != is.Person || was.Name != is.Name || !slices.Equal(was.Groups, is.Groups) || !slices.Equal(was.Holds, is.Holds) {
			t.Errorf("%s changed\n%+v\n%+v", after, was, is)
		}
	}
}

func moved(a, b map[string]told, group string) (n int) {
	for name := range a {
		if a[name].in(group) != b[name].in(group) {
			n++
		}
	}
	return n
}

func renamed(a, b map[string]told) (n int) {
	for name := range a {
		if a[name].Name != b[name].Name {
			n++
		}
	}
	return n
}

// The exit code says what became of a drive, and the refusal is one line.
func TestDriveSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	d := startDriven(t, drive.VendorEntra)
	another := filepath.Join(t.TempDir(), "another")
	if err := os.WriteFile(another, []byte("no-token-of-anybody"), 0o600); err != nil {
		t.Fatal(err)
	}
	few := []string{"--people", "2", "--groups", "1", "--memberships", "2"}
	for _, c := range []struct {
		want int
		text string
		args []string
	}{
		{exitDone, "people          2 created", []string{"--url", d.scim, "--token-file", d.token}},
		{exitNo, "an initial cycle comes first", []string{"--url", d.scim, "--token-file", d.token, "--seed", "99", "--cycle", "restore"}},
		{exitUsage, "--i-own-this-server", []string{"--url", "https://scim.vendor.example/v2", "--token-file", d.token}},
		{exitUsage, "--token-file needs a file", []string{"--url", d.scim}},
		{exitUsage, "no such file", []string{"--url", d.scim, "--token-file", d.token, "--group-names", another + "-missing"}},
		{exitUnreachable, "the connection test failed", []string{"--url", "http://127.0.0.1:1/scim", "--token-file", d.token}},
		{exitNotAllowed, "the token opens nothing there", []string{"--url", d.scim, "--token-file", another}},
	} {
		code, out := d.command(append(append([]string{"drive", "entra"}, few...), c.args...)...)
		if code != c.want || !strings.Contains(out, c.text) {
			t.Errorf("%v: %d, not %d with %q:\n%s", c.args, code, c.want, c.text, out)
		}
	}
}

// The configuration that docs/performance.md measures holds, and each of its hundred
// groups feeds a rule.
func TestTheMeasuredConfigurationHolds(t *testing.T) {
	var out journal
	if code := run(t.Context(), []string{"check", "../../testdata/drive/drawbridge.yaml"}, nil, strings.NewReader(""), &out, &out); code != exitDone {
		t.Fatal(out.String())
	}
	names, err := readNames("../../testdata/drive/groups")
	if err != nil || len(names) != 100 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	rules, err := os.ReadFile("../../testdata/drive/drawbridge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		crew, fleet := name[:len("Crew 01")], name[len("Crew 01 "):]
		if !strings.Contains(string(rules), `group: "`+crew+` {fleet}"`) || !strings.Contains(string(rules), strings.ToLower(fleet)+": { name:") {
			t.Errorf("no rule asks for %s", name)
		}
	}
}

// Progress is a bar that stays in its line, or lines of their own.
func TestProgressIsDrawn(t *testing.T) {
	p := drive.Progress{Phase: "people", Done: 12_345, Total: 20_000, Rate: 4512.6, Left: 1_600_000_000}
	if got := progressLine(p); got != "people 12,345/20,000, 4,512/s, 2s left\n" {
		t.Errorf("%q", got)
	}
	if got := progressBar(p); got != "\r\x1b[K[##############----------] people 12,345/20,000, 4,512/s, 2s left" {
		t.Errorf("%q", got)
	}
	if got := progressBar(drive.Progress{Phase: "groups"}); !strings.Contains(got, strings.Repeat("#", 24)) {
		t.Errorf("nothing to do is done: %q", got)
	}
}

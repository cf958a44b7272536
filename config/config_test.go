package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
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
	if len(c.Connections) != 4 || len(c.Clients) != 1 || len(c.Policy.Rules) != 11 {
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
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { checkReport(t, file) })
	}
}

func checkReport(t *testing.T, file string) {
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
	read := func(path string) ([]byte, error) {
		if i, ok := parts[path]; ok {
			return a.Files[i].Data, nil
		}
		return noFiles(path)
	}
	_, err = Parse("drawbridge.yaml", a.Files[parts["drawbridge.yaml"]].Data, environ, read)
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

const small = `version: 1
vendor: { name: Lantern Fleet Safety }
server: { public_url: "https://id.lantern.example" }
scopes:
  southern: { name: Southern Telematics }
`

func TestASmallFileIsComplete(t *testing.T) {
	c, err := Parse("small.yaml", []byte(small), nil, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	want := Server{Listen: "127.0.0.1:8443", PublicURL: "https://id.lantern.example", MetricsListen: "127.0.0.1:9464", Data: "./data", LogLevel: "info", SCIMLog: 2000}
	if !reflect.DeepEqual(c.Server, want) {
		t.Errorf("%+v", c.Server)
	}
	if c.Sessions != (Sessions{AccessToken: 5 * time.Minute, Absolute: 12 * time.Hour, Refresh: 12 * time.Hour, Offline: 30 * 24 * time.Hour}) {
		t.Errorf("%+v", c.Sessions)
	}
	if !reflect.DeepEqual(c.Keys, Keys{Rotate: 90 * 24 * time.Hour, PublishAhead: 24 * time.Hour, Keep: 30 * 24 * time.Hour}) {
		t.Errorf("%+v", c.Keys)
	}
}

func TestHowTheFileWasSavedDoesNotCount(t *testing.T) {
	for how, file := range map[string]string{"byte order mark": "\ufeff" + small, "CRLF": strings.ReplaceAll(small, "\n", "\r\n")} {
		if _, err := Parse("small.yaml", []byte(file), nil, noFiles); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func TestTheLogOfSCIMRequestsIsOnUnlessItIsTurnedOff(t *testing.T) {
	for line, want := range map[string]int{"": 2000, "scim_log: 0": 0, "scim_log: 150": 150, "scim_log: 20_000": 20_000} {
		file := "version: 1\nvendor: { name: Lantern Fleet Safety }\nscopes: { southern: { name: Southern Telematics } }\nserver:\n  public_url: https://id.lantern.example\n  " + line + "\n"
		c, err := Parse("drawbridge.yaml", []byte(file), nil, noFiles)
		if err != nil || c.Server.SCIMLog != want {
			t.Errorf("%q: %+v, want %d (%v)", line, c, want, err)
		}
	}
}

func TestTheEnvironmentOverridesFiveValues(t *testing.T) {
	c, err := Parse("small.yaml", []byte(small), []string{
		"DRAWBRIDGE_SERVER_LISTEN=:9443", "DRAWBRIDGE_SERVER_PUBLIC_URL=http://localhost:9443", "DRAWBRIDGE_SERVER_DATA=/var/lib/drawbridge",
		"DRAWBRIDGE_LOG_LEVEL=debug", "DRAWBRIDGE_SERVER_METRICS_LISTEN=127.0.0.1:9465", "PATH=/bin", "ODD",
	}, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Server
	if s.Listen != ":9443" || s.PublicURL != "http://localhost:9443" || s.Data != "/var/lib/drawbridge" || s.LogLevel != "debug" || s.MetricsListen != "127.0.0.1:9465" {
		t.Errorf("%+v", s)
	}
}

func TestSecretsComeFromOutside(t *testing.T) {
	file := small + `clients:
  - { id: a, name: A, secret_env: DRAWBRIDGE_A, redirect_uris: ["https://a.example/cb"] }
  - { id: b, name: B, secret_file: /run/b, redirect_uris: ["https://b.example/cb"] }
  - { id: c, name: C, public: true, redirect_uris: ["http://127.0.0.1:8080/cb"], id_token_alg: RS256, scopes: [reports] }
`
	read := func(path string) ([]byte, error) { return []byte("from " + path + "\n"), nil }
	c, err := Parse("x.yaml", []byte(file), []string{"DRAWBRIDGE_A=from env"}, read)
	if err != nil {
		t.Fatal(err)
	}
	if c.Clients[0].Secret.Reveal() != "from env" || c.Clients[1].Secret.Reveal() != "from /run/b" || !c.Clients[2].Public() || !c.Clients[2].Secret.Empty() {
		t.Errorf("%+v", c.Clients)
	}
	if c.Clients[0].IDTokenAlg != "ES256" || c.Clients[2].IDTokenAlg != "RS256" {
		t.Errorf("%+v", c.Clients)
	}
}

// TestNoReportShowsASecret: whatever else is wrong on the line.
func TestNoReportShowsASecret(t *testing.T) {
	for _, line := range []string{
		`  - { id: a, name: A, secret: hunter2, redirect_uri: [] }`,
		`  - { id: a b, name: 4, secret: "hunter2", redirect_uris: [x] }`,
		`  - { id: a, name: A, "secret": 'hunter2', public: true`,
		`  - { id: a, name: A, public: true, redirect_uris: ["https://u:hunter2@a.example/"] }`,
		"  - id: a\n    name: A\n    secret: [hunter2]",
		"  - id: a\n    name: A\n    secret: &x hunter2",
	} {
		_, err := Parse("x.yaml", []byte(small+"clients:\n"+line+"\n"), nil, noFiles)
		if err == nil {
			t.Errorf("%s was accepted", line)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s\n%v", line, err)
		}
	}
}

func TestLoadReadsRegularFilesOfABoundedSize(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, large, filepath.Join(dir, "none.yaml"), os.DevNull} {
		if _, err := Load(path, nil); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}

// TestBrokenExamplesTeach: each file under examples/broken has what its first line
// says, and nothing else.
func TestBrokenExamplesTeach(t *testing.T) {
	files, err := filepath.Glob("../examples/broken/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		_, err = Load(file, nil)
		var ps *Problems
		if !errors.As(err, &ps) {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(ps.List) != 1 || !strings.Contains(first, ps.List[0].Message) {
			t.Errorf("%s says %q, but:\n%v", file, first, err)
		}
	}
}

func TestARateWithoutABurstSavesUpAHundredSeconds(t *testing.T) {
	c, err := Parse("small.yaml", []byte(`version: 1
vendor: { name: Lantern Fleet Safety }
server: { public_url: "https://id.lantern.example", scim_rate: { per_second: 50 } }
scopes:
  southern: { name: Southern Telematics }
connections:
  southern-entra:
    idp: entra
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
    scim: { rate: { per_second: 25, burst: 100000 } }
  northern-okta:
    idp: okta
    name: Northern Telematics
    ceiling: { scope: southern, grants: [standard] }
`), nil, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string][2]access.Rate{"server": {c.Server.SCIMRate, {PerSecond: 50, Burst: 5000}},
		"its own": {c.Connections[0].SCIM.Rate, {PerSecond: 25, Burst: 100_000}}, "none": {c.Connections[1].SCIM.Rate, {}}} {
		if r[0] != r[1] {
			t.Errorf("%s: %+v, want %+v", name, r[0], r[1])
		}
	}
}

// TestWhoseSignedWordCountsIsRead: Entra's keys are where Entra publishes them.
func TestWhoseSignedWordCountsIsRead(t *testing.T) {
	const tenant = "9d2f4e7a-0000-4000-8000-000000000001"
	keys := `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	c, err := Parse("drawbridge.yaml", []byte(small+`connections:
  southern-entra:
    idp: entra
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
    scim:
      jwks_file: keys.json
      federation:
        issuer: https://login.microsoftonline.com/`+tenant+`/v2.0
        subject: 9d2f4e7a-0000-4000-8000-000000000002
        audience: [api://app, api://app/.default]
        tenant_id: `+tenant+`
        authorized_party: app
        version: "2.0"
`), nil, func(string) ([]byte, error) { return []byte(keys), nil })
	if err != nil {
		t.Fatal(err)
	}
	got := c.Connections[0].Trust
	want := &assertion.Federation{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", Subject: "9d2f4e7a-0000-4000-8000-000000000002",
		Audiences: []string{"api://app", "api://app/.default"}, KeysURI: "https://login.microsoftonline.com/" + tenant + "/discovery/v2.0/keys",
		TenantID: tenant, AuthorizedParty: "app", Version: "2.0"}
	if !reflect.DeepEqual(got.Federation, want) || len(got.Keys) != 1 || got.Keys[0].ID != "a" {
		t.Errorf("%+v, %+v", got.Federation, got.Keys)
	}
}

func TestTheRootIsAFileBesideTheConfigurationOrACommand(t *testing.T) {
	for text, want := range map[string]Root{
		"{ file: root.key }":                                  {File: filepath.Join("conf", "root.key")},
		"{ file: /etc/drawbridge/root.key }":                  {File: "/etc/drawbridge/root.key"},
		"{ command: [ /usr/local/bin/kms ] }":                 {Command: []string{"/usr/local/bin/kms"}, Timeout: 10 * time.Second},
		"{ command: [ /usr/local/bin/kms, a ], timeout: 3s }": {Command: []string{"/usr/local/bin/kms", "a"}, Timeout: 3 * time.Second},
	} {
		c, err := Parse("conf/small.yaml", []byte(small+"keys: { root: "+text+" }\n"), nil, noFiles)
		if err != nil || !reflect.DeepEqual(c.Keys.Root, want) {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

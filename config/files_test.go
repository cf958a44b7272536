package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts files into a new directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var parts = map[string]string{
	"10-base.yaml":     "version: 1\nvendor: { name: Lantern Fleet Safety }\nserver: { public_url: \"https://id.lantern.example\" }\nscopes_file: tree/scopes.txt\n",
	"20-banksia.yaml":  "version: 1\nconnections:\n  banksia-entra: { idp: entra, name: Banksia Freight, ceiling: { scope: southern, grants: [ standard ] } }\nrules:\n  - { id: z, from: banksia-entra, group: Z, give: standard @ southern }\n",
	"30-tundra.yaml":   "connections:\n  banksia-entra: { contact: it@banksia.example }\n  tundra-okta: { idp: okta, name: Tundra, ceiling: { scope: boreal, grants: [ standard ] } }\nrules:\n  - { id: a, from: tundra-okta, group: A, give: standard @ boreal }\n",
	"40-nothing.yaml":  "# for later\n",
	".hidden.yaml":     "nonsense: true\n",
	"README.md":        "not read\n",
	"tree/scopes.txt":  "scopes:\n  southern: { name: Southern Telematics }\n  boreal: { name: Boreal Road Safety }\n",
	"tree/ignored.yml": "nonsense: true\n",
}

func TestADirectoryIsOneConfiguration(t *testing.T) {
	dir := write(t, parts)
	c, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policy.Scopes) != 3 || len(c.Connections) != 2 || c.Connections[0].Contact != "it@banksia.example" {
		t.Errorf("%d scopes, connections %+v", len(c.Policy.Scopes), c.Connections)
	}
	if r := c.Policy.Rules; len(r) != 2 || r[0].ID != "z" || r[1].ID != "a" || r[1].Pos.File != filepath.Join(dir, "30-tundra.yaml") {
		t.Errorf("rules keep the order of the files: %+v", r)
	}
	want := []string{"10-base.yaml", "20-banksia.yaml", "30-tundra.yaml", "40-nothing.yaml", "tree/scopes.txt"}
	for i, name := range want {
		if len(c.Files.Names) != len(want) || c.Files.Names[i] != filepath.Join(dir, name) {
			t.Fatalf("read were %v, want %v", c.Files.Names, want)
		}
	}
	if !strings.Contains(c.Text, "30-tundra.yaml\nconnections:") {
		t.Errorf("the text is %s", c.Text)
	}
}

// TestWhatWasReadKnowsThatItChanged: by contents, not by times; what was not there is looked for.
func TestWhatWasReadKnowsThatItChanged(t *testing.T) {
	dir := write(t, parts)
	c, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := c.Files.Sum
	if again, err := c.Files.Look(); err != nil || again != sum {
		t.Errorf("nothing changed, but the sum did: %v", err)
	}
	for name, text := range map[string]string{"20-banksia.yaml": "version: 1\n", "tree/scopes.txt": "scopes: {}\n", "50-new.yaml": "", ".hidden.yaml": "", "README.md": ""} {
		at := filepath.Join(dir, name)
		before, missing := os.ReadFile(at)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := c.Files.Look()
		if counts := name != ".hidden.yaml" && name != "README.md"; err != nil || (again != sum) != counts {
			t.Errorf("%s: changed %v, %v", name, again != sum, err)
		}
		if missing != nil {
			err = os.Remove(at)
		} else {
			err = os.WriteFile(at, before, 0o600)
		}
		if again, look := c.Files.Look(); err != nil || look != nil || again != sum {
			t.Errorf("%s: as it was, but not the sum: %v, %v", name, err, look)
		}
	}
}

// TestABrokenConfigurationKnowsItsFiles, so that mending one is noticed.
func TestABrokenConfigurationKnowsItsFiles(t *testing.T) {
	dir := write(t, parts)
	if err := os.Remove(filepath.Join(dir, "tree/scopes.txt")); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir, nil)
	problems, ok := err.(*Problems)
	if !ok {
		t.Fatal(err)
	}
	sum, err := problems.Files.Look()
	if err != nil || sum != problems.Files.Sum {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tree/scopes.txt"), []byte(parts["tree/scopes.txt"]), 0o600); err != nil {
		t.Fatal(err)
	}
	if sum, err := problems.Files.Look(); err != nil || sum == problems.Files.Sum {
		t.Errorf("the file is there now, and the sum is the same: %v", err)
	}
}

func TestADirectoryHasItsBounds(t *testing.T) {
	many := map[string]string{}
	for i := range maxFiles + 1 {
		many[strings.Repeat("a", i+1)[:min(i+1, 100)]+string(rune('a'+i%26))+string(rune('a'+i/26))+".yaml"] = "version: 1\n"
	}
	for name, dir := range map[string]string{"too many": write(t, many), "none": write(t, map[string]string{"a.yml": ""}), "nested": write(t, map[string]string{"a.yaml/b.yaml": ""})} {
		if _, err := Load(dir, nil); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

// TestMaskedTextHoldsNoSecret: each of these carries hunter2, and only the last line is wanted.
func TestMaskedTextHoldsNoSecret(t *testing.T) {
	for _, text := range []string{
		"- { id: a, secret: hunter2 }\nkept: yes",
		"- id: a\n  client_secret: hunter2\nkept: yes",
		"- id: a\n  secret: >-\n    hunter2\n\n    and hunter2\nkept: yes",
		"- id: a\n  secret:\n    hunter2\nkept: yes",
		"- id: a\n  secret: \"begins\nhunter2\"\nkept: yes",
		"- secret: |\n    hunter2\n  name: kept\nkept: yes",
		"- { id: a, secret:\n    hunter2,\n    name: x }\nkept: yes",
		"- id: a\n  ? secret\n  : hunter2\nkept: yes",
		"- id: a\n  \"s\\u0065cret\": hunter2\nkept: yes",
		"- id: a\n  'secret' : &x hunter2\nkept: yes",
		"- id: a\n  secret: [\n   hunter2 ]\nkept: yes",
		"url: https://u:hunter2@a.example/\nkept: yes",
		"# secret: hunter2\nkept: yes",
		"SECRET: hunter2\r\nkept: yes",
	} {
		got := Masked(text)
		if strings.Contains(got, "hunter2") || !strings.HasSuffix(got, "kept: yes") || strings.Count(got, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	plain := "secret_file: /run/secrets/a\nsecret_env: A_SECRET\n# where secrets stand\nname: Secret Society\n"
	if got := Masked(plain); got != plain {
		t.Errorf("%q becomes %q", plain, got)
	}
}

// TestSecretsAreHiddenWhereverTheirLinesStand: these are read as one client, and its secret
// is neither in the text that is kept nor in a report.
func TestSecretsAreHiddenWhereverTheirLinesStand(t *testing.T) {
	const before = "id: a, name: A, grants: [ standard ], redirect_uris: [ http://127.0.0.1/a ], audience: https://a.example, "
	for _, client := range []string{
		"{\n        " + before + "secret:\n      hunter2 }",
		"{\n        " + before + "\n        secret:\n\n      hunter2\n      }",
		"{\n        " + before + "\n        secret: \"begins\n      hunter2\" }",
		"{ " + before + "\"sec\\\n     ret\": hunter2 }",
	} {
		for url, fits := range map[string]bool{"http://127.0.0.1:1": true, "https://id.example": false} {
			text := "version: 1\nvendor: { name: L }\nserver: { public_url: \"" + url + "\" }\nscopes: { s: { name: S } }\nclients:\n  - " + client + "\n# kept"
			c, err := Parse("a.yaml", []byte(text), nil, noFiles)
			if fits != (err == nil) {
				t.Fatalf("%q: %v", client, err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the report shows the secret: %v", err)
				}
				continue
			}
			if strings.Contains(c.Text, "hunter2") || !strings.HasSuffix(c.Text, "# kept") || strings.Count(c.Text, "\n") != strings.Count(text, "\n") {
				t.Errorf("%q is kept as %q", client, c.Text)
			}
		}
	}
}

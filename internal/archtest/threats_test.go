package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// sources are the program's own files by their paths from the top, without tests.
func sources(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(top), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(filepath.Join(top, path))
		all[path] = string(text)
		return err
	})
	if err != nil || len(all) < 300 {
		t.Fatalf("%d files (%v)", len(all), err)
	}
	return all
}

// TestTB2_OnePlaceSigns: no other package can make a token of ours, so none can forget to ask whether
// its person may have one. oidctest plays identity providers.
func TestTB2_OnePlaceSigns(t *testing.T) {
	signs := regexp.MustCompile(`jose\.NewSigner\(|jwt\.Signed\(|jwt\.New\(|\bed25519\.Sign\(|\becdsa\.Sign|\brsa\.Sign|crypto\.SignMessage\(`)
	var found []string
	for path, text := range sources(t) {
		if signs.MatchString(text) {
			found = append(found, filepath.ToSlash(filepath.Dir(path)))
		}
	}
	slices.Sort(found)
	if got := slices.Compact(found); !slices.Equal(got, []string{"internal/credential", "oidc/oidctest"}) {
		t.Errorf("signatures are made in %v", got)
	}
}

// TestTF8_ThereIsNoSAML: neither a library nor a line of our own that reads an assertion in XML.
func TestTF8_ThereIsNoSAML(t *testing.T) {
	modules, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?i)saml|xmldsig|xmlenc`).Match(modules) {
		t.Error("go.mod names a library for SAML")
	}
	for path, text := range sources(t) {
		if strings.Contains(text, "xml.Unmarshal(") || strings.Contains(text, "xml.NewDecoder(") {
			t.Errorf("%s reads XML", path)
		}
	}
}

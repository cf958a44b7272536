// Package doctest holds what is written about the bridge against the bridge: every
// documented command is resolved or run, every table is compared with the code,
// every link leads somewhere.
package doctest

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository, seen from this folder.
const root = "../.."

// pages are what users and contributors read, by their path from the top.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "INVARIANTS.md",
		"testdata/idp/README.md", "scim/DIVERGENCES.md", "oidc/DIVERGENCES.md"}
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(docs) < 8 {
		t.Fatalf("docs/*.md: %v, %v", docs, err)
	}
	for _, d := range docs {
		all = append(all, "docs/"+filepath.Base(d))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// section is what stands under a heading, up to the next one of its rank or higher.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	text := read(t, page)
	_, rest, found := strings.Cut("\n"+text, "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	rank := len(heading) - len(strings.TrimLeft(heading, "#"))
	for end, fenced := 0, false; ; {
		line, _, more := strings.Cut(rest[end:], "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		hashes := len(line) - len(strings.TrimLeft(line, "#"))
		if !fenced && hashes > 0 && hashes <= rank || !more {
			return rest[:end]
		}
		end += len(line) + 1
	}
}

// column is one column of the tables in a text, head and ruler left out.
func column(text string, n int) []string {
	var out []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		ruler := regexp.MustCompile(`^\|[-| ]+\|$`)
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(strings.TrimSpace(line), "|") || ruler.MatchString(strings.TrimSpace(line)) || len(cells) <= n {
			continue
		}
		if i+1 < len(lines) && ruler.MatchString(strings.TrimSpace(lines[i+1])) {
			continue
		}
		out = append(out, strings.TrimSpace(cells[n]))
	}
	return out
}

var codeWord = regexp.MustCompile("`([^`]+)`")

// fenced is an example on lines of its own, which is not words.
var fenced = regexp.MustCompile("(?ms)^```.*?^```")

// words are what stands in code style.
func words(text string) []string {
	var out []string
	for _, m := range codeWord.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		out = append(out, m[1])
	}
	return out
}

// differ reports what only one of two lists has.
func differ(t *testing.T, what string, documented, real []string) {
	t.Helper()
	for _, x := range real {
		if !slices.Contains(documented, x) {
			t.Errorf("%s: %s is not documented", what, x)
		}
	}
	for _, x := range documented {
		if !slices.Contains(real, x) {
			t.Errorf("%s: %s is documented and does not exist", what, x)
		}
	}
}

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			target := page
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(page), u.Path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if strings.HasSuffix(target, ".md") && u.Fragment != "" && !slices.Contains(anchors(read(t, target)), u.Fragment) {
				t.Errorf("%s links to %s: no such heading", page, m[1])
			}
		}
	}
}

// anchors are the fragments that a page's headings answer to.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return out
}

// Pages are read by people elsewhere: no paths of somebody's machine, and no speed
// that is not in the page that is made from measurements, or the one that reckons with them.
func TestPagesNameNoMachineAndNoSpeed(t *testing.T) {
	machine := regexp.MustCompile(`(^|[^\w/.])/(root|home|work|Users)/[^/{]`)
	speed := regexp.MustCompile(`(?i)\d[\d,.]* ?(requests?|req|ops)(/s| a second| per second)|\d+ ?(ms|µs)\b`)
	for _, page := range pages(t) {
		text := read(t, page)
		if m := machine.FindString(text); m != "" && !strings.Contains(m, "/Users/") {
			t.Errorf("%s names a path of one machine: %q", page, m)
		}
		if page == "docs/performance.md" || page == "docs/scaling.md" { // which says what of it is arithmetic
			continue
		}
		if m := speed.FindString(text); m != "" {
			t.Errorf("%s states a speed, %q; figures stand in docs/performance.md", page, m)
		}
	}
}

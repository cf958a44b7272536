package history

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// Each file is a promise: what happened, line by line, and what must be found wrong in it.
func TestWhatIsFoundInAHistory(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var found strings.Builder
			for _, f := range a.Files {
				switch f.Name {
				case "history":
					r := told(t, string(f.Data))
					for _, v := range Outlived(r) {
						fmt.Fprintf(&found, "%s %s\n", verb(v), v.End.What)
					}
					for _, u := range Unasked(r) {
						fmt.Fprintf(&found, "%s refused for nothing\n", u.Credential)
					}
				case "found":
					if found.String() != string(f.Data) {
						t.Errorf("found\n%swant\n%s", &found, f.Data)
					}
				}
			}
		})
	}
}

func verb(v Violation) string {
	if v.Use.Credential == "" {
		return v.Credential.ID + " was made after"
	}
	return v.Credential.ID + " outlived"
}

// told reads lines such as
//
//	0-1 made token for ada,ada@geelong
//	2-3 end of ada: PATCH active=false, acknowledged by n1
//	4-5 token accepted by n2
//	6-  begin of ada
//
// An end without "acknowledged" was not answered; a span without its end is open.
func told(t *testing.T, text string) (r Record) {
	t.Helper()
	for line := range strings.Lines(text) {
		span, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, words := spanOf(t, span), strings.Fields(rest)
		switch {
		case len(words) == 0:
		case words[0] == "made":
			r.Credentials = append(r.Credentials, Credential{ID: words[1], Made: at, Keys: strings.Split(words[3], ",")})
		case words[0] == "begin":
			r.Begins = append(r.Begins, Begin{Key: words[2], At: at})
		case words[0] == "end":
			key, what, _ := strings.Cut(strings.TrimPrefix(rest, "end of "), ": ")
			what, by, acked := strings.Cut(what, ", acknowledged by ")
			r.Ends = append(r.Ends, End{Key: key, What: what, Node: by, At: at, Acked: acked})
		default:
			r.Uses = append(r.Uses, Use{Credential: words[0], Door: "userinfo", Node: words[3], At: at, Accepted: words[1] == "accepted"})
		}
	}
	return r
}

func spanOf(t *testing.T, s string) Span {
	t.Helper()
	from, to, _ := strings.Cut(s, "-")
	return Span{instant(t, from, 0), instant(t, to, Open)}
}

func instant(t *testing.T, s string, none time.Duration) time.Duration {
	t.Helper()
	if s == "" {
		return none
	}
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

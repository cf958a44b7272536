package session

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

var update = flag.Bool("update", false, "write what becomes of the sessions now into the promises")

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// TestPromises holds every file under testdata: what the person holds, where the
// session stands, what is done, and what must become of it.
func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d promises, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { promise(t, file) })
	}
}

func promise(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, f := range a.Files {
		given[f.Name] = strings.TrimSpace(string(f.Data))
	}
	before, after := readHeld(t, given["before"]), readHeld(t, given["after"])
	was := readSession(t, given["session"])
	was.Upstream.ACR, was.AuthTime = readSignIn(t, given["signed in"])
	s, events, err := do(t, given["do"], was, before, after, readDemands(t, given["demands"]))
	got := map[string]string{"becomes": showSession(s), "events": showEvents(events), "refused": showRefusal(t, err)}
	for i, f := range a.Files {
		if _, compared := got[f.Name]; !compared {
			continue
		}
		if *update {
			a.Files[i].Data = []byte(got[f.Name] + "\n")
		} else if got[f.Name] != given[f.Name] {
			t.Errorf("%s:\n%s\nwant:\n%s", f.Name, got[f.Name], given[f.Name])
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func do(t *testing.T, what string, s Session, before, after []access.Assignment, of access.Catalogue) (Session, []event.Event, error) {
	t.Helper()
	verb, arg, _ := strings.Cut(what, " ")
	switch verb {
	case "start":
		return Start(Opening{ID: "ses_1", Connection: "ironbark-entra", Person: "per_1", Held: before, Catalogue: of, Upstream: s.Upstream, AuthTime: s.AuthTime, Now: noon, Expires: noon.Add(12 * time.Hour)})
	case "switch":
		return Switch(s, before, access.AssignmentID(arg), of, noon)
	case "reconcile":
		s, events := Reconcile(s, before, after, noon)
		return s, events, nil
	case "offline":
		return GoOffline(s, "ses_1", access.ClientID(arg), before, noon, noon.Add(24*time.Hour))
	case "revoke":
		s, events := Revoke(s, arg, noon)
		return s, events, nil
	}
	t.Fatalf("nothing is called %q", what)
	return s, nil, nil
}

// readSession reads "active asg_1", "must_choose", "ended" or "expired asg_1".
func readSession(t *testing.T, text string) Session {
	t.Helper()
	s := Session{ID: "ses_1", Connection: "ironbark-entra", Person: "per_1", Version: 3, Expires: noon.Add(time.Hour)}
	text, offline := strings.CutPrefix(text, "offline ")
	if offline {
		s.Offline = "app"
	}
	state, on, _ := strings.Cut(text, " ")
	s.Active = access.AssignmentID(on)
	switch state {
	case "active":
		s.State = Active
	case "expired":
		s.State, s.Expires = Active, noon
	case "must_choose":
		s.State = MustChoose
	case "ended":
		s.State, s.EndReason = Ended, EndSignedOut
	case "":
	default:
		t.Fatalf("no state is called %q", state)
	}
	return s
}

// readSignIn reads "ACR TIME": how and when the provider signed the person in.
func readSignIn(t *testing.T, text string) (acr string, at time.Time) {
	t.Helper()
	acr, when, said := strings.Cut(text, " ")
	if !said {
		return acr, time.Time{}
	}
	at, err := time.Parse(time.RFC3339, when)
	if err != nil {
		t.Fatal(err)
	}
	return acr, at
}

// readDemands reads "GRANT acr VALUE…" and "GRANT max_age DURATION".
func readDemands(t *testing.T, text string) access.Catalogue {
	t.Helper()
	c := access.Catalogue{Grants: map[access.Grant]access.Terms{}}
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		terms := c.Grants[access.Grant(w[0])]
		switch w[1] {
		case "acr":
			terms.ACR = w[2:]
		case "max_age":
			d, err := time.ParseDuration(w[2])
			if err != nil {
				t.Fatal(err)
			}
			terms.MaxAge = d
		default:
			t.Fatalf("no demand is called %q", w[1])
		}
		c.Grants[access.Grant(w[0])] = terms
	}
	return c
}

// readHeld reads "ID standing grant@scope" and details: video, events=…, from
// TIME, until TIME.
func readHeld(t *testing.T, text string) []access.Assignment {
	t.Helper()
	var held []access.Assignment
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		grant, scope, _ := strings.Cut(w[2], "@")
		a := access.Assignment{ID: access.AssignmentID(w[0]), Person: "per_1", Standing: access.Standing(w[1]), Grant: access.Grant(grant), Scope: access.ScopeID(scope)}
		for i := 3; i < len(w); i++ {
			switch {
			case w[i] == "video":
				a.Flags.Video = true
			case w[i] == "from" || w[i] == "until":
				at, err := time.Parse(time.RFC3339, w[i+1])
				if err != nil {
					t.Fatal(err)
				}
				if w[i] == "from" {
					a.NotBefore = at
				} else {
					a.Until = at
				}
				i++
			default:
				t.Fatalf("no detail is called %q", w[i])
			}
		}
		held = append(held, a)
	}
	return held
}

func showSession(s Session) string {
	text := s.State.String()
	if s.Active != "" {
		text += " " + string(s.Active)
	}
	text += fmt.Sprintf(", version %d", s.Version)
	if s.Offline != "" {
		text += ", offline for " + string(s.Offline)
	}
	if s.EndReason != "" {
		text += ", because " + s.EndReason
	}
	return text
}

func showEvents(events []event.Event) string {
	var lines []string
	for _, e := range events {
		line := fmt.Sprintf("%s by %s", e.Type, e.Actor)
		for _, k := range slices.Sorted(maps.Keys(e.Data)) {
			line += " " + k + "=" + e.Data[k]
		}
		if e.Session != "ses_1" || e.Person != "per_1" || e.Connection != "ironbark-entra" || !e.At.Equal(noon) {
			line += " (about something else)"
		}
		lines = append(lines, line)
	}
	if lines == nil {
		return "none"
	}
	return strings.Join(lines, "\n")
}

func showRefusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "no"
	}
	if !fault.Is(err, fault.Denied) || fault.DetailOf(err) == "" {
		t.Errorf("a refusal is fault.Denied with a sentence: %v", err)
	}
	return fault.ReasonOf(err)
}

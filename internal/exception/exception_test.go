package exception

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/mapping"
)

var update = flag.Bool("update", false, "write what is found now into the promises")

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// source is a small organisation: two service providers, three accounts.
func source() mapping.PolicySource {
	s := func(id access.ScopeID, slug string, l access.Level, parent access.ScopeID) access.Scope {
		return access.Scope{ID: id, Slug: slug, Name: strings.ToUpper(slug), Level: l, Parent: parent}
	}
	scopes := []access.Scope{s("h", "", access.Host, ""), s("sp", "southern", access.ServiceProvider, "h"), s("bo", "boreal", access.ServiceProvider, "h"),
		s("ban", "banksia", access.Account, "sp"), s("ree", "reefline", access.Account, "sp"), s("tun", "tundra", access.Account, "bo"),
		s("gee", "geelong", access.Fleet, "ban"), s("hob", "hobart", access.Fleet, "ban"), s("cai", "cairns", access.Fleet, "ree")}
	return mapping.PolicySource{Scopes: scopes, Connections: []access.Connection{{ID: "banksia", IdP: "entra", Name: "Banksia", Root: "ban",
		Ceiling: access.Ceiling{Scope: "ban", Grants: []access.Grant{access.Associate, access.Standard, access.Elevated, access.Administrator}}}}}
}

func compile(t testing.TB, src mapping.PolicySource) *mapping.Policy {
	t.Helper()
	p, err := mapping.Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPromises holds every file under testdata: what somebody holds, and what of it is out
// of the ordinary.
func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d promises, %v", len(files), err)
	}
	policy := compile(t, source())
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := said(policy, Of(policy, read(t, policy, string(a.Files[0].Data)), noon))
			switch want := string(a.Files[1].Data); {
			case *update:
				a.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			case got != want:
				t.Errorf("found\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// read reads lines such as "standard @ southern/banksia/hobart by request req_1 until +14d video".
func read(t *testing.T, p *mapping.Policy, text string) Holder {
	t.Helper()
	h := Holder{}
	h.Connection, _ = p.Connection("banksia")
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		s, ok := p.Tree().Resolve(w[2])
		if !ok {
			t.Fatalf("no scope in %q", line)
		}
		a := access.Assignment{Grant: access.Grant(w[0]), Scope: s.ID, Flags: access.Grant(w[0]).Floor()}
		source := access.Source{Kind: access.SourceRule}
		q := request.Request{Need: 1, DecideBy: noon.Add(time.Hour)}
		for i := 3; i < len(w); i++ {
			next := func() string { i++; return w[i] }
			switch w[i] {
			case "by":
				if source.Kind = access.SourceKind(next()); source.Kind == "request" {
					source.Kind = access.SourceRequest
				}
				source.ID = next()
			case "until":
				a.Until = noon.Add(span(t, next()))
			case "decided":
				q.Asked.Until = noon.Add(span(t, next()))
			case "video":
				a.Flags.Video = true
			case "unconfirmed":
				q.Wish.BreakGlass, q.State = true, request.Unconfirmed
			case "successor":
				q.Successor = request.Party{Connection: "banksia", Person: "per_s"}
			default:
				t.Fatalf("%q in %q", w[i], line)
			}
		}
		a.Sources = []access.Source{source}
		h.Held = append(h.Held, a)
		if source.Kind != access.SourceRule {
			q.ID = access.RequestID(source.ID)
			h.Requests = append(h.Requests, q)
			h.Permits = append(h.Permits, access.Permit{Grant: a.Grant, Scope: a.Scope, Until: a.Until, Request: q.ID, Given: noon.Add(-time.Hour)})
		}
	}
	return h
}

func span(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.TrimPrefix(s, "+"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func said(p *mapping.Policy, all []Exception) string {
	var b strings.Builder
	place := func(at Pair) string { return fmt.Sprintf("%s @ %s", at.Grant, p.Tree().Path(at.Scope)) }
	for _, e := range all {
		fmt.Fprintf(&b, "%s: %s", e.Kind, place(e.Pair))
		for _, w := range e.With {
			fmt.Fprintf(&b, " + %s", place(w))
		}
		if len(e.Rules) > 0 || len(e.Requests) > 0 {
			fmt.Fprintf(&b, " by %v%v", e.Rules, e.Requests)
		}
		if !e.Until.IsZero() {
			fmt.Fprintf(&b, " until %v", e.Until.Sub(noon))
		}
		if !e.Since.IsZero() {
			fmt.Fprintf(&b, " since %v", e.Since.Sub(noon))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// What is over, or was retired, is no exception; what is new in the tree concerns nobody.
func TestWhatChangesExceptions(t *testing.T) {
	was := compile(t, source())
	for what, c := range map[string]struct {
		change   func(*mapping.PolicySource)
		concerns bool
	}{
		"nothing": {func(*mapping.PolicySource) {}, false},
		"a new fleet": {func(s *mapping.PolicySource) {
			s.Scopes = append(s.Scopes, access.Scope{ID: "new", Slug: "new", Name: "New", Level: access.Fleet, Parent: "ban"})
		}, false},
		"another name":      {func(s *mapping.PolicySource) { s.Scopes[6].Name = "Depot" }, false},
		"a moved fleet":     {func(s *mapping.PolicySource) { s.Scopes[6].Parent = "ree" }, true},
		"a retired account": {func(s *mapping.PolicySource) { s.Scopes[4].Retired = noon }, true},
		"a fleet that went": {func(s *mapping.PolicySource) { s.Scopes = s.Scopes[:len(s.Scopes)-1] }, true},
		"other risks":       {func(s *mapping.PolicySource) { high := access.RiskHigh; s.Catalogue.Video = &high }, true},
		"other classes": {func(s *mapping.PolicySource) {
			s.Requests.Classes = []mapping.RequestClass{{Name: "x", Permanent: true, Approvers: mapping.ScopeAdministrators, Need: 1}}
		}, true},
		"another ceiling": {func(s *mapping.PolicySource) { s.Connections[0].Ceiling.Grants = s.Connections[0].Ceiling.Grants[:2] }, true},
		"a connection that is new": {func(s *mapping.PolicySource) {
			s.Connections = append(s.Connections, access.Connection{ID: "t", IdP: "okta", Name: "T", Root: "tun", Ceiling: access.Ceiling{Scope: "tun", Grants: []access.Grant{access.Standard}}})
		}, true},
	} {
		src := source()
		c.change(&src)
		if got := Concerns(was, compile(t, src)); got != c.concerns {
			t.Errorf("%s concerns: %t", what, got)
		}
	}
}

func TestTimeAndRetirementEndExceptions(t *testing.T) {
	p := compile(t, source())
	h := read(t, p, "standard @ southern/banksia/hobart by rule r\nstandard @ southern/reefline/cairns by request req_1 until +1h\n")
	if got := Of(p, h, noon.Add(time.Hour-1)); len(got) == 0 {
		t.Error("nothing is found before the end")
	}
	if got := Of(p, h, noon.Add(time.Hour)); len(got) != 0 {
		t.Errorf("after the end: %s", said(p, got))
	}
	src := source()
	src.Scopes[4].Retired = noon
	if got := Of(compile(t, src), h, noon); len(got) != 0 {
		t.Errorf("at a retired scope: %s", said(p, got))
	}
}

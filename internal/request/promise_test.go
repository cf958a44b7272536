package request

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
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

var update = flag.Bool("update", false, "write what is decided now into the promises")

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// tree is a host with two service providers; Pacific's account Ironbark has two fleets,
// Coral's Reefline one.
func tree(t testing.TB) *access.Tree {
	t.Helper()
	var all []access.Scope
	for line := range strings.Lines(`host
pacific
pacific/ironbark
pacific/ironbark/adelaide
pacific/ironbark/perth
pacific/banksia
coral
coral/reefline
coral/reefline/cairns
`) {
		path := strings.TrimSpace(line)
		s := access.Scope{ID: access.ScopeID(path), Name: path, Level: access.Host}
		if path != "host" {
			parent, slug := "host", path
			if i := strings.LastIndex(path, "/"); i >= 0 {
				parent, slug = path[:i], path[i+1:]
			}
			s.Parent, s.Slug, s.Level = access.ScopeID(parent), slug, access.Level(2+strings.Count(path, "/"))
			s.Name = strings.ToUpper(slug[:1]) + slug[1:]
		}
		all = append(all, s)
	}
	tr, err := access.NewTree(all)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestPromises holds every file under testdata: what the policy says, what the person
// holds, what is asked for and how it is decided, and what comes of it.
func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 20 {
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
	s := Setting{Tree: tree(t), Policy: readPolicy(t, given["policy"]), Now: noon}
	h := readHolder(t, given["person"])
	w := readWish(t, given["asked"])
	o := Propose(s, h, w)
	if w.BreakGlass {
		o = Break(s, readRight(t, given["by"]), h, w, o)
	}
	got := map[string]string{"proposed": showOffer(s, h, o)}
	got["decided"] = decide(t, s, o, w, h, given["decisions"])
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

func howLong(t *testing.T, text string) time.Duration {
	t.Helper()
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d := howLong(t, days+"h")
		return 24 * d
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// readPolicy reads lines like "class visits grants technician need 2 longest 14d".
func readPolicy(t *testing.T, text string) (p mapping.Requests) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch words[0] {
		case "require":
			p.Require = []mapping.Requirement{}
			for _, w := range words[1:] {
				p.Require = append(p.Require, mapping.Requirement(w))
			}
		case "break_glass":
			g := &mapping.BreakGlass{Grants: []access.Grant{access.Grant(words[1])}}
			for i := 2; i+1 < len(words); i += 2 {
				switch words[i] {
				case "longest":
					g.Longest = howLong(t, words[i+1])
				case "within":
					g.Within = howLong(t, words[i+1])
				}
			}
			p.BreakGlass = g
		case "class":
			p.Classes = append(p.Classes, readClass(t, words[1:]))
		default:
			t.Fatalf("policy: %q", line)
		}
	}
	return p
}

func readClass(t *testing.T, words []string) mapping.RequestClass {
	c := mapping.RequestClass{Name: words[0], Need: 1, Approvers: mapping.ScopeAdministrators}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "grant":
			c.Grants = append(c.Grants, access.Grant(v))
		case "outside":
			c.Outside = true
		case "owners":
			c.Approvers = mapping.ServiceOwners
		case "need":
			c.Need = int(v[0] - '0')
		case "longest":
			c.Longest = howLong(t, v)
		case "permanent":
			c.Permanent = true
		case "require":
			c.Require = append(c.Require, mapping.Requirement(v))
		default:
			t.Fatalf("class: %q", w)
		}
	}
	return c
}

// readHolder reads "root pacific/ironbark", "certified" and what is held:
// "primary standard @ pacific/ironbark events=standard until=2d".
func readHolder(t *testing.T, text string) Holder {
	h := Holder{Party: Party{Connection: "ironbark", Person: "sam"}, Root: "pacific/ironbark"}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case words[0] == "root":
			h.Root = access.ScopeID(words[1])
		case words[0] == "certified":
			h.Certification = access.Certification{Level: access.CertificationLevels()[0], Until: noon.Add(300 * day)}
		default:
			terms := readTerms(t, words[1:])
			h.Held = append(h.Held, access.Assignment{ID: access.AssignmentID("asg_" + words[1]), Grant: terms.Grant, Scope: terms.Scope, Flags: terms.Flags, Until: terms.Until,
				Standing: access.Standing(words[0]), Sources: []access.Source{{Kind: access.SourceRequest, ID: "req_before", Standing: access.Standing(words[0])}}})
		}
	}
	return h
}

// readTerms reads "standard @ pacific/ironbark events=standard video until=2d".
func readTerms(t *testing.T, words []string) Terms {
	terms := Terms{Grant: access.Grant(words[0]), Scope: access.ScopeID(words[2])}
	for _, w := range words[3:] {
		switch k, v, _ := strings.Cut(w, "="); k {
		case "events":
			terms.Flags.Events = access.EventFlag(v)
		case "video":
			terms.Flags.Video = true
		case "until":
			terms.Until = noon.Add(howLong(t, v))
		default:
			t.Fatalf("terms: %q", w)
		}
	}
	terms.Flags = terms.Flags.Union(terms.Grant.Floor())
	return terms
}

func readWish(t *testing.T, text string) Wish {
	w := Wish{Reason: "R", Case: "C-1"}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch k {
		case "to":
			for _, one := range strings.Fields(v) {
				w.Workflows = append(w.Workflows, access.Workflow(one))
			}
		case "at":
			w.Area = access.ScopeID(v)
		case "grant":
			w.Grant = access.Grant(v)
		case "video":
			w.Flags.Video = true
		case "until":
			w.Until = noon.Add(howLong(t, v))
		case "from":
			w.NotBefore = noon.Add(howLong(t, v))
		case "permanent":
			w.Permanent = true
		case "extends":
			w.Extends = "req_before"
		case "at_once":
			w.BreakGlass = true
		case "no_reason":
			w.Reason = ""
		case "no_case":
			w.Case = ""
		default:
			t.Fatalf("asked: %q", line)
		}
	}
	return w
}

// readRight reads "alex administrator @ pacific", or "operator".
func readRight(t *testing.T, text string) Right {
	words := strings.Fields(text)
	if words[0] == "operator" {
		return Right{Operator: true, Name: "operator"}
	}
	return Right{Connection: "ironbark", Person: access.PersonID(words[0]), Grant: access.Grant(words[1]), Scope: access.ScopeID(words[3]), Manages: true}
}

func showTerms(x Terms) string {
	if x.Grant == "" {
		return "nothing"
	}
	s := fmt.Sprintf("%s @ %s events=%s video=%v", x.Grant, x.Scope, x.Flags.Events, x.Flags.Video)
	if !x.Until.IsZero() {
		s += " for " + Days(x.Until.Sub(noon))
	}
	return s
}

func showOffer(s Setting, h Holder, o Offer) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("smallest: %s", showTerms(o.Smallest))
	if o.Asked != o.Smallest {
		say("asked: %s", showTerms(o.Asked))
	}
	if o.Asked.Grant != "" {
		say("%s, risk %s -> %s, opens %s", o.Standing, RiskOf(s, h.Held), max(RiskOf(s, h.Held), o.Asked.Risk(s)), orNone(codes(o.Opens)))
		if len(o.Beyond) > 0 {
			say("beyond what was asked: %s", codes(o.Beyond))
		}
		seen := Newly(s, h, o.Asked.Scope, 20)
		say("newly visible: %v, customers %v", seen.Scopes, seen.Customers)
		say("class %s: %d of the %s, by %s", o.Class.Name, o.Need, o.Class.Approvers, Days(o.DecideBy.Sub(noon)))
	}
	if o.Several {
		say("several customers")
	}
	if o.Held != nil {
		say("held already: %s", o.Held.ID)
	}
	for _, r := range o.Refused {
		say("refused %s: %s", r.Reason, r.Text)
	}
	return strings.TrimSpace(b.String())
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// decide makes the decisions: "alex administrator @ pacific [less standard @ … until=1d]",
// or "after 8d" before the next.
func decide(t *testing.T, s Setting, o Offer, w Wish, h Holder, text string) string {
	r := Request{ID: "req_1", State: Open, By: Party{Operator: "desk"}, For: h.Party, Wish: w, Smallest: o.Smallest, Asked: o.Asked, Standing: o.Standing,
		Approvers: o.Class.Approvers, Need: o.Need, DecideBy: o.DecideBy, Created: noon}
	if w.BreakGlass {
		r.State = Unconfirmed
	}
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if wait, ok := strings.CutPrefix(line, "after "); ok {
			s.Now = noon.Add(howLong(t, wait))
			continue
		}
		if asker, ok := strings.CutPrefix(line, "asked by "); ok {
			r.By = Party{Connection: "ironbark", Person: access.PersonID(asker)}
			continue
		}
		who, lessText, isLess := strings.Cut(line, " less ")
		right := readRight(t, who)
		less := r.Result()
		if isLess {
			less = readTerms(t, strings.Fields(lessText))
		}
		by := Party{Connection: right.Connection, Person: right.Person}
		err := r.Eligible(s.Tree, right)
		var result Terms
		if err == nil {
			result, err = r.Approve(s, by, less)
		}
		if err != nil {
			out = append(out, fmt.Sprintf("%s: no, %s: %s", by.Person, fault.ReasonOf(err), fault.DetailOf(err)))
			continue
		}
		r.Approvals = append(r.Approvals, Approval{By: by, At: s.Now, Terms: result})
		said := fmt.Sprintf("%s: %s", by.Person, showTerms(result))
		if r.Enough(len(r.Approvals)) {
			r.State = Granted
			said += ", granted"
		}
		out = append(out, said)
	}
	if text != "" {
		out = append(out, "told: "+r.Told(s))
	}
	return strings.Join(out, "\n")
}

// codes are workflows as promises name them.
func codes(ws []access.Workflow) string {
	var all []string
	for _, w := range ws {
		all = append(all, string(w))
	}
	return strings.Join(all, ", ")
}

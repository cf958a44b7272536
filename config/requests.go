package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// What requests and reviews may say.
const (
	maxClasses   = 64
	maxReviews   = 64
	maxReminders = 8
	leastTime    = time.Minute // no request, review or reminder is shorter
	mostApprover = 2
)

// requirements are what a request may have to name.
func requirements() []mapping.Requirement {
	return []mapping.Requirement{mapping.RequireOrganisation, mapping.RequireReason, mapping.RequireCase, mapping.RequireUntil, mapping.RequireApprover}
}

// requests reads how people ask for access, and who decides.
func (l *loader) requests(root block) mapping.Requests {
	f, ok := root.get("requests")
	if !ok {
		return mapping.Requests{}
	}
	b, ok := f.open("require", "within", "remind", "classes", "break_glass")
	if !ok {
		return mapping.Requests{}
	}
	r := mapping.Requests{Require: b.words("require", requirements()), Within: b.atLeast("within", 0, leastTime, maxDuration), Remind: b.reminders(),
		Written: mapping.Written{Pos: f.pos(), FieldPos: b.places()}}
	if at, ok := b.get("classes"); ok {
		r.Classes = l.requestClasses(at)
	}
	if at, ok := b.get("break_glass"); ok {
		r.BreakGlass = l.breakGlass(at)
	}
	return r
}

func (l *loader) requestClasses(f field) []mapping.RequestClass {
	items := f.items()
	if len(items) > maxClasses {
		f.say("there are more than %d", maxClasses)
		return nil
	}
	var all []mapping.RequestClass
	names := map[string]bool{}
	for _, item := range items {
		b, ok := item.open("name", "grants", "scopes", "outside", "approvers", "need", "longest", "permanent", "require")
		if !ok {
			continue
		}
		c := mapping.RequestClass{Name: b.name(names), Grants: b.grants("grants"), Levels: b.levels("scopes"), Outside: b.truth("outside"),
			Approvers: b.approvers("approvers"), Need: b.approvals("need", 1), Longest: b.atLeast("longest", 0, leastTime, maxDuration),
			Permanent: b.truth("permanent"), Require: b.words("require", requirements()), Written: mapping.Written{Pos: item.pos(), FieldPos: b.places()}}
		all = append(all, c)
	}
	return all
}

func (l *loader) breakGlass(f field) *mapping.BreakGlass {
	b, ok := f.open("grants", "longest", "need", "within")
	if !ok {
		return nil
	}
	g := &mapping.BreakGlass{Grants: b.grants("grants"), Longest: b.atLeast("longest", 4*time.Hour, leastTime, 30*24*time.Hour),
		Need: b.approvals("need", mostApprover), Within: b.atLeast("within", 24*time.Hour, leastTime, 30*24*time.Hour),
		Written: mapping.Written{Pos: f.pos(), FieldPos: b.places()}}
	if _, named := b.need("grants"); named && len(g.Grants) == 0 {
		b.blame("grants").say("nobody could break glass; name the grants whose holders may, or leave break_glass out")
	}
	return g
}

// reviews reads the reviews that begin again and again.
func (l *loader) reviews(root block) []mapping.ReviewSource {
	f, ok := root.get("reviews")
	if !ok {
		return nil
	}
	items := f.items()
	if len(items) > maxReviews {
		f.say("there are more than %d", maxReviews)
		return nil
	}
	var all []mapping.ReviewSource
	names := map[string]bool{}
	for _, item := range items {
		b, ok := item.open("name", "select", "every", "within", "reviewers", "unanswered", "remind")
		if !ok {
			continue
		}
		r := mapping.ReviewSource{Name: b.name(names), Select: b.needText("select"), Every: b.atLeast("every", 0, time.Hour, maxDuration),
			Within: b.atLeast("within", 14*24*time.Hour, time.Hour, mapping.LongestReview), Reviewers: b.approvers("reviewers"),
			Unanswered: mapping.Unanswered(b.oneOf("unanswered", string(mapping.KeepUnanswered), string(mapping.RemoveUnanswered))), Remind: b.reminders(),
			Written: mapping.Written{Pos: item.pos(), FieldPos: b.places()}}
		if _, said := b.need("every"); said && r.Every > 0 && r.Within > r.Every {
			b.blame("within", "every").say("a review that begins every %s ends before the next: within is at most that", short(r.Every))
		}
		all = append(all, r)
	}
	return all
}

// name reads the name of an entry of a list, which no other has.
func (b block) name(taken map[string]bool) string {
	f, ok := b.need("name")
	if !ok {
		return ""
	}
	name, ok := f.text()
	switch {
	case !ok:
	case !validLabel(name):
		f.say("a name here is made of lower-case letters, digits, hyphens and underscores, begins with a letter, and has at most 64 of them")
	case taken[name]:
		f.say("another has the name %q", name)
	}
	taken[name] = true
	return name
}

func validLabel(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// words reads a list of words of which there are few. One that is empty says nothing, and
// is no way to say "none".
func (b block) words(name string, known []mapping.Requirement) (all []mapping.Requirement) {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	texts := make([]string, len(known))
	for i, k := range known {
		texts[i] = string(k)
	}
	items := f.items()
	for _, item := range items {
		if s, ok := item.choice(texts); ok {
			all = append(all, mapping.Requirement(s))
		}
	}
	if s, isList := f.value.(*ast.SequenceNode); isList && len(s.Values) == 0 {
		f.say("there is nothing in this list; name at least one, or leave the key out")
	}
	return all
}

// choice reads one of few words.
func (f field) choice(words []string) (string, bool) {
	s, ok := f.text()
	if !ok {
		return "", false
	}
	for _, w := range words {
		if w == s {
			return s, true
		}
	}
	f.hint(suggest.Closest(s, words), "this is %s, not %q", either(words), s)
	return "", false
}

// levels reads a list of levels of scopes.
func (b block) levels(name string) (all []access.Level) {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	known := []access.Level{access.Host, access.ServiceProvider, access.Account, access.Fleet}
	words := make([]string, len(known))
	for i, l := range known {
		words[i] = l.String()
	}
	for _, item := range f.items() {
		s, ok := item.choice(words)
		for i := range known {
			if ok && words[i] == s {
				all = append(all, known[i])
			}
		}
	}
	return all
}

func (b block) approvers(name string) mapping.Approvers {
	return mapping.Approvers(b.oneOf(name, string(mapping.ScopeAdministrators), string(mapping.ServiceOwners)))
}

// approvals reads how many people must agree.
func (b block) approvals(name string, usual uint64) int {
	n := b.number(name, usual, mostApprover)
	if f, ok := b.get(name); ok && n == 0 {
		f.say("at least one person agrees; one or two")
		return int(usual) //nolint:gosec // one or two
	}
	return n
}

// reminders reads how long before an end people are told.
func (b block) reminders() (all []time.Duration) {
	f, ok := b.get("remind")
	if !ok {
		return nil
	}
	items := f.items()
	if len(items) > maxReminders {
		f.say("there are more than %d", maxReminders)
		return nil
	}
	for _, item := range items {
		s, ok := item.text()
		if !ok {
			continue
		}
		d, err := parseDuration(s)
		switch {
		case err != nil:
			item.say("%v", err)
		case d < leastTime:
			item.say("%s is too short; at least %s", s, short(leastTime))
		default:
			all = append(all, d)
		}
	}
	return all
}

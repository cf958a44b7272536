package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// hinted is an error that knows what was probably meant.
type hinted struct{ message, suggestion string }

func (h hinted) Error() string { return h.message }

func unknownCapture(name string) error {
	return hinted{fmt.Sprintf("{%s} is not a level; captures are {%s}", name, strings.Join(captureNames(), "}, {")),
		braced(suggest.Closest(name, captureNames()))}
}

func braced(name string) string {
	if name == "" {
		return ""
	}
	return "{" + name + "}"
}

// segment is one step of a path: a slug, or what a capture stands for.
type segment struct {
	slug    string
	capture access.Level
}

// target is "grant @ path" as a rule writes it; no segments means the host.
type target struct {
	grant    access.Grant
	path     []segment
	field    string // where the rule says it: "give", "guest.0"
	standing access.Standing
	start    access.ScopeID // where the written beginning of the path ends
	rest     []segment      // the path from there: empty, or begins with a capture
}

// parseTarget reads "standard @ pacific/ironbark/{fleet}". The path "." is the
// host; spaces around the grant, the @ and the path do not count. A grant that
// nobody knows is reported beside the target, so that its path is looked at as well.
func parseTarget(text string) (t target, unknown, err error) {
	grant, path, ok := strings.Cut(text, "@")
	if !ok || strings.Contains(path, "@") {
		return target{}, nil, fmt.Errorf("%q is not of the form: grant @ path", text)
	}
	t = target{grant: access.Grant(strings.TrimSpace(grant))}
	if !t.grant.Known() {
		unknown = unknownGrant(t.grant)
	}
	path = strings.TrimSpace(path)
	if path == "." {
		return t, unknown, nil
	}
	for step := range strings.SplitSeq(path, "/") {
		s, err := parseSegment(step, len(t.path))
		if err != nil {
			return target{}, unknown, err
		}
		t.path = append(t.path, s)
	}
	return t, unknown, nil
}

func unknownGrant(g access.Grant) error {
	var names []string
	for _, k := range access.Grants() {
		names = append(names, string(k))
	}
	return hinted{fmt.Sprintf("%q is not a grant; there are %s", g, strings.Join(names, ", ")), suggest.Closest(string(g), names)}
}

func parseSegment(step string, depth int) (segment, error) {
	if depth > int(access.Fleet-access.ServiceProvider) {
		return segment{}, fmt.Errorf("the path is too long: nothing lies under a fleet")
	}
	level := access.ServiceProvider + access.Level(depth)
	name, isCapture := strings.CutPrefix(step, "{")
	if !isCapture {
		if step == "" || strings.ContainsAny(step, "{}. \t") {
			return segment{}, fmt.Errorf("the path has a step %q that is neither a slug nor a capture", step)
		}
		return segment{slug: step}, nil
	}
	name, closed := strings.CutSuffix(name, "}")
	captured, known := captureLevel(name)
	switch {
	case !closed:
		return segment{}, fmt.Errorf("the path has a step %q that is neither a slug nor a capture", step)
	case !known:
		return segment{}, unknownCapture(name)
	case captured != level:
		return segment{}, fmt.Errorf("{%s} stands where the path names the %s", name, level)
	}
	return segment{capture: captured}, nil
}

// captures lists the levels the path captures.
func (t target) captures() []access.Level {
	var levels []access.Level
	for _, s := range t.path {
		if s.capture != 0 {
			levels = append(levels, s.capture)
		}
	}
	return levels
}

// begin follows the written beginning of a path that has been checked.
func (t *target) begin(tree *access.Tree) {
	host, _ := tree.Resolve(".")
	t.start, t.rest = host.ID, t.path
	for len(t.rest) > 0 && t.rest[0].capture == 0 {
		c, _ := tree.Child(t.start, t.rest[0].slug)
		t.start, t.rest = c.ID, t.rest[1:]
	}
}

// written is the path up to its last written step, and how many captures follow.
func (t target) written() (target, int) {
	last := len(t.path)
	for last > 0 && t.path[last-1].capture != 0 {
		last--
	}
	open := len(t.path) - last
	t.path = t.path[:last]
	return t, open
}

// reach lists every scope the path could ever name in this tree, in its order.
// A path whose written part names nothing is an error.
func (t target) reach(tree *access.Tree) ([]access.ScopeID, error) {
	host, _ := tree.Resolve(".")
	at, names := []access.ScopeID{host.ID}, "."
	for _, s := range t.path {
		var next []access.ScopeID
		for _, id := range at {
			if s.capture == 0 {
				if c, ok := tree.Child(id, s.slug); ok {
					next = append(next, c.ID)
				}
				continue
			}
			for _, c := range tree.Children(id) {
				next = append(next, c.ID)
			}
		}
		if s.capture == 0 && len(at) > 0 {
			if len(next) == 0 {
				return nil, noScope(tree, at, s.slug, names)
			}
			if next = live(tree, next); len(next) == 0 && len(at) == 1 {
				return nil, retired(tree, at[0], s, names)
			}
		}
		at, names = next, s.under(names)
	}
	return at, nil
}

func noScope(tree *access.Tree, parents []access.ScopeID, slug, under string) error {
	var slugs []string
	for _, id := range parents {
		for _, c := range tree.Children(id) {
			slugs = append(slugs, c.Slug)
		}
	}
	return hinted{fmt.Sprintf("there is no scope %q under %s", slug, under), suggest.Closest(slug, slugs)}
}

func retired(tree *access.Tree, parent access.ScopeID, s segment, under string) error {
	c, _ := tree.Child(parent, s.slug)
	return left{fmt.Errorf("%s was retired on %s", s.under(under), tree.RetiredSince(c.ID).UTC().Format(time.DateOnly))}
}

// moved reports whether the path is a former one of what it leads to.
func (t target) moved(tree *access.Tree, to access.ScopeID) bool {
	steps := strings.Split(tree.Path(to), "/")
	for i, s := range t.path {
		if s.capture == 0 && (i >= len(steps) || steps[i] != s.slug) {
			return true
		}
	}
	return false
}

func live(tree *access.Tree, ids []access.ScopeID) []access.ScopeID {
	return slices.DeleteFunc(ids, func(id access.ScopeID) bool { return !tree.Live(id) })
}

func (s segment) under(parent string) string {
	step := s.slug
	if s.capture != 0 {
		step = braced(s.capture.String())
	}
	if parent == "." {
		return step
	}
	return parent + "/" + step
}

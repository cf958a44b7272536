package bridge_test

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestAMovedCommentIsNoNewPolicy: lines that move in the file make no new version,
// so nobody is decided anew; explain names the new lines.
func TestAMovedCommentIsNoNewPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "sam@banksia.example", "oid-sam")
	before, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	src := samplePolicy(t)
	for i := range src.Rules {
		src.Rules[i].Pos.Line += 10
		for field, pos := range src.Rules[i].FieldPos {
			pos.Line += 10
			src.Rules[i].FieldPos[field] = pos
		}
	}
	done, err := w.bridge.ApplyPolicy(w.ctx, src)
	w.do(err)
	if done.Changed || done.Version != before.Version {
		t.Errorf("a moved comment made version %d of %d", done.Version, before.Version)
	}
	found, err := w.bridge.Explain(w.ctx, "sam@banksia.example", "")
	w.do(err)
	if got, want := found[0].Reasons[0].Pos.Line, src.Rules[0].Pos.Line; got != want {
		t.Errorf("explain names line %d, want %d", got, want)
	}
	src.Rules[0].Flags.Video = !src.Rules[0].Flags.Video
	if done, err = w.bridge.ApplyPolicy(w.ctx, src); err != nil || !done.Changed {
		t.Errorf("another flag is no new policy: %v, %v", done, err)
	}
}

// TestARenamedScopeChangesNobodysAccess: with `was:` a scope keeps its id, and who
// is signed in stays so.
func TestARenamedScopeChangesNobodysAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	s := w.session(banksia, "oid-sam")
	w.policy(func(p *mapping.PolicySource) { renameScope(p, "southern/banksia/geelong", "corio", "geelong") })
	if b, a, _ := w.alive(s); !b || !a {
		t.Errorf("after the rename: browser %t, access token %t", b, a)
	}
	b, err := w.bridge.Browser(w.ctx, s.cookie)
	w.do(err)
	if got, was := b.Assignment, s.browser.Assignment; got.ID != was.ID || got.Scope.ID != was.Scope.ID || got.Scope.Path != "southern/banksia/corio" {
		t.Errorf("sam stands on %v, stood on %v", got, was)
	}
	w.policy(func(p *mapping.PolicySource) { renameScope(p, "southern/banksia/geelong", "barwon") })
	if _, err := w.bridge.Browser(w.ctx, s.cookie); err == nil {
		t.Error("a scope that is new, without a former name, kept what the old one gave")
	}
}

// renameScope gives the scope whose provisional id is path another slug; its name
// stays, so that groups which say it still find it.
func renameScope(p *mapping.PolicySource, path, slug string, was ...string) {
	p.Scopes = slices.Clone(p.Scopes)
	at := slices.IndexFunc(p.Scopes, func(s access.Scope) bool { return s.ID == access.ScopeID("path:"+path) })
	p.Scopes[at].Slug, p.Scopes[at].Was = slug, was
	if len(was) == 0 {
		p.Scopes[at].Name = "Elsewhere"
	}
}

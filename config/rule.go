package config

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func (l *loader) rules(root block) []mapping.RuleSource {
	f, ok := root.get("rules")
	if !ok {
		return nil
	}
	var rules []mapping.RuleSource
	ids := taken{}
	for _, item := range f.items() {
		before := len(l.list)
		r, ok := l.rule(item)
		l.blame(r, l.list[before:])
		ids.claim(r.ID, item, "id", "rule has the id")
		if ok {
			rules = append(rules, r)
		}
	}
	return rules
}

// blame remembers a rule that may lack something only because a key is misspelt, or
// its value could not be read: that it lacks it is no news.
func (l *loader) blame(r mapping.RuleSource, said []Problem) {
	for _, p := range said {
		for _, key := range []string{"group", "group_id", "all", "any", "give", "guest", "when"} {
			if p.Pos == r.FieldPos[key] || strings.HasPrefix(p.Message, "unknown key") {
				l.blamed[r.Pos] = true
			}
		}
	}
}

// taken are the names that entries of a list have, and where.
type taken map[string]mapping.Pos

// claim reports a name that another entry has.
func (t taken) claim(name string, of field, key, what string) {
	if name == "" {
		return // said already
	}
	at := of
	if b, ok := of.entries(); ok {
		at, _ = b.get(key)
	}
	if first, dup := t[name]; dup {
		at.say("another %s %q, %s", what, name, where(first, at.report.name))
		return
	}
	t[name] = at.pos()
}

func (l *loader) rule(f field) (mapping.RuleSource, bool) {
	b, ok := f.open("id", "from", "group", "group_id", "all", "any", "none", "when", "give", "guest", "flags", "for",
		"not_before", "until", "expires", "mode", "note", "owner")
	if !ok {
		return mapping.RuleSource{}, false
	}
	r := mapping.RuleSource{
		ID: b.needText("id"), From: access.ConnectionID(b.needText("from")),
		Group: b.text("group"), GroupID: b.text("group_id"), All: b.groupRefs("all"), Any: b.groupRefs("any"), None: b.groupRefs("none"),
		When: b.text("when"), Give: b.text("give"), Guest: b.texts("guest"),
		For:       b.duration("for", 0, maxDuration),
		NotBefore: b.instant("not_before"), Until: b.instant("until"), Expires: b.instant("expires"),
		Mode: mapping.Mode(b.oneOf("mode", string(mapping.Enforce), string(mapping.Shadow))),
		Note: b.text("note"), Owner: b.text("owner"),
		Written: mapping.Written{Pos: f.pos(), FieldPos: b.places("guest", "all", "any", "none")},
	}
	if flags, ok := b.get("flags"); ok {
		r.Flags = l.flags(flags)
	}
	return r, true // what could not be read is reported at its place, and only once
}

// groupRefs reads a list of groups. An entry that could not be read stays, empty,
// so that places agree.
func (b block) groupRefs(name string) []mapping.GroupRef {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	items := f.items()
	if s, isList := f.value.(*ast.SequenceNode); isList && len(s.Values) == 0 {
		f.say("there is no group here; leave the key out or name one")
	}
	refs := make([]mapping.GroupRef, len(items))
	for i, item := range items {
		if item.isBlock() {
			in, _ := item.open("group", "group_id")
			refs[i] = in.groupRef()
			continue
		}
		refs[i].Group, _ = item.text()
	}
	return refs
}

// groupRef reads how one group is asked for.
func (b block) groupRef() mapping.GroupRef {
	ref := mapping.GroupRef{Group: b.text("group"), GroupID: b.text("group_id")}
	_, byName := b.get("group")
	_, byID := b.get("group_id")
	if byName == byID {
		b.say("this needs group or group_id, and not both")
	}
	return ref
}

// places are where the block's values are written, and the entries of those lists
// that are named, as mapping.GuestField has it.
func (b block) places(lists ...string) map[string]mapping.Pos {
	places := make(map[string]mapping.Pos, len(b.order))
	for _, name := range b.order {
		at := b.fields[name]
		places[name] = at.pos()
		if list, ok := at.value.(*ast.SequenceNode); ok && slices.Contains(lists, name) {
			for i, v := range list.Values {
				places[mapping.EntryField(name, i)] = field{report: b.report, value: v}.pos()
			}
		}
	}
	return places
}

func (l *loader) flags(f field) access.Flags {
	b, ok := f.open("events", "video")
	if !ok {
		return access.Flags{}
	}
	flags := access.Flags{Video: b.truth("video")}
	words := []string{access.EventsNone.String(), string(access.EventsStandard), string(access.EventsRestricted)}
	if e := b.oneOf("events", words...); slices.Contains(words, e) && e != words[0] {
		flags.Events = access.EventFlag(e)
	}
	return flags
}

package config

import (
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// maxGuarded bounds the numbers of people that a guard speaks of.
const maxGuarded = math.MaxInt32

// guard reads what a change may not do unless somebody approves it by name.
func (l *loader) guard(root block) mapping.Guard {
	f, ok := root.get("guard")
	if !ok {
		return mapping.Guard{}
	}
	b, ok := f.open("max_people_losing", "max_people_without_access", "keep_administrators", "alarm")
	if !ok {
		return mapping.Guard{}
	}
	g := mapping.Guard{Losing: b.share("max_people_losing"), WithoutAccess: b.share("max_people_without_access"),
		Written: mapping.Written{Pos: f.pos(), FieldPos: b.places()}}
	if _, ok := b.get("keep_administrators"); ok {
		n := int64(b.number("keep_administrators", 1, 1000))
		g.Administrators = &n
	}
	if at, ok := b.get("alarm"); ok {
		g.Alarm = l.alarm(at)
	}
	return g
}

// alarm reads what of an identity provider's own changes raises an alarm.
func (l *loader) alarm(f field) mapping.Alarm {
	b, ok := f.open("people_gaining", "group_shrunk", "group_deleted", "within")
	if !ok {
		return mapping.Alarm{}
	}
	return mapping.Alarm{Gaining: b.share("people_gaining"), Shrunk: b.share("group_shrunk"), Deleted: b.share("group_deleted"),
		Within: b.duration("within", 0, maxDuration)}
}

// share reads a number of people, or a part of them such as 5%; nil if there is none.
func (b block) share(name string) *mapping.Share {
	f, ok := b.get(name)
	if !ok || !f.plain() {
		return nil
	}
	switch v := f.value.(type) {
	case *ast.IntegerNode:
		if n, isUnsigned := v.Value.(uint64); isUnsigned && n <= maxGuarded {
			return &mapping.Share{People: int64(n)}
		}
	case *ast.StringNode:
		if s, ok := parseShare(v.Value); ok {
			return &s
		}
	}
	f.say("this is a number of people, or a share of them from 1%% to 100%%")
	return nil
}

// parseShare reads a share as text: 5%.
func parseShare(s string) (mapping.Share, bool) {
	digits, isShare := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !isShare || err != nil || n < 1 || n > 100 {
		return mapping.Share{}, false
	}
	return mapping.Share{Percent: int64(n)}, true
}

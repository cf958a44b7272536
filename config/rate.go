package config

import (
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Bounds of a rate. Less than 25 requests a second is less than Entra ID asks of
// every SCIM server.
const (
	leastPerSecond = 25
	mostPerSecond  = 1_000_000
	mostBurst      = 1_000_000_000
	usualBurst     = 100 // seconds' worth, where nothing is said
)

// rate reads how much somebody may ask, at least so much; missing is the zero Rate.
func (b block) rate(name string, least int) access.Rate {
	f, ok := b.get(name)
	if !ok {
		return access.Rate{}
	}
	in, ok := f.open("per_second", "burst")
	if !ok {
		return access.Rate{}
	}
	if _, ok := in.need("per_second"); !ok {
		return access.Rate{}
	}
	r := access.Rate{PerSecond: in.whole("per_second", least, mostPerSecond)}
	r.Burst = usualBurst * r.PerSecond
	if _, ok := in.get("burst"); ok {
		r.Burst = in.whole("burst", max(r.PerSecond, least), mostBurst)
	}
	return r
}

// whole reads a whole number within bounds; 0 where there is none.
func (b block) whole(name string, least, most int) int {
	f, ok := b.get(name)
	if !ok || !f.plain() {
		return 0
	}
	v, ok := f.value.(*ast.IntegerNode)
	if !ok {
		f.say("this must be a whole number")
		return 0
	}
	n, err := strconv.Atoi(v.Token.Value)
	if err != nil || n < least || n > most {
		f.say("this is a whole number from %d to %d, not %s", least, most, v.Token.Value)
		return 0
	}
	return n
}

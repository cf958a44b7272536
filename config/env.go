package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// envPrefix begins the name of every variable that is ours.
const envPrefix = "DRAWBRIDGE_"

// overrides lists the variables that take the place of a value in the file, by
// the path of the value.
func overrides() map[string]string {
	return map[string]string{
		"server.listen":         "DRAWBRIDGE_SERVER_LISTEN",
		"server.public_url":     "DRAWBRIDGE_SERVER_PUBLIC_URL",
		"server.metrics_listen": "DRAWBRIDGE_SERVER_METRICS_LISTEN",
		"server.data":           "DRAWBRIDGE_SERVER_DATA",
		"log.level":             "DRAWBRIDGE_LOG_LEVEL",
	}
}

// environment is the variables and which of them the file has asked for.
type environment struct {
	values map[string]string
	asked  map[string]bool
}

func readEnvironment(environ []string) environment {
	e := environment{values: map[string]string{}, asked: map[string]bool{}}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			e.values[name] = value
		}
	}
	return e
}

// get returns a variable that is set and not empty.
func (e environment) get(name string) (string, bool) {
	e.asked[name] = true
	v := e.values[name]
	return v, v != ""
}

// leftOver reports variables with our prefix that mean nothing: a typing error
// there would otherwise be silent.
func (e environment) leftOver(r *report) {
	known := slices.Sorted(maps.Values(overrides()))
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		if strings.HasPrefix(name, envPrefix) && !e.asked[name] {
			r.add(mapping.Pos{File: "environment"}, 0, fmt.Sprintf("%s means nothing to the bridge", name), suggest.Closest(name, known))
		}
	}
}

// overridden is the value of a text with its override, and a function that
// reports a problem where the value came from.
func (l *loader) overridden(b block, name, path, usual string) (string, func(format string, args ...any)) {
	f, inFile := b.get(name)
	value := usual
	say := b.say
	if inFile {
		say = f.say
		if s, ok := f.text(); ok {
			value = s
		}
	}
	variable := overrides()[path]
	if v, ok := l.env.get(variable); ok {
		return v, func(format string, args ...any) {
			l.add(mapping.Pos{File: "environment"}, 0, variable+": "+fmt.Sprintf(format, args...), "")
		}
	}
	return value, say
}

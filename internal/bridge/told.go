package bridge

import (
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// What events say of assignments and memberships, as text: the past is answered from it.

// noteInstant puts an instant into an event's data, to the millisecond that the store
// keeps; none is left out.
func noteInstant(data map[string]string, key string, t time.Time) {
	if !t.IsZero() {
		data[key] = t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
	}
}

func sourceName(s access.Source) string { return string(s.Kind) + ":" + s.ID }

// sourceNames is several sources in one text: a JSON list of names and groups by turns.
func sourceNames(sources []access.Source) string {
	var names []string
	for _, s := range sources {
		names = append(names, sourceName(s), string(s.Group))
	}
	text, _ := json.Marshal(names) // strings always marshal
	return string(text)
}

package config

import "time"

// Instants of the file lie between these, so that they can be written down anywhere.
var (
	firstInstant = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// instant reads an optional instant: RFC 3339, with its zone.
func (b block) instant(name string) time.Time {
	f, ok := b.get(name)
	if !ok {
		return time.Time{}
	}
	s, ok := f.text()
	if !ok {
		return time.Time{}
	}
	at, meant, ok := parseInstant(s)
	if !ok {
		f.hint(meant, "%q is not an instant such as 2027-06-30T00:00:00Z: a date, a time and a zone (RFC 3339)", s)
	}
	return at
}

// parseInstant reads an instant, in UTC; meant is what a text that is none probably says.
func parseInstant(s string) (at time.Time, meant string, ok bool) {
	at, err := time.Parse(time.RFC3339, s)
	if err == nil && !at.Before(firstInstant) && !at.After(lastInstant) {
		return at.UTC(), "", true
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, s); err == nil {
			return time.Time{}, at.Format(time.RFC3339), false
		}
	}
	return time.Time{}, "", false
}

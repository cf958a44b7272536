package config

import (
	"fmt"
	"time"
)

// maxDuration bounds every duration of the file: ten years.
const maxDuration = 3650 * 24 * time.Hour

// parseDuration reads durations as people write them: 14d, 12h, 5m, 30s, and
// larger units before smaller ones, 1d12h. Whole numbers only.
func parseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 14d, 12h, 5m or 30s", text)
	var sum time.Duration
	smallest := maxDuration
	for rest := text; rest != ""; {
		digits := 0
		n := time.Duration(0)
		for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' && digits < 7 {
			n = n*10 + time.Duration(rest[digits]-'0')
			digits++
		}
		if digits == 0 || digits == len(rest) {
			return 0, bad
		}
		unit, known := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}[rest[digits]]
		if !known || unit >= smallest {
			return 0, bad
		}
		smallest, rest = unit, rest[digits+1:]
		if n > maxDuration/unit || sum+n*unit > maxDuration {
			return 0, fmt.Errorf("%q is longer than ten years", text)
		}
		sum += n * unit
	}
	if sum == 0 {
		return 0, bad
	}
	return sum, nil
}

// duration reads a duration; missing is usual.
func (b block) duration(name string, usual, most time.Duration) time.Duration {
	f, ok := b.get(name)
	if !ok {
		return usual
	}
	s, ok := f.text()
	if !ok {
		return usual
	}
	d, err := parseDuration(s)
	switch {
	case err != nil:
		f.say("%v", err)
		return usual
	case d > most:
		f.say("%s is too long; at most %s", s, short(most))
	}
	return d
}

// short writes a duration as the file would.
func short(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

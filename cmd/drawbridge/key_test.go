package main

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/keys"
)

func TestDoctorFindsKeysThatDidNotChangeInTime(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	s := keys.Schedule{Rotate: 90 * day, PublishAhead: day, Keep: 30 * day}
	for name, row := range map[string]struct {
		age  time.Duration
		next bool
		want string
	}{
		"new":              {day, false, api.LevelOK},
		"announced":        {89*day + 2*time.Hour, true, api.LevelOK},
		"not announced":    {89*day + 2*time.Hour, false, api.LevelWarn},
		"not replaced":     {92 * day, true, api.LevelFail},
		"nothing was done": {92 * day, false, api.LevelFail},
		"announced lately": {90*day + 20*time.Hour, true, api.LevelOK},
	} {
		all := []keys.Key{{ID: "key_1", Algorithm: "ES256", State: "active", Since: now.Add(-row.age)}}
		if row.next {
			all = append(all, keys.Key{ID: "key_2", Algorithm: "ES256", State: "next", Since: now})
		}
		var levels []string
		examineSigningKeys(all, s, now, func(level, _, _ string, _ ...any) { levels = append(levels, level) })
		if got := strings.Join(levels, " "); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

package main

import (
	"encoding/json"
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

// What an erased key signed is refused when the command returns, and applications go on
// with what they refresh.
func TestErasingASigningKeyFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	c := d.client("southern-entra")
	held, err := c.SignIn(t.Context(), "kim@southern.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args   []string
		active bool
	}{
		{[]string{"key", "rotate", "--now"}, true},
		{[]string{"key", "retire", "RETIRED", "--now"}, false},
	} {
		var all []keys.Key
		if code, out := d.command("key", "list", "--json"); code != exitDone || json.Unmarshal([]byte(out), &all) != nil {
			t.Fatalf("%d %s", code, out)
		}
		for _, k := range all {
			if k.State == "retired" && k.Algorithm == "ES256" && step.args[2] == "RETIRED" {
				step.args[2] = k.ID
			}
		}
		if code, out := d.command(step.args...); code != exitDone {
			t.Fatalf("%v: %d %s", step.args, code, out)
		}
		if said, err := c.Introspect(t.Context(), held.AccessToken); err != nil || said["active"] != step.active {
			t.Errorf("%v: introspection: %v, %v", step.args, said, err)
		}
	}
	renewed, err := c.Refresh(t.Context(), held.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := c.Introspect(t.Context(), renewed.AccessToken); err != nil || said["active"] != true {
		t.Errorf("what was refreshed: %v, %v", said, err)
	}
}

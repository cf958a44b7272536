package event

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// The audit chain holds what is appended: it reads as json.Marshal would have
// written it, whatever stands in the event.
func TestAppendJSONWritesWhatMarshalWrites(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[a-z_]{0,8}`), rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		e := Event{Type: Type(text.Draw(t, "type")), Actor: Actor(text.Draw(t, "actor")),
			At:         time.Unix(rapid.Int64Range(-1<<33, 1<<34).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Connection: access.ConnectionID(text.Draw(t, "connection")), Person: access.PersonID(text.Draw(t, "person")),
			Session: text.Draw(t, "session"), Request: text.Draw(t, "request")}
		if rapid.Bool().Draw(t, "has data") {
			e.Data = rapid.MapOfN(text, text, 0, 20).Draw(t, "data")
		}
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.AppendJSON(nil)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%s (%v)\nwant %s", got, err, want)
		}
	})
}

// AppendJSON names every field: a new one must be added there, too.
func TestAppendJSONKnowsEveryField(t *testing.T) {
	if n := reflect.TypeFor[Event]().NumField(); n != 9 {
		t.Errorf("Event has %d fields; AppendJSON writes 8 and leaves Personal out", n)
	}
	if _, err := (Event{At: time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC)}).AppendJSON(nil); err == nil {
		t.Error("a year of five digits is written")
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := Event{Type: AssignmentGiven, Actor: ByScim, At: time.Date(2026, 11, 27, 1, 2, 3, 123456789, time.UTC), Connection: "banksia-entra",
		Person: "per_01kb2y3v6w0h7x9q8m5n4r3s2t", Request: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Data: map[string]string{"assignment": "asg_01kb2y3v6w0h7x9q8m5n4r3s2t",
			"grant": "standard", "scope": "scp_01kb2y3v6w0h7x9q8m5n4r3s2t", "standing": "primary", "events": "none", "video": "false", "source": "rule:drivers"}}
	b.Run("json.Marshal", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(e)
		}
	})
	b.Run("AppendJSON", func(b *testing.B) {
		buf := make([]byte, 0, 1<<10)
		for b.Loop() {
			buf, _ = e.AppendJSON(buf[:0])
		}
	})
}

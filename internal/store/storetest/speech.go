package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// What connections say is counted by connection, day and word, and forgotten in time.
func testSpeech(t *testing.T, f *fixture) {
	today := store.DayOf(day)
	at := func(conn access.ConnectionID, daysAgo int, word string, n int64) store.SpeechCount {
		return store.SpeechCount{Connection: conn, Day: today.AddDate(0, 0, -daysAgo), Word: word, Count: n}
	}
	add := func(now time.Time, counts ...store.SpeechCount) {
		t.Helper()
		f.update(func(tx *store.Tx) error { return tx.AddSpeech(counts, now) })
	}
	is := func(conn access.ConnectionID, want ...store.SpeechCount) {
		t.Helper()
		f.view(func(v *store.View) error {
			got, err := v.Speech(conn, time.Time{}.AddDate(1969, 0, 0))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%q said %v (%v), want %v", conn, got, err, want)
			}
			return nil
		})
	}
	is(north)
	add(day, at(north, 0, "requests", 2), at(south, 0, "requests", 1), at(north, 1, "flag", 7))
	add(day.Add(time.Hour), at(north, 0, "requests", 3), at("nobody", 0, "requests", 1))
	is(north, at(north, 0, "requests", 5), at(north, 1, "flag", 7))
	is(south, at(south, 0, "requests", 1))
	f.view(func(v *store.View) error {
		got, err := v.Speech(north, day)
		if err != nil || !slices.Equal(got, []store.SpeechCount{at(north, 0, "requests", 5)}) {
			t.Errorf("today it said %v (%v)", got, err)
		}
		return nil
	})
	// An evening's counts may be written after midnight, a day's begin is not moved by it.
	add(day.AddDate(0, 0, store.SpeechDays-1), at(north, 0, "late", 1))
	is(north, at(north, 0, "late", 1), at(north, 0, "requests", 5))
	add(day.AddDate(0, 0, store.SpeechDays), at(north, -store.SpeechDays, "requests", 1))
	is(north, at(north, -store.SpeechDays, "requests", 1))
	is(south, at(south, 0, "requests", 1))
}

package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// SpeechDays is for how many days, with the present one, it is kept what a
// connection's requests were like.
const SpeechDays = 30

// SpeechCount is how often a word was counted for a connection on one day, in UTC.
// Whoever counts takes the words from a small fixed set.
type SpeechCount struct {
	Connection access.ConnectionID
	Day        time.Time // its beginning
	Word       string
	Count      int64
}

const secondsADay = 24 * 60 * 60

func dayNumber(t time.Time) int64 { return t.Unix() / secondsADay }

// DayOf is the beginning of the UTC day of an instant.
func DayOf(t time.Time) time.Time { return time.Unix(dayNumber(t)*secondsADay, 0).UTC() }

// AddSpeech adds counts to those that are there, and forgets what that connection said
// more than SpeechDays ago, seen from now. Counts of a connection that is not there
// are left out.
func (tx *Tx) AddSpeech(counts []SpeechCount, now time.Time) error {
	const op = "store.AddSpeech"
	said := map[access.ConnectionID]bool{}
	for _, c := range counts {
		said[c.Connection] = true
		_, err := tx.exec(op, `insert into scim_speech (conn, day, word, count) select key, $2, $3, $4 from connections where id = $1
			on conflict (conn, day, word) do update set count = scim_speech.count + excluded.count`,
			string(c.Connection), dayNumber(c.Day), c.Word, c.Count)
		if err != nil {
			return err
		}
	}
	for conn := range said {
		_, err := tx.exec(op, `delete from scim_speech where conn = (select key from connections where id = $1) and day <= $2`,
			string(conn), dayNumber(now)-SpeechDays)
		if err != nil {
			return err
		}
	}
	return nil
}

// Speech is what was counted for a connection since a day, the latest day first, then
// by word.
func (v *View) Speech(conn access.ConnectionID, since time.Time) ([]SpeechCount, error) {
	return list(v, "store.Speech", func(r Row) (SpeechCount, error) {
		var c SpeechCount
		var day int64
		err := r.Scan(&c.Connection, &day, &c.Word, &c.Count)
		c.Day = time.Unix(day*secondsADay, 0).UTC()
		return c, err
	}, `select c.id, s.day, s.word, s.count from scim_speech s join connections c on c.key = s.conn
		where c.id = $1 and s.day >= $2 order by s.day desc, s.word`, string(conn), dayNumber(since))
}

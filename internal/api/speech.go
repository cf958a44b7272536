package api

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

// Speaks is what a connection's SCIM requests say about who sends them.
type Speaks struct {
	Sentence    string   `json:"sentence"`
	Detected    []string `json:"detected" doc:"the dialects it may be, the likeliest first; empty if nothing gives it away"`
	Variant     string   `json:"variant,omitempty" doc:"how that identity provider has been set up, where that shows"`
	Sure        bool     `json:"sure" doc:"nobody else speaks like that"`
	Contradicts bool     `json:"contradicts" doc:"the connection is set up for another identity provider"`
	Requests    int64    `json:"requests_today"`
	Lenient     int64    `json:"lenient_today" doc:"of these, how many relied on a leniency"`
	Beyond      []string `json:"beyond" doc:"leniencies of the last seven days that its dialect is not known to need"`
}

func (a *api) speaks(ctx context.Context, c access.Connection) (Speaks, error) {
	s, err := a.Bridge.Speaks(ctx, c)
	if err != nil {
		return Speaks{}, err
	}
	return Speaks{Sentence: s.String(), Detected: listed(s.Verdict.Names), Variant: s.Verdict.Variant, Sure: s.Verdict.Sure,
		Contradicts: s.Contradicts(), Requests: s.Today.Requests, Lenient: s.Today.Lenient, Beyond: listed(s.Beyond)}, nil
}

// listed is a list that JSON shows as one when it is empty.
func listed(words []string) []string { return append([]string{}, words...) }

// ConnectionDetail is a connection with what its requests were like, day by day.
type ConnectionDetail struct {
	Connection
	Root    access.ScopeID `json:"root"`
	Contact string         `json:"contact,omitempty"`
	Strict  bool           `json:"strict"`
	Alarms  []Alarm        `json:"alarms" doc:"what its identity provider did at large within the last seven days, the newest first"`
	Days    []SpeechDay    `json:"days" doc:"the last thirty UTC days, the present one first; a silent day is left out"`
}

// SpeechDay is what a connection's requests were like on one UTC day.
type SpeechDay struct {
	Day        string           `json:"day" format:"date"`
	Requests   int64            `json:"requests"`
	Lenient    int64            `json:"lenient"`
	Leniencies map[string]int64 `json:"leniencies" doc:"by its kind, how many requests relied on it"`
	Signs      map[string]int64 `json:"signs" doc:"what requests gave away, and how many of them"`
	Sentence   string           `json:"sentence"`
}

type connectionInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
}

func (a *api) connection(ctx context.Context, in *connectionInput) (*body[ConnectionDetail], error) {
	rows, err := a.Bridge.Connections(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.ID == in.Connection {
			return a.detail(ctx, row)
		}
	}
	return nil, fault.New(fault.NotFound, "api.connection", "there is no connection %q", in.Connection)
}

func (a *api) detail(ctx context.Context, row bridge.ConnectionView) (*body[ConnectionDetail], error) {
	short, err := a.shortly(ctx, row)
	if err != nil {
		return nil, err
	}
	days, err := a.Bridge.SpeechOf(ctx, row.ID, store.SpeechDays)
	if err != nil {
		return nil, err
	}
	alarms, err := a.alarms(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	out := ConnectionDetail{Connection: short, Alarms: alarms, Root: row.Root, Contact: row.Contact, Strict: row.SCIM.Strict, Days: []SpeechDay{}}
	for _, d := range days {
		if d.Requests > 0 {
			out.Days = append(out.Days, spoken(d.Day, d.Speech))
		}
	}
	return &body[ConnectionDetail]{out}, nil
}

func spoken(day time.Time, s dialect.Speech) SpeechDay {
	return SpeechDay{Day: day.Format(time.DateOnly), Requests: s.Requests, Lenient: s.Lenient, Sentence: "speaks " + s.Detect().String() + "; " + s.Reliance(),
		Leniencies: counted(s.Leniencies), Signs: counted(s.Signs)}
}

func counted(words map[string]int64) map[string]int64 {
	if words == nil {
		return map[string]int64{}
	}
	return words
}

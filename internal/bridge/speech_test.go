package bridge_test

import (
	"context"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// TestWhatConnectionsSayIsCountedByTheDay: counts show at once, are written by the
// background work, survive a restart, and are each connection's own.
func TestWhatConnectionsSayIsCountedByTheDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	classic := []string{schema.NoteAnyCase + ": op", schema.NoteStringBoolean + ": active"}
	hear := func(conn access.ConnectionID, notes []string) {
		w.bridge.Hear(conn, dialect.Signs(dialect.Request{Method: "PATCH", Resource: "Users", Notes: notes}), notes)
	}
	hear(banksia, classic)
	hear(banksia, nil)
	w.speaks(banksia, "speaks Microsoft Entra ID without the flag aadOptscim062020; today 1 of 2 requests relied on a leniency: operations not in lower case (1), booleans sent as text (1)")
	w.speaks(southern, "speaks no dialect that gives itself away; today no requests")

	w.background()
	w.restart()
	w.speaks(banksia, "speaks Microsoft Entra ID without the flag aadOptscim062020; today 1 of 2 requests relied on a leniency: operations not in lower case (1), booleans sent as text (1)")
	hear(banksia, classic)
	w.speaks(banksia, "speaks Microsoft Entra ID without the flag aadOptscim062020; today 2 of 3 requests relied on a leniency: operations not in lower case (2), booleans sent as text (2)")

	w.clock.Add(24 * time.Hour)
	w.speaks(banksia, "speaks Microsoft Entra ID without the flag aadOptscim062020; today no requests")
	hear(banksia, nil)
	days, err := w.bridge.SpeechOf(w.ctx, banksia, store.SpeechDays)
	if err != nil || len(days) != 2 || days[0].Requests != 1 || days[1].Requests != 3 || days[1].Lenient != 2 || days[1].Signs[dialect.SignPatchUser] != 3 {
		t.Errorf("%+v (%v)", days, err)
	}
	w.clock.Add(store.SpeechDays * 24 * time.Hour)
	hear(banksia, nil)
	w.background()
	if days, err = w.bridge.SpeechOf(w.ctx, banksia, 1000); err != nil || len(days) != 1 {
		t.Errorf("what was said too long ago is remembered: %+v (%v)", days, err)
	}
}

// TestAConnectionThatHearsAnotherProviderSaysSo: Okta's User-Agent on a connection of
// Entra's.
func TestAConnectionThatHearsAnotherProviderSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	okta := dialect.Signs(dialect.Request{Agent: "Okta SCIM Client 1.0.0", Method: "PUT", Resource: "Groups"})
	for conn, contradicts := range map[access.ConnectionID]bool{banksia: true, tundra: false} {
		w.bridge.Hear(conn, okta, []string{schema.NoteWrapped + ": title"})
		c, err := w.bridge.Connection(w.ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.bridge.Speaks(w.ctx, c)
		if err != nil || s.Contradicts() != contradicts {
			t.Errorf("%s: %+v (%v)", conn, s, err)
		}
		if beyond := len(s.Beyond) == 1; beyond != (conn == tundra) { // Entra needs everything
			t.Errorf("%s relied beyond its dialect: %v", conn, s.Beyond)
		}
	}
}

func (w *world) speaks(conn access.ConnectionID, want string) {
	w.t.Helper()
	c, err := w.bridge.Connection(w.ctx, conn)
	if err != nil {
		w.t.Fatal(err)
	}
	if got, err := w.bridge.Speaks(w.ctx, c); err != nil || got.String() != want {
		w.t.Errorf("%s\n got %s (%v)\nwant %s", conn, got, err, want)
	}
}

// background runs the background work to its end, as a stop does.
func (w *world) background() {
	ctx, stop := context.WithCancel(w.ctx)
	stop()
	w.bridge.Run(ctx)
}

//go:build lanes

package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// overheard is told which rows are asked for.
type overheard struct {
	store.Engine
	hear func(query string, args []any)
}

func (e overheard) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(hearing{q, e.hear}) })
}

type hearing struct {
	store.Querier
	hear func(query string, args []any)
}

func (q hearing) Each(scan func(store.Row) error, query string, args ...any) error {
	q.hear(query, args)
	return q.Querier.Each(scan, query, args...)
}

// Who reads the outbox reads what it names, in a database, too, of which the server knows nothing yet: it
// is read behind every commit.
func TestTheOutboxIsReadByItsIDs(t *testing.T) {
	url := migrated(t)
	e, err := OpenEngine(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	var with []any
	s, err := store.New(t.Context(), overheard{e, func(query string, args []any) { asked, with = query, args }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	populated(t, s, someConn)
	const events = 2000
	for range events / 100 {
		must(t, s, func(tx *store.Tx) error {
			for range 100 {
				if err := tx.Append(event.Event{Type: event.MemberAdded, Actor: event.ByScim, At: someDay, Connection: someConn}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = s.View(t.Context(), func(v *store.View) error {
		rows, err := v.Outbox(900, 1000)
		if len(rows) != 1000 || rows[0].ID != 901 || rows[0].Connection != someConn || len(rows[0].Body) == 0 {
			t.Errorf("%d rows of the outbox, the first %+v", len(rows), rows[:min(1, len(rows))])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Connect(t.Context(), url+" options='-c drawbridge.connection=host'")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // it has told all it knows
	values, formats, err := bindAll(with)
	if err != nil {
		t.Fatal(err)
	}
	answer := conn.ExecParams(t.Context(), "explain (costs off) "+asked, values, nil, formats, nil).Read()
	if answer.Err != nil {
		t.Fatal(answer.Err)
	}
	plan := ""
	for _, line := range answer.Rows {
		plan += string(line[0]) + "\n"
	}
	if strings.Contains(plan, "Seq Scan on audit") || !strings.Contains(plan, "Index Scan using audit_pkey on audit") {
		t.Errorf("%s\nis read so:\n%s", asked, plan)
	}
}

//go:build lanes

package postgres

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Whose groups and assignments are asked for is looked for one by one, also where the server believes that
// there are next to none: it goes on so when the tables have grown.
func TestThoseWhoAreAskedForAreLookedForOneByOne(t *testing.T) {
	e, err := OpenEngine(t.Context(), migrated(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	populated(t, s, someConn)
	fill(t, s, 300)
	g := hotGroup(t, s)
	for _, key := range keysOf(t, s, 300) {
		if err := join(t.Context(), s, g, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{
		"select m.person, m.grp, m.since from " + dialect.Probed("$1", "memberships", "m", "m.conn = $2 and m.person = k.value") + " order by m.person, m.grp",
		"select id, person from " + dialect.Probed("$1", "assignments", "a", "a.conn = $2 and a.person = k.value"), // of whom nobody has any
	} {
		plan := ""
		err = e.Update(t.Context(), someConn, func(q store.Querier) error {
			return q.Search(t.Context(), func(r store.Row) error {
				var line string
				err := r.Scan(&line)
				plan += line + "\n"
				return err
			}, "explain (costs off) "+query, "[1, 2, 3]", int64(1))
		}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		if all := readWhole(plan); len(all) > 0 {
			t.Errorf("%s\nreads all of %v\n%s", query, all, plan)
		}
	}
}

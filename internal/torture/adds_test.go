//go:build lanes

package torture

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/history"
)

// rows are what the database holds, read beside the product.
type rows struct {
	trail  []event.Event
	is     history.State
	groups map[access.PersonID][]string // names
	holds  map[access.PersonID][]string // grant @ fleet
	broken []string                     // links of the audit chain
	people int
}

// ruled is the policy of the lane, as a second reading has it.
func ruled() []history.Rule {
	var out []history.Rule
	for _, places := range fleets {
		for _, fleet := range places {
			out = append(out, history.Rule{Group: group(fleet), Gives: "standard @ " + fleet})
		}
	}
	return out
}

// addsUp compares, when all is at rest, the trail with what is held (I-10), the chain with
// itself (I-11), and what is held with what the rules give now (I-8).
func (w *world) addsUp(t testing.TB) {
	t.Helper()
	w.settled(t)
	var r rows
	within(t, patience, "the trail is read, sealed to its end", func() (err error) {
		r, err = w.rows()
		return err
	})
	for _, s := range first(history.Differences(history.Fold(r.trail), r.is, "the trail", "the database")) {
		t.Errorf("I-10: %s", s)
	}
	for _, s := range first(r.broken) {
		t.Errorf("I-11: %s", s)
	}
	var wrong []string
	for who, is := range r.is {
		want := history.Recomputed(ruled(), is.Active, r.groups[who])
		have := slices.Sorted(slices.Values(r.holds[who]))
		if !slices.Equal(want, have) {
			wrong = append(wrong, fmt.Sprintf("%s, in %q, holds %q and not %q", who, r.groups[who], have, want))
		}
	}
	for _, s := range first(wrong) {
		t.Errorf("I-8: %s", s)
	}
	t.Logf("%d people and %d rows of the trail add up", r.people, len(r.trail))
}

func first(all []string) []string { return all[:min(len(all), 10)] }

// settled waits until nobody is to be decided anew.
func (w *world) settled(t testing.TB) {
	t.Helper()
	within(t, patience, "all is decided", func() error {
		var said struct {
			Waiting      int64 `json:"waiting"`
			LargeChanges int   `json:"large_changes"`
		}
		if err := w.api(context.Background(), w.nodes[0], http.MethodGet, "/status", nil, &said); err != nil {
			return err
		}
		if said.Waiting+int64(said.LargeChanges) > 0 {
			return fmt.Errorf("%d wait", said.Waiting)
		}
		return nil
	})
}

func (w *world) database() (*sql.DB, error) {
	if w.postgres == nil {
		return sql.Open("sqlite", "file:"+filepath.Join(w.nodes[0].Data(), "drawbridge.db")+"?mode=ro")
	}
	return sql.Open("pgx", w.postgres.Address("postgres", "drawbridge")) // its owner: row-level security binds the nodes
}

// rows reads everything in one transaction, once all that it sees of the trail is sealed: a
// request whose client has hung up may be committed late.
func (w *world) rows() (r rows, err error) {
	db, err := w.database()
	if err != nil {
		return r, err
	}
	defer db.Close() //nolint:errcheck // only read
	ctx := context.Background()
	how := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	if w.postgres == nil {
		how = nil // a transaction of SQLite sees one state
	}
	tx, err := db.BeginTx(ctx, how)
	if err != nil {
		return r, err
	}
	defer tx.Rollback() //nolint:errcheck // only read
	var unsealed int
	if err := tx.QueryRow("select count(*) from audit where seq is null").Scan(&unsealed); err != nil || unsealed > 0 {
		return r, cmp.Or(err, fmt.Errorf("%d rows are not sealed", unsealed))
	}
	r = rows{is: history.State{}, groups: map[access.PersonID][]string{}, holds: map[access.PersonID][]string{}}
	return r, errors.Join(r.readTrail(tx), r.readPeople(tx), r.readPlaces(tx))
}

func (r *rows) readTrail(tx *sql.Tx) error {
	type link struct {
		seq  int64
		hash []byte
	}
	heads := map[int64]link{}
	return each(tx, "select conn, seq, body, personal_digest, prev, hash from audit order by conn, seq", func(scan func(...any) error) error {
		var conn, seq int64
		var body string
		var digest, prev, hash []byte
		if err := scan(&conn, &seq, &body, &digest, &prev, &hash); err != nil {
			return err
		}
		head := heads[conn]
		if seq != head.seq+1 || !bytes.Equal(prev, head.hash) || !bytes.Equal(hash, audit.Hash(prev, seq, []byte(body), digest)) {
			r.broken = append(r.broken, fmt.Sprintf("connection %d: row %d does not follow row %d", conn, seq, head.seq))
		}
		heads[conn] = link{seq, hash}
		var e event.Event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return err
		}
		r.trail = append(r.trail, e)
		return nil
	})
}

func (r *rows) readPeople(tx *sql.Tx) error {
	return each(tx, "select id, active from people", func(scan func(...any) error) error {
		var id access.PersonID
		s := history.Standing{Groups: map[string]bool{}, Holds: map[string]string{}}
		err := scan(&id, &s.Active)
		r.is[id] = s
		r.people++
		return err
	})
}

func (r *rows) readPlaces(tx *sql.Tx) error {
	groups := each(tx, "select p.id, g.id, g.display_name from memberships m join people p on p.key = m.person join groups g on g.key = m.grp", func(scan func(...any) error) error {
		var id access.PersonID
		var grp, name string
		err := scan(&id, &grp, &name)
		r.is[id].Groups[grp] = true
		r.groups[id] = append(r.groups[id], name)
		return err
	})
	held := each(tx, "select p.id, a.id, a.grant_kind, a.scope, s.slug from assignments a join people p on p.key = a.person join scope_slugs s on s.scope = a.scope and s.rank = 0", func(scan func(...any) error) error {
		var id access.PersonID
		var assignment, grant, scope, slug string
		err := scan(&id, &assignment, &grant, &scope, &slug)
		r.is[id].Holds[assignment] = grant + " @ " + scope
		r.holds[id] = append(r.holds[id], grant+" @ "+slug)
		return err
	})
	return errors.Join(groups, held)
}

func each(tx *sql.Tx, query string, row func(scan func(...any) error) error) error {
	found, err := tx.Query(query)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Fields(query)[len(strings.Fields(query))-1], err)
	}
	defer found.Close() //nolint:errcheck // read to its end
	for found.Next() {
		if err := row(found.Scan); err != nil {
			return err
		}
	}
	return found.Err()
}

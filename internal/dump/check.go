package dump

import (
	"context"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Finding is something in a database that contradicts something else in it.
type Finding struct {
	Check string `json:"check"` // engine, counters, access, audit, marks
	What  string `json:"what"`
}

// shown is how much of one kind is told.
const shown = 20

// rule is a query whose every row is a sentence about something wrong.
type rule struct{ check, sql string }

func counted(table, what, key, column, rows string) rule {
	return rule{"counters", fmt.Sprintf(`select '%[2]s ' || t.%[3]s || ' says %[4]s=' || cast(t.%[4]s as text) || ', there are ' || cast((select count(*) from %[5]s) as text)
		from %[1]s t where t.%[4]s <> (select count(*) from %[5]s)`, table, what, key, column, rows)}
}

// rules hold in every state that a transaction leaves, and so in every snapshot.
func rules() []rule {
	return []rule{
		counted("connections", "connection", "id", "people", "people p where p.conn = t.key"),
		counted("connections", "connection", "id", "groups", "groups g where g.conn = t.key and not g.dissolving"),
		{"counters", `select 'group ' || t.id || ' says member_count=' || cast(t.member_count as text) || ', there are ' || cast((select count(*) from memberships m where m.grp = t.key) as text)
			from groups t where not t.dissolving and t.changing = 0 and t.member_count <> (select count(*) from memberships m where m.grp = t.key)`},
		counted("receivers", "receiver", "receiver", "pending", "deliveries d where d.receiver = t.receiver"),
		counted("cases", "case", "number", "waiting", "requests r where r.case_id = t.id and r.case_id <> '' and r.waits = 1"),
		{"access", `select 'assignment ' || a.id || ' is by a rule, and the ceiling of its connection does not reach it' from assignments a where a.by_rule and not exists (
			select 1 from ceilings c join scope_ancestors s on s.ancestor = c.scope and s.scope = a.scope where c.conn = a.conn and c.grant_kind = a.grant_kind and c.scope = a.ceiling_scope)`},
		{"access", `select 'assignment ' || a.id || ' is by people, and no permit gives it' from assignments a where not a.by_rule and not exists (
			select 1 from permits p where p.conn = a.conn and p.person = a.person and p.grant_kind = a.grant_kind and p.scope = a.scope and p.id = a.permit)`},
		{"access", `select 'assignment ' || a.id || ' is held by nobody of its connection' from assignments a where not exists (select 1 from people p where p.conn = a.conn and p.key = a.person)`},
		{"access", `select 'a person of ' || c.id || ' has several primary assignments' from assignments a join connections c on c.key = a.conn where a.standing = 'primary' group by a.conn, a.person, c.id having count(*) > 1`},
		{"access", `select 'scope ' || s.id || ' is not below its parent ' || s.parent from scopes s where s.parent <> '' and not s.gone and s.batch = 0
			and not exists (select 1 from scope_ancestors a where a.scope = s.id and a.ancestor = s.parent and not a.retired)`},
		{"access", `select 'scope ' || s.id || ' does not cover itself' from scopes s where not s.gone and s.batch = 0
			and not exists (select 1 from scope_ancestors a where a.scope = s.id and a.ancestor = s.id and not a.retired)`},
		{"access", `select 'session ' || s.id || ' is of nobody' from sessions s where s.state <> 0 and not exists (select 1 from people p where p.conn = s.conn and p.id = s.person)
			and not exists (select 1 from tombstones t where t.conn = s.conn and t.id = s.person)`},
		{"audit", `select 'row ' || cast(a.id as text) || ' was passed over by the sealer, which is at ' || cast(m.id as text) from audit a cross join audit_sealed m where a.id <= m.id and a.seq is null`},
		{"audit", `select 'row ' || cast(a.id as text) || ' is sealed, and the sealer is at ' || cast(m.id as text) from audit a cross join audit_sealed m where a.id > m.id and a.seq is not null`},
		{"audit", `select 'the chain of connection ' || cast(h.conn as text) || ' has a head at ' || cast(h.seq as text) || ', its last row is ' || cast(coalesce((select max(a.seq) from audit a where a.conn = h.conn), 0) as text)
			from audit_heads h where h.seq <> coalesce((select max(a.seq) from audit a where a.conn = h.conn), 0)`},
		{"marks", `select 'the sealer has read to ' || cast(m.id as text) || ', and the last row is ' || cast(coalesce((select max(id) from audit), 0) as text)
			from audit_sealed m where m.id > coalesce((select max(id) from audit), 0)`},
		{"marks", `select 'the index of the audit trail is at ' || cast(i.id as text) || ', ahead of the sealer at ' || cast(m.id as text) from audit_indexed i cross join audit_sealed m where i.id > m.id`},
		{"marks", `select 'the relay has read to ' || cast(m.mark as text) || ', and the last row is ' || cast(coalesce((select max(id) from audit), 0) as text)
			from relay m where m.mark > coalesce((select max(id) from audit), 0)`},
		{"marks", `select 'row ' || cast(o.id as text) || ' of the outbox tells of nothing' from outbox o where not exists (select 1 from audit a where a.id = o.id)`},
		{"marks", `select 'row ' || cast(a.id as text) || ' of the audit trail waits to be told, and is not in the outbox' from audit a cross join relay m where a.id > m.mark
			and not exists (select 1 from outbox o where o.id = a.id)`},
		{"marks", `select 'the row of the host, or a mark, is missing' where (select count(*) from host) <> 1 or (select count(*) from audit_sealed) <> 1 or (select count(*) from audit_indexed) <> 1 or (select count(*) from relay) <> 1`},
	}
}

// Check compares what is in a database with itself. It changes nothing, and a bridge may go on
// beside it.
func Check(ctx context.Context, e store.Engine) (found []Finding, err error) {
	err = e.View(ctx, func(q store.Querier) error {
		of := gathered{}
		if err := e.Dialect().Catalog.Sound(q, func(what string) { of.add("engine", what) }); err != nil {
			return err
		}
		for _, r := range rules() {
			if err := of.rule(ctx, q, r); err != nil {
				return err
			}
		}
		if err := of.keys(e, q); err != nil {
			return err
		}
		found = of.all
		return nil
	})
	if err != nil {
		return nil, err
	}
	chains, err := checkChains(ctx, store.Reading(e))
	return append(found, chains...), err
}

// Sound refuses a database that the engine finds unsound, as fault.Invalid.
func Sound(ctx context.Context, e store.Engine) error {
	of := gathered{}
	err := e.View(ctx, func(q store.Querier) error {
		return e.Dialect().Catalog.Sound(q, func(what string) { of.add("engine", what) })
	})
	if err == nil && len(of.all) > 0 {
		return fault.New(fault.Invalid, op+".Sound", "the database is not sound: %s", of.all[0].What)
	}
	return err
}

// gathered is what was found, some of each kind.
type gathered struct{ all []Finding }

func (g *gathered) add(check, what string) { g.all = append(g.all, Finding{check, what}) }

func (g *gathered) rule(ctx context.Context, q store.Querier, r rule) error {
	n := 0
	err := q.Search(ctx, func(row store.Row) error {
		var what string
		if err := row.Scan(&what); err != nil {
			return err
		}
		if n++; n <= shown {
			g.add(r.check, what)
		} else {
			g.all[len(g.all)-1].What = "and more of the same"
		}
		return nil
	}, r.sql+fmt.Sprintf(" limit %d", shown+1))
	return fault.Wrap(fault.Unavailable, op+".Check", err)
}

// keys holds the counters of keys against the keys that are there.
func (g *gathered) keys(e store.Engine, q store.Querier) error {
	all, err := counters(e, q)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.table == "outbox" { // its keys are those of the audit trail
			continue
		}
		var most int64
		if err := q.QueryRow(fmt.Sprintf(`select coalesce(max("%s"), 0) from "%s"`, c.column, c.table)).Scan(&most); err != nil {
			return fault.Wrap(fault.Unavailable, op+".Check", err)
		}
		if most > c.last {
			g.add("counters", fmt.Sprintf("%s goes on behind key %d, and there is one with %d: keys would be given twice", c.table, c.last, most))
		}
	}
	return nil
}

// checkChains walks the audit chain of every connection, and the host's.
func checkChains(ctx context.Context, s *store.Store) (found []Finding, err error) {
	var all []store.ConnectionRow
	err = s.View(ctx, func(v *store.View) (err error) { all, err = v.Connections(); return err })
	if err != nil {
		return nil, err
	}
	for _, id := range append([]access.ConnectionID{""}, ids(all)...) {
		r, err := audit.Verify(ctx, s, id)
		if err != nil {
			return nil, err
		}
		name := "the host's chain"
		if id != "" {
			name = "the chain of " + string(id)
		}
		if r.Bad != 0 {
			found = append(found, Finding{"audit", fmt.Sprintf("%s is broken at row %d: %s", name, r.Bad, r.Why)})
		}
	}
	return found, nil
}

func ids(all []store.ConnectionRow) []access.ConnectionID {
	out := make([]access.ConnectionID, len(all))
	for i, c := range all {
		out[i] = c.ID
	}
	return out
}

package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// A group whose members are exchanged for far fewer gets a successor: another row of
// groups, which looks like one that dissolves, and so is seen by nobody, until it has
// all its members. Then it takes the group's place, id and all, and what was the group
// dissolves. Neither costs what the members cost who leave.

// afterID parts a group's id from what tells its other rows apart. No id has it.
const afterID = "~"

// Origin is the id that the group is known by, whichever of its rows this is.
func (g Group) Origin() access.GroupID {
	id, _, _ := strings.Cut(string(g.ID), afterID)
	return access.GroupID(id)
}

func (g Group) successorID() string { return string(g.ID) + afterID }

// PrepareSuccessor makes a successor of g without members. There is at most one.
func (d *DirectoryTx) PrepareSuccessor(g Group) error {
	_, err := d.tx.exec("store.PrepareSuccessor", `insert into groups (conn, id, display_name, name_key, version, dissolving, created_at, updated_at, doc)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		d.conn, g.successorID(), g.DisplayName, Fold(g.DisplayName), g.Version, true, ms(g.Created), ms(g.Updated), string(g.Doc))
	return err
}

// successorOf finds the key of the successor that is being prepared.
func (d *DirectoryTx) successorOf(op string, g Group) (key int64, err error) {
	err = d.v.q.QueryRow(`select key from groups where conn = $1 and id = $2`, d.conn, g.successorID()).Scan(&key)
	return key, d.v.found(err, op, "successor")
}

// StageMembers makes people members of the successor that is being prepared. Who is a
// member of g keeps the instant they joined; others join at since.
func (d *DirectoryTx) StageMembers(g Group, keys []PersonKey, since time.Time) error {
	const op = "store.StageMembers"
	next, err := d.successorOf(op, g)
	if err != nil {
		return err
	}
	in := d.dialect().Keys("$3")
	_, err = d.tx.exec(op, `insert into memberships (conn, grp, person, since)
		select $1, $2, p.key, coalesce((select m.since from memberships m where m.grp = $4 and m.person = p.key), $5)
		from people p where p.conn = $1 and p.key in (`+in+`) on conflict (grp, person) do nothing`, d.conn, next, jsonList(keys), int64(g.Key), ms(since))
	if err != nil {
		return err
	}
	_, err = d.tx.exec(op, `update memberships set staying = $1 where grp = $2 and conn = $4 and person in (`+in+`)`, true, int64(g.Key), jsonList(keys), d.conn)
	return err
}

// Succeed lets the successor take g's place: g is that row afterwards, and what it was
// dissolves behind a fence. fenced lays one over the successor as well.
func (d *DirectoryTx) Succeed(g *Group, fenced bool, now time.Time) error {
	const op = "store.Succeed"
	next, err := d.successorOf(op, *g)
	if err != nil {
		return err
	}
	was := *g
	for _, s := range []struct {
		query string
		args  []any
	}{
		{`update groups set id = $1, dissolving = $2, successor = $3, changing = 0, unknown = 0, updated_at = $6 where conn = $4 and key = $5 and not dissolving`,
			[]any{string(was.ID) + afterID + strconv.FormatInt(int64(was.Key), 10), true, next, d.conn, int64(was.Key), ms(now)}},
		{`update groups set id = $1, dissolving = $2, display_name = $3, name_key = $4, external_id = $5, version = $6, changing = $7, unknown = $8,
			created_at = $9, updated_at = $10, doc = $11, member_count = (select count(*) from memberships where grp = $13) where conn = $12 and key = $13`,
			[]any{string(was.ID), false, was.DisplayName, Fold(was.DisplayName), nullable(was.ExternalID), was.Version + 1, ms(was.Changing), was.Unknown,
				ms(was.Created), ms(now), string(was.Doc), d.conn, next}},
		{`update member_edits set grp = $1 where conn = $2 and grp = $3`, []any{next, d.conn, int64(was.Key)}},
		{`update member_drift set grp = $1 where conn = $2 and grp = $3`, []any{next, d.conn, int64(was.Key)}},
	} {
		if _, err := d.tx.exec(op, s.query, s.args...); err != nil {
			return err
		}
	}
	over := []int64{int64(was.Key)}
	if fenced {
		over = append(over, next)
	}
	if err := d.nextFence(op); err != nil {
		return err
	}
	if _, err := d.layFence(op, `key in (`+d.dialect().Keys("$3")+`)`, jsonList(over)); err != nil {
		return err
	}
	*g, err = d.Group(was.ID)
	return err
}

// Leaving is a member of a group that dissolves.
type Leaving struct {
	Joined
	Staying bool // as a member of its successor from its first instant
	Again   bool // who did not stay, but has joined it since
}

// NextLeaving lists those whom DropMembers will drop next.
func (d *Directory) NextLeaving(g Group, limit int) ([]Leaving, error) {
	return list(d.v, "store.NextLeaving", func(r Row) (l Leaving, err error) {
		var since int64
		err = r.Scan(&l.Key, &since, &l.Staying, &l.Again)
		l.Since, l.Again = at(since), l.Again && !l.Staying
		return l, err
	}, `select person, since, staying, exists (select 1 from groups g join memberships s on s.grp = g.successor and s.person = m.person where g.conn = $2 and g.key = $1)
		from memberships m where m.grp = $1 and m.conn = $2 order by person limit $3`, int64(g.Key), d.conn, limit)
}

// NextFenced lists those whom TakeFenced will take next.
func (d *Directory) NextFenced(g Group, limit int) ([]PersonKey, error) {
	return list(d.v, "store.NextFenced", scanKey, `select m.person from groups g join memberships m on m.grp = g.key and m.person > g.fence_done
		where g.conn = $1 and g.key = $2 and g.fence > 0 order by m.person limit $3`, d.conn, int64(g.Key), limit)
}

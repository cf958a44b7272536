package store

import (
	"math"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Drift is a member id that an identity provider names and nobody here has: somebody
// deleted, or another's. Ids are ours to make, so it will never be anybody's.
type Drift struct {
	Group  access.GroupID
	Name   string // the group's
	Member string // as it was sent
	First  time.Time
	Last   time.Time
	Times  int64
}

// What is kept of drift: so many ids of one group, and so many of one connection, the
// latest; and of an id that is not ours by its length, its beginning.
const (
	DriftOfGroup      = 200
	DriftOfConnection = 5000
	driftBytes        = 256
)

// NoteDrift remembers ids that were named as members and are nobody's.
func (d *DirectoryTx) NoteDrift(g *Group, members []string, now time.Time) error {
	const op = "store.NoteDrift"
	for _, m := range members[:min(len(members), DriftOfGroup)] {
		_, err := d.tx.exec(op, `insert into member_drift (conn, grp, member, first_seen_at, last_seen_at, times) values ($1, $2, $3, $4, $4, 1)
			on conflict (conn, grp, member) do update set last_seen_at = $4, times = member_drift.times + 1`, d.conn, int64(g.Key), clip(m, driftBytes), ms(now))
		if err != nil {
			return err
		}
	}
	if err := d.trimDrift(op, DriftOfGroup, int64(g.Key), int64(g.Key)); err != nil {
		return err
	}
	if err := d.trimDrift(op, DriftOfConnection, 0, math.MaxInt64); err != nil {
		return err
	}
	return d.countDrift(op, g)
}

// clip cuts a text between two characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most]
}

// trimDrift forgets the ids that were not seen for longest beyond so many, of the
// groups with these keys.
func (d *DirectoryTx) trimDrift(op string, most int, from, to int64) error {
	var n int
	err := d.v.q.QueryRow(`select count(*) from member_drift where conn = $1 and grp between $2 and $3`, d.conn, from, to).Scan(&n)
	if err != nil || n <= most {
		return d.v.failed(err, op)
	}
	type row struct {
		group  int64
		member string
	}
	oldest, err := list(d.v, op, func(r Row) (x row, err error) { return x, r.Scan(&x.group, &x.member) },
		`select grp, member from member_drift where conn = $1 and grp between $2 and $3 order by last_seen_at, grp, member limit $4`, d.conn, from, to, n-most)
	if err != nil {
		return err
	}
	for _, x := range oldest {
		if _, err := d.tx.exec(op, `delete from member_drift where conn = $1 and grp = $2 and member = $3`, d.conn, x.group, x.member); err != nil {
			return err
		}
		if _, err := d.tx.exec(op, `update groups set unknown = unknown - 1 where conn = $1 and key = $2 and unknown > 0`, d.conn, x.group); err != nil {
			return err
		}
	}
	return nil
}

func (d *DirectoryTx) countDrift(op string, g *Group) error {
	return d.v.failed(d.v.q.QueryRow(`update groups set unknown = (select count(*) from member_drift where conn = $1 and grp = $2)
		where conn = $1 and key = $2 returning unknown`, d.conn, int64(g.Key)).Scan(&g.Unknown), op)
}

// ForgetDrift forgets ids of a group that the identity provider names no more: these,
// or all but these.
func (d *DirectoryTx) ForgetDrift(g *Group, members []string, others bool) error {
	const op = "store.ForgetDrift"
	clipped := make([]string, len(members))
	for i, m := range members {
		clipped[i] = clip(m, driftBytes)
	}
	not := ""
	if others {
		not = "not "
	}
	_, err := d.tx.exec(op, `delete from member_drift where conn = $1 and grp = $2 and member `+not+`in (`+d.dialect().Texts("$3")+`)`,
		d.conn, int64(g.Key), jsonList(clipped))
	if err != nil {
		return err
	}
	return d.countDrift(op, g)
}

// AcknowledgeDrift forgets a group's drift, or with "" the whole connection's, and
// says how many ids that were.
func (d *DirectoryTx) AcknowledgeDrift(group access.GroupID) (int64, error) {
	const op = "store.AcknowledgeDrift"
	if group != "" {
		g, err := d.Group(group)
		if err != nil {
			return 0, err
		}
		n := g.Unknown
		return n, d.ForgetDrift(&g, nil, true)
	}
	_, err := d.tx.exec(op, `update groups set unknown = 0 where conn = $1 and key in (select grp from member_drift where conn = $1)`, d.conn)
	if err != nil {
		return 0, err
	}
	return d.tx.exec(op, `delete from member_drift where conn = $1`, d.conn)
}

// Drift lists the ids that are named and nobody's, the latest first.
func (d *Directory) Drift(limit int) ([]Drift, error) {
	return list(d.v, "store.Drift", func(r Row) (Drift, error) {
		var x Drift
		var first, last int64
		err := r.Scan(&x.Group, &x.Name, &x.Member, &first, &last, &x.Times)
		x.First, x.Last = at(first), at(last)
		return x, err
	}, `select g.id, g.display_name, m.member, m.first_seen_at, m.last_seen_at, m.times from member_drift m
		join groups g on g.conn = $1 and g.key = m.grp and not g.dissolving where m.conn = $1 order by m.last_seen_at desc, m.grp, m.member limit $2`, d.conn, limit)
}

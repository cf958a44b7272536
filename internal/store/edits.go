package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// MemberEdit is a part of a large change of one group's members: small enough for a
// transaction of its own.
type MemberEdit struct {
	Add     []PersonKey `json:"add,omitzero"`
	Remove  []PersonKey `json:"remove,omitzero"`
	Stage   []PersonKey `json:"stage,omitzero"`   // of the successor's members
	Succeed *Succession `json:"succeed,omitzero"` // the successor takes the group's place
	Tell    []PersonKey `json:"tell,omitzero"`    // who came with the successor
	Restore []Joined    `json:"restore,omitzero"` // as members, since those instants
	By      event.Actor `json:"by,omitzero"`      // who asked for the change; "": the identity provider
	Request string      `json:"request,omitzero"` // the id of the request that asked for the change
}

// Succession is how many members a successor has of which kind.
type Succession struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
}

// BeginEdits writes a large change down: from the commit on it will be carried out,
// whatever dies. fault.Conflict if another one is under way.
func (d *DirectoryTx) BeginEdits(g *Group, edits []MemberEdit, now time.Time) error {
	const op = "store.BeginEdits"
	n, err := d.tx.exec(op, `update groups set changing = $1 where conn = $2 and key = $3 and changing = 0 and not dissolving`, ms(now), d.conn, int64(g.Key))
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.Conflict, op, "the group is gone, or being changed")
	}
	g.Changing = at(ms(now))
	for i, e := range edits {
		body, err := json.Marshal(e)
		if err != nil {
			return fault.Wrap(fault.Internal, op, err)
		}
		if _, err := d.tx.exec(op, `insert into member_edits (conn, grp, seq, body) values ($1, $2, $3, $4)`, d.conn, int64(g.Key), i, string(body)); err != nil {
			return err
		}
	}
	return nil
}

// TakeEdit removes the next part of a large change for the caller to carry out in
// this transaction; ok is false if there is none. With the last one the change is over.
func (d *DirectoryTx) TakeEdit(g *Group) (e MemberEdit, ok bool, err error) {
	const op = "store.TakeEdit"
	var body string
	err = d.v.q.QueryRow(`delete from member_edits where conn = $1 and grp = $2 and
		seq = (select min(seq) from member_edits where conn = $1 and grp = $2) returning body`, d.conn, int64(g.Key)).Scan(&body)
	ok = !errors.Is(err, sql.ErrNoRows)
	if err != nil && ok {
		return e, false, d.v.failed(err, op)
	}
	over, err := d.tx.exec(op, `update groups set changing = 0 where conn = $1 and key = $2 and
		not exists (select 1 from member_edits where conn = $1 and grp = $2)`, d.conn, int64(g.Key))
	if err != nil {
		return e, false, err
	}
	if over > 0 {
		g.Changing = time.Time{}
	}
	if !ok {
		return e, false, nil
	}
	return e, true, fault.Wrap(fault.Internal, op, json.Unmarshal([]byte(body), &e))
}

// Changing lists groups of active connections whose members a large change is
// moving.
func (v *View) Changing(limit int) ([]Group, error) {
	return list(v, "store.Changing", scanPlacedGroup, `select `+groupColumns+`, c.id from groups g join connections c on c.key = g.conn and c.active
		where g.changing > 0 order by g.key limit $1`, limit)
}

// Among picks the keys of those who are members.
func (d *Directory) Among(g Group, keys []PersonKey) ([]PersonKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(d.v, "store.Among", scanKey, `select person from memberships where grp = $1 and conn = $2 and person in (`+
		d.dialect().Keys("$3")+`) order by person`, int64(g.Key), d.conn, jsonList(keys))
}

// Living picks the keys of those who have not been deleted.
func (d *Directory) Living(keys []PersonKey) ([]PersonKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(d.v, "store.Living", scanKey, `select key from people where conn = $1 and key in (`+d.dialect().Keys("$2")+`) order by key`,
		d.conn, jsonList(keys))
}

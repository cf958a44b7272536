package store

import (
	"database/sql"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// groupColumns end with the document, which lean leaves out.
const groupColumns = `g.key, g.id, g.display_name, g.external_id, g.member_count, g.refenced, g.changing, g.unknown, g.version, g.created_at, g.updated_at, g.doc`

func scanGroup(r Row, more ...any) (Group, error) {
	var g Group
	var external sql.NullString
	var changing, created, updated int64
	err := r.Scan(append([]any{&g.Key, &g.ID, &g.DisplayName, &external, &g.MemberCount, &g.Refenced, &changing, &g.Unknown, &g.Version, &created, &updated, &g.Doc}, more...)...)
	if err != nil {
		return Group{}, err
	}
	g.ExternalID, g.Changing, g.Created, g.Updated = external.String, at(changing), at(created), at(updated)
	return g, nil
}

func (d *Directory) scanGroup(r Row) (Group, error) {
	g, err := scanGroup(r)
	return d.ownGroup(g), err
}

func (d *Directory) ownGroup(g Group) Group {
	g.Connection = d.row.ID
	return g
}

// Group finds a group by id. One that dissolves is gone.
func (d *Directory) Group(id access.GroupID) (Group, error) {
	g, err := d.scanGroup(d.v.q.QueryRow(`select `+groupColumns+` from groups g where g.conn = $1 and g.id = $2 and not g.dissolving`, d.conn, string(id)))
	if err != nil {
		return Group{}, d.v.found(err, "store.Group", "group")
	}
	return g, nil
}

// GroupByName finds the live group with that name, in any case.
func (d *Directory) GroupByName(name string) (Group, error) {
	g, err := d.scanGroup(d.v.q.QueryRow(`select `+groupColumns+` from groups g where g.conn = $1 and g.name_key = $2 and not g.dissolving`, d.conn, Fold(name)))
	if err != nil {
		return Group{}, d.v.found(err, "store.GroupByName", "group")
	}
	return g, nil
}

// NamesNear lists the names of live groups that stand next to a name in their order,
// at most so many on either side: what somebody may have meant.
func (d *Directory) NamesNear(name string, each int) ([]string, error) {
	scan := func(r Row) (s string, err error) { return s, r.Scan(&s) }
	const before, behind = `g.name_key < $2 and not g.dissolving order by g.name_key desc limit $3`, `g.name_key >= $2 and not g.dissolving order by g.name_key limit $3`
	var names []string
	for _, side := range []string{before, behind} {
		some, err := list(d.v, "store.NamesNear", scan, `select g.display_name from groups g where g.conn = $1 and `+side, d.conn, Fold(name), each)
		if err != nil {
			return nil, err
		}
		names = append(names, some...)
	}
	return names, nil
}

// GroupsByExternalID lists the live groups with that externalId, exactly.
func (d *Directory) GroupsByExternalID(externalID string) ([]Group, error) {
	return list(d.v, "store.GroupsByExternalID", d.scanGroup,
		`select `+groupColumns+` from groups g where g.conn = $1 and g.external_id = $2 and not g.dissolving order by g.key`, d.conn, externalID)
}

// GroupsOf lists the live groups that a person is in, oldest first.
func (d *Directory) GroupsOf(p Person) ([]Group, error) {
	return list(d.v, "store.GroupsOf", d.scanGroup,
		`select `+groupColumns+` from memberships m join groups g on g.conn = $1 and g.key = m.grp and not g.dissolving
		where m.person = $2 and m.conn = $1 order by m.grp`, d.conn, int64(p.Key))
}

func scanGroupName(r Row) (g GroupName, err error) {
	err = r.Scan(&g.ID, &g.DisplayName)
	return g, err
}

// GroupNames lists the same groups by id and name: as a person's groups are shown.
func (d *Directory) GroupNames(p Person) ([]GroupName, error) {
	return list(d.v, "store.GroupNames", scanGroupName, groupNamesSQL+`$2 order by m.grp`, d.conn, int64(p.Key))
}

const groupNamesSQL = `select g.id, g.display_name from memberships m join groups g on g.conn = $1 and g.key = m.grp and not g.dissolving
	where m.conn = $1 and m.person = `

// PersonWithGroups is Person and GroupNames, read at once; it is the last that is read in a view.
func (d *Directory) PersonWithGroups(id access.PersonID) (Person, []GroupName, error) {
	const op = "store.PersonWithGroups"
	var people []Person
	var groups []GroupName
	by := []any{d.conn, string(id)}
	err := d.v.q.Last(Question{into(&people, d.scanPerson), personSQL + `p.id = $2`, by},
		Question{into(&groups, scanGroupName), groupNamesSQL + personKeySQL + ` order by m.grp`, by})
	if err == nil && len(people) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return Person{}, nil, d.v.found(err, op, "person")
	}
	return people[0], groups, nil
}

// Members lists a page of a group's members in the order of their keys, beginning
// behind after. It is empty for a group that has gone.
func (d *Directory) Members(g Group, after PersonKey, limit int) ([]Member, error) {
	return list(d.v, "store.Members", func(r Row) (Member, error) {
		var m Member
		var since int64
		err := r.Scan(&m.Key, &m.Person, &m.Display, &since)
		m.Since = at(since)
		return m, err
	}, `select p.key, p.id, p.display_name, m.since from
		(select person, since from memberships where grp = $1 and conn = $2 and person > $3 order by person limit $4) m
		join people p on p.key = m.person order by p.key`, int64(g.Key), d.conn, int64(after), limit)
}

// MemberKeys lists the keys of all members.
func (d *Directory) MemberKeys(g Group) ([]PersonKey, error) {
	return list(d.v, "store.MemberKeys", scanKey, `select person from memberships where grp = $1 and conn = $2 order by person`, int64(g.Key), d.conn)
}

// Joined is a membership: whose, and since when.
type Joined struct {
	Key   PersonKey `json:"key"`
	Since time.Time `json:"since"`
}

// KeysOf are the people of memberships.
func KeysOf(all []Joined) []PersonKey {
	keys := make([]PersonKey, len(all))
	for i, j := range all {
		keys[i] = j.Key
	}
	return keys
}

// Memberships lists all members with the instant each joined, in the order of their keys.
func (d *Directory) Memberships(g Group) ([]Joined, error) {
	return list(d.v, "store.Memberships", func(r Row) (j Joined, err error) {
		var since int64
		err = r.Scan(&j.Key, &since)
		j.Since = at(since)
		return j, err
	}, `select person, since from memberships where grp = $1 and conn = $2 order by person`, int64(g.Key), d.conn)
}

func scanKey(r Row) (k PersonKey, err error) { return k, r.Scan(&k) }

// InsertGroup adds a group without members and sets its Key. fault.Conflict with
// the reason "display_name" if another live group has that name, in any case.
func (d *DirectoryTx) InsertGroup(g *Group) error {
	const op = "store.InsertGroup"
	key, err := d.v.q.Insert(`insert into groups (conn, id, display_name, name_key, external_id, version, created_at, updated_at, doc)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		d.conn, string(g.ID), g.DisplayName, Fold(g.DisplayName), nullable(g.ExternalID), g.Version, ms(g.Created), ms(g.Updated), string(g.Doc))
	if err != nil {
		return d.nameTaken(err, op)
	}
	g.Key, g.Connection, g.MemberCount = GroupKey(key), d.row.ID, 0
	_, err = d.tx.expect(op, 1, `update connections set groups = groups + 1 where key = $1`, d.conn)
	return err
}

func (d *Directory) nameTaken(err error, op string) error {
	return d.taken(err, op, "name_key", "display_name", "a group with this displayName exists already: find it by the filter displayName eq, and change it by its id")
}

// UpdateGroup stores a group's names, document, version and time.
func (d *DirectoryTx) UpdateGroup(g Group) error {
	const op = "store.UpdateGroup"
	n, err := d.v.q.Exec(`update groups set display_name = $1, name_key = $2, external_id = $3, version = $4, updated_at = $5, doc = $6
		where conn = $7 and key = $8 and not dissolving`,
		g.DisplayName, Fold(g.DisplayName), nullable(g.ExternalID), g.Version, ms(g.Updated), string(g.Doc), d.conn, int64(g.Key))
	if err != nil {
		return d.nameTaken(err, op)
	}
	return d.changed(n, op)
}

func (d *Directory) changed(n int64, op string) error {
	if n == 0 {
		return fault.New(fault.NotFound, op, "there is no such group")
	}
	return nil
}

// DeleteGroup removes a group with its memberships. The caller decides its members
// in the same transaction.
func (d *DirectoryTx) DeleteGroup(g Group) error {
	const op = "store.DeleteGroup"
	for _, table := range []string{"memberships", "member_edits", "member_drift"} {
		if _, err := d.tx.exec(op, `delete from `+table+` where grp = $1 and conn = $2`, int64(g.Key), d.conn); err != nil {
			return err
		}
	}
	var dissolving, fenced bool
	err := d.v.q.QueryRow(`delete from groups where conn = $1 and key = $2 returning dissolving, fence > 0`, d.conn, int64(g.Key)).Scan(&dissolving, &fenced)
	if err != nil {
		return d.v.found(err, op, "group")
	}
	if fenced {
		d.touchFences()
	}
	if dissolving {
		return nil
	}
	return d.countGroups(op)
}

func (d *DirectoryTx) countGroups(op string) error {
	_, err := d.tx.exec(op, `update connections set groups = groups - 1 where key = $1`, d.conn)
	return err
}

// DissolveGroup makes a group disappear at once: its name is free and rules no
// longer see it. Its members are fenced until each has been decided anew; their rows
// go with DropMembers, and the last of the group with DeleteGroup.
func (d *DirectoryTx) DissolveGroup(g Group, now time.Time) error {
	const op = "store.DissolveGroup"
	n, err := d.tx.exec(op, `update groups set dissolving = $1, updated_at = $2 where conn = $3 and key = $4 and not dissolving`, true, ms(now), d.conn, int64(g.Key))
	if err != nil {
		return err
	}
	if err := d.changed(n, op); err != nil {
		return err
	}
	if err := d.countGroups(op); err != nil {
		return err
	}
	if err := d.ForgetDrift(&g, nil, true); err != nil {
		return err
	}
	return d.FenceGroup(g)
}

// FenceGroup refuses a group's members, whatever their number, until each has been
// decided anew (SetDecided), or TakeFenced has come to the end of the group.
func (d *DirectoryTx) FenceGroup(g Group) error {
	const op = "store.FenceGroup"
	if err := d.nextFence(op); err != nil {
		return err
	}
	n, err := d.layFence(op, `key = $3`, int64(g.Key))
	if err != nil {
		return err
	}
	return d.changed(n, op)
}

// FenceGroups fences several groups as one change: the policy that is in force in this
// transaction may give their members something else.
func (d *DirectoryTx) FenceGroups(keys []GroupKey) error {
	const op = "store.FenceGroups"
	err := d.v.q.QueryRow(`update connections set decided_partly = (select version from policy) where key = $1 returning decided_partly`, d.conn).Scan(&d.since.partly)
	if err != nil {
		return d.v.failed(err, op)
	}
	if err := d.nextFence(op); err != nil {
		return err
	}
	_, err = d.layFence(op, `key in (`+d.dialect().Keys("$3")+`)`, jsonList(keys))
	return err
}

// GroupTitles lists at most limit groups with what rules know them by: key, name and
// externalId, and nothing else.
func (d *Directory) GroupTitles(limit int) ([]Group, error) {
	return list(d.v, "store.GroupTitles", func(r Row) (g Group, err error) {
		return g, r.Scan(&g.Key, &g.DisplayName, &g.ExternalID)
	}, `select key, display_name, coalesce(external_id, '') from groups where conn = $1 and not dissolving order by key limit $2`, d.conn, limit)
}

func (d *DirectoryTx) nextFence(op string) error {
	err := d.v.q.QueryRow(`update connections set fence = fence + 1 where key = $1 returning fence`, d.conn).Scan(&d.fence)
	return d.v.failed(err, op)
}

// layFence lays the last fence over the groups that which picks by $3. One that it
// lies over already is left alone.
func (d *DirectoryTx) layFence(op, which string, arg any) (int64, error) {
	d.touchFences()
	return d.tx.exec(op, `update groups set refenced = refenced + (case when fence > 0 then 1 else 0 end), fence = $1, fence_done = 0
		where conn = $2 and fence <> $1 and `+which, d.fence, d.conn, arg)
}

// Fenced lists live groups of active connections that a fence lies over, Dissolving
// those that are going.
func (v *View) Fenced(limit int) ([]Group, error) {
	return v.groupsAtWork("store.Fenced", false, limit)
}

// Dissolving is described at Fenced.
func (v *View) Dissolving(limit int) ([]Group, error) {
	return v.groupsAtWork("store.Dissolving", true, limit)
}

func (v *View) groupsAtWork(op string, dissolving bool, limit int) ([]Group, error) {
	return list(v, op, scanPlacedGroup, `select `+groupColumns+`, c.id from groups g join connections c on c.key = g.conn and c.active
		where g.fence > 0 and g.dissolving = $1 order by g.key limit $2`, dissolving, limit)
}

// scanPlacedGroup reads a group with its connection's id behind it.
func scanPlacedGroup(r Row) (Group, error) {
	var conn access.ConnectionID
	g, err := scanGroup(r, &conn)
	g.Connection = conn
	return g, err
}

// TakeFenced returns the next members of a fenced group for the caller to decide in
// this transaction. done: there are no more, and the fence is gone.
func (d *DirectoryTx) TakeFenced(g Group, limit int) (taken []PersonKey, done bool, err error) {
	const op = "store.TakeFenced"
	taken, err = d.NextFenced(g, limit)
	if err != nil {
		return nil, false, err
	}
	if len(taken) == limit && limit > 0 {
		_, err = d.tx.exec(op, `update groups set fence_done = $1 where conn = $2 and key = $3`, int64(taken[limit-1]), d.conn, int64(g.Key))
		return taken, false, err
	}
	_, err = d.tx.exec(op, `update groups set fence = 0, fence_done = 0, refenced = 0 where conn = $1 and key = $2 and not dissolving`, d.conn, int64(g.Key))
	d.touchFences()
	return taken, true, err
}

// DropMembers removes the next memberships of a group that dissolves and returns
// whose they were, for the caller to decide in this transaction. done: there are no
// more, and the group itself may go.
func (d *DirectoryTx) DropMembers(g Group, limit int) (dropped []PersonKey, done bool, err error) {
	const op = "store.DropMembers"
	dropped, err = list(d.v, op, scanKey, `select person from memberships where grp = $1 and conn = $2 order by person limit $3`, int64(g.Key), d.conn, limit)
	if err != nil || len(dropped) == 0 {
		return nil, err == nil, err
	}
	_, err = d.tx.exec(op, `delete from memberships where grp = $1 and conn = $2 and person <= $3`, int64(g.Key), d.conn, int64(dropped[len(dropped)-1]))
	if err != nil {
		return nil, false, err
	}
	ids, err := d.IDs(dropped)
	for _, id := range ids {
		d.touchPerson(id)
	}
	return dropped, len(dropped) < limit, err
}

package store

import "time"

// Move is who is to be a group's member, and who not.
type Move struct{ Add, Remove []PersonKey }

// Moved is what came of a Move: who was not a member before, who was, and the group behind it.
type Moved struct {
	Added   []PersonKey
	Removed []Joined
	Group   Group
}

// Keys are those who came or left.
func (m Moved) Keys() []PersonKey { return append(KeysOf(m.Removed), m.Added...) }

// MoveMembers carries out moves of which no two name one person, each as if it had come alone:
// version, count and time move once for those who came, and once for those who left, in the row
// and in g. However many there are, it costs as many statements as one.
func (d *DirectoryTx) MoveMembers(g *Group, moves []Move, now time.Time) ([]Moved, error) {
	const op = "store.MoveMembers"
	var leaving []PersonKey
	for _, m := range moves {
		leaving = append(leaving, m.Remove...)
	}
	left, err := d.takeMembers(op, *g, leaving)
	if err != nil {
		return nil, err
	}
	was, all := *g, make([]Moved, len(moves))
	for i, m := range moves {
		for _, key := range m.Remove {
			if since, in := left[key]; in {
				all[i].Removed = append(all[i].Removed, Joined{key, since})
			}
		}
		if all[i].Added, err = d.putMembers(op, *g, m.Add, now); err != nil {
			return nil, err
		}
		g.moved(-len(all[i].Removed), now)
		g.moved(len(all[i].Added), now)
		all[i].Group = *g
	}
	return all, d.countMembers(op, was, *g)
}

// AddMembers adds those who are not members yet and returns them. Version, count
// and time move once, in the row and in g, if anybody was added.
func (d *DirectoryTx) AddMembers(g *Group, keys []PersonKey, now time.Time) (added []PersonKey, err error) {
	all, err := d.MoveMembers(g, []Move{{Add: keys}}, now)
	if err != nil {
		return nil, err
	}
	return all[0].Added, nil
}

// RemoveMembers removes those who are members and returns them, with the instant each
// had joined; g moves as in AddMembers.
func (d *DirectoryTx) RemoveMembers(g *Group, keys []PersonKey, now time.Time) (removed []Joined, err error) {
	all, err := d.MoveMembers(g, []Move{{Remove: keys}}, now)
	if err != nil {
		return nil, err
	}
	return all[0].Removed, nil
}

func (d *DirectoryTx) putMembers(op string, g Group, keys []PersonKey, now time.Time) (added []PersonKey, err error) {
	for _, key := range keys {
		n, err := d.tx.expect(op, 1, `insert into memberships (conn, grp, person, since) values ($1, $2, $3, $4) on conflict (grp, person) do nothing`,
			d.conn, int64(g.Key), int64(key), ms(now))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			added = append(added, key)
		}
	}
	return added, nil
}

// takeMembers removes those who are members, and says since when.
func (d *DirectoryTx) takeMembers(op string, g Group, keys []PersonKey) (map[PersonKey]time.Time, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // there is nobody to remove
	}
	left := make(map[PersonKey]time.Time, len(keys))
	which, arg := `= $3`, any(int64(keys[0]))
	if len(keys) > 1 {
		which, arg = `in (`+d.dialect().Keys("$3")+`)`, jsonList(keys)
	}
	return left, d.v.each(op, func(r Row) error {
		var key PersonKey
		var since int64
		err := r.Scan(&key, &since)
		left[key] = at(since)
		return err
	}, `delete from memberships where grp = $1 and conn = $2 and person `+which+` returning person, since`, int64(g.Key), d.conn, arg)
}

// moved counts people who came, or left.
func (g *Group) moved(by int, now time.Time) {
	if by == 0 {
		return
	}
	g.MemberCount += int64(by)
	g.Version++
	g.Updated = at(ms(now))
}

func (d *DirectoryTx) countMembers(op string, was, g Group) error {
	if g.Version == was.Version {
		return nil
	}
	n, err := d.tx.expect(op, 1, `update groups set member_count = member_count + $1, version = version + $2, updated_at = $3
		where conn = $4 and key = $5 and not dissolving`, g.MemberCount-was.MemberCount, g.Version-was.Version, ms(g.Updated), d.conn, int64(g.Key))
	if err != nil {
		return err
	}
	return d.changed(n, op)
}

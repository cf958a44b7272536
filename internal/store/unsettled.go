package store

import "time"

// Unsettled picks the people whose last decision counts for nothing now: made under
// an older policy, run out, or under a fence. Usually there are none.
func (d *Directory) Unsettled(keys []PersonKey, now time.Time) ([]Person, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	which, arg := `= $2`, any(int64(keys[0])) // one member a request is the commonest by far
	if len(keys) > 1 {
		which, arg = `in (`+d.dialect().Keys("$2")+`)`, jsonList(keys)
	}
	return list(d.v, "store.Unsettled", d.scanPerson, `select `+personColumns+` from people p where p.conn = $1 and p.key `+which+`
		and (p.policy < (select decided_from from connections where key = $1) or p.valid_until > 0 and p.valid_until <= $3 or `+fencedSQL+`) order by p.key`,
		d.conn, arg, ms(now))
}

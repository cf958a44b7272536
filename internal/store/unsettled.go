package store

import "time"

// Unsettled picks the people whose last decision counts for nothing now: made under
// an older policy, run out, or under a fence. Usually there are none.
func (d *Directory) Unsettled(keys []PersonKey, now time.Time) ([]Person, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(d.v, "store.Unsettled", func(r row) (Person, error) {
		p, err := scanPerson(r)
		p.Connection = d.row.ID
		return p, err
	}, `select `+personColumns+` from people p where p.conn = $1 and p.key in (`+d.dialect().Keys("$2")+`)
		and (p.policy < (select version from policy) or p.valid_until > 0 and p.valid_until <= $3 or `+fencedSQL+`) order by p.key`,
		d.conn, jsonList(keys), ms(now))
}

package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Administrator is somebody who administers a scope.
type Administrator struct {
	Connection access.ConnectionID
	Person     access.PersonID
	NotBefore  time.Time
	Until      time.Time // zero: without an end
	Sources    []access.Source
}

// ValidAt reports whether they do at that instant.
func (a Administrator) ValidAt(now time.Time) bool {
	return access.Assignment{NotBefore: a.NotBefore, Until: a.Until}.ValidAt(now)
}

// AdministratorsAt lists who holds administrator at just that scope, through connections
// that have not ended: at most n.
func (v *View) AdministratorsAt(scope access.ScopeID, n int) ([]Administrator, error) {
	return list(v, "store.AdministratorsAt", func(r Row) (a Administrator, err error) {
		var notBefore, until int64
		var sources []byte
		if err := r.Scan(&a.Connection, &a.Person, &notBefore, &until, &sources); err != nil {
			return a, err
		}
		a.NotBefore, a.Until = at(notBefore), at(until)
		a.Sources, err = knownSources(nil).read(sources)
		return a, err
	}, `select c.id, p.id, a.not_before, a.until, a.sources from assignments a join people p on p.conn = a.conn and p.key = a.person join connections c on c.key = a.conn
		where a.scope = $1 and a.grant_kind = 'administrator' and c.active and p.active order by a.conn, a.person limit $2`, string(scope), n)
}

// AdministeredForGood reports whether anybody holds administrator at just that scope without an
// end.
func (v *View) AdministeredForGood(scope access.ScopeID) (found bool, err error) {
	err = v.q.QueryRow(`select exists (select 1 from assignments a join people p on p.conn = a.conn and p.key = a.person join connections c on c.key = a.conn
		where a.scope = $1 and a.grant_kind = 'administrator' and a.until = 0 and c.active and p.active)`, string(scope)).Scan(&found)
	return found, v.failed(err, "store.AdministeredForGood")
}

package upkeep

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// RaiseHost puts the host's epoch where it never was, in the transaction of q: a database that
// came back from a backup does not know what was counted since, and a credential of that time
// must not be taken for one of today's. Unix milliseconds are ahead of everything that was
// counted by ones, and of every earlier restore.
func RaiseHost(q store.Querier, now time.Time) (to int64, err error) {
	if err := q.Alone(); err != nil {
		return 0, err
	}
	err = q.QueryRow(`update host set epoch = case when epoch < $1 then $1 else epoch + 1 end returning epoch`, now.UnixMilli()).Scan(&to)
	return to, fault.Wrap(fault.Unavailable, op+".RaiseHost", err)
}

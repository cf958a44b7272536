package store

import "github.com/drawbridge-id/drawbridge/internal/access"

// Clients lists every application that was ever configured, live or not.
func (v *View) Clients() ([]access.ClientID, error) {
	return list(v, "store.Clients", func(r Row) (id access.ClientID, err error) { return id, r.Scan(&id) }, `select id from clients order by id`)
}

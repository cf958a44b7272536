package sqlite

import (
	"errors"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// decide does everything with what people decide.
func decide(tx *store.Tx, d *store.DirectoryTx, p store.Person) error {
	one, two := access.Permit{ID: "prm_1", Grant: access.Standard, Scope: "s", Standing: access.Guest, Kind: access.SourceRequest, Case: "C", Until: crashDay},
		access.Limit{ID: "lim_1", Scope: "s"}
	err := errors.Join(d.PutPermit(p, one), d.PutLimit(p, two))
	p, err2 := d.Person(p.ID)
	_, err3 := d.Decided(p)
	_, err4 := d.PermitsOf(p)
	_, err5 := d.LimitsOf(p)
	_, err6 := tx.Permit("prm_1")
	_, err7 := tx.Limit("lim_1")
	err = errors.Join(err, err2, err3, err4, err5, err6, err7)
	_, err2 = tx.PermitsEnding(crashDay, store.PermitEnd{}, 10)
	_, err7 = tx.VoidPermits(10)
	_, err6 = tx.EndPermitsAt([]access.ScopeID{"t"}, access.EndPermitScope, crashDay)
	_, err3 = d.EndPermit("prm_1", access.EndPermitCase, crashDay)
	_, err4 = d.LiftLimit("lim_1", crashDay)
	return errors.Join(err, err2, err3, err4, err6, err7)
}

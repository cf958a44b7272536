package store

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Consent is what a person has agreed that an application may know and do.
type Consent struct {
	Client      access.ClientID
	OAuthScopes []string // in order
	At          time.Time
}

const consentColumns = `client, scopes, at from consents`

func scanConsent(r Row) (c Consent, err error) {
	var scopes string
	var when int64
	err = r.Scan(&c.Client, &scopes, &when)
	c.OAuthScopes, c.At = strings.Fields(scopes), at(when)
	return c, err
}

// Consents lists what a person has agreed to, by application.
func (d *Directory) Consents(p access.PersonID) ([]Consent, error) {
	return list(d.v, "store.Consents", scanConsent, `select `+consentColumns+` where conn = $1 and person = $2 order by client`, d.conn, string(p))
}

// Consent is what a person has agreed to for one application; false if to nothing.
func (d *Directory) Consent(p access.PersonID, client access.ClientID) (c Consent, found bool, err error) {
	c, err = scanConsent(d.v.q.QueryRow(`select `+consentColumns+` where conn = $1 and person = $2 and client = $3`, d.conn, string(p), string(client)))
	if errors.Is(err, sql.ErrNoRows) {
		return Consent{}, false, nil
	}
	return c, err == nil, d.v.failed(err, "store.Consent")
}

// PutConsent remembers what a person agrees to, in the place of what they agreed to for
// that application before.
func (d *DirectoryTx) PutConsent(p access.PersonID, c Consent) error {
	_, err := d.tx.exec("store.PutConsent", `insert into consents (conn, person, client, scopes, at) values ($1, $2, $3, $4, $5)
		on conflict (conn, person, client) do update set scopes = excluded.scopes, at = excluded.at`,
		d.conn, string(p), string(c.Client), strings.Join(c.OAuthScopes, " "), ms(c.At))
	return err
}

// DropConsent forgets it, and says whether there was one. The application does not know the
// person any more until they sign in to it again.
func (d *DirectoryTx) DropConsent(p access.PersonID, client access.ClientID) (bool, error) {
	if _, err := d.tx.exec("store.DropConsent", `delete from client_people where conn = $1 and person = $2 and client = $3`, d.conn, string(p), string(client)); err != nil {
		return false, err
	}
	n, err := d.tx.exec("store.DropConsent", `delete from consents where conn = $1 and person = $2 and client = $3`, d.conn, string(p), string(client))
	return n > 0, err
}

package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Application is one version of the policy as it was put in. What it says, and the
// text of its file, are read apart.
type Application struct {
	Version   int64
	Hash      string
	Base      int64 // the version before it
	Author    string
	At        time.Time
	File      string // the name of the file it came from
	Plan      string // the hash of the plan that was reviewed; "": none was
	Reason    string
	Reverts   int64  // the version whose source it is; 0: none
	Summary   []byte // JSON of what the plan counted
	Approvals []byte // JSON of what was approved by name
}

const applicationColumns = `version, hash, base, author, applied_at, file, plan, reason, reverts, summary, approvals`

func scanApplication(r Row) (a Application, err error) {
	var applied int64
	err = r.Scan(&a.Version, &a.Hash, &a.Base, &a.Author, &applied, &a.File, &a.Plan, &a.Reason, &a.Reverts, &a.Summary, &a.Approvals)
	a.At = at(applied)
	return a, err
}

// Applications lists at most limit versions below one, the latest first.
func (v *View) Applications(below int64, limit int) ([]Application, error) {
	return list(v, "store.Applications", scanApplication, `select `+applicationColumns+` from policy_applications
		where version < $1 order by version desc limit $2`, below, limit)
}

// Application is one version; fault.NotFound if it was never put in.
func (v *View) Application(version int64) (Application, error) {
	a, err := scanApplication(v.q.QueryRow(`select `+applicationColumns+` from policy_applications where version = $1`, version))
	return a, v.found(err, "store.Application", "version of the policy")
}

// ApplicationOf is the latest version that a plan led to.
func (v *View) ApplicationOf(plan string) (a Application, found bool, err error) {
	a, err = scanApplication(v.q.QueryRow(`select `+applicationColumns+` from policy_applications where plan = $1 and plan <> '' order by version desc limit 1`, plan))
	if errors.Is(err, sql.ErrNoRows) {
		return Application{}, false, nil
	}
	return a, err == nil, v.failed(err, "store.ApplicationOf")
}

// ApplicationText is what a version says, and the text of its file, "" where it came
// from none.
func (v *View) ApplicationText(version int64) (source, text []byte, err error) {
	err = v.q.QueryRow(`select source, body from policy_applications where version = $1`, version).Scan(&source, &text)
	return source, text, v.found(err, "store.ApplicationText", "version of the policy")
}

// PutApplication writes down how a version came to be.
func (tx *Tx) PutApplication(a Application, source, text []byte) error {
	_, err := tx.exec("store.PutApplication", `insert into policy_applications (version, hash, base, author, applied_at, file, plan, reason, reverts, summary, approvals, source, body)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, a.Version, a.Hash, a.Base, a.Author, ms(a.At), a.File, a.Plan, a.Reason, a.Reverts,
		orEmpty(a.Summary), orEmpty(a.Approvals), string(source), string(text))
	return err
}

// orEmpty is a JSON document, the empty one where there is none.
func orEmpty(b []byte) string {
	if len(b) == 0 {
		return "{}"
	}
	return string(b)
}

// PolicyInput is the hash of what a file said when it was last taken; "" if none was.
func (v *View) PolicyInput() (hash string, err error) {
	err = v.q.QueryRow(`select input from policy`).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return hash, v.failed(err, "store.PolicyInput")
}

// SetPolicyInput remembers what a file said that has been taken.
func (tx *Tx) SetPolicyInput(hash string) error {
	n, err := tx.exec("store.SetPolicyInput", `update policy set input = $1`, hash)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "store.SetPolicyInput", "there is no policy yet")
	}
	return err
}

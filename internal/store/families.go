package store

import (
	"database/sql"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
)

// WhyFamilyEnded is why a token is refused whose session lives: what its sign-in led to
// has ended.
const WhyFamilyEnded = credential.ReasonFamilyEnded

// EndedFamily is a family of tokens that ended before its session did.
type EndedFamily struct {
	ID     string
	Client access.ClientID
}

// families are the ended ones, in memory: what a commit ended is here before the commit
// is acknowledged.
type families struct {
	mu    sync.RWMutex // guards what follows
	ended map[string]access.ClientID
}

func (f *families) has(id string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ended := f.ended[id]
	return ended
}

func (f *families) put(e EndedFamily) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[e.ID] = e.Client
}

// replace puts what was read in the place of what was there, but for what commits have ended
// meanwhile.
func (f *families) replace(read map[string]access.ClientID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(read, f.ended)
	f.ended = read
}

func (f *families) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ended, id)
}

// EndFamily refuses the tokens of a family from now on; until is when no access token of
// it can be left. It says whether this is the first that ends it.
func (tx *Tx) EndFamily(f EndedFamily, until time.Time) (first bool, err error) {
	n, err := tx.exec("store.EndFamily", `insert into ended_families (id, client, expires_at) values ($1, $2, $3) on conflict do nothing`,
		f.ID, string(f.Client), ms(until))
	if err == nil && n == 0 {
		tx.Confirm()
	}
	if err != nil || n == 0 {
		return false, err
	}
	tx.touched = append(tx.touched, touch{ref: ref{Kind: refFamily, ID: f.ID, Client: f.Client}})
	return true, nil
}

// FamiliesOver lists at most limit ended families of which no access token can be left.
func (v *View) FamiliesOver(now time.Time, limit int) ([]EndedFamily, error) {
	return list(v, "store.FamiliesOver", scanFamily, `select id, client from ended_families where expires_at <= $1 order by expires_at limit $2`, ms(now), limit)
}

// ForgetFamilies forgets that families ended, for good: neither an access token nor a
// refresh token of theirs may be left.
func (tx *Tx) ForgetFamilies(over []EndedFamily) error {
	for _, f := range over {
		if _, err := tx.exec("store.ForgetFamilies", `delete from ended_families where id = $1`, f.ID); err != nil {
			return err
		}
		tx.touched = append(tx.touched, touch{ref: ref{Kind: refForget, ID: f.ID}})
	}
	return nil
}

func scanFamily(r Row) (f EndedFamily, err error) { return f, r.Scan(&f.ID, &f.Client) }

// endedFamilies reads all that the window keeps.
func (v *View) endedFamilies() (map[string]access.ClientID, error) {
	ended := map[string]access.ClientID{}
	return ended, v.each("store.Current", func(r Row) error {
		f, err := scanFamily(r)
		ended[f.ID] = f.Client
		return err
	}, `select id, client from ended_families`)
}

// familyEnded is the say of this transaction's snapshot.
func (v *View) familyEnded(id string) (bool, error) {
	if id == "" {
		return false, nil
	}
	var n int
	err := v.q.QueryRow(`select 1 from ended_families where id = $1`, id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, v.failed(err, "store.Current")
}

package store

import "time"

// UseProof remembers a proof of a key (RFC 9449) until it is no good any more, for all nodes:
// false if it was used before. What has become no good is forgotten.
func (tx *Tx) UseProof(id [16]byte, until, now time.Time) (first bool, err error) {
	const op = "store.UseProof"
	if _, err := tx.exec(op, `delete from used_proofs where until_at <= $1`, ms(now)); err != nil {
		return false, err
	}
	n, err := tx.exec(op, `insert into used_proofs (id, until_at) values ($1, $2) on conflict do nothing`, id[:], ms(until))
	return n == 1, err
}

// ForgetProof lets a proof be used that has done nothing.
func (tx *Tx) ForgetProof(id [16]byte) error {
	_, err := tx.exec("store.ForgetProof", `delete from used_proofs where id = $1`, id[:])
	return err
}

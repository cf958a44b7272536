package store

import "time"

// proofsLonger is how much longer than asked for proofs are remembered: by so much the database's
// clock may be set, and nobody uses one twice.
const proofsLonger = 5 * time.Minute

// UseProof remembers a proof of a key (RFC 9449) for life, after which it is no good any more, for all
// nodes: false if it was used before. What has become no good is forgotten, some minutes later. It goes
// by the database's clock: a node whose own is ahead must not forget what is good at others.
func (tx *Tx) UseProof(id [16]byte, life time.Duration) (first bool, err error) {
	const op = "store.UseProof"
	var now int64 // read first: no index serves a comparison with a clock that runs
	if err := tx.q.QueryRow(`select ` + tx.engine.Dialect().Now).Scan(&now); err != nil {
		return false, tx.failed(err, op)
	}
	if _, err := tx.exec(op, `delete from used_proofs where until_at <= $1`, now-proofsLonger.Milliseconds()); err != nil {
		return false, err
	}
	n, err := tx.exec(op, `insert into used_proofs (id, until_at) values ($1, $2) on conflict do nothing`, id[:], now+life.Milliseconds())
	return n == 1, err
}

// ForgetProof lets a proof be used that has done nothing.
func (tx *Tx) ForgetProof(id [16]byte) error {
	_, err := tx.exec("store.ForgetProof", `delete from used_proofs where id = $1`, id[:])
	return err
}

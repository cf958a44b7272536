// Package audit chains committed audit rows: each connection, and the host, has its
// own chain with a gap-free sequence, in which every link holds the hash of the one
// before it.
//
// Rows are written by the transaction that made them true (store.Tx.Append) and
// sealed right behind it, so sealing never slows a request and a row that was
// committed but not yet sealed when the process died is sealed after the restart.
package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// sealAtOnce is how many rows one transaction seals: some milliseconds of the writer.
const sealAtOnce = 200

// Hash is the link of a row: SHA-256 over the previous link (empty for the first),
// the sequence number, the body and the digest of the personal part, each with its
// length before it, so that no two rows read the same.
func Hash(prev []byte, seq int64, body, personalDigest []byte) []byte {
	h := sha256.New()
	for _, part := range [][]byte{prev, binary.BigEndian.AppendUint64(nil, uint64(seq)), body, personalDigest} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // a hash never fails
		_, _ = h.Write(part)
	}
	return h.Sum(nil)
}

// Sealer seals rows soon after they are committed.
type Sealer struct {
	store *store.Store
	every time.Duration
	fail  func(error)

	mu     sync.Mutex
	sealed int64     // rows sealed by this process
	last   time.Time // when sealing last found nothing left
}

// NewSealer makes a Sealer that looks for rows at that interval. fail hears of
// errors, after which sealing is tried again.
func NewSealer(s *store.Store, every time.Duration, fail func(error)) *Sealer {
	return &Sealer{store: s, every: every, fail: fail}
}

// Run seals until ctx ends, and then once more what is committed by then.
func (s *Sealer) Run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_, err := s.Seal(context.WithoutCancel(ctx))
			return err
		case now := <-tick.C:
			_, err := s.Seal(ctx)
			if err == nil {
				err = s.Index(ctx)
			}
			if err != nil && ctx.Err() == nil {
				s.fail(err)
				continue
			}
			s.mu.Lock()
			s.last = now
			s.mu.Unlock()
		}
	}
}

// Sealed is how many rows this process has sealed, and when the sealer was last up
// to date: zero if it never was.
func (s *Sealer) Sealed() (rows int64, upToDate time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealed, s.last
}

// Seal seals all that is committed, in transactions of limited size.
func (s *Sealer) Seal(ctx context.Context) (rows int, err error) {
	for {
		n, err := s.some(ctx)
		rows += n
		s.mu.Lock()
		s.sealed += int64(n)
		s.mu.Unlock()
		if err != nil || n < sealAtOnce {
			return rows, err
		}
	}
}

// some seals one transaction's worth. It looks before it writes: an idle bridge
// commits nothing.
func (s *Sealer) some(ctx context.Context) (n int, err error) {
	var waiting bool
	err = s.store.View(ctx, func(v *store.View) error {
		rows, err := v.Unsealed(1)
		waiting = len(rows) > 0
		return err
	})
	if err != nil || !waiting {
		return 0, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		rows, err := tx.Unsealed(sealAtOnce)
		if err != nil {
			return err
		}
		if n = len(rows); n == 0 {
			return nil
		}
		sealed, err := tx.AuditSealed()
		if err != nil {
			return err
		}
		if err := seal(tx, rows); err != nil {
			return err
		}
		return indexBehind(tx, sealed, rows)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

type head struct {
	seq  int64
	hash []byte
}

func seal(tx *store.Tx, rows []store.AuditRow) error {
	heads := map[access.ConnectionID]head{}
	for i := range rows {
		r := &rows[i]
		h, known := heads[r.Connection]
		if !known {
			var err error
			if h.seq, h.hash, err = tx.AuditHead(r.Connection); err != nil {
				return err
			}
		}
		r.Seq, r.Prev = h.seq+1, h.hash
		r.Hash = Hash(r.Prev, r.Seq, r.Body, r.PersonalDigest)
		heads[r.Connection] = head{r.Seq, r.Hash}
	}
	return tx.Seal(rows)
}

// Report is what Verify found.
type Report struct {
	Connection access.ConnectionID
	Rows       int64  // that are as they were sealed, counted from the first
	Head       []byte // the hash of the last of them
	Bad        int64  // the sequence number of the first row that is not; 0: none
	Why        string // what is wrong with it
}

const verifyAtOnce = 1000

// Verify walks a chain ("" is the host's) from its first link and names the first
// row that is missing, moved or not as it was sealed. A chain that was cut short is
// found by its head, which the store keeps apart.
func Verify(ctx context.Context, s *store.Store, conn access.ConnectionID) (Report, error) {
	r := Report{Connection: conn}
	for {
		var rows []store.AuditRow
		err := s.View(ctx, func(v *store.View) (err error) { rows, err = v.AuditTrail(conn, r.Rows, verifyAtOnce); return err })
		if err != nil {
			return r, err
		}
		for _, row := range rows {
			if r.Why = broken(r, row); r.Why != "" {
				r.Bad = r.Rows + 1
				return r, nil
			}
			r.Rows, r.Head = row.Seq, row.Hash
		}
		if len(rows) < verifyAtOnce {
			return r, r.checkEnd(ctx, s)
		}
	}
}

func broken(r Report, row store.AuditRow) string {
	switch {
	case row.Seq != r.Rows+1:
		return fmt.Sprintf("row %d is missing; the next is %d", r.Rows+1, row.Seq)
	case !bytes.Equal(row.Prev, r.Head):
		return "it does not follow the row before it"
	case !bytes.Equal(row.Hash, Hash(row.Prev, row.Seq, row.Body, row.PersonalDigest)):
		return "its content is not what was sealed"
	case row.Personal != nil && !bytes.Equal(row.PersonalDigest, store.PersonalDigest(row.Salt, row.Personal)):
		return "its personal part is not what was sealed"
	}
	return ""
}

// checkEnd compares the last row with the head, read together.
func (r *Report) checkEnd(ctx context.Context, s *store.Store) error {
	return s.View(ctx, func(v *store.View) error {
		seq, hash, err := v.AuditHead(r.Connection)
		if err != nil {
			return err
		}
		if seq < r.Rows || (seq == r.Rows && !bytes.Equal(hash, r.Head)) {
			r.Bad, r.Why = r.Rows, "the chain's head is another"
			return nil
		}
		more, err := v.AuditTrail(r.Connection, r.Rows, 1)
		if err == nil && seq > r.Rows && (len(more) == 0 || more[0].Seq != r.Rows+1) {
			r.Bad, r.Why = r.Rows+1, fmt.Sprintf("the chain ends before row %d, its last", seq)
		}
		return err
	})
}

// Event reads a row's body.
func Event(row store.AuditRow) (event.Event, error) {
	var e event.Event
	if err := json.Unmarshal(row.Body, &e); err != nil {
		return e, fault.Wrap(fault.Internal, "audit.Event", err)
	}
	if row.Personal == nil {
		return e, nil
	}
	return e, fault.Wrap(fault.Internal, "audit.Event", json.Unmarshal(row.Personal, &e.Personal))
}

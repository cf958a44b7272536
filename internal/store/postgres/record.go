package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// together are how many events one statement records: it is prepared once for each.
var together = []int{32, 8, 2, 1}

// recordSQL records so many events, with ids in their order.
func recordSQL(events int) string {
	rows := make([]string, events)
	for i := range rows {
		n := 7 * i
		rows[i] = fmt.Sprintf("($%d::bigint, $%d::text, $%d::text, $%d::text, $%d::bytea, $%d::bytea, $%d::bigint)", n+1, n+2, n+3, n+4, n+5, n+6, n+7)
	}
	return `with e (conn, person, body, personal, salt, digest, at) as (values ` + strings.Join(rows, ", ") + `),
	k as (select nextval('audit_id_seq') as id, e.* from e),
	a as (insert into audit (id, conn, person, body, personal, salt, personal_digest) select id, conn, person, body, personal, salt, digest from k)
	insert into outbox (id, at) select id, at from k`
}

// record puts what was recorded ahead of the commit, behind a lock that everybody takes who does so,
// so that ids rise in the order of commits. All that was done before has been checked by then, and
// the lock, for which everybody waits, is held while the server works and for no answer. The token is
// its witness's; nil: it has written nothing, and there is nothing to lose.
func (s *session) record() (token []byte, err error) {
	if err := s.flush(); err != nil || len(s.recorded) == 0 && s.written == s.before {
		return nil, err
	}
	if _, err := s.prepare(witnessSQL); err != nil {
		return nil, err
	}
	if len(s.recorded) > 0 {
		if err := s.putRecorded(); err != nil {
			return nil, err
		}
	}
	return newToken(), nil
}

// commit commits, in one round trip with what record has put ahead, and leaves a witness.
func (s *session) commit(token []byte) error {
	if token == nil {
		return s.command(context.Background(), "commit")
	}
	witness, err := s.prepare(witnessSQL)
	if err != nil {
		return err
	}
	_, err = s.exchange(func(b *pgconn.Batch) {
		b.ExecPrepared(witness.Name, [][]byte{token}, []int16{asBinary}, nil)
		b.ExecParams("commit", nil, nil, nil, nil)
	})
	return err
}

// putRecorded puts what was recorded ahead.
func (s *session) putRecorded() error {
	s.act(everybody)
	s.first("select pg_advisory_xact_lock(" + orderLock + ")")
	left := s.recorded
	for _, n := range together {
		for len(left) >= n {
			args := make([]any, 0, 7*n)
			for _, r := range left[:n] {
				args = append(args, r.Conn, r.Person, r.Body, r.Personal, r.Salt, r.Digest, r.At)
			}
			if err := s.put(int64(n), recordSQL(n), args); err != nil {
				return err
			}
			left = left[n:]
		}
	}
	return nil
}

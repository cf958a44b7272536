package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

const op = "postgres"

// The conditions of PostgreSQL that mean something here (its manual, appendix A).
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
	checkViolation      = "23514"
	serializationFails  = "40001"
	deadlockDetected    = "40P01"
	lockNotAvailable    = "55P03"
	notInUTF8           = "22021"
)

// classify names what PostgreSQL said, as store.Querier promises: last gives the last
// column of a unique index. What is not the server's answer is a connection that broke.
func classify(err error, last func(constraint string) string) error {
	if err == nil {
		return nil
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return fault.Wrap(fault.Unavailable, op, err)
	}
	switch said.Code {
	case uniqueViolation:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: last(said.ConstraintName), Err: err}
	case foreignKeyViolation:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: store.ReasonForeignKey, Err: err}
	case checkViolation:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: store.ReasonCheck, Err: err}
	case notInUTF8:
		return &fault.Error{Kind: fault.Invalid, Op: op, Detail: "a text holds a character that the database does not keep (NUL)", Err: err}
	}
	if retried(said) || unavailable(said.Code) {
		return fault.Wrap(fault.Unavailable, op, err)
	}
	return fault.Wrap(fault.Internal, op, err)
}

// unavailable are failures that another time may not meet: a lost connection (08), too few
// resources (53), an operator at work (57), the system (58), a server that only reads (25006).
func unavailable(code string) bool {
	for _, class := range []string{"08", "53", "57", "58", "25006"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// retried reports whether the same transaction may well succeed when it runs again.
func retried(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return false
	}
	return said.Code == serializationFails || said.Code == deadlockDetected || said.Code == lockNotAvailable
}

// refused reports whether a constraint refused a statement: that alone is undone.
func refused(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && strings.HasPrefix(said.Code, "23")
}

// answered reports whether the server said so itself: the connection holds. A commit in which
// it breaks down may be there all the same.
func answered(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && said.SeverityUnlocalized != "FATAL" && said.SeverityUnlocalized != "PANIC"
}

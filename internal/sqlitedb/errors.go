package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The reasons Classify gives to constraint failures, beside a unique index's last
// column name.
const (
	ReasonForeignKey = "foreign_key"
	ReasonCheck      = "check"
)

// Classify names what went wrong. A unique index that refuses gives fault.Conflict
// with the index's last column as Reason; a foreign key or check that refuses,
// fault.Conflict with ReasonForeignKey or ReasonCheck; a context that ended, a busy,
// full or failing disk, fault.Unavailable. Errors that are classified already,
// sql.ErrNoRows and nil stay as they are.
func Classify(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var named *fault.Error
	if errors.As(err, &named) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) {
		return fault.Wrap(fault.Unavailable, op, err)
	}
	var e *sqlite.Error
	if errors.As(err, &e) {
		return classifyCode(e)
	}
	return err
}

func classifyCode(e *sqlite.Error) error {
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: lastColumn(e.Error()), Err: e}
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: ReasonForeignKey, Err: e}
	case sqlite3.SQLITE_CONSTRAINT_CHECK:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: ReasonCheck, Err: e}
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return fault.Wrap(fault.Unavailable, op, e)
	}
	return fault.Wrap(fault.Internal, op, e)
}

// lastColumn reads "… UNIQUE constraint failed: people.conn, people.id (2067)".
func lastColumn(message string) string {
	_, columns, found := strings.Cut(message, "constraint failed: ")
	if i := strings.LastIndex(columns, "constraint failed: "); found && i >= 0 {
		columns = columns[i+len("constraint failed: "):]
	}
	columns, _, _ = strings.Cut(columns, " (")
	last := columns[strings.LastIndex(columns, ", ")+1:]
	return strings.TrimSpace(last[strings.LastIndex(last, ".")+1:])
}

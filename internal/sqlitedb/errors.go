package sqlitedb

import (
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The reasons that constraint failures have, beside a unique index's last column.
const (
	ReasonForeignKey = "foreign_key"
	ReasonCheck      = "check"
)

// classify names what SQLite said. A unique index that refuses gives fault.Conflict
// with the index's last column as Reason; a foreign key or check that refuses,
// fault.Conflict with ReasonForeignKey or ReasonCheck; an interrupt, a busy, full,
// failing or damaged file, fault.Unavailable; anything else is a mistake of ours.
func classify(err error) error {
	if err == nil {
		return nil
	}
	code := sqlite.ErrCode(err)
	switch code {
	case sqlite.ResultConstraintUnique, sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: lastColumn(err.Error()), Err: err}
	case sqlite.ResultConstraintForeignKey:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: ReasonForeignKey, Err: err}
	case sqlite.ResultConstraintCheck:
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: ReasonCheck, Err: err}
	}
	switch code.ToPrimary() {
	case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultInterrupt,
		sqlite.ResultNoMem, sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultCorrupt, sqlite.ResultNotADB, sqlite.ResultProtocol:
		return fault.Wrap(fault.Unavailable, op, err)
	}
	return fault.Wrap(fault.Internal, op, err)
}

// lastColumn reads "… UNIQUE constraint failed: people.conn, people.id".
func lastColumn(message string) string {
	_, columns, _ := strings.Cut(message, "constraint failed: ")
	last := columns[strings.LastIndex(columns, ", ")+1:]
	return strings.TrimSpace(last[strings.LastIndex(last, ".")+1:])
}

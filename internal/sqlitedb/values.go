package sqlitedb

import (
	"database/sql"
	"fmt"
	"reflect"

	"zombiezen.com/go/sqlite"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// bind gives a parameter its value: nil, an int, int64, float64, bool, string or
// bytes, or a named type made of int, int64 or string.
func bind(st *sqlite.Stmt, param int, arg any) error {
	switch v := arg.(type) {
	case nil:
		st.BindNull(param)
	case int64:
		st.BindInt64(param, v)
	case string:
		st.BindText(param, v)
	case float64:
		st.BindFloat(param, v)
	case bool:
		st.BindBool(param, v)
	case []byte:
		if v == nil {
			st.BindNull(param)
		} else {
			st.BindBytes(param, v)
		}
	default:
		switch r := reflect.ValueOf(arg); r.Kind() {
		case reflect.Int, reflect.Int64:
			st.BindInt64(param, r.Int())
		case reflect.String:
			st.BindText(param, r.String())
		default:
			return fault.New(fault.Internal, op, "argument %d is a %T, which no column holds", param, arg)
		}
	}
	return nil
}

// Scan implements Row. A column goes into what holds its type exactly: NULL into a
// sql.Scanner or bytes only, a float into a sql.Scanner only, a number never into a
// string, and anything into nil, which leaves it out.
func (st *statement) Scan(dest ...any) error {
	if len(dest) != st.columns {
		return fault.New(fault.Internal, op, "%d columns are scanned into %d places", st.columns, len(dest))
	}
	for i, d := range dest {
		if !scan(st.Stmt, i, d) {
			return fault.Wrap(fault.Internal, op, fmt.Errorf("column %d is %v, which a %T does not hold", i, st.ColumnType(i), d))
		}
	}
	return nil
}

func scan(st *sqlite.Stmt, col int, dest any) bool {
	if dest == nil { // nobody wants it
		return true
	}
	t := st.ColumnType(col)
	switch d := dest.(type) {
	case *string:
		*d = st.ColumnText(col)
		return t == sqlite.TypeText
	case *int64:
		*d = st.ColumnInt64(col)
		return t == sqlite.TypeInteger
	case *bool:
		*d = st.ColumnBool(col)
		return t == sqlite.TypeInteger
	case *[]byte:
		*d = bytesOf(st, col, t)
		return t == sqlite.TypeText || t == sqlite.TypeBlob || t == sqlite.TypeNull
	case sql.Scanner:
		return d.Scan(valueOf(st, col, t)) == nil
	}
	switch r := reflect.ValueOf(dest).Elem(); r.Kind() {
	case reflect.String:
		r.SetString(st.ColumnText(col))
		return t == sqlite.TypeText
	case reflect.Int, reflect.Int64:
		r.SetInt(st.ColumnInt64(col))
		return t == sqlite.TypeInteger
	}
	return false
}

func bytesOf(st *sqlite.Stmt, col int, t sqlite.ColumnType) []byte {
	if t == sqlite.TypeNull {
		return nil
	}
	b := make([]byte, st.ColumnLen(col))
	return b[:st.ColumnBytes(col, b)]
}

func valueOf(st *sqlite.Stmt, col int, t sqlite.ColumnType) any {
	switch t {
	case sqlite.TypeInteger:
		return st.ColumnInt64(col)
	case sqlite.TypeFloat:
		return st.ColumnFloat(col)
	case sqlite.TypeText:
		return st.ColumnText(col)
	case sqlite.TypeBlob:
		return bytesOf(st, col, t)
	case sqlite.TypeNull:
	}
	return nil
}

package postgres

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Values travel as text, bytes as they are: few types are stored, and the server tells
// which one a parameter is.
const (
	asText   int16 = 0
	asBinary int16 = 1
)

// bind gives a parameter its value: nil, an int, int64, float64, bool, string or bytes,
// or a named type made of int, int64 or string.
func bind(arg any) (value []byte, format int16, err error) {
	switch v := arg.(type) {
	case nil:
		return nil, asText, nil
	case int64:
		return strconv.AppendInt(nil, v, 10), asText, nil
	case string:
		return append(make([]byte, 0, len(v)), v...), asText, nil // never nil, which is NULL
	case float64:
		return strconv.AppendFloat(nil, v, 'g', -1, 64), asText, nil
	case bool:
		return strconv.AppendBool(nil, v), asText, nil
	case []byte:
		return v, asBinary, nil
	}
	switch r := reflect.ValueOf(arg); r.Kind() {
	case reflect.Int, reflect.Int64:
		return strconv.AppendInt(nil, r.Int(), 10), asText, nil
	case reflect.String:
		return append(make([]byte, 0, r.Len()), r.String()...), asText, nil
	}
	return nil, 0, fault.New(fault.Internal, op, "no column holds a %T", arg)
}

func bindAll(args []any) (values [][]byte, formats []int16, err error) {
	values, formats = make([][]byte, len(args)), make([]int16, len(args))
	for i, arg := range args {
		if values[i], formats[i], err = bind(arg); err != nil {
			return nil, nil, err
		}
	}
	return values, formats, nil
}

// row is one row of an answer.
type row struct {
	fields []pgconn.FieldDescription
	values [][]byte
}

// Scan implements store.Row. A column goes into what holds its type exactly, as in
// SQLite's engine: NULL into a sql.Scanner or bytes only, a number never into a string.
func (r row) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fault.New(fault.Internal, op, "%d columns are scanned into %d places", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := r.scan(i, d); err != nil {
			return fault.Wrap(fault.Internal, op, fmt.Errorf("column %d (%s): %w", i, r.fields[i].Name, err))
		}
	}
	return nil
}

func (r row) scan(i int, dest any) error {
	if dest == nil { // nobody wants it
		return nil
	}
	v, oid := r.values[i], r.fields[i].DataTypeOID
	if scanner, ok := dest.(sql.Scanner); ok {
		value, err := valueOf(v, oid, r.fields[i].Format)
		if err != nil {
			return err
		}
		return scanner.Scan(value)
	}
	if b, ok := dest.(*[]byte); ok {
		return scanBytes(v, oid, r.fields[i].Format, b)
	}
	if v == nil {
		return fmt.Errorf("NULL, which a %T does not hold", dest)
	}
	return scanExact(v, oid, dest)
}

func scanBytes(v []byte, oid uint32, format int16, dest *[]byte) error {
	value, err := valueOf(v, oid, format)
	switch value := value.(type) {
	case nil:
		*dest = nil
	case []byte:
		*dest = value
	case string:
		*dest = []byte(value)
	default:
		return fmt.Errorf("a %T is no bytes", value)
	}
	return err
}

func scanExact(v []byte, oid uint32, dest any) (err error) {
	switch d := dest.(type) {
	case *string:
		*d = string(v)
		return expect(isText(oid), oid, dest)
	case *int64:
		*d, err = strconv.ParseInt(string(v), 10, 64)
		return err
	case *bool:
		*d = len(v) == 1 && v[0] == 't'
		return expect(oid == pgtype.BoolOID, oid, dest)
	}
	switch r := reflect.ValueOf(dest).Elem(); r.Kind() {
	case reflect.String:
		r.SetString(string(v))
		return expect(isText(oid), oid, dest)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(string(v), 10, 64)
		r.SetInt(n)
		return err
	}
	return fmt.Errorf("a %T holds nothing", dest)
}

func expect(ok bool, oid uint32, dest any) error {
	if !ok {
		return fmt.Errorf("a %T does not hold the type %d", dest, oid)
	}
	return nil
}

func isText(oid uint32) bool {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.NameOID, pgtype.JSONOID, pgtype.UnknownOID:
		return true
	}
	return false
}

// valueOf is a column for a sql.Scanner: nil, int64, float64, string or bytes. Truth is 1
// and 0, as in a place of a list.
func valueOf(v []byte, oid uint32, format int16) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // NULL
	}
	switch oid {
	case pgtype.BoolOID:
		if v[0] == 't' {
			return int64(1), nil
		}
		return int64(0), nil
	case pgtype.Int8OID, pgtype.Int4OID, pgtype.Int2OID:
		return strconv.ParseInt(string(v), 10, 64)
	case pgtype.Float8OID, pgtype.Float4OID, pgtype.NumericOID:
		return strconv.ParseFloat(string(v), 64)
	case pgtype.ByteaOID:
		if format == asBinary {
			return append(make([]byte, 0, len(v)), v...), nil
		}
		return hex.DecodeString(string(v[2:])) // \x…
	}
	return string(v), nil
}

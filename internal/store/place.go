package store

import (
	"encoding/json"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Place is where a page of a walk ended: the row's key and what it was sorted by,
// as it was then. It stays good when the row changes or goes. Row keys and names
// stand in it, so it is sealed before it leaves the process.
type Place []byte

// place is a Place taken apart. Of the last three at most one is set.
type place struct {
	Key   int64    `json:"k"`
	Text  *string  `json:"t,omitempty"`
	Int   *int64   `json:"i,omitempty"`
	Float *float64 `json:"f,omitempty"`
}

// Scan implements sql.Scanner for the value that the row is sorted by.
func (p *place) Scan(v any) error {
	p.Text, p.Int, p.Float = nil, nil, nil
	switch v := v.(type) {
	case nil:
	case string:
		p.Text = &v
	case int64:
		p.Int = &v
	case float64:
		p.Float = &v
	default:
		return fault.New(fault.Internal, "store.Place", "a list cannot be sorted by a %T", v)
	}
	return nil
}

func (p place) value() any {
	switch {
	case p.Text != nil:
		return *p.Text
	case p.Int != nil:
		return *p.Int
	case p.Float != nil:
		return *p.Float
	}
	return nil
}

// place reads a Place; fault.Invalid for anything that is none.
func (p Place) place() (out place, err error) {
	if err := json.Unmarshal(p, &out); err != nil {
		return place{}, &fault.Error{Kind: fault.Invalid, Op: "store.Place", Detail: "this is no place in a list", Err: err}
	}
	return out, nil
}

func (p place) encode() (Place, error) {
	b, err := json.Marshal(p)
	return b, fault.Wrap(fault.Internal, "store.Place", err) // an infinite number
}

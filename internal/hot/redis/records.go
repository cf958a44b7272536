package redis

import (
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// Records are JSON of what package hot has, sealed under the name of their own key, so that Redis
// can lose or repeat one but neither read nor move it. What follows are the stored forms.

// boundRecord is credential.Bound, whose parts share field names that JSON would drop.
type boundRecord struct {
	Subject credential.Subject
	Epochs  credential.Epochs
	Expires time.Time
}

func recordOf(b credential.Bound) boundRecord { return boundRecord{b.Subject, b.Epochs, b.Expires} }

func (r boundRecord) bound() credential.Bound {
	return credential.Bound{Subject: r.Subject, Epochs: r.Epochs, Expires: r.Expires}
}

// familyRecord is a family, or the memory of one that has ended.
type familyRecord struct {
	hot.Family
	Bound boundRecord // instead of the family's
	Ended bool        `json:",omitempty"`
}

func recordOfFamily(f hot.Family) familyRecord {
	f.Rotated = f.Rotated.Round(0).UTC()
	return familyRecord{Family: f, Bound: recordOf(f.Bound)}
}

func (r familyRecord) family() hot.Family {
	f := r.Family
	f.Bound = r.Bound.bound()
	return f
}

// codeRecord is a code, fresh or used.
type codeRecord struct {
	hot.CodeGrant
	Bound boundRecord // instead of the grant's
	Used  bool        `json:",omitempty"`
}

func recordOfCode(g hot.CodeGrant, used bool) codeRecord {
	return codeRecord{CodeGrant: g, Bound: recordOf(g.Bound), Used: used}
}

func (r codeRecord) grant() hot.CodeGrant {
	g := r.CodeGrant
	g.Bound = r.Bound.bound()
	return g
}

// until is the instant from which the code is not known any more.
func (r codeRecord) until() time.Time {
	if r.Used {
		return r.Expires.Add(hot.CodeMemory)
	}
	return r.Expires
}

// pushedRecord is a pushed request, or the memory that it was taken.
type pushedRecord struct {
	hot.Pushed
	Taken bool `json:",omitempty"`
}

// waiting says which request waits for an upstream state.
type waiting struct{ Request string }

func (e *Engine) seal(op, key string, record any) (string, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	sealed, err := e.key.Seal(text, key)
	return string(sealed), fault.Wrap(fault.Internal, op, err)
}

// open reads what was sealed under this key's name. What does not open is none of ours, and an
// error: it was moved here, or made under another data key.
func (e *Engine) open(op, key, sealed string, record any) error {
	text, err := e.key.Open([]byte(sealed), key)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	return fault.Wrap(fault.Internal, op, json.Unmarshal(text, record))
}

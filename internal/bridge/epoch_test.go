package bridge_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// TestI13_EveryChangeOfActiveRaisesTheEpoch: the person's epoch alone would kill
// what was made before, whatever else ends with it (I-13).
func TestI13_EveryChangeOfActiveRaisesTheEpoch(t *testing.T) {
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	at := w.epoch(sam)
	for _, change := range []string{
		`{"op":"Replace","path":"active","value":"False"}`, `{"op":"Replace","path":"active","value":"True"}`,
		`{"op":"replace","value":{"active":false}}`, `{"op":"replace","value":{"active":true}}`,
	} {
		w.patchUser(banksia, sam, change)
		if now := w.epoch(sam); now <= at {
			t.Errorf("after %s the epoch is %d, and was %d", change, now, at)
		} else {
			at = now
		}
	}
	for _, active := range []string{"false", "true"} {
		w.must(200, banksia, "PUT", "/Users/"+sam, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"sam@banksia.example","externalId":"oid-sam","active":`+active+`}`)
		if now := w.epoch(sam); now <= at {
			t.Errorf("after a PUT with active=%s the epoch is %d, and was %d", active, now, at)
		} else {
			at = now
		}
	}
	w.patchUser(banksia, sam, `{"op":"replace","path":"active","value":true}`)
	if now := w.epoch(sam); now != at {
		t.Errorf("a change that changes nothing moved the epoch from %d to %d", at, now)
	}
}

func (w *world) epoch(person string) (epoch int64) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(banksia)
		if err != nil {
			return err
		}
		p, err := dir.Person(access.PersonID(person))
		epoch = p.Epoch
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return epoch
}

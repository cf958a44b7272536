package embedded

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// TestTB16_WhatIsReadIsWhatWasAskedFor: however many read, rotate and end at once, from memory and
// from the file, nobody is answered with another's record.
func TestTB16_WhatIsReadIsWhatWasAskedFor(t *testing.T) {
	e, now := open(t, t.TempDir(), Limits{}), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	const families = 64
	id := func(n int) string { return fmt.Sprint("fam_", n) }
	of := func(n int) credential.Bound {
		return credential.Bound{Subject: credential.Subject{Connection: "southern", Person: access.PersonID(fmt.Sprint("per_", n)), Session: session.ID(fmt.Sprint("ses_", n)), Client: "fleet-web", Family: id(n)},
			Epochs: credential.Epochs{Host: 1, Connection: 1, Client: 1, Person: 1, Session: 1}, Expires: now.Add(time.Hour)}
	}
	for n := range families {
		if err := e.PutFamily(t.Context(), hot.Family{ID: id(n), Salt: "salt", N: 1, Bound: of(n), Expires: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			engine := hot.Engine(e)
			if worker%2 == 0 {
				engine = forgetful{e}
			}
			for round := range families {
				n := (round*7 + worker*13) % families
				f, err := engine.Family(t.Context(), id(n), now)
				if err != nil || f.ID != id(n) || f.Bound.Subject != of(n).Subject {
					t.Errorf("asked for %s of %s, got %s of %s (%v)", id(n), of(n).Subject.Person, f.ID, f.Bound.Subject.Person, err)
				}
			}
		})
	}
	all.Wait()
}

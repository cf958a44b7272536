package steward

import (
	"context"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// lapsesAtOnce is how many lapses one call notices.
const lapsesAtOnce = 20

// TickRegister notices certifications whose end is over: once each, with an event, and a
// review of what the person holds. What needed the certification has counted for nothing
// since that millisecond, whether anything notices or not. One call does a bounded part,
// and says whether there may be more.
func (s *Steward) TickRegister(ctx context.Context) (more bool, err error) {
	var over []store.Registered
	err = s.bridge.Reading(ctx, func(v *store.View, _ *mapping.Policy, now time.Time) (err error) {
		over, err = v.Lapsing(now, lapsesAtOnce)
		return err
	})
	if err != nil || len(over) == 0 {
		return false, err
	}
	for _, e := range over { // each by itself: one that fails holds up none of the others
		err = errors.Join(err, s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error { return noticeLapse(d, e) }))
	}
	return err == nil && len(over) == lapsesAtOnce, err
}

func noticeLapse(d *bridge.Deciding, e store.Registered) error {
	dir, err := d.In(e.Connection)
	if fault.Is(err, fault.Unauthenticated) {
		return nil // the connection has ended meanwhile, and is not listed any more
	}
	if err != nil {
		return err
	}
	first, err := dir.MarkLapsed(e.Key, e.Until)
	if err != nil || !first || e.Person == "" {
		return err
	}
	d.Say(event.CertificationLapsed, e.Connection, e.Person, map[string]string{"level": e.Level, "until": e.Until.UTC().Format(time.RFC3339Nano)})
	p, err := dir.Person(e.Person)
	if err != nil {
		return err
	}
	if err := d.Decide(e.Connection, p); err != nil || !p.Active {
		return err
	}
	_, err = Open(d, review.Cause{Trigger: review.ByCertificate, Connection: e.Connection, Person: e.Person})
	return err
}

package audit

import (
	"context"
	"encoding/json"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// indexBehind records what freshly sealed rows are about, if all before them has been
// looked through. Otherwise Index comes to them.
func indexBehind(tx *store.Tx, sealed int64, rows []store.AuditRow) error {
	indexed, err := tx.AuditIndexed()
	if err != nil || indexed != sealed {
		return err
	}
	return tx.IndexAudit(indexed, rows[len(rows)-1].ID, marksOf(rows))
}

// Index looks through sealed rows that nobody has looked through: those of a program
// that knew no index, in transactions of limited size. Usually there are none.
func (s *Sealer) Index(ctx context.Context) error {
	for ctx.Err() == nil {
		var from int64
		var rows []store.AuditRow
		err := s.store.View(ctx, func(v *store.View) error {
			sealed, err := v.AuditSealed()
			if err != nil {
				return err
			}
			if from, err = v.AuditIndexed(); err != nil || from >= sealed {
				return err
			}
			rows, err = v.AuditAfter(from, sealAtOnce)
			for len(rows) > 0 && rows[len(rows)-1].ID > sealed {
				rows = rows[:len(rows)-1]
			}
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		marks := marksOf(rows)
		if err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.IndexAudit(from, rows[len(rows)-1].ID, marks) }); err != nil {
			return err
		}
	}
	return nil
}

// marksOf is what rows are about. One that cannot be read is about nothing: Verify
// names it, and it must not keep others from being found.
func marksOf(rows []store.AuditRow) (marks []store.AuditMark) {
	for _, r := range rows {
		var e struct {
			Type   event.Type `json:"type"`
			Person string     `json:"person"`
			Data   struct {
				Group string `json:"group"`
				Scope string `json:"scope"`
			} `json:"data"`
		}
		if err := json.Unmarshal(r.Body, &e); err != nil {
			continue
		}
		for _, subject := range event.About(e.Type, e.Person, e.Data.Group, e.Data.Scope) {
			marks = append(marks, store.AuditMark{Row: r.ID, Connection: r.Connection, Subject: subject})
		}
	}
	return marks
}

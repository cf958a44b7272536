package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// PlanRow is a plan of a policy as it is kept until it is applied or forgotten. Its
// source and its losses are kept in parts beside it.
type PlanRow struct {
	Key     int64
	Hash    string
	Base    int64  // the version it was compared with
	Policy  string // the hash of the policy it plans
	File    string // the name of the file it came from
	Author  string
	Audit   int64 // AuditPosition when its reading began
	Created time.Time
	Summary []byte // JSON of the plan, without what is in the parts
}

// PlanPart says what a part of a plan is part of.
type PlanPart string

// The parts of a plan.
const (
	PlanSource PlanPart = "source" // JSON of mapping.PolicySource
	PlanText   PlanPart = "text"   // the file as it was, its secrets masked
	PlanLosses PlanPart = "losses" // 8 bytes for every loss that was shown, in order
)

// BeginPlan adds a plan that nobody finds before FinishPlan, and sets its Key.
func (tx *Tx) BeginPlan(p *PlanRow) (err error) {
	p.Key, err = tx.q.Insert(`insert into policy_plans (hash, base, policy_hash, file, author, audit_id, created_at, summary, ready)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, p.Hash, p.Base, p.Policy, p.File, p.Author, p.Audit, ms(p.Created), string(p.Summary), false)
	return tx.failed(err, "store.BeginPlan")
}

// AddPlanPart appends to a part of a plan, which is read in the order of seq.
func (tx *Tx) AddPlanPart(plan int64, part PlanPart, seq int, body []byte) error {
	_, err := tx.exec("store.AddPlanPart", `insert into policy_plan_parts (plan, part, seq, body) values ($1, $2, $3, $4)`, plan, string(part), seq, body)
	return err
}

// FinishPlan lets the plan be found.
func (tx *Tx) FinishPlan(plan int64) error {
	_, err := tx.exec("store.FinishPlan", `update policy_plans set ready = $1 where key = $2`, true, plan)
	return err
}

// Plan finds the newest plan of that hash; fault.NotFound if none is kept.
func (v *View) Plan(hash string) (PlanRow, error) {
	var p PlanRow
	var created int64
	var summary string
	err := v.q.QueryRow(`select key, hash, base, policy_hash, file, author, audit_id, created_at, summary from policy_plans
		where hash = $1 and ready order by key desc limit 1`, hash).Scan(&p.Key, &p.Hash, &p.Base, &p.Policy, &p.File, &p.Author, &p.Audit, &created, &summary)
	if errors.Is(err, sql.ErrNoRows) {
		return PlanRow{}, fault.New(fault.NotFound, "store.Plan", "no plan %q is kept: plan again", hash)
	}
	p.Created, p.Summary = at(created), []byte(summary)
	return p, v.failed(err, "store.Plan")
}

// PlanPart reads a part of a plan whole; nil if it has none.
func (v *View) PlanPart(plan int64, part PlanPart) (body []byte, err error) {
	return body, v.each("store.PlanPart", func(r Row) error {
		var some []byte
		err := r.Scan(&some)
		body = append(body, some...)
		return err
	}, `select body from policy_plan_parts where plan = $1 and part = $2 order by seq`, plan, string(part))
}

// StalePlans lists plans that are kept no longer: older than before, or older than the
// newest keep of those that are ready, or than a newer one of the same hash.
func (v *View) StalePlans(before time.Time, keep int) ([]int64, error) {
	return list(v, "store.StalePlans", func(r Row) (key int64, err error) { return key, r.Scan(&key) },
		`select p.key from policy_plans p where p.created_at < $1
			or (p.ready and (select count(*) from policy_plans n where n.ready and n.key > p.key) >= $2)
			or exists (select 1 from policy_plans n where n.ready and n.hash = p.hash and n.key > p.key)
		order by p.key`, ms(before), keep)
}

// DropPlan removes some parts of a plan, and the plan itself when none is left; more
// says that there is more to remove.
func (tx *Tx) DropPlan(plan int64, atOnce int) (more bool, err error) {
	const op = "store.DropPlan"
	if _, err := tx.exec(op, `update policy_plans set ready = $1 where key = $2`, false, plan); err != nil {
		return false, err
	}
	n, err := tx.exec(op, `delete from policy_plan_parts where plan = $1 and (part, seq) in
		(select part, seq from policy_plan_parts where plan = $1 order by part, seq limit $2)`, plan, atOnce)
	if err != nil || n == int64(atOnce) {
		return true, err
	}
	_, err = tx.exec(op, `delete from policy_plans where key = $1`, plan)
	return false, err
}

// Read reads what was kept of a plan into out.
func (p PlanRow) Read(out any) error {
	if err := json.Unmarshal(p.Summary, out); err != nil {
		return fault.Wrap(fault.Internal, "store.Plan", err)
	}
	return nil
}

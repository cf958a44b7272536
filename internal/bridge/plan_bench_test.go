package bridge_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// BenchmarkPlan plans a change of 200 rules for 10,000 and for 1,000,000 people, each
// in two to four groups that feed rules and in two that feed none. A tenth of them
// notice the change. It reports the largest heap beside the time.
//
// PLAN_BENCH_KEEP names a folder in which both directories are kept between runs. Without
// it there is no million: seeding it takes longer than planning it.
func BenchmarkPlan(b *testing.B) {
	for _, people := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(people, " people"), func(b *testing.B) { benchPlan(b, people) })
	}
}

const planRules, planFleets = 200, 400

func benchPlan(b *testing.B, people int) {
	w := emptyWorld(b)
	kept := os.Getenv("PLAN_BENCH_KEEP")
	if kept == "" && people > 10_000 {
		b.Skip("PLAN_BENCH_KEEP names no folder")
	}
	if kept != "" {
		w.dir = filepath.Join(kept, strconv.Itoa(people))
	}
	_, err := os.Stat(filepath.Join(w.dir, "drawbridge.db"))
	w.open()
	if err != nil {
		w.seedPlan(people)
	}
	next := planPolicy()
	for i := range planRules / 10 {
		next.Rules[i*10].Flags.Video = !next.Rules[i*10].Flags.Video
	}
	next.Rules = slices.Delete(next.Rules, 11, 16)
	ended := make(chan struct{})
	peak := make(chan uint64)
	go watchHeap(ended, peak)
	var plan bridge.PolicyPlan
	for b.Loop() {
		if plan, err = w.bridge.PlanPolicy(w.ctx, next, bridge.PlanOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	close(ended)
	b.ReportMetric(float64(<-peak)/(1<<20), "MB-heap")
	b.ReportMetric(float64(plan.Summary.People)*float64(b.N)/b.Elapsed().Seconds(), "people/s")
	if s := plan.Summary; s.People != int64(people) || s.Changing < int64(people)/20 || s.Losing == 0 {
		b.Errorf("the plan is of something else: %+v", s)
	}
}

func watchHeap(ended <-chan struct{}, peak chan<- uint64) {
	var most uint64
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-ended:
			peak <- most
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// planPolicy is 200 rules over 400 fleets: most ask for a group by its name, some by a
// capture, for a time, with a guest place, or only to count.
func planPolicy() mapping.PolicySource {
	src := mapping.PolicySource{Scopes: []access.Scope{{ID: mapping.ProvisionalID("."), Level: access.Host, Name: "Host"},
		{ID: mapping.ProvisionalID("sp"), Slug: "sp", Level: access.ServiceProvider, Name: "Provider", Parent: mapping.ProvisionalID(".")},
		{ID: mapping.ProvisionalID("sp/ac"), Slug: "ac", Level: access.Account, Name: "Account", Parent: mapping.ProvisionalID("sp")}}}
	fleet := func(i int) string { return fmt.Sprintf("f%d", i%planFleets) }
	for i := range planFleets {
		src.Scopes = append(src.Scopes, access.Scope{ID: mapping.ProvisionalID("sp/ac/" + fleet(i)), Slug: fleet(i), Level: access.Fleet, Name: "Fleet " + strconv.Itoa(i),
			Parent: mapping.ProvisionalID("sp/ac"), TimeZone: "Australia/Sydney"})
	}
	src.Connections = []access.Connection{{ID: "bench", Name: "Bench", IdP: "entra", Root: mapping.ProvisionalID("sp/ac"),
		Ceiling: access.Ceiling{Scope: mapping.ProvisionalID("sp/ac"), Grants: access.Grants()}}}
	for i := range planRules {
		r := mapping.RuleSource{ID: fmt.Sprintf("rule-%d", i), From: "bench", Group: fmt.Sprintf("Team %d", i), Give: "standard @ sp/ac/" + fleet(i)}
		switch {
		case i%20 == 1:
			r.Group, r.Give = fmt.Sprintf("Shift %d {fleet}", i), "standard @ sp/ac/{fleet}"
		case i%20 == 2:
			r.For = 30 * 24 * time.Hour
		case i%20 == 3:
			r.Guest = []string{"elevated @ sp/ac/" + fleet(i+1)}
		case i%20 == 4:
			r.Mode = mapping.Shadow
		}
		src.Rules = append(src.Rules, r)
	}
	return src
}

// seedPlan writes people, groups, memberships and what the policy gives them, decided,
// past everything but the engine.
func (w *world) seedPlan(people int) {
	w.t.Helper()
	src := planPolicy()
	_, err := w.bridge.ApplyPolicy(w.ctx, src)
	w.do(err)
	w.do(w.bridge.ApplyClients(w.ctx))
	s := planSeed{world: w, groups: map[string]int{}}
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		row, err := v.Policy()
		if err != nil {
			return err
		}
		if err := json.Unmarshal(row.Source, &src); err != nil {
			return err
		}
		s.policy, err = mapping.Compile(src)
		return err
	}))
	for i := range planRules {
		s.group(fmt.Sprintf("Team %d", i))
	}
	for i := range planRules / 20 {
		for f := range planFleets {
			s.group(fmt.Sprintf("Shift %d f%d", i*20+1, f))
		}
	}
	for i := range 500 {
		s.group(fmt.Sprintf("Mailing list %d", i))
	}
	s.insertGroups()
	const batch = 5000
	for from := 0; from < people; from += batch {
		w.do(w.rows.Update(w.ctx, "", func(q store.Querier) error { return s.people(q, from, min(from+batch, people)) }, func() {}))
	}
	w.do(w.rows.Update(w.ctx, "", func(q store.Querier) error {
		_, err := q.Exec(`update connections set people = $1, groups = $2 where id = 'bench'`, people, len(s.groups))
		return err
	}, func() {}))
	w.do(w.rows.Update(w.ctx, "", func(q store.Querier) error {
		_, err := q.Exec(`update groups set member_count = (select count(*) from memberships m where m.grp = groups.key)`)
		return err
	}, func() {}))
	w.forget()
}

// planSeed is what seeding knows.
type planSeed struct {
	*world
	policy *mapping.Policy
	groups map[string]int // keys
	names  []string
}

func (s *planSeed) group(name string) {
	s.names = append(s.names, name)
	s.groups[name] = len(s.names)
}

func (s *planSeed) insertGroups() {
	s.do(s.rows.Update(s.ctx, "", func(q store.Querier) error {
		for i, name := range s.names {
			_, err := q.Exec(`insert into groups (key, conn, id, display_name, name_key, external_id, version, created_at, updated_at, doc)
				values ($1, 1, $2, $3, $4, $5, 1, 0, 0, $6)`, i+1, fmt.Sprintf("grp_%d", i+1), name, store.Fold(name), fmt.Sprintf("ext-%d", i+1), `{"displayName":"`+name+`"}`)
			if err != nil {
				return err
			}
		}
		return nil
	}, func() {}))
}

// of are the groups of a person.
func (s *planSeed) of(i int) []string {
	team := func(n int) string { return fmt.Sprintf("Team %d", n%planRules) }
	in := []string{team(i), fmt.Sprintf("Mailing list %d", i%500), fmt.Sprintf("Mailing list %d", (i/500+7*i+1)%500)}
	if i%3 == 0 {
		in = append(in, team(i/3+i))
	}
	if i%5 == 0 {
		in = append(in, fmt.Sprintf("Shift %d f%d", i%10*20+1, i/10%planFleets))
	}
	slices.Sort(in)
	return slices.Compact(in)
}

func (s *planSeed) people(q store.Querier, from, to int) error {
	now := s.clock.Now()
	for i := from; i < to; i++ {
		name, since := fmt.Sprintf("person-%07d@bench.example", i), now.Add(-time.Duration(i%1000)*time.Hour)
		_, err := q.Exec(`insert into people (key, conn, id, user_name, user_name_key, external_id, display_name, email, email_key, active, epoch, version, policy, fence,
			valid_until, claimed_level, claimed_until, asserted, asserted_level, asserted_until, created_at, updated_at, doc, emails_at)
			values ($1, 1, $2, $3, $3, $4, $5, $3, $3, true, 1, 1, 1, 0, 0, '', 0, false, '', 0, 0, 0, $6, 1)`,
			i+1, fmt.Sprintf("per_%d", i), name, fmt.Sprintf("oid-%d", i), fmt.Sprintf("Person %d", i),
			fmt.Sprintf(`{"userName":%q,"active":true,"displayName":"Person %d","name":{"givenName":"Person","familyName":"%d"},"title":"Driver","emails":[{"value":%q,"type":"work","primary":true}]}`, name, i, i, name))
		if err != nil {
			return err
		}
		facts := mapping.Facts{Connection: "bench", Active: true}
		for _, group := range s.of(i) {
			key := s.groups[group]
			if key == 0 {
				return fmt.Errorf("no group %q", group)
			}
			if _, err := q.Exec(`insert into memberships (conn, grp, person, since) values (1, $1, $2, $3)`, key, i+1, since.UnixMilli()); err != nil {
				return err
			}
			facts.Memberships = append(facts.Memberships, mapping.Membership{Group: access.GroupID(fmt.Sprintf("grp_%d", key)), Name: group, ExternalID: fmt.Sprintf("ext-%d", key), Since: since})
		}
		if err := s.give(q, i, facts, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *planSeed) give(q store.Querier, i int, facts mapping.Facts, now time.Time) error {
	conn, _ := s.policy.Connection("bench")
	for n, a := range s.policy.Diff(nil, mapping.Decide(s.policy, facts, now).Want, access.Decided{}, now).After() {
		sources, err := json.Marshal(a.Sources)
		if err != nil {
			return err
		}
		until := int64(0)
		if !a.Until.IsZero() {
			until = a.Until.UnixMilli()
		}
		_, err = q.Exec(`insert into assignments (conn, person, id, grant_kind, scope, events, video, standing, not_before, until, by_rule, ceiling_scope, sources, last_used_at)
			values (1, $1, $2, $3, $4, $5, $6, $7, 0, $8, true, $9, $10, $11)`, i+1, fmt.Sprintf("asg_%d_%d", i, n), string(a.Grant), string(a.Scope), string(a.Flags.Events), a.Flags.Video,
			string(a.Standing), until, string(conn.Ceiling.Scope), string(sources), now.Add(-time.Duration(i%90)*24*time.Hour).UnixMilli())
		if err != nil {
			return err
		}
	}
	return nil
}

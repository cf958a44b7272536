package sqlite

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// explained is an engine that looks at the plan of every statement before it runs.
type explained struct {
	store.Engine
	t     *testing.T
	seen  map[string]bool
	plans map[string]string // by statement, if somebody asks
}

func (e *explained) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.Engine.Update(ctx, lane, func(q store.Querier) error { return fn(explainer{q, e}) }, committed)
}

func (e *explained) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(explainer{q, e}) })
}

type explainer struct {
	store.Querier
	e *explained
}

func (q explainer) Of(conn int64) store.Querier { return explainer{q.Querier.Of(conn), q.e} }

// scanned is a step that reads a whole table. What may be scanned is small: the
// connections, the clients, the receivers, the secrets of SCIM clients, the keys, the one-row tables, the families that ended in the last minutes, JSON lists, subqueries,
// and the outbox up to a limit. reread is one that reads a whole index, or all that a
// connection has in it: those of what a connection has few of may be read so, those of
// rows that wait for something, and the findings of drift, of which there is a limit.
var (
	scanned = regexp.MustCompile(`^SCAN (\w+)( USING.*)?`)
	reread  = regexp.MustCompile(`^(SCAN \w+ USING|SEARCH \w+ USING .*\(conn=\?\)$)`)
	few     = regexp.MustCompile(` (connections_id|scim_tokens_connection|scim_clients_connection|groups_changing|groups_fenced|reviews_gathering|people_emails_unknown|member_drift_age|scopes_gone|cases_untold|cases_lapsing|scope_ancestors_retired|sqlite_autoindex_audit_heads_1)( |$)|^SEARCH (ceilings|m|member_drift) USING PRIMARY KEY `)
	small   = regexp.MustCompile(`^(connections|c|clients|receivers|r|relay|scim_client_secrets|signing_keys|turns|reconciled|policy|host|audit_sealed|outbox|json_each|ended_families|CONSTANT|k|m|o|s\d+|e\d+|\d+)$`)
)

func (q explainer) look(query string, args []any) {
	if q.e.seen[query] || strings.HasPrefix(query, "explain") {
		return
	}
	q.e.seen[query] = true
	err := q.Querier.Search(context.Background(), func(r store.Row) error {
		var id, parent, unused int
		var detail string
		err := r.Scan(&id, &parent, &unused, &detail)
		if q.e.plans != nil {
			q.e.plans[query] += detail + "\n"
		}
		if m := scanned.FindStringSubmatch(detail); m != nil && !small.MatchString(m[1]) && m[2] == "" {
			q.e.t.Errorf("%s\nreads a whole table: %s", query, detail)
		}
		return err
	}, "explain query plan "+query, args...)
	if err != nil {
		q.e.t.Errorf("%s\n%v", query, err)
	}
}

func (q explainer) Exec(query string, args ...any) (int64, error) {
	q.look(query, args)
	return q.Querier.Exec(query, args...)
}

func (q explainer) Insert(query string, args ...any) (int64, error) {
	q.look(query, args)
	return q.Querier.Insert(query, args...)
}

func (q explainer) QueryRow(query string, args ...any) store.Row {
	q.look(query, args)
	return q.Querier.QueryRow(query, args...)
}

func (q explainer) Expect(rows int64, query string, args ...any) (int64, error) {
	q.look(query, args)
	return q.Querier.Expect(rows, query, args...)
}

func (q explainer) Tally(by int64, query string, args ...any) error {
	q.look(query, append([]any{by}, args...))
	return q.Querier.Tally(by, query, args...)
}

func (q explainer) Steady(query string, args ...any) store.Row {
	q.look(query, args)
	return q.Querier.Steady(query, args...)
}

func (q explainer) Each(scan func(store.Row) error, query string, args ...any) error {
	q.look(query, args)
	return q.Querier.Each(scan, query, args...)
}

func (q explainer) Last(questions ...store.Question) error {
	for _, a := range questions {
		q.look(a.Query, a.Args)
	}
	return q.Querier.Last(questions...)
}

func (q explainer) Search(ctx context.Context, scan func(store.Row) error, query string, args ...any) error {
	q.look(query, args)
	return q.Querier.Search(ctx, scan, query, args...)
}

// No query of the ordinary walks, nor of the filters that identity providers send,
// reads a whole table, or everything that a connection has in it.
func TestHotQueriesUseAnIndex(t *testing.T) {
	looking := &explained{t: t, seen: map[string]bool{}, plans: map[string]string{}}
	s := wrapped(t, func(e store.Engine) store.Engine { looking.Engine = e; return looking })
	walk(t, s)
	if len(looking.seen) < 60 {
		t.Errorf("only %d statements were looked at", len(looking.seen))
	}
	for query, plan := range looking.plans {
		if strings.Contains(query, "r.waits = 1") && !strings.Contains(plan, "(waits=? AND ") {
			t.Errorf("%s\nreads all requests that wait, or all there ever were: %s", query, plan)
		}
		for step := range strings.Lines(plan) {
			if step = strings.TrimSpace(step); reread.MatchString(step) && !few.MatchString(step) {
				t.Errorf("%s\nreads all that a connection has: %s", query, step)
			}
		}
	}
}

type steps []error

func (s *steps) add(errs ...error) { *s = append(*s, errs...) }

func walk(t *testing.T, s *store.Store) {
	t.Helper()
	p := store.Person{ID: "per_1", UserName: "u", ExternalID: "x", Active: true, Epoch: 1, Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		var did steps
		_, err := tx.PutConnection(access.Connection{ID: crashConn}, crashDay)
		_, err2 := tx.PutPolicy("h", []byte(`{}`), crashDay)
		did.add(tx.PutApplication(store.Application{Version: 1, Plan: "p"}, []byte(`{}`), nil), tx.SetPolicyInput("i"))
		did.add(err, err2, tx.PutClient("app", true), tx.PutTree(access.TreeDiff{New: []access.Scope{{ID: "s", Slug: "s", Level: access.ServiceProvider, Parent: "h"}}, Above: []access.Lineage{{Scope: "s", Ancestors: []access.ScopeID{"s", "h"}}}}),
			tx.PutTree(access.TreeDiff{Gone: []access.ScopeID{"t"}, Above: []access.Lineage{{Scope: "s", Ancestors: []access.ScopeID{"s", "h"}}}}),
			tx.PutCeiling(crashConn, access.Ceiling{Scope: "s", Grants: []access.Grant{access.Standard}}),
			tx.PutSCIMToken(store.SCIMToken{PublicID: "t", Connection: crashConn}), tx.TouchSCIMTokens(map[string]time.Time{"t": crashDay}),
			tx.PutSCIMClient(store.SCIMClient{ID: "k", Connection: crashConn}), tx.PutClientSecret("k", store.ClientSecret{PublicID: "s"}), tx.RevokeClientSecret("k", "s", crashDay),
			tx.RevokeSCIMClient("k", crashDay), tx.TouchSCIMClients(map[store.ClientUse]time.Time{{Client: "k", Kind: "secret", Secret: "s"}: crashDay}),
			tx.AddSpeech([]store.SpeechCount{{Connection: crashConn, Day: crashDay, Word: "requests", Count: 1}}, crashDay))
		_, err = tx.UseAssertion("k", credential.Digest{1}, crashDay.Add(time.Hour), crashDay)
		_, err2 = tx.SCIMClients(crashConn)
		did.add(err, err2)
		_, err = tx.Speech(crashConn, crashDay)
		did.add(err)
		d, err := tx.In(crashConn)
		if err != nil {
			return err
		}
		did.add(d.InsertPerson(&p))
		g := store.Group{ID: "grp_1", DisplayName: "Team", Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}
		did.add(d.InsertGroup(&g), decide(tx, d, p))
		_, err = d.AddMembers(&g, []store.PersonKey{p.Key}, crashDay)
		did.add(err, d.UpdatePerson(p), d.UpdateGroup(g), d.PinSubject(p, "i", "s"), d.SetDecided(p.Key, 1, crashDay), d.MarkDue([]store.PersonKey{p.Key, 7}))
		a := access.Assignment{ID: "asg_1", Grant: access.Standard, Scope: "s", Standing: access.Primary, Sources: []access.Source{{Kind: access.SourceRule}}}
		did.add(d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{a}}), d.ApplyPlan(p, mapping.Plan{Change: []mapping.Change{{From: a, To: a}}}))
		did.add(tx.IndexAudit(0, 1, []store.AuditMark{{Row: 1, Connection: crashConn, Subject: event.Subject{Kind: event.KindPerson, ID: "per_1"}}}))
		did.add(d.TouchAssignments(map[access.AssignmentID]time.Time{"asg_1": crashDay}), d.TouchSCIM(crashDay))
		row := store.SessionRow{Session: session.Session{ID: "ses_1", Connection: crashConn, Person: p.ID, State: session.Active, Version: 1}, Cookie: credential.Digest{1}}
		did.add(tx.InsertSession(row), tx.ForgetEarlierCookie("ses_1"), tx.UpdateSession(row.Session, &store.NewCookie{Cookie: credential.Digest{2}, EarlierUntil: crashDay.Add(time.Hour)}), tx.AddSessionClient("ses_1", "app"),
			tx.Append(event.Event{Connection: crashConn, Person: p.ID, At: crashDay}), read(&tx.View, &d.Directory, p, g))
		stream := store.Stream{ID: "str_1", Client: "app", Status: "enabled"}
		did.add(tx.InsertStream(stream), tx.UpdateStream(stream), tx.Mute("str_1", "x", crashDay), tx.Unmute("str_1", "x"), readStream(&tx.View, &d.Directory),
			tx.DeleteStream("str_1"), d.PutSCIMResult(store.SCIMResult{Txn: "t", Body: []byte("{}")}))
		_, err = tx.TrimSCIMResults(crashDay)
		did.add(err)
		did.add(d.BeginEdits(&g, []store.MemberEdit{{Add: []store.PersonKey{p.Key}}}, crashDay))
		did.add(d.NoteDrift(&g, []string{"per_7"}, crashDay), d.ForgetDrift(&g, []string{"per_7"}, false), d.ForgetDrift(&g, nil, true))
		planned := store.PlanRow{Hash: "h", Summary: []byte(`{}`), Created: crashDay}
		did.add(tx.BeginPlan(&planned), tx.AddPlanPart(planned.Key, store.PlanSource, 0, []byte("{}")), tx.FinishPlan(planned.Key), census(&tx.View, planned))
		_, err = tx.DropPlan(planned.Key, 4)
		did.add(err)
		did.add(d.PrepareSuccessor(g), d.StageMembers(g, []store.PersonKey{p.Key}, crashDay))
		_, err = d.Drift(10)
		_, err2 = d.AcknowledgeDrift("")
		did.add(err, err2)
		_, err = tx.Changing(10)
		_, _, err2 = d.TakeEdit(&g)
		did.add(err, err2)
		logged := []store.TrafficRow{{At: crashDay, Person: p.ID, Body: []byte(`{}`)}}
		did.add(d.AddTraffic(logged), d.SetTraffic(logged[0].ID, []byte(`{}`)), readTraffic(&tx.View, &d.Directory, logged[0].ID))
		_, err = d.TrimTraffic(false, 10)
		_, err2 = tx.TrimTrafficBefore(crashDay)
		did.add(err, err2)
		did.add(deliver(tx), workRows(tx), d.RecountDecided(p), registerRows(tx, d), requestRows(tx), reviews(tx))
		did.add(tx.PutAlarm(store.Alarm{Connection: crashConn, At: crashDay}), d.KeepFormer(g, true, crashDay))
		_, err = tx.TrimFormer(crashDay)
		_, err2 = tx.OutboxBefore(crashDay)
		did.add(err, err2)
		_, err = tx.TrimAlarms(crashDay)
		_, err2 = tx.Alarms("", crashDay, 10)
		did.add(err, err2)
		_, err = tx.Alarms(crashConn, crashDay, 10)
		_, err2 = d.FormerGroups(crashDay, 10)
		did.add(err, err2)
		_, err = tx.AuditBefore(crashDay)
		_, err2 = tx.AuditOf(crashConn, 0, 10)
		did.add(err, err2)
		_, err = d.GroupNamed("Team")
		if fault.Is(err, fault.NotFound) {
			err = nil
		}
		_, err2 = d.JoinedAmong(g, []store.PersonKey{p.Key})
		did.add(err, err2)
		_, err = d.RestoreMembers(&g, []store.Joined{{Key: p.Key, Since: crashDay}}, crashDay)
		did.add(err)
		_, err = d.Memberships(g)
		_, err2 = d.CountPeople()
		_, err3 := d.CountHolding(crashDay)
		did.add(err, err2, err3)
		_, err = d.RemoveMembers(&g, []store.PersonKey{p.Key}, crashDay)
		_, _, err2 = d.DropMembers(g, 10)
		did.add(err, err2, d.Succeed(&g, true, crashDay))
		_, err = d.NextLeaving(g, 10)
		did.add(err)
		did.add(d.FenceGroups([]store.GroupKey{g.Key}), d.FenceGroup(g), tx.RevokeSCIMToken("t", crashDay))
		_, _, err = d.TakeFenced(g, 10)
		_, err2 = tx.TrimOutbox(crashDay)
		did.add(err, err2, tx.ErasePersonal(crashConn, p.ID), d.DissolveGroup(g, crashDay), d.DeleteGroup(g), d.DeletePerson(p, crashDay), tx.PruneCeiling(crashConn), tx.EndConnection(crashConn, crashDay))
		for i, err := range did {
			if err != nil {
				t.Errorf("step %d: %v", i, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// deliver does everything with a delivery.
func deliver(tx *store.Tx) error {
	const to = "logout:app"
	mark, err := tx.RelayMark()
	_, err2 := tx.Deliveries(to, 0, 10)
	_, err3 := tx.ReadyReceivers(crashDay, 10)
	if err = errors.Join(err, err2, err3, tx.MoveRelayMark(mark, mark), tx.PutDeliveries([]store.Delivery{{Receiver: to, Kind: "logout", JTI: "j", Event: 1, Body: []byte("{}"), At: crashDay}}),
		tx.DeliveryFailed(to, "j", "down", crashDay, crashDay), tx.PauseReceiver(to, "logout", false), tx.RetryReceiver(to)); err != nil {
		return err
	}
	_, err = tx.Receiver(to)
	_, err2 = tx.Receivers()
	_, _, err3 = tx.Abandon(to, crashDay, 10)
	_, err4 := tx.DeliveryRefused(to, []string{"j"}, "no", crashDay)
	_, err5 := tx.Delivered(to, []string{"j"}, crashDay)
	_, err6 := tx.DropReceiver(to)
	return errors.Join(err, err2, err3, err4, err5, err6)
}

// workRows does everything with turns at work and claims of receivers.
func workRows(tx *store.Tx) error {
	t, _, err := tx.TakeTurn("tidy", "a", time.Hour)
	_, err2 := tx.RenewTurn(t, time.Hour)
	_, err3 := tx.Turns()
	_, err4 := tx.ClaimReceivers("a", []string{"logout:app"}, crashDay, time.Hour)
	_, err5 := tx.ReleaseReceiver("a", "logout:app")
	at, err6 := tx.Reconciled()
	_, err7 := tx.PeopleBehind(0, 10)
	_, err8 := tx.UseProof([16]byte{1}, time.Minute)
	_, err9 := tx.ClaimUpstreamTokens(crashDay, crashDay, 10)
	err = errors.Join(err, err8, err9, tx.ForgetProof([16]byte{1}))
	return errors.Join(err, err2, err3, err4, err5, err6, err7, tx.MoveReconciled(at, at), tx.EndTurn(t))
}

// registerRows does everything with the certification register.
func registerRows(tx *store.Tx, d *store.DirectoryTx) error {
	e := store.Registered{Connection: crashConn, Who: "u", Person: "per_1", Level: "Trainer", Until: crashDay}
	err := d.PutRegistered(e)
	e, err2 := d.RegisteredAs("u")
	_, err3 := d.RegisteredOf("per_1")
	_, _, err4 := d.Awaited("u", "u@x.example")
	_, err5 := d.Called("u@x.example")
	_, err6 := d.MarkLapsed(e.Key, crashDay)
	_, err7 := tx.Lapsing(crashDay, 10)
	_, err8 := tx.Register("", 0, 10)
	_, err9 := tx.Register(crashConn, 0, 10)
	_, err10 := d.DropRegistered(e.Key)
	p, err18 := d.Person("per_1")
	_, err12 := d.Found(p, []exception.Exception{{Kind: exception.Permanent, Pair: exception.Pair{Grant: access.Standard, Scope: "s"}}}, crashDay)
	_, err13 := tx.Exceptions(nil, store.ExceptionPlace{}, 10, crashDay)
	_, err14 := tx.Exceptions([]access.ScopeID{"s"}, store.ExceptionPlace{}, 10, crashDay)
	at, err15 := tx.ExceptionsPass()
	_, _, _, err16 := tx.NextHolding(at, 10)
	_, err17 := d.Found(p, nil, crashDay)
	err = errors.Join(err, err18, err12, err13, err14, err15, err16, err17, tx.MoveExceptionsPass(at, at))
	_, err11 := tx.LimitNotes([]access.LimitID{"lim_1", "lim_2"})
	_, err19 := tx.Seen("prm_1")
	_, err20 := tx.Ticks("prm_1")
	_, err21 := tx.DropTick("prm_1", "vehicles")
	err = errors.Join(err, err19, err20, err21, tx.PutTick("prm_1", store.Tick{Point: "vehicles"}), tx.Observe(store.Observation{Connection: crashConn, Assignment: "asg_1", Kind: store.SeenToken}, crashDay))
	return errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, tx.PutLimitNote(store.LimitNote{Limit: "lim_1"}))
}

// requestRows does everything with requests, cases and their permits.
func requestRows(tx *store.Tx) error {
	var did steps
	who := request.Party{Connection: crashConn, Person: "per_1"}
	r := request.Request{ID: "req_1", State: request.Open, By: who, For: who, Wish: request.Wish{Case: "C"}}
	_, err := tx.OpenCase("C", "cas_1", crashDay)
	did.add(err, tx.PutRequest(r), tx.AddApproval("req_1", 1, request.Approval{By: who}), tx.MoveRequest(r, request.Open), tx.CountCaseWaiting("C", 1),
		tx.MoveCase(request.Case{ID: "C"}), tx.PutWatch("prm_1", crashDay), tx.DropWatch("prm_1"))
	_, err = tx.Request("req_1")
	did.add(err)
	_, err = tx.LikeRequest("req_", 3)
	did.add(err)
	at := []access.ScopeID{"s"}
	for _, l := range []store.RequestList{{}, {For: &who}, {By: &who}, {Case: "C"}, {State: request.Open}, {Scopes: at}, {Scopes: at, Waiting: true}} {
		_, err := tx.RequestKeys(l, "", 10)
		did.add(err)
	}
	for _, l := range []store.PermitList{{}, {For: &who}, {Case: "C"}, {Scopes: at}, {Scopes: at, Live: true}} {
		_, err := tx.PermitPage(l, "", 10)
		did.add(err)
	}
	_, err = tx.WaitingRequests(who, 10)
	did.add(err)
	_, err = tx.OverdueRequests(crashDay, 10)
	did.add(err)
	_, err = tx.Watched(crashDay, 10)
	did.add(err)
	_, err = tx.Case("C")
	did.add(err)
	_, err = tx.Cases(true, "", 10)
	did.add(err)
	_, err = tx.Cases(false, "", 10)
	did.add(err)
	_, err = tx.UnfinishedCases(10)
	did.add(err)
	_, err = tx.WaitingOf("C", 10)
	did.add(err)
	_, err = tx.LivePlaces("C", 10)
	did.add(err)
	_, err = tx.CasePlaces("C", 10)
	did.add(err)
	_, err = tx.AdministrationOf("C", 10)
	did.add(err)
	_, err = tx.EndPermitsOf("C", access.EndPermitCase, crashDay)
	did.add(err)
	_, err = tx.EndedOf("C", access.EndPermitCase, "", 10)
	did.add(err)
	_, err = tx.AdministratorsAt("s", 10)
	did.add(err)
	_, err = tx.AdministeredForGood("s")
	did.add(err)
	return errors.Join(did...)
}

// reviews does everything with a review.
func reviews(tx *store.Tx) error {
	r := review.Begin("rev_1", review.Cause{Trigger: review.BySchedule, Name: "guests"}, crashDay)
	i := review.Item{Review: r.ID, ID: "1", Held: review.Held{Connection: crashConn, Person: "per_1", Grant: access.Standard, Scope: "s", Level: access.Fleet}, Placed: []access.ScopeID{"s", "h"}}
	err := errors.Join(tx.OpenReview(r), tx.MoveReview(r), tx.PutReviewSchedule(review.Schedule{Name: "guests", Since: crashDay}))
	_, err2 := tx.AddReviewItems(r.ID, []review.Item{i})
	err = errors.Join(err, err2, tx.AnswerReviewItem(i, review.Answer{Verdict: review.Keep, At: crashDay}),
		tx.MoveReviewScopes([]store.ScopeMove{{Scope: "s", Was: []access.ScopeID{"h"}, Now: []access.ScopeID{"n", "h"}}}),
		tx.PlaceReviewItems(r.ID, crashConn, "per_1", func(access.ScopeID) []access.ScopeID { return []access.ScopeID{"s", "n"} }),
		tx.PutReviewMove(store.ReviewMove{Review: r.ID}, false), tx.PutReviewMove(store.ReviewMove{Review: "rev_9"}, true))
	for _, ask := range []func() error{
		func() error { _, err := tx.Review(r.ID); return err },
		func() error { _, err := tx.ReviewMoves(10); return err },
		func() error { _, _, err := tx.ReviewMove(r.ID); return err },
		func() error { _, err := tx.Reviews("", 10); return err },
		func() error { _, err := tx.Reviews("rev_9", 10); return err },
		func() error { _, err := tx.ReviewsAt("s", "", 10); return err },
		func() error { _, err := tx.ReviewsAt("s", "rev_9", 10); return err },
		func() error { _, err := tx.GatheringReviews(10); return err },
		func() error { _, err := tx.DueReviews(crashDay, 10); return err },
		func() error { _, err := tx.ReviewSchedule("guests"); return err },
		func() error { _, err := tx.RunningReview("guests"); return err },
		func() error { _, err := tx.ReviewItem(r.ID, "1"); return err },
		func() error { _, err := tx.ReviewItemsOf(r.ID, crashConn, "per_1"); return err },
		func() error { _, err := tx.ReviewItems(r.ID, store.ItemPlace{}, 10); return err },
		func() error { _, err := tx.UndecidedItems(r.ID, 10); return err },
		func() error { _, err := tx.ReviewCards(r.ID, "s", store.CardPlace{}, false, 10); return err },
		func() error { _, err := tx.ReviewCards(r.ID, "s", store.CardPlace{}, true, 10); return err },
		func() error { _, err := tx.ReviewAt(r.ID, "s"); return err },
		func() error { _, err := tx.LastReviewed(crashConn, "per_1", access.Standard, "s"); return err },
		func() error { _, err := tx.CountSame(access.Standard, "s", 10); return err },
		func() error { _, err := tx.PermitsOfCase("CASE-7", "", 10); return err },
		func() error { _, err := tx.PermitsAmong(crashConn, "", "", 10); return err },
	} {
		err = errors.Join(err, ask())
	}
	return err
}

func readStream(v *store.View, d *store.Directory) error {
	_, err := v.Stream("str_1")
	_, err2 := v.StreamOf("app")
	_, err3 := v.Muted("str_1", []string{"x"})
	_, err4 := v.Knows("app", crashConn, "per_1")
	_, err5 := v.KnowsAnybody("app", crashConn)
	_, err6 := d.SCIMResult("none")
	if fault.Is(err6, fault.NotFound) {
		err6 = nil
	}
	return errors.Join(err, err2, err3, err4, err5, err6)
}

func read(v *store.View, d *store.Directory, p store.Person, g store.Group) error {
	title, err := d.Row().Types.Users.Attribute("title")
	if err != nil {
		return err
	}
	look := []mapping.Attribute{{Name: "title", At: title}}
	p.Doc = nil // as of people read by their keys
	ask := []func() error{
		func() error { _, err := d.Person(p.ID); return err },
		func() error { _, err := d.Group(g.ID); return err },
		func() error { _, err := d.NextFenced(g, 10); return err },
		func() error { _, err := d.Unsettled([]store.PersonKey{1, 2}, crashDay); return err },
		func() error { _, _, _, err := d.SubjectOf(p); return err },
		func() error { _, err := d.Counted(); return err },
		func() error { _, err := d.DoubledExternalIDs(10); return err },
		func() error { _, err := v.Session("ses_1"); return err },
		func() error { _, err := v.SessionClients("ses_1"); return err },
		func() error { _, err := v.SCIMToken("t"); return err },
		func() error { _, err := v.SCIMTokens(crashConn); return err },
		func() error { _, err := v.SCIMClient("k"); return err },
		func() error { _, _, err := v.AuditHead(crashConn); return err },
		func() error { _, err := d.PersonByUserName("u"); return err },
		func() error { _, err := d.PersonBySubject("i", "s"); return err },
		func() error { _, err := d.PeopleByExternalID("x"); return err },
		func() error { _, err := d.PeopleByKey([]store.PersonKey{1, 2}); return err },
		func() error { _, err := d.Keys([]access.PersonID{"a", "b"}); return err },
		func() error { _, err := d.IDs([]store.PersonKey{1, 2}); return err },
		func() error { _, err := d.Sessions(p); return err },
		func() error { _, err := d.Facts(p, look); return err },
		func() error { _, err := d.Bases([]store.Person{p, {Key: 7, ID: "per_7"}}, look); return err },
		func() error { _, err := d.Assignments(p); return err },
		func() error { _, err := d.GroupsOf(p); return err },
		func() error { _, err := d.GroupNames(p); return err },
		func() error { _, err := d.GroupNamesOf([]store.PersonKey{1, 2}); return err },
		func() error { _, err := d.GroupsByExternalID("x"); return err },
		func() error { _, err := d.Members(g, 0, 10); return err },
		func() error { _, err := d.MemberKeys(g); return err },
		func() error { _, err := d.Among(g, []store.PersonKey{1, 2}); return err },
		func() error { _, err := d.Living([]store.PersonKey{1, 2}); return err },
		func() error { _, err := d.Fences(p); return err },
		func() error { _, err := d.Tombstones("x", "i", "s"); return err },
		func() error { _, err := v.Due(crashDay, 10); return err },
		func() error { _, err := v.Undecided(10); return err },
		func() error { _, err := v.Fenced(10); return err },
		func() error { _, err := v.WithoutEmails(10); return err },
		func() error { _, err := v.Dissolving(10); return err },
		func() error { _, err := v.PeopleNamed("u"); return err },
		func() error { _, err := v.SessionByCookie(credential.Digest{2}); return err },
		func() error { _, err := v.SessionByEarlierCookie(credential.Digest{1}, crashDay); return err },
		func() error { _, err := v.AuditTrail(crashConn, 0, 10); return err },
		func() error { _, err := v.Unsealed(10); return err },
		func() error { _, err := v.AuditSealed(); return err },
		func() error { _, err := v.AuditIndexed(); return err },
		func() error { _, err := v.AuditAfter(0, 10); return err },
		func() error {
			_, err := v.AuditAbout(crashConn, event.Subject{Kind: event.KindPerson, ID: "per_1"}, 0, 10)
			return err
		},
		func() error { _, err := v.DepartedNamed("x"); return err },
		func() error { return readHolders(v) },
		func() error { _, err := d.DeletedOf([]access.PersonID{"per_1", "per_7"}); return err },
		func() error { _, err := d.GroupsNamed("Team"); return err },
		func() error { _, err := v.Outbox(0, 10); return err },
		func() error {
			_, err := v.Current(credential.Subject{Connection: crashConn, Person: p.ID, Client: "app", Session: "ses_1"})
			return err
		},
	}
	for i, fn := range ask {
		if err := fn(); err != nil {
			return fmt.Errorf("question %d: %w", i, err)
		}
	}
	return readFiltered(d)
}

func census(v *store.View, plan store.PlanRow) error {
	all, err := v.Census()
	if err != nil {
		return err
	}
	_, err = all.Next(v, 0, 10)
	_, err2 := all.People(v, 0, 10, []access.ConnectionID{crashConn})
	_, err3 := all.Of(v, crashConn, []access.PersonID{"per_1", "per_7"}, nil)
	_, err4 := all.Groups(v, 0, 10)
	_, err5 := all.GroupsOf(v, []store.GroupKey{1, 2})
	_, err6 := all.Sessions(v, crashConn, []access.PersonID{"per_1"})
	_, err7 := v.AuditPosition()
	_, err8 := v.Plan(plan.Hash)
	_, err9 := v.PlanPart(plan.Key, store.PlanSource)
	return errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9)
}

// readHolders asks in all four ways for who holds something.
func readHolders(v *store.View) error {
	at, err := v.SeatsAt("s", []access.Grant{access.Standard})
	of, err2 := v.SeatsOf(crashConn, access.Standard)
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	for _, seat := range append(at, of...) {
		_, _, err := v.Holders(seat, store.Held{Now: crashDay, Connection: crashConn, Begun: true}, 0, 10)
		_, err2 := v.CountHolders(seat, store.Held{Now: crashDay})
		if err = errors.Join(err, err2); err != nil {
			return err
		}
	}
	return nil
}

func readTraffic(v *store.View, d *store.Directory, id int64) error {
	_, err := v.TrafficRow(id)
	_, err2 := d.Traffic(store.TrafficQuery{Limit: 10})
	_, err3 := d.Traffic(store.TrafficQuery{Limit: 10, Oldest: true, People: []access.PersonID{"per_1"}, Marks: []string{"m"}})
	_, err4 := d.UserNames([]access.PersonID{"per_1"})
	return errors.Join(err, err2, err3, err4)
}

func readFiltered(d *store.Directory) error {
	for _, text := range []string{`userName eq "u"`, `externalId eq "x"`, `id eq "per_1"`, `userName eq "u" and active eq true`, `externalId eq "x" or userName eq "u"`} {
		e, err := filter.Parse(schema.Users(), text)
		if err != nil {
			return err
		}
		if _, _, err := d.People(store.Query{Filter: e, Start: 1, Count: 10}); err != nil {
			return err
		}
	}
	for _, text := range []string{`displayName eq "team"`, `externalId eq "x"`, `id eq "grp_1" and members.value eq "per_1"`} {
		e, err := filter.Parse(schema.Groups(), text)
		if err != nil {
			return err
		}
		if _, _, err := d.Groups(store.Query{Filter: e, Start: 1, Count: 10}); err != nil {
			return err
		}
	}
	return nil
}

// A page costs the same wherever it lies, in every order that an index keeps: the
// index is entered behind the last page, and nothing is sorted.
func TestWalksEnterTheirIndexBehindTheLastPage(t *testing.T) {
	looking := &explained{t: t, seen: map[string]bool{}, plans: map[string]string{}}
	s := wrapped(t, func(e store.Engine) store.Engine { looking.Engine = e; return looking })
	populate(t, s)
	clear(looking.plans)
	err := s.View(t.Context(), func(v *store.View) error {
		d, err := v.In(crashConn)
		if err != nil {
			return err
		}
		return errors.Join(
			everyOrder(schema.Users(), []string{"id", "userName"}, func(w store.Walk) (store.Place, error) { _, next, err := d.WalkPeople(w); return next, err }),
			everyOrder(schema.Groups(), []string{"id", "displayName"}, func(w store.Walk) (store.Place, error) { _, next, err := d.WalkGroups(w); return next, err }))
	})
	if err != nil {
		t.Fatal(err)
	}
	entered := regexp.MustCompile(`SEARCH [pg] USING (COVERING )?INDEX (people|groups)_(page|id|name) \(conn=\? AND \w+[<>]\?\)`)
	later := 0
	for query, plan := range looking.plans {
		if strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nsorts:\n%s", query, plan)
		}
		if strings.Contains(query, ".key > $") || strings.Contains(query, ".key) ") {
			if later++; !entered.MatchString(plan) {
				t.Errorf("%s\ndoes not begin behind the last page:\n%s", query, plan)
			}
		}
	}
	if want := 2 * (1 + 2*2); later != want {
		t.Errorf("%d later pages were looked at, want %d", later, want)
	}
}

// everyOrder walks two pages in every order.
func everyOrder(rt *schema.ResourceType, paths []string, page func(store.Walk) (store.Place, error)) error {
	orders := []*filter.Sort{nil}
	for _, path := range paths {
		up, err := filter.ParseSort(rt, path, "")
		down, err2 := filter.ParseSort(rt, path, "descending")
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		orders = append(orders, up, down)
	}
	for _, by := range orders {
		next, err := page(store.Walk{Sort: by, Count: 1})
		if err != nil || next == nil {
			return fmt.Errorf("the first page says %v, next %s", err, next)
		}
		if next, err = page(store.Walk{Sort: by, Count: 1, After: next}); err != nil || next != nil {
			return fmt.Errorf("the second page says %v, next %s", err, next)
		}
	}
	return nil
}

// populate adds two people and two groups.
func populate(t *testing.T, s *store.Store) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutConnection(access.Connection{ID: crashConn}, crashDay)
		d, err2 := tx.In(crashConn)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		var did steps
		for _, n := range []string{"1", "2"} {
			did.add(d.InsertPerson(&store.Person{ID: access.PersonID("per_" + n), UserName: "u" + n, Epoch: 1, Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}),
				d.InsertGroup(&store.Group{ID: access.GroupID("grp_" + n), DisplayName: "Team " + n, Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}))
		}
		return errors.Join(did...)
	})
	if err != nil {
		t.Fatal(err)
	}
}

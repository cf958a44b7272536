package bridge_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// countedStore counts transactions that write on behalf of a connection, and what they ask.
type countedStore struct {
	store.Engine
	transactions, asked atomic.Int64
	down                atomic.Pointer[chan struct{}] // the database lets nobody in, and says so once this is closed
}

func (e *countedStore) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	if lane != "" {
		e.transactions.Add(1)
	}
	if said := e.down.Load(); said != nil {
		<-*said
		return fault.New(fault.Unavailable, "countedStore", "the database is down")
	}
	return e.Engine.Update(ctx, lane, func(q store.Querier) error { return fn(countedQuerier{q, e}) }, committed)
}

type countedQuerier struct {
	store.Querier
	e *countedStore
}

func (q countedQuerier) Of(conn int64) store.Querier { return countedQuerier{q.Querier.Of(conn), q.e} }

func (q countedQuerier) Each(scan func(store.Row) error, query string, args ...any) error {
	q.e.asked.Add(1)
	return q.Querier.Each(scan, query, args...)
}

func (q countedQuerier) QueryRow(query string, args ...any) store.Row {
	q.e.asked.Add(1)
	return q.Querier.QueryRow(query, args...)
}

func counted(w *world) *countedStore {
	e := &countedStore{}
	w.aroundStore = func(under store.Engine) store.Engine { e.Engine = under; return e }
	return e
}

const (
	addOne    = `{"op":"add","path":"members","value":[{"value":%q}]}`
	removeOne = `{"op":"remove","path":"members[value eq \"%s\"]"}`
)

// atOnce sends PATCHes to a group while somebody else holds the writer, so that all of them wait
// for it. The first is by itself: nobody waits yet when its turn comes.
func (w *world) atOnce(group string, operations []string, headers ...string) []*httptest.ResponseRecorder {
	w.t.Helper()
	answers := make([]*httptest.ResponseRecorder, len(operations))
	var all sync.WaitGroup
	held, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	all.Go(func() {
		err := w.store.UpdateFor(w.ctx, banksia, func(*store.Tx) error { once.Do(func() { close(held) }); <-free; return nil })
		if err != nil {
			w.t.Error(err)
		}
	})
	<-held
	for i, op := range operations {
		all.Go(func() {
			r := httptest.NewRequest("PATCH", "/scim/v2/"+banksia+"/Groups/"+group, strings.NewReader(patchOf(op)))
			r = r.WithContext(bridge.WithRequestID(r.Context(), fmt.Sprint("request-", i)))
			r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
			r.Header.Set("Content-Type", "application/scim+json")
			for h := 0; h+1 < len(headers); h += 2 {
				r.Header.Set(headers[h], headers[h+1])
			}
			answers[i] = httptest.NewRecorder()
			w.scim.ServeHTTP(answers[i], r)
		})
		if len(headers) == 0 && !w.inLine(i) {
			break
		}
	}
	close(free)
	all.Wait()
	return answers
}

// What many requests ask of one group is carried out in one transaction, which asks no more than
// for a few of them. Each is told its own version, and what it did is told as its own, in order.
func TestMembersOfOneGroupAreCarriedOutTogether(t *testing.T) {
	t.Parallel()
	var e *countedStore
	w := newWorld(t, func(w *world) { e = counted(w) })
	const n = 30
	ids := w.people(banksia, n)
	group := w.group(banksia, "GL Geelong Managers")
	var operations []string
	for _, id := range ids {
		operations = append(operations, fmt.Sprintf(addOne, id))
	}
	transactions, asked := e.transactions.Load(), e.asked.Load()
	answers := w.atOnce(group, operations)
	if got := e.transactions.Load() - transactions; got != 2 { // who holds the writer, and all of them
		t.Errorf("%d requests took %d transactions", n, got-1)
	}
	if got := e.asked.Load() - asked; got > 20 {
		t.Errorf("%d requests asked %d times", n, got)
	}
	var tags []string
	for i, a := range answers {
		if a == nil || a.Code != 204 {
			t.Fatalf("request %d was answered %+v", i, a)
		}
		tags = append(tags, a.Header().Get("ETag"))
	}
	slices.Sort(tags)
	if len(slices.Compact(tags)) != n {
		t.Errorf("versions were told twice: %v", tags)
	}
	if in := w.members(banksia, group); len(in) != n {
		t.Errorf("the group has %d members", len(in))
	}
	facts := slices.DeleteFunc(w.facts(banksia), func(f event.Event) bool { return !strings.HasPrefix(f.Request, "request-") })
	if len(facts) != 2*n {
		t.Fatalf("%d events were told of %d requests", len(facts), n)
	}
	for i := 0; i < len(facts); i += 2 {
		came, given := facts[i], facts[i+1]
		if came.Type != event.MemberAdded || given.Type != event.AssignmentGiven || came.Person != given.Person || came.Request != given.Request ||
			came.Request != fmt.Sprint("request-", slices.Index(ids, string(came.Person))) {
			t.Errorf("told: %+v, %+v", came, given)
		}
	}
	if differed := w.reconcile(); differed != 0 {
		t.Errorf("%d people hold something else than what rules give", differed)
	}
}

// Those of the same wait that ask for something out of the ordinary are answered as if they had
// come alone, and the others are carried out all the same.
func TestWhatIsOutOfTheOrdinaryIsCarriedOutAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(banksia, func(s *access.SCIM) { s.UnknownMembers = access.RefuseUnknown })
	ids := w.people(banksia, 6)
	group := w.group(banksia, "GL Geelong Managers", ids[0], ids[1])
	answers := w.atOnce(group, []string{
		fmt.Sprintf(addOne, ids[2]),
		fmt.Sprintf(removeOne, ids[0]),
		fmt.Sprintf(addOne, "per_nobody"),
		fmt.Sprintf(addOne, ids[3]),
		fmt.Sprintf(addOne, ids[3]), // again
		fmt.Sprintf(addOne, ids[1]), // is there
		fmt.Sprintf(removeOne, ids[4]),
		fmt.Sprintf(addOne, ids[5]),
		fmt.Sprintf(removeOne, ids[2]), // who has only just come
	})
	for i, a := range answers {
		if want := map[bool]int{true: 400, false: 204}[i == 2]; a.Code != want {
			t.Errorf("request %d was answered %d %s, not %d", i, a.Code, a.Body, want)
		}
	}
	if body := answers[2].Body.String(); !strings.Contains(body, `per_nobody`) {
		t.Errorf("it is not said who is unknown: %s", body)
	}
	in, want := w.members(banksia, group), []string{ids[1], ids[3], ids[5]}
	slices.Sort(in)
	slices.Sort(want)
	if !slices.Equal(in, want) {
		t.Errorf("members are %v, not %v", in, want)
	}
	if n := w.rowsOf("groups", "id = $1 and member_count = 3", group); n != 1 {
		t.Error("members are miscounted")
	}
	if differed := w.reconcile(); differed != 0 {
		t.Errorf("%d people hold something else than what rules give", differed)
	}
}

// Whoever names a version is held to it.
func TestAVersionIsHeldWhateverWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.people(banksia, 5)
	group := w.group(banksia, "GL Geelong Managers")
	var operations []string
	for _, id := range ids {
		operations = append(operations, fmt.Sprintf(addOne, id))
	}
	done := 0
	for _, a := range w.atOnce(group, operations, "If-Match", `W/"1"`) {
		switch a.Code {
		case 204:
			done++
		case 412:
		default:
			t.Errorf("answered %d %s", a.Code, a.Body)
		}
	}
	if in := w.members(banksia, group); done != 1 || len(in) != 1 {
		t.Errorf("%d of %d changed the same version: members %v", done, len(ids), in)
	}
}

// While the database lets nobody in, all who wait are told so, and nobody is left waiting.
func TestAllWhoWaitAreToldThatTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	var e *countedStore
	w := newWorld(t, func(w *world) { e = counted(w) })
	const n = 30
	ids := w.people(banksia, n)
	group := w.group(banksia, "GL Geelong Managers")
	said := make(chan struct{})
	e.down.Store(&said)
	transactions := e.transactions.Load()
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			if status, _ := w.send(banksia, "PATCH", "/Groups/"+group, patchOf(fmt.Sprintf(addOne, id))); status != 503 {
				t.Errorf("answered %d", status)
			}
		})
	}
	w.inLine(n - 1)
	close(said)
	all.Wait()
	if got := e.transactions.Load() - transactions; got != 1 {
		t.Errorf("the database was asked %d times, one after the other", got)
	}
	e.down.Store(nil)
	w.addMember(banksia, group, ids[0])
	if n := w.bridge.InLine(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// inLine waits until so many wait to change a group.
func (w *world) inLine(n int) bool {
	for end := time.Now().Add(3 * time.Second); w.bridge.InLine() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Errorf("%d of %d wait", w.bridge.InLine(), n)
			return false
		}
	}
	return true
}

// gone is an engine behind whose transactions somebody panics once, when it is their turn.
type gone struct {
	store.Engine
	turn atomic.Int64
}

func (e *gone) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	turn := e.turn.Add(-1)
	err := e.Engine.Update(ctx, lane, fn, committed)
	if turn == 0 {
		panic("behind a transaction")
	}
	return err
}

// Who carries out others may fail in every way: nobody waits for ever for what came of it.
func TestNobodyWaitsForWhoPanics(t *testing.T) {
	t.Parallel()
	e := &gone{}
	w := newWorld(t, func(w *world) { w.aroundStore = func(under store.Engine) store.Engine { e.Engine = under; return e } })
	ids := w.people(banksia, 5)
	group := w.group(banksia, "GL Geelong Managers")
	var operations []string
	for _, id := range ids {
		operations = append(operations, fmt.Sprintf(addOne, id))
	}
	e.turn.Store(2) // behind who holds the writer
	told := make(chan []*httptest.ResponseRecorder, 1)
	go func() { told <- w.atOnce(group, operations) }()
	select {
	case answers := <-told:
		codes := map[int]int{}
		for _, a := range answers {
			codes[a.Code]++
		}
		if codes[500] != 1 || codes[204] != len(ids)-1 {
			t.Errorf("answered %v", codes)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("somebody still waits")
	}
	if in := w.members(banksia, group); len(in) != len(ids) {
		t.Errorf("the group has %d members", len(in))
	}
	if n := w.bridge.InLine(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

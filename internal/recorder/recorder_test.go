package recorder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/recorder"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

var day = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)

const (
	north access.ConnectionID = "north"
	south access.ConnectionID = "south"
)

// desk is a recorder on a real store with two connections, and a clock.
type desk struct {
	*recorder.Recorder
	t       *testing.T
	store   *store.Store
	marks   credential.MarkKey
	now     time.Time
	mu      sync.Mutex // guards dropped
	dropped map[access.ConnectionID]int
	failed  []error
}

func newDesk(t *testing.T, keep int) *desk {
	t.Helper()
	e, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	root := credential.NewDataKey()
	d := &desk{t: t, store: s, now: day, dropped: map[access.ConnectionID]int{}}
	if d.marks, err = root.MarkKey(); err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutConnection(access.Connection{ID: north}, day)
		_, err2 := tx.PutConnection(access.Connection{ID: south}, day)
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.store, err = store.New(t.Context(), storetest.OwnLanes(t, e)); err != nil { // which all tests watch
		t.Fatal(err)
	}
	d.open(keep)
	return d
}

// open starts over, as after a restart.
func (d *desk) open(keep int) {
	d.Recorder = recorder.New(recorder.Config{Store: d.store, Marks: d.marks, Keep: keep, Now: func() time.Time { return d.now },
		Dropped: func(conn access.ConnectionID, n int) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.dropped[conn] += n
		},
		Failed: func(err error) { d.failed = append(d.failed, err) }})
}

// sent is a request that was answered.
func sent(conn access.ConnectionID, status int, body string) scim.Observation {
	return scim.Observation{Connection: string(conn), Asked: string(conn), Status: status, Traffic: traffic.Request{At: day, Method: "POST", Resource: "Users",
		Status: status, Type: schema.Users(), Body: []byte(body), Operations: []traffic.Operation{{Method: "POST", Type: schema.Users()}}}}
}

func (d *desk) rows(conn access.ConnectionID, q store.TrafficQuery) (rows []store.TrafficRow, records []traffic.Record) {
	d.t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxPage
	}
	err := d.store.View(d.t.Context(), func(v *store.View) error {
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		rows, err = dir.Traffic(q)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range rows {
		var record traffic.Record
		if err := json.Unmarshal(r.Body, &record); err != nil {
			d.t.Fatal(err)
		}
		records = append(records, record)
	}
	return rows, records
}

func TestARequestIsKeptWithoutWhatIdentifiesPeople(t *testing.T) {
	d := newDesk(t, 10)
	d.Observe(sent(north, 201, `{"userName":"Anna.Lindgren@north.example","password":"correct horse"}`), "REF1")
	d.Flush(t.Context())
	rows, records := d.rows(north, store.TrafficQuery{})
	if len(rows) != 1 || records[0].Request != "REF1" || records[0].Asked != "create a user" {
		t.Fatalf("kept are %+v", records)
	}
	for _, secret := range []string{"Anna", "anna", "north.example", "horse"} {
		if strings.Contains(fmt.Sprintf("%s %+v", rows[0].Body, rows[0]), secret) {
			t.Errorf("%q was kept: %s", secret, rows[0].Body)
		}
	}
	found, _ := d.rows(north, store.TrafficQuery{Marks: []string{d.marks.Mark(north, store.Fold("anna.lindgren@NORTH.example"))}})
	if len(found) != 1 {
		t.Error("whoever knows the name does not find the request")
	}
	if others, _ := d.rows(south, store.TrafficQuery{}); len(others) != 0 {
		t.Error("another connection has it, too")
	}
}

func TestTheRingIsAsLongAsItShouldBe(t *testing.T) {
	d := newDesk(t, 20)
	for i := range 300 {
		d.Observe(sent(north, 201, `{}`), fmt.Sprint(i))
		if i%3 == 0 {
			d.Flush(t.Context())
		}
	}
	for i := range 3 {
		d.Observe(sent(north, 409, `{}`), fmt.Sprint("refused", i))
		d.Observe(sent(south, 201, `{}`), "south")
	}
	d.Flush(t.Context())
	all, records := d.rows(north, store.TrafficQuery{})
	refused, _ := d.rows(north, store.TrafficQuery{Failed: true})
	if len(refused) != 3 {
		t.Errorf("%d refused requests are left", len(refused))
	}
	if well := len(all) - len(refused); well < 20 || well > 26 {
		t.Errorf("%d requests are kept, for 20", well)
	}
	if records[3].Request != "299" {
		t.Errorf("the newest is %+v", records[3])
	}
	if others, _ := d.rows(south, store.TrafficQuery{}); len(others) != 3 {
		t.Errorf("another connection has %d", len(others))
	}
	d.open(5) // a shorter ring, after a restart
	d.Observe(sent(north, 201, `{}`), "last")
	d.Flush(t.Context())
	if all, _ = d.rows(north, store.TrafficQuery{}); len(all)-len(refused) != 5 {
		t.Errorf("%d requests are kept, for 5", len(all)-len(refused))
	}
}

func TestAStormLosesItsOwnRequestsAndSaysSo(t *testing.T) {
	d := newDesk(t, 5000)
	for i := range 5000 {
		d.Observe(sent(north, 201, `{}`), fmt.Sprint(i))
	}
	d.Observe(sent(south, 201, `{}`), "south")
	d.Flush(t.Context())
	var lost int64
	kept := 0
	for before := int64(0); ; {
		rows, records := d.rows(north, store.TrafficQuery{Before: before})
		for _, r := range records {
			kept++
			if r.Kind == traffic.KindLost {
				lost += r.Count
				kept--
			}
		}
		if len(rows) < store.MaxPage {
			break
		}
		before = rows[len(rows)-1].ID
	}
	if lost == 0 || kept+int(lost) != 5000 || d.dropped[north] != int(lost) {
		t.Errorf("%d kept, %d told as lost, %d counted, of 5000", kept, lost, d.dropped[north])
	}
	if others, _ := d.rows(south, store.TrafficQuery{}); len(others) != 1 || d.dropped[south] != 0 {
		t.Errorf("another connection has %d, and lost %d", len(others), d.dropped[south])
	}
}

func TestLargeBodiesTakeNoMoreThanTheirRoom(t *testing.T) {
	d := newDesk(t, 2000)
	body := `{"userName":"` + strings.Repeat("x", 64<<10) + `"}`
	for range 400 {
		d.Observe(sent(north, 201, body), "")
	}
	if n := d.dropped[north]; n < 100 {
		t.Errorf("only %d requests found no room", n)
	}
	d.Flush(t.Context())
	rows, _ := d.rows(north, store.TrafficQuery{})
	for _, r := range rows {
		if len(r.Body) > 24<<10 {
			t.Fatalf("a row is %d bytes long", len(r.Body))
		}
	}
}

// knock is a request that no connection was opened for.
func knock(conn access.ConnectionID, at time.Time, err error) scim.Observation {
	return scim.Observation{Asked: string(conn), Status: 401, Err: err, Traffic: traffic.Request{At: at}}
}

func TestWhoeverIsRefusedAtTheDoorIsCountedInOneRow(t *testing.T) {
	d := newDesk(t, 10)
	expired := scim.Unauthorized(fault.New(fault.Unauthenticated, "bridge.Open", "the token was revoked or has expired"))
	for i := range 500 {
		d.now = day.Add(time.Duration(i) * time.Second)
		d.Observe(knock(north, d.now, expired), "")
		d.Observe(knock("nowhere", d.now, expired), "")
		d.Flush(t.Context())
	}
	rows, records := d.rows(north, store.TrafficQuery{})
	if len(rows) != 1 || !rows[0].Failed || records[0].Count != 500 || records[0].Kind != traffic.KindRefused {
		t.Fatalf("rows %+v", records)
	}
	if records[0].Refusal != "the token was revoked or has expired" || !strings.HasPrefix(records[0].Asked, "500 requests without a token that opens this connection, the last at 2026-11-20T03:08:19Z") {
		t.Errorf("the row says %+v", records[0])
	}
	d.now = day.Add(2 * time.Hour)
	d.Observe(knock(north, d.now, scim.Unauthorized(nil)), "")
	d.Flush(t.Context())
	d.now = day.Add(3 * time.Hour)
	d.Observe(knock(north, d.now, scim.Unauthorized(nil)), "")
	d.Flush(t.Context())
	_, records = d.rows(north, store.TrafficQuery{})
	if len(records) != 2 || records[0].Count != 1 || records[1].Count != 501 || !strings.Contains(records[1].Refusal, "no token was sent") {
		t.Errorf("hours later the rows are %+v", records)
	}
}

func TestAConnectionThatIsTooFastIsCountedInOneRow(t *testing.T) {
	d := newDesk(t, 10)
	limited := sent(north, 429, `{}`)
	limited.Traffic.Detail = "This connection may send 25 requests a second."
	for range 300 {
		d.Observe(limited, "")
	}
	slow := limited // a search that takes too long is a request like others
	slow.Resource = "Users"
	d.Observe(slow, "")
	d.Flush(t.Context())
	rows, records := d.rows(north, store.TrafficQuery{Failed: true})
	if len(rows) != 2 || records[0].Kind != traffic.KindLimited || records[0].Count != 300 || records[1].Kind != "" {
		t.Errorf("rows %+v", records)
	}
}

func TestWhatCouldNotBeWrittenIsCounted(t *testing.T) {
	d := newDesk(t, 10)
	d.Observe(sent(north, 201, `{}`), "one")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	d.Flush(ended)
	if len(d.failed) == 0 || d.dropped[north] != 1 {
		t.Fatalf("failures %v, dropped %v", d.failed, d.dropped)
	}
	d.Observe(sent(north, 201, `{}`), "two")
	d.Flush(t.Context())
	if _, records := d.rows(north, store.TrafficQuery{}); len(records) != 2 || records[0].Kind != traffic.KindLost || records[0].Count != 1 || records[1].Request != "two" {
		t.Errorf("kept are %+v", records)
	}
}

func TestRunWritesBehindRequestsAndOnceMoreAtTheEnd(t *testing.T) {
	d := newDesk(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(ctx) }()
	d.Observe(sent(north, 201, `{}`), "one")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if rows, _ := d.rows(north, store.TrafficQuery{}); len(rows) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was written")
		}
	}
	d.Observe(sent(north, 201, `{}`), "two")
	cancel()
	<-ended
	if rows, _ := d.rows(north, store.TrafficQuery{}); len(rows) != 2 {
		t.Errorf("%d rows at the end", len(rows))
	}
}

func TestTurnedOffNothingIsKept(t *testing.T) {
	d := newDesk(t, 10)
	d.Observe(sent(north, 201, `{}`), "one")
	d.Flush(t.Context())
	d.open(0)
	d.Observe(sent(north, 201, `{}`), "two")
	d.Observe(knock(north, day, scim.Unauthorized(nil)), "")
	d.Run(t.Context()) // ends by itself: there is nothing to do
	d.Flush(t.Context())
	if rows, _ := d.rows(north, store.TrafficQuery{}); len(rows) != 0 {
		t.Errorf("%d rows are there", len(rows))
	}
}

func TestWhatIsOldGoes(t *testing.T) {
	d := newDesk(t, 10)
	d.Observe(sent(north, 201, `{}`), "one")
	d.Flush(t.Context())
	for _, after := range []struct{ days, want int }{{29, 1}, {31, 0}} {
		d.now = day.AddDate(0, 0, after.days)
		d.Forget(t.Context())
		if rows, _ := d.rows(north, store.TrafficQuery{}); len(rows) != after.want || len(d.failed) > 0 {
			t.Errorf("after %d days %d rows are there (%v)", after.days, len(rows), d.failed)
		}
	}
}

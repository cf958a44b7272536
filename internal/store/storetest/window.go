package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// current asks the window and the directory, and insists that they agree.
func (f *fixture) current(sub credential.Subject) credential.Current {
	f.t.Helper()
	cached, err := f.Current(f.t.Context(), sub)
	if err != nil {
		f.t.Fatal(err)
	}
	f.view(func(v *store.View) error {
		read, err := v.Current(sub)
		if err == nil && read != cached {
			f.t.Errorf("the window says %+v, the directory %+v", cached, read)
		}
		return err
	})
	return cached
}

func (f *fixture) decided(conn access.ConnectionID, person access.PersonID) bool {
	f.t.Helper()
	return f.current(credential.Subject{Connection: conn, Person: person}).Decided
}

func newSession(id session.ID, p store.Person) store.SessionRow {
	s := store.SessionRow{Session: session.Session{ID: id, Connection: p.Connection, Person: p.ID, State: session.Active, Active: "asg_1", Version: 1,
		Epochs: session.Epochs{Host: 1, Connection: 1, Person: p.Epoch}, AuthTime: day, Created: day, Expires: day.Add(12 * time.Hour),
		Upstream: session.Upstream{Issuer: "https://idp.example", Subject: "s", AMR: []string{"mfa"}}}}
	copy(s.Cookie[:], id)
	s.Offline = "fleet-mobile"
	return s
}

// Whoever ends something is obeyed by the next call, and the reason is the
// outermost one.
func testCurrent(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	s := newSession("ses_1", p)
	f.update(func(tx *store.Tx) error {
		if err := tx.PutClient("app", true); err != nil {
			return err
		}
		return tx.InsertSession(s)
	})
	sub := credential.Subject{Connection: north, Client: "app", Person: p.ID, Session: s.ID}
	update := func(fn func(*store.Person)) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			d, err := tx.In(north)
			if err != nil {
				return err
			}
			now, err := d.Person(p.ID)
			fn(&now)
			if err != nil {
				return err
			}
			return d.UpdatePerson(now)
		}
	}
	steps := []struct {
		name   string
		do     func(*store.Tx) error
		why    string
		epochs credential.Epochs
	}{
		{"nothing", func(*store.Tx) error { return nil }, "", credential.Epochs{Host: 1, Connection: 1, Client: 1, Person: 1, Session: 1}},
		{"the host", func(tx *store.Tx) error { return tx.BumpHost(time.Time{}) }, "", credential.Epochs{Host: 2, Connection: 1, Client: 1, Person: 1, Session: 1}},
		{"client off", func(tx *store.Tx) error { return tx.PutClient("app", false) }, store.WhyClientDisabled, credential.Epochs{Host: 2, Connection: 1, Client: 2, Person: 1, Session: 1}},
		{"client on", func(tx *store.Tx) error { return tx.PutClient("app", true) }, "", credential.Epochs{Host: 2, Connection: 1, Client: 3, Person: 1, Session: 1}},
		{"client still on", func(tx *store.Tx) error { return tx.PutClient("app", true) }, "", credential.Epochs{Host: 2, Connection: 1, Client: 3, Person: 1, Session: 1}},
		{"deactivated", update(func(p *store.Person) { p.Active = false; p.Epoch++ }), store.WhyDeactivated, credential.Epochs{Host: 2, Connection: 1, Client: 3, Person: 2, Session: 1}},
		{"connection ended", func(tx *store.Tx) error { return tx.EndConnection(north, day) }, store.WhyConnectionEnded, credential.Epochs{Host: 2, Connection: 2, Client: 3, Person: 2, Session: 1}},
		{"connection resumed", func(tx *store.Tx) error { return tx.ResumeConnection(north, day) }, store.WhyDeactivated, credential.Epochs{Host: 2, Connection: 3, Client: 3, Person: 2, Session: 1}},
		{"reactivated", update(func(p *store.Person) { p.Active = true; p.Epoch++ }), "", credential.Epochs{Host: 2, Connection: 3, Client: 3, Person: 3, Session: 1}},
		{"session switched", func(tx *store.Tx) error { s.Version++; return tx.UpdateSession(s.Session, nil) }, "", credential.Epochs{Host: 2, Connection: 3, Client: 3, Person: 3, Session: 2}},
		{"session ended", func(tx *store.Tx) error {
			s.State, s.EndReason, s.EndedAt = session.Ended, session.EndSignedOut, day
			s.Version++
			return tx.UpdateSession(s.Session, nil)
		}, session.EndSignedOut, credential.Epochs{Host: 2, Connection: 3, Client: 3, Person: 3, Session: 3}},
		{"deleted", func(tx *store.Tx) error {
			d, err := tx.In(north)
			if err != nil {
				return err
			}
			return d.DeletePerson(p, day)
		}, store.WhyNotFound, credential.Epochs{Host: 2, Connection: 3, Client: 3, Session: 3}},
	}
	for _, step := range steps {
		f.update(step.do)
		c := f.current(sub)
		if c.Why != step.why || c.Alive != (step.why == "") || c.Epochs != step.epochs || c.Subject != sub {
			t.Errorf("%s: %+v", step.name, c)
		}
	}
}

func testClients(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error { return errors.Join(tx.PutClient("b", true), tx.PutClient("a", false)) })
	f.view(func(v *store.View) error {
		all, err := v.Clients()
		if err != nil || !slices.Equal(all, []access.ClientID{"a", "b"}) {
			t.Errorf("clients %v (%v)", all, err)
		}
		return nil
	})
}

// What an application used up stays used up until it ends, and is nobody else's.
func testSpent(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error { return errors.Join(tx.PutClient("a", true), tx.PutClient("b", false)) })
	later := day.Add(time.Minute)
	spend := func(client access.ClientID, n byte, ends, now time.Time) (first bool, err error) {
		err = f.Update(t.Context(), func(tx *store.Tx) error { first, err = tx.Spend(client, credential.Digest{n}, ends, now); return err })
		return first, err
	}
	for _, c := range []struct {
		what   string
		client access.ClientID
		n      byte
		now    time.Time
		first  bool
	}{
		{"the first time", "a", 1, day, true},
		{"again", "a", 1, day, false},
		{"just before its end", "a", 1, later.Add(-time.Millisecond), false},
		{"something else", "a", 2, day, true},
		{"another client's", "b", 1, day, true},
		{"when it has ended", "a", 1, later, true},
	} {
		if first, err := spend(c.client, c.n, later.Add(c.now.Sub(day)), c.now); err != nil || first != c.first {
			t.Errorf("%s: first %t (%v), want %t", c.what, first, err, c.first)
		}
	}
	f.view(func(v *store.View) error {
		for _, c := range []struct {
			client access.ClientID
			n      byte
			want   bool
		}{{"a", 1, true}, {"b", 1, true}, {"b", 2, false}, {"a", 9, false}, {"unknown", 1, false}} {
			if got, err := v.Spent(c.client, credential.Digest{c.n}); err != nil || got != c.want {
				t.Errorf("%s %d is spent: %t (%v)", c.client, c.n, got, err)
			}
		}
		return nil
	})
	if host, epoch, active, _ := f.ClientNow(t.Context(), "a"); host != 1 || epoch != 1 || !active {
		t.Errorf("a is %d, %d, %t", host, epoch, active)
	}
	for _, id := range []access.ClientID{"b", "unknown"} {
		if _, _, active, _ := f.ClientNow(t.Context(), id); active {
			t.Errorf("%s is active", id)
		}
	}
}

// Nobody is alive under another connection's, person's or nobody's session.
func testCurrentOfStrangers(t *testing.T, f *fixture) {
	p, q := f.person(north, "per_1", "one@north.example"), f.person(south, "per_1", "one@south.example")
	f.person(north, "per_2", "two@north.example")
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", p)) })
	for _, sub := range []credential.Subject{
		{}, {Connection: north}, {Person: p.ID}, {Connection: "west", Person: p.ID}, {Connection: north, Person: "per_9"},
		{Connection: north, Person: p.ID, Client: "unknown"},
		{Connection: north, Person: p.ID, Session: "ses_9"}, {Connection: north, Person: "per_2", Session: "ses_1"}, {Connection: south, Person: q.ID, Session: "ses_1"},
	} {
		if c := f.current(sub); c.Alive || c.Why == "" {
			t.Errorf("%+v is alive: %+v", sub, c)
		}
	}
	if c := f.current(credential.Subject{Connection: north, Person: p.ID, Session: "ses_1"}); !c.Alive || !c.SessionExpires.Equal(day.Add(12*time.Hour)) {
		t.Errorf("the owner is not: %+v", c)
	}
}

// The window is never older than a commit that was acknowledged before the call,
// however many readers race to fill it (I-1, I-13).
func testWindowIsNeverStale(t *testing.T, f *fixture) {
	const people, rounds, readers = 4, 60, 2
	var acknowledged [people]atomic.Int64
	rows := make([]store.Person, people)
	for i := range rows {
		rows[i] = f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
		acknowledged[i].Store(1)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg, writers sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				i := n % people
				least := acknowledged[i].Load()
				c, err := f.Current(context.WithoutCancel(ctx), credential.Subject{Connection: north, Person: rows[i].ID})
				if err != nil || c.Epochs.Person < least || c.Alive != (c.Epochs.Person%2 == 1) {
					t.Errorf("epoch %d was acknowledged, the window says %+v (%v)", least, c, err)
					return
				}
			}
		})
	}
	for i := range rows {
		writers.Go(func() {
			p := rows[i]
			for range rounds {
				p.Epoch, p.Active = p.Epoch+1, !p.Active
				if err := f.try(north, func(d *store.DirectoryTx) error { return d.UpdatePerson(p) }); err != nil {
					t.Error(err)
					return
				}
				acknowledged[i].Store(p.Epoch)
			}
		})
	}
	writers.Wait()
	stop()
	wg.Wait()
}

func testSessions(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	s := newSession("ses_1", p)
	f.update(func(tx *store.Tx) error {
		if err := tx.InsertSession(s); err != nil {
			return err
		}
		if err := tx.AddSessionClient(s.ID, "app"); err != nil {
			return err
		}
		return tx.AddSessionClient(s.ID, "app")
	})
	f.view(func(v *store.View) error {
		got, err := v.Session(s.ID)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
			t.Errorf("got %+v\nwant %+v (%v)", got, s, err)
		}
		clients, err := v.SessionClients(s.ID)
		if err != nil || fmt.Sprint(clients) != "[app]" {
			t.Errorf("clients %v (%v)", clients, err)
		}
		return nil
	})
	rotated, until := credential.Digest{7}, time.Date(2026, 11, 2, 12, 1, 0, 0, time.UTC)
	s.Version = 5
	f.update(func(tx *store.Tx) error {
		return tx.UpdateSession(s.Session, &store.NewCookie{Cookie: rotated, EarlierUntil: until})
	})
	f.view(func(v *store.View) error {
		if _, err := v.SessionByCookie(s.Cookie); err == nil {
			t.Error("the old cookie still finds the session")
		}
		got, err := v.SessionByCookie(rotated)
		if err != nil || got.ID != s.ID {
			t.Errorf("the new cookie finds %v (%v)", got.ID, err)
		}
		return nil
	})
	testEarlierCookie(t, f, s, until)
	s.Version = 4
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateSession(s.Session, nil) }); err == nil {
		t.Error("a version fell")
	}
	ghost := newSession("ses_2", store.Person{ID: "per_9", Connection: north})
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertSession(ghost) }); err == nil {
		t.Error("a session of nobody was stored")
	}
}

// testEarlierCookie: the secret before the present one finds the session for as long as was
// said, and no other does; it is forgotten by the next one, and on its own.
func testEarlierCookie(t *testing.T, f *fixture, s store.SessionRow, until time.Time) {
	noon := until.Add(-time.Minute)
	finds := func(what string, d credential.Digest, now time.Time, want bool) {
		t.Helper()
		f.view(func(v *store.View) error {
			got, err := v.SessionByEarlierCookie(d, now)
			if (err == nil) != want || want && (got.ID != s.ID || !got.EarlierUntil.Equal(until)) {
				t.Errorf("%s finds %q (%v), want it to: %v", what, got.ID, err, want)
			}
			return nil
		})
	}
	finds("the earlier one", s.Cookie, until.Add(-time.Millisecond), true)
	finds("the earlier one, too late", s.Cookie, until, false)
	finds("the present one, as an earlier one", credential.Digest{7}, noon, false)
	f.update(func(tx *store.Tx) error { return tx.UpdateSession(s.Session, nil) })
	finds("the earlier one, after another change", s.Cookie, noon, true)
	f.update(func(tx *store.Tx) error {
		return tx.UpdateSession(s.Session, &store.NewCookie{Cookie: credential.Digest{8}, EarlierUntil: until})
	})
	finds("the one before the earlier one", s.Cookie, noon, false)
	finds("the earlier one", credential.Digest{7}, noon, true)
	f.update(func(tx *store.Tx) error { return tx.ForgetEarlierCookie(s.ID) })
	finds("the earlier one, forgotten", credential.Digest{7}, noon, false)
	f.view(func(v *store.View) error {
		if got, err := v.SessionByCookie(credential.Digest{8}); err != nil || !got.EarlierUntil.IsZero() {
			t.Errorf("the present one finds %+v (%v)", got, err)
		}
		return nil
	})
}

// testSessionEnds: sessions that are over, behind, or of one application are found, and
// what ended long ago is forgotten.
func testSessionEnds(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	other := f.person(south, "per_2", "two@south.example")
	for i, s := range []store.SessionRow{newSession("ses_1", p), newSession("ses_2", p), newSession("ses_3", p), newSession("ses_4", other)} {
		s.Expires = day.Add(time.Duration(10-i) * time.Hour)
		s.Epochs = session.Epochs{Host: 1, Connection: 1, Person: 1}
		f.update(func(tx *store.Tx) error {
			if err := tx.PutClient("app", true); err != nil {
				return err
			}
			if err := tx.InsertSession(s); err != nil {
				return err
			}
			return tx.AddSessionClient(s.ID, "app")
		})
	}
	ids := func(rows []store.SessionRow, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, r := range rows {
			out += strings.TrimPrefix(string(r.ID), "ses_")
		}
		return out
	}
	anyOrder := func(rows []store.SessionRow, err error) string {
		slices.SortFunc(rows, func(a, b store.SessionRow) int { return strings.Compare(string(a.ID), string(b.ID)) })
		return ids(rows, err)
	}
	f.view(func(v *store.View) error {
		d, err := v.In(north)
		if err != nil {
			return err
		}
		for _, row := range []struct{ name, got, want string }{
			{"over, the longest over first", ids(v.SessionsOver(day.Add(9*time.Hour), 10)), "432"},
			{"over, a chunk", ids(v.SessionsOver(day.Add(9*time.Hour), 1)), "4"},
			{"of the application", ids(v.SessionsOf("app", "", 10)), "1234"},
			{"of the application, the next", ids(v.SessionsOf("app", "ses_2", 1)), "3"},
			{"of another application", ids(v.SessionsOf("other", "", 10)), ""},
			{"live", ids(d.LiveSessions(day, 10)), "123"},
			{"live, not begun later", ids(d.LiveSessions(day.Add(-time.Second), 10)), ""},
			{"behind nothing", ids(d.SessionsBehind(1, 10)), ""},
			{"behind the host", anyOrder(d.SessionsBehind(2, 10)), "123"},
		} {
			if row.got != row.want {
				t.Errorf("%s: %q, want %q", row.name, row.got, row.want)
			}
		}
		return nil
	})
	f.update(func(tx *store.Tx) error { return tx.EndConnection(north, day) })
	ended := newSession("ses_1", p)
	ended.State, ended.EndedAt, ended.EndReason, ended.Version = session.Ended, day, session.EndSignedOut, 2
	f.update(func(tx *store.Tx) error { return tx.UpdateSession(ended.Session, nil) })
	f.read(north, func(d *store.Directory) error {
		if got := ids(d.SessionsBehind(1, 10)); got != "23" {
			t.Errorf("behind the connection: %q", got)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error {
		if err := tx.DropSessionClient("ses_3", "app"); err != nil {
			return err
		}
		if n, err := tx.TrimSessions(day); n != 0 || err != nil {
			t.Errorf("forgot %d that ended just now (%v)", n, err)
		}
		if n, err := tx.TrimSessions(day.Add(time.Second)); n != 1 || err != nil {
			t.Errorf("forgot %d (%v)", n, err)
		}
		return nil
	})
	f.view(func(v *store.View) error {
		if got := ids(v.SessionsOf("app", "", 10)); got != "24" {
			t.Errorf("of the application, afterwards: %q", got)
		}
		_, err := v.Session("ses_1")
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("an old session is remembered: %v", err)
		}
		return nil
	})
}

// testBumpClient: everything an application was given before is refused.
func testBumpClient(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	f.update(func(tx *store.Tx) error { return tx.PutClient("app", true) })
	sub := credential.Subject{Connection: north, Client: "app", Person: p.ID}
	before, err := f.Current(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *store.Tx) error { return tx.BumpClient("app") })
	after, err := f.Current(t.Context(), sub)
	if err != nil || !after.Alive || after.Epochs.Client != before.Epochs.Client+1 {
		t.Errorf("%+v became %+v (%v)", before, after, err)
	}
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.BumpClient("nobody") }); !fault.Is(err, fault.NotFound) {
		t.Errorf("an application that is not there: %v", err)
	}
}

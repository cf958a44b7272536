package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// RunNews shows that what one node commits is known on another when that has followed the news,
// and how nodes are registered. open gives two stores over one database that say that they share it, and its engine.
func RunNews(t *testing.T, open func(t *testing.T) (a, b *store.Store, raw store.Engine)) {
	for _, touch := range Touches() {
		t.Run("followed: "+touch.Name, func(t *testing.T) { testFollowed(t, touch, open) })
	}
	for name, run := range map[string]func(t *testing.T, a, b *store.Store, raw store.Engine){
		"what is new is no news":                       testNoNews,
		"news are read once, in pages":                 testNewsInPages,
		"who has missed what is kept no longer begins": testMissedNews,
		"any node understands a cursor":                testCursors,
		"news of what is wide":                         testWideNews,
		"numbers that are given out again":             testNumbersGivenAgain,
		"ids of news that are given out again":         testIDsGivenAgain,
		"the registry":                                 testRegistry,
		"whom who is no node waits for":                testOutwaited,
	} {
		t.Run(name, func(t *testing.T) { a, b, raw := open(t); run(t, a, b, raw) })
	}
}

// believer believes what is remembered, waits for nobody, and keeps the news of its commits.
type believer struct{ news []store.News }

func (b *believer) Fresh() bool                        { return true }
func (b *believer) Await(_ time.Time, n ...store.News) { b.news = append(b.news, n...) }
func (b *believer) Outwait(time.Time)                  {}
func (b *believer) Lapse()                             {}

func follow1(t *testing.T, s *store.Store) store.Followed {
	t.Helper()
	f, err := s.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func testFollowed(t *testing.T, touch Touch, open func(t *testing.T) (a, b *store.Store, raw store.Engine)) {
	for how, hear := range map[string]func(b *store.Store, n []store.News) error{
		"poll": func(b *store.Store, _ []store.News) error { _, err := b.Follow(t.Context()); return err },
		"feed": func(b *store.Store, n []store.News) error { return b.Hear(t.Context(), n...) },
	} {
		a, b, _ := open(t)
		Prepare(t, a)
		from := &believer{}
		a.JoinPeers(from)
		b.JoinPeers(&believer{})
		if f := follow1(t, b); !f.Begun {
			t.Error("it did not begin with the directory as it is")
		}
		if known, err := touch.Known(t.Context(), b); known || err != nil {
			t.Fatalf("%s: it is known before it happens (%v)", how, err)
		}
		if err := a.Update(t.Context(), touch.Do); err != nil {
			t.Fatal(err)
		}
		if known, err := touch.Known(t.Context(), a); !known || err != nil {
			t.Errorf("%s: the node that committed does not know (%v)", how, err)
		}
		if known, err := touch.Known(t.Context(), b); known || err != nil {
			t.Errorf("%s: the other node knows although nobody told it: this test shows nothing (%v)", how, err)
		}
		if err := hear(b, from.news); err != nil {
			t.Fatal(err)
		}
		if known, err := touch.Known(t.Context(), b); !known || err != nil {
			t.Errorf("%s: the other node does not know (%v)", how, err)
		}
	}
}

func testNoNews(t *testing.T, a, b *store.Store, _ store.Engine) {
	Prepare(t, a)
	follow1(t, b)
	from := &believer{}
	a.JoinPeers(from)
	f := &fixture{t, a}
	p := f.person(north, "per_new", "new@north.example")
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_new", p)) })
	if found := follow1(t, b); found.News != 0 || len(from.news) != 0 {
		t.Errorf("%d pieces of news are waited for, and %d were written, of somebody whom nobody remembers", len(from.news), found.News)
	}
}

func testNewsInPages(t *testing.T, a, b *store.Store, raw store.Engine) {
	Prepare(t, a)
	follow1(t, b)
	const many = 2500
	writeNews(t, raw, many, 0)
	if found := follow1(t, b); found.News != many || found.Begun || found.Lag < 0 {
		t.Errorf("%+v", found)
	}
	if found := follow1(t, b); found.News != 0 {
		t.Errorf("again: %+v", found)
	}
}

func testMissedNews(t *testing.T, a, b *store.Store, raw store.Engine) {
	Prepare(t, a)
	follow1(t, b)
	write := func(age time.Duration) { t.Helper(); writeNews(t, raw, 3, age) }
	trim := func() {
		t.Helper()
		for more := true; more; {
			if err := a.Update(t.Context(), func(tx *store.Tx) (err error) { more, err = tx.TrimNews(); return err }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for token, age := range map[string]time.Duration{"old": store.WitnessesKept + time.Minute, "new": store.WitnessesKept - time.Minute} {
		err := raw.Update(t.Context(), "", func(q store.Querier) error {
			_, err := q.Exec(`insert into commits (token, at, lost) values ($1, `+raw.Dialect().Now+` - $2, false)`, []byte(token), age.Milliseconds())
			return err
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	write(store.NewsKept - time.Minute)
	trim()
	err := raw.View(t.Context(), func(q store.Querier) error {
		var old, young int64
		err := q.QueryRow(`select count(case when token = $1 then 1 end), count(case when token = $2 then 1 end) from commits`, []byte("old"), []byte("new")).Scan(&old, &young)
		if old != 0 || young != 1 {
			t.Errorf("of the witnesses %d old and %d young are kept", old, young)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := follow1(t, b); found.Begun || found.News != 3 {
		t.Errorf("what is kept: %+v", found)
	}
	write(store.NewsKept + time.Minute)
	write(0)
	trim()
	if found := follow1(t, b); !found.Begun {
		t.Errorf("some is kept no longer, and nobody noticed: %+v", found)
	}
	if found := follow1(t, b); found.Begun {
		t.Errorf("it begins again: %+v", found)
	}
}

func testCursors(t *testing.T, a, b *store.Store, _ store.Engine) {
	Prepare(t, a)
	a.JoinPeers(&believer{})
	b.JoinPeers(&believer{})
	cursor, err := b.LastChange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, touch := range Touches()[3:6] { // a session, a family, the host
		if err := a.Update(t.Context(), touch.Do); err != nil {
			t.Fatal(err)
		}
	}
	var kinds []store.ChangeKind
	for _, s := range []*store.Store{a, b, a, b} {
		c, err := s.Changes(t.Context(), cursor, 1)
		if err != nil || !c.Whole {
			t.Fatalf("%+v (%v)", c, err)
		}
		for _, one := range c.List {
			kinds = append(kinds, one.Kind)
			if one.Kind == store.ChangedHost && one.Epoch != 2 {
				t.Errorf("the host is told of as it was: %+v", one)
			}
		}
		if c.More != (len(kinds) < 3) {
			t.Errorf("after %d changes: more %t", len(kinds), c.More)
		}
		cursor = c.Cursor
	}
	if fmt.Sprint(kinds) != fmt.Sprint([]store.ChangeKind{store.ChangedSession, store.ChangedFamily, store.ChangedHost}) {
		t.Errorf("told of %v", kinds)
	}
	for _, bad := range []string{"", "news.", "news.x", "news.5", "news.5-9", "news.his_x.5", "news.his_x.5-9", "run_1.4", "news.-1"} {
		if c, err := a.Changes(t.Context(), bad, 10); c.Whole || err != nil {
			t.Errorf("cursor %q: %+v (%v)", bad, c, err)
		}
	}
}

// testNumbersGivenAgain: as a crash of the server does it, news come with a number that a node and
// whoever has a cursor had passed, and the table of the history is empty.
func testNumbersGivenAgain(t *testing.T, a, b *store.Store, raw store.Engine) {
	Prepare(t, a)
	touch := Touches()[3] // a session
	a.JoinPeers(&believer{})
	b.JoinPeers(&believer{})
	follow1(t, b)
	if f := follow1(t, b); f.Begun {
		t.Errorf("it begins twice: %+v", f)
	}
	cursor, err := a.LastChange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if known, err := touch.Known(t.Context(), b); known || err != nil {
		t.Fatalf("it is known before it happens (%v)", err)
	}
	if err := a.Update(t.Context(), touch.Do); err != nil {
		t.Fatal(err)
	}
	err = raw.Update(t.Context(), "", func(q store.Querier) error {
		if _, err := q.Exec(`update news set txid = 1`); err != nil {
			return err
		}
		_, err := q.Exec(`delete from history`)
		return err
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store.Store{a, b} { // the first finds no history, the second another one
		if f := follow1(t, s); !f.Begun {
			t.Errorf("it goes on where it was: %+v", f)
		}
	}
	if known, err := touch.Known(t.Context(), b); !known || err != nil {
		t.Errorf("what was ended in the new history is accepted (%v)", err)
	}
	if c, err := b.Changes(t.Context(), cursor, 10); c.Whole || err != nil {
		t.Errorf("a cursor of the old history: %+v (%v)", c, err)
	}
	if f := follow1(t, b); f.Begun {
		t.Errorf("it begins again: %+v", f)
	}
}

// during is a believer whose waits something happens in.
type during struct {
	believer
	happens func()
}

func (d *during) Await(at time.Time, n ...store.News) {
	d.believer.Await(at, n...)
	d.happens()
}

// testIDsGivenAgain: while a node waits for others to know of news, another server takes over, which
// has never heard of them, and gives their id to others. Whoever finds what those have changed waits for them.
func testIDsGivenAgain(t *testing.T, a, b *store.Store, raw store.Engine) {
	Prepare(t, a)
	a.JoinPeers(&believer{})
	from := &during{happens: func() {}}
	b.JoinPeers(from)
	follow1(t, b)
	var old int64
	from.happens = func() {
		old = from.news[0].ID
		err := raw.Update(t.Context(), "", func(q store.Querier) error {
			if _, err := q.Exec(`delete from news`); err != nil {
				return err
			}
			_, err := q.Exec(`delete from history`)
			return err
		}, func() {})
		if err != nil {
			t.Error(err)
		}
		follow1(t, b)
		from.happens = func() {}
	}
	if err := b.Update(t.Context(), Touches()[3].Do); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lease.Longest) // everybody knows what was there
	follow1(t, b)
	writeNews(t, raw, 1, 0)
	if err := raw.Update(t.Context(), "", func(q store.Querier) error {
		_, err := q.Exec(`update news set id = $1, refs = '[{"k":"host"}]'`, old)
		return err
	}, func() {}); err != nil {
		t.Fatal(err)
	}
	from.news = nil
	if err := b.Update(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if len(from.news) != 1 || from.news[0].ID != old {
		t.Errorf("what another history's news %d was is taken for known: it waited for %+v", old, from.news)
	}
}

func testRegistry(t *testing.T, a, b *store.Store, _ store.Engine) {
	ctx := t.Context()
	one := store.Node{ID: "node_1", Name: "one", Version: "v1", Started: day}
	two := store.Node{ID: "node_2", Name: "two", Version: "v2", Started: day}
	for s, n := range map[*store.Store]store.Node{a: one, b: two} {
		if err := s.Register(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	two.Draining, two.Hot, two.Applied, two.Lag, two.Lease = true, "inc_2", 7, 3*time.Millisecond, time.Second
	known, err := b.Beat(ctx, two)
	if err != nil || !known {
		t.Errorf("known %t (%v)", known, err)
	}
	all, err := a.Nodes(ctx)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v (%v)", all, err)
	}
	got := all[1]
	if got.BeatAge < 0 || got.BeatAge > time.Minute {
		t.Errorf("the beat is %v old", got.BeatAge)
	}
	got.BeatAge = 0
	if two.Beat = 2; got != two {
		t.Errorf("%+v, want %+v", got, two)
	}
	single := store.Node{ID: "node_3", Name: "three", Alone: true, Started: day}
	if err := a.Register(ctx, single); !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != store.ReasonNodeAlone {
		t.Errorf("a node that must be alone, beside others: %v", err)
	}
	for hot, reason := range map[string]string{"inc_3": store.ReasonNodeApart, "inc_2": "", "": ""} {
		if err := a.Register(ctx, store.Node{ID: "node_" + hot, Name: "four", Hot: hot, Started: day}); fault.ReasonOf(err) != reason {
			t.Errorf("a node of Redis %q, beside one of inc_2 and one that does not know: %v", hot, err)
		}
		if err := a.Leave(ctx, "node_"+hot); err != nil {
			t.Error(err)
		}
	}
	for beat, stays := range []bool{true, true, false} { // two has beaten since the first
		if err := a.Forget(ctx, "node_2", int64(beat)); err != nil {
			t.Error(err)
		}
		if all, err := b.Nodes(ctx); err != nil || (len(all) == 2) != stays {
			t.Errorf("forgotten by beat %d: %+v (%v)", beat, all, err)
		}
	}
	for _, id := range []string{"node_1", "node_2", "node_9"} {
		if err := b.Leave(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if err := a.Register(ctx, single); err != nil {
		t.Errorf("a node alone: %v", err)
	}
	if err := b.Register(ctx, one); fault.ReasonOf(err) != store.ReasonNodeAlone {
		t.Errorf("beside a node that must be alone: %v", err)
	}
	if known, err := a.Beat(ctx, one); known || err != nil {
		t.Errorf("a node that has left is known: %t (%v)", known, err)
	}
}

// writeNews writes news that name nothing, of an age.
func writeNews(t *testing.T, raw store.Engine, n int, age time.Duration) {
	t.Helper()
	d := raw.Dialect()
	err := raw.Update(t.Context(), "", func(q store.Querier) error {
		for range n {
			if _, err := q.Exec(`insert into news (txid, refs, at) values (`+d.Transaction+`, '[]', `+d.Now+` - $1)`, age.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
}

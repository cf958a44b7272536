//go:build lanes

package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// attempted is a verb as it is tried on a broken way: what must be there before, the verb, and what
// shows that it was done once.
type attempted struct {
	name   string
	before func(*testing.T, *Engine, string)
	verb   func(context.Context, *Engine, string) error
	once   func(*testing.T, *Engine, string)
}

// want refuses an outcome that is none of the ones that were hoped for.
func want(got, hoped hot.Outcome, err error) error {
	if err == nil && got != hoped {
		return fault.New(fault.NotFound, "test", "the outcome is %d and not %d", got, hoped)
	}
	return err
}

func requestOf(id string) hot.AuthRequest {
	return hot.AuthRequest{ID: id, Client: "fleet-web", Created: at(0), Expires: at(10 * time.Minute)}
}

func upstreamOf(id string) hot.Upstream {
	return hot.Upstream{Connection: "ironbark-entra", State: "state of " + id}
}

func codeNamed(id string) (credential.Digest, hot.CodeGrant) {
	_, g := codeOf(0)
	f := familyOf("fam_"+id, "ses_"+id)
	g.Family, g.Session, g.Bound = f.ID, f.Bound.Subject.Session, f.Bound
	return credential.DigestOf("code " + id), g
}

func putRequest(t *testing.T, e *Engine, id string) {
	t.Helper()
	ok(t, e.PutAuthRequest(t.Context(), requestOf(id)))
}

func putFamily(t *testing.T, e *Engine, id string) {
	t.Helper()
	ok(t, e.PutFamily(t.Context(), familyOf(id, "ses "+id)))
}

func putCode(t *testing.T, e *Engine, id string) {
	t.Helper()
	d, g := codeNamed(id)
	ok(t, e.PutCode(t.Context(), d, g, at(0)))
}

func consume(ctx context.Context, e *Engine, id string) (hot.Outcome, error) {
	d, _ := codeNamed(id)
	_, outcome, err := e.ConsumeCode(ctx, d, owner, at(time.Second))
	return outcome, err
}

func nothing(*testing.T, *Engine, string) {}

// verbs are all there are, of requests and of what comes of them.
var verbs = append([]attempted{
	{"PutAuthRequest", nothing,
		func(ctx context.Context, e *Engine, id string) error { return e.PutAuthRequest(ctx, requestOf(id)) },
		func(t *testing.T, e *Engine, id string) { legs(t, e, id, 0) }},
	{"AuthRequest", putRequest,
		func(ctx context.Context, e *Engine, id string) error {
			_, err := e.AuthRequest(ctx, id, at(0))
			return err
		},
		func(t *testing.T, e *Engine, id string) { legs(t, e, id, 0) }},
	{"BindUpstream", putRequest,
		func(ctx context.Context, e *Engine, id string) error {
			return e.BindUpstream(ctx, id, upstreamOf(id), at(0))
		},
		func(t *testing.T, e *Engine, id string) { legs(t, e, id, 1) }},
	{"TakeUpstream",
		func(t *testing.T, e *Engine, id string) {
			putRequest(t, e, id)
			ok(t, e.BindUpstream(t.Context(), id, upstreamOf(id), at(0)))
		},
		func(ctx context.Context, e *Engine, id string) error {
			_, err := e.TakeUpstream(ctx, upstreamOf(id).Connection, upstreamOf(id).State, at(0))
			return err
		},
		func(t *testing.T, e *Engine, id string) {
			if _, err := e.TakeUpstream(t.Context(), upstreamOf(id).Connection, upstreamOf(id).State, at(0)); !fault.Is(err, fault.NotFound) {
				t.Errorf("the state works again: %v", err)
			}
		}},
	{"PutPushed", nothing,
		func(ctx context.Context, e *Engine, id string) error { return e.PutPushed(ctx, id, pushedOf()) },
		func(t *testing.T, e *Engine, id string) {
			_, err := e.TakePushed(t.Context(), id, "fleet-web", at(0))
			ok(t, err)
		}},
	{"TakePushed", func(t *testing.T, e *Engine, id string) { ok(t, e.PutPushed(t.Context(), id, pushedOf())) },
		func(ctx context.Context, e *Engine, id string) error {
			_, err := e.TakePushed(ctx, id, "fleet-web", at(0))
			return err
		},
		func(t *testing.T, e *Engine, id string) {
			if _, err := e.TakePushed(t.Context(), id, "fleet-web", at(0)); !fault.Is(err, fault.NotFound) {
				t.Errorf("it is taken again: %v", err)
			}
		}},
}, tokenVerbs...)

var tokenVerbs = []attempted{
	{"PutCode", nothing,
		func(ctx context.Context, e *Engine, id string) error {
			d, g := codeNamed(id)
			return e.PutCode(ctx, d, g, at(0))
		},
		func(t *testing.T, e *Engine, id string) {
			outcome, err := consume(t.Context(), e, id)
			ok(t, want(outcome, hot.OK, err))
		}},
	{"ConsumeCode", putCode,
		func(ctx context.Context, e *Engine, id string) error {
			outcome, err := consume(ctx, e, id)
			return want(outcome, hot.OK, err)
		},
		func(t *testing.T, e *Engine, id string) {
			outcome, err := consume(t.Context(), e, id)
			ok(t, want(outcome, hot.Replayed, err))
		}},
	{"ConsumeCode again", func(t *testing.T, e *Engine, id string) {
		putCode(t, e, id)
		_, err := consume(t.Context(), e, id)
		ok(t, err)
	},
		func(ctx context.Context, e *Engine, id string) error {
			outcome, err := consume(ctx, e, id)
			return want(outcome, hot.Replayed, err)
		},
		func(t *testing.T, e *Engine, id string) {
			if err := e.PutFamily(t.Context(), familyOf("fam_"+id, "ses_"+id)); !fault.Is(err, fault.Stale) {
				t.Errorf("the family of a replayed code: %v", err)
			}
		}},
	{"PutFamily", nothing,
		func(ctx context.Context, e *Engine, id string) error {
			return e.PutFamily(ctx, familyOf(id, "ses "+id))
		},
		func(t *testing.T, e *Engine, id string) { number(t, e, id, 1) }},
	{"Family", putFamily,
		func(ctx context.Context, e *Engine, id string) error { _, err := e.Family(ctx, id, at(0)); return err },
		func(t *testing.T, e *Engine, id string) { number(t, e, id, 1) }},
	{"Rotate", putFamily,
		func(ctx context.Context, e *Engine, id string) error {
			f, outcome, err := e.Rotate(ctx, rotationOf(id, 1))
			if err == nil && f.N != 2 {
				return fault.New(fault.NotFound, "test", "the outcome is %d, and it is at #%d", outcome, f.N)
			}
			return want(outcome, hot.OK, err)
		},
		func(t *testing.T, e *Engine, id string) { number(t, e, id, 2) }},
	{"Rotate again", func(t *testing.T, e *Engine, id string) {
		putFamily(t, e, id)
		_, _, err := e.Rotate(t.Context(), rotationOf(id, 1))
		ok(t, err)
	},
		func(ctx context.Context, e *Engine, id string) error {
			_, outcome, err := e.Rotate(ctx, rotationOf(id, 1))
			return want(outcome, hot.Replayed, err)
		}, ended},
	{"EndFamily", putFamily, func(ctx context.Context, e *Engine, id string) error { return e.EndFamily(ctx, id) }, ended},
	{"EndSession", putFamily,
		func(ctx context.Context, e *Engine, id string) error {
			return e.EndSession(ctx, familyOf(id, "ses "+id).Bound.Subject.Session)
		}, ended},
}

func pushedOf() hot.Pushed {
	return hot.Pushed{Client: "fleet-web", Params: "scope=openid", Created: at(0), Expires: at(time.Minute)}
}

func legs(t *testing.T, e *Engine, id string, n int) {
	t.Helper()
	if a, err := e.AuthRequest(t.Context(), id, at(0)); err != nil || a.Legs != n {
		t.Errorf("the request has begun %d legs, not %d (%v)", a.Legs, n, err)
	}
}

func number(t *testing.T, e *Engine, id string, n int64) {
	t.Helper()
	if f, err := e.Family(t.Context(), id, at(0)); err != nil || f.N != n {
		t.Errorf("the family is at #%d, not %d (%v)", f.N, n, err)
	}
}

func ended(t *testing.T, e *Engine, id string) {
	t.Helper()
	if _, err := e.Family(t.Context(), id, at(0)); !fault.Is(err, fault.NotFound) {
		t.Errorf("the family has not ended: %v", err)
	}
	if err := e.PutFamily(t.Context(), familyOf(id, "ses")); !fault.Is(err, fault.Stale) {
		t.Errorf("the family is stored after its end: %v", err)
	}
}

// Whichever answer is lost with its connection, each verb is done once, and the caller is told what
// it did.
func TestALostAnswerDoublesNothing(t *testing.T) {
	s := start(t)
	w := wayTo(t, s)
	e, beside := engine(t, w.where(), Limits{}), engine(t, s.where(), Limits{})
	for _, v := range verbs {
		t.Run(v.name, func(t *testing.T) {
			lost := int32(1)
			for ; lost < 40; lost++ {
				id := fmt.Sprint(v.name, " ", lost)
				v.before(t, beside, id)
				w.losing.Store(lost)
				err := v.verb(t.Context(), e, id)
				left := w.losing.Swap(0)
				if err != nil {
					t.Fatalf("answer %d was lost: %v", lost, err)
				}
				v.once(t, beside, id)
				if left > 0 {
					break
				}
			}
			if lost < 2 || lost == 40 {
				t.Errorf("%d answers were lost", lost-1)
			}
		})
	}
}

// A server that has forgotten the scripts is told them anew.
func TestScriptsThatWereForgottenAreLoadedAgain(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	for _, v := range verbs {
		v.before(t, e, v.name)
		s.do("SCRIPT", "FLUSH")
		ok(t, v.verb(t.Context(), e, v.name))
		v.once(t, e, v.name)
	}
}

// Emptied, restored or restarted between two calls: no verb takes what it does not find for a yes,
// and none gives back what was there before.
func TestNothingIsNeverAYes(t *testing.T) {
	s := start(t)
	changes := map[string]func(){
		"emptied":  func() { s.do("FLUSHALL") },
		"restored": s.restore,
		"evicted":  func() { s.evict(t) },
	}
	makes := map[string]bool{"PutAuthRequest": true, "PutPushed": true, "PutCode": true, "PutFamily": true}
	tidies := map[string]bool{"EndFamily": true, "EndSession": true}
	for how, change := range changes {
		for _, v := range verbs {
			t.Run(v.name+" "+how, func(t *testing.T) {
				e := engine(t, s.where(), Limits{})
				v.before(t, e, "x")
				s.keep()
				change()
				var err error
				for range 20 { // until the client has noticed that there is somebody to call
					if err = v.verb(t.Context(), e, "x"); !fault.Is(err, fault.Unavailable) {
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				if makes[v.name] || tidies[v.name] {
					ok(t, err)
				} else if err == nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Internal) {
					t.Errorf("what was lost is answered by %v", err)
				}
			})
		}
	}
}

// evict does by hand what a server does that throws keys away: everything but the marks.
func (s *server) evict(t *testing.T) {
	t.Helper()
	c := s.Client()
	defer c.Close() //nolint:errcheck // a client of the test
	for all := c.Scan(t.Context(), 0, "*:r:*", 1000).Iterator(); all.Next(t.Context()); {
		ok(t, c.Del(t.Context(), all.Val()).Err())
	}
}

// A server that is not to be reached costs a few callers less than a second, all others nothing;
// and when it is there again, so is the engine.
func TestAnAbsentServerIsAnsweredForEarly(t *testing.T) {
	turn := func(is int32) func(*server, *way) { return func(_ *server, w *way) { w.turns(is) } }
	for name, goes := range map[string]func(*server, *way){"cut": turn(cuts), "halted": turn(halts), "no answers": turn(swallows), "dead": func(s *server, _ *way) { s.Kill() }} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			w := wayTo(t, s)
			where := w.where()
			if name == "dead" {
				where.Addresses = []string{s.Address()}
			}
			e := engine(t, where, Limits{})
			putFamily(t, e, "still")
			goes(s, w)
			for _, v := range verbs {
				began := time.Now()
				if err := v.verb(t.Context(), e, "x"); !fault.Is(err, fault.Unavailable) {
					t.Errorf("%s says %v", v.name, err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("%s took %s", v.name, took)
				}
			}
			early(t, e)
			if name == "dead" {
				s.launch()
			}
			w.turns(passes)
			back(t, e)
		})
	}
}

// back: a server that answers again is asked again within a second.
func back(t *testing.T, e *Engine) {
	t.Helper()
	began := time.Now()
	for ; time.Since(began) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
		if _, err := e.Family(t.Context(), "still", at(0)); !fault.Is(err, fault.Unavailable) {
			break
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it is back after %s", took)
	} else {
		t.Logf("it is back after %s", took)
	}
}

// A node starts without a server, refuses, and works as soon as there is one; whoever lets nobody
// of that name in is another matter.
func TestANodeStartsWithoutAServer(t *testing.T) {
	s := start(t)
	s.Kill()
	e := engine(t, s.where(), Limits{})
	if err := e.Answers(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("its health is %v", err)
	}
	if _, err := e.Family(t.Context(), "still", at(0)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a family is %v", err)
	}
	s.launch()
	back(t, e)
	answers(t, e)
	if c := e.Counts(); c.Answered == 0 || c.Unanswered == 0 {
		t.Errorf("the counts are %+v", c)
	}
	where := s.where()
	where.Password = secret.New("another")
	key, err := laneKey.HotKey()
	ok(t, err)
	if _, err := Open(t.Context(), Config{Server: where, Key: key}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("another password: %v", err)
	}
}

// early: most of many callers are refused at once.
func early(t *testing.T, e *Engine) {
	t.Helper()
	var slow, all atomic.Int64
	var callers sync.WaitGroup
	until := time.Now().Add(time.Second)
	for range 16 {
		callers.Go(func() {
			for time.Now().Before(until) {
				began := time.Now()
				if _, err := e.Family(t.Context(), "still", at(0)); !fault.Is(err, fault.Unavailable) {
					t.Errorf("a family is %v", err)
				}
				if all.Add(1); time.Since(began) > 50*time.Millisecond {
					slow.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	callers.Wait()
	if slow.Load() > 20 || all.Load() < 500 {
		t.Errorf("%d of %d callers waited", slow.Load(), all.Load())
	}
}

// Whatever happens on the ways of two nodes, no code works twice and no token has two successors.
func TestNothingTwiceOnBadWays(t *testing.T) {
	s := start(t)
	ways := []*way{wayTo(t, s), wayTo(t, s)}
	nodes := []*Engine{engine(t, ways[0].where(), Limits{}), engine(t, ways[1].where(), Limits{})}
	stop := make(chan struct{})
	var accepted sync.Map
	var good atomic.Int64
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					twice(t, nodes, fmt.Sprintf("%d-%d", worker, n), &accepted, &good)
				}
			}
		})
	}
	for n := range 24 {
		w := ways[n%2]
		if n%4 == 3 {
			w.losing.Store(5)
		} else {
			w.turns([]int32{cuts, halts, swallows}[n%3])
		}
		time.Sleep(60 * time.Millisecond)
		w.turns(passes)
		time.Sleep(120 * time.Millisecond)
	}
	close(stop)
	all.Wait()
	t.Logf("%d acceptances", good.Load())
	if good.Load() < 100 {
		t.Errorf("only %d were accepted", good.Load())
	}
}

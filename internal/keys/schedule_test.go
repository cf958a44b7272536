package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

const (
	day    = 24 * time.Hour
	maxAge = 5 * time.Minute // for which applications keep the published keys
	life   = 5 * time.Minute // of an access token
)

func usual() Schedule { return Schedule{Rotate: 90 * day, PublishAhead: day, Keep: 30 * day} }

// deployment is keys at rest, two clocks, and the process of the moment.
type deployment struct {
	t      *testing.T
	file   string
	rows   table
	now    time.Time
	uptime time.Duration
	ring   *Ring
}

func deploy(t *testing.T) *deployment {
	d := &deployment{t: t, file: rootFile(t), now: noon()}
	d.restart()
	return d
}

func (d *deployment) restart() {
	d.t.Helper()
	var err error
	d.ring, err = Open(d.t.Context(), Config{Root: Root{File: d.file}, Rows: &d.rows, Schedule: usual(),
		Now: func() time.Time { return d.now }, Uptime: func() time.Duration { return d.uptime }})
	if err != nil {
		d.t.Fatal(err)
	}
}

// pass lets time go by on both clocks, jump on the wall's alone.
func (d *deployment) pass(by time.Duration) { d.now, d.uptime = d.now.Add(by), d.uptime+by }
func (d *deployment) jump(by time.Duration) { d.now = d.now.Add(by) }

func (d *deployment) step() {
	d.t.Helper()
	if err := d.ring.Step(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// of is an algorithm's keys as "active 1, next 2": numbers in the order in which they were made.
func (d *deployment) of(algorithm string) string {
	var says []string
	created := 0
	ids := map[string]int{}
	for _, e := range d.rows.told {
		if e.Type == event.SigningKeyCreated && e.Data["algorithm"] == algorithm {
			created++
			ids[e.Data["key"]] = created
		}
	}
	for _, k := range d.ring.List() {
		if k.Algorithm == algorithm {
			says = append(says, fmt.Sprintf("%s %d", k.State, ids[k.ID]))
		}
	}
	return strings.Join(says, ", ")
}

func (d *deployment) is(want string) {
	d.t.Helper()
	if got := d.of(credential.ES256); got != want {
		d.t.Fatalf("at %s: %s, want %s", d.now.Format(time.DateTime), got, want)
	}
}

func (d *deployment) id(state credential.KeyState) string {
	for _, k := range d.ring.List() {
		if k.Algorithm == credential.ES256 && k.State == string(state) {
			return k.ID
		}
	}
	d.t.Fatalf("no %s key", state)
	return ""
}

// The life of a key, with the process dying and starting again between any two steps or not.
func TestAKeyIsAnnouncedSignsIsRetiredAndErased(t *testing.T) {
	for _, dies := range []bool{false, true} {
		d := deploy(t)
		for _, at := range []struct {
			after time.Duration // since the beginning
			want  string
		}{
			{0, "active 1"},
			{89*day - time.Minute, "active 1"},
			{89 * day, "active 1, next 2"},
			{90*day - time.Minute, "active 1, next 2"},
			{90 * day, "active 2, retired 1"},
			{120*day - time.Minute, "active 2, retired 1"},
			{120 * day, "active 2"},
			{179 * day, "active 2, next 3"},
			{180 * day, "active 3, retired 2"},
		} {
			d.pass(at.after - d.now.Sub(noon()))
			if dies {
				d.restart()
				d.uptime += Settle
			}
			d.step()
			d.step() // nothing more is due
			d.is(at.want)
		}
		if got := d.of(credential.RS256); got != "active 3, retired 2" {
			t.Errorf("RS256: %s", got)
		}
	}
}

func TestEveryStepIsTold(t *testing.T) {
	d := deploy(t)
	for _, by := range []time.Duration{89 * day, day, 30 * day} {
		d.pass(by)
		d.step()
	}
	var told []string
	for _, e := range d.rows.told {
		if e.Data["algorithm"] == credential.ES256 {
			told = append(told, fmt.Sprintf("%s %s %s by %s", e.Type, e.Data["state"], e.Data["because"], e.Actor))
		}
	}
	want := []string{"signing_key.created active missing by bridge", "signing_key.created next schedule by bridge",
		"signing_key.activated active schedule by bridge", "signing_key.retired retired schedule by bridge", "signing_key.removed retired schedule by bridge"}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

// A bridge that was down over several steps announces before it signs all the same.
func TestALongStopSkipsNoAnnouncement(t *testing.T) {
	d := deploy(t)
	d.jump(400 * day)
	d.restart()
	d.step()
	d.is("active 1, next 2")
	d.pass(day - time.Minute)
	d.step()
	d.is("active 1, next 2")
	d.pass(time.Minute)
	d.step()
	d.is("active 2, retired 1")
}

func TestAClockThatJumpsNeitherSignsWithAnUnreadKeyNorErasesOneInUse(t *testing.T) {
	d := deploy(t)
	d.pass(89 * day)
	d.step()
	d.jump(365 * day) // a moment after the next key was published
	d.step()
	d.is("active 1, next 2")
	d.restart()
	d.step()
	d.is("active 1, next 2") // nor by a restart
	d.pass(Settle)
	d.step()
	d.is("active 2, retired 1") // it has been published for longer than anybody may keep what was there before
	d.jump(365 * day)
	d.step()
	if got := d.of(credential.ES256); got != "active 2, retired 1, next 3" && got != "active 2, next 3, retired 1" {
		t.Errorf("tokens of a minute ago: %s", got)
	}
}

// A clock that was wrong and is set right again does not stop the schedule for as long as
// it was wrong.
func TestAClockThatIsSetBackDelaysByNoMoreThanAStep(t *testing.T) {
	d := deploy(t)
	d.pass(89 * day)
	d.jump(1000 * day)
	d.step()
	d.is("active 1, next 2")
	d.jump(-1000 * day)
	d.step()
	d.pass(day)
	d.step()
	d.is("active 2, retired 1")
}

// Whatever the instant at which a token is made, whoever checks it by published keys that
// were read when they may have been, up to the token's end, can.
func TestI30_NoRotationMakesAValidTokenFail(t *testing.T) {
	d := deploy(t)
	type moment struct {
		at     time.Time
		signer string
		jwks   []byte
	}
	var past []moment
	look := func() {
		d.step()
		past = append(past, moment{d.now, d.id(credential.KeyActive), d.ring.JWKS()})
	}
	look()
	for range 4 { // densely around each step, and by command in between
		for _, jump := range []time.Duration{89*day - 15*time.Minute, day - 30*time.Minute, 29 * day} {
			d.pass(jump)
			for range 30 {
				look()
				d.pass(time.Minute)
			}
		}
		if _, err := d.ring.Rotate(t.Context(), credential.ES256, false); err != nil {
			t.Fatal(err)
		}
		look()
	}
	signers := map[string]bool{}
	for _, made := range past {
		signers[made.signer] = true
		for _, read := range past {
			if read.at.Before(made.at.Add(-maxAge)) || read.at.After(made.at.Add(life)) {
				continue
			}
			if !strings.Contains(string(read.jwks), made.signer) {
				t.Fatalf("a token of %s, by %s, fails with the keys of %s", made.at, made.signer, read.at)
			}
		}
	}
	if len(signers) < 4 {
		t.Errorf("only %d keys signed", len(signers))
	}
}

// An erased key verifies nothing, also what was verified a moment ago.
func TestI30_WhatAnErasedKeySignedIsRefused(t *testing.T) {
	d := deploy(t)
	issuer := credential.NewIssuer("https://id.example", d.ring.Keyring)
	token := mint(t, issuer, d.now)
	if _, err := issuer.Verify(token, d.now); err != nil {
		t.Fatal(err)
	}
	was := d.id(credential.KeyActive)
	if _, err := d.ring.Retire(t.Context(), was, Retiring{Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Verify(token, d.now); err != nil {
		t.Errorf("a retired key no longer verifies: %v", err)
	}
	if _, err := d.ring.Retire(t.Context(), was, Retiring{AtOnce: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Verify(token, d.now); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a token of an erased key: %v", err)
	}
	if _, err := issuer.Verify(mint(t, issuer, d.now), d.now); err != nil {
		t.Errorf("its successor: %v", err)
	}
}

func TestWhatSignsStandsFirstAmongThePublishedKeys(t *testing.T) {
	d := deploy(t)
	d.pass(89 * day)
	d.step()
	var set struct {
		Keys []struct{ Kid, Alg, Use, D string }
	}
	if err := json.Unmarshal(d.ring.JWKS(), &set); err != nil || len(set.Keys) != 4 {
		t.Fatalf("%s: %v", d.ring.JWKS(), err)
	}
	for i, k := range set.Keys {
		at := slices.IndexFunc(d.rows.keys, func(r store.SigningKey) bool { return r.ID == k.Kid })
		if at < 0 || (d.rows.keys[at].State == "active") != (i < 2) || d.rows.keys[at].Algorithm != k.Alg || k.Use != "sig" || k.D != "" {
			t.Errorf("%d: %+v", i, k)
		}
	}
}

func TestKeysChangeByCommand(t *testing.T) {
	rotate := func(atOnce bool) func(*deployment) error {
		return func(d *deployment) error {
			_, err := d.ring.Rotate(t.Context(), credential.ES256, atOnce)
			return err
		}
	}
	retire := func(state credential.KeyState, how Retiring) func(*deployment) error {
		return func(d *deployment) error {
			_, err := d.ring.Retire(t.Context(), d.id(state), how)
			return err
		}
	}
	wait := func(by time.Duration) func(*deployment) error {
		return func(d *deployment) error { d.pass(by); d.step(); return nil }
	}
	type does struct {
		do   func(*deployment) error
		want string
		kind fault.Kind // of what is refused
	}
	none := fault.Internal
	for name, steps := range map[string][]does{
		"rotate":               {{rotate(false), "active 1, next 2", none}, {wait(day - time.Minute), "active 1, next 2", none}, {wait(time.Minute), "active 2, retired 1", none}},
		"rotate twice is once": {{rotate(false), "active 1, next 2", none}, {rotate(false), "active 1, next 2", none}},
		"rotate brings an announced key forward": {{wait(89 * day), "active 1, next 2", none}, {rotate(false), "active 1, next 2", none},
			{wait(day), "active 2, retired 1", none}},
		"rotate now":                     {{rotate(true), "active 2, retired 1", none}},
		"rotate now with what is there":  {{rotate(false), "active 1, next 2", none}, {rotate(true), "active 2, retired 1", none}},
		"what signs is not just retired": {{retire(credential.KeyActive, Retiring{}), "active 1", fault.Conflict}},
		"unless it is forced":            {{retire(credential.KeyActive, Retiring{Force: true}), "active 2, retired 1", none}},
		"a compromised key":              {{retire(credential.KeyActive, Retiring{AtOnce: true}), "active 2", none}},
		"a compromised key, announced successor": {{rotate(false), "active 1, next 2", none},
			{retire(credential.KeyActive, Retiring{AtOnce: true}), "active 2", none}},
		"a retired key": {{rotate(true), "active 2, retired 1", none}, {retire(credential.KeyRetired, Retiring{}), "active 2, retired 1", fault.Conflict},
			{retire(credential.KeyRetired, Retiring{AtOnce: true}), "active 2", none}},
		"a next key": {{rotate(false), "active 1, next 2", none}, {retire(credential.KeyNext, Retiring{}), "active 1", none}},
	} {
		t.Run(name, func(t *testing.T) {
			d := deploy(t)
			for i, s := range steps {
				err := s.do(d)
				if s.kind == none && err != nil || s.kind != none && !fault.Is(err, s.kind) {
					t.Fatalf("%d: %v", i, err)
				}
				d.is(s.want)
				before := d.ring.JWKS()
				next := *d // another process
				next.restart()
				next.is(s.want)
				if string(before) != string(next.ring.JWKS()) {
					t.Errorf("%d: the store says other keys than the process", i)
				}
				if got := d.of(credential.RS256); d.now.Before(noon().Add(80*day)) && got != "active 1" {
					t.Errorf("RS256: %s", got)
				}
			}
		})
	}
}

func TestOnlySoManyKeysArePublished(t *testing.T) {
	d := deploy(t)
	for range maxPublished - 1 {
		if _, err := d.ring.Rotate(t.Context(), credential.ES256, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.ring.Rotate(t.Context(), credential.ES256, true); !fault.Is(err, fault.Limited) {
		t.Errorf("%v", err)
	}
	if _, err := d.ring.Rotate(t.Context(), "HS256", false); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := d.ring.Retire(t.Context(), "key_none", Retiring{AtOnce: true}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// A store that does not answer changes nothing, and the step is made when it does.
func TestAStepThatFailsIsMadeLater(t *testing.T) {
	d := deploy(t)
	d.pass(89 * day)
	d.rows.fail = errors.New("the disk is full")
	if err := d.ring.Step(t.Context()); err == nil {
		t.Error("no error")
	}
	if _, err := d.ring.Rotate(t.Context(), "", true); err == nil {
		t.Error("no error")
	}
	d.is("active 1")
	d.rows.fail = nil
	d.step()
	d.is("active 1, next 2")
}

func mint(t *testing.T, issuer *credential.Issuer, now time.Time) string {
	t.Helper()
	s := credential.Subject{Person: "per_1", Client: "fleet-web", Connection: "southern", Session: "ses_1"}
	m, err := issuer.Mint(credential.Order{Subject: s, Audience: "https://api.example", Now: now, Life: life, Grant: json.RawMessage(`{}`),
		Current: credential.Current{Subject: s, Epochs: credential.Epochs{Host: 1, Connection: 1, Client: 1, Person: 1, Session: 1}, Alive: true, Decided: true, SessionExpires: now.Add(time.Hour)}})
	if err != nil {
		t.Fatal(err)
	}
	return m.AccessToken
}

func TestRunEndsWithItsContext(t *testing.T) {
	d := deploy(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	d.ring.Run(ctx)
}

package mapping

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// decided is what people may have decided about somebody: some of it over, some of it at
// a scope that is not there.
func (d draw) decided() access.Decided {
	scopes := []access.ScopeID{"host", "pac", "iron", "adl", "per", "cns", "none"}
	by := access.Decided{Certification: access.Certification{Level: rapid.SampledFrom([]string{"", "Trainer", "Apprentice"}).Draw(d.T, "by level")}}
	if rapid.Bool().Draw(d.T, "by dated") {
		by.Certification.Until = d.instant("by certified until")
	}
	for i := range rapid.IntRange(0, 4).Draw(d.T, "permits") {
		t := access.Permit{ID: access.PermitID(fmt.Sprintf("prm_%d", i)), Request: access.RequestID(fmt.Sprintf("req_%d", i)), Kind: access.SourceRequest, Person: "per_1",
			Grant: rapid.SampledFrom(access.Grants()).Draw(d.T, "permitted"), Scope: rapid.SampledFrom(scopes).Draw(d.T, "permitted at"),
			Standing: rapid.SampledFrom([]access.Standing{access.Primary, access.Guest}).Draw(d.T, "permitted as"),
			Flags:    access.Flags{Events: rapid.SampledFrom([]access.EventFlag{"", "standard", "restricted"}).Draw(d.T, "permitted events"), Video: rapid.Bool().Draw(d.T, "permitted video")}}
		for _, at := range []*time.Time{&t.NotBefore, &t.Until, &t.Ended} {
			if rapid.IntRange(0, 2).Draw(d.T, "permit timed") == 0 {
				*at = d.instant("permit at")
			}
		}
		by.Permits = append(by.Permits, t)
	}
	for i := range rapid.IntRange(0, 3).Draw(d.T, "limits") {
		by.Limits = append(by.Limits, d.limit(i, scopes))
	}
	return by
}

func (d draw) limit(i int, scopes []access.ScopeID) access.Limit {
	l := access.Limit{ID: access.LimitID(fmt.Sprintf("lim_%d", i)), Person: "per_1", Scope: rapid.SampledFrom(scopes).Draw(d.T, "limited at"),
		Grant:    rapid.SampledFrom(append([]access.Grant{"", ""}, access.Grants()...)).Draw(d.T, "limited"),
		Withheld: rapid.Bool().Draw(d.T, "withheld"), NoVideo: rapid.Bool().Draw(d.T, "no video")}
	if rapid.Bool().Draw(d.T, "events limited") {
		most := rapid.SampledFrom([]access.EventFlag{"", "standard"}).Draw(d.T, "most")
		l.Events = &most
	}
	if rapid.IntRange(0, 3).Draw(d.T, "lifted") == 0 {
		l.Lifted = noon
	}
	return l
}

// TestNothingIsHeldThatNoLivingSourceGives: whatever was held before.
func TestNothingIsHeldThatNoLivingSourceGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now, by := d.policy(), d.facts(), d.instant("now"), d.decided()
		want := Evaluate(p, f, now).Want
		for _, a := range p.Diff(d.held(), want, by, now).After() {
			at := Pair{a.Grant, a.Scope}
			var flags access.Flags
			for _, s := range a.Sources {
				from := p.widest(want, by, at, s)
				switch {
				case from == nil || ended(s, now):
					t.Fatalf("nothing gives %+v of %+v", s, a)
				case s.Flags.Union(*from) != *from:
					t.Fatalf("%+v of %+v has more than its source gives: %+v", s, a, *from)
				}
				flags = flags.Union(s.Flags)
			}
			if len(a.Sources) == 0 || a.Flags.Union(flags) != flags {
				t.Fatalf("%+v has more than its sources give", a)
			}
		}
	})
}

// widest are the flags that a source has where nothing limits it; nil if nothing gives it.
func (p *Policy) widest(want []Wanted, by access.Decided, at Pair, s access.Source) *access.Flags {
	var flags *access.Flags
	add := func(o access.Source) {
		if compareSources(o, s) == 0 {
			if flags == nil {
				flags = &access.Flags{}
			}
			*flags = flags.Union(o.Flags)
		}
	}
	for _, w := range want {
		if (Pair{w.Grant, w.Scope}) == at {
			for _, o := range w.Sources {
				add(o)
			}
		}
	}
	for _, t := range by.Permits {
		if (Pair{t.Grant, t.Scope}) == at && t.Ended.IsZero() && p.tree.Live(t.Scope) {
			add(t.Source(by.Certification))
		}
	}
	return flags
}

// TestALimitGivesNothing: with it everybody has at most what they have without it, for at
// most as long, and their own place where they had it.
func TestALimitGivesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now, held, by := d.policy(), d.facts(), d.instant("now"), d.held(), d.decided()
		want, free := Evaluate(p, f, now).Want, by
		free.Limits = nil
		without := map[Pair]access.Assignment{}
		for _, a := range p.Diff(held, want, free, now).After() {
			without[Pair{a.Grant, a.Scope}] = a
		}
		for _, a := range p.Diff(held, want, by, now).After() {
			w, has := without[Pair{a.Grant, a.Scope}]
			if !has || a.Flags.Union(w.Flags) != w.Flags || later(a.Until, w.Until) != w.Until && w.ValidAt(now) || a.ValidAt(now) && !w.ValidAt(now) {
				t.Fatalf("limited %+v\nfree    %+v", a, w)
			}
			for _, l := range by.Limits {
				if p.Binds(l, Pair{a.Grant, a.Scope}) && l.Narrow(a.Flags) != a.Flags {
					t.Fatalf("%+v does not bind %+v", l, a)
				}
			}
		}
	})
}

// TestAPermitIsASourceAsLongAsItLives: no rule, and no limit, takes it away.
func TestAPermitIsASourceAsLongAsItLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now, by := d.policy(), d.facts(), d.instant("now"), d.decided()
		after := p.Diff(d.held(), Evaluate(p, f, now).Want, by, now).After()
		for _, permit := range by.Permits {
			lives := permit.Ended.IsZero() && p.tree.Live(permit.Scope) && (permit.Until.IsZero() || now.Before(permit.Until)) &&
				(permit.Grant != access.Technician || by.Certification.CertifiedAt(now))
			at := slices.IndexFunc(after, func(a access.Assignment) bool { return a.Grant == permit.Grant && a.Scope == permit.Scope })
			is := at >= 0 && slices.ContainsFunc(after[at].Sources, func(s access.Source) bool { return s.ID == string(permit.Request) })
			if is != lives {
				t.Fatalf("%+v lives: %v; is a source: %v", permit, lives, is)
			}
		}
	})
}

// TestADecisionOfPeopleHoldsUntilItsEnd: between now and NextChange nothing else is held.
func TestADecisionOfPeopleHoldsUntilItsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, now, by := d.policy(), d.instant("now"), d.decided()
		after := p.Diff(nil, nil, by, now).After()
		next := NextChange(after, now)
		then := next.Add(-time.Nanosecond)
		if next.IsZero() {
			then = now.AddDate(50, 0, 0)
		}
		if again := p.Diff(after, nil, by, then); !again.Empty() {
			t.Fatalf("at %v:\n%+v\nat %v:\n%+v", now, after, then, again)
		}
	})
}

// TestDecidedIsAllThatDiffLooksAt fails when a field is added: teach Diff about it.
func TestDecidedIsAllThatDiffLooksAt(t *testing.T) {
	for of, fields := range map[any][]string{
		reflect.TypeFor[access.Permit](): {"ID", "Person", "Grant", "Scope", "Flags", "Standing", "NotBefore", "Until", "Kind", "Request", "Case", "Given", "Ended", "EndReason"},
		reflect.TypeFor[access.Limit]():  {"ID", "Person", "Scope", "Grant", "Withheld", "Events", "NoVideo", "Set", "Lifted"},
	} {
		typ := of.(reflect.Type)
		var has []string
		for i := range typ.NumField() {
			has = append(has, typ.Field(i).Name)
		}
		if !slices.Equal(has, fields) {
			t.Errorf("%s has %v, known are %v", typ, has, fields)
		}
	}
}

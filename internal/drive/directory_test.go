package drive

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sized(t *rapid.T) directory {
	d := directory{vendor: VendorEntra, seed: rapid.IntRange(0, 9).Draw(t, "seed"), people: rapid.IntRange(1, 60).Draw(t, "people"),
		groups: rapid.IntRange(1, 9).Draw(t, "groups"), share: rapid.IntRange(1, 100).Draw(t, "share")}
	d.members = rapid.IntRange(0, d.people*d.groups).Draw(t, "memberships")
	return d
}

func listOf(w window) []int {
	out := []int{}
	for i := range w.count {
		out = append(out, w.at(i))
	}
	slices.Sort(out)
	return out
}

// Memberships add up to what was asked for, nobody is in a group twice, and each
// round's group is the last one's without who left and with who joined.
func TestMembershipsAddUpAndMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, round := sized(t), rapid.IntRange(1, 30).Draw(t, "round")
		sum := 0
		for g := range d.groups {
			before, after := listOf(d.membersOf(g, round-1)), listOf(d.membersOf(g, round))
			sum += len(after)
			if len(slices.Compact(slices.Clone(after))) != len(after) {
				t.Fatalf("group %d has somebody twice: %v", g, after)
			}
			left, joined := listOf(d.leaving(g, round)), listOf(d.joining(g, round))
			moved := slices.DeleteFunc(before, func(n int) bool { return slices.Contains(left, n) })
			moved = append(moved, joined...)
			slices.Sort(moved)
			if !slices.Equal(moved, after) {
				t.Fatalf("group %d: %v, not %v", g, after, moved)
			}
			w := d.membersOf(g, round)
			for n := range d.people {
				if w.has(n) != slices.Contains(after, n) {
					t.Fatalf("group %d: has(%d) is %t", g, n, w.has(n))
				}
			}
		}
		if sum != d.members {
			t.Fatalf("%d memberships, not %d", sum, d.members)
		}
	})
}

// The groups of the first people are found without asking for each of them.
func TestGroupsOfTheFirstPeople(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, round := sized(t), rapid.IntRange(0, 30).Draw(t, "round")
		n := rapid.IntRange(1, d.people).Draw(t, "n")
		got := (&Drive{dir: d, opts: Options{Groups: d.groups, Round: round}}).groupsOf(n)
		for g := range d.groups {
			want := slices.ContainsFunc(listOf(d.membersOf(g, round)), func(m int) bool { return m < n })
			if slices.Contains(got, g) != want {
				t.Fatalf("group %d: %t", g, !want)
			}
		}
	})
}

// Exactly the people of a round's share change in it, and they change visibly.
func TestARoundChangesItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, round := sized(t), rapid.IntRange(1, 30).Draw(t, "round")
		first, count := d.changed(round)
		w := window{first: first, count: count, people: d.people}
		for n := range d.people {
			before, after := d.person(n, round-1), d.person(n, round)
			if (before != after) != w.has(n) {
				t.Fatalf("person %d of %d..+%d: %+v became %+v", n, first, count, before, after)
			}
			if before.UserName != after.UserName || before.ObjectID != after.ObjectID {
				t.Fatalf("person %d became somebody else", n)
			}
		}
	})
}

// People are fictitious, distinct, the same each time, and others for another seed.
func TestPeopleFollowFromTheSeed(t *testing.T) {
	d := directory{vendor: VendorOkta, seed: 3, people: 1000}
	other := d
	other.seed = 4
	seen := map[string]bool{}
	for n := range d.people {
		p := d.person(n, 0)
		if p != d.person(n, 0) || seen[p.UserName] || seen[p.ObjectID] || other.person(n, 0).ObjectID == p.ObjectID {
			t.Fatalf("person %d: %+v", n, p)
		}
		seen[p.UserName], seen[p.ObjectID] = true, true
		if !strings.HasSuffix(p.UserName, "@drive-3.example") || !strings.HasPrefix(p.ObjectID, "00u") || p.UserName != strings.ToLower(p.UserName) {
			t.Fatalf("person %d: %+v", n, p)
		}
	}
}

// A latency is told within 3 % of itself, whatever its size.
func TestLatenciesAreToldWithinThreePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "latency"))
		if got := most(bucket(d)); got < d || float64(got) > float64(d)*1.032 {
			t.Fatalf("%d is told as %d", d, got)
		}
	})
	s := &series{}
	for n := range 1000 {
		d := time.Duration(n+1) * time.Millisecond
		s.count++
		s.longest = max(s.longest, d)
		s.buckets[bucket(d)]++
	}
	for q, want := range map[float64]time.Duration{.5: 500 * time.Millisecond, .99: 990 * time.Millisecond, 1: time.Second} {
		if got := s.quantile(q); got < want || float64(got) > float64(want)*1.032 {
			t.Errorf("quantile %v is %s", q, got)
		}
	}
}

// A name that leads to another machine is refused where it is dialled.
func TestOnlyThisMachineIsDialled(t *testing.T) {
	for address, fine := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "192.0.2.1:80": false, "10.0.0.1:443": false, "nonsense": false} {
		if err := loopbackOnly("tcp", address, nil); (err == nil) != fine {
			t.Errorf("%s: %v", address, err)
		}
	}
	if o := (Options{IOwnThisServer: true}).withDefaults(); client(o) == nil {
		t.Error("no client")
	}
}

// Kinds of requests are bounded: ids and values are not in them.
func TestKindsLeaveOutWhatDiffers(t *testing.T) {
	for want, in := range map[string][2]string{
		"PATCH /Groups/{id}": {"PATCH", "/Groups/g-1?aadOptscim062020"}, "GET /Users?filter": {"GET", `/Users?filter=userName+eq+"x"`},
		"GET /Groups?filter": {"GET", "/Groups?excludedAttributes=members&filter=x"}, "GET /Users": {"GET", "/Users?startIndex=1&count=1"},
	} {
		if got := kindOf(in[0], in[1]); got != want {
			t.Errorf("%v is %q, not %q", in, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

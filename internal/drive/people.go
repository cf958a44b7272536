package drive

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// directory is the made-up one: everything about its people and groups follows from
// the seed and their numbers, so that nothing of it has to be kept.
type directory struct {
	vendor  string
	seed    int
	people  int
	groups  int
	members int // over all groups
	names   []string
	share   int // percent
}

func newDirectory(o Options) directory {
	return directory{vendor: o.Vendor, seed: o.Seed, people: o.People, groups: o.Groups, members: o.Memberships, names: o.GroupNames, share: o.Share}
}

// domain is nobody's (RFC 2606), and another one for each seed.
func (d directory) domain() string { return fmt.Sprintf("drive-%d.example", d.seed) }

// person is the n-th one after that many incremental cycles.
func (d directory) person(n, round int) idp.Person {
	h := d.hash("person", n)
	changes := d.changesOf(n, round)
	first, family := givenNames(), familyNames()
	given := first[int(h[0])%len(first)]
	born := int(h[1])
	user := fmt.Sprintf("%s.%s.%06d@%s", given, family[born%len(family)], n, d.domain())
	now := family[(born+changes)%len(family)] // people marry; their user name stays
	return idp.Person{
		ObjectID: d.objectID("00u", h), UserName: strings.ToLower(user), Email: strings.ToLower(user), GivenName: given, FamilyName: now,
		DisplayName: given + " " + now, Department: fmt.Sprintf("Depot %d", (int(h[2])+changes)%40), Active: true,
	}
}

// changed are the people whom one incremental cycle changes: numbers from first on,
// count of them, beginning again at 0 after the last person. Each round takes those
// who follow the round before.
func (d directory) changed(round int) (first, count int) {
	count = d.part(d.people)
	return (round - 1) * count % d.people, count
}

// changesOf is the last round that changed a person; 0: none yet.
func (d directory) changesOf(n, round int) int {
	s := d.part(d.people)
	last := round*s - 1 - n // rounds walk over 0 … round*s-1, modulo the people
	if last < 0 {
		return 0
	}
	return (n+d.people*(last/d.people))/s + 1
}

// part is the share of n, at least one.
func (d directory) part(n int) int { return max(1, n*d.share/100) }

// group is the g-th one, without members.
func (d directory) group(g int) idp.Group {
	name := fmt.Sprintf("Drive %d group %05d", d.seed, g)
	if g < len(d.names) {
		name = d.names[g]
	}
	return idp.Group{ObjectID: d.objectID("00g", d.hash("group", g)), Name: name}
}

// window is a run of people on the circle of all of them.
type window struct{ first, count, people int }

func (w window) at(i int) int { return (w.first + i) % w.people }

func (w window) has(n int) bool { return (n-w.first%w.people+w.people)%w.people < w.count }

// membersOf is who is in a group after that many incremental cycles. Each cycle
// moves the window on: who leaves and who joins is known without asking.
func (d directory) membersOf(g, round int) window {
	if d.groups == 0 {
		return window{people: d.people}
	}
	count := d.members / d.groups
	if g < d.members%d.groups {
		count++
	}
	w := window{first: g * d.people / d.groups, count: count, people: d.people}
	w.first += round * d.moving(w)
	return w
}

// moving is how many leave a group in one incremental cycle, and as many join.
func (d directory) moving(w window) int {
	if w.count == 0 {
		return 0
	}
	return min(d.part(w.count), w.people-w.count)
}

func (d directory) leaving(g, round int) window {
	w := d.membersOf(g, round-1)
	return window{first: w.first, count: d.moving(w), people: w.people}
}

func (d directory) joining(g, round int) window {
	w := d.membersOf(g, round-1)
	return window{first: w.first + w.count, count: d.moving(w), people: w.people}
}

func (d directory) hash(kind string, n int) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%d", d.seed, kind, n))
}

// objectID has the vendor's form: a GUID, or 00u… and 00g….
func (d directory) objectID(prefix string, h [sha256.Size]byte) string {
	if d.vendor == VendorOkta {
		return fmt.Sprintf("%s%x", prefix, h[:8])
	}
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80 // the form of a random UUID, RFC 9562 section 5.4
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func givenNames() [16]string {
	return [16]string{"Ash", "Bo", "Cleo", "Dani", "Emre", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kit", "Lou", "Mika", "Noa", "Ola", "Pip"}
}

func familyNames() [16]string {
	return [16]string{"Alder", "Birch", "Cedar", "Drake", "Elm", "Finch", "Grove", "Heron", "Iris", "Jay", "Kestrel", "Linden", "Marsh", "Nettle", "Oakes", "Plover"}
}

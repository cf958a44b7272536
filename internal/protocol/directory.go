package protocol

import (
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
)

const people = 3

// ref names what news are of: a person, a session (from people on), or what is wide.
type ref int

const everything ref = -1 // what is wide

func personRef(who int) ref  { return ref(who) }
func sessionRef(id int) ref  { return ref(people + id) }
func (r ref) session() int   { return int(r) - people }
func (r ref) isPerson() bool { return r >= 0 && r < people }

type person struct {
	active        bool
	epoch, policy int64
	until         time.Time
}

type session struct {
	alive   bool
	version int64
	who     int
}

// wide is what concerns many people at once. Each decision older than since does not count.
type wide struct {
	host, policy, since, client int64
	enabled                     bool
}

type news struct {
	id, txid int64
	refs     []ref
	at       time.Duration
}

// row is a node's in the registry.
type row struct {
	there bool
	beat  int64
	at    time.Duration // by the directory's clock
}

// position is which transactions had ended at a snapshot, in one life of the directory.
type position struct {
	life int
	next int64
	open []int64
	last int64 // for LastNumber: the greatest number of news
}

func (p position) saw(txid int64) bool { return txid < p.next && !slices.Contains(p.open, txid) }

func (p position) lowest() int64 {
	if len(p.open) > 0 {
		return slices.Min(p.open)
	}
	return p.next
}

// directory is what SQL is to the nodes: what it holds at an instant is what a snapshot sees.
type directory struct {
	people   [people]person
	sessions []session
	latest   [people]int // session
	wide     wide
	news     []news // committed, in the order of commits
	trimmed  int64
	nodes    []row
	life     int   // rises with each crash
	next     int64 // transaction
	written  int64 // transactions from this number on are forgotten by a crash, and so are ids of their news
	ids      int64 // of news
	open     []int64
	locked   map[ref]bool
	now      time.Duration // the world's
	ahead    time.Duration // its clock
	gone     bool
}

func (d *directory) begin() {
	d.locked, d.next, d.wide = map[ref]bool{}, 1, wide{1, 1, 1, 1, true}
	for who := range d.people {
		d.people[who] = person{active: true, epoch: 1, policy: 1}
		d.latest[who] = len(d.sessions)
		d.sessions = append(d.sessions, session{true, 1, who})
	}
}

func (d *directory) snapshot() position {
	return position{d.life, d.next, slices.Clone(d.open), d.ids}
}

// crash ends what is under way. What was committed is there; numbers that nobody had been promised
// are given out again.
func (d *directory) crash() {
	d.life++
	d.next, d.open, d.locked = max(1, d.written), nil, map[ref]bool{}
	d.trimmed = min(d.trimmed, d.next)
	d.ids = 0
	for _, n := range d.news {
		d.ids = max(d.ids, n.id)
	}
}

// since is what a snapshot sees that another did not; not whole: some of it is kept no longer.
func (d *directory) since(p position, f Fault) (all []news, now position, whole bool) {
	now = d.snapshot()
	if p.life != d.life && f != NumbersAgain || p.lowest() < d.trimmed {
		return nil, now, false
	}
	for _, n := range d.news {
		if f == LastNumber && n.id > p.last || f != LastNumber && !p.saw(n.txid) {
			all = append(all, n)
		}
	}
	if f == LastNumber {
		now.last = p.last
		for _, n := range all {
			now.last = max(now.last, n.id)
		}
	}
	return all, now, true
}

// kept is how long news are kept, at least.
const kept = 2 * time.Second

// trim forgets old news that every snapshot from now on has seen.
func (d *directory) trim() {
	below := d.snapshot().lowest()
	for _, n := range d.news {
		if n.at > d.now-kept {
			below = min(below, n.txid)
		}
	}
	d.news = slices.DeleteFunc(d.news, func(n news) bool { return n.txid < below })
	d.trimmed = max(d.trimmed, below)
}

// apply makes the directory what a request wants, and says what that has changed: nothing, if it
// was so before.
func (d *directory) apply(c wish, f Fault) (refs []ref) {
	k, who := c.kind, c.who
	p, s := &d.people[who], &d.sessions[c.session]
	switch {
	case k == Off && p.active:
		p.active = false
		p.epoch++
		refs = append(refs, personRef(who))
	case k == On && !p.active:
		p.active = true
		p.epoch++
		if f == EpochOfBefore {
			p.epoch -= 2
		}
		refs = append(refs, personRef(who))
	case k == EndSession && s.alive:
		s.alive = false
		refs = append(refs, sessionRef(c.session))
	case k == Switch && s.alive:
		s.version++
		refs = append(refs, sessionRef(c.session))
	case k == Decide && (p.policy < d.wide.policy || !p.until.IsZero()):
		p.policy, p.until = d.wide.policy, time.Time{}
		refs = append(refs, personRef(who))
	case k == Until:
		p.until = began.Add(d.now + c.lasts())
		refs = append(refs, personRef(who))
	case k == Policy:
		d.wide.policy++
		d.wide.since = d.wide.policy
		refs = append(refs, everything)
	case k == Host:
		d.wide.host++
		refs = append(refs, everything)
	case k == ClientOff && d.wide.enabled:
		d.wide.enabled = false
		d.wide.client++
		refs = append(refs, everything)
	case k == ClientOn && !d.wide.enabled:
		d.wide.enabled = true
		refs = append(refs, everything)
	}
	return refs
}

// wish is what a client asks for.
type wish struct {
	kind    Kind
	who     int
	session int
}

func (c wish) String() string {
	return fmt.Sprintf("%s of person %d, session %d", c.kind, c.who, c.session)
}

// lasts is how long a decision counts, once it has been given an end.
func (c wish) lasts() time.Duration { return time.Duration(c.who+1) * 500 * ms }

func (c wish) locks() ref {
	switch c.kind {
	case Policy, Host, ClientOff, ClientOn:
		return everything
	}
	return personRef(c.who)
}

// signIn gives a person a session, if they have none. Nobody remembers what is new.
func (d *directory) signIn(who int) int {
	if !d.sessions[d.latest[who]].alive {
		d.latest[who] = len(d.sessions)
		d.sessions = append(d.sessions, session{true, 1, who})
	}
	return d.latest[who]
}

// expires is far away: the sessions of these histories have no other end.
var expires = began.AddDate(1, 0, 0)

// say is what the directory has to say of a subject.
func say(sub credential.Subject, w wide, p person, s session) credential.Current {
	c := credential.Current{Subject: sub, SessionExpires: expires, ValidUntil: p.until,
		Epochs: credential.Epochs{Host: w.host, Connection: 1, Client: w.client, Person: p.epoch, Session: s.version}}
	c.Alive = w.enabled && p.active && s.alive
	c.Decided = p.policy >= w.since
	return c
}

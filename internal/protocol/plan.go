package protocol

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what an Op does.
type Kind int

// What clients do.
const (
	Off Kind = iota
	On
	EndSession
	Switch
	Decide
	Until
	Policy
	Host
	ClientOff
	ClientOn
	Mint
	Use
	// What goes wrong.
	Pause       // a process stands still
	Freeze      // a machine stands still, and its monotonic clock with it
	StandStill  // the monotonic clock alone stands still
	Forward     // a wall clock is set forward
	Back        // a wall clock is set back
	Database    // the directory's clock is set
	Cut         // a node is cut from the directory
	Gone        // the directory is gone
	Crash       // the directory dies, and comes back without what was not written
	Deaf        // a node is cut from the feed
	FeedGone    // the feed is gone
	FeedRestart // the feed is empty
	FeedOld     // the feed is what it was some time ago
	Trim        // the directory forgets old news
	Join        // a node comes
	Leave       // a node goes
	Kill        // a node dies
	DieAtCommit // a node dies between its next commit and telling of it
)

var kinds = [...]string{"off", "on", "end of session", "switch", "decision", "end of decision", "policy", "end by host", "client off", "client on", "mint", "use",
	"pause", "freeze", "monotonic clock stands still", "wall clock forward", "wall clock back", "directory's clock set", "cut from directory", "directory gone", "directory crashes", "cut from feed",
	"feed gone", "feed restarted empty", "feed of before", "news trimmed", "join", "leave", "kill", "dies at commit"}

func (k Kind) String() string { return kinds[k] }

// Op is one thing that somebody does, or that goes wrong.
type Op struct {
	At   time.Duration
	Kind Kind
	Node int // among those there are, modulo
	Who  int
	For  time.Duration
}

func (o Op) String() string {
	return fmt.Sprintf("at %v: %s, node %d, person %d, %v", o.At, o.Kind, o.Node, o.Who, o.For)
}

// Plan is a history before it happens.
type Plan struct {
	Seed    uint64
	Nodes   int
	Weather Weather
	Calm    bool // nothing goes wrong
	NoFeed  bool // there is none
	Ops     []Op
}

const (
	// acted is when the last Op is done, and everything is mended.
	acted = 3500 * ms
	// rest is when everybody has calmed down.
	rest = acted + 2900*ms
	// Length is how long a history is.
	Length = rest + 200*ms
)

// shares says of a hundred Ops how many are of a kind; those that are not there go wrong.
var shares = []struct {
	kind Kind
	n    int
}{{Off, 16}, {On, 12}, {EndSession, 8}, {Switch, 8}, {Decide, 8}, {Until, 3}, {Policy, 4}, {Host, 4}, {ClientOff, 3}, {ClientOn, 3}, {Mint, 16}, {Use, 15}}

// NewPlan draws a history. One in eight is calm.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 1<<32))
	p := Plan{Seed: seed, Nodes: 2 + r.IntN(3), Calm: r.IntN(8) == 0}
	p.NoFeed = !p.Calm && r.IntN(3) == 0
	if !p.Calm {
		p.Weather = Weather{Slow: r.IntN(100), VerySlow: r.IntN(30), Lost: r.IntN(30), Doubled: r.IntN(100)}
	}
	for range 12 + r.IntN(14) {
		p.Ops = append(p.Ops, draw(r, request(r)))
	}
	if !p.Calm {
		for range r.IntN(9) {
			p.Ops = append(p.Ops, draw(r, Pause+Kind(r.IntN(int(DieAtCommit-Pause)+1))))
		}
	}
	slices.SortStableFunc(p.Ops, func(a, b Op) int { return cmp.Compare(a.At, b.At) })
	return p
}

func request(r *rand.Rand) Kind {
	at := r.IntN(100)
	for _, s := range shares {
		if at -= s.n; at < 0 {
			return s.kind
		}
	}
	return Use
}

func draw(r *rand.Rand, k Kind) Op {
	return Op{At: 400*ms + time.Duration(r.Int64N(int64(acted-400*ms))), Kind: k, Node: r.IntN(8), Who: r.IntN(people), For: time.Duration(50+r.IntN(2500)) * ms}
}

package lease

import (
	"slices"
	"time"
)

// Peer is another node as the registry has it.
type Peer struct {
	Node string        // of one run of a process
	Beat int64         // rises with every poll, before its news are read
	Age  time.Duration // of the beat, by the database's clock
}

// Sightings are the beats of peers as this node has seen them change, by its own clock: the
// database's clock alone could be set, and make somebody look dead who is not.
type Sightings struct {
	seen map[string]sighting
}

type sighting struct {
	beat  int64
	since time.Duration // when it was seen first, at the latest
}

// Live are the peers that may hold a lease: those whose beat is young by the database's clock, or
// has changed lately by ours. The registry was read between began and ended. Those who are not in it
// are forgotten.
func (s *Sightings) Live(registry []Peer, began, ended time.Duration) []string {
	var live []string
	seen := make(map[string]sighting, len(registry))
	for _, p := range registry {
		was, known := s.seen[p.Node]
		if !known || was.beat != p.Beat {
			was = sighting{p.Beat, ended}
		}
		seen[p.Node] = was
		if p.Age < Longest || began-was.since < Longest {
			live = append(live, p.Node)
		}
	}
	s.seen = seen
	slices.Sort(live)
	return live
}

// Gone are the peers whose beat has not changed for that long, as this node has seen it at now.
func (s *Sightings) Gone(now, long time.Duration) []Peer {
	var gone []Peer
	for node, was := range s.seen {
		if now-was.since >= long {
			gone = append(gone, Peer{Node: node, Beat: was.beat})
		}
	}
	return gone
}

// Barrier is what the answer to one commit waits for. Make it with Await.
type Barrier struct {
	committed time.Duration
	asked     bool            // the registry has been read after the commit
	waits     map[string]bool // the live peers that have not said yet that they know
	know      map[string]bool
}

// Await begins to wait for a commit that had happened by then, on the monotonic clock.
func Await(committed time.Duration) *Barrier {
	return &Barrier{committed: committed, know: map[string]bool{}}
}

// Registry says who was live when the registry was read, after the commit.
func (b *Barrier) Registry(live []string) {
	b.asked, b.waits = true, make(map[string]bool, len(live))
	for _, node := range live {
		if !b.know[node] {
			b.waits[node] = true
		}
	}
}

// Acknowledged says that a node has applied what the commit changed.
func (b *Barrier) Acknowledged(node string) {
	b.know[node] = true
	delete(b.waits, node)
}

// Until is the instant from which nothing is to be waited for, whatever has failed.
func (b *Barrier) Until() time.Duration { return b.committed + Longest }

// Done reports whether no node accepts any more what the commit has ended.
func (b *Barrier) Done(now time.Duration) bool {
	return now >= b.Until() || b.Known()
}

// Known reports whether everybody who was live has said that they know.
func (b *Barrier) Known() bool { return b.asked && len(b.waits) == 0 }

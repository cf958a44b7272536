package bridge

import (
	"slices"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// mostJoined is how many requests are carried out together, of no more people than one
// transaction decides.
const mostJoined = 60

// mostInLine is how many wait for one group. Whoever comes then waits for the database, as
// all others do.
const mostInLine = 1024

// asking is a request that waits to change a group's members.
type asking struct {
	members *memberChange
	request string
	turn    chan struct{} // closed: it carries out those who wait
	done    chan struct{} // closed: what follows has been said

	ran   bool // by itself, in its turn
	now   store.Group
	did   *change
	err   error
	alone bool // nothing of it was done: it is to be carried out by itself
}

func newAsking(members *memberChange, request string) *asking {
	return &asking{members: members, request: request, turn: make(chan struct{}), done: make(chan struct{})}
}

// lines are those who wait to change groups' members. Of each group one at a time has its turn.
type lines struct {
	mu  sync.Mutex // guards what follows
	all map[line][]*asking
}

type line struct {
	conn  access.ConnectionID
	group access.GroupID
}

// join lets somebody wait; it is their turn if nobody else has it. false: too many wait.
func (l *lines) join(at line, a *asking) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, taken := l.all[at]
	switch {
	case !taken:
		l.all[at] = nil
		close(a.turn)
	case len(waiting) >= mostInLine:
		return false
	default:
		l.all[at] = append(waiting, a)
	}
	return true
}

// leave takes out somebody who waits no more; false: it is their turn, or that of somebody who has
// taken them along.
func (l *lines) leave(at line, a *asking) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.all[at], a)
	if i >= 0 {
		l.all[at] = slices.Delete(l.all[at], i, i+1)
	}
	return i >= 0
}

// take takes along those who have waited longest behind one whose turn it is.
func (l *lines) take(at line, behind *asking) []*asking {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, n, room := l.all[at], 0, inlinePeople-len(behind.members.people())
	for ; n < min(len(waiting), mostJoined-1); n++ {
		if room -= len(waiting[n].members.people()); room < 0 {
			break
		}
	}
	l.all[at] = slices.Clone(waiting[n:])
	return waiting[:n:n]
}

// takeAll is take, however many they are.
func (l *lines) takeAll(at line) []*asking {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.all[at]
	l.all[at] = nil
	return waiting
}

// next gives the turn to who has waited longest.
func (l *lines) next(at line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.all[at]
	if len(waiting) == 0 {
		delete(l.all, at)
		return
	}
	l.all[at] = slices.Clone(waiting[1:])
	close(waiting[0].turn)
}

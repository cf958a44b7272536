package oidc

import (
	"crypto/sha256"
	"sync"
	"time"
)

// seenProofs remembers used proofs for as long as their iat lets them be good. There
// are two generations: the older one is dropped when the younger is as old as that.
type seenProofs struct {
	room       int        // proofs of a generation; 0: maxProofsSeen
	mu         sync.Mutex // guards what follows
	young, old map[proofID]struct{}
	byKey      map[proofID]int // of the younger generation
	since      time.Time       // when the younger generation began
}

// proofID is the beginning of a SHA-256: enough that nobody finds two of the same.
type proofID [16]byte

// proofMemory is how long a proof may be good after it was first seen: it may come
// from a clock that is a window ahead.
const proofMemory = 2 * proofWindow

// maxProofsSeen bounds a generation, at some 60 bytes each. It is twice what two cores
// can verify in that time.
const maxProofsSeen = 1 << 20

// keyShare is the part of a generation, one in so many, that one key may have once half
// of it is taken.
const keyShare = 16

type proofOutcome uint8

const (
	proofRefused proofOutcome = iota // there is no room to remember it
	proofNew
	proofSeen
)

func idOf(text string) proofID {
	sum := sha256.Sum256([]byte(text))
	return proofID(sum[:16])
}

func (p Proof) id() proofID { return idOf(p.Key + " " + p.JTI) } // a thumbprint has no space

func (s *seenProofs) add(p Proof, now time.Time) proofOutcome {
	id, key := p.id(), idOf(p.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnLocked(now)
	_, young := s.young[id]
	_, old := s.old[id]
	switch {
	case young || old:
		return proofSeen
	case s.fullLocked(key):
		return proofRefused
	}
	s.young[id] = struct{}{}
	s.byKey[key]++
	return proofNew
}

// turnLocked begins a generation where it is time.
func (s *seenProofs) turnLocked(now time.Time) {
	age := now.Sub(s.since)
	if s.young != nil && age < proofMemory {
		return
	}
	s.old = s.young
	if age >= 2*proofMemory {
		s.old = nil
	}
	s.young, s.byKey, s.since = map[proofID]struct{}{}, map[proofID]int{}, now
}

// fullLocked reports whether there is no room for one more proof of a key. To forget others
// would let them be used again.
func (s *seenProofs) fullLocked(key proofID) bool {
	room := s.room
	if room == 0 {
		room = maxProofsSeen
	}
	return len(s.young) >= room || len(s.young) >= room/2 && s.byKey[key] >= room/keyShare
}

// forget lets a proof be used that has done nothing.
func (s *seenProofs) forget(p Proof) {
	id, key := p.id(), idOf(p.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.old, id)
	if _, young := s.young[id]; !young {
		return
	}
	delete(s.young, id)
	if s.byKey[key]--; s.byKey[key] == 0 {
		delete(s.byKey, key)
	}
}

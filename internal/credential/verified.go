package credential

import "sync"

// verified remembers whose signature was good, so that a token shown a thousand
// times is checked once. It is bounded, and holds nothing that changes: not the
// epochs, not the clock's say, not whether the key still exists.
//
// Each shard keeps a young and an old generation. What is asked for moves to the
// young one; when that is full the old one is dropped. So what was used lately
// stays, for the cost of a map.
type verified struct{ shards [verifiedShards]verifiedShard }

const (
	verifiedShards     = 16
	verifiedGeneration = 512     // entries; two generations a shard: 16,384 tokens in all
	verifiedLongest    = 4 << 10 // bytes; longer tokens are checked each time
)

type verifiedShard struct {
	mu         sync.Mutex // guards what follows
	young, old map[Digest]verifiedToken
}

type verifiedToken struct {
	key    *signingKey
	claims AccessClaims
}

func newVerified() *verified {
	v := &verified{}
	for i := range v.shards {
		v.shards[i].young = map[Digest]verifiedToken{}
	}
	return v
}

// get gives the claims if this very key's signature over this token was good.
func (v *verified) get(d Digest, key *signingKey) (AccessClaims, bool) {
	s := &v.shards[d[0]%verifiedShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.young[d]
	if !ok {
		if t, ok = s.old[d]; ok {
			s.putLocked(d, t)
		}
	}
	return t.claims, ok && t.key == key
}

func (v *verified) put(d Digest, key *signingKey, c AccessClaims, length int) {
	if length > verifiedLongest {
		return
	}
	s := &v.shards[d[0]%verifiedShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(d, verifiedToken{key, c})
}

func (s *verifiedShard) putLocked(d Digest, t verifiedToken) {
	if len(s.young) >= verifiedGeneration {
		s.young, s.old = make(map[Digest]verifiedToken, verifiedGeneration), s.young
	}
	s.young[d] = t
}

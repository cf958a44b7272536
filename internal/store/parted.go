package store

import (
	"hash/maphash"
	"iter"
	"maps"
)

// parts is how many parts a parted map has. Who changes one entry copies one part and the list of
// them: with 100,000 entries some 400 pointers and 256.
const parts = 256

// parted is a map of which a clone costs next to nothing: it shares its parts with what it was
// cloned from until they are changed. What is published is read without a lock, and never changed:
// change a clone. The zero value is empty.
type parted[K ~string, V any] struct {
	seed maphash.Seed
	part *[parts]map[K]*V
	own  *[parts]bool // whose part nobody else reads; nil: the list is others', too
}

func (m *parted[K, V]) of(k K) int { return int(maphash.String(m.seed, string(k)) % parts) }

func (m *parted[K, V]) get(k K) (v V, there bool) {
	if m.part == nil {
		return v, false
	}
	if p := m.part[m.of(k)][k]; p != nil {
		return *p, true
	}
	return v, false
}

func (m *parted[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.part == nil {
			return
		}
		for _, part := range m.part {
			for k, v := range part {
				if !yield(k, *v) {
					return
				}
			}
		}
	}
}

// clone may be changed: m stays as it is.
func (m parted[K, V]) clone() parted[K, V] {
	m.own = nil
	return m
}

func (m *parted[K, V]) put(k K, v V) { m.mine(k)[k] = &v }

func (m *parted[K, V]) drop(k K) { delete(m.mine(k), k) }

// mine is the part of a key, to be changed.
func (m *parted[K, V]) mine(k K) map[K]*V {
	if m.own == nil {
		list := new([parts]map[K]*V)
		if m.part == nil {
			m.seed = maphash.MakeSeed()
		} else {
			*list = *m.part
		}
		m.part, m.own = list, new([parts]bool)
	}
	i := m.of(k)
	if !m.own[i] {
		m.own[i] = true
		if m.part[i] = maps.Clone(m.part[i]); m.part[i] == nil {
			m.part[i] = map[K]*V{}
		}
	}
	return m.part[i]
}

package storetest

import "github.com/drawbridge-id/drawbridge/internal/store"

// Share makes an engine of one process look like one that several processes share, for tests
// of nodes that need no server: as many stores as are wanted may be made over it.
func Share(e store.Engine) store.Engine { return shared{e} }

type shared struct{ store.Engine }

// Dialect implements store.Engine.
func (s shared) Dialect() store.Dialect {
	d := s.Engine.Dialect()
	d.Shared = true
	return d
}

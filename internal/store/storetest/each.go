package storetest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// A connection that fails does not keep the others from being written; a database that cannot be used
// is not tried for each of them.
func testEach(t *testing.T, f *fixture) {
	conns := []access.ConnectionID{north, south}
	for i := range 200 {
		conns = append(conns, access.ConnectionID(fmt.Sprint("nowhere", i)))
	}
	slices.Reverse(conns)
	failed, err := f.UpdateEach(t.Context(), conns, func(d *store.DirectoryTx) error { return d.TouchSCIM(day) })
	if len(failed) != 200 || slices.Contains(failed, north) || !fault.Is(err, fault.NotFound) {
		t.Errorf("200 connections are unknown: failed in %d (%v)", len(failed), err)
	}
	for _, id := range []access.ConnectionID{north, south} {
		f.read(id, func(d *store.Directory) error {
			if got := counted(t, d).LastSCIM; !got.Equal(day) {
				t.Errorf("%s: last SCIM request %v", id, got)
			}
			return nil
		})
	}
	var tried atomic.Int64
	conns = slices.Repeat([]access.ConnectionID{north}, 200)
	failed, err = f.UpdateEach(t.Context(), conns, func(*store.DirectoryTx) error {
		tried.Add(1)
		return fault.New(fault.Unavailable, "storetest", "the database is gone")
	})
	if len(failed) != 200 || !fault.Is(err, fault.Unavailable) || tried.Load() > 100 {
		t.Errorf("the database is gone: failed in %d, tried in %d (%v)", len(failed), tried.Load(), err)
	}
}

package main

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// What is measured of nodes is of those that others reckon with, one for each name: that which was
// heard of last, whichever comes first in the registry.
func TestMeasuredAreTheNodesThatLive(t *testing.T) {
	node := func(id, name string, age time.Duration) store.Node {
		return store.Node{ID: id, Name: name, BeatAge: age}
	}
	killed, live := node("1", "n2", 3*time.Second), node("2", "n2", 100*time.Millisecond)
	for _, c := range []struct {
		what string
		all  []store.Node
		ids  []string
	}{
		{"nobody", nil, nil},
		{"each has a name", []store.Node{node("1", "n1", 0), node("2", "n2", time.Second)}, []string{"1", "2"}},
		{"one was killed long ago", []store.Node{node("1", "n1", store.GoneAfter), node("2", "n2", 0)}, []string{"2"}},
		{"one was killed and started again just now", []store.Node{node("0", "n1", 0), killed, live}, []string{"0", "2"}},
		{"the same, in the other order", []store.Node{live, killed, node("0", "n3", 0)}, []string{"2", "0"}},
		{"it was killed again and again", []store.Node{node("3", "n2", time.Minute), killed, node("4", "n2", 4*time.Second), live}, []string{"2"}},
	} {
		var ids []string
		for _, n := range living(c.all) {
			ids = append(ids, n.ID)
		}
		if !slices.Equal(ids, c.ids) {
			t.Errorf("%s: measured are %v, want %v", c.what, ids, c.ids)
		}
	}
}

// When somebody gone was heard of is said in minutes and seconds.
func TestAgesOfBeats(t *testing.T) {
	for _, c := range []struct {
		node api.Node
		want string
	}{{api.Node{BeatAge: 120}, "120 ms"}, {api.Node{BeatAge: 315197, Gone: true}, "5m15s"}} {
		if got := beatAge(c.node); got != c.want {
			t.Errorf("%+v: %s", c.node, got)
		}
	}
}

package bridge_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// TestAConnectionIsAnsweredAsItIsSetUp: strictness and what a PATCH is answered with
// are each connection's own.
func TestAConnectionIsAnsweredAsItIsSetUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	src := samplePolicy(t)
	for i := range src.Connections {
		if src.Connections[i].ID == banksia {
			src.Connections[i].SCIM = access.SCIM{Strict: true, PatchedUsers: access.EchoVersion, PatchedGroups: access.EchoResource}
		}
	}
	if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
		t.Fatal(err)
	}
	const odd, plain = `{"op":"Replace","path":"title","value":"Driver"}`, `{"op":"replace","path":"title","value":"Driver"}`
	mine, theirs := w.person(banksia, "kim@banksia.example", "kim"), w.person(southern, "kim@southern.example", "kim")
	w.must(400, banksia, "PATCH", "/Users/"+mine, patchOf(odd))
	w.must(204, banksia, "PATCH", "/Users/"+mine, patchOf(plain))
	w.must(200, southern, "PATCH", "/Users/"+theirs, patchOf(odd))
	rename := patchOf(`{"op":"replace","path":"displayName","value":"Depot"}`)
	w.must(200, banksia, "PATCH", "/Groups/"+w.group(banksia, "Yard"), rename)
	w.must(204, southern, "PATCH", "/Groups/"+w.group(southern, "Yard"), rename)
}

func patchOf(op string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + op + `]}`
}

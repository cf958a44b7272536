package bridge_test

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// Groups that share an identifier take it from each other's members. However many
// they are, one request decides few people by itself and fences the others: it must
// not hold the writer for everybody.
func TestSharedIdentifiersAreFollowedInBoundedSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) {
		p.Rules = append(p.Rules, ruleSource{ID: "shared", From: banksia, GroupID: "shared-id", Give: "standard @ southern/banksia/geelong"})
	})
	var ids []string
	for i := range 120 {
		ids = append(ids, w.person(banksia, userName(i), externalID(i)))
	}
	add := func(name string) (left int) {
		w.must(201, banksia, "POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"externalId":"shared-id","members":%s}`, name, memberList(ids)))
		for {
			n, err := w.bridge.Recompute(w.ctx)
			w.do(err)
			if n == 0 {
				return left
			}
			left += n
		}
	}
	if left := add("One"); left != 0 || len(w.holds(userName(7))) != 1 {
		t.Errorf("alone: %d were left to the background, %v", left, w.holds(userName(7)))
	}
	if left := add("Two"); left != 0 || len(w.holds(userName(7))) != 0 {
		t.Errorf("two share it: %d were left to the background, %v", left, w.holds(userName(7)))
	}
	if left := add("Three"); left == 0 || len(w.holds(userName(7))) != 0 {
		t.Errorf("three share it: %d were left to the background, %v", left, w.holds(userName(7)))
	}
}

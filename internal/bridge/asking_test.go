package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// How people ask and who reviews is a part of the policy, so that it is planned, applied and
// versioned as rules are. It concerns nobody's access: nobody is decided anew by it, and no
// session ends.
func TestHowPeopleAskConcernsNobodysAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "sam@banksia.example", "oid-sam"))
	sam := w.session(banksia, "oid-sam", "live_view")
	src := samplePolicy(t)
	src.Requests.Classes = []mapping.RequestClass{{Name: "all", Grants: []access.Grant{access.Standard}, Approvers: mapping.ServiceOwners, Need: 2, Longest: time.Hour}}
	src.Reviews = []mapping.ReviewSource{{Name: "guests", Select: `assignment.standing == "guest"`, Every: 24 * time.Hour, Within: time.Hour, Reviewers: mapping.ServiceOwners, Unanswered: mapping.KeepUnanswered}}
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	w.do(err)
	if plan.Summary.Changing != 0 || plan.Summary.Sessions != 0 || len(plan.Guards) > 0 {
		t.Errorf("the plan touches somebody: %+v", plan)
	}
	before, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{Source: &src})
	w.do(err)
	after, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	if after.Version != before.Version+1 {
		t.Errorf("version %d came after %d", after.Version, before.Version)
	}
	w.forget()
	if _, err := w.bridge.Accept(w.ctx, sam.tokens.AccessToken); err != nil {
		t.Errorf("somebody's token: %v", err)
	}
}

package request

import (
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Why something that people want is refused: stable codes, each explained in
// docs/operations.md.
const (
	ReasonWorkflows      = "workflows_missing"
	ReasonNoGrant        = "no_grant_opens"   // no grant opens all of them together
	ReasonGrantOpensLess = "grant_opens_less" // the one that was named does not
	ReasonNotCertified   = "not_certified"    //
	ReasonReports        = "reports_need_primary"
	ReasonApart          = "administration_apart"
	ReasonHeld           = "already_held"
	ReasonOrganisation   = "organisation_missing"
	ReasonReason         = "reason_missing"
	ReasonCase           = "case_missing"
	ReasonUntil          = "until_missing"
	ReasonApprover       = "approver_missing"
	ReasonUntilPast      = "until_past"
	ReasonTooLong        = "too_long"
	ReasonCaseClosed     = "case_closed"
	ReasonNobody         = "nobody_can_approve"
	ReasonNotEligible    = "approver_not_eligible"

	ReasonOwn         = "own_request"      // nobody decides about what they asked for, or get
	ReasonDecided     = "decided"          // it was granted, refused, taken back, or is too old
	ReasonTwice       = "approved_already" // by the same person
	ReasonNotLess     = "not_less"         // an approver may give less than was asked for, never more
	ReasonNothingLeft = "nothing_left"     //
	ReasonOwnersOnly  = "service_owner_only"
	ReasonLast        = "last_administrator"
	ReasonSuccessor   = "successor_unfit"
	ReasonExtends     = "nothing_to_extend"
	ReasonGlass       = "no_break_glass" // the policy has none
	ReasonGlassGrant  = "may_not_break_glass"
)

// Refusal is one thing for which a request is not made.
type Refusal struct {
	Reason string // one of the codes
	Text   string // a sentence for people
}

// Refused is the error that says them all, with the first one's code; nil if there are
// none.
func Refused(op string, all []Refusal) error {
	if len(all) == 0 {
		return nil
	}
	var texts []string
	for _, r := range all {
		texts = append(texts, r.Text)
	}
	kind := fault.Invalid
	switch all[0].Reason {
	case ReasonHeld:
		kind = fault.Conflict
	case ReasonGlass, ReasonGlassGrant:
		kind = fault.Denied
	}
	return fault.New(kind, op, "%s", strings.Join(texts, "; ")).Because(all[0].Reason)
}

func refusal(reason, format string, args ...any) Refusal {
	return Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

package steward

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// PersonRef names a person: an id means nothing without its connection.
type PersonRef struct {
	Connection access.ConnectionID `json:"connection" maxLength:"128"`
	Person     access.PersonID     `json:"person" maxLength:"128" doc:"id, or userName"`
}

// Who is somebody as people read of them: a person, or the operator.
type Who struct {
	PersonRef
	UserName    string `json:"user_name,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	Operator    string `json:"operator,omitempty" doc:"the name that the operator gave; empty for a person"`
}

// AreaView is a scope as people read of it.
type AreaView struct {
	ID    access.ScopeID `json:"id"`
	Path  string         `json:"path"`
	Level access.Level   `json:"level,omitzero"`
	Name  string         `json:"name"`
}

// Terms are what somebody asked for, or got.
type Terms struct {
	Grant      access.Grant `json:"grant"`
	PublicName string       `json:"public_name" doc:"what customers read instead of the grant"`
	Area       AreaView     `json:"area"`
	Flags      access.Flags `json:"flags"`
	Until      time.Time    `json:"until,omitzero" doc:"left out: no end"`
}

// Ask is what somebody asks for.
type Ask struct {
	For          PersonRef         `json:"for,omitzero" doc:"whom it is for; left out: whoever asks"`
	Workflows    []access.Workflow `json:"workflows,omitempty" maxItems:"13" doc:"what they need to do"`
	Area         string            `json:"area" maxLength:"300" doc:"path or id of a scope"`
	Grant        access.Grant      `json:"grant,omitempty" maxLength:"32" doc:"left out: the smallest that opens the workflows"`
	Flags        access.Flags      `json:"flags,omitzero" doc:"at least these; workflows may need more"`
	NotBefore    time.Time         `json:"not_before,omitzero" doc:"left out: at once"`
	Until        time.Time         `json:"until,omitzero"`
	Permanent    bool              `json:"permanent,omitempty" doc:"without an end, where the policy lets that be"`
	Organisation string            `json:"organisation,omitempty" maxLength:"200" doc:"who asks: the company, or the team"`
	Reason       string            `json:"reason,omitempty" maxLength:"1000"`
	Case         access.CaseID     `json:"case,omitempty" maxLength:"64" doc:"the ticket, project or engagement that it belongs to"`
	Approver     *PersonRef        `json:"approver,omitempty" doc:"whom it is sent to first"`
	Extends      access.RequestID  `json:"extends,omitempty" maxLength:"64" doc:"the request whose access is to last longer"`
	BreakGlass   bool              `json:"break_glass,omitempty" doc:"take it at once; others confirm afterwards"`
}

// Visible is what a person would newly see.
type Visible struct {
	Areas     []AreaView `json:"areas" doc:"the area itself and what lies below it, as far as it is not seen already; at most 20"`
	More      bool       `json:"more,omitempty"`
	Customers []AreaView `json:"customers" doc:"the accounts among them or above them that are not seen already; at most 20"`
	Several   bool       `json:"several" doc:"several customers at once: needs two approvers, and is an exception until it ends"`
}

// Proposal is what a request would come to. Nothing has changed.
type Proposal struct {
	For       Who               `json:"for"`
	Terms     Terms             `json:"proposed"`
	Workflows []access.Workflow `json:"workflows" doc:"all that it opens"`
	Beyond    []access.Workflow `json:"beyond,omitempty" doc:"those that nobody asked for"`
	Standing  access.Standing   `json:"standing"`
	RiskNow   access.Risk       `json:"risk_now" doc:"the highest of what the person holds"`
	RiskAfter access.Risk       `json:"risk_after"`
	Visible   Visible           `json:"visible"`
	Class     string            `json:"class"`
	Need      int               `json:"need" doc:"approvals"`
	Longest   string            `json:"longest,omitempty" doc:"how long it may last at most"`
	Approvers []Who             `json:"approvers" doc:"who may decide; at most 20"`
	More      bool              `json:"more_approvers,omitempty"`
	Missing   []Missing         `json:"missing,omitempty" doc:"what would be refused, each by its reason code"`
	Held      *Held             `json:"already_held,omitempty"`
	Last      string            `json:"last_administrator,omitempty"`
	Outside   bool              `json:"outside,omitempty" doc:"it lies outside the root of the person's connection"`
}

// Missing is a thing for which a request would be refused.
type Missing struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
}

// Held is what the person has that opens all that is asked for.
type Held struct {
	Assignment access.AssignmentID `json:"assignment"`
	Grant      access.Grant        `json:"grant"`
	Area       AreaView            `json:"area"`
	Until      time.Time           `json:"until,omitzero" doc:"left out: no end"`
}

// ApprovalView is one approval.
type ApprovalView struct {
	By      Who       `json:"by"`
	At      time.Time `json:"at"`
	Terms   Terms     `json:"terms" doc:"what this one would give"`
	Comment string    `json:"comment,omitempty"`
}

// PermitState is what became of what a request gave.
type PermitState struct {
	ID        access.PermitID `json:"id"`
	State     string          `json:"state" enum:"to_come,running,over,ended"`
	Ended     time.Time       `json:"ended,omitzero"`
	EndReason string          `json:"end_reason,omitempty"`
}

// RequestView is a request as people read it.
type RequestView struct {
	ID           access.RequestID  `json:"id"`
	Short        string            `json:"short" doc:"a form that people may type while it is unique"`
	State        request.State     `json:"state"`
	By           Who               `json:"by" doc:"who asks"`
	For          Who               `json:"for"`
	Organisation string            `json:"organisation,omitempty"`
	Workflows    []access.Workflow `json:"workflows"`
	Proposed     Terms             `json:"proposed" doc:"the smallest that opens the workflows"`
	Asked        Terms             `json:"asked"`
	Granted      *Terms            `json:"granted,omitempty" doc:"or what the approvals so far have left"`
	Standing     access.Standing   `json:"standing"`
	RiskNow      access.Risk       `json:"risk_now"`
	RiskAfter    access.Risk       `json:"risk_after"`
	Visible      Visible           `json:"visible"`
	Class        string            `json:"class"`
	Need         int               `json:"need"`
	Approvals    []ApprovalView    `json:"approvals"`
	Eligible     []Who             `json:"eligible" doc:"who may decide now; at most 20"`
	More         bool              `json:"more_eligible,omitempty"`
	Approver     *Who              `json:"approver,omitempty" doc:"whom it was sent to"`
	Case         access.CaseID     `json:"case,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	NotBefore    time.Time         `json:"not_before,omitzero"`
	Until        time.Time         `json:"until,omitzero"`
	Permanent    bool              `json:"permanent,omitempty"`
	BreakGlass   bool              `json:"break_glass,omitempty"`
	Extends      access.RequestID  `json:"extends,omitempty"`
	Outside      bool              `json:"outside,omitempty" doc:"it lies outside the root of the person's connection"`
	Created      time.Time         `json:"created"`
	DecideBy     time.Time         `json:"decide_by"`
	Decided      time.Time         `json:"decided,omitzero"`
	RevokedBy    *Who              `json:"revoked_by,omitempty" doc:"who took back what it gave"`
	Revoked      string            `json:"revoked_because,omitempty"`
	DecidedBy    *Who              `json:"decided_by,omitempty" doc:"who refused it or took it back, or was the last to approve"`
	Because      string            `json:"because,omitempty" doc:"why it was refused or taken back"`
	Permit       *PermitState      `json:"permit,omitempty"`
	Last         string            `json:"last_administrator,omitempty" doc:"a successor must be named, or it must be confirmed that there will be none"`
	Told         string            `json:"told" doc:"what the person is told"`
}

// Approval is one approver's yes, or yes to less.
type Approval struct {
	Less        *Less      `json:"less,omitempty"`
	Comment     string     `json:"comment,omitempty" maxLength:"1000"`
	Successor   *PersonRef `json:"successor,omitempty" doc:"who administers the area when this ends"`
	ConfirmLast bool       `json:"confirm_last,omitempty" doc:"nobody will, and that is meant"`
}

// Less is what is left of what was asked for; what is left out stays as it is.
type Less struct {
	Grant access.Grant  `json:"grant,omitempty" maxLength:"32"`
	Area  string        `json:"area,omitempty" maxLength:"300"`
	Flags *access.Flags `json:"flags,omitempty"`
	Until time.Time     `json:"until,omitzero"`
}

// Query asks for requests. What is left out does not matter.
type Query struct {
	State    request.State    `json:"state,omitempty"`
	Mine     bool             `json:"mine,omitempty" doc:"by whoever looks, or for them"`
	ToDecide bool             `json:"to_decide,omitempty" doc:"by whoever looks"`
	For      *PersonRef       `json:"for,omitempty"`
	Case     access.CaseID    `json:"case,omitempty"`
	Area     string           `json:"area,omitempty" doc:"at it and below"`
	After    access.RequestID `json:"after,omitempty" doc:"where the page before ended"`
	Count    int              `json:"count,omitempty" doc:"at most 200; 50 if left out"`
}

// RequestPage is a part of a list, the newest first. Requests of a page leave out who
// else may decide (eligible).
type RequestPage struct {
	Requests []RequestView    `json:"requests"`
	Next     access.RequestID `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// PermitView is a permit as people read it.
type PermitView struct {
	PermitState
	For       Who              `json:"for"`
	Terms     Terms            `json:"terms"`
	Standing  access.Standing  `json:"standing"`
	NotBefore time.Time        `json:"not_before,omitzero"`
	Request   access.RequestID `json:"request,omitempty"`
	Case      access.CaseID    `json:"case,omitempty"`
	Given     time.Time        `json:"given"`
	Risk      access.Risk      `json:"risk"`
}

// PermitQuery asks for permits. What is left out does not matter.
type PermitQuery struct {
	Live  bool            `json:"live,omitempty" doc:"those that have not ended"`
	For   *PersonRef      `json:"for,omitempty"`
	Case  access.CaseID   `json:"case,omitempty"`
	Area  string          `json:"area,omitempty" doc:"at it and below"`
	After access.PermitID `json:"after,omitempty" doc:"where the page before ended"`
	Count int             `json:"count,omitempty" doc:"at most 200; 50 if left out"`
}

// PermitPage is a part of a list, the newest first.
type PermitPage struct {
	Permits []PermitView    `json:"permits"`
	Next    access.PermitID `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// CaseView is a case, and what closing it would end.
type CaseView struct {
	ID       access.CaseID   `json:"id"`
	Kind     string          `json:"kind,omitempty" enum:"ticket,project,engagement,investigation"`
	Opened   time.Time       `json:"opened"`
	Closed   time.Time       `json:"closed,omitzero" doc:"left out: it is open"`
	ClosedBy *Who            `json:"closed_by,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Requests int64           `json:"requests" doc:"that wait for a decision and lapse when it is closed"`
	Permits  int64           `json:"permits" doc:"that end when it is closed"`
	Ends     []PermitView    `json:"ends" doc:"the first 50 of them"`
	Last     []AreaView      `json:"last_administrators,omitempty" doc:"areas that would have no administrator"`
	Plan     string          `json:"plan,omitempty" doc:"hash of what closing would end, for the closing"`
	Review   access.ReviewID `json:"review,omitempty" doc:"the review that the closing began"`
}

// CasePage is a part of the list of cases, the newest first.
type CasePage struct {
	Cases []CaseView `json:"cases" doc:"without what closing would end; of one case at most 10,000 permits are counted"`
	Next  string     `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// CaseQuery asks for cases.
type CaseQuery struct {
	Open  bool   `json:"open,omitempty"`
	After string `json:"after,omitempty"`
	Count int    `json:"count,omitempty" doc:"at most 200; 50 if left out"`
}

// CloseCase says how a case ends.
type CloseCase struct {
	Kind        string     `json:"kind,omitempty" enum:"ticket,project,engagement,investigation" doc:"left out: ticket"`
	Reason      string     `json:"reason,omitempty" maxLength:"1000"`
	Plan        string     `json:"plan,omitempty" maxLength:"128" doc:"hash of what was shown; refused if something else would end now"`
	ConfirmLast bool       `json:"confirm_last,omitempty" doc:"areas may be left without an administrator"`
	Successor   *PersonRef `json:"successor,omitempty"`
}

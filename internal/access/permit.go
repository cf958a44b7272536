package access

import "time"

// The ids of what people decide. They are made by us, opaque, and never reused.
type (
	PermitID  string // "prm_…"
	RequestID string // "req_…"
	LimitID   string // "lim_…"
	ReviewID  string // "rev_…"
	CaseID    string // chosen by the vendor: the number of its ticket, project or engagement
)

// Permit is what people decided that somebody may hold: a grant at a scope, from then
// until then. It is a source of an assignment for as long as it has not ended, and is
// bound by no ceiling: it exists because somebody who administers the scope said so.
type Permit struct {
	ID        PermitID
	Person    PersonID
	Grant     Grant
	Scope     ScopeID
	Flags     Flags
	Standing  Standing // what it gives where nothing else does; guest, unless the person had no primary
	NotBefore time.Time
	Until     time.Time  // zero: no end of its own
	Kind      SourceKind // SourceRequest or SourceAdministrator
	Request   RequestID  // the request that it was given by
	Case      CaseID     // "": none
	Given     time.Time
	Ended     time.Time // zero: it lives, though Until may be past
	EndReason string    // one of the End… reasons below; "" while it lives
}

// Why a permit ended.
const (
	EndPermitTime        = "time_over"
	EndPermitRevoked     = "revoked"       // somebody took it back
	EndPermitReview      = "review"        // a review decided so, or nobody answered it
	EndPermitCase        = "case_closed"   // what it was given for is over
	EndPermitDeactivated = "deactivated"   // the person left, or was switched off
	EndPermitScope       = "scope_retired" // there is no such scope any more
	EndPermitConnection  = "connection_ended"
	EndPermitUnconfirmed = "not_confirmed" // broken glass that nobody confirmed in time
	EndPermitReplaced    = "replaced"      // another decision took its place
)

// Source is the permit as a source of an assignment. A technician's ends with the
// certification, whatever people decided.
func (p Permit) Source(c Certification) Source {
	until := p.Until
	if p.Grant.NeedsCertification() && !c.Until.IsZero() && (until.IsZero() || c.Until.Before(until)) {
		until = c.Until
	}
	id := string(p.Request)
	if id == "" { // an act without a request is known by what came of it
		id = string(p.ID)
	}
	return Source{Kind: p.Kind, ID: id, Standing: p.Standing, Flags: p.Flags.Union(p.Grant.Floor()), NotBefore: p.NotBefore, Until: until}
}

// Limit is what an administrator took away from one person, within a scope: it lowers
// flags, or withholds a grant that rules give. It never gives anything, and stays until it
// is lifted.
type Limit struct {
	ID       LimitID
	Person   PersonID
	Scope    ScopeID    // it binds what is held here and below
	Grant    Grant      // of this grant alone; "": of all
	Withheld bool       // rules do not give the grant; what people decide later is not bound
	Events   *EventFlag // the most that may be seen; nil: not limited
	NoVideo  bool
	Set      time.Time
	Lifted   time.Time // zero: it binds
}

// Narrow is what is left of flags.
func (l Limit) Narrow(f Flags) Flags {
	if l.Events != nil && f.Events.rank() > l.Events.rank() {
		f.Events = *l.Events
	}
	f.Video = f.Video && !l.NoVideo
	return f
}

// Decided is all that people decided about one person, as far as it counts: permits that
// have not ended, limits that bind. Most people have none of either.
type Decided struct {
	Permits       []Permit
	Limits        []Limit
	Certification Certification // as Facts have it
}

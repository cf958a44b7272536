package review

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Held is an assignment as a review looks at it, and all that a selection may ask of one.
type Held struct {
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	Assignment access.AssignmentID `json:"assignment,omitzero"` // "": nothing is held by it now, though a permit lives
	Grant      access.Grant        `json:"grant"`
	Scope      access.ScopeID      `json:"scope"`
	Level      access.Level        `json:"level,omitzero"`
	Path       string              `json:"path"` // of the scope, as it was
	Flags      access.Flags        `json:"flags"`
	Standing   access.Standing     `json:"standing"`
	Risk       access.Risk         `json:"risk"`
	NotBefore  time.Time           `json:"not_before,omitzero"`
	Until      time.Time           `json:"until,omitzero"`
	Since      time.Time           `json:"since,omitzero"`     // when the first of its reasons began; zero: it is not known
	LastUsed   time.Time           `json:"last_used,omitzero"` // to the minute; zero: never
	Outside    bool                `json:"outside,omitzero"`   // it lies outside the root of the person's connection
	Why        []Why               `json:"why,omitempty"`
}

// Why is one reason for which something is held.
type Why struct {
	Kind    access.SourceKind `json:"kind"`
	Rule    string            `json:"rule,omitzero"`
	Group   string            `json:"group,omitzero"` // that feeds the rule, by name
	Asks    string            `json:"asks,omitzero"`  // what the rule asks for, in words
	Request access.RequestID  `json:"request,omitzero"`
	Permit  access.PermitID   `json:"permit,omitzero"`
	Case    access.CaseID     `json:"case,omitzero"`
	Since   time.Time         `json:"since,omitzero"`
	Until   time.Time         `json:"until,omitzero"`
}

// ByPeople reports whether people gave it, not rules alone.
func (h Held) ByPeople() bool {
	return slices.ContainsFunc(h.Why, func(w Why) bool { return w.Kind != access.SourceRule })
}

// ByRules reports whether a rule gives it, whoever else does.
func (h Held) ByRules() bool {
	return slices.ContainsFunc(h.Why, func(w Why) bool { return w.Kind == access.SourceRule })
}

// Permits are those that it is held by.
func (h Held) Permits() (ids []access.PermitID) {
	for _, w := range h.Why {
		if w.Permit != "" {
			ids = append(ids, w.Permit)
		}
	}
	return ids
}

// Seen is a short name of all that decides whether to keep it: whoever decides says which
// one they looked at, so that nothing is kept that nobody saw. When it was used last is no
// part of it.
func (h Held) Seen() string {
	h.LastUsed, h.Path = time.Time{}, ""
	text, _ := json.Marshal(h) // texts, times and booleans always marshal
	sum := sha256.Sum256(text)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// Verdict is what became of an item.
type Verdict string

// People keep, remove and lower; the others come of time.
const (
	Undecided  Verdict = ""
	Keep       Verdict = "keep"
	Remove     Verdict = "remove"
	Lower      Verdict = "lower"
	Gone       Verdict = "gone"       // it had ended otherwise
	Unanswered Verdict = "unanswered" // the review ended, and nobody had decided
)

// ByPerson reports whether it is for people to say.
func (v Verdict) ByPerson() bool { return v == Keep || v == Remove || v == Lower }

// Answer is what became of an item: by whom, when, why, and what it ended. Of people it has
// ids only: whoever reads it finds out what they are called now.
type Answer struct {
	Verdict    Verdict             `json:"verdict"`
	At         time.Time           `json:"at"`
	Connection access.ConnectionID `json:"connection,omitzero"` // of whoever decided; "": nobody did
	Person     access.PersonID     `json:"person,omitzero"`
	Comment    string              `json:"comment,omitzero"`
	Ended      bool                `json:"ended,omitzero"`   // it was held, and is no more
	Because    string              `json:"because,omitzero"` // a reason code: why it had gone, or why it was kept though nobody answered
	Permits    []access.PermitID   `json:"permits,omitempty"`
	Limit      access.LimitID      `json:"limit,omitzero"`
	Withheld   bool                `json:"withheld,omitzero"` // a rule gives it still: the group must be changed at the identity provider, too
	Flags      *access.Flags       `json:"flags,omitempty"`   // what it was lowered to
	Successor  string              `json:"successor,omitzero"`
	NoneLeft   bool                `json:"none_left,omitzero"` // it was confirmed that the scope has no administrator
}

// Item is an assignment under review.
type Item struct {
	Review access.ReviewID
	ID     string           // short, and unique within the review
	Held                    // as it was gathered
	Placed []access.ScopeID // what covered its scope then, from the scope itself up to the host
	Answer Answer
}

// Rank orders what is under review: the riskiest first, and of one risk what was not used
// for longest.
func (h Held) Rank() int64 {
	used := int64(0)
	if !h.LastUsed.IsZero() {
		used = h.LastUsed.UnixMilli()
	}
	return int64(access.RiskHigh-min(h.Risk, access.RiskHigh))<<44 + min(max(used, 0), 1<<44-1)
}

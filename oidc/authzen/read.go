package authzen

import (
	"encoding/json"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Limits of a request.
const (
	maxBody      = 256 << 10 // bytes
	MaxQuestions = 256       // of one batch
	maxText      = 512       // bytes of an id or a name
	MaxPage      = 1000      // results
	defaultPage  = 100       // results
)

// TypeUser is the type of the subjects that there are.
const TypeUser = "user"

// CanAccess is the action of whoever holds anything that may sign in.
const CanAccess = "can_access"

// TypeScope is the type of a resource that is a scope of whatever level.
const TypeScope = "scope"

// Question asks whether a subject may do something at a resource.
type Question struct {
	SubjectType, SubjectID string
	Session                string // the sid that must stand on what is held; "": whatever the person holds
	Action                 string // a workflow, or CanAccess
	ResourceType           string // a scope's level, or TypeScope
	ResourceID             string // a scope's id or path
}

// Semantics say when a batch ends (section 7.1.2).
type Semantics string

// The semantics.
const (
	ExecuteAll    Semantics = "execute_all"
	DenyOnFirst   Semantics = "deny_on_first_deny"
	PermitOnFirst Semantics = "permit_on_first_permit"
)

// Batch is what an evaluations request asks. Single: it has no array of evaluations, and
// is answered as one.
type Batch struct {
	Questions []Question
	Semantics Semantics
	Single    bool
}

// Page is which part of a search's results is wanted.
type Page struct {
	Token string
	Limit int // 1 to MaxPage
}

type wireEntity struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Properties json.RawMessage `json:"properties"`
}

type wireAction struct {
	Name string `json:"name"`
}

type wireQuestion struct {
	Subject  *wireEntity     `json:"subject"`
	Action   *wireAction     `json:"action"`
	Resource *wireEntity     `json:"resource"`
	Context  json.RawMessage `json:"context"`
}

type wireRequest struct {
	wireQuestion
	Evaluations []wireQuestion `json:"evaluations"`
	Options     struct {
		Semantics Semantics `json:"evaluations_semantic"`
	} `json:"options"`
	Page struct {
		Token string `json:"token"`
		Limit *int   `json:"limit"`
	} `json:"page"`
}

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "authzen.read", format, args...)
}

// ParseEvaluation reads the request of one evaluation (section 6.1).
func ParseEvaluation(raw []byte) (Question, error) {
	r, err := decode(raw)
	if err != nil {
		return Question{}, err
	}
	return r.whole()
}

// ParseEvaluations reads a batch (section 7.1): what stands above the array is taken
// where one of its members has nothing of its own.
func ParseEvaluations(raw []byte) (Batch, error) {
	r, err := decode(raw)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Semantics: r.Options.Semantics, Single: len(r.Evaluations) == 0}
	switch b.Semantics {
	case "":
		b.Semantics = ExecuteAll
	case ExecuteAll, DenyOnFirst, PermitOnFirst:
	default:
		return Batch{}, invalid("evaluations_semantic is execute_all, deny_on_first_deny or permit_on_first_permit.")
	}
	if len(r.Evaluations) > MaxQuestions {
		return Batch{}, invalid("A batch has at most %d evaluations.", MaxQuestions)
	}
	if b.Single {
		r.Evaluations = []wireQuestion{{}}
	}
	for i, w := range r.Evaluations {
		q, err := w.over(r.wireQuestion).whole()
		if err != nil {
			return Batch{}, invalid("evaluations[%d]: %s", i, fault.DetailOf(err))
		}
		b.Questions = append(b.Questions, q)
	}
	return b, nil
}

// Wanted is what a search looks for.
type Wanted uint8

// The searches (section 8).
const (
	Subjects Wanted = iota
	Resources
	Actions
)

// ParseSearch reads a search: a question in which what is looked for has no id.
func ParseSearch(want Wanted, raw []byte) (Question, Page, error) {
	r, err := decode(raw)
	if err != nil {
		return Question{}, Page{}, err
	}
	const anything = "any" // stands for what is looked for; it is not looked at
	switch {
	case want == Subjects && r.Subject != nil:
		r.Subject.ID = anything
	case want == Resources && r.Resource != nil:
		r.Resource.ID = anything
	case want == Actions:
		r.Action = &wireAction{anything}
	}
	q, err := r.whole()
	if err != nil {
		return Question{}, Page{}, err
	}
	p := Page{Token: r.Page.Token, Limit: defaultPage}
	if r.Page.Limit != nil {
		if p.Limit = min(*r.Page.Limit, MaxPage); p.Limit < 1 {
			return Question{}, Page{}, invalid("page.limit is at least 1.")
		}
	}
	if len(p.Token) > maxBody {
		return Question{}, Page{}, invalid("page.token is none of ours.")
	}
	return q, p, nil
}

func decode(raw []byte) (r wireRequest, err error) {
	if len(raw) > maxBody {
		return r, fault.New(fault.Limited, "authzen.read", "The request is longer than 256 KiB.")
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, invalid("The request is no JSON object with subject, action and resource as AuthZEN 1.0 says.")
	}
	return r, nil
}

func (w wireQuestion) over(top wireQuestion) wireQuestion {
	if w.Subject == nil {
		w.Subject = top.Subject
	}
	if w.Action == nil {
		w.Action = top.Action
	}
	if w.Resource == nil {
		w.Resource = top.Resource
	}
	return w
}

// whole gives the question if all is there that every question needs.
func (w wireQuestion) whole() (Question, error) {
	switch {
	case w.Subject == nil || w.Subject.Type == "" || w.Subject.ID == "":
		return Question{}, invalid("Say who, in subject.type and subject.id.")
	case w.Action == nil || w.Action.Name == "":
		return Question{}, invalid("Say what, in action.name.")
	case w.Resource == nil || w.Resource.Type == "" || w.Resource.ID == "":
		return Question{}, invalid("Say where, in resource.type and resource.id.")
	}
	q := Question{SubjectType: w.Subject.Type, SubjectID: w.Subject.ID, Action: w.Action.Name, ResourceType: w.Resource.Type, ResourceID: w.Resource.ID}
	if len(w.Subject.Properties) > 0 {
		var p struct {
			Session *string `json:"sid"`
		}
		if json.Unmarshal(w.Subject.Properties, &p) != nil || p.Session != nil && *p.Session == "" {
			return Question{}, invalid("subject.properties is an object; its sid, if it has one, is a session's id.")
		}
		if p.Session != nil {
			q.Session = *p.Session
		}
	}
	for _, s := range []string{q.SubjectType, q.SubjectID, q.Session, q.Action, q.ResourceType, q.ResourceID} {
		if len(s) > maxText {
			return Question{}, invalid("Ids, types and names have at most %d bytes.", maxText)
		}
	}
	return q, nil
}

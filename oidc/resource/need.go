package resource

import (
	"net/http"
	"slices"
	"time"
)

// Need is what a request needs. The zero Need is an access token that counts. Needs are
// values: each method gives another one.
type Need struct {
	grants    []string
	workflows []string
	within    []string
	place     func(*http.Request) (Scope, error)
	acr       []string
	maxAge    time.Duration
}

// Scope is where one of the API's own resources belongs: the id of its scope, and the
// ids of the scopes above it.
type Scope struct {
	ID    string
	Above []string
}

// reachedBy reports whether a grant at some scope reaches the resource: it is at the
// resource's own or at one above. Paths are never compared.
func (s Scope) reachedBy(g Grant) bool {
	return g.Scope.ID != "" && (g.Scope.ID == s.ID || slices.Contains(s.Above, g.Scope.ID))
}

// Require needs one of these grants: "technician", "standard", "elevated", "administrator".
// Where it can be said by a workflow, do that.
func Require(grants ...string) Need { return Need{}.Require(grants...) }

// AnyGrant needs no more than an access token that counts.
func AnyGrant() Need { return Need{} }

// Workflow needs all these OAuth scopes, such as "live_view".
func Workflow(names ...string) Need { return Need{}.Workflow(names...) }

// Require also needs one of these grants. No names: none suffices.
func (n Need) Require(grants ...string) Need {
	n.grants = append([]string{""}, grants...)
	return n
}

// Workflow also needs all these OAuth scopes.
func (n Need) Workflow(names ...string) Need {
	n.workflows = append(slices.Clone(n.workflows), names...)
	return n
}

// At also needs a grant that reaches this scope.
func (n Need) At(s Scope) Need {
	return n.AtEach(func(*http.Request) (Scope, error) { return s, nil })
}

// AtEach also needs a grant that reaches what the request is about. An error of find is
// answered as 404: what is not there and what is out of reach must look the same.
func (n Need) AtEach(find func(*http.Request) (Scope, error)) Need {
	n.place = find
	return n
}

// Within also needs a grant at this scope or below it: for an API that serves one
// customer or account alone.
func (n Need) Within(scopeID string) Need {
	n.within = append(slices.Clone(n.within), scopeID)
	return n
}

// StepUp also needs a sign-in that proved one of these acr values (none: any), not
// longer ago than maxAge (0: whenever). What is missing is told by RFC 9470.
func (n Need) StepUp(maxAge time.Duration, acr ...string) Need {
	n.maxAge, n.acr = maxAge, acr
	return n
}

// lack is why a token does not suffice.
type lack uint8

const (
	nothing lack = iota
	lacksWorkflow
	lacksGrant
	lacksSignIn
	outOfReach
)

func (n Need) missing(r *http.Request, t Token, now time.Time) lack {
	for _, w := range n.workflows {
		if !slices.Contains(t.Workflows, w) {
			return lacksWorkflow
		}
	}
	if len(n.grants) > 0 && !slices.Contains(n.grants, t.Grant.Name) {
		return lacksGrant
	}
	for _, id := range n.within {
		if id == "" || t.Grant.Scope.ID != id && !slices.Contains(t.Grant.Scope.AncestorIDs, id) {
			return lacksGrant
		}
	}
	if n.place != nil {
		s, err := n.place(r)
		if err != nil {
			return outOfReach
		}
		if !s.reachedBy(t.Grant) {
			return lacksGrant
		}
	}
	if len(n.acr) > 0 && !slices.Contains(n.acr, t.ACR) || n.maxAge > 0 && now.Sub(t.AuthTime) > n.maxAge {
		return lacksSignIn
	}
	return nothing
}

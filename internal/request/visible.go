package request

import (
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// account is the customer that a scope belongs to, "" where it is wider than one.
func account(t *access.Tree, id access.ScopeID) access.ScopeID {
	for s, ok := t.Scope(id); ok && s.Level >= access.Account; s, ok = t.Scope(s.Parent) {
		if s.Level == access.Account {
			return s.ID
		}
	}
	return ""
}

// Customer is where a case is closed that had something at a scope: the customer's account,
// or the scope itself where that is wider.
func Customer(t *access.Tree, id access.ScopeID) access.ScopeID {
	if c := account(t, id); c != "" {
		return c
	}
	return id
}

// several reports whether access at a scope shows several customers: all of a service
// provider's, or another one than those whom the person sees.
func several(s Setting, h Holder, at access.ScopeID) bool {
	customer := account(s.Tree, at)
	if customer == "" {
		return true
	}
	another := false
	for _, a := range h.Held {
		switch {
		case !s.Tree.Live(a.Scope) || !a.Grant.MaySignIn() || !a.Until.IsZero() && !s.Now.Before(a.Until):
		case s.Tree.Covers(a.Scope, customer) || account(s.Tree, a.Scope) == customer:
			return false
		default:
			another = true
		}
	}
	return another
}

// Seen is what somebody sees newly.
type Seen struct {
	Scopes    []access.ScopeID // in the order of the tree
	Customers []access.ScopeID // accounts
	More      bool             // of either
}

// Newly lists what access at a scope shows that the person does not see already: at most
// so many scopes, and customers.
func Newly(s Setting, h Holder, at access.ScopeID, most int) (seen Seen) {
	held := slices.DeleteFunc(h.valid(s.Tree, s.Now), func(a access.Assignment) bool { return !a.Grant.MaySignIn() })
	sees := func(id access.ScopeID) bool {
		return slices.ContainsFunc(held, func(a access.Assignment) bool { return s.Tree.Covers(a.Scope, id) })
	}
	knows := func(customer access.ScopeID) bool {
		return slices.ContainsFunc(held, func(a access.Assignment) bool {
			return s.Tree.Covers(a.Scope, customer) || s.Tree.Covers(customer, a.Scope)
		})
	}
	if sees(at) {
		return seen
	}
	if c := account(s.Tree, at); c != "" && c != at && !knows(c) {
		seen.Customers = append(seen.Customers, c)
	}
	for _, id := range s.Tree.Under(at) {
		if !s.Tree.Live(id) || sees(id) {
			continue
		}
		if len(seen.Scopes) == most {
			seen.More = true
			break
		}
		seen.Scopes = append(seen.Scopes, id)
		if sc, _ := s.Tree.Scope(id); sc.Level == access.Account && !knows(id) {
			seen.Customers = append(seen.Customers, id)
		}
	}
	return seen
}

// RiskOf is the highest risk of what somebody holds.
func RiskOf(s Setting, held []access.Assignment) (r access.Risk) {
	for _, a := range held {
		if sc, ok := s.Tree.Scope(a.Scope); ok && s.Tree.Live(a.Scope) {
			r = max(r, s.Catalogue.RiskOf(sc.Level, a.Grant, a.Flags))
		}
	}
	return r
}

// Risk is that of terms.
func (t Terms) Risk(s Setting) access.Risk {
	sc, _ := s.Tree.Scope(t.Scope)
	return s.Catalogue.RiskOf(sc.Level, t.Grant, t.Flags)
}

func plural(n int64, name string) string {
	if n != 1 {
		name += "s"
	}
	return strconv.FormatInt(n, 10) + " " + name
}

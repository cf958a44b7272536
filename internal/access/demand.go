package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Demand is what a sign-in must be like before its session may stand on a grant. The
// zero Demand asks for nothing.
type Demand struct {
	// ACR are the authentication context classes (the acr claim of OpenID Connect Core
	// section 2) of which the identity provider must have confirmed one, the preferred one
	// first; empty: any will do.
	ACR []string
	// MaxAge is how long ago the identity provider signed the person in at most; 0:
	// whenever.
	MaxAge time.Duration
}

// IsZero reports whether nothing is asked for.
func (d Demand) IsZero() bool { return len(d.ACR) == 0 && d.MaxAge == 0 }

// Met reports whether a sign-in of that kind, made at authTime, will do now. One that
// does not say its kind, or when it was, meets no demand about that.
func (d Demand) Met(acr string, authTime, now time.Time) bool {
	return (len(d.ACR) == 0 || slices.Contains(d.ACR, acr)) && d.Fresh(authTime, now)
}

// Fresh reports whether a sign-in that was made at authTime is young enough now.
func (d Demand) Fresh(authTime, now time.Time) bool {
	return d.MaxAge == 0 || !authTime.IsZero() && now.Before(authTime.Add(d.MaxAge))
}

// Until is when a sign-in that was made at authTime will do no more; the zero time if it
// always will.
func (d Demand) Until(authTime time.Time) time.Time {
	if d.MaxAge == 0 {
		return time.Time{}
	}
	return authTime.Add(d.MaxAge)
}

// String is the demand in words: "acr phr or phrh, at most 15m0s old"; "" for none.
func (d Demand) String() string {
	var words []string
	if len(d.ACR) > 0 {
		words = append(words, "acr "+strings.Join(d.ACR, " or "))
	}
	if d.MaxAge > 0 {
		words = append(words, fmt.Sprintf("at most %s old", d.MaxAge))
	}
	return strings.Join(words, ", ")
}

// The bounds of a demand.
const (
	MaxDemandedACR = 16  // values
	maxACR         = 256 // bytes of a value
	// MinSignInAge is the least max_age: a sign-in takes minutes, and the clock of an
	// identity provider may be a minute from ours.
	MinSignInAge = 5 * time.Minute
)

// CheckACR says what is wrong with an acr value that is sent in a list with spaces
// between (OpenID Connect Core section 3.1.2.1); "" if nothing.
func CheckACR(value string) string {
	if value == "" || len(value) > maxACR || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "this is one word of at most 256 printable ASCII characters, without quotation marks and backslashes"
	}
	return ""
}

func (d Demand) check(g Grant) (faults []error) {
	if !d.IsZero() && !g.MaySignIn() {
		faults = append(faults, fmt.Errorf("%s never signs in: nothing can be demanded of its sign-in", g))
	}
	if len(d.ACR) > MaxDemandedACR {
		faults = append(faults, fmt.Errorf("%s: acr lists more than %d values", g, MaxDemandedACR))
	}
	for _, value := range d.ACR {
		if wrong := CheckACR(value); wrong != "" {
			faults = append(faults, fmt.Errorf("%s: acr %q: %s", g, value, wrong))
		}
	}
	if d.MaxAge < 0 || d.MaxAge > 0 && d.MaxAge < MinSignInAge {
		faults = append(faults, fmt.Errorf("%s: max_age is at least %s", g, MinSignInAge))
	}
	return faults
}

// Demands is what a sign-in must be like before its session may stand on g.
func (c Catalogue) Demands(g Grant) Demand {
	t := c.Grants[g]
	return Demand{ACR: t.ACR, MaxAge: t.MaxAge}
}

// Demanding reports whether any grant demands anything.
func (c Catalogue) Demanding() bool {
	return slices.ContainsFunc(Grants(), func(g Grant) bool { return !c.Demands(g).IsZero() })
}

// ACRValues lists all that any grant demands, sorted.
func (c Catalogue) ACRValues() []string {
	var all []string
	for _, t := range c.Grants {
		all = append(all, t.ACR...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

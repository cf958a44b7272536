package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ClaimsRequest is what the claims parameter asks for (OpenID Connect Core section
// 5.5), as far as it says anything to us. The zero ClaimsRequest asks for nothing.
type ClaimsRequest struct {
	Userinfo map[string]Wish `json:"userinfo,omitempty"`
	IDToken  map[string]Wish `json:"id_token,omitempty"`
}

// Wish is how one claim is asked for.
type Wish struct {
	Essential bool     `json:"essential,omitempty"`
	Values    []string `json:"values,omitempty"` // value and values together; nil: any
}

// Limits of a claims parameter. Its length is maxClaims.
const (
	maxWishes     = 64  // claims by member
	maxWishValues = 16  // values of a claim
	maxWishValue  = 255 // bytes of a value
)

// wireWish is one claim as an application writes it.
type wireWish struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// ParseClaims reads a claims parameter of at most 4 KiB. Claims that we do not know, and
// values that are not text, are left out, as section 5.5 asks; the error says what does
// not have the form of it.
func ParseClaims(text string) (ClaimsRequest, error) {
	if len(text) > maxClaims {
		return ClaimsRequest{}, fmt.Errorf("it is longer than %d bytes", maxClaims)
	}
	var wire struct {
		Userinfo map[string]*wireWish `json:"userinfo"`
		IDToken  map[string]*wireWish `json:"id_token"`
	}
	if err := jsonv2.Unmarshal([]byte(text), &wire); err != nil || jsontext.Value(text).Kind() != '{' {
		return ClaimsRequest{}, errors.New("it is not a JSON object with the members userinfo and id_token, which name claims")
	}
	var q ClaimsRequest
	var errUserinfo, errIDToken error
	q.Userinfo, errUserinfo = wishes(wire.Userinfo)
	q.IDToken, errIDToken = wishes(wire.IDToken)
	return q, errors.Join(errUserinfo, errIDToken)
}

func wishes(wire map[string]*wireWish) (map[string]Wish, error) {
	if len(wire) > maxWishes {
		return nil, fmt.Errorf("it names more than %d claims", maxWishes)
	}
	var all map[string]Wish
	for name, w := range wire {
		if !mayBeAsked(name) {
			continue
		}
		var wish Wish
		if w != nil {
			var err error
			if wish, err = w.wish(); err != nil {
				return nil, err
			}
		}
		if all == nil {
			all = map[string]Wish{}
		}
		all[name] = wish
	}
	return all, nil
}

func (w wireWish) wish() (Wish, error) {
	given := w.Values
	if w.Value != nil {
		given = append([]any{w.Value}, given...)
	}
	if len(given) > maxWishValues {
		return Wish{}, fmt.Errorf("it lists more than %d values of a claim", maxWishValues)
	}
	wish := Wish{Essential: w.Essential}
	for _, v := range given {
		s, isText := v.(string)
		if isText && (s == "" || len(s) > maxWishValue) {
			return Wish{}, fmt.Errorf("it has a value that is empty or longer than %d bytes", maxWishValue)
		}
		if isText && !slices.Contains(wish.Values, s) {
			wish.Values = append(wish.Values, s)
		}
	}
	return wish, nil
}

// mayBeAsked reports whether a claim may be asked for: something about the person, or
// what a value may be demanded of. The rest of what we say is in every ID token anyway.
func mayBeAsked(claim string) bool { return claim == "sub" || claim == "acr" || scopeOf(claim) != "" }

// MeantFor reports whether nobody else than the person with this sub is asked for
// (OpenID Connect Core section 5.5.1).
func (q ClaimsRequest) MeantFor(sub string) bool {
	for _, member := range []map[string]Wish{q.Userinfo, q.IDToken} {
		if want := member["sub"].Values; len(want) > 0 && !slices.Contains(want, sub) {
			return false
		}
	}
	return true
}

// ACR is which ways of signing in are asked for, in order of preference, and whether no
// other will do (OpenID Connect Core section 5.5.1.1).
func (q ClaimsRequest) ACR() (values []string, essential bool) {
	w := q.IDToken["acr"]
	return w.Values, w.Essential && len(w.Values) > 0
}

// ACRWillDo reports whether a sign-in of that kind is not refused.
func (q ClaimsRequest) ACRWillDo(acr string) bool {
	values, essential := q.ACR()
	return !essential || slices.Contains(values, acr)
}

// about names the claims about the person that a member asks for, in order.
func about(member map[string]Wish) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(member)), func(claim string) bool { return scopeOf(claim) == "" })
}

// AboutInUserinfo names the claims about the person that userinfo is asked for.
func (q ClaimsRequest) AboutInUserinfo() []string { return about(q.Userinfo) }

// AboutInIDToken names those that the ID token is asked for.
func (q ClaimsRequest) AboutInIDToken() []string { return about(q.IDToken) }

// allowed leaves out what the client may not know.
func (q ClaimsRequest) allowed(c Client) ClaimsRequest {
	for _, member := range []map[string]Wish{q.Userinfo, q.IDToken} {
		maps.DeleteFunc(member, func(claim string, _ Wish) bool {
			scope := scopeOf(claim)
			return scope != "" && !c.MayHave(scope)
		})
	}
	return q
}

// stored is q as a request keeps it; nil if it asks for nothing.
func (q ClaimsRequest) stored() json.RawMessage {
	if len(q.Userinfo) == 0 && len(q.IDToken) == 0 {
		return nil
	}
	text, err := json.Marshal(q)
	if err != nil { // text and booleans always encode
		return nil
	}
	return text
}

// StoredClaims reads the claims parameter that a request kept.
func StoredClaims(text json.RawMessage) (ClaimsRequest, error) {
	if len(text) == 0 {
		return ClaimsRequest{}, nil
	}
	return ParseClaims(string(text))
}

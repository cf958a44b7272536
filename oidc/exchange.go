package oidc

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// tokenTypeAccess is the type of our access tokens in a token exchange (RFC 8693
// section 3).
const tokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token"

// TokenExchange asks for tokens by an access token that the client has.
type TokenExchange struct {
	SubjectToken string
	Grant        access.AssignmentID // to be switched to; "" to stay
	Details      bool                // Grant was asked for by authorization_details
	OAuthScopes  []string            // nil: the subject token's; of another grant, what was granted at sign-in
	Resource     string              // whom the access token is for; "": whom the subject token is for
	DPoPKey      string              // the thumbprint of the key that the request proves, "" if none
	Client       Client              // authenticated
}

// exchangeToken is the token exchange of RFC 8693. It is how an application without a
// browser at hand switches the session's active grant, or gets a token for another
// resource or less.
func (p *Provider) exchangeToken(r *http.Request, f form, c Client, dpopKey string) (TokenSet, error) {
	x, err := readExchange(f, c)
	if err != nil {
		return TokenSet{}, err
	}
	x.DPoPKey = dpopKey
	set, err := p.Tokens.Exchange(r.Context(), x)
	if err == nil {
		set.IssuedType = tokenTypeAccess
		set.Details = set.Details || x.Details
		return set, nil
	}
	e := redeemError(err)
	if stepUpOf(err) != nil { // of the grant that was asked for, or of the subject token's own
		e.Code = session.ReasonStepUp
	}
	if e.Code == "invalid_grant" { // whatever is wrong with the subject token is said so (RFC 8693 section 2.2.2)
		e.Code = "invalid_request"
	}
	p.observe(r.Context(), err)
	return TokenSet{}, e
}

func readExchange(f form, c Client) (TokenExchange, error) {
	if err := f.within(limit{"subject_token", maxToken}, limit{"scope", maxScope}, limit{"authorization_details", maxDetails}); err != nil {
		return TokenExchange{}, err
	}
	switch {
	case f.get("actor_token") != "" || f.get("actor_token_type") != "":
		return TokenExchange{}, invalid("An actor_token is not supported: nobody acts for somebody else here.")
	case f.get("subject_token_type") != tokenTypeAccess:
		return TokenExchange{}, invalid("The subject_token_type must be " + tokenTypeAccess + ".")
	case f.get("requested_token_type") != "" && f.get("requested_token_type") != tokenTypeAccess:
		return TokenExchange{}, invalid("The requested_token_type can only be " + tokenTypeAccess + ".")
	case f.get("subject_token") == "":
		return TokenExchange{}, invalid("The parameter subject_token is missing.")
	}
	x := TokenExchange{SubjectToken: f.get("subject_token"), Client: c}
	for s := range strings.FieldsSeq(f.get("scope")) {
		id, grant := strings.CutPrefix(s, scopeGrantPrefix)
		switch {
		case grant && (id == "" || x.Grant != "" && string(x.Grant) != id):
			return TokenExchange{}, oneGrant()
		case grant:
			x.Grant = access.AssignmentID(id)
		default:
			x.OAuthScopes = append(x.OAuthScopes, s)
		}
	}
	grant, err := detailed(f.get("authorization_details"), x.Grant)
	if err != nil {
		return TokenExchange{}, err
	}
	x.Grant, x.Details = grant, f.get("authorization_details") != ""
	x.Resource, err = f.target(c, "resource", "audience")
	return x, err
}

func oneGrant() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: "Ask for one grant: scope=openid grant:<id>."}
}

// DetailActiveGrant is the one type of authorization_details (RFC 9396) there is:
// {"type":"active_grant","id":"<assignment>"}, the structured form of grant:<id>.
const DetailActiveGrant = "active_grant"

const maxDetails = 2 << 10 // bytes

type detail struct {
	Type string              `json:"type"`
	ID   access.AssignmentID `json:"id"`
}

// readDetails reads authorization_details at the authorization endpoint.
func readDetails(f form, _ Client, req *hot.AuthRequest) (err error) {
	if err := f.within(limit{"authorization_details", maxDetails}); err != nil {
		return err
	}
	req.Details = f.get("authorization_details") != ""
	req.Grant, err = detailed(f.get("authorization_details"), req.Grant)
	return err
}

// detailed is the grant that authorization_details ask for; inScope, if there are none,
// is what the scope asked for. The two may not differ.
func detailed(text string, inScope access.AssignmentID) (access.AssignmentID, error) {
	if text == "" {
		return inScope, nil
	}
	bad := &Error{Status: http.StatusBadRequest, Code: "invalid_authorization_details",
		Description: "The authorization_details are one object: [{'type':'active_grant','id':'<assignment>'}], and the scope asks for no other grant."}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	var all []detail
	if err := d.Decode(&all); err != nil || d.More() || len(all) != 1 {
		return "", bad
	}
	if all[0].Type != DetailActiveGrant || all[0].ID == "" || inScope != "" && inScope != all[0].ID {
		return "", bad
	}
	return all[0].ID, nil
}

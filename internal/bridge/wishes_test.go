package bridge_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// signInAs signs somebody in whom the identity provider tells of in that way.
func (w *world) signInAs(c access.ConnectionID, subject, acr string) (string, oidc.Browser) {
	w.t.Helper()
	cookie, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: c, Issuer: "https://login.example/" + string(c), Subject: subject, AuthTime: w.clock.Now(), ACR: acr})
	w.do(err)
	return cookie.Reveal(), b
}

// issued is a code a code for a request of the sample application as it is changed.
func (w *world) issued(b oidc.Browser, change func(*hot.AuthRequest)) (code string, err error) {
	w.t.Helper()
	req := hot.AuthRequest{ID: credential.NewID("req"), Client: w.web.ID, RedirectURI: w.web.RedirectURIs[0], CodeChallenge: challenge(verifier),
		OAuthScopes: []string{"openid"}, Expires: w.clock.Now().Add(time.Minute)}
	change(&req)
	to, err := w.bridge.Issue(w.ctx, req, b.Session)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(to)
	w.do(err)
	return u.Query().Get("code"), nil
}

func asked(text string) func(*hot.AuthRequest) {
	return func(r *hot.AuthRequest) { r.Claims = json.RawMessage(text) }
}

// TestClaimsThatWereAskedForComeWithTokensAndUserinfo, at the first exchange and after
// refreshes, without their scope.
func TestClaimsThatWereAskedForComeWithTokensAndUserinfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	w.patchUser(banksia, sam, `{"op":"add","path":"phoneNumbers","value":[{"value":"+61 3 5550 0100","type":"mobile"},{"value":"+61 3 5550 0199","type":"work"}]},
		{"op":"add","path":"addresses","value":[{"type":"work","locality":"Geelong","region":"Victoria","country":"AU","postalCode":"3220","streetAddress":"1 Ryrie St"}]}`)
	_, b := w.signInAs(banksia, "oid-sam", "gold")
	code, err := w.issued(b, asked(`{"userinfo":{"name":{},"address":{}},"id_token":{"email":{},"phone_number":{},"acr":{"essential":true,"values":["gold"]},"sub":{"values":["`+sam+`"]}}}`))
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	for range 2 {
		id := payload(t, tokens.IDToken)
		if id["email"] != "sam@banksia.example" || id["phone_number"] != "+61 3 5550 0199" || id["acr"] != "gold" || id["name"] != nil || id["address"] != nil {
			t.Errorf("the ID token says %v", id)
		}
		a, err := w.bridge.Accept(w.ctx, tokens.AccessToken)
		w.do(err)
		p, err := w.bridge.Profile(w.ctx, a)
		w.do(err)
		told := p.Claims(a.OAuthScopes, a.Userinfo)
		if len(told) != 2 || told["name"] != "Test Person" || told["address"].(oidc.Address).Locality != "Geelong" {
			t.Errorf("userinfo tells %v", told)
		}
		tokens, err = w.refresh(tokens.RefreshToken)
		w.do(err)
	}
}

// TestNoCodeForAnotherSignInThanTheOneDemanded: whoever comes to the end of a sign-in,
// by whatever page.
func TestNoCodeForAnotherSignInThanTheOneDemanded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	_, b := w.signInAs(banksia, "oid-sam", "bronze")
	for reason, text := range map[string]string{
		oidc.ReasonUnmet:       `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`,
		oidc.ReasonOtherPerson: `{"userinfo":{"sub":{"values":["per_else"]}}}`,
	} {
		if _, err := w.issued(b, asked(text)); !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != reason {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := w.issued(b, asked(`{"id_token":{"acr":{"values":["gold"]}}}`)); err != nil {
		t.Errorf("a wish is not a demand: %v", err)
	}
}

// TestACodeWithoutAChallengeTakesNoVerifier (T-E2, RFC 9700 section 4.8.2), and is for a
// client that may still go without.
func TestACodeWithoutAChallengeTakesNoVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	_, b := w.mustSignIn(banksia, "oid-sam")
	relaxed := w.web
	relaxed.InsecureNoPKCE, relaxed.SecretDigest = true, credential.DigestOf("a secret")
	for name, row := range map[string]struct {
		client   oidc.Client
		verifier string
		good     bool
	}{"as it was asked": {relaxed, "", true}, "a verifier from nowhere": {relaxed, verifier, false}, "not allowed any more": {w.web, "", false}} {
		code, err := w.issued(b, func(r *hot.AuthRequest) { r.CodeChallenge = "" })
		w.do(err)
		_, err = w.bridge.Redeem(w.ctx, oidc.CodeExchange{Code: code, RedirectURI: w.web.RedirectURIs[0], CodeVerifier: row.verifier, Client: row.client})
		if (err == nil) != row.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// payload reads a JWT without looking at its signature.
func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEveryTokenAnswerHasTheDetailsThatWereAskedFor: at the first exchange and after each
// refresh (RFC 9396 section 7); whoever asked without has none.
func TestEveryTokenAnswerHasTheDetailsThatWereAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	_, b := w.signInAs(southern, "oid-kim", "")
	for _, details := range []bool{true, false} {
		code, err := w.issued(b, func(r *hot.AuthRequest) { r.Grant, r.Details = b.Session.Active, details })
		w.do(err)
		tokens, err := w.redeem(code)
		for range 3 {
			if w.do(err); tokens.Details != details || tokens.Active != b.Session.Active {
				t.Errorf("details %v, of %s; want %v", tokens.Details, tokens.Active, details)
			}
			w.clock.Add(time.Minute)
			tokens, err = w.refresh(tokens.RefreshToken)
		}
	}
}

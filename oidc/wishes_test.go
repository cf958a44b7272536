package oidc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

func TestClaimsParametersThatDoNotHold(t *testing.T) {
	var many []string
	for i := range maxWishes + 1 {
		many = append(many, fmt.Sprintf(`"c%d":null`, i))
	}
	for name, text := range map[string]string{
		"no JSON": "name", "a list": "[]", "null": "null", "a text": `"x"`, "cut off": `{"userinfo":{`, "two objects": "{}{}",
		"a member that is a list": `{"userinfo":["name"]}`, "a claim that is a text": `{"userinfo":{"name":"Ada"}}`,
		"essential is a word": `{"id_token":{"name":{"essential":"yes"}}}`, "values is a text": `{"id_token":{"acr":{"values":"gold"}}}`,
		"a claim twice":       `{"userinfo":{"name":null,"name":{"essential":true}}}`,
		"a member twice":      `{"userinfo":{},"userinfo":{"name":null}}`,
		"an empty value":      `{"id_token":{"sub":{"value":""}}}`,
		"a long value":        `{"id_token":{"sub":{"value":"` + strings.Repeat("a", 256) + `"}}}`,
		"too many values":     `{"id_token":{"acr":{"values":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 17), ",") + `]}}}`,
		"too many claims":     `{"userinfo":{` + strings.Join(many, ",") + `}}`,
		"longer than 4 KiB":   `{"x":"` + strings.Repeat("a", 4096) + `"}`,
		"text that is broken": "{\"userinfo\":{\"\\ud800\":null}}",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			wantSent(t, w.authorize(w.person("ada"), "claims", text), "invalid_request")
		})
	}
}

// TestClaimsAreAskedForByName: what the request keeps is what can be answered, and
// reading it again gives the same.
func TestClaimsAreAskedForByName(t *testing.T) {
	w := newWorld()
	w.authorize("", "claims", `{"userinfo":{"name":{"essential":true},"picture":null,"email":null},"id_token":{"sub":{"value":"per_ada"},"acr":{"values":["gold","silver",3],"value":"bronze"},"phone_number":null,"auth_time":{"essential":true}}}`,
		"acr_values", "tin", "ui_locales", "de-AT en ??")
	got := w.begun[0]
	q, err := StoredClaims(got.Claims)
	want := ClaimsRequest{Userinfo: map[string]Wish{"name": {Essential: true}, "email": {}},
		IDToken: map[string]Wish{"sub": {Values: []string{"per_ada"}}, "acr": {Values: []string{"bronze", "gold", "silver"}}, "phone_number": {}}}
	if err != nil || !reflect.DeepEqual(q, want) {
		t.Errorf("kept %s, %v", got.Claims, err)
	}
	if s := strings.Join(got.ACRValues, " "); s != "bronze gold silver tin" {
		t.Errorf("acr values %q: those of the claims parameter are first", s)
	}
	if s := strings.Join(got.UILocales, " "); s != "de-AT en" {
		t.Errorf("languages %q", s)
	}
	if a, b := strings.Join(q.AboutInUserinfo(), " "), strings.Join(q.AboutInIDToken(), " "); a != "email name" || b != "phone_number" {
		t.Errorf("asked for %q and %q", a, b)
	}
}

func TestUserinfoTellsWhatWasAskedForByName(t *testing.T) {
	w := newWorld()
	w.tokens["t"] = Accepted{OAuthScopes: []string{"openid"}, Grant: json.RawMessage(`{}`), Userinfo: []string{"address", "email", "picture"}}
	got := object(t, w.do(call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer t"}}}))
	if got["email"] != "ada@reefline.example" || got["address"].(map[string]any)["locality"] != "Cairns" || got["name"] != nil || got["phone_number"] != nil {
		t.Errorf("%v", got)
	}
}

// TestNobodyElseWillDo: a sub with a value means that person (OpenID Connect Core
// section 5.5.1).
func TestNobodyElseWillDo(t *testing.T) {
	const claims = `{"id_token":{"sub":{"value":"per_ada"}}}`
	w := newWorld()
	wantSent(t, w.authorize(w.person("ada"), "claims", claims, "prompt", "none"), "")
	wantSent(t, w.authorize(w.person("bob"), "claims", claims, "prompt", "none"), "login_required")
	w.authorize(w.person("bob"), "claims", claims)
	if len(w.begun) != 1 || strings.Join(w.begun[0].Prompt, " ") != PromptLogin {
		t.Errorf("somebody else was given a code: %+v", w.begun)
	}
}

// TestAnEssentialACRIsHadOrRefused: silently where the sign-in was like that, else by a
// sign-in that asks for it; never by less.
func TestAnEssentialACRIsHadOrRefused(t *testing.T) {
	const claims = `{"id_token":{"acr":{"essential":true,"values":["gold","platinum"]}}}`
	w := newWorld()
	cookie := w.person("ada")
	wantSent(t, w.authorize(cookie, "claims", claims, "prompt", "none"), "unmet_authentication_requirements")
	w.authorize(cookie, "claims", claims, "acr_values", "tin")
	if got := w.begun[0]; strings.Join(got.Prompt, " ") != PromptStepUp || strings.Join(got.ACRValues, " ") != "gold platinum" {
		t.Errorf("began with prompt %v and acr_values %v", got.Prompt, got.ACRValues)
	}
	b := w.browsers[cookie]
	b.Session.Upstream.ACR = "platinum"
	w.browsers[cookie] = b
	wantSent(t, w.authorize(cookie, "claims", claims), "")
}

// TestNoApplicationAsksForOurOwnPrompt: step_up is what a page must do, and not a value
// of the parameter.
func TestNoApplicationAsksForOurOwnPrompt(t *testing.T) {
	w := newWorld()
	wantSent(t, w.authorize(w.person("ada"), "prompt", PromptStepUp), "invalid_request")
}

// TestAClientThatMayGoWithoutPKCE: it may leave it out. What it sends counts.
func TestAClientThatMayGoWithoutPKCE(t *testing.T) {
	for _, row := range []struct {
		name, challenge, method, verifier string
		asked, redeemed                   string
	}{
		{"without", "", "", "", "", ""},
		{"with", challenge, "S256", verifier, "", ""},
		{"a challenge, and no verifier", challenge, "S256", "", "", "invalid_grant"},
		{"a verifier without a challenge", "", "", verifier, "", "invalid_grant"},
		{"a verifier that is none", "", "", "short", "", "invalid_request"},
		{"plain", verifier, "plain", verifier, "invalid_request", ""},
		{"a challenge without a method", challenge, "", verifier, "invalid_request", ""},
		{"a method without a challenge", "", "S256", "", "invalid_request", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			c := w.clients["fleet-web"]
			c.InsecureNoPKCE = true
			w.clients["fleet-web"] = c
			q := wantSent(t, w.authorize(w.person("ada"), "code_challenge", row.challenge, "code_challenge_method", row.method), row.asked)
			if row.asked != "" {
				return
			}
			rec := w.post(PathToken, redemption(q.Get("code"), "code_verifier", row.verifier), "fleet-web", webSecret)
			if got := object(t, rec)["error"]; row.redeemed == "" && got != nil || row.redeemed != "" && got != row.redeemed {
				t.Errorf("redeeming gives %v, want %q", got, row.redeemed)
			}
		})
	}
	public := Client{ID: "native", InsecureNoPKCE: true}
	if public.MayOmitPKCE() {
		t.Error("a public client may go without")
	}
}

// TestAClientThatMayNotKnowIsNotTold where a claim is asked for by name.
func TestAClientThatMayNotKnowIsNotTold(t *testing.T) {
	for _, a := range aboutPerson {
		if !(Client{}).MayHave(a.scope) {
			t.Errorf("%s: %s is not for every client, so claims must be asked of Client.MayHave", a.claim, a.scope)
		}
	}
	if (Client{}).MayHave(string(access.LiveView)) != true || scopeOf("sub") != "" {
		t.Error("the table is not what it was")
	}
}

// FuzzParseClaims: whatever the text, what is read has its limits, and is read again
// from what the request keeps.
func FuzzParseClaims(f *testing.F) {
	f.Add(`{"userinfo":{"name":{"essential":true}}}`)
	f.Add(`{"id_token":{"acr":{"values":["a","b"]},"sub":{"value":"x"}},"userinfo":null}`)
	f.Add(`{"userinfo":{"name":null},"id_token":{"name":null,"\u0000":{}}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseClaims(text)
		if err != nil {
			return
		}
		again, err := StoredClaims(q.stored())
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Errorf("%s was read as %+v, and then as %+v, %v", text, q, again, err)
		}
	})
}

package scimtest

import (
	"mime"
	"net/http"
	"strings"
)

func authentication() []Check {
	const at = protocol + "2"
	return []Check{
		must("authentication.none", at, "GET /Users without a credential is answered 401", func(t *trial) {
			t.get(users, "Authorization:").is(http.StatusUnauthorized)
		}),
		must("authentication.wrong", protocol+"3.12", "GET /Users with a wrong token is answered 401", func(t *trial) {
			t.get(users, "Authorization: Bearer "+t.ledger.prefix+"wrong").is(http.StatusUnauthorized)
		}),
		must("authentication.empty", at, "an empty bearer token is answered 401", func(t *trial) {
			t.get(users, "Authorization: Bearer").is(http.StatusUnauthorized)
		}),
		must("authentication.basic", at, "a credential of another scheme that was never given out is answered 401", func(t *trial) {
			t.get(users, "Authorization: Basic c2NpbXRlc3Q6bm9ib2R5").is(http.StatusUnauthorized)
		}),
		must("authentication.write", at, "POST /Users without a credential is answered 401, and makes nobody", func(t *trial) {
			t.post(users, t.person(nil), "Authorization:").is(http.StatusUnauthorized)
		}),
		must("authentication.item", at, "GET of a person without a credential is answered 401", func(t *trial) {
			t.get(t.people().cy.at(), "Authorization:").is(http.StatusUnauthorized)
		}),
		must("authentication.challenge", "RFC 9110 section 11.6.1", "a 401 carries WWW-Authenticate", func(t *trial) {
			r := t.get(groups, "Authorization:")
			if r.status != http.StatusUnauthorized {
				t.skip("there is no 401 to look at")
			}
			if r.header.Get("WWW-Authenticate") == "" {
				r.wrong("there is no WWW-Authenticate")
			}
		}),
		must("authentication.scheme-case", "RFC 9110 section 11.1", "the scheme's name is read without regard to case", func(t *trial) {
			t.get(users+"?count=0", "Authorization: bEARER "+t.client.token).is(http.StatusOK)
		}),
		must("authentication.body", protocol+"3.12", "a 401 carries SCIM's Error", func(t *trial) {
			r := t.get("/Groups/"+nobody, "Authorization:")
			if r.status != http.StatusUnauthorized {
				t.skip("there is no 401 to look at")
			}
			r.urn(urnError)
		}),
	}
}

func contentTypes() []Check {
	const at = protocol + "3.8"
	return []Check{
		must("content.scim", at, "an answer to Accept: application/scim+json has that type", func(t *trial) {
			r := t.get(t.people().cy.at())
			if media := mediaOf(r); media != mediaSCIM {
				r.wrong("the Content-Type is %q", media)
			}
		}),
		should("content.accept-json", at, "Accept: application/json is answered with JSON", func(t *trial) {
			t.get(t.people().cy.at(), "Accept: application/json").is(http.StatusOK).json()
		}),
		must("content.accept-none", at, "a request without Accept is answered", func(t *trial) {
			t.get(t.people().cy.at(), "Accept:").is(http.StatusOK).json()
		}),
		should("content.accept-any", "RFC 9110 section 12.5.1", "Accept: */* is answered", func(t *trial) {
			t.get(t.people().cy.at(), "Accept: */*").is(http.StatusOK).json()
		}),
		must("content.charset", protocol+"8.1", "a body of type application/scim+json; charset=utf-8 is read", func(t *trial) {
			t.post(users, t.person(nil), "Content-Type: application/scim+json; charset=utf-8").good()
		}),
		should("content.json", at, "a body of type application/json is read", func(t *trial) {
			t.post(users, t.person(nil), "Content-Type: application/json").good()
		}),
		should("content.wrong", "RFC 9110 section 15.5.16", "a body of type text/plain is refused", func(t *trial) {
			t.post(users, t.person(nil), "Content-Type: text/plain").refused()
		}),
		must("content.unicode", protocol+"3.8", "text of all planes of Unicode comes back as it was sent", func(t *trial) {
			const text = "Zoë 王小明 🌉 ñandú"
			made := t.user(object{"displayName": text})
			t.fresh(made).has(text, "displayName")
		}),
		may("content.get-type", protocol+"3.4.1", "a GET that carries a Content-Type is answered like any other", func(t *trial) {
			t.get(t.people().cy.at(), "Content-Type: application/scim+json").is(http.StatusOK)
		}),
		may("content.unknown-parameter", protocol+"3.4.2", "a query parameter that nobody knows is ignored, as Entra's aadOptscim062020", func(t *trial) {
			t.get(t.people().cy.at() + "?aadOptscim062020").is(http.StatusOK)
		}),
	}
}

func mediaOf(r *reply) string {
	media, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil {
		return r.header.Get("Content-Type")
	}
	return strings.ToLower(media)
}

// json checks that an answer says it is JSON and is.
func (r *reply) json() *reply {
	if media := mediaOf(r); media != mediaSCIM && media != "application/json" {
		r.wrong("the Content-Type is %q", media)
	}
	r.value()
	return r
}

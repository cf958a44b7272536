package scimtest

import (
	"net/http"
	"strconv"
	"strings"
)

func errorBodies() []Check {
	const at = protocol + "3.12"
	return []Check{
		must("errors.schemas", at, "a refusal has the schema of Error", func(t *trial) {
			t.get(users + "/" + nobody).refused().urn(urnError)
		}),
		must("errors.status", at, "status of the body is the HTTP status, as a string", func(t *trial) {
			r := t.get(users + "/" + nobody).refused()
			r.has(strconv.Itoa(r.status), "status")
		}),
		should("errors.detail", at, "a refusal has a detail for people", func(t *trial) {
			t.get(users + "/" + nobody).refused().text("detail")
		}),
		should("errors.content-type", protocol+"3.8", "a refusal is JSON by its Content-Type", func(t *trial) {
			t.get(users + "/" + nobody).refused().json()
		}),
		must("errors.conflict", at, "a 409 has the schema of Error", func(t *trial) {
			u := t.user(nil)
			t.post(users, t.person(object{"userName": u.name, "nickName": "Again"})).refused().urn(urnError)
		}),
		must("errors.filter", at, "a refused filter has the schema of Error", func(t *trial) {
			t.needs(hasFilter)
			t.find(`userName zz "q"`).refused().urn(urnError)
		}),
		should("errors.unknown-route", at, "an address that does not exist is answered 404 with SCIM's Error", func(t *trial) {
			t.get("/NoSuchThings").is(http.StatusNotFound).urn(urnError)
		}),
		should("errors.method", "RFC 9110 section 15.5.6", "a method that an address does not take is refused with SCIM's Error", func(t *trial) {
			r := t.put(users, t.person(nil))
			if r.status != http.StatusNotImplemented {
				r.refused()
			}
			r.urn(urnError)
		}),
		must("errors.allow", "RFC 9110 section 15.5.6", "a 405 names in Allow what the address takes", func(t *trial) {
			r := t.del(users)
			if r.status != http.StatusMethodNotAllowed {
				t.skip("DELETE %s is answered %d, not 405", users, r.status)
			}
			if r.header.Get("Allow") == "" {
				r.wrong("there is no Allow")
			}
		}),
	}
}

func errorInputs() []Check {
	const at = protocol + "3.12"
	return []Check{
		must("errors.syntax", at, "a body that is no JSON is answered 400 with the scimType invalidSyntax", func(t *trial) {
			t.post(users, `{"userName": `).is(http.StatusBadRequest).has("invalidSyntax", "scimType")
		}),
		must("errors.array", at, "a body that is an array is answered 400", func(t *trial) { t.post(users, `[]`).is(http.StatusBadRequest) }),
		must("errors.null", at, "a body that is null is answered 400", func(t *trial) { t.post(users, `null`).is(http.StatusBadRequest) }),
		must("errors.empty", at, "an empty body is answered 400", func(t *trial) { t.post(users, "").is(http.StatusBadRequest) }),
		must("errors.type", at, "a userName that is a number is answered 400", func(t *trial) {
			t.post(users, t.person(object{"userName": 12})).is(http.StatusBadRequest)
		}),
		must("errors.object", at, "a name that is a string is answered 400", func(t *trial) {
			t.post(users, t.person(object{"name": "Robin Sample"})).is(http.StatusBadRequest)
		}),
		should("errors.trailing", "RFC 8259 section 2", "a body with something after its JSON is answered 400", func(t *trial) {
			t.post(users, `{"schemas":["`+urnUser+`"],"userName":"`+t.name()+`"} {}`).is(http.StatusBadRequest)
		}),
		must("errors.deep", at, "a deeply nested body is understood or refused, and nothing breaks", func(t *trial) {
			r := t.post(users, `{"schemas":["`+urnUser+`"],"userName":"`+t.name()+`","sluice":`+strings.Repeat("[", 1500)+strings.Repeat("]", 1500)+`}`)
			if !r.ok() {
				r.refused()
			}
		}),
		must("errors.long", at, "a long value is kept or refused, and nothing breaks", func(t *trial) {
			r := t.post(users, t.person(object{"displayName": strings.Repeat("long ", 4000)}))
			if !r.ok() {
				r.refused()
			}
		}),
		must("errors.zero-byte", at, "a zero character in a value is kept or refused, and nothing breaks", func(t *trial) {
			r := t.post(users, t.person(object{"displayName": "zero\x00byte"}))
			if !r.ok() {
				r.refused()
			}
		}),
		must("errors.odd-id", at, "an id with escaped signs in it is answered 404 or another refusal", func(t *trial) {
			t.get(users + "/%2e%2e%2f%00%27").refused()
		}),
	}
}

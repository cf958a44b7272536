package scimtest

import "net/http"

func replacing() []Check {
	const at = protocol + "3.5.1"
	return []Check{
		must("put.status", at, "PUT of a person is answered 200 with the person", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), whole(u, object{"displayName": "Put Once"})).is(http.StatusOK).has(u.id, "id")
		}),
		must("put.kept", at, "what was put is there afterwards", func(t *trial) {
			u := t.user(object{"displayName": "Before"})
			t.put(u.at(), whole(u, object{"displayName": "After Put"})).good()
			t.fresh(u).has("After Put", "displayName")
		}),
		must("put.id", at, "an id in the body changes nothing: it is readOnly", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), whole(u, object{"id": nobody, "nickName": "Idle"})).good()
			t.fresh(u).has(u.id, "id")
		}),
		must("put.created", at, "meta.created stays as it was", func(t *trial) {
			u := t.user(nil)
			was := t.fresh(u).at("meta", "created")
			t.put(u.at(), whole(u, object{"meta": object{"created": "1999-01-01T00:00:00Z"}})).good()
			t.fresh(u).has(was, "meta", "created")
		}),
		must("put.rename", at, "a userName can be put", func(t *trial) {
			u, name := t.user(nil), t.name()
			t.put(u.at(), whole(u, object{"userName": name})).good()
			t.fresh(u).has(name, "userName")
		}),
		must("put.list", at, "a multi-valued attribute is replaced whole", func(t *trial) {
			u := t.user(object{"emails": []object{{"value": "old@put.example"}, {"value": "older@put.example"}}})
			t.put(u.at(), whole(u, object{"emails": []object{{"value": "new@put.example"}}})).good()
			r := t.fresh(u)
			if list := r.list("emails"); len(list) != 1 || follow(list[0], "value") != "new@put.example" {
				r.wrong("emails is %s", show(list))
			}
		}),
		{ID: "put.members", Severity: Must, Section: at, needs: []feature{hasGroups},
			Expected: "PUT of a group replaces its members", try: func(t *trial) {
				a, b := t.user(nil), t.user(nil)
				g := t.group(a)
				t.put(g.at(), object{"schemas": []string{urnGroup}, "displayName": g.name, "members": refs(b)}).good()
				t.fresh(g).members(b)
			}},
		{ID: "put.no-members", Severity: Must, Section: at, needs: []feature{hasGroups},
			Expected: "PUT of a group with members [] empties it", try: func(t *trial) {
				g := t.group(t.user(nil))
				t.put(g.at(), object{"schemas": []string{urnGroup}, "displayName": g.name, "members": []object{}}).good()
				t.fresh(g).members()
			}},
	}
}

// whole is a person's body for a PUT.
func whole(u thing, extra object) object {
	body := object{"schemas": []string{urnUser}, "userName": u.name, "active": true}
	for k, v := range extra {
		body[k] = v
	}
	return body
}

func replacingRefusals() []Check {
	const at = protocol + "3.5.1"
	return []Check{
		must("put.unknown", at, "PUT of an id that nobody has is answered 404, and makes nobody", func(t *trial) {
			t.put(users+"/"+nobody, t.person(nil)).is(http.StatusNotFound)
		}),
		must("put.taken", protocol+"3.12", "PUT of a userName that is taken is answered 409 with the scimType uniqueness", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			t.put(b.at(), whole(a, nil)).is(http.StatusConflict).has("uniqueness", "scimType")
		}),
		must("put.required", at, "PUT without userName is refused, and changes nothing", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), object{"schemas": []string{urnUser}, "displayName": "Nameless"}).refused()
			t.fresh(u).has(u.name, "userName").lacks("displayName")
		}),
		must("put.groups", core+"4.1.2", "groups of a person cannot be put: they are readOnly", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), whole(u, object{"groups": []object{{"value": nobody}}})).good()
			t.fresh(u).lacks("groups")
		}),
		must("put.again", "RFC 9110 section 9.2.2", "PUT of the same twice is the same as once", func(t *trial) {
			u := t.user(nil)
			body := whole(u, object{"displayName": "Twice", "emails": []object{{"value": "twice@put.example", "type": "work"}}})
			t.put(u.at(), body).good()
			t.put(u.at(), body).good()
			r := t.fresh(u).has("Twice", "displayName")
			if n := len(r.list("emails")); n != 1 {
				r.wrong("there are %d emails", n)
			}
		}),
	}
}

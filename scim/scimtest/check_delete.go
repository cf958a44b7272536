package scimtest

import "net/http"

func deletion() []Check {
	const at = protocol + "3.6"
	return []Check{
		must("delete.status", at, "DELETE is answered 204 without a body", func(t *trial) {
			r := t.del(t.user(nil).at()).is(http.StatusNoContent)
			if len(r.body) > 0 {
				r.wrong("a 204 has a body")
			}
		}),
		must("delete.gone", at, "who was deleted is answered 404", func(t *trial) {
			u := t.gone()
			t.get(u.at()).is(http.StatusNotFound)
		}),
		must("delete.twice", at, "DELETE of who was deleted is answered 404", func(t *trial) {
			u := t.gone()
			t.del(u.at()).is(http.StatusNotFound)
		}),
		must("delete.put", at, "PUT of who was deleted is answered 404", func(t *trial) {
			u := t.gone()
			t.put(u.at(), whole(u, nil)).is(http.StatusNotFound)
		}),
		{ID: "delete.patch", Severity: Must, Section: at, needs: []feature{hasPatch},
			Expected: "PATCH of who was deleted is answered 404", try: func(t *trial) {
				u := t.gone()
				t.patch(u, op("replace", "active", true)).is(http.StatusNotFound)
			}},
		{ID: "delete.list", Severity: Must, Section: at, needs: []feature{hasFilter},
			Expected: "who was deleted is found no more", try: func(t *trial) {
				u := t.gone()
				t.finds(`userName eq "` + u.name + `"`)
			}},
		must("delete.name", at, "the userName of who was deleted is free", func(t *trial) {
			u := t.gone()
			t.post(users, t.person(object{"userName": u.name})).good()
		}),
		must("delete.unknown", at, "DELETE of an id that nobody has is answered 404", func(t *trial) {
			t.del(users + "/" + nobody).is(http.StatusNotFound)
		}),
		{ID: "delete.group", Severity: Must, Section: at, needs: []feature{hasGroups},
			Expected: "a deleted group is gone, and its members are not", try: func(t *trial) {
				u := t.user(nil)
				g := t.group(u)
				t.del(g.at()).good()
				t.get(g.at()).is(http.StatusNotFound)
				t.fresh(u).lacks("groups")
			}},
		{ID: "delete.member", Severity: Should, Section: core + "4.2", needs: []feature{hasGroups},
			Expected: "who was deleted is in no group", try: func(t *trial) {
				a, b := t.user(nil), t.user(nil)
				g := t.group(a, b)
				t.del(a.at()).good()
				t.fresh(g).members(b)
			}},
	}
}

// gone is somebody who was deleted.
func (t *trial) gone() thing {
	u := t.user(nil)
	if r := t.del(u.at()); !r.ok() {
		t.skip("DELETE is answered %d", r.status)
	}
	return u
}

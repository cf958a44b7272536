package scimtest

import (
	"net/http"
	"slices"
)

// urnDepartment is how a path names an attribute of the enterprise extension.
const urnDepartment = urnEnterprise + ":department"

func patchPeople() []Check {
	const at = protocol + "3.5.2"
	return needing(hasPatch,
		must("patch.status", at, "PATCH is answered 200 with the person, or 204 without", func(t *trial) {
			u := t.user(nil)
			r := t.patch(u, op("replace", "displayName", "Any Status")).is(http.StatusOK, http.StatusNoContent)
			if r.status == http.StatusOK {
				r.has(u.id, "id")
			} else if len(r.body) > 0 {
				r.wrong("a 204 has a body")
			}
		}),
		must("patch.replace", at+".3", "replace with a path sets the attribute", func(t *trial) {
			u := t.user(object{"displayName": "Was"})
			t.patch(u, op("replace", "displayName", "Replaced By Path")).good()
			t.fresh(u).has("Replaced By Path", "displayName").has(u.name, "userName")
		}),
		must("patch.replace-object", at+".3", "replace without a path sets the attributes of the object, and no other", func(t *trial) {
			u := t.user(object{"displayName": "Was", "externalId": t.ledger.prefix + "stays"})
			t.patch(u, op("replace", "", object{"displayName": "Replaced By Object"})).good()
			t.fresh(u).has("Replaced By Object", "displayName").has(t.ledger.prefix+"stays", "externalId")
		}),
		must("patch.add", at+".1", "add with a path sets an attribute that had no value", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("add", "displayName", "Added By Path")).good()
			t.fresh(u).has("Added By Path", "displayName")
		}),
		must("patch.add-object", at+".1", "add without a path adds the attributes of the object", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("add", "", object{"displayName": "Added By Object"})).good()
			t.fresh(u).has("Added By Object", "displayName")
		}),
		must("patch.remove", at+".2", "remove takes an attribute away", func(t *trial) {
			u := t.user(object{"displayName": "To Be Removed"})
			t.patch(u, op("remove", "displayName", nil)).good()
			t.fresh(u).lacks("displayName")
		}),
		must("patch.sub-attribute", at+".3", "a path reaches a sub-attribute and leaves its neighbour", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "name.givenName", "Ronja")).good()
			t.fresh(u).has("Ronja", "name", "givenName").has("Sample", "name", "familyName")
		}),
		must("patch.active", at+".3", "active set to false is false afterwards", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "active", false)).good()
			t.fresh(u).has(false, "active")
		}),
		must("patch.several", at, "operations are applied in their order", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "displayName", "First"), op("remove", "name.familyName", nil), op("replace", "displayName", "Last")).good()
			t.fresh(u).has("Last", "displayName").lacks("name", "familyName")
		}),
		Check{ID: "patch.extension", Severity: Must, Section: protocol + "3.10", needs: []feature{hasEnterprise},
			Expected: "a path with a URN reaches an attribute of the extension", try: func(t *trial) {
				u := t.user(nil)
				t.patch(u, op("add", urnDepartment, "Weirs")).good()
				t.fresh(u).has("Weirs", urnEnterprise, "department")
			}},
	)
}

// mails is a person with two addresses.
func (t *trial) mails() thing {
	return t.user(object{"emails": []object{{"value": "w@patch.example", "type": "work", "primary": true}, {"value": "h@patch.example", "type": "home"}}})
}

func patchValues() []Check {
	const at = protocol + "3.5.2"
	return needing(hasPatch,
		must("patch.add-value", at+".1", "add to a multi-valued attribute keeps its values", func(t *trial) {
			u := t.mails()
			t.patch(u, op("add", "emails", []object{{"value": "o@patch.example", "type": "other"}})).good()
			t.fresh(u).mailed("w@patch.example", "h@patch.example", "o@patch.example")
		}),
		must("patch.add-same", at+".1", "add of a value that is there does not double it", func(t *trial) {
			u := t.mails()
			t.patch(u, op("add", "emails", []object{{"value": "h@patch.example", "type": "home"}})).good()
			t.fresh(u).mailed("w@patch.example", "h@patch.example")
		}),
		must("patch.replace-values", at+".3", "replace of a multi-valued attribute drops its values", func(t *trial) {
			u := t.mails()
			t.patch(u, op("replace", "emails", []object{{"value": "n@patch.example", "type": "work"}})).good()
			t.fresh(u).mailed("n@patch.example")
		}),
		must("patch.remove-value", at+".2", "remove with a value path takes the value that matches", func(t *trial) {
			u := t.mails()
			t.patch(u, op("remove", `emails[type eq "home"]`, nil)).good()
			t.fresh(u).mailed("w@patch.example")
		}),
		must("patch.replace-value", at+".3", "replace with a value path changes the value that matches", func(t *trial) {
			u := t.mails()
			t.patch(u, op("replace", `emails[type eq "work"].value`, "changed@patch.example")).good()
			r := t.fresh(u).mailed("changed@patch.example", "h@patch.example")
			if follow(one(r.list("emails"), "value", "changed@patch.example"), "type") != "work" {
				r.wrong("its type is gone: %s", show(r.at("emails")))
			}
		}),
		must("patch.remove-all", at+".2", "remove of a multi-valued attribute takes all its values", func(t *trial) {
			u := t.mails()
			t.patch(u, op("remove", "emails", nil)).good()
			t.fresh(u).lacks("emails")
		}),
		must("patch.primary", at, "a new primary value takes the mark from the old one", func(t *trial) {
			u := t.mails()
			t.patch(u, op("add", "emails", []object{{"value": "p@patch.example", "type": "other", "primary": true}})).good()
			r := t.fresh(u)
			if old := one(r.list("emails"), "value", "w@patch.example"); follow(old, "primary") == true {
				r.wrong("the old one is primary still: %s", show(r.at("emails")))
			}
			if added := one(r.list("emails"), "value", "p@patch.example"); follow(added, "primary") != true {
				r.wrong("the new one is not primary: %s", show(r.at("emails")))
			}
		}),
		should("patch.again", at+".1", "the same PATCH twice is the same as once", func(t *trial) {
			u := t.user(nil)
			for range 2 {
				t.patch(u, op("add", "emails", []object{{"value": "t@patch.example", "type": "work"}}), op("replace", "name.givenName", "Twice")).good()
			}
			t.fresh(u).mailed("t@patch.example").has("Twice", "name", "givenName")
		}),
	)
}

// mailed checks which addresses a person has.
func (r *reply) mailed(want ...string) *reply {
	list := r.list("emails")
	for _, w := range want {
		if one(list, "value", w) == nil {
			r.wrong("%s is not among %s", w, show(list))
		}
	}
	if len(list) != len(want) {
		r.wrong("there are %d emails instead of %d: %s", len(list), len(want), show(list))
	}
	return r
}

func patchRefusals() []Check {
	const at = protocol + "3.5.2"
	return needing(hasPatch,
		must("patch.unknown", at, "PATCH of an id that nobody has is answered 404", func(t *trial) {
			t.patch(thing{collection: users, id: nobody}, op("replace", "displayName", "Nobody")).is(http.StatusNotFound)
		}),
		must("patch.atomic", at, "if one operation is refused, none is applied", func(t *trial) {
			u := t.user(object{"displayName": "Untouched"})
			t.patch(u, op("replace", "displayName", "Half Done"), op("replace", "no such path!", "x")).refused()
			t.fresh(u).has("Untouched", "displayName")
		}),
		must("patch.no-target", at+".2", "remove without a path is answered 400 with the scimType noTarget", func(t *trial) {
			t.patch(t.user(nil), op("remove", "", nil)).is(http.StatusBadRequest).has("noTarget", "scimType")
		}),
		must("patch.operation", protocol+"3.12", "an operation that does not exist is answered 400", func(t *trial) {
			t.patch(t.user(nil), op("frobnicate", "displayName", "x")).is(http.StatusBadRequest)
		}),
		must("patch.path", protocol+"3.12", "a path that cannot be read is answered 400 with the scimType invalidPath", func(t *trial) {
			t.patch(t.user(nil), op("replace", "emails[type eq", "x")).is(http.StatusBadRequest).has("invalidPath", "scimType")
		}),
		must("patch.read-only", at, "id cannot be replaced: 400 with the scimType mutability", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "id", nobody)).is(http.StatusBadRequest).has("mutability", "scimType")
			t.fresh(u).has(u.id, "id")
		}),
		must("patch.required", at+".2", "userName cannot be removed: it is required", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("remove", "userName", nil)).refused()
			t.fresh(u).has(u.name, "userName")
		}),
		must("patch.taken", protocol+"3.12", "a userName that is taken is answered 409", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			t.patch(b, op("replace", "userName", a.name)).is(http.StatusConflict)
			t.fresh(b).has(b.name, "userName")
		}),
		must("patch.type", protocol+"3.12", "a value of the wrong type is answered 400", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "name", "not an object")).is(http.StatusBadRequest)
			t.fresh(u).has("Robin", "name", "givenName")
		}),
		should("patch.syntax", protocol+"3.12", "a PATCH that is no JSON is answered 400 with the scimType invalidSyntax", func(t *trial) {
			t.ask(http.MethodPatch, t.people().cy.at(), `{"Operations":[`).is(http.StatusBadRequest).has("invalidSyntax", "scimType")
		}),
	)
}

func patchSpellings() []Check {
	const at = protocol + "3.5.2"
	return needing(hasPatch,
		lenient("patch.op-case", at, `"Replace" is read as replace, as Entra sends it`, func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("Replace", "displayName", "Capital Letter")).good()
			t.fresh(u).has("Capital Letter", "displayName")
		}),
		lenient("patch.active-string", core+"2.3.2", `active set to the string "False" is false afterwards, as Entra sends it`, func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "active", "False")).good()
			t.fresh(u).has(false, "active")
		}),
		lenient("patch.dotted", at+".3", "an object's dotted name reaches a sub-attribute, as Entra sends it", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("replace", "", object{"name.givenName": "Dotted"})).good()
			t.fresh(u).has("Dotted", "name", "givenName").has("Sample", "name", "familyName")
		}),
		lenient("patch.create-by-filter", at+".1", "add to a value path that matches nothing makes the value, as Entra expects", func(t *trial) {
			u := t.user(nil)
			t.patch(u, op("add", `emails[type eq "work"].value`, "made@filter.example")).good()
			r := t.fresh(u).mailed("made@filter.example")
			if follow(one(r.list("emails"), "value", "made@filter.example"), "type") != "work" {
				r.wrong("it has not the type of the filter: %s", show(r.at("emails")))
			}
		}),
		lenient("patch.nothing", at, "no operations are a success without effect, as Microsoft's validator expects", func(t *trial) {
			t.patch(t.user(nil)).good()
		}),
		may("patch.same", at+".3", "replace by the value that is there is a success", func(t *trial) {
			t.patch(t.user(object{"displayName": "Unchanged"}), op("replace", "displayName", "Unchanged")).good()
		}),
		Check{ID: "patch.extension-object", Severity: Must, Section: at + ".1", needs: []feature{hasEnterprise},
			Expected: "an object may carry an extension under its URN", try: func(t *trial) {
				u := t.user(nil)
				t.patch(u, op("add", "", object{urnEnterprise: object{"division": "Canals"}})).good()
				t.fresh(u).has("Canals", urnEnterprise, "division")
			}},
		Check{ID: "patch.extension-key", Severity: May, lenient: true, Section: at + ".3", needs: []feature{hasEnterprise},
			Expected: "an object's name with a URN reaches the extension, as Entra sends it", try: func(t *trial) {
				u := t.user(nil)
				t.patch(u, op("replace", "", object{urnEnterprise + ":organization": "Waterways"})).good()
				t.fresh(u).has("Waterways", urnEnterprise, "organization")
			}},
		Check{ID: "patch.manager-string", Severity: May, lenient: true, Section: at + ".3", needs: []feature{hasEnterprise},
			Expected: "a manager sent as a bare id is a manager, as Entra sends it", try: func(t *trial) {
				u, boss := t.user(nil), t.people().ada
				t.patch(u, op("add", urnEnterprise+":manager", boss.id)).good()
				t.fresh(u).has(boss.id, urnEnterprise, "manager", "value")
			}},
	)
}

func patchGroups() []Check {
	const at = protocol + "3.5.2"
	return needing(hasGroups, needing(hasPatch,
		must("patch-group.status", at, "PATCH of a group is answered 200 or 204", func(t *trial) {
			t.patch(t.group(), op("replace", "displayName", t.ledger.name(groups, t.id))).is(http.StatusOK, http.StatusNoContent)
		}),
		must("patch-group.rename", at+".3", "a new name leaves the members as they are", func(t *trial) {
			u := t.user(nil)
			g, name := t.group(u), t.ledger.name(groups, t.id)
			t.patch(g, op("replace", "displayName", name)).good()
			t.fresh(g).has(name, "displayName").members(u)
		}),
		must("patch-group.rename-object", at+".3", "a new name without a path leaves the members as they are", func(t *trial) {
			u := t.user(nil)
			g, name := t.group(u), t.ledger.name(groups, t.id)
			t.patch(g, op("replace", "", object{"displayName": name})).good()
			t.fresh(g).has(name, "displayName").members(u)
		}),
		must("patch-group.add", at+".1", "add of a member keeps the others", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a)
			t.patch(g, op("add", "members", refs(b))).good()
			t.fresh(g).members(a, b)
		}),
		must("patch-group.add-object", at+".1", "add without a path adds the members of the object", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a)
			t.patch(g, op("add", "", object{"members": refs(b)})).good()
			t.fresh(g).members(a, b)
		}),
		must("patch-group.add-again", at+".1", "add of somebody who is in is a success, and nobody is in twice", func(t *trial) {
			a := t.user(nil)
			g := t.group(a)
			t.patch(g, op("add", "members", refs(a))).good()
			t.fresh(g).members(a)
		}),
		must("patch-group.remove", at+".2", "remove by members[value eq] takes that one alone", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a, b)
			t.patch(g, op("remove", `members[value eq "`+a.id+`"]`, nil)).good()
			t.fresh(g).members(b)
		}),
		must("patch-group.remove-all", at+".2", "remove of members empties the group", func(t *trial) {
			g := t.group(t.user(nil), t.user(nil))
			t.patch(g, op("remove", "members", nil)).good()
			t.fresh(g).members()
		}),
		must("patch-group.replace", at+".3", "replace of members puts others in their place", func(t *trial) {
			a, b, c := t.user(nil), t.user(nil), t.user(nil)
			g := t.group(a)
			t.patch(g, op("replace", "members", refs(b, c))).good()
			t.fresh(g).members(b, c)
		}),
		must("patch-group.replace-none", at+".3", "replace of members by [] empties the group, as Okta sends it", func(t *trial) {
			g := t.group(t.user(nil))
			t.patch(g, op("replace", "members", []object{})).good()
			t.fresh(g).members()
		}),
	)...)
}

func patchGroupEdges() []Check {
	const at = protocol + "3.5.2"
	return needing(hasGroups, needing(hasPatch,
		must("patch-group.both", at, "one may leave and another come in one PATCH", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a)
			t.patch(g, op("remove", `members[value eq "`+a.id+`"]`, nil), op("add", "members", refs(b))).good()
			t.fresh(g).members(b)
		}),
		must("patch-group.many", at+".1", "several members are added at once", func(t *trial) {
			var all []thing
			for range 5 {
				all = append(all, t.user(nil))
			}
			g := t.group()
			t.patch(g, op("add", "members", refs(all...))).good()
			t.fresh(g).members(all...)
		}),
		must("patch-group.atomic", at, "if one operation is refused, no member is changed", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a)
			t.patch(g, op("add", "members", refs(b)), op("remove", "", nil)).refused()
			t.fresh(g).members(a)
		}),
		must("patch-group.unknown", at, "PATCH of a group that is not there is answered 404", func(t *trial) {
			t.patch(thing{collection: groups, id: nobody}, op("replace", "displayName", t.ledger.name(groups, t.id))).is(http.StatusNotFound)
		}),
		may("patch-group.absent", at+".2", "remove of somebody who is not in is a success, as identity providers repeat themselves", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a)
			t.patch(g, op("remove", `members[value eq "`+b.id+`"]`, nil)).good()
			t.fresh(g).members(a)
		}),
		lenient("patch-group.remove-array", at+".2", "remove of members with a value array takes those alone, as Entra sends it", func(t *trial) {
			a, b := t.user(nil), t.user(nil)
			g := t.group(a, b)
			t.patch(g, op("remove", "members", refs(a))).good()
			t.fresh(g).members(b)
		}),
		may("patch-group.stranger", at+".1", "an id that nobody has does not keep the others out, or the push is lost", func(t *trial) {
			a := t.user(nil)
			g := t.group()
			t.patch(g, op("add", "members", append(refs(a), object{"value": nobody}))).good()
			r := t.fresh(g)
			list, _ := r.at("members").([]any)
			if one(list, "value", a.id) == nil {
				r.wrong("%s is not in: %s", a.id, show(list))
			}
		}),
		may("patch-group.external-id", at+".3", "a group's externalId can be replaced", func(t *trial) {
			g := t.group()
			t.patch(g, op("replace", "externalId", t.ledger.prefix+"team")).good()
			t.fresh(g).has(t.ledger.prefix+"team", "externalId")
		}),
		may("patch-group.inactive", core+"4.2", "who becomes inactive stays in the group: identity providers do not send it again", func(t *trial) {
			u := t.user(nil)
			g := t.group(u)
			t.patch(u, op("replace", "active", false)).good()
			r := t.fresh(g)
			if list, _ := r.at("members").([]any); !slices.ContainsFunc(list, func(m any) bool { return follow(m, "value") == u.id }) {
				r.wrong("%s is not in any more: %s", u.id, show(list))
			}
		}),
	)...)
}

package scimtest

import (
	"net/http"
	"strings"
	"time"
)

func creation() []Check {
	const at = protocol + "3.3"
	return []Check{
		must("create.status", at, "POST /Users is answered 201", func(t *trial) { t.post(users, t.person(nil)).is(http.StatusCreated) }),
		should("create.body", at, "the answer holds what was sent", func(t *trial) {
			body := t.person(object{"displayName": "Robin of the Sluice"})
			t.created(body).has(body["userName"], "userName").has("Robin of the Sluice", "displayName")
		}),
		must("create.id", core+"3.1", "the answer has an id: a string that is not empty, nor bulkId", func(t *trial) {
			if r := t.created(t.person(nil)); r.text("id") == "bulkId" {
				r.wrong("the id is the reserved word bulkId")
			}
		}),
		must("create.schemas", core+"3", "schemas of the answer names User", func(t *trial) { t.created(t.person(nil)).urn(urnUser) }),
		must("create.location", at, "the answer has a Location that ends with the person's address", func(t *trial) {
			r := t.created(t.person(nil))
			if !strings.HasSuffix(r.header.Get("Location"), r.made.at()) {
				r.wrong("the Location is %q", r.header.Get("Location"))
			}
		}),
		must("create.location-absolute", "RFC 7643 section 3.1", "meta.location ends with the person's address and starts with a scheme", func(t *trial) {
			r := t.created(t.person(nil))
			if at := r.text("meta", "location"); !strings.HasSuffix(at, r.made.at()) || !strings.Contains(at, "://") {
				r.wrong("meta.location is %q", at)
			}
		}),
		must("create.meta-type", core+"3.1", "meta.resourceType is User", func(t *trial) {
			t.created(t.person(nil)).has("User", "meta", "resourceType")
		}),
		should("create.meta-dates", core+"3.1", "meta.created and meta.lastModified are instants of now", func(t *trial) {
			r := t.created(t.person(nil))
			first, last := r.instant("meta", "created"), r.instant("meta", "lastModified")
			if last.Before(first) || first.Year() < 2015 {
				r.wrong("created is %s, lastModified is %s", first, last)
			}
		}),
		should("create.external-id", core+"3.1", "externalId comes back as it was sent", func(t *trial) {
			id := t.ledger.prefix + "MixedCase/7"
			t.created(t.person(object{"externalId": id})).has(id, "externalId")
		}),
		must("create.active", core+"2.3.2", "active comes back as a JSON boolean", func(t *trial) {
			t.created(t.person(object{"active": false})).has(false, "active")
		}),
		must("create.password", core+"7", "a password is never returned", func(t *trial) {
			t.created(t.person(object{"password": "Sample-" + t.ledger.prefix + "Pw9!"})).lacks("password")
		}),
	}
}

// created posts a person, who must be there afterwards.
func (t *trial) created(body object) *reply {
	r := t.post(users, body)
	if r.made.id == "" {
		t.skip("POST /Users is answered %d", r.status)
	}
	return r
}

func creationNames() []Check {
	const at = protocol + "3.3"
	return []Check{
		must("create.duplicate", at, "a second person of the same userName is answered 409", func(t *trial) {
			u := t.user(nil)
			t.post(users, t.person(object{"userName": u.name})).is(http.StatusConflict)
		}),
		must("create.duplicate-type", at, "that 409 has the scimType uniqueness", func(t *trial) {
			u := t.user(object{"displayName": "First"})
			r := t.post(users, t.person(object{"userName": u.name, "displayName": "Second"}))
			if r.status != http.StatusConflict {
				t.skip("there is no 409 to look at")
			}
			r.has("uniqueness", "scimType")
		}),
		must("create.duplicate-case", core+"4.1.1", "a userName that differs in case only is a duplicate", func(t *trial) {
			u := t.user(nil)
			t.post(users, t.person(object{"userName": strings.ToUpper(u.name)})).is(http.StatusConflict)
		}),
		must("create.required", core+"4.1.1", "a person without userName is refused", func(t *trial) {
			t.post(users, object{"schemas": []string{urnUser}, "displayName": "Nobody"}).refused()
		}),
		should("create.required-type", protocol+"3.12", "that refusal is 400 with the scimType invalidValue", func(t *trial) {
			t.post(users, object{"schemas": []string{urnUser}, "nickName": "Nobody"}).is(http.StatusBadRequest).has("invalidValue", "scimType")
		}),
		must("create.empty-name", core+"4.1.1", "an empty userName is refused", func(t *trial) {
			t.post(users, object{"schemas": []string{urnUser}, "userName": ""}).refused()
		}),
		must("create.own-id", core+"3.1", "an id that the client sends is ignored", func(t *trial) {
			r := t.created(t.person(object{"id": t.ledger.prefix + "chosen"}))
			if r.text("id") == t.ledger.prefix+"chosen" {
				r.wrong("the client's id was taken")
			}
		}),
		must("create.own-meta", core+"3.1", "a meta that the client sends is ignored", func(t *trial) {
			r := t.created(t.person(object{"meta": object{"resourceType": "Sluice", "created": "1999-01-01T00:00:00Z"}}))
			if r.at("meta", "resourceType") == "Sluice" || r.at("meta", "created") != nil && r.instant("meta", "created").Before(time.Unix(1e9, 0)) {
				r.wrong("meta is %s", show(r.at("meta")))
			}
		}),
		must("create.own-groups", core+"4.1.2", "groups that the client sends are ignored: they are readOnly", func(t *trial) {
			r := t.created(t.person(object{"groups": []object{{"value": nobody}}}))
			t.fresh(r.made).lacks("groups")
		}),
	}
}

func creationValues() []Check {
	return []Check{
		must("create.multi-valued", core+"2.4", "values of a multi-valued attribute come back with type and primary", func(t *trial) {
			r := t.created(t.person(object{"emails": []object{{"value": "a@many.example", "type": "home"}, {"value": "b@many.example", "type": "work", "primary": true}}}))
			work := one(r.list("emails"), "value", "b@many.example")
			if len(r.list("emails")) != 2 || follow(work, "type") != "work" || follow(work, "primary") != true {
				r.wrong("emails is %s", show(r.at("emails")))
			}
		}),
		must("create.one-primary", core+"2.4", "of two primary values at most one is kept as such", func(t *trial) {
			r := t.post(users, t.person(object{"emails": []object{{"value": "a@two.example", "primary": true}, {"value": "b@two.example", "primary": true}}}))
			if !r.ok() {
				r.refused()
				return
			}
			primaries := 0
			each(r.at("emails"), func(e any) {
				if follow(e, "primary") == true {
					primaries++
				}
			})
			if primaries > 1 {
				r.wrong("%d values are primary", primaries)
			}
		}),
		must("create.null", core+"2.5", "null means that an attribute has no value", func(t *trial) {
			t.created(t.person(object{"title": nil})).lacks("title")
		}),
		must("create.empty-array", core+"2.5", "an empty array means that an attribute has no value", func(t *trial) {
			t.created(t.person(object{"phoneNumbers": []object{}})).lacks("phoneNumbers")
		}),
		must("create.name-case", core+"2.1", "attribute names are read without regard to case", func(t *trial) {
			r := t.created(t.person(object{"DISPLAYNAME": "Shouted"}))
			if s, _ := t.fresh(r.made).at("displayName").(string); s != "Shouted" {
				r.wrong("displayName is %q", s)
			}
		}),
		must("create.array-of-one", core+"2.4", "a multi-valued attribute with one value comes back as an array", func(t *trial) {
			t.created(t.person(object{"emails": []object{{"value": "one@only.example"}}})).list("emails")
		}),
		lenient("create.unknown-attribute", protocol+"3.3", "an attribute that no schema has does not refuse the person", func(t *trial) {
			t.post(users, t.person(object{"sluiceGate": "open"})).good()
		}),
		lenient("create.active-string", core+"2.3.2", `active sent as the string "True", as Entra does, is read as true`, func(t *trial) {
			t.post(users, t.person(object{"active": "True"})).good().has(true, "active")
		}),
		may("create.canonical", core+"7", "a type that is not among the canonical values is taken", func(t *trial) {
			r := t.post(users, t.person(object{"emails": []object{{"value": "x@lock.example", "type": "lockhouse"}}})).good()
			r.has("lockhouse", "emails", 0, "type")
		}),
		{ID: "create.extension", Severity: Must, Section: core + "3.3", needs: []feature{hasEnterprise},
			Expected: "attributes of the enterprise extension are kept under its URN, and schemas names it", try: func(t *trial) {
				r := t.created(t.person(object{"schemas": []string{urnUser, urnEnterprise}, urnEnterprise: object{"costCenter": "Lock 4"}}))
				r.has("Lock 4", urnEnterprise, "costCenter").urn(urnEnterprise)
			}},
		{ID: "create.extension-absent", Severity: May, Section: core + "3.3", needs: []feature{hasEnterprise},
			Expected: "an extension that is named in schemas and not sent, as Entra does, is legal", try: func(t *trial) {
				t.post(users, t.person(object{"schemas": []string{urnUser, urnEnterprise}})).good()
			}},
	}
}

func creationGroups() []Check {
	return needing(hasGroups,
		must("create.group", protocol+"3.3", "POST /Groups is answered 201 with the name that was sent", func(t *trial) {
			body := t.team()
			t.post(groups, body).is(http.StatusCreated).has(body["displayName"], "displayName")
		}),
		must("create.group-members", core+"4.2", "the members of a new group are those that were sent", func(t *trial) {
			u := t.user(nil)
			t.fresh(t.group(u)).members(u)
		}),
		must("create.group-meta", core+"3.1", "meta.resourceType of a group is Group", func(t *trial) {
			t.fresh(t.group()).has("Group", "meta", "resourceType")
		}),
		must("create.group-required", core+"4.2", "a group without displayName is refused", func(t *trial) {
			t.post(groups, object{"schemas": []string{urnGroup}, "externalId": t.ledger.prefix + "nameless"}).refused()
		}),
		should("create.group-member-reference", core+"4.2", "a member comes with $ref or type, which say what it is", func(t *trial) {
			r := t.fresh(t.people().keepers)
			each(r.at("members"), func(m any) {
				if follow(m, "$ref") == nil && follow(m, "type") == nil {
					r.wrong("a member is %s", show(m))
				}
			})
		}),
		should("create.user-groups", core+"4.1.2", "a person's groups name the group they are in", func(t *trial) {
			p := t.people()
			r := t.fresh(p.bo)
			if list, _ := r.at("groups").([]any); one(list, "value", p.keepers.id) == nil {
				r.wrong("groups is %s, without %s", show(r.at("groups")), p.keepers.id)
			}
		}),
	)
}

// members checks who is in a group, and nobody twice.
func (r *reply) members(want ...thing) *reply {
	list, _ := r.at("members").([]any)
	for _, w := range want {
		if one(list, "value", w.id) == nil {
			r.wrong("%s is not among the members %s", w.id, show(list))
		}
	}
	if len(list) != len(want) {
		r.wrong("there are %d members instead of %d: %s", len(list), len(want), show(list))
	}
	return r
}

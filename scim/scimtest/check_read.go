package scimtest

import (
	"net/http"
	"slices"
	"strings"
)

func reading() []Check {
	const at = protocol + "3.4.1"
	return []Check{
		must("read.by-id", at, "GET of a person is answered 200 with that person", func(t *trial) {
			u := t.user(nil)
			t.fresh(u).has(u.id, "id").has(u.name, "userName")
		}),
		must("read.unknown", at, "GET of an id that nobody has is answered 404", func(t *trial) {
			t.get(users + "/" + nobodyElse).is(http.StatusNotFound)
		}),
		must("read.same", at, "what GET answers is what POST answered", func(t *trial) {
			u := t.user(object{"displayName": "Same Twice", "externalId": t.ledger.prefix + "same"})
			for _, name := range []string{"displayName", "externalId"} {
				if sent, got := u.reply.at(name), t.fresh(u); !slices.Contains([]any{sent, nil}, got.at(name)) || sent != nil && got.at(name) == nil {
					got.wrong("%s is %s, and was %s", name, show(got.at(name)), show(sent))
				}
			}
		}),
		must("read.list", protocol+"3.4.2", "GET /Users is a ListResponse", func(t *trial) {
			t.people()
			t.get(users + "?count=2").listed()
		}),
		must("read.list-whole", protocol+"3.4.2", "each resource of a list has id and schemas", func(t *trial) {
			t.people()
			r := t.get(users + "?count=3")
			for i := range r.listed() {
				r.text("Resources", i, "id")
				if list, _ := r.at("Resources", i, "schemas").([]any); len(list) == 0 {
					r.wrong("resource %d has no schemas", i)
				}
			}
		}),
		may("read.group-list", protocol+"3.2", "GET /Groups is answered 200, also where groups are not used: Entra's connection test asks", func(t *trial) {
			t.get(groups + "?count=1").listed()
		}),
		must("read.unknown-group", at, "GET of a group that is not there is answered 404", func(t *trial) {
			t.get(groups + "/" + nobody).is(http.StatusNotFound)
		}),
		may("read.inactive", core+"4.1.1", "somebody inactive is still read, or an identity provider makes them again", func(t *trial) {
			t.fresh(t.people().bo).has(false, "active")
		}),
	}
}

func projections() []Check {
	const at = protocol + "3.4.2.5"
	return []Check{
		must("read.attributes", at, "attributes=userName leaves everything else out but what is always returned", func(t *trial) {
			ada := t.people().ada
			t.get(ada.at()+"?attributes=userName").is(http.StatusOK).has(ada.name, "userName").lacks("emails")
		}),
		must("read.attributes-id", at, "attributes never leaves out id", func(t *trial) {
			ada := t.people().ada
			t.get(ada.at()+"?attributes=title").is(http.StatusOK).has(ada.id, "id")
		}),
		must("read.attributes-schemas", core+"3", "attributes never leaves out schemas", func(t *trial) {
			t.get(t.people().ada.at() + "?attributes=displayName").is(http.StatusOK).urn(urnUser)
		}),
		must("read.excluded", at, "excludedAttributes=emails leaves them out, and nothing else", func(t *trial) {
			ada := t.people().ada
			t.get(ada.at()+"?excludedAttributes=emails").is(http.StatusOK).lacks("emails").has(ada.name, "userName")
		}),
		must("read.excluded-id", at, "excludedAttributes=id is ignored: id is always returned", func(t *trial) {
			ada := t.people().ada
			t.get(ada.at()+"?excludedAttributes=id").is(http.StatusOK).has(ada.id, "id")
		}),
		must("read.attributes-list", at, "attributes works on a list", func(t *trial) {
			t.needs(hasFilter)
			r := t.get(users + "?attributes=displayName&filter=" + query(`userName eq "`+t.people().ada.name+`"`))
			for i := range r.listed() {
				r.lacks("Resources", i, "emails").text("Resources", i, "id")
			}
		}),
		{ID: "read.group-without-members", Severity: Must, Section: at, needs: []feature{hasGroups},
			Expected: "excludedAttributes=members leaves a group's members out", try: func(t *trial) {
				k := t.people().keepers
				t.get(k.at()+"?excludedAttributes=members").is(http.StatusOK).lacks("members").has(k.name, "displayName")
			}},
		{ID: "read.group-list-without-members", Severity: Must, Section: at, needs: []feature{hasGroups},
			Expected: "excludedAttributes=members works on a list of groups", try: func(t *trial) {
				t.people()
				r := t.get(groups + "?excludedAttributes=members&count=5")
				for i := range r.listed() {
					r.lacks("Resources", i, "members")
				}
			}},
		should("read.create-attributes", protocol+"3.9", "attributes works on the answer to a POST", func(t *trial) {
			r := t.post(users+"?attributes=userName", t.person(object{"title": "Unseen"}))
			if r.made.id == "" {
				t.skip("POST /Users is answered %d", r.status)
			}
			r.lacks("title")
		}),
	}
}

func projectionSpellings() []Check {
	const at = protocol + "3.10"
	return []Check{
		must("read.attributes-sub", at, "attributes=name.givenName returns that sub-attribute and not its neighbour", func(t *trial) {
			t.get(t.people().ada.at()+"?attributes=name.givenName").is(http.StatusOK).has("Ada", "name", "givenName").lacks("name", "familyName")
		}),
		must("read.attributes-urn", at, "attributes takes a name with its schema's URN", func(t *trial) {
			ada := t.people().ada
			t.get(ada.at()+"?attributes="+query(urnUser+":userName")).is(http.StatusOK).has(ada.name, "userName").lacks("emails")
		}),
		must("read.attributes-case", core+"2.1", "attributes is read without regard to case", func(t *trial) {
			p := t.people()
			t.get(p.bo.at()+"?attributes=USERNAME").is(http.StatusOK).has(p.bo.name, "userName").lacks("name")
		}),
		must("read.attributes-several", at, "attributes takes several names, with a comma between", func(t *trial) {
			p := t.people()
			t.get(p.bo.at()+"?attributes=userName,active").is(http.StatusOK).has(p.bo.name, "userName").has(false, "active").lacks("name")
		}),
		{ID: "read.attributes-extension", Severity: Must, Section: at, needs: []feature{hasEnterprise},
			Expected: "attributes takes an attribute of an extension by its URN", try: func(t *trial) {
				p := t.people()
				t.get(p.ada.at()+"?attributes="+query(urnEnterprise+":department")).is(http.StatusOK).
					has(p.tag+"Locks", urnEnterprise, "department").lacks("emails")
			}},
		{ID: "read.attributes-extension-whole", Severity: Should, Section: at, needs: []feature{hasEnterprise},
			Expected: "attributes takes a whole extension by its URN", try: func(t *trial) {
				t.get(t.people().ada.at()+"?attributes="+query(urnEnterprise)).is(http.StatusOK).has("7001", urnEnterprise, "employeeNumber")
			}},
		{ID: "read.excluded-extension", Severity: Should, Section: at, needs: []feature{hasEnterprise},
			Expected: "excludedAttributes takes an attribute of an extension, and leaves its neighbours", try: func(t *trial) {
				t.get(t.people().ada.at()+"?excludedAttributes="+query(urnEnterprise+":department")).is(http.StatusOK).
					lacks(urnEnterprise, "department").has("7001", urnEnterprise, "employeeNumber")
			}},
	}
}

// needs skips the rest of a trial that a server's claims do not support.
func (t *trial) needs(f feature) {
	if !t.claims[f] {
		t.skip("the server does not claim %s", f)
	}
}

// find asks for people by a filter.
func (t *trial) find(filter string) *reply { return t.get(users + "?filter=" + query(filter)) }

// finds checks that a filter finds exactly these people.
func (t *trial) finds(filter string, want ...thing) *reply {
	r := t.find(filter)
	r.found(want...)
	return r
}

// found checks that a list holds exactly these.
func (r *reply) found(want ...thing) {
	list := r.listed()
	for _, w := range want {
		if one(list, "id", w.id) == nil {
			r.wrong("%s (%s) is not found", w.name, w.id)
		}
	}
	if len(list) != len(want) {
		r.wrong("%d are found instead of %d", len(list), len(want))
	}
	if n := r.integer("totalResults"); n != len(want) {
		r.wrong("totalResults is %d, and %d are there", n, len(want))
	}
}

// among is a filter that only looks at the cast.
func (t *trial) among(filter string) string {
	return `userName sw "` + strings.TrimSuffix(t.people().ada.name, "ada@check.example") + `" and ` + filter
}

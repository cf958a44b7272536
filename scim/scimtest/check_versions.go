package scimtest

import "net/http"

// oldTag is an entity tag that no server gave out.
const oldTag = `W/"scimtest-never"`

// tag is the version of a resource.
func (r *reply) tag() string {
	if r.header.Get("ETag") == "" {
		r.wrong("there is no ETag")
	}
	return r.header.Get("ETag")
}

func etags() []Check {
	const at = protocol + "3.14"
	return needing(hasETag,
		must("etag.get", at, "GET of a person has an ETag", func(t *trial) { t.fresh(t.people().cy).tag() }),
		should("etag.create", at, "the answer to a POST has an ETag", func(t *trial) { t.created(t.person(nil)).tag() }),
		must("etag.version", core+"3.1", "meta.version is the ETag", func(t *trial) {
			r := t.fresh(t.people().bo)
			r.has(r.tag(), "meta", "version")
		}),
		must("etag.changes", at, "a change gives another ETag", func(t *trial) {
			u := t.user(nil)
			was := t.fresh(u).tag()
			t.put(u.at(), whole(u, object{"displayName": "Another Version"})).good()
			if r := t.fresh(u); r.tag() == was {
				r.wrong("the ETag is %s still", was)
			}
		}),
		must("etag.stays", at, "without a change the ETag stays", func(t *trial) {
			u := t.user(nil)
			was := t.fresh(u).tag()
			if r := t.fresh(u); r.tag() != was {
				r.wrong("the ETag is %s, and was %s", r.tag(), was)
			}
		}),
		must("etag.not-modified", at, "If-None-Match with the ETag is answered 304", func(t *trial) {
			u := t.user(nil)
			t.get(u.at(), "If-None-Match: "+t.fresh(u).tag()).is(http.StatusNotModified)
		}),
		must("etag.modified", at, "If-None-Match with another ETag is answered 200", func(t *trial) {
			t.get(t.people().ada.at(), "If-None-Match: "+oldTag).is(http.StatusOK)
		}),
		Check{ID: "etag.group", Severity: Must, Section: at, needs: []feature{hasGroups},
			Expected: "a new member gives a group another ETag", try: func(t *trial) {
				t.needs(hasPatch)
				g, u := t.group(), t.user(nil)
				was := t.fresh(g).tag()
				t.patch(g, op("add", "members", refs(u))).good()
				if r := t.fresh(g); r.tag() == was {
					r.wrong("the ETag is %s still", was)
				}
			}},
	)
}

func etagGuards() []Check {
	const at = protocol + "3.14"
	return needing(hasETag,
		must("etag.put", at, "PUT with an old If-Match is answered 412, and changes nothing", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), whole(u, object{"displayName": "Too Late"}), "If-Match: "+oldTag).is(http.StatusPreconditionFailed)
			t.fresh(u).lacks("displayName")
		}),
		must("etag.delete", at, "DELETE with an old If-Match is answered 412, and removes nobody", func(t *trial) {
			u := t.user(nil)
			t.del(u.at(), "If-Match: "+oldTag).is(http.StatusPreconditionFailed)
			t.fresh(u)
		}),
		must("etag.put-current", at, "PUT with the current If-Match is done", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), whole(u, object{"displayName": "In Time"}), "If-Match: "+t.fresh(u).tag()).good()
		}),
		Check{ID: "etag.patch", Severity: Must, Section: at, needs: []feature{hasPatch},
			Expected: "PATCH with an old If-Match is answered 412, and changes nothing", try: func(t *trial) {
				u := t.user(nil)
				t.ask(http.MethodPatch, u.at(), patchBody(op("replace", "displayName", "Too Late As Well")), "If-Match: "+oldTag).is(http.StatusPreconditionFailed)
				t.fresh(u).lacks("displayName")
			}},
		Check{ID: "etag.patch-current", Severity: Must, Section: at, needs: []feature{hasPatch},
			Expected: "PATCH with the current If-Match is done", try: func(t *trial) {
				u := t.user(nil)
				t.ask(http.MethodPatch, u.at(), patchBody(op("replace", "displayName", "In Good Time")), "If-Match: "+t.fresh(u).tag()).good()
			}},
		must("etag.any", "RFC 9110 section 13.1.1", "If-Match: * holds for who is there", func(t *trial) {
			u := t.user(nil)
			t.put(u.at(), whole(u, object{"displayName": "Any Version"}), "If-Match: *").good()
		}),
	)
}

func concurrency() []Check {
	return []Check{
		must("concurrency.create", core+"4.1.1", "of eight identical POSTs at once one is answered 201 and no other is a success", func(t *trial) {
			body, made := t.person(nil), 0
			var last *reply
			for _, r := range t.together(parallel, func(int) (*reply, error) { return t.send(http.MethodPost, users, body) }) {
				if last = r; r.ok() {
					made++
				}
			}
			if made != 1 {
				last.wrong("%d of %d are a success", made, parallel)
			}
		}),
		{ID: "concurrency.members", Severity: Must, Section: "RFC 5789 section 2", needs: []feature{hasPatch, hasGroups},
			Expected: "of eight members added at once none is lost", try: func(t *trial) {
				g, all := t.group(), make([]thing, parallel)
				for i := range all {
					all[i] = t.user(nil)
				}
				t.together(parallel, func(i int) (*reply, error) {
					return t.insist(g, patchBody(op("add", "members", refs(all[i]))))
				})
				t.fresh(g).members(all...)
			}},
		{ID: "concurrency.attributes", Severity: Must, Section: "RFC 5789 section 2", needs: []feature{hasPatch},
			Expected: "of PATCHes of different attributes at once none is lost", try: func(t *trial) {
				u := t.user(nil)
				paths := []string{"displayName", "name.givenName", "name.familyName", "externalId"}
				t.together(len(paths), func(i int) (*reply, error) {
					return t.insist(u, patchBody(op("replace", paths[i], "At Once")))
				})
				t.fresh(u).has("At Once", "displayName").has("At Once", "name", "givenName").
					has("At Once", "name", "familyName").has("At Once", "externalId")
			}},
		must("concurrency.reads", protocol+"3.4.1", "eight GETs at once are all answered alike", func(t *trial) {
			u := t.user(nil)
			for _, r := range t.together(parallel, func(int) (*reply, error) { return t.send(http.MethodGet, u.at(), nil) }) {
				r.is(http.StatusOK).has(u.id, "id")
			}
		}),
	}
}

// insist repeats a PATCH that a server refused because of another at the same time,
// as clients must.
func (t *trial) insist(of thing, body object) (*reply, error) {
	for try := 0; ; try++ {
		r, err := t.send(http.MethodPatch, of.at(), body)
		if err != nil || try == 3 || r.status != http.StatusConflict && r.status != http.StatusPreconditionFailed && r.status != http.StatusServiceUnavailable {
			return r, err
		}
	}
}

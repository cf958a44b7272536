package scimtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// The checks of this file are tried only where ServiceProviderConfig claims the feature.

// sorted asks for the cast in an order, and checks it.
func (t *trial) sorted(parameters string, want ...thing) {
	r := t.page(parameters)
	var expected []any
	for _, w := range want {
		expected = append(expected, w.id)
	}
	if got := ids(r.listed()); got != show(expected) {
		r.wrong("the order is %s, not %s", got, show(expected))
	}
}

func sorting() []Check {
	const at = protocol + "3.4.2.3"
	return needing(hasSort,
		must("sort.ascending", at, "sortBy=userName puts people in ascending order, which is the default", func(t *trial) {
			p := t.people()
			t.sorted("sortBy=userName", p.ada, p.bo, p.cy)
		}),
		must("sort.descending", at, "sortOrder=descending turns it round", func(t *trial) {
			p := t.people()
			t.sorted("sortBy=userName&sortOrder=descending", p.cy, p.bo, p.ada)
		}),
		must("sort.said", at, "sortOrder=ascending is the same as the default", func(t *trial) {
			p := t.people()
			t.sorted("sortBy=userName&sortOrder=ascending", p.ada, p.bo, p.cy)
		}),
		must("sort.sub-attribute", at, "sortBy takes a sub-attribute", func(t *trial) {
			p := t.people()
			t.sorted("sortBy=name.givenName&sortOrder=descending", p.cy, p.bo, p.ada)
		}),
		must("sort.name-case", core+"2.1", "sortBy is read without regard to case", func(t *trial) {
			p := t.people()
			t.sorted("sortBy=USERNAME&sortOrder=descending", p.cy, p.bo, p.ada)
		}),
		must("sort.pages", at, "pages follow the order", func(t *trial) {
			p := t.people()
			t.sorted("sortBy=userName&sortOrder=descending&startIndex=2&count=1", p.bo)
		}),
		must("sort.absent", at, "who has no value comes last in ascending order", func(t *trial) {
			p := t.people()
			t.has("title")
			t.sorted("sortBy=title", p.ada, p.bo, p.cy)
		}),
	)
}

// batch sends a bulk request.
func (t *trial) batch(failOnErrors int, operations ...object) *reply {
	body := object{"schemas": []string{urnBulk}, "Operations": operations}
	if failOnErrors > 0 {
		body["failOnErrors"] = failOnErrors
	}
	return t.post(bulk, body)
}

func making(bulkID, path string, data object) object {
	return object{"method": http.MethodPost, "path": path, "bulkId": bulkID, "data": data}
}

func bulkChecks() []Check {
	const at = protocol + "3.7"
	return needing(hasBulk,
		must("bulk.answer", at, "POST /Bulk is answered 200 with a BulkResponse", func(t *trial) {
			t.batch(0, making("one", users, t.person(nil))).is(http.StatusOK).urn(urnBulkAnswer).list("Operations")
		}),
		must("bulk.status", at+".3", "each operation has its status as a string, and its bulkId", func(t *trial) {
			r := t.batch(0, making("first", users, t.person(nil)), making("second", users, t.person(nil))).is(http.StatusOK)
			for _, id := range []string{"first", "second"} {
				if done := one(r.list("Operations"), "bulkId", id); follow(done, "status") != "201" {
					r.wrong("the operation %s is answered %s", id, show(done))
				}
			}
		}),
		must("bulk.location", at+".3", "each resource that was made has its location, where it is found", func(t *trial) {
			r := t.batch(0, making("located", users, t.person(nil))).is(http.StatusOK)
			t.get(users + "/" + r.bulkMade("located")).is(http.StatusOK)
		}),
		must("bulk.reference", at+".2", "bulkId: in a value stands for a resource of the same request", func(t *trial) {
			t.needs(hasGroups)
			team := t.team()
			team["members"] = []object{{"value": "bulkId:member"}}
			r := t.batch(0, making("member", users, t.person(nil)), making("team", groups, team)).is(http.StatusOK)
			member, made := r.bulkMade("member"), r.bulkMade("team")
			t.get(groups + "/" + made).is(http.StatusOK).members(thing{id: member})
		}),
		must("bulk.change", at, "PUT, PATCH and DELETE stand in a bulk request as well", func(t *trial) {
			a, b, c := t.user(nil), t.user(nil), t.user(nil)
			t.batch(0, object{"method": http.MethodPut, "path": a.at(), "data": whole(a, object{"displayName": "Put In Bulk"})},
				object{"method": http.MethodPatch, "path": b.at(), "data": patchBody(op("replace", "displayName", "Patched In Bulk"))},
				object{"method": http.MethodDelete, "path": c.at()}).is(http.StatusOK)
			t.fresh(a).has("Put In Bulk", "displayName")
			t.fresh(b).has("Patched In Bulk", "displayName")
			t.get(c.at()).is(http.StatusNotFound)
		}),
		must("bulk.failure", at+".3", "a refused operation has its Error as response, and the others are done", func(t *trial) {
			u := t.user(nil)
			r := t.batch(0, making("taken", users, t.person(object{"userName": u.name})), making("free", users, t.person(nil))).is(http.StatusOK)
			taken, free := one(r.list("Operations"), "bulkId", "taken"), one(r.list("Operations"), "bulkId", "free")
			if follow(taken, "status") != "409" || follow(taken, "response", "schemas", 0) != urnError || follow(free, "status") != "201" {
				r.wrong("the operations are %s", show(r.at("Operations")))
			}
		}),
		must("bulk.fail-on-errors", at, "failOnErrors ends the request after as many errors", func(t *trial) {
			u := t.user(nil)
			r := t.batch(1, making("taken", users, t.person(object{"userName": u.name})), making("after", users, t.person(nil))).is(http.StatusOK)
			if after := one(r.list("Operations"), "bulkId", "after"); follow(after, "status") == "201" {
				r.wrong("the operation after the error was done")
			}
		}),
		must("bulk.limit", at+".4", "more than maxOperations are answered 413", func(t *trial) {
			n := t.limits.operations
			if n < 1 || n > 5000 {
				t.skip("maxOperations is %d", n)
			}
			operation := object{"method": http.MethodDelete, "path": users + "/" + nobody}
			t.batch(0, slices.Repeat([]object{operation}, n+1)...).is(http.StatusRequestEntityTooLarge)
		}),
		must("bulk.method", at, "a bulk request by GET is refused", func(t *trial) {
			if r := t.get(bulk); r.status != http.StatusNotImplemented {
				r.refused()
			}
		}),
	)
}

// bulkMade is the id of what an operation made.
func (r *reply) bulkMade(bulkID string) string {
	done := one(r.list("Operations"), "bulkId", bulkID)
	location, _ := follow(done, "location").(string)
	made := idAtEnd(location)
	if made == "" {
		r.wrong("the operation %s is answered %s, without a location", bulkID, show(done))
	}
	return made
}

func cursors() []Check {
	const at = cursorly + "2"
	return needing(hasCursor,
		must("cursor.first", at, "an empty cursor asks for the first page, which has a nextCursor if it is not the last", func(t *trial) {
			t.page("cursor&count=1").is(http.StatusOK).text("nextCursor")
		}),
		must("cursor.empty-value", at, "cursor= asks for the first page as well", func(t *trial) {
			t.page("cursor=&count=2").is(http.StatusOK).text("nextCursor")
		}),
		must("cursor.walk", at, "page by page everybody comes once", func(t *trial) {
			r, seen := t.walk(1)
			if len(seen) != 3 {
				r.wrong("the walk shows %d people instead of 3", len(seen))
			}
		}),
		must("cursor.last", at, "the last page has no nextCursor", func(t *trial) {
			t.page("cursor=&count=3").is(http.StatusOK).lacks("nextCursor")
		}),
		must("cursor.first-previous", at, "the first page has no previousCursor", func(t *trial) {
			t.page("count=1&cursor=").is(http.StatusOK).lacks("previousCursor")
		}),
		must("cursor.characters", at, "a cursor is made of unreserved characters", func(t *trial) {
			r := t.page("count=2&cursor").is(http.StatusOK)
			if next := r.text("nextCursor"); url.QueryEscape(next) != next {
				r.wrong("the nextCursor is %q", clip(next, 100))
			}
		}),
		must("cursor.invalid", cursorly+"2.1", "a cursor that was never given out is answered 400 with the scimType invalidCursor", func(t *trial) {
			t.page("count=2&cursor=scimtest-never").is(http.StatusBadRequest).has("invalidCursor", "scimType")
		}),
		must("cursor.negative-count", at, "a negative count is read as 0", func(t *trial) {
			r := t.page("cursor=&count=-1")
			if n := len(r.listed()); n != 0 {
				r.wrong("%d resources are there", n)
			}
		}),
		must("cursor.count", at, "no page holds more than count", func(t *trial) {
			r := t.page("cursor&count=2")
			if list, _ := r.is(http.StatusOK).at("Resources").([]any); len(list) > 2 {
				r.wrong("%d resources are there", len(list))
			}
		}),
	)
}

// walk follows nextCursor to the end, ten pages at most.
func (t *trial) walk(count int) (last *reply, seen map[any]bool) {
	seen = map[any]bool{}
	cursor := ""
	for range 10 {
		last = t.page(fmt.Sprintf("count=%d&cursor=%s", count, url.QueryEscape(cursor))).is(http.StatusOK)
		each(last.at("Resources"), func(v any) {
			if seen[follow(v, "id")] {
				last.wrong("%s comes twice", show(follow(v, "id")))
			}
			seen[follow(v, "id")] = true
		})
		next, more := last.at("nextCursor").(string)
		if !more || next == "" {
			return last, seen
		}
		cursor = next
	}
	last.wrong("the walk does not end")
	return last, seen
}

package scimtest

import (
	"net/http"
	"strconv"
)

// page asks for the cast with paging parameters.
func (t *trial) page(parameters string) *reply {
	t.needs(hasFilter)
	tag := t.people().tag
	return t.get(users + "?filter=" + query(`userName sw "`+tag+`cast-"`) + "&" + parameters)
}

func paging() []Check {
	const at = protocol + "3.4.2.4"
	return needing(hasIndex,
		must("paging.count", at, "count=1 answers with one", func(t *trial) {
			r := t.page("count=1")
			if n := len(r.listed()); n != 1 {
				r.wrong("%d resources are there", n)
			}
		}),
		must("paging.total", at, "totalResults counts all that match, not those of the page", func(t *trial) {
			r := t.page("startIndex=1&count=1")
			r.listed()
			r.has(3, "totalResults")
		}),
		must("paging.items", at, "itemsPerPage is how many are there", func(t *trial) {
			r := t.page("startIndex=1&count=2")
			r.has(len(r.listed()), "itemsPerPage")
		}),
		must("paging.start", at, "startIndex=2 begins at the second", func(t *trial) {
			all := t.page("count=3&startIndex=1").listed()
			r := t.page("startIndex=2&count=2")
			if list := r.listed(); len(all) != 3 || len(list) != 2 || follow(list[0], "id") != follow(all[1], "id") {
				r.wrong("the page is %s, of %s", ids(list), ids(all))
			}
		}),
		must("paging.echo", at, "startIndex comes back", func(t *trial) { t.page("startIndex=3&count=1").is(http.StatusOK).has(3, "startIndex") }),
		must("paging.zero", at, "count=0 answers with the total and nobody", func(t *trial) {
			r := t.page("count=0")
			if n := len(r.listed()); n != 0 {
				r.wrong("%d resources are there", n)
			}
			r.has(3, "totalResults")
		}),
		must("paging.walk", at, "page by page everybody comes once", func(t *trial) {
			seen := map[any]bool{}
			var r *reply
			for i := 1; i <= 3; i++ {
				r = t.page("count=1&startIndex=" + strconv.Itoa(i))
				each(r.at("Resources"), func(v any) { seen[follow(v, "id")] = true })
			}
			if len(seen) != 3 {
				r.wrong("three pages of one show %d people", len(seen))
			}
		}),
		should("paging.stable", at, "the same page twice holds the same people", func(t *trial) {
			first := t.page("count=2").listed()
			r := t.page("count=2")
			if second := r.listed(); ids(first) != ids(second) {
				r.wrong("the page is %s, and was %s", ids(second), ids(first))
			}
		}),
	)
}

// ids is which resources a list holds, in order.
func ids(list []any) string {
	var all []any
	for _, v := range list {
		all = append(all, follow(v, "id"))
	}
	return show(all)
}

func pagingEdges() []Check {
	const at = protocol + "3.4.2.4"
	return needing(hasIndex,
		must("paging.negative-count", at, "a negative count is read as 0", func(t *trial) {
			r := t.page("count=-3")
			if n := len(r.listed()); n != 0 {
				r.wrong("%d resources are there", n)
			}
		}),
		must("paging.start-zero", at, "startIndex=0 is read as 1", func(t *trial) {
			r := t.page("startIndex=0&count=3")
			if n := len(r.listed()); n != 3 {
				r.wrong("%d resources are there", n)
			}
		}),
		must("paging.start-negative", at, "a negative startIndex is read as 1", func(t *trial) {
			r := t.page("startIndex=-7&count=3")
			if n := len(r.listed()); n != 3 {
				r.wrong("%d resources are there", n)
			}
		}),
		should("paging.beyond", at, "a page past the end is empty, and not an error", func(t *trial) {
			r := t.page("startIndex=500&count=3")
			if n := len(r.listed()); n != 0 {
				r.wrong("%d resources are there", n)
			}
		}),
		must("paging.large", at, "a count beyond what the server gives is lowered, not refused", func(t *trial) {
			t.page("count=100000").listed()
		}),
		should("paging.limit", core+"5", "no page is larger than filter.maxResults", func(t *trial) {
			if t.people(); t.limits.results < 1 {
				t.skip("the server does not say maxResults")
			}
			r := t.get(users + "?attributes=id&count=" + strconv.Itoa(t.limits.results+50))
			if n := len(r.listed()); n > t.limits.results {
				r.wrong("%d resources are there, and maxResults is %d", n, t.limits.results)
			}
		}),
		should("paging.nonsense", protocol+"3.12", "a count that is no number is answered 400", func(t *trial) {
			t.page("count=many").is(http.StatusBadRequest)
		}),
		should("paging.nonsense-start", protocol+"3.12", "a startIndex that is no number is answered 400", func(t *trial) {
			t.page("startIndex=first").is(http.StatusBadRequest)
		}),
		must("paging.groups", at, "groups are paged as well", func(t *trial) {
			t.needs(hasGroups)
			t.people()
			r := t.get(groups + "?startIndex=1&count=1")
			if n := len(r.listed()); n > 1 {
				r.wrong("%d resources are there", n)
			}
		}),
	)
}

// searched asks by POST; a server that does not offer it is not to blame.
func (t *trial) searched(target string, body object) *reply {
	t.needs(hasFilter)
	body["schemas"] = []string{urnSearch}
	r := t.post(target, body)
	switch r.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		t.skip("the server does not offer POST %s", target)
	}
	return r
}

func searching() []Check {
	const at = protocol + "3.4.3"
	return []Check{
		must("search.users", at, "POST /Users/.search finds as GET does", func(t *trial) {
			p := t.people()
			t.searched("/Users/.search", object{"filter": `userName eq "` + p.bo.name + `"`}).found(p.bo)
		}),
		must("search.root", at, "POST /.search finds people and groups alike", func(t *trial) {
			p := t.people()
			t.searched("/.search", object{"filter": `id eq "` + p.cy.id + `"`}).found(p.cy)
		}),
		must("search.attributes", at, "attributes is an array there", func(t *trial) {
			p := t.people()
			r := t.searched("/Users/.search", object{"filter": `userName eq "` + p.ada.name + `"`, "attributes": []string{"userName"}})
			r.found(p.ada)
			r.lacks("Resources", 0, "emails")
		}),
		must("search.paging", at, "startIndex and count work there", func(t *trial) {
			p := t.people()
			r := t.searched("/Users/.search", object{"filter": `userName sw "` + p.tag + `cast-"`, "startIndex": 2, "count": 1})
			if n := len(r.listed()); n != 1 {
				r.wrong("%d resources are there", n)
			}
			r.has(3, "totalResults").has(2, "startIndex")
		}),
	}
}

package scimtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

func discoveryConfig() []Check {
	const at = core + "5"
	first := must("discovery.config", protocol+"4", "GET /ServiceProviderConfig is answered 200 with a JSON object", func(t *trial) {
		if !isObject(t.config.is(http.StatusOK)) {
			t.config.wrong("the body is not a JSON object")
		}
	})
	return append([]Check{first}, needing(hasConfig,
		must("discovery.config-schemas", at, "schemas names the ServiceProviderConfig schema", func(t *trial) { t.config.urn(urnConfig) }),
		must("discovery.config-features", at, "patch, bulk, filter, changePassword, sort and etag each say supported, true or false", func(t *trial) {
			for _, name := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
				t.config.boolean(name, "supported")
			}
		}),
		must("discovery.config-limits", at, "bulk says maxOperations and maxPayloadSize, filter says maxResults, as integers", func(t *trial) {
			t.config.integer("bulk", "maxOperations")
			t.config.integer("bulk", "maxPayloadSize")
			t.config.integer("filter", "maxResults")
		}),
		must("discovery.config-authentication", at, "each of authenticationSchemes has type, name and description", func(t *trial) {
			for i := range t.config.list("authenticationSchemes") {
				for _, name := range []string{"type", "name", "description"} {
					t.config.text("authenticationSchemes", i, name)
				}
			}
		}),
		should("discovery.config-meta", core+"3.1", "meta has the resourceType ServiceProviderConfig", func(t *trial) {
			t.config.has("ServiceProviderConfig", "meta", "resourceType")
		}),
		Check{ID: "discovery.config-pagination", Severity: Must, Section: cursorly + "4", needs: []feature{hasPagination},
			Expected: "pagination says cursor and index, true or false", try: func(t *trial) {
				t.config.boolean("pagination", "cursor")
				t.config.boolean("pagination", "index")
			}},
		Check{ID: "discovery.config-default-method", Severity: Should, Section: cursorly + "2.4", needs: []feature{hasCursor, hasIndex},
			Expected: "a server that pages in both ways says which is the default", try: func(t *trial) {
				if s := t.config.text("pagination", "defaultPaginationMethod"); s != "cursor" && s != "index" {
					t.config.wrong("defaultPaginationMethod is %q, not cursor or index", s)
				}
			}},
	)...)
}

func discoveryTypes() []Check {
	const at = core + "6"
	return []Check{
		must("discovery.types", protocol+"4", "GET /ResourceTypes is a ListResponse", func(t *trial) { t.get("/ResourceTypes").listed() }),
		must("discovery.types-fields", at, "each resource type has name, endpoint and schema", func(t *trial) {
			r, list := t.catalogue("/ResourceTypes")
			for i := range list {
				for _, name := range []string{"name", "endpoint", "schema"} {
					r.text("Resources", i, name)
				}
			}
		}),
		must("discovery.types-user", at, "one resource type has the endpoint /Users and the schema of User", func(t *trial) {
			r, list := t.catalogue("/ResourceTypes")
			if one(list, "schema", urnUser) == nil {
				r.wrong("no resource type has the schema %s", urnUser)
			}
			if endpoint, _ := follow(one(list, "schema", urnUser), "endpoint").(string); !strings.HasSuffix(endpoint, users) {
				r.wrong("its endpoint is %q", endpoint)
			}
		}),
		should("discovery.types-by-name", protocol+"4", "GET /ResourceTypes/User is that one resource type", func(t *trial) {
			t.get("/ResourceTypes/User").is(http.StatusOK).has("User", "name")
		}),
		should("discovery.types-meta", core+"3.1", "each resource type's meta has the resourceType ResourceType", func(t *trial) {
			r, list := t.catalogue("/ResourceTypes")
			for i := range list {
				r.has("ResourceType", "Resources", i, "meta", "resourceType")
			}
		}),
		should("discovery.types-extensions", at, "each of schemaExtensions has a schema and says required, true or false", func(t *trial) {
			r, list := t.catalogue("/ResourceTypes")
			for i, v := range list {
				extensions, _ := follow(v, "schemaExtensions").([]any)
				for j := range extensions {
					r.text("Resources", i, "schemaExtensions", j, "schema")
					r.boolean("Resources", i, "schemaExtensions", j, "required")
				}
			}
		}),
	}
}

func discoverySchemas() []Check {
	return []Check{
		must("discovery.schemas", protocol+"4", "GET /Schemas is a ListResponse", func(t *trial) { t.get("/Schemas").listed() }),
		should("discovery.schemas-complete", protocol+"4", "every schema that a resource type names is in /Schemas", (*trial).schemasComplete),
		must("discovery.schema-by-urn", protocol+"4", "GET /Schemas/{URN of User} is that one schema", func(t *trial) {
			t.get("/Schemas/"+urnUser).is(http.StatusOK).has(urnUser, "id")
		}),
		must("discovery.schema-unknown", protocol+"3.12", "GET /Schemas/{unknown URN} is answered 404", func(t *trial) {
			t.get("/Schemas/urn:example:no:such:schema").is(http.StatusNotFound)
		}),
		must("discovery.schema-attributes", core+"7", "type, mutability, returned and uniqueness of each attribute are words of the RFC", (*trial).characteristics),
		must("discovery.schema-user-name", core+"4.1.1", "userName is listed as required and unique on the server", func(t *trial) {
			r, list := t.catalogue("/Schemas")
			attributes, _ := follow(one(list, "id", urnUser), "attributes").([]any)
			name := one(attributes, "name", "userName")
			if follow(name, "required") != true || !slices.Contains([]any{"server", "global"}, follow(name, "uniqueness")) {
				r.wrong("userName is described as %s", show(name))
			}
		}),
		should("discovery.schema-sub-attributes", core+"7", "every complex attribute lists its subAttributes", func(t *trial) {
			r, list := t.catalogue("/Schemas")
			for _, s := range list {
				each(follow(s, "attributes"), func(a any) {
					if sub, _ := follow(a, "subAttributes").([]any); follow(a, "type") == "complex" && len(sub) == 0 {
						r.wrong("%s is complex and lists none", show(follow(a, "name")))
					}
				})
			}
		}),
		should("discovery.schemas-filter", protocol+"4", "a filter on /Schemas is answered 403", func(t *trial) {
			t.get("/Schemas?filter=" + query(`name eq "User"`)).is(http.StatusForbidden)
		}),
		should("discovery.types-filter", protocol+"4", "a filter on /ResourceTypes is answered 403", func(t *trial) {
			t.get("/ResourceTypes?filter=" + query(`name eq "User"`)).is(http.StatusForbidden)
		}),
		must("discovery.schemas-paging", protocol+"4", "paging parameters on /Schemas are ignored", func(t *trial) {
			_, all := t.catalogue("/Schemas")
			r, list := t.catalogue("/Schemas?startIndex=2&count=1")
			if len(list) != len(all) {
				r.wrong("%d schemas are there instead of %d", len(list), len(all))
			}
		}),
		must("discovery.read-only", protocol+"4", "POST /Schemas is refused", func(t *trial) {
			if r := t.post("/Schemas", object{}); r.status != http.StatusNotImplemented {
				r.refused()
			}
		}),
	}
}

// catalogue is one of the discovery lists, for the checks of what stands in it.
func (t *trial) catalogue(target string) (*reply, []any) {
	r := t.get(target)
	list, ok := resourcesOf(r)
	if !ok {
		t.skip("%s is not a list", target)
	}
	return r, list
}

func (t *trial) schemasComplete() {
	_, types := t.catalogue("/ResourceTypes")
	r, list := t.catalogue("/Schemas")
	for _, v := range types {
		wanted := []any{follow(v, "schema")}
		each(follow(v, "schemaExtensions"), func(e any) { wanted = append(wanted, follow(e, "schema")) })
		for _, w := range wanted {
			if s, ok := w.(string); ok && one(list, "id", s) == nil {
				r.wrong("%s is not there", s)
			}
		}
	}
}

// characteristics walks every attribute of every schema (RFC 7643 section 7).
func (t *trial) characteristics() {
	words := map[string][]string{
		"type":       {"string", "boolean", "decimal", "integer", "dateTime", "reference", "complex", "binary"},
		"mutability": {"readOnly", "readWrite", "immutable", "writeOnly"},
		"returned":   {"always", "never", "default", "request"},
		"uniqueness": {"none", "server", "global"},
	}
	r, list := t.catalogue("/Schemas")
	var walk func(a any)
	walk = func(a any) {
		for name, allowed := range words {
			word, there := follow(a, name).(string)
			if !there && name != "type" {
				continue // the RFC gives a default
			}
			if !slices.ContainsFunc(allowed, func(w string) bool { return strings.EqualFold(w, word) }) {
				r.wrong("%s has the %s %q", show(follow(a, "name")), name, word)
			}
		}
		each(follow(a, "subAttributes"), walk)
	}
	for _, s := range list {
		each(follow(s, "attributes"), walk)
	}
}

// each calls do for every element, if it is a list.
func each(v any, do func(any)) {
	list, _ := v.([]any)
	for _, e := range list {
		do(e)
	}
}

// listed checks that a reply is a ListResponse, and gives its resources.
func (r *reply) listed() []any {
	r.is(http.StatusOK).urn(urnList)
	if n, more := r.integer("totalResults"), r.at("Resources"); n > 0 && more == nil {
		r.wrong("totalResults is %d, and there are no Resources", n)
	}
	list, _ := r.at("Resources").([]any)
	return list
}

// boolean is true or false in the body.
func (r *reply) boolean(path ...any) bool {
	b, ok := r.at(path...).(bool)
	if !ok {
		r.wrong("%s is %s, not true or false", spell(path), show(r.at(path...)))
	}
	return b
}

// instant is a DateTime of the body (RFC 7643 section 2.3.5).
func (r *reply) instant(path ...any) time.Time {
	at, err := time.Parse(time.RFC3339Nano, r.text(path...))
	if err != nil {
		r.wrong("%s is %s, not a dateTime with a zone", spell(path), show(r.at(path...)))
	}
	return at
}

// number is an integer as it came from JSON; 0 for anything else.
func number(v any) int {
	n, ok := v.(json.Number)
	i, err := n.Int64()
	if !ok || err != nil {
		return 0
	}
	return int(i)
}

package scimtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// feature is a part of the protocol that a server may leave out.
type feature string

const (
	hasConfig     feature = "a ServiceProviderConfig"
	hasPatch      feature = "patch"
	hasFilter     feature = "filter"
	hasSort       feature = "sort"
	hasETag       feature = "etag"
	hasBulk       feature = "bulk"
	hasPagination feature = "a pagination object"
	hasCursor     feature = "cursor pagination"
	hasIndex      feature = "index pagination"
	hasGroups     feature = "groups"
	hasEnterprise feature = "the enterprise extension"
)

// limits are the numbers of the server's configuration; 0 if it says none.
type limits struct {
	operations int // of one bulk request
	results    int // of one page
}

const (
	urnUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	urnConfig     = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	urnList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	urnPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	urnError      = "urn:ietf:params:scim:api:messages:2.0:Error"
	urnBulk       = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	urnBulkAnswer = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	urnSearch     = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
)

// learn finds out whether a SCIM server answers, whether the token opens it, and
// what it claims to do.
func (r *run) learn(ctx context.Context) error {
	t := &trial{run: r, ctx: ctx}
	people, err := t.send(http.MethodGet, "/Users?count=1", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if people.status == http.StatusUnauthorized || people.status == http.StatusForbidden {
		return fmt.Errorf("%w: GET /Users is answered %d", ErrRefused, people.status)
	}
	if r.config, err = t.send(http.MethodGet, "/ServiceProviderConfig", nil); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if _, bad := decode(people.body); bad != nil && !isObject(r.config) {
		return fmt.Errorf("%w: GET /Users is answered %d without JSON, and there is no ServiceProviderConfig", ErrUnreachable, people.status)
	}
	r.claims = map[feature]bool{hasPatch: true, hasFilter: true, hasIndex: true, hasGroups: true, hasEnterprise: true}
	if r.config.ok() && isObject(r.config) {
		r.readConfig()
	}
	return r.readTypes(t)
}

// isObject reports whether an answer's body is a JSON object.
func isObject(r *reply) bool {
	v, err := decode(r.body)
	_, ok := v.(map[string]any)
	return err == nil && ok
}

func (r *run) readConfig() {
	r.claims[hasConfig] = true
	for f, name := range map[feature]string{hasPatch: "patch", hasFilter: "filter", hasSort: "sort", hasETag: "etag", hasBulk: "bulk"} {
		r.claims[f] = r.config.at(name, "supported") == true
	}
	r.claims[hasPagination] = r.config.at("pagination") != nil
	r.claims[hasCursor] = r.config.at("pagination", "cursor") == true
	r.claims[hasIndex] = r.config.at("pagination", "index") != false
	r.limits = limits{operations: number(r.config.at("bulk", "maxOperations")), results: number(r.config.at("filter", "maxResults"))}
}

// readTypes asks which resources there are, and what people have. What cannot be
// read is taken to be there: the checks of discovery say that it cannot be read.
func (r *run) readTypes(t *trial) error {
	types, err := t.send(http.MethodGet, "/ResourceTypes", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	kinds, ok := resourcesOf(types)
	if ok {
		r.claims[hasGroups] = one(kinds, "endpoint", "/Groups") != nil
		user := one(kinds, "schema", urnUser)
		extensions, _ := follow(user, "schemaExtensions").([]any)
		r.claims[hasEnterprise] = user == nil || one(extensions, "schema", urnEnterprise) != nil
	}
	schemas, err := t.send(http.MethodGet, "/Schemas", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	list, _ := resourcesOf(schemas)
	r.readRequired(kinds, list)
	if attributes, ok := follow(one(list, "id", urnUser), "attributes").([]any); ok {
		r.known = map[string]bool{}
		for _, a := range attributes {
			name, _ := follow(a, "name").(string)
			r.known[strings.ToLower(name)] = true
		}
	}
	return nil
}

// resourcesOf are the resources of a list answer, if it is one.
func resourcesOf(r *reply) ([]any, bool) {
	if !r.ok() || !isObject(r) {
		return nil, false
	}
	list, ok := r.at("Resources").([]any)
	return list, ok
}

// one is the first of a list whose member is this text; nil if there is none.
func one(list []any, name, want string) any {
	for _, v := range list {
		if s, ok := follow(v, name).(string); ok && strings.EqualFold(s, want) {
			return v
		}
	}
	return nil
}

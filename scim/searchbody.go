package scim

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// urnSearch is the schema of searches (RFC 7644 section 3.4.3).
const urnSearch = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// searchMembers are the members of a search, by their canonical names.
var searchMembers = [...]string{"schemas", "attributes", "excludedAttributes", "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"}

// parseSearch reads the body of a search: what parseQuery reads of an address, as
// JSON. A member that is null is not there; one that nobody knows is dropped and
// noted, or refused where the connection is strict. Errors are *schema.Error or
// *Error.
func parseSearch(body []byte, l schema.Leniency) (queryText, schema.Notes, error) {
	q := noQuery()
	if err := schema.Guard(body); err != nil {
		return q, nil, err
	}
	raw, err := schema.Read(body, nil)
	if err != nil {
		return q, nil, err
	}
	fields, ok := raw.(schema.Fields)
	if !ok {
		return q, nil, schema.Errorf(schema.InvalidSyntax, "", "the body is a JSON object")
	}
	var notes schema.Notes
	if err := searchSchema(fields, l, &notes); err != nil {
		return q, nil, err
	}
	for _, f := range fields {
		if err := q.member(f, l, &notes); err != nil {
			return q, nil, err
		}
	}
	return q, notes, q.finish()
}

func searchSchema(fields schema.Fields, l schema.Leniency, notes *schema.Notes) error {
	raw, _ := fields.Get("schemas")
	list, _ := raw.([]schema.Raw)
	for _, urn := range list {
		if s, ok := urn.(string); ok && strings.EqualFold(s, urnSearch) {
			return nil
		}
	}
	if !l.UnknownSchemas {
		return schema.Errorf(schema.InvalidSyntax, "schemas", "%s is missing", urnSearch)
	}
	notes.Add(schema.NoteUnknownSchema, urnSearch)
	return nil
}

// member reads one member of the body.
func (q *queryText) member(f schema.Field, l schema.Leniency, notes *schema.Notes) error {
	name := ""
	for _, known := range searchMembers {
		if strings.EqualFold(f.Name, known) {
			name = known
		}
	}
	switch {
	case name == "" && !l.UnknownNames:
		return schema.Errorf(schema.InvalidSyntax, schema.Clip(f.Name), "a search has no member of this name")
	case name == "":
		notes.Add(schema.NoteUnknownName, f.Name)
		return nil
	case name == "schemas", f.Value == nil:
		return nil
	}
	if list, ok := f.Value.([]schema.Raw); ok && len(list) == 0 {
		return nil // RFC 7643 section 2.5: an empty array is no value
	}
	text, err := searchText(name, f.Value)
	if err != nil {
		return err
	}
	return q.set(name, text)
}

// searchText is a member's value as an address would have it.
func searchText(name string, value schema.Raw) (string, error) {
	switch name {
	case "startIndex", "count":
		if n, ok := value.(schema.Number); ok {
			return string(n), nil
		}
		return "", schema.Errorf(schema.InvalidValue, name, "an integer is expected")
	case "attributes", "excludedAttributes":
		list, ok := value.([]schema.Raw)
		names := make([]string, 0, len(list))
		for _, item := range list {
			one, isText := item.(string)
			ok = ok && isText
			names = append(names, one)
		}
		if !ok {
			return "", schema.Errorf(schema.InvalidValue, name, "an array of attribute names is expected")
		}
		return strings.Join(names, ","), nil
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	return "", schema.Errorf(schema.InvalidValue, name, "a string is expected")
}

package scimtest

import (
	"maps"
	"slices"
	"strings"
)

// required is what resources must have on this server beyond what every check sends,
// as its own discovery says: attributes by name, extensions by URN. Checks that leave
// out a name on purpose are not given one.
type required map[string]object // by collection

// readRequired learns it from the resource types and schemas.
func (r *run) readRequired(types, schemas []any) {
	r.required = required{}
	for collection, urn := range map[string]string{users: urnUser, groups: urnGroup} {
		needed := object{}
		for _, a := range requiredOf(one(schemas, "id", urn)) {
			if name, _ := follow(a, "name").(string); !strings.EqualFold(name, nameOf[collection]) {
				needed[name] = sample(a)
			}
		}
		extensions, _ := follow(one(types, "schema", urn), "schemaExtensions").([]any)
		for _, e := range extensions {
			urn, _ := follow(e, "schema").(string)
			if follow(e, "required") == true {
				needed[urn] = sampleOf(one(schemas, "id", urn))
			}
		}
		r.required[collection] = needed
	}
}

// requiredOf are the attributes of a schema that a client must send.
func requiredOf(schema any) []any {
	attributes, _ := follow(schema, "attributes").([]any)
	return slices.DeleteFunc(slices.Clone(attributes), func(a any) bool {
		return follow(a, "required") != true || follow(a, "mutability") == "readOnly"
	})
}

// sampleOf is an extension with what it requires, or else with something: one that is
// empty is not there.
func sampleOf(schema any) object {
	o := object{}
	for _, a := range requiredOf(schema) {
		name, _ := follow(a, "name").(string)
		o[name] = sample(a)
	}
	attributes, _ := follow(schema, "attributes").([]any)
	for _, a := range attributes {
		if name, _ := follow(a, "name").(string); len(o) == 0 && follow(a, "mutability") != "readOnly" {
			o[name] = sample(a)
		}
	}
	return o
}

// sample is a value of an attribute's type.
func sample(attribute any) any {
	v := single(attribute)
	if follow(attribute, "multiValued") == true {
		return []any{v}
	}
	return v
}

func single(attribute any) any {
	switch follow(attribute, "type") {
	case "boolean":
		return true
	case "integer":
		return 1
	case "decimal":
		return 1.5
	case "dateTime":
		return "2027-01-31T12:00:00Z"
	case "binary":
		return "c2x1aWNl"
	case "reference":
		return "https://check.example/sluice"
	case "complex":
		subs, _ := follow(attribute, "subAttributes").([]any)
		return sampleOf(object{"attributes": subs})
	}
	if usual, _ := follow(attribute, "canonicalValues").([]any); len(usual) > 0 {
		return usual[0]
	}
	return "sluice"
}

// completed is the body of a POST or PUT with what the server requires added to what
// the check sends, also inside a bulk request. The body itself stays as it is.
func (r *run) completed(target string, body object) object {
	address := collectionOf(target)
	operations, ok := body["Operations"].([]object)
	if address != bulk || !ok {
		collection, item, _ := strings.Cut(strings.TrimPrefix(address, "/"), "/")
		if item == ".search" {
			return body
		}
		return r.required.added("/"+collection, body)
	}
	body, operations = maps.Clone(body), slices.Clone(operations)
	for i, o := range operations {
		data, isObject := o["data"].(object)
		path, _ := o["path"].(string)
		if isObject && o["method"] != "PATCH" {
			operations[i] = maps.Clone(o)
			operations[i]["data"] = r.completed(path, data)
		}
	}
	body["Operations"] = operations
	return body
}

func (q required) added(collection string, body object) object {
	if len(q[collection]) == 0 {
		return body
	}
	body = maps.Clone(body)
	for name, v := range q[collection] {
		if _, said := body[name]; said {
			continue
		}
		body[name] = v
		if listed, ok := body["schemas"].([]string); ok && strings.HasPrefix(name, "urn:") && !slices.Contains(listed, name) {
			body["schemas"] = append(slices.Clone(listed), name)
		}
	}
	return body
}

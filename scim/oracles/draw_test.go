//go:build lanes

package oracles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// words are near misses of each other.
var words = []string{"ada", "Ada", "ADA", "ad", "bob", "bobada", "Ångström", "ångström", "work", "home", "Work", `q"q`, `b\b`, "x y", "7", "Å"}

// instants are equal, near each other, and written in several ways.
var instants = []string{"2026-11-21T09:00:00Z", "2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00.5Z", "2026-11-21T09:00:00.500Z", "2026-11-20T23:59:59Z", "2026-11-21T00:30:00-10:00"}

func (d draw) element() schema.Object {
	o := schema.Object{"value": pick(d, words...)}
	if !d.oneIn(4) {
		o["type"] = pick(d, "work", "home", "Work")
	}
	if d.oneIn(3) {
		o["display"] = pick(d, words...)
	}
	if d.oneIn(4) {
		o["primary"] = false
	}
	return o
}

func (d draw) elements() any {
	list := []any{}
	for range d.IntN(4) {
		list = append(list, d.element())
	}
	if len(list) == 0 {
		return nil
	}
	if d.oneIn(2) {
		list[d.IntN(len(list))].(schema.Object)["primary"] = true
	}
	return list
}

// person is a user as answers show it.
func (d draw) person() schema.Object {
	doc := schema.Object{"id": pick(d, "per_1", "per_2"), "userName": pick(d, words...), "active": d.oneIn(2)}
	for _, name := range []string{"externalId", "title", "nickName", "displayName"} {
		if d.oneIn(2) {
			doc[name] = pick(d, words...)
		}
	}
	name := schema.Object{}
	for _, part := range []string{"givenName", "familyName"} {
		if d.oneIn(2) {
			name[part] = pick(d, words...)
		}
	}
	extension := schema.Object{}
	for _, part := range []string{"department", "employeeNumber"} {
		if d.oneIn(2) {
			extension[part] = pick(d, words...)
		}
	}
	if d.oneIn(3) {
		extension["manager"] = schema.Object{"value": pick(d, "per_1", "per_2")}
	}
	for name, o := range map[string]schema.Object{"name": name, schema.EnterpriseURN: extension} {
		if len(o) > 0 {
			doc[name] = o
		}
	}
	for _, list := range []string{"emails", "phoneNumbers", "roles"} {
		if elements := d.elements(); elements != nil {
			doc[list] = elements
		}
	}
	doc["meta"] = schema.Object{"resourceType": "User", "created": pick(d, instants...), "lastModified": pick(d, instants...)}
	return doc
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always is one
	return string(b)
}

func (d draw) filter(depth int) string {
	kind := d.IntN(6)
	switch {
	case depth == 0 || kind < 2:
		return d.compare(comparable)
	case kind == 2:
		return "not (" + d.filter(depth-1) + ")"
	case kind == 3:
		return d.valuePath(depth - 1)
	}
	return "(" + d.filter(depth-1) + pick(d, " and ", " or ") + d.filter(depth-1) + ")"
}

var comparable = []string{"userName", "externalId", "title", "nickName", "displayName", "active", "name.givenName", "name.familyName", "emails", "emails.value", "emails.type", "emails.primary", "phoneNumbers.value",
	"roles.display", "id", "meta.created", "meta.lastModified", "department", "employeeNumber", "manager.value", "meta.resourceType"}

func (d draw) valuePath(depth int) string {
	inside := d.compare(subs)
	if depth > 0 && d.oneIn(2) {
		inside += pick(d, " and ", " or ") + d.compare(subs)
	}
	if depth > 0 && d.oneIn(4) {
		inside = "not (" + inside + ")"
	}
	return pick(d, "emails", "phoneNumbers", "roles") + "[" + inside + "]"
}

var subs = []string{"value", "type", "display", "primary"}

func (d draw) compare(from []string) string {
	name := pick(d, from...)
	switch {
	case d.oneIn(8):
		return name + " pr"
	case d.oneIn(12):
		return name + pick(d, " eq", " ne") + " null"
	case name == "active" || strings.HasSuffix(name, "primary"):
		return name + pick(d, " eq", " ne") + pick(d, " true", " false")
	case name == "meta.created" || name == "meta.lastModified":
		return fmt.Sprintf("%s %s %q", name, pick(d, "eq", "ne", "gt", "ge", "lt", "le"), pick(d, instants...))
	}
	return fmt.Sprintf("%s %s %s", name, pick(d, "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"), quoted(pick(d, words...)))
}

func (d draw) patchedPerson() schema.Object {
	doc := d.person()
	delete(doc, "meta")
	delete(doc, "id")
	for _, name := range lists {
		for _, e := range list(doc[name]) {
			plain(name, e.(schema.Object))
		}
	}
	return doc
}

// plain takes out of an element the types that scimmy refuses to hear of, so that
// it can be asked about the rest.
func plain(name string, element schema.Object) schema.Object {
	if kind := element.Text("type"); kind == "Work" || name == "roles" {
		delete(element, "type")
	}
	return element
}

func (d draw) patchedGroup() schema.Object {
	doc := schema.Object{"displayName": pick(d, words...)}
	if d.oneIn(2) {
		doc["externalId"] = pick(d, words...)
	}
	var ids []string
	for _, id := range []string{"per_1", "per_2", "per_3"} {
		if d.oneIn(2) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		doc["members"] = members(ids)
	}
	return doc
}

func (d draw) groupOperation() operation {
	ids := []string{"per_1", "per_2", "per_3", "per_4"}
	some := func() json.RawMessage {
		d.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		return schema.Object{"x": members(ids[:1+d.IntN(3)])}.Encode()
	}
	list := func() json.RawMessage {
		return bytes.TrimSuffix(bytes.TrimPrefix(some(), []byte(`{"x":`)), []byte("}"))
	}
	switch d.IntN(8) {
	case 0:
		return operation{"add", "members", list()}
	case 1:
		return operation{"replace", "members", list()}
	case 2:
		return operation{"remove", fmt.Sprintf("members[value eq %q]", pick(d, ids...)), nil}
	case 3:
		return operation{"remove", "members", nil}
	case 4:
		return operation{"replace", "displayName", json.RawMessage(quoted(pick(d, words...)))}
	case 5:
		return operation{pick(d, "add", "replace"), "", json.RawMessage(`{"members":` + string(list()) + `}`)}
	case 6:
		return operation{"remove", "externalId", nil}
	}
	return operation{pick(d, "add", "replace"), "", json.RawMessage(`{"displayName":` + quoted(pick(d, words...)) + `}`)}
}

var lists = []string{"emails", "phoneNumbers", "roles"}

func (d draw) userOperation() operation {
	verb := pick(d, "add", "replace", "remove")
	op := operation{Op: verb}
	text := json.RawMessage(quoted(pick(d, words...)))
	switch d.IntN(10) {
	case 0, 1:
		op.Path, op.Value = pick(d, "title", "nickName", "displayName", "userName", "externalId", "name.givenName", "name.familyName"), text
	case 2:
		op.Path, op.Value = "active", json.RawMessage(pick(d, "true", "false"))
	case 3:
		op.Path, op.Value = "name", schema.Object{pick(d, "givenName", "familyName"): pick(d, words...)}.Encode()
	case 4:
		op.Path, op.Value = schema.EnterpriseURN+":"+pick(d, "department", "employeeNumber"), text
	case 5:
		name := pick(d, lists...)
		op.Path, op.Value = name, d.some(name)
	case 6:
		name := pick(d, lists...)
		op.Path, op.Value = d.selected(name), plain(name, d.element()).Encode()
	case 7, 8:
		name := pick(d, lists...)
		sub := pick(d, subsOf(name)...)
		op.Path, op.Value = d.selected(name)+"."+sub, text
		switch sub {
		case "primary":
			op.Value = json.RawMessage(pick(d, "true", "false"))
		case "type":
			op.Value = json.RawMessage(pick(d, `"work"`, `"home"`))
		}
	default:
		op.Op, op.Value = pick(d, "add", "replace"), d.attributes().Encode()
	}
	if op.Op == "remove" {
		op.Value = nil
	}
	return op
}

func subsOf(name string) []string {
	if name == "roles" {
		return []string{"value", "display", "primary"}
	}
	return subs
}

func (d draw) selected(name string) string { return name + "[" + d.compare(subsOf(name)) + "]" }

func (d draw) some(name string) json.RawMessage {
	var all []string
	primary := d.IntN(3)
	for i := range 1 + d.IntN(2) {
		e := plain(name, d.element())
		if i == primary {
			e["primary"] = true
		}
		all = append(all, string(e.Encode()))
	}
	return json.RawMessage("[" + strings.Join(all, ",") + "]")
}

func (d draw) attributes() schema.Object {
	o := schema.Object{pick(d, "title", "nickName", "displayName"): pick(d, words...)}
	if d.oneIn(2) {
		o["active"] = d.oneIn(2)
	}
	if d.oneIn(3) {
		o["name"] = schema.Object{"givenName": pick(d, words...)}
	}
	if d.oneIn(3) {
		if e := d.elements(); e != nil {
			for _, one := range list(e) {
				plain("emails", one.(schema.Object))
			}
			o["emails"] = e
		}
	}
	if d.oneIn(4) {
		o[schema.EnterpriseURN] = schema.Object{"department": pick(d, words...)}
	}
	return o
}

func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func members(ids []string) []any {
	var all []any
	for _, id := range ids {
		all = append(all, schema.Object{"value": id})
	}
	return all
}

package patch

import (
	"errors"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// MessageURN is the schema of PATCH requests.
const MessageURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// MaxOperations is how many operations one request may hold.
const MaxOperations = 1000

// Compile reads a PATCH body. Every operation is compiled before it returns, so a
// plan never stops half way for a fault of the request. Errors are *schema.Error
// and name the operation by its index and the attribute.
func Compile(rt *schema.ResourceType, body []byte, l schema.Leniency) (Plan, error) {
	if err := rt.Guard(body); err != nil {
		return Plan{}, err
	}
	raw, err := schema.Read(body, deferValue)
	if err != nil {
		return Plan{}, err
	}
	fields, ok := raw.(schema.Fields)
	if !ok {
		return Plan{}, schema.Errorf(schema.InvalidSyntax, "", "the body is a JSON object")
	}
	c := compiler{Checker: schema.Checker{Type: rt, Leniency: l}}
	if err := c.request(fields); err != nil {
		return Plan{}, err
	}
	c.plan.rt, c.plan.notes, c.plan.named = rt, c.Notes, c.Named
	return c.plan, nil
}

// deferValue leaves each operation's value until its path is known.
func deferValue(depth int, name string) bool {
	const insideAnOperation = 3
	return depth == insideAnOperation && strings.EqualFold(name, "value")
}

type verb uint8

const (
	add verb = iota + 1
	replace
	remove
)

// operation is one operation as sent.
type operation struct {
	index int
	verb  verb
	path  string          // "" for none
	value schema.Deferred // nil for none
}

type compiler struct {
	schema.Checker
	plan     Plan
	op       operation // being compiled
	at       site      // what it changes
	members  int       // named so far
	inSchema bool      // the names being read stand under a schema's URN
}

func (c *compiler) request(fields schema.Fields) error {
	if err := c.message(fields); err != nil {
		return err
	}
	raw, _ := fields.Get("Operations")
	list, ok := raw.([]schema.Raw)
	if !ok {
		return schema.Errorf(schema.InvalidSyntax, "Operations", "an array of operations is expected")
	}
	if len(list) == 0 {
		if !c.Leniency.NoOperations {
			return schema.Errorf(schema.InvalidSyntax, "Operations", "at least one operation is expected")
		}
		c.Notes.Add(schema.NoteNoOperations, "Operations")
	}
	if len(list) > MaxOperations {
		return schema.Errorf(schema.TooMany, "Operations", "more than %d operations; send them in several requests", MaxOperations)
	}
	for i, item := range list {
		if err := c.operation(i, item); err != nil {
			return placed(err, i, c.op.path)
		}
	}
	return nil
}

func (c *compiler) message(fields schema.Fields) error {
	raw, _ := fields.Get("schemas")
	list, _ := raw.([]schema.Raw)
	for _, urn := range list {
		if s, ok := urn.(string); ok && strings.EqualFold(s, MessageURN) {
			return nil
		}
	}
	if !c.Leniency.UnknownSchemas {
		return schema.Errorf(schema.InvalidSyntax, "schemas", "%s is missing", MessageURN)
	}
	c.Notes.Add(schema.NoteUnknownSchema, MessageURN)
	return nil
}

func (c *compiler) operation(index int, raw schema.Raw) error {
	c.op = operation{index: index}
	fields, ok := raw.(schema.Fields)
	if !ok {
		return schema.Errorf(schema.InvalidSyntax, "", "an operation is a JSON object")
	}
	var err error
	if c.op.verb, err = c.verb(fields); err != nil {
		return err
	}
	if c.op.path, err = path(fields); err != nil {
		return err
	}
	if v, ok := fields.Get("value"); ok {
		c.op.value, _ = v.(schema.Deferred)
	}
	switch {
	case c.op.verb != remove && c.op.value == nil:
		return schema.Errorf(schema.InvalidValue, "", "the operation has no value")
	case c.op.path != "":
		return c.withPath()
	case c.op.verb == remove:
		return schema.Errorf(schema.NoTarget, "", "a remove operation needs a path")
	default:
		return c.withoutPath()
	}
}

func (c *compiler) verb(fields schema.Fields) (verb, error) {
	raw, _ := fields.Get("op")
	sent, _ := raw.(string)
	word := strings.ToLower(sent)
	v := verbOf(word)
	if v == 0 || sent != word && !c.Leniency.AnyCase {
		return 0, schema.Errorf(schema.InvalidSyntax, "op", "one of add, replace and remove is expected, not %q", schema.Clip(sent))
	}
	if sent != word {
		c.Notes.Add(schema.NoteAnyCase, "op")
	}
	return v, nil
}

func verbOf(word string) verb {
	switch word {
	case "add":
		return add
	case "replace":
		return replace
	case "remove":
		return remove
	}
	return 0
}

func path(fields schema.Fields) (string, error) {
	raw, _ := fields.Get("path")
	switch raw := raw.(type) {
	case nil:
		return "", nil
	case string:
		return raw, nil
	default:
		return "", schema.Errorf(schema.InvalidPath, "path", "a string is expected")
	}
}

func (c *compiler) withPath() error {
	p, err := c.place(c.op.path)
	if err != nil {
		return err
	}
	t := target{Path: p, named: true}
	switch {
	case c.op.value == nil:
	case p.Attr != nil && p.Attr.Relation:
		t.value = c.op.value
	default:
		if t.value, err = schema.Read(c.op.value, c.Type.DeferRelation); err != nil {
			return err
		}
	}
	return c.target(t)
}

// place reads a path. One that puts a core attribute behind an extension's URN
// (…:enterprise:2.0:User:roles) means the core attribute.
func (c *compiler) place(text string) (filter.Path, error) {
	p, err := filter.ParsePathAs(c.Type, text, c.Leniency, &c.Notes)
	if err == nil || !c.Leniency.Aliases {
		return p, err
	}
	for _, e := range c.Type.Extensions {
		rest, found := cutFold(text, e.Schema.ID+":")
		if !found {
			continue
		}
		core, notCore := filter.ParsePathAs(c.Type, rest, c.Leniency, &c.Notes)
		if notCore == nil && core.Attr != nil && !core.Attr.Extension {
			c.Notes.Add(schema.NoteAlias, core.Attr.Path())
			return core, nil
		}
	}
	return p, err
}

func cutFold(text, prefix string) (rest string, found bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

func (c *compiler) withoutPath() error {
	raw, err := schema.Read(c.op.value, c.Type.DeferRelation)
	if err != nil {
		return err
	}
	if list, ok := raw.([]schema.Raw); ok && len(list) == 1 && c.Leniency.Wrapped {
		c.Notes.Add(schema.NoteWrapped, "value")
		raw = list[0]
	}
	fields, ok := raw.(schema.Fields)
	if !ok {
		return schema.Errorf(schema.InvalidValue, "value", "without a path, the value is an object of attributes")
	}
	return c.fields("", fields)
}

// fields compiles an object of attributes: the whole value of an operation without
// a path, or what stands under a schema's URN in it. Names may be paths.
func (c *compiler) fields(prefix string, fields schema.Fields) error {
	for _, f := range fields {
		p, err := filter.ParsePathAs(c.Type, prefix+f.Name, c.Leniency, &c.Notes)
		switch {
		case err == nil:
			if err = c.named(p, prefix+f.Name); err == nil {
				err = c.target(target{Path: p, value: f.Value})
			}
		case c.Leniency.UnknownNames && !strings.ContainsAny(f.Name, "[]"):
			c.Notes.Add(schema.NoteUnknownName, prefix+f.Name)
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// named notes, or refuses, a name in a value that is a path: the RFC has names of
// attributes there, and of schemas.
func (c *compiler) named(p filter.Path, name string) error {
	plain := p.Schema != nil || p.Sub == nil && p.Filter == nil && !strings.Contains(name, ":")
	if plain || p.Sub == nil && p.Filter == nil && c.inSchema {
		return nil
	}
	if !c.Leniency.PathNames {
		return schema.Errorf(schema.InvalidSyntax, schema.Clip(name), "a value has names of attributes; this is a path, which belongs into the operation")
	}
	c.Notes.Add(schema.NotePathName, name)
	return nil
}

// placed says in an error which operation it is about.
func placed(err error, index int, path string) error {
	e, ok := errors.AsType[*schema.Error](err)
	if !ok {
		return err
	}
	where := e.Path
	if where == "" {
		where = schema.Clip(path)
	}
	there := *e
	there.Path = strings.TrimSpace("Operations[" + strconv.Itoa(index) + "] " + where)
	return &there
}

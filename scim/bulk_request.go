package scim

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// URNs of the messages of RFC 7644 section 3.7.
const (
	urnBulkRequest  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	urnBulkResponse = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// The limits of one bulk request. ServiceProviderConfig announces the first and
// Config.MaxBulkBody.
const (
	maxBulkOperations = 1000
	maxBulkID         = 256 // bytes of a bulkId
	aroundData        = 3   // levels: the message, its Operations, one of them
)

// bulkRequest is a BulkRequest as sent, cut into its operations.
type bulkRequest struct {
	failOn     int // so many errors end the work; 0: however many, all is tried
	operations []operation
	notes      schema.Notes
}

// operation is one operation as sent.
type operation struct {
	method  string // as the protocol writes it; as sent if it is none of a bulk's
	bulkID  string // "" for none
	ifMatch string // "version"; "" for none
	path    string
	data    schema.Deferred // nil for none
	fault   error           // why it is refused without being tried
}

// parseBulk cuts a BulkRequest into its operations. What is wrong with one of them is
// its own fault, told in its place; an error is about the request as a whole.
func parseBulk(body []byte, l schema.Leniency) (bulkRequest, error) {
	if err := schema.GuardEnvelope(body, aroundData); err != nil {
		return bulkRequest{}, err
	}
	raw, err := schema.Read(body, outermost("Operations"))
	if err != nil {
		return bulkRequest{}, err
	}
	fields, ok := raw.(schema.Fields)
	if !ok {
		return bulkRequest{}, schema.Errorf(schema.InvalidSyntax, "", "the body is a JSON object")
	}
	var b bulkRequest
	if err := b.message(fields, l); err != nil {
		return bulkRequest{}, err
	}
	if b.failOn, err = failOnErrors(fields); err != nil {
		return bulkRequest{}, err
	}
	list, _ := fields.Get("Operations")
	later, _ := list.(schema.Deferred)
	return b, b.list(later, l)
}

// outermost defers one member of the outermost object.
func outermost(deferred string) schema.Defer {
	return func(depth int, name string) bool { return depth == 1 && strings.EqualFold(name, deferred) }
}

func (b *bulkRequest) message(fields schema.Fields, l schema.Leniency) error {
	raw, _ := fields.Get("schemas")
	list, _ := raw.([]schema.Raw)
	for _, urn := range list {
		if s, ok := urn.(string); ok && strings.EqualFold(s, urnBulkRequest) {
			return nil
		}
	}
	if !l.UnknownSchemas {
		return schema.Errorf(schema.InvalidSyntax, "schemas", "%s is missing", urnBulkRequest)
	}
	b.notes.Add(schema.NoteUnknownSchema, urnBulkRequest)
	return nil
}

// failOnErrors is how many errors end the work. To accept none is to stop at the
// first, as with 1.
func failOnErrors(fields schema.Fields) (int, error) {
	raw, _ := fields.Get("failOnErrors")
	if raw == nil {
		return 0, nil
	}
	number, _ := raw.(schema.Number)
	n, err := strconv.ParseUint(string(number), 10, 31)
	if err != nil {
		return 0, schema.Errorf(schema.InvalidValue, "failOnErrors", "a whole number of errors is expected")
	}
	return max(int(n), 1), nil
}

func (b *bulkRequest) list(operations schema.Deferred, l schema.Leniency) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(operations))
	if dec.PeekKind() != '[' {
		return schema.Errorf(schema.InvalidSyntax, "Operations", "an array of operations is expected")
	}
	if _, err := dec.ReadToken(); err != nil {
		return Internal(err) // its syntax has been checked
	}
	for dec.PeekKind() != ']' {
		if len(b.operations) == maxBulkOperations {
			return TooLarge(fmt.Sprintf("The bulk operation exceeds the maxOperations (%d).", maxBulkOperations))
		}
		v, err := dec.ReadValue()
		if err != nil {
			return Internal(err)
		}
		end := int(dec.InputOffset())
		if err := b.operation(operations[end-len(v):end], l); err != nil {
			return err
		}
	}
	return nil
}

func (b *bulkRequest) operation(sent []byte, l schema.Leniency) error {
	raw, err := schema.Read(sent, outermost("data"))
	if err != nil {
		return err
	}
	fields, ok := raw.(schema.Fields)
	if !ok {
		return schema.Errorf(schema.InvalidSyntax, fmt.Sprintf("Operations[%d]", len(b.operations)), "an operation is a JSON object")
	}
	var op operation
	op.fault = op.fill(fields, l, &b.notes)
	b.operations = append(b.operations, op)
	return nil
}

// fill reads an operation's members, all of them, so that its answer names what can
// be named; the first fault is the one that is told.
func (op *operation) fill(fields schema.Fields, l schema.Leniency, notes *schema.Notes) error {
	var method string
	texts := []struct {
		name string
		to   *string
	}{{"method", &method}, {"path", &op.path}, {"bulkId", &op.bulkID}, {"version", &op.ifMatch}}
	var fault error
	for _, t := range texts {
		var err error
		if *t.to, err = textOf(fields, t.name); err != nil && fault == nil {
			fault = err
		}
	}
	if data, _ := fields.Get("data"); data != nil {
		op.data, _ = data.(schema.Deferred)
	}
	op.method = strings.ToUpper(method)
	switch {
	case fault != nil:
		return fault
	case !isBulkMethod(op.method) || op.method != method && !l.AnyCase:
		op.method = schema.Clip(method)
		return schema.Errorf(schema.InvalidSyntax, "method", "one of POST, PUT, PATCH and DELETE is expected, not %q", op.method)
	case op.method != method:
		notes.Add(schema.NoteAnyCase, "method")
	}
	return op.complete()
}

// complete refuses an operation that lacks what RFC 7644 section 3.7 requires of it.
func (op *operation) complete() error {
	switch {
	case op.path == "":
		return schema.Errorf(schema.InvalidValue, "path", "required: the address of a resource, or of its type, below the base URL")
	case len(op.bulkID) > maxBulkID:
		op.bulkID = schema.Clip(op.bulkID)
		return schema.Errorf(schema.InvalidValue, "bulkId", "longer than %d bytes", maxBulkID)
	case op.method == http.MethodPost && op.bulkID == "":
		return schema.Errorf(schema.InvalidValue, "bulkId", "required with POST, so that the answer can be told apart")
	case op.method != http.MethodDelete && (op.data == nil || string(op.data) == "null"):
		return schema.Errorf(schema.InvalidValue, "data", "required with %s", op.method)
	}
	return nil
}

func isBulkMethod(m string) bool {
	return m == http.MethodPost || m == http.MethodPut || m == http.MethodPatch || m == http.MethodDelete
}

func textOf(fields schema.Fields, name string) (string, error) {
	raw, _ := fields.Get(name)
	if raw == nil {
		return "", nil
	}
	text, ok := raw.(string)
	if !ok {
		return "", schema.Errorf(schema.InvalidValue, name, "a string is expected")
	}
	return text, nil
}

package scim

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// keptOfBody is how much of a body an Observation holds, in bytes.
const keptOfBody = 16 << 10

// observation is what is told of a request once it has ended.
func (c *call) observation(began, ended time.Time, err error) Observation {
	o := Observation{Method: boundedMethod(c.r.Method), Resource: c.resource, Status: c.status, Connection: c.connection,
		Duration: ended.Sub(began), Notes: c.notes, Signs: c.signs(), Err: err, Asked: c.path.connection, Compared: c.compared}
	t := &c.told
	t.At, t.Method, t.Status, t.Took, t.Notes = began, o.Method, o.Status, o.Duration, c.notes
	t.Resource, t.Agent, t.Query = c.path.collection, c.r.UserAgent(), c.r.URL.RawQuery
	if t.Item == "" && c.resource != "" && c.path.item != searchSegment {
		t.Item = c.path.item
	}
	switch {
	case c.broken:
		t.Detail = "The answer broke off before its end."
	case c.status == http.StatusServiceUnavailable && errors.Is(c.r.Context().Err(), context.Canceled):
		t.Detail = "The client hung up before it was answered."
	case c.status >= http.StatusBadRequest:
		t.Where, t.Detail = told(err)
	}
	o.Traffic = *t
	return o
}

// told is where something is wrong with a request, and the sentence about it.
func told(err error) (where, sentence string) {
	var e *Error
	if said, ok := errors.AsType[*schema.Error](err); ok && !errors.As(err, &e) {
		return said.Path, said.Detail
	}
	return "", asError(err).Detail
}

// asks notes what the request was understood to ask for.
func (c *call) asks(k kind, o traffic.Operation) {
	o.Method, o.Type = c.r.Method, k.rt
	c.told.Operations, c.told.Type = []traffic.Operation{o}, k.rt
}

// sent notes the beginning of the body. What is short is not copied: nobody changes it.
func (c *call) sent(body []byte) {
	if len(body) > keptOfBody {
		body = append([]byte(nil), body[:keptOfBody]...)
	}
	c.told.Body = body
}

// did notes what a write was to a resource.
func (c *call) did(id string, e *traffic.Effect) {
	c.told.Item = id
	if e != nil {
		c.told.Effect = *e
	}
}

// asked is what a whole resource asks for.
func (in Input) asked() traffic.Operation {
	o := traffic.Operation{Members: len(in.Members)}
	if active, said := in.Doc.Bool("active"); said && in.HasActive {
		o.Active = "false"
		if active {
			o.Active = "true"
		}
	}
	return o
}

// asksSearch notes what is searched for; of a search over several types, what the
// first is asked.
func (c *call) asksSearch(s search) {
	o := traffic.Operation{Method: c.r.Method, Search: &traffic.Search{Filter: s.sources[0].filter, Start: s.start, Count: s.count, Walk: s.hasCursor, Next: s.cursor != ""}}
	if s.sort != nil {
		o.Search.Sort = s.sort.By.Path()
	}
	if len(s.sources) == 1 {
		o.Type = s.sources[0].rt
	}
	c.told.Operations = []traffic.Operation{o}
}

// found notes what a search came to; if that is one resource that was asked for, the
// request is about it.
func (c *call) found(f found, asked bool) {
	c.told.Found = max(f.total, len(f.items))
	if asked && len(f.items) == 1 {
		c.told.Item = f.items[0].ID
	}
}

package scim

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/drawbridge-id/drawbridge/scim/dialect"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// URNs of messages (RFC 7644 section 8.2).
const (
	urnError = "urn:ietf:params:scim:api:messages:2.0:Error"
	urnList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
)

// timeLayout is how meta's instants are written, always in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// kind is all that users, groups and what is offered differ in.
type kind struct {
	rt       *schema.ResourceType // a connection's own: set by at
	plural   string               // in addresses
	typed    func(Directory) *schema.ResourceType
	reads    func(Directory) Reader
	of       func(Directory) Collection // nil: they are not written
	relation string                     // the attribute that is rows
	others   string                     // where the relation's ids live
	relType  string                     // the type of each element of the relation
	maxBody  int64

	// patchStatus is the answer to a PATCH that names no attributes: 200 with the
	// resource, or 204.
	patchStatus func(dialect.Dialect) int
}

func (s *Server) users() kind {
	return kind{plural: "Users", typed: func(d Directory) *schema.ResourceType { return d.Types.Users },
		reads: func(d Directory) Reader { return d.Users }, of: func(d Directory) Collection { return d.Users },
		relation: "groups", others: "Groups", relType: "direct", maxBody: s.maxUser,
		patchStatus: func(d dialect.Dialect) int { return d.PatchUserStatus }}
}

func (s *Server) groups() kind {
	return kind{plural: "Groups", typed: func(d Directory) *schema.ResourceType { return d.Types.Groups },
		reads: func(d Directory) Reader { return d.Groups }, of: func(d Directory) Collection { return d.Groups },
		relation: "members", others: "Users", relType: "User", maxBody: s.maxGroup,
		patchStatus: func(d dialect.Dialect) int { return d.PatchGroupStatus }}
}

// at is the kind as a connection serves it.
func (k kind) at(dir Directory) kind {
	k.rt = k.typed(dir)
	return k
}

// served is all of several kinds as the call's connection serves them.
func served(c *call, kinds []kind) []kind {
	own := make([]kind, len(kinds))
	for i, k := range kinds {
		own[i] = k.at(c.dir)
	}
	return own
}

// location is a resource's absolute address, from configuration alone: a Host or
// X-Forwarded-* header never decides where a client goes next.
func (s *Server) location(c *call, plural, id string) string {
	return s.base + c.connection + "/" + plural + "/" + id
}

// view is what is needed to write resources of one kind to one client.
type view struct {
	kind
	projection
	base string // the connection's base URL, with a slash at the end
}

func (s *Server) view(c *call, k kind, p projection) view {
	return view{kind: k, projection: p, base: s.base + c.connection + "/"}
}

// named is the view of who has just written, and named these attributes.
func (v view) named(attributes []*schema.Attribute) view {
	if len(attributes) > 0 && !v.asked {
		v.projection = unasked(v.rt, attributes)
	}
	return v
}

// appendResource writes one resource. It splices the stored document in: the only
// parts that are encoded here are those that depend on who asks and from where.
func (v view) appendResource(a *answer, r Resource) error {
	a.buf = append(append(a.buf, `{"schemas":["`...), v.rt.Core.ID...)
	listed := len(a.buf)
	a.buf = appendString(append(a.buf, `"],"id":`...), r.ID)
	var shown extensionSet
	var err error
	if a.buf, shown, err = v.appendDocument(a.buf, r.Doc); err != nil {
		return Internal(err)
	}
	for i := len(v.rt.Extensions) - 1; i >= 0; i-- {
		if shown&(1<<i) != 0 {
			a.buf = insertURN(a.buf, listed, v.rt.Extensions[i].Schema.ID)
		}
	}
	if err := v.appendRelations(a, r); err != nil {
		return err
	}
	if err := v.appendMeta(a, r); err != nil {
		return err
	}
	a.buf = append(a.buf, '}')
	return a.spill()
}

// extensionSet is some of a resource type's extensions, by their places: there are
// fewer than it has bits.
type extensionSet uint64

// insertURN lists one more schema at a place before the end.
func insertURN(buf []byte, at int, urn string) []byte {
	const between = `","`
	end := len(buf)
	buf = append(append(buf, between...), urn...)
	copy(buf[at+len(between)+len(urn):], buf[at:end])
	copy(buf[at+copy(buf[at:], between):], urn)
	return buf
}

// appendDocument appends what is shown of a stored document, and says which
// extensions that is of. What the connection's schemas have no name for, since they
// have changed, is not shown.
func (v view) appendDocument(dst, doc []byte) (_ []byte, shown extensionSet, err error) {
	err = eachMember(doc, func(name, value []byte) (err error) {
		if bytes.IndexByte(name, ':') < 0 {
			dst, _, err = v.appendMember(dst, name, value)
			return err
		}
		at := v.extension(name)
		if at < 0 {
			return nil
		}
		ext := v.rt.Extensions[at].Schema
		if ext.Custom {
			if value, err = current(ext.Attributes, value); err != nil || value == nil {
				return err
			}
		}
		var kept bool
		if dst, kept, err = v.appendMember(dst, name, value); kept {
			shown |= 1 << at
		}
		return err
	})
	return dst, shown, err
}

// extension is the place of the extension with that URN; -1 for none.
func (v view) extension(urn []byte) int {
	for i, e := range v.rt.Extensions {
		if e.Schema.ID == string(urn) {
			return i
		}
	}
	return -1
}

// appendRelations streams the rows: what has been written is sent on as it grows,
// so that a group of any size costs the same memory.
func (v view) appendRelations(a *answer, r Resource) error {
	if r.Relations == nil || !v.wants(v.relation) {
		return nil
	}
	within := v.within(v.relation)
	a.buf = append(append(append(a.buf, `,"`...), v.relation...), `":[`...)
	first := true
	for rel, err := range r.Relations {
		if err != nil {
			return err
		}
		if !first {
			a.buf = append(a.buf, ',')
		}
		first = false
		a.buf = v.appendRelation(a.buf, within, rel)
		if err := a.spill(); err != nil {
			return err
		}
	}
	a.buf = append(a.buf, ']')
	return nil
}

func (v view) appendRelation(dst []byte, within projection, rel Relation) []byte {
	start := len(dst)
	if within.wants("value") {
		dst = appendString(append(dst, `,"value":`...), rel.ID)
	}
	if within.wants("display") && rel.Display != "" {
		dst = appendString(append(dst, `,"display":`...), rel.Display)
	}
	if within.wants("type") {
		dst = append(append(append(dst, `,"type":"`...), v.relType...), '"')
	}
	if within.wants("$ref") {
		dst = append(append(append(append(dst, `,"$ref":"`...), v.base...), v.others...), '/')
		dst = append(append(dst, rel.ID...), '"')
	}
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

func (v view) appendMeta(a *answer, r Resource) error {
	if !v.wants("meta") {
		return nil
	}
	within := v.within("meta")
	if !within.bound {
		a.buf = v.meta(append(a.buf, `,"meta":`...), r)
		return nil
	}
	start := len(a.buf)
	a.buf = append(a.buf, `,"meta":`...)
	var kept bool
	var err error
	if a.buf, kept, err = within.appendValue(a.buf, v.meta(nil, r)); !kept {
		a.buf = a.buf[:start]
	}
	return err
}

func (v view) meta(dst []byte, r Resource) []byte {
	dst = append(append(dst, `{"resourceType":"`...), v.rt.Name...)
	if !r.Created.IsZero() { // what is offered has always been there
		dst = append(r.Created.UTC().AppendFormat(append(dst, `","created":"`...), timeLayout), `","lastModified":"`...)
		dst = r.LastModified.UTC().AppendFormat(dst, timeLayout)
	}
	dst = append(dst, `","location":"`...)
	dst = append(append(append(append(dst, v.base...), v.plural...), '/'), r.ID...)
	dst = strconv.AppendInt(append(dst, `","version":"W/\"`...), r.Version, 10)
	return append(dst, `\""}`...)
}

// write begins an answer with a buffer of the pool, fills it and sends it. A
// failure before anything was sent is returned to be told as an error; a later one
// breaks the connection.
func (s *Server) write(c *call, status int, fill func(*answer) error) error {
	buf := s.buffers.Get().(*[]byte)
	a := &answer{w: c.w, status: status, buf: (*buf)[:0]}
	err := fill(a)
	if err == nil {
		c.status = status
		err = a.finish()
	}
	c.bytes += a.sent
	if a.started {
		c.status, c.broken = status, err != nil
	}
	if cap(a.buf) <= 2*spillAt {
		*buf = a.buf
		s.buffers.Put(buf)
	}
	return err
}

func (s *Server) writeResource(c *call, status int, v view, r Resource) error {
	c.w.Header().Set("ETag", entityTag(r.Version))
	if status == http.StatusCreated {
		c.w.Header().Set("Location", s.location(c, v.plural, r.ID))
	}
	c.alias()
	return s.write(c, status, func(a *answer) error { return v.appendResource(a, r) })
}

// alias names the resource that /Me stands for, in any answer (RFC 7644 section 3.11).
func (c *call) alias() {
	if c.aliased != "" {
		c.w.Header().Set("Location", c.aliased)
	}
}

// writeNothing answers without a body.
func writeNothing(c *call, status int) error {
	c.alias()
	c.status = status
	c.w.WriteHeader(status)
	return nil
}

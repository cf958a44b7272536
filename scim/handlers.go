package scim

import (
	"context"
	"net/http"

	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// shown is what the answer is to show of a resource.
func (s *Server) shown(c *call, k kind) (view, Want, error) {
	c.told.Type = k.rt
	q, err := parseQuery(c.r.URL.RawQuery)
	if err != nil {
		return view{}, Want{}, err
	}
	p := parseProjection(k.rt, q)
	return s.view(c, k, p), Want{Relations: p.wants(k.relation)}, nil
}

func (s *Server) create(ctx context.Context, c *call, k kind) error {
	v, in, err := s.input(c, k)
	if err != nil {
		return err
	}
	r, err := k.of(c.dir).Create(ctx, in)
	if err != nil {
		return err
	}
	c.did(r.ID, r.Effect)
	return s.writeResource(c, http.StatusCreated, v, r)
}

func (s *Server) get(ctx context.Context, c *call, k kind) error {
	v, want, err := s.shown(c, k)
	if err != nil {
		return err
	}
	c.asks(k, traffic.Operation{})
	r, err := k.reads(c.dir).Get(ctx, c.path.item, want)
	if err != nil {
		return err
	}
	return s.writeRead(c, v, r)
}

// writeRead answers a read, unless the client says that it needs no answer.
func (s *Server) writeRead(c *call, v view, r Resource) error {
	if !parseMatch(c.r.Header["If-Match"]).Allows(r.Version) {
		return PreconditionFailed(r.Version)
	}
	if unchanged(c.r.Header["If-None-Match"], r.Version) {
		c.w.Header().Set("ETag", entityTag(r.Version))
		return writeNothing(c, http.StatusNotModified)
	}
	return s.writeResource(c, http.StatusOK, v, r)
}

// unchanged reports whether the client already has this version.
func unchanged(ifNoneMatch []string, version int64) bool {
	return len(ifNoneMatch) > 0 && parseMatch(ifNoneMatch).Allows(version)
}

func (s *Server) replace(ctx context.Context, c *call, k kind) error {
	v, in, err := s.input(c, k)
	if err != nil {
		return err
	}
	r, err := k.of(c.dir).Replace(ctx, c.path.item, conditions(c.r.Header), in)
	if err != nil {
		return err
	}
	c.did(r.ID, r.Effect)
	return s.writeResource(c, http.StatusOK, v, r)
}

func (s *Server) patch(ctx context.Context, c *call, k kind) error {
	v, want, err := s.shown(c, k)
	if err != nil {
		return err
	}
	c.told.Message = true
	sent, err := body(c, k.maxBody)
	if err != nil {
		return err
	}
	plan, err := patch.Compile(k.rt, sent, c.dialect.Leniency)
	if err != nil {
		return err
	}
	c.note(plan.Notes())
	c.asks(k, patched(plan))
	quiet := k.patchStatus(c.dialect) == http.StatusNoContent && !v.asked
	want.Relations = want.Relations && !quiet
	r, err := k.of(c.dir).Patch(ctx, c.path.item, conditions(c.r.Header), plan, want)
	if err != nil {
		return err
	}
	c.note(r.Notes)
	c.did(r.ID, r.Effect)
	if quiet {
		c.w.Header().Set("ETag", entityTag(r.Version))
		return writeNothing(c, http.StatusNoContent)
	}
	return s.writeResource(c, http.StatusOK, v.named(plan.Named()), r)
}

func (s *Server) remove(ctx context.Context, c *call, k kind) error {
	c.asks(k, traffic.Operation{})
	effect, err := k.of(c.dir).Delete(ctx, c.path.item, conditions(c.r.Header))
	if err != nil {
		return err
	}
	c.did(c.path.item, effect)
	return writeNothing(c, http.StatusNoContent)
}

func patched(plan patch.Plan) traffic.Operation {
	said, more := plan.Says()
	return traffic.Operation{Said: said, More: more}
}

// input reads a whole resource, and what the answer is to show of it.
func (s *Server) input(c *call, k kind) (view, Input, error) {
	v, want, err := s.shown(c, k)
	if err != nil {
		return v, Input{}, err
	}
	sent, err := body(c, k.maxBody)
	if err != nil {
		return v, Input{}, err
	}
	in, checked, err := k.read(sent, c.dialect.Leniency)
	c.note(checked.Notes)
	if err != nil {
		return v, in, err
	}
	in.Want = want
	c.asks(k, in.asked())
	return v.named(checked.Named), in, nil
}

// read reads the body of a POST or PUT.
func (k kind) read(body []byte, l schema.Leniency) (Input, schema.Checked, error) {
	checked, err := k.rt.Decode(body, l)
	if err != nil {
		return Input{}, schema.Checked{}, err
	}
	_, hasActive := checked.Doc["active"]
	return Input{Doc: checked.Doc, Members: checked.Members, HasMembers: checked.Members != nil, HasActive: hasActive}, checked, nil
}

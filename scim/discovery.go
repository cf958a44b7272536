package scim

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// URNs of the discovery documents (RFC 7643 sections 5 to 7).
const (
	urnProviderConfig = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	urnResourceType   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
)

// The wire forms of RFC 7643 section 5. Every member is always written: a client
// (authentik) that misses one falls back to "no patch, no filter".
type (
	providerConfig struct {
		Schemas               []string     `json:"schemas"`
		Patch                 supported    `json:"patch"`
		Bulk                  bulkConfig   `json:"bulk"`
		Filter                filterConfig `json:"filter"`
		ChangePassword        supported    `json:"changePassword"`
		Sort                  supported    `json:"sort"`
		ETag                  supported    `json:"etag"`
		Pagination            pagination   `json:"pagination"` // RFC 9865
		AuthenticationSchemes []authScheme `json:"authenticationSchemes"`
		Offered               offered      `json:"RolesAndEntitlements"` // draft-ietf-scim-roles-entitlements-01, with its capitals
		SecurityEvents        signals      `json:"securityEvents"`       // RFC 9967 section 4
		Meta                  resourceMeta `json:"meta"`
	}
	supported struct {
		Supported bool `json:"supported"`
	}
	bulkConfig struct {
		Supported      bool `json:"supported"`
		MaxOperations  int  `json:"maxOperations"`
		MaxPayloadSize int  `json:"maxPayloadSize"`
	}
	filterConfig struct {
		Supported  bool `json:"supported"`
		MaxResults int  `json:"maxResults"`
	}
	pagination struct {
		Cursor          bool   `json:"cursor"`
		Index           bool   `json:"index"`
		DefaultMethod   string `json:"defaultPaginationMethod"`
		DefaultPageSize int    `json:"defaultPageSize"`
		MaxPageSize     int    `json:"maxPageSize"`
		CursorTimeout   int    `json:"cursorTimeout"` // seconds
	}
	authScheme struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		Description string `json:"description"`
		SpecURI     string `json:"specUri"`
		Primary     bool   `json:"primary"`
	}
	signals struct {
		AsyncRequest string   `json:"asyncRequest"`
		EventURIs    []string `json:"eventUris"`
	}
	offered struct {
		Roles        offeredRoles        `json:"roles"`
		Entitlements offeredEntitlements `json:"entitlements"`
	}
	offeredRoles struct {
		offeredKind
		Multiple bool `json:"multipleRolesSupported"`
	}
	offeredEntitlements struct {
		offeredKind
		Multiple bool `json:"multipleEntitlementsSupported"`
	}
	offeredKind struct {
		Supported bool     `json:"supported"`
		Primary   bool     `json:"primarySupported"`
		Typed     bool     `json:"typeSupported"`
		Types     []string `json:"types"`
	}
	resourceMeta struct {
		ResourceType string `json:"resourceType"`
		Location     string `json:"location"`
	}
)

// The wire forms of RFC 7643 section 6.
type (
	resourceTypeDoc struct {
		Schemas     []string       `json:"schemas"`
		ID          string         `json:"id"`
		Name        string         `json:"name"`
		Endpoint    string         `json:"endpoint"`
		Description string         `json:"description"`
		Schema      string         `json:"schema"`
		Extensions  []extensionDoc `json:"schemaExtensions"`
		Meta        resourceMeta   `json:"meta"`
	}
	extensionDoc struct {
		Schema   string `json:"schema"`
		Required bool   `json:"required"`
	}
)

func (s *Server) providerConfig(ctx context.Context, c *call) error {
	if err := noFilter(c); err != nil {
		return err
	}
	schemes, err := authSchemes(ctx, c.dir)
	if err != nil {
		return err
	}
	return s.writeDocument(c, providerConfig{
		Schemas:               []string{urnProviderConfig},
		Patch:                 supported{true},
		Bulk:                  bulkConfig{Supported: true, MaxOperations: maxBulkOperations, MaxPayloadSize: int(s.maxBulk)},
		Filter:                filterConfig{Supported: true, MaxResults: maxCount},
		Sort:                  supported{true},
		ETag:                  supported{true},
		Pagination:            pagination{Cursor: true, Index: true, DefaultMethod: "index", DefaultPageSize: defaultCount, MaxPageSize: maxCount, CursorTimeout: int(cursorLife / time.Second)},
		AuthenticationSchemes: schemes,
		Offered:               offeredBy(c.dir),
		SecurityEvents:        signalsOf(c.dir),
		Meta:                  s.metaOf(c, "ServiceProviderConfig", "ServiceProviderConfig"),
	})
}

// signalsOf says that writes are answered with 202 when a client prefers it.
func signalsOf(d Directory) signals {
	if d.Results == nil {
		return signals{AsyncRequest: "none", EventURIs: []string{}}
	}
	return signals{AsyncRequest: "request", EventURIs: d.Signals}
}

// authSchemes are the ways into this connection: there is no other.
func authSchemes(ctx context.Context, d Directory) ([]authScheme, error) {
	all := []authScheme{{Type: "oauthbearertoken", Name: "Bearer token", Primary: true,
		Description: "The connection's SCIM token, sent as Authorization: Bearer.",
		SpecURI:     "https://www.rfc-editor.org/info/rfc6750"}}
	if d.OAuth == nil {
		return all, nil
	}
	open, err := d.OAuth(ctx)
	if open {
		all = append(all, authScheme{Type: "oauth2", Name: "OAuth 2.0 client credentials",
			Description: "An access token of this service's token endpoint, got by client_secret_basic, client_secret_post or private_key_jwt, and sent as Authorization: Bearer.",
			SpecURI:     "https://www.rfc-editor.org/info/rfc6749"})
	}
	return all, err
}

// offeredBy says how a user's roles and entitlements may be filled: with any number
// of values, as far as anybody minds.
func offeredBy(dir Directory) offered {
	kind := offeredKind{Supported: true, Primary: true, Typed: true, Types: []string{}}
	if dir.Offers != nil {
		for _, o := range dir.Offers() {
			if !slices.Contains(kind.Types, o.Type) {
				kind.Types = append(kind.Types, o.Type)
			}
		}
	}
	return offered{Roles: offeredRoles{kind, true}, Entitlements: offeredEntitlements{kind, true}}
}

func (s *Server) metaOf(c *call, resourceType, path string) resourceMeta {
	return resourceMeta{ResourceType: resourceType, Location: s.base + c.connection + "/" + path}
}

// resourceTypes are those that the call's connection serves.
func (c *call) resourceTypes() []*schema.ResourceType {
	offered := c.dir.offered()
	return []*schema.ResourceType{c.dir.Types.Users, c.dir.Types.Groups, offered.Roles, offered.Entitlements}
}

func (s *Server) resourceTypes(_ context.Context, c *call) error {
	var all []any
	for _, rt := range c.resourceTypes() {
		all = append(all, s.resourceTypeDoc(c, rt))
	}
	return s.writeDocuments(c, all)
}

func (s *Server) resourceType(_ context.Context, c *call) error {
	if err := noFilter(c); err != nil {
		return err
	}
	for _, rt := range c.resourceTypes() {
		if rt.ID == c.path.item {
			return s.writeDocument(c, s.resourceTypeDoc(c, rt))
		}
	}
	return NotFound(c.path.item)
}

func (s *Server) resourceTypeDoc(c *call, rt *schema.ResourceType) resourceTypeDoc {
	doc := resourceTypeDoc{Schemas: []string{urnResourceType}, ID: rt.ID, Name: rt.Name, Endpoint: rt.Endpoint,
		Description: rt.Description, Schema: rt.Core.ID, Extensions: []extensionDoc{},
		Meta: s.metaOf(c, "ResourceType", "ResourceTypes/"+rt.ID)}
	for _, e := range rt.Extensions {
		doc.Extensions = append(doc.Extensions, extensionDoc{Schema: e.Schema.ID, Required: e.Required})
	}
	return doc
}

func (c *call) schemas() []*schema.Schema {
	var all []*schema.Schema
	for _, rt := range c.resourceTypes() {
		all = append(all, rt.Core)
		for _, e := range rt.Extensions {
			all = append(all, e.Schema)
		}
	}
	return all
}

func (s *Server) schemas(_ context.Context, c *call) error {
	var all []any
	for _, def := range c.schemas() {
		doc, err := s.schemaDoc(c, def)
		if err != nil {
			return err
		}
		all = append(all, doc)
	}
	return s.writeDocuments(c, all)
}

func (s *Server) schema(_ context.Context, c *call) error {
	if err := noFilter(c); err != nil {
		return err
	}
	for _, def := range c.schemas() {
		if strings.EqualFold(def.ID, c.path.item) {
			doc, err := s.schemaDoc(c, def)
			if err != nil {
				return err
			}
			return s.writeDocument(c, doc)
		}
	}
	return NotFound(c.path.item)
}

// schemaDoc is a definition with the meta that depends on who asks.
func (s *Server) schemaDoc(c *call, def *schema.Schema) (json.RawMessage, error) {
	doc, err := json.Marshal(def)
	if err != nil {
		return nil, Internal(err)
	}
	meta, err := json.Marshal(s.metaOf(c, "Schema", "Schemas/"+def.ID))
	if err != nil {
		return nil, Internal(err)
	}
	doc = append(append(doc[:len(doc)-1], `,"meta":`...), meta...)
	return append(doc, '}'), nil
}

// noFilter refuses a filter on discovery, lest somebody take the whole answer for a
// filtered one (RFC 7644 section 4). Other query parameters are ignored there.
func noFilter(c *call) error {
	q, err := parseQuery(c.r.URL.RawQuery)
	if err == nil && q.hasFilter {
		return Forbidden("Discovery cannot be filtered; read all of it.")
	}
	return err
}

func (s *Server) writeDocument(c *call, doc any) error {
	return s.writeDiscovery(c, func(a *answer) error { return a.appendJSON(doc) })
}

// writeDiscovery answers with a document whose entity tag is made of what it says.
func (s *Server) writeDiscovery(c *call, fill func(*answer) error) error {
	doc := &answer{}
	if err := fill(doc); err != nil {
		return err
	}
	sum := sha256.Sum256(doc.buf)
	tag := fmt.Sprintf(`W/"%x"`, sum[:8])
	if match := c.r.Header["If-Match"]; len(match) > 0 && !hasTag(match, tag) {
		return &Error{Status: http.StatusPreconditionFailed, Detail: "This document is at version " + tag + " now."}
	}
	c.w.Header().Set("ETag", tag)
	if hasTag(c.r.Header["If-None-Match"], tag) {
		return writeNothing(c, http.StatusNotModified)
	}
	return s.write(c, http.StatusOK, func(a *answer) error { a.buf = append(a.buf, doc.buf...); return nil })
}

func (s *Server) writeDocuments(c *call, docs []any) error {
	if err := noFilter(c); err != nil {
		return err
	}
	return s.writeDiscovery(c, func(a *answer) error {
		a.buf = appendListHead(a.buf, len(docs), 1, len(docs))
		for i, doc := range docs {
			if i > 0 {
				a.buf = append(a.buf, ',')
			}
			if err := a.appendJSON(doc); err != nil {
				return err
			}
		}
		a.buf = append(a.buf, `]}`...)
		return nil
	})
}

func (a *answer) appendJSON(doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return Internal(err)
	}
	a.buf = append(a.buf, b...)
	return nil
}

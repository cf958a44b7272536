package oidctest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

const (
	coreUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	coreGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchOp        = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	entraGroupURN  = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
	perPatch       = 100 // members in one PATCH at most
)

// entra speaks as Microsoft Entra's provisioning service does, with or without
// the aadOptscim062020 flag.
type entra struct {
	*wire
	flag  bool
	fleet Fleet
}

type patch struct {
	Schemas    []string    `json:"schemas"`
	Operations []operation `json:"Operations"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitzero"`
	Value any    `json:"value,omitempty"`
}

func patchOf(ops ...operation) patch { return patch{Schemas: []string{patchOp}, Operations: ops} }

type scimName struct {
	Formatted  string `json:"formatted,omitzero"`
	FamilyName string `json:"familyName,omitzero"`
	GivenName  string `json:"givenName,omitzero"`
}

type scimEmail struct {
	Primary bool   `json:"primary"`
	Type    string `json:"type"`
	Value   string `json:"value"`
}

type scimMeta struct {
	ResourceType string `json:"resourceType"`
}

// probe asks for somebody who cannot exist: the connection test, and the check at
// the start of each cycle.
func (e entra) probe(ctx context.Context) error {
	var found listed[json.RawMessage]
	guid := fmt.Sprintf("%x-%x-%x-%x-%x", randomBytes(4), randomBytes(2), randomBytes(2), randomBytes(2), randomBytes(6))
	if err := e.do(ctx, "GET", "/Users?filter="+query("userName eq "+literal(guid)), nil, &found); err != nil {
		return err
	}
	if found.TotalResults != 0 || found.Resources == nil {
		return fmt.Errorf("oidctest: a search for nobody was not answered with an empty list")
	}
	return nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) //nolint:errcheck // never fails since Go 1.24
	return b
}

// attribute is one mapped attribute: its path, and its key in a pathless value.
type attribute struct {
	path   string
	value  string
	scoped bool // a filtered path: never folded
}

func (e entra) attributes(p Person) []attribute {
	return []attribute{
		{path: "userName", value: p.UserName},
		{path: "displayName", value: p.DisplayName},
		{path: `emails[type eq "work"].value`, value: p.Email, scoped: true},
		{path: "name.givenName", value: p.GivenName},
		{path: "name.familyName", value: p.FamilyName},
		{path: "name.formatted", value: formatted(p)},
		{path: "externalId", value: p.ObjectID},
		{path: enterpriseUser + ":department", value: p.Department},
		{path: e.fleet.URN + ":" + e.fleet.Certification, value: p.Certification},
		{path: e.fleet.URN + ":" + e.fleet.CertificationExpires, value: instant(p.CertificationExpires)},
	}
}

func formatted(p Person) string { return p.GivenName + " " + p.FamilyName }

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// pushPerson matches by userName. A person who was disabled before the first
// cycle is out of scope and never sent.
func (e entra) pushPerson(ctx context.Context, p Person) (string, outcome, error) {
	var found listed[remoteUser]
	if err := e.do(ctx, "GET", "/Users?filter="+query("userName eq "+literal(p.UserName)), nil, &found); err != nil {
		return "", unchanged, err
	}
	switch {
	case len(found.Resources) > 1:
		return "", unchanged, fmt.Errorf("oidctest: %d people match userName %q", len(found.Resources), p.UserName)
	case len(found.Resources) == 1:
		have, err := found.Resources[0].person(e.fleet)
		if err != nil {
			return "", unchanged, err
		}
		ops := e.difference(have, p)
		if len(ops) == 0 {
			return found.Resources[0].ID, unchanged, nil
		}
		return found.Resources[0].ID, updated, e.do(ctx, "PATCH", "/Users/"+found.Resources[0].ID, patchOf(ops...), nil)
	case !p.Active:
		return "", skipped, nil
	}
	return e.createPerson(ctx, p)
}

func (e entra) createPerson(ctx context.Context, p Person) (string, outcome, error) {
	doc := document{
		{"schemas", []string{coreUser, enterpriseUser}},
		{"externalId", p.ObjectID}, {"userName", p.UserName}, {"active", true}, {"displayName", p.DisplayName},
		{"emails", []scimEmail{{Primary: true, Type: "work", Value: p.Email}}},
		{"meta", scimMeta{ResourceType: "User"}},
		{"name", scimName{Formatted: formatted(p), FamilyName: p.FamilyName, GivenName: p.GivenName}},
		{"roles", []string{}},
	}
	if p.Department != "" {
		doc = append(doc, field{enterpriseUser, document{{"department", p.Department}}})
	}
	// As documented for custom extensions: the object comes, its URN stays out of schemas.
	if f := fleetObject(e.fleet, p); f != nil {
		doc = append(doc, field{e.fleet.URN, f})
	}
	var made remoteUser
	if err := e.do(ctx, "POST", "/Users", doc, &made); err != nil {
		return "", unchanged, err
	}
	if made.ID == "" {
		return "", unchanged, fmt.Errorf("oidctest: the answer to POST /Users has no id")
	}
	return made.ID, created, nil
}

func fleetObject(f Fleet, p Person) document {
	var out document
	if p.Certification != "" {
		out = append(out, field{f.Certification, p.Certification})
	}
	if !p.CertificationExpires.IsZero() {
		out = append(out, field{f.CertificationExpires, instant(p.CertificationExpires)})
	}
	return out
}

func (e entra) updatePerson(ctx context.Context, id string, before, after Person) error {
	ops := e.difference(before, after)
	if len(ops) == 0 {
		return nil
	}
	return e.do(ctx, "PATCH", "/Users/"+id, patchOf(ops...), nil)
}

// difference is the PATCH that leads from before to after. A value that became
// empty is not sent: that is the classic behaviour for null sources.
func (e entra) difference(before, after Person) []operation {
	var ops []operation
	folded := document{}
	was := e.attributes(before)
	for n, a := range e.attributes(after) {
		switch {
		case a.value == was[n].value || a.value == "":
		case !e.flag && was[n].value == "":
			ops = append(ops, operation{Op: "Add", Path: a.path, Value: a.value})
		case !e.flag:
			ops = append(ops, operation{Op: "Replace", Path: a.path, Value: a.value})
		case a.scoped:
			ops = append(ops, operation{Op: "replace", Path: a.path, Value: a.value})
		default:
			folded = append(folded, field{a.path, a.value})
		}
	}
	if len(folded) > 0 {
		ops = append(ops, operation{Op: "replace", Value: folded})
	}
	if before.Active != after.Active {
		ops = append(ops, e.active(after.Active))
	}
	return ops
}

func (e entra) active(on bool) operation {
	switch {
	case e.flag:
		return operation{Op: "replace", Path: "active", Value: on}
	case on:
		return operation{Op: "Replace", Path: "active", Value: "True"}
	}
	return operation{Op: "Replace", Path: "active", Value: "False"}
}

// deletePerson is the hard delete: the soft delete went before it.
func (e entra) deletePerson(ctx context.Context, id string, p Person) error {
	if p.Active {
		if err := e.do(ctx, "PATCH", "/Users/"+id, patchOf(e.active(false)), nil); err != nil {
			return err
		}
	}
	return e.do(ctx, "DELETE", "/Users/"+id, nil, nil)
}

func (e entra) pushGroup(ctx context.Context, g Group, members []member) (string, outcome, error) {
	var found listed[remoteGroup]
	path := "/Groups?excludedAttributes=members&filter=" + query("displayName eq "+literal(g.Name))
	if err := e.do(ctx, "GET", path, nil, &found); err != nil {
		return "", unchanged, err
	}
	if len(found.Resources) > 1 {
		return "", unchanged, fmt.Errorf("oidctest: %d groups match displayName %q", len(found.Resources), g.Name)
	}
	id, did := "", unchanged
	if len(found.Resources) == 1 {
		id = found.Resources[0].ID
	} else {
		var err error
		if id, err = e.createGroup(ctx, g); err != nil {
			return "", unchanged, err
		}
		did = created
	}
	return id, did, e.addMembers(ctx, id, g, members, members)
}

// createGroup makes it empty: the members follow when both ends exist.
func (e entra) createGroup(ctx context.Context, g Group) (string, error) {
	var made remoteGroup
	doc := document{
		{"schemas", []string{coreGroup, entraGroupURN}},
		{"externalId", g.ObjectID}, {"displayName", g.Name}, {"meta", scimMeta{ResourceType: "Group"}},
	}
	if err := e.do(ctx, "POST", "/Groups", doc, &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", fmt.Errorf("oidctest: the answer to POST /Groups has no id")
	}
	return made.ID, nil
}

type entraRef struct {
	Ref   *string `json:"$ref"` // sent as null
	Value string  `json:"value"`
}

func refs(members []member) []entraRef {
	var out []entraRef
	for _, m := range members {
		out = append(out, entraRef{Value: m.id})
	}
	return out
}

func (e entra) addMembers(ctx context.Context, id string, _ Group, joining, _ []member) error {
	op := "Add"
	if e.flag {
		op = "add"
	}
	for part := range slices.Chunk(joining, perPatch) {
		if err := e.do(ctx, "PATCH", "/Groups/"+id, patchOf(operation{Op: op, Path: "members", Value: refs(part)}), nil); err != nil {
			return err
		}
	}
	return nil
}

// removeMembers names them in a value without the flag, which the RFC does not
// know, and in the path with it.
func (e entra) removeMembers(ctx context.Context, id string, _ Group, leaving, _ []member) error {
	for part := range slices.Chunk(leaving, perPatch) {
		ops := []operation{{Op: "Remove", Path: "members", Value: refs(part)}}
		if e.flag {
			ops = removals(part)
		}
		if err := e.do(ctx, "PATCH", "/Groups/"+id, patchOf(ops...), nil); err != nil {
			return err
		}
	}
	return nil
}

func removals(leaving []member) []operation {
	var ops []operation
	for _, m := range leaving {
		ops = append(ops, operation{Op: "remove", Path: "members[value eq " + literal(m.id) + "]"})
	}
	return ops
}

func (e entra) renameGroup(ctx context.Context, id string, g Group, _ []member) error {
	op := operation{Op: "Replace", Path: "displayName", Value: g.Name}
	if e.flag {
		op = operation{Op: "replace", Value: document{{"displayName", g.Name}}}
	}
	return e.do(ctx, "PATCH", "/Groups/"+id, patchOf(op), nil)
}

func (e entra) deleteGroup(ctx context.Context, id string) error {
	return e.do(ctx, "DELETE", "/Groups/"+id, nil, nil)
}

package idp

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
)

// entra speaks as Microsoft Entra's provisioning service does, with or without
// the aadOptscim062020 flag.
type entra struct {
	Sender
	flag  bool
	fleet Fleet
}

// PerPatch is how many members both vendors put into one PATCH at most.
const PerPatch = 100

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

// Probe asks for somebody who cannot exist: the connection test, and the check at
// the start of each cycle.
func (e entra) Probe(ctx context.Context) error {
	var found listed[json.RawMessage]
	guid := fmt.Sprintf("%x-%x-%x-%x-%x", randomBytes(4), randomBytes(2), randomBytes(2), randomBytes(2), randomBytes(6))
	if err := e.Send(ctx, "GET", "/Users?filter="+query("userName eq "+literal(guid)), nil, &found); err != nil {
		return err
	}
	if found.TotalResults != 0 || found.Resources == nil {
		return fmt.Errorf("idp: a search for nobody was not answered with an empty list")
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

// PushPerson matches by userName. A person who was disabled before the first
// cycle is out of scope and never sent.
func (e entra) PushPerson(ctx context.Context, p Person) (string, Outcome, error) {
	var found listed[remoteUser]
	if err := e.Send(ctx, "GET", LookUpPerson("entra", p.UserName), nil, &found); err != nil {
		return "", Unchanged, err
	}
	match, known, err := one(found, "userName "+p.UserName)
	switch {
	case err != nil:
		return "", Unchanged, err
	case known:
		return e.updateFound(ctx, match, p)
	case !p.Active:
		return "", Skipped, nil
	}
	return e.createPerson(ctx, p)
}

func (e entra) updateFound(ctx context.Context, found remoteUser, p Person) (string, Outcome, error) {
	have, err := found.person(e.fleet)
	if err != nil {
		return "", Unchanged, err
	}
	ops := e.difference(have, p)
	if len(ops) == 0 {
		return found.ID, Unchanged, nil
	}
	return found.ID, Updated, e.Send(ctx, "PATCH", at("/Users", found.ID), patchOf(ops...), nil)
}

// NewPerson implements Bodies.
func (e entra) NewPerson(p Person) any {
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
	return doc
}

func (e entra) createPerson(ctx context.Context, p Person) (string, Outcome, error) {
	var made struct{ ID string }
	if err := e.Send(ctx, "POST", "/Users", e.NewPerson(p), &made); err != nil {
		return "", Unchanged, err
	}
	if made.ID == "" {
		return "", Unchanged, fmt.Errorf("idp: the answer to POST /Users has no id")
	}
	return made.ID, Created, nil
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

func (e entra) UpdatePerson(ctx context.Context, id string, before, after Person) error {
	ops := e.difference(before, after)
	if len(ops) == 0 {
		return nil
	}
	return e.Send(ctx, "PATCH", at("/Users", id), patchOf(ops...), nil)
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

// DeletePerson is the hard delete: the soft delete went before it.
func (e entra) DeletePerson(ctx context.Context, id string, p Person) error {
	if p.Active {
		if err := e.Send(ctx, "PATCH", at("/Users", id), patchOf(e.active(false)), nil); err != nil {
			return err
		}
	}
	return e.Send(ctx, "DELETE", at("/Users", id), nil, nil)
}

func (e entra) PushGroup(ctx context.Context, g Group, members []Member) (string, Outcome, error) {
	var found listed[remoteGroup]
	if err := e.Send(ctx, "GET", LookUpGroup("entra", g.Name), nil, &found); err != nil {
		return "", Unchanged, err
	}
	match, known, err := one(found, "displayName "+g.Name)
	if err != nil {
		return "", Unchanged, err
	}
	id, did := match.ID, Unchanged
	if !known {
		if id, err = e.createGroup(ctx, g); err != nil {
			return "", Unchanged, err
		}
		did = Created
	}
	return id, did, e.AddMembers(ctx, id, g, members, members)
}

// createGroup makes it empty: the members follow when both ends exist.
func (e entra) createGroup(ctx context.Context, g Group) (string, error) {
	var made struct{ ID string }
	if err := e.Send(ctx, "POST", "/Groups", e.NewGroup(g), &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", fmt.Errorf("idp: the answer to POST /Groups has no id")
	}
	return made.ID, nil
}

// NewGroup implements Bodies.
func (e entra) NewGroup(g Group) any {
	return document{
		{"schemas", []string{coreGroup, entraGroupURN}},
		{"externalId", g.ObjectID}, {"displayName", g.Name}, {"meta", scimMeta{ResourceType: "Group"}},
	}
}

type entraRef struct {
	Ref   *string `json:"$ref"` // sent as null
	Value string  `json:"value"`
}

func refs(members []Member) []entraRef {
	var out []entraRef
	for _, m := range members {
		out = append(out, entraRef{Value: m.ID})
	}
	return out
}

func (e entra) AddMembers(ctx context.Context, id string, _ Group, joining, _ []Member) error {
	for part := range slices.Chunk(joining, PerPatch) {
		if err := e.Send(ctx, "PATCH", at("/Groups", id), e.Joining(part), nil); err != nil {
			return err
		}
	}
	return nil
}

// Joining implements Bodies.
func (e entra) Joining(members []Member) any {
	op := "Add"
	if e.flag {
		op = "add"
	}
	return patchOf(operation{Op: op, Path: "members", Value: refs(members)})
}

// RemoveMembers names them in a value without the flag, which the RFC does not
// know, and in the path with it.
func (e entra) RemoveMembers(ctx context.Context, id string, _ Group, leaving, _ []Member) error {
	for part := range slices.Chunk(leaving, PerPatch) {
		ops := []operation{{Op: "Remove", Path: "members", Value: refs(part)}}
		if e.flag {
			ops = removals(part)
		}
		if err := e.Send(ctx, "PATCH", at("/Groups", id), patchOf(ops...), nil); err != nil {
			return err
		}
	}
	return nil
}

func removals(leaving []Member) []operation {
	var ops []operation
	for _, m := range leaving {
		ops = append(ops, operation{Op: "remove", Path: "members[value eq " + literal(m.ID) + "]"})
	}
	return ops
}

func (e entra) RenameGroup(ctx context.Context, id string, g Group, _ []Member) error {
	op := operation{Op: "Replace", Path: "displayName", Value: g.Name}
	if e.flag {
		op = operation{Op: "replace", Value: document{{"displayName", g.Name}}}
	}
	return e.Send(ctx, "PATCH", at("/Groups", id), patchOf(op), nil)
}

func (e entra) DeleteGroup(ctx context.Context, id string) error {
	return e.Send(ctx, "DELETE", at("/Groups", id), nil, nil)
}

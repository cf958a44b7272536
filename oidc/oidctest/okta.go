package oidctest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
)

// okta speaks as Okta's SCIM client does: a catalogue app (PATCH for activation
// and groups), or with put a custom app (PUT for everything).
type okta struct {
	*wire
	put   bool
	fleet Fleet
}

type oktaUser struct {
	Schemas     []string    `json:"schemas"`
	UserName    string      `json:"userName"`
	Name        scimName    `json:"name"`
	Emails      []scimEmail `json:"emails"`
	DisplayName string      `json:"displayName"`
	Locale      string      `json:"locale"`
	ExternalID  string      `json:"externalId"`
	Groups      []string    `json:"groups"`
	Password    string      `json:"password,omitzero"`
	Active      bool        `json:"active"`
	extensions  document
}

// MarshalJSON appends the extension objects.
func (u oktaUser) MarshalJSON() ([]byte, error) {
	type plain oktaUser
	b, err := encode(plain(u))
	if err != nil || len(u.extensions) == 0 {
		return b, err
	}
	more, err := encode(u.extensions)
	if err != nil {
		return nil, err
	}
	return append(append(b[:len(b)-1], ','), more[1:]...), nil
}

func (o okta) user(p Person) oktaUser {
	u := oktaUser{
		Schemas: []string{coreUser}, UserName: p.UserName, Name: scimName{GivenName: p.GivenName, FamilyName: p.FamilyName},
		Emails:      []scimEmail{{Primary: true, Type: "work", Value: p.Email}},
		DisplayName: p.DisplayName, Locale: "en-US", ExternalID: p.ObjectID, Groups: []string{}, Active: p.Active,
	}
	if p.Department != "" {
		u.Schemas = append(u.Schemas, enterpriseUser)
		u.extensions = append(u.extensions, field{enterpriseUser, document{{"department", p.Department}}})
	}
	if f := fleetObject(o.fleet, p); f != nil {
		u.Schemas = append(u.Schemas, o.fleet.URN)
		u.extensions = append(u.extensions, field{o.fleet.URN, f})
	}
	return u
}

// probe is the connector test: a first page of users.
func (o okta) probe(ctx context.Context) error {
	var found listed[json.RawMessage]
	return o.do(ctx, "GET", "/Users?startIndex=1&count=1", nil, &found)
}

func (o okta) lookup(ctx context.Context, p Person) ([]remoteUser, error) {
	var found listed[remoteUser]
	err := o.do(ctx, "GET", "/Users?filter="+query("userName eq "+literal(p.UserName))+"&startIndex=1&count=100", nil, &found)
	return found.Resources, err
}

// pushPerson is an assignment: lookup by userName, then POST with a password, or
// a profile push to the one that was found.
func (o okta) pushPerson(ctx context.Context, p Person) (string, outcome, error) {
	found, err := o.lookup(ctx, p)
	switch {
	case err != nil:
		return "", unchanged, err
	case len(found) > 1:
		return "", unchanged, fmt.Errorf("oidctest: %d people match userName %q", len(found), p.UserName)
	case len(found) == 1:
		return o.assignFound(ctx, found[0], p)
	case !p.Active:
		return "", skipped, nil
	}
	u := o.user(p)
	u.Password = rand.Text()
	var made remoteUser
	if err := o.do(ctx, "POST", "/Users", u, &made); err != nil {
		return "", unchanged, err
	}
	if made.ID == "" {
		return "", unchanged, fmt.Errorf("oidctest: create new user returned an empty user")
	}
	return made.ID, created, nil
}

func (o okta) assignFound(ctx context.Context, found remoteUser, p Person) (string, outcome, error) {
	have, err := found.person(o.fleet)
	if err != nil {
		return "", unchanged, err
	}
	if same(have, p) {
		return found.ID, unchanged, nil
	}
	return found.ID, updated, o.updatePerson(ctx, found.ID, have, p)
}

// same compares as the wire does: instants by their second.
func same(a, b Person) bool {
	if instant(a.CertificationExpires) != instant(b.CertificationExpires) {
		return false
	}
	a.CertificationExpires = b.CertificationExpires
	return a == b
}

// updatePerson sends activation as its own PATCH and a changed profile as GET and
// PUT; a custom app PUTs both at once. Activation is preceded by the lookup that
// Okta does at each assignment.
func (o okta) updatePerson(ctx context.Context, id string, before, after Person) error {
	profile := before
	profile.Active = after.Active
	turned := before.Active != after.Active
	if turned && after.Active {
		if _, err := o.lookup(ctx, after); err != nil {
			return err
		}
	}
	if turned && !o.put {
		if err := o.do(ctx, "PATCH", "/Users/"+id, patchOf(operation{Op: "replace", Value: document{{"active", after.Active}}}), nil); err != nil {
			return err
		}
	}
	if same(profile, after) && (!turned || !o.put && !after.Active) {
		return nil // a deactivation is the PATCH alone; an activation pushes the profile
	}
	return o.putPerson(ctx, id, after)
}

// putPerson is GET and then PUT of the merged document, with what it read and
// does not own: id, meta, groups and attributes it does not know.
func (o okta) putPerson(ctx context.Context, id string, p Person) error {
	var have remoteUser
	if err := o.do(ctx, "GET", "/Users/"+id, nil, &have); err != nil {
		return err
	}
	doc, err := o.merged(have, p)
	if err != nil {
		return err
	}
	return o.do(ctx, "PUT", "/Users/"+id, doc, nil)
}

func (o okta) merged(have remoteUser, p Person) (map[string]json.RawMessage, error) {
	body, err := encode(o.user(p))
	if err != nil {
		return nil, err
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(body, &own); err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	doc := map[string]json.RawMessage{}
	for name, value := range have.whole {
		doc[name] = value
	}
	for name, value := range own {
		if _, there := doc[name]; there && (name == "groups" || name == "locale") {
			continue // what the server said stays
		}
		doc[name] = value
	}
	return doc, nil
}

// deletePerson never deletes: whatever ends the assignment, Okta says active:false.
func (o okta) deletePerson(ctx context.Context, id string, p Person) error {
	gone := p
	gone.Active = false
	return o.updatePerson(ctx, id, p, gone)
}

func (o okta) pushGroup(ctx context.Context, g Group, members []member) (string, outcome, error) {
	var found listed[remoteGroup]
	path := "/Groups?filter=" + query("displayName eq "+literal(g.Name)) + "&startIndex=1&count=100"
	if err := o.do(ctx, "GET", path, nil, &found); err != nil {
		return "", unchanged, err
	}
	if len(found.Resources) > 1 {
		return "", unchanged, fmt.Errorf("oidctest: %d groups match displayName %q", len(found.Resources), g.Name)
	}
	if len(found.Resources) == 1 {
		id := found.Resources[0].ID
		return id, updated, o.replaceMembers(ctx, id, g, members)
	}
	var made remoteGroup
	doc := document{{"schemas", []string{coreGroup}}, {"displayName", g.Name}, {"members", []oktaRef{}}}
	if err := o.do(ctx, "POST", "/Groups", doc, &made); err != nil {
		return "", unchanged, err
	}
	if made.ID == "" {
		return "", unchanged, fmt.Errorf("oidctest: the answer to POST /Groups has no id")
	}
	return made.ID, created, o.addMembers(ctx, made.ID, g, members, members)
}

type oktaRef struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

func oktaRefs(members []member) []oktaRef {
	out := []oktaRef{}
	for _, m := range members {
		out = append(out, oktaRef{Value: m.id, Display: m.display})
	}
	return out
}

// replaceMembers is "Push now": the name, then the whole list, empty or not.
func (o okta) replaceMembers(ctx context.Context, id string, g Group, all []member) error {
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	if err := o.renameGroup(ctx, id, g, all); err != nil {
		return err
	}
	return o.do(ctx, "PATCH", "/Groups/"+id, patchOf(operation{Op: "replace", Path: "members", Value: oktaRefs(all)}), nil)
}

func (o okta) putGroup(ctx context.Context, id string, g Group, all []member) error {
	doc := document{{"schemas", []string{coreGroup}}, {"id", id}, {"displayName", g.Name}, {"members", oktaRefs(all)}}
	return o.do(ctx, "PUT", "/Groups/"+id, doc, nil)
}

// addMembers sends the name before each membership push, then at most 100 members
// a request.
func (o okta) addMembers(ctx context.Context, id string, g Group, joining, all []member) error {
	if len(joining) == 0 {
		return nil
	}
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	if err := o.renameGroup(ctx, id, g, all); err != nil {
		return err
	}
	for part := range slices.Chunk(joining, perPatch) {
		if err := o.do(ctx, "PATCH", "/Groups/"+id, patchOf(operation{Op: "add", Path: "members", Value: oktaRefs(part)}), nil); err != nil {
			return err
		}
	}
	return nil
}

func (o okta) removeMembers(ctx context.Context, id string, g Group, leaving, all []member) error {
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	for part := range slices.Chunk(leaving, perPatch) {
		if err := o.do(ctx, "PATCH", "/Groups/"+id, patchOf(removals(part)...), nil); err != nil {
			return err
		}
	}
	return nil
}

func (o okta) renameGroup(ctx context.Context, id string, g Group, all []member) error {
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	value := document{{"id", id}, {"displayName", g.Name}}
	return o.do(ctx, "PATCH", "/Groups/"+id, patchOf(operation{Op: "replace", Value: value}), nil)
}

func (o okta) deleteGroup(ctx context.Context, id string) error {
	return o.do(ctx, "DELETE", "/Groups/"+id, nil, nil)
}

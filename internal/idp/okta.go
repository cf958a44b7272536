package idp

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
	Sender
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

// Probe is the connector test: a first page of users.
func (o okta) Probe(ctx context.Context) error {
	var found listed[json.RawMessage]
	return o.Send(ctx, "GET", "/Users?startIndex=1&count=1", nil, &found)
}

func (o okta) lookup(ctx context.Context, p Person) (found remoteUser, known bool, err error) {
	var all listed[remoteUser]
	if err := o.Send(ctx, "GET", LookUpPerson("okta", p.UserName), nil, &all); err != nil {
		return found, false, err
	}
	return one(all, "userName "+p.UserName)
}

// PushPerson is an assignment: lookup by userName, then POST with a password, or
// a profile push to the one that was found.
func (o okta) PushPerson(ctx context.Context, p Person) (string, Outcome, error) {
	found, known, err := o.lookup(ctx, p)
	switch {
	case err != nil:
		return "", Unchanged, err
	case known:
		return o.assignFound(ctx, found, p)
	case !p.Active:
		return "", Skipped, nil
	}
	var made struct{ ID string }
	if err := o.Send(ctx, "POST", "/Users", o.NewPerson(p), &made); err != nil {
		return "", Unchanged, err
	}
	if made.ID == "" {
		return "", Unchanged, fmt.Errorf("idp: create new user returned an empty user")
	}
	return made.ID, Created, nil
}

// NewPerson implements Bodies.
func (o okta) NewPerson(p Person) any {
	u := o.user(p)
	u.Password = rand.Text()
	return u
}

func (o okta) assignFound(ctx context.Context, found remoteUser, p Person) (string, Outcome, error) {
	have, err := found.person(o.fleet)
	if err != nil {
		return "", Unchanged, err
	}
	if same(have, p) {
		return found.ID, Unchanged, nil
	}
	return found.ID, Updated, o.UpdatePerson(ctx, found.ID, have, p)
}

// same compares as the wire does: instants by their second.
func same(a, b Person) bool {
	if instant(a.CertificationExpires) != instant(b.CertificationExpires) {
		return false
	}
	a.CertificationExpires = b.CertificationExpires
	return a == b
}

// UpdatePerson sends activation as its own PATCH and a changed profile as GET and
// PUT; a custom app PUTs both at once. Activation is preceded by the lookup that
// Okta does at each assignment.
func (o okta) UpdatePerson(ctx context.Context, id string, before, after Person) error {
	profile := before
	profile.Active = after.Active
	turned := before.Active != after.Active
	if turned && after.Active {
		if _, _, err := o.lookup(ctx, after); err != nil {
			return err
		}
	}
	if turned && !o.put {
		if err := o.Send(ctx, "PATCH", at("/Users", id), patchOf(operation{Op: "replace", Value: document{{"active", after.Active}}}), nil); err != nil {
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
	if err := o.Send(ctx, "GET", at("/Users", id), nil, &have); err != nil {
		return err
	}
	doc, err := o.merged(have, p)
	if err != nil {
		return err
	}
	return o.Send(ctx, "PUT", at("/Users", id), doc, nil)
}

func (o okta) merged(have remoteUser, p Person) (map[string]json.RawMessage, error) {
	body, err := encode(o.user(p))
	if err != nil {
		return nil, err
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(body, &own); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
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

// DeletePerson never deletes: whatever ends the assignment, Okta says active:false.
func (o okta) DeletePerson(ctx context.Context, id string, p Person) error {
	gone := p
	gone.Active = false
	return o.UpdatePerson(ctx, id, p, gone)
}

func (o okta) PushGroup(ctx context.Context, g Group, members []Member) (string, Outcome, error) {
	var found listed[remoteGroup]
	if err := o.Send(ctx, "GET", LookUpGroup("okta", g.Name), nil, &found); err != nil {
		return "", Unchanged, err
	}
	match, known, err := one(found, "displayName "+g.Name)
	if err != nil {
		return "", Unchanged, err
	}
	if known {
		return match.ID, Updated, o.replaceMembers(ctx, match.ID, g, members)
	}
	var made struct{ ID string }
	if err := o.Send(ctx, "POST", "/Groups", o.NewGroup(g), &made); err != nil {
		return "", Unchanged, err
	}
	if made.ID == "" {
		return "", Unchanged, fmt.Errorf("idp: the answer to POST /Groups has no id")
	}
	return made.ID, Created, o.AddMembers(ctx, made.ID, g, members, members)
}

// NewGroup implements Bodies.
func (o okta) NewGroup(g Group) any {
	return document{{"schemas", []string{coreGroup}}, {"displayName", g.Name}, {"members", []oktaRef{}}}
}

type oktaRef struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

func oktaRefs(members []Member) []oktaRef {
	out := []oktaRef{}
	for _, m := range members {
		out = append(out, oktaRef{Value: m.ID, Display: m.Display})
	}
	return out
}

// replaceMembers is "Push now": the name, then the whole list, empty or not.
func (o okta) replaceMembers(ctx context.Context, id string, g Group, all []Member) error {
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	if err := o.RenameGroup(ctx, id, g, all); err != nil {
		return err
	}
	return o.Send(ctx, "PATCH", at("/Groups", id), patchOf(operation{Op: "replace", Path: "members", Value: oktaRefs(all)}), nil)
}

func (o okta) putGroup(ctx context.Context, id string, g Group, all []Member) error {
	doc := document{{"schemas", []string{coreGroup}}, {"id", id}, {"displayName", g.Name}, {"members", oktaRefs(all)}}
	return o.Send(ctx, "PUT", at("/Groups", id), doc, nil)
}

// AddMembers sends the name before each membership push, then at most 100 members
// a request.
func (o okta) AddMembers(ctx context.Context, id string, g Group, joining, all []Member) error {
	if len(joining) == 0 {
		return nil
	}
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	if err := o.RenameGroup(ctx, id, g, all); err != nil {
		return err
	}
	for part := range slices.Chunk(joining, PerPatch) {
		if err := o.Send(ctx, "PATCH", at("/Groups", id), o.Joining(part), nil); err != nil {
			return err
		}
	}
	return nil
}

// Joining implements Bodies.
func (o okta) Joining(members []Member) any {
	return patchOf(operation{Op: "add", Path: "members", Value: oktaRefs(members)})
}

func (o okta) RemoveMembers(ctx context.Context, id string, g Group, leaving, all []Member) error {
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	for part := range slices.Chunk(leaving, PerPatch) {
		if err := o.Send(ctx, "PATCH", at("/Groups", id), patchOf(removals(part)...), nil); err != nil {
			return err
		}
	}
	return nil
}

func (o okta) RenameGroup(ctx context.Context, id string, g Group, all []Member) error {
	if o.put {
		return o.putGroup(ctx, id, g, all)
	}
	value := document{{"id", id}, {"displayName", g.Name}}
	return o.Send(ctx, "PATCH", at("/Groups", id), patchOf(operation{Op: "replace", Value: value}), nil)
}

func (o okta) DeleteGroup(ctx context.Context, id string) error {
	return o.Send(ctx, "DELETE", at("/Groups", id), nil, nil)
}

package bridge

import (
	"context"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// activeGrant is the active_grant claim of an assignment (docs/applications.md).
func activeGrant(t *access.Tree, a access.Assignment) oidc.ActiveGrant {
	s, _ := t.Scope(a.Scope)
	g := oidc.ActiveGrant{ID: a.ID, Grant: a.Grant, Standing: a.Standing, Flags: a.Flags,
		Scope: oidc.ClaimScope{ID: a.Scope, Level: s.Level, Path: t.Path(a.Scope), AncestorIDs: t.Ancestors(a.Scope), Names: t.Names(a.Scope)}}
	if g.Scope.AncestorIDs == nil {
		g.Scope.AncestorIDs = []access.ScopeID{}
	}
	if !a.Until.IsZero() {
		g.Until = a.Until.Unix()
	}
	return g
}

// opened is originally granted ∩ allowed to the client ∩ opened by the assignment.
func opened(p *activePolicy, granted []string, client oidc.Client, a access.Assignment) []string {
	workflows := p.Catalogue().Opens(a.Grant, a.Flags, a.Standing)
	return slices.DeleteFunc(slices.Clone(granted), func(s string) bool {
		return !client.MayHave(s) || !oidc.AboutPerson(s) && s != oidc.ScopeOffline && !slices.Contains(workflows, access.Workflow(s))
	})
}

// profile is what the scopes about a person show, from the person's document.
func profile(p store.Person) oidc.Profile {
	out := oidc.Profile{Name: p.DisplayName, UserName: p.UserName, Email: p.Email, UpdatedAt: p.Updated}
	doc, err := schema.Stored(p.Doc)
	if err != nil {
		return out // the columns are enough; a document that cannot be read shows no more
	}
	out.GivenName, out.FamilyName = doc.Text("name", "givenName"), doc.Text("name", "familyName")
	out.Locale, out.ZoneInfo = doc.Text("locale"), doc.Text("timezone")
	out.Phone = doc.Main("phoneNumbers").Text("value")
	home := doc.Main("addresses")
	out.Address = oidc.Address{Formatted: home.Text("formatted"), StreetAddress: home.Text("streetAddress"), Locality: home.Text("locality"),
		Region: home.Text("region"), PostalCode: home.Text("postalCode"), Country: home.Text("country")}
	return out
}

// Profile reads what userinfo shows of the person behind an accepted token.
func (b *Bridge) Profile(ctx context.Context, a oidc.Accepted) (oidc.Profile, error) {
	var out oidc.Profile
	err := b.read(ctx, a.Bound.Subject.Connection, func(dir *store.Directory) error {
		p, err := dir.Person(a.Bound.Subject.Person)
		if err != nil {
			return err
		}
		out = profile(p)
		return nil
	})
	return out, err
}

// Grants says what the person behind an access token may choose now at the token's
// application, and which assignment the token stands on.
func (b *Bridge) Grants(ctx context.Context, shown oidc.Presented) (access.AssignmentID, []oidc.ActiveGrant, error) {
	a, err := b.Accept(ctx, shown.Token)
	if err != nil {
		return "", nil, err
	}
	if err := a.Shows(shown); err != nil {
		return "", nil, err
	}
	var row store.SessionRow
	err = b.store.View(ctx, func(v *store.View) error {
		var err error
		row, err = v.Session(a.Bound.Subject.Session)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	client, err := b.Client(ctx, a.Bound.Subject.Client)
	if err != nil {
		return "", nil, err
	}
	browser, err := b.browser(ctx, row.Session)
	browser.Choices = append(browser.Choices, browser.Guarded...) // authorize steps up
	browser.Choices = slices.DeleteFunc(browser.Choices, func(g oidc.ActiveGrant) bool { return !client.Accepts(g.Grant) })
	for i := range browser.Choices {
		browser.Choices[i].ID = b.AssignmentFor(client, browser.Choices[i].ID)
	}
	if err != nil || row.State != session.Active {
		return "", browser.Choices, err
	}
	return b.AssignmentFor(client, row.Active), browser.Choices, nil
}

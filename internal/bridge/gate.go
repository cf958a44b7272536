package bridge

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// Open turns a SCIM token into the directory of its own connection. Whatever is
// wrong with the token, the answer is one and the same.
func (b *Bridge) Open(ctx context.Context, c scim.Caller) (scim.Directory, error) {
	now := b.now()
	e, err := b.opened(ctx, c.Bearer, now)
	if fault.Is(err, fault.Unavailable) { // nobody has said that the token is wrong
		return scim.Directory{}, scim.Unavailable(err)
	}
	if err != nil {
		return scim.Directory{}, scim.Unauthorized(err)
	}
	if planted.Bug(planted.ConnectionFromPath) {
		_ = b.read(ctx, access.ConnectionID(c.Connection), func(dir *store.Directory) error { e.conn = dir.Row(); return nil })
	}
	if string(e.conn.ID) != c.Connection {
		return scim.Directory{}, scim.Unauthorized(fault.New(fault.Unauthenticated, "bridge.Open", "the token is another connection's"))
	}
	if err := inNetworks(e.conn, c.From); err != nil {
		return scim.Directory{}, scim.Unauthorized(err)
	}
	e.touch()
	if err := failpoint.Hit(ctx, failpoint.AfterAuth); err != nil {
		return scim.Directory{}, edge(err)
	}
	d := b.directory(e.conn)
	d.Credential = e.name
	return d, nil
}

// entry is what a credential opens.
type entry struct {
	conn  store.ConnectionRow
	name  string // of the credential; never its secret
	touch func() // records its use
}

// opened gives what a credential opens; it asks nothing of where it is used.
func (b *Bridge) opened(ctx context.Context, bearer string, now time.Time) (entry, error) {
	if credential.IsSCIMAccess(bearer) {
		conn, use, err := b.openAccess(ctx, bearer, now)
		return entry{conn, use.Client, func() { b.touches.client(conn.ID, use, now) }}, err
	}
	publicID, digest, err := credential.ParseSCIMToken(bearer)
	if err != nil {
		return entry{}, err
	}
	token, conn, known, err := b.store.Door(ctx, publicID)
	if err != nil {
		return entry{}, err
	}
	return entry{conn, publicID, func() { b.touches.token(conn.ID, publicID, now) }}, admitted(token, conn, known, digest, now)
}

// admitted says why a token opens nothing. An unknown one costs the same comparison.
func admitted(t store.SCIMToken, c store.ConnectionRow, known bool, digest credential.Digest, now time.Time) error {
	const op = "bridge.Open"
	switch {
	case !t.Digest.Equal(digest) || !known:
		return fault.New(fault.Unauthenticated, op, "there is no such token")
	case !t.LiveAt(now):
		return fault.New(fault.Unauthenticated, op, "the token was revoked or has expired")
	case c.State != store.ConnectionActive:
		return fault.New(fault.Unauthenticated, op, "the connection has ended")
	}
	return nil
}

// inNetworks refuses a good credential that is used elsewhere than the connection
// says. Only the log tells that from a wrong one.
func inNetworks(c store.ConnectionRow, from netip.Addr) error {
	if c.SCIM.MayCallFrom(from) {
		return nil
	}
	return fault.New(fault.Unauthenticated, "bridge.Open", "the credential is good, but %s lies in none of the networks of connection %s", from, c.ID).Because(reasonNetwork)
}

// reasonNetwork is why a good credential was refused where it was used.
const reasonNetwork = "foreign_network"

func (b *Bridge) directory(c store.ConnectionRow) scim.Directory {
	d := b.directoryWith(c, b.change, false)
	d.Together = func(ctx context.Context, fn func(scim.Directory) error) error { return b.together(ctx, c, fn) }
	return d
}

// directoryWith is a directory whose writes go through change; shared says that those
// are steps of one transaction.
func (b *Bridge) directoryWith(c store.ConnectionRow, change changer, shared bool) scim.Directory {
	return scim.Directory{
		Types: c.Types,
		IdP:   c.IdP, Strict: c.SCIM.Strict, RawToken: c.SCIM.RawToken,
		PatchUserStatus: patchStatus(c.SCIM.PatchedUsers), PatchGroupStatus: patchStatus(c.SCIM.PatchedGroups),

		Rate: admission.Rate(c.SCIM.Rate),

		Users:  users{b: b, conn: c.ID, rt: c.Types.Users, change: change},
		Groups: groups{b: b, conn: c.ID, rt: c.Types.Groups, change: change, shared: shared},

		Cursors: cursors{key: b.cursors, conn: c.ID},
		Offers:  func() []scim.Offer { return offers(b.catalogue(), c.Ceiling.Grants) },
		OAuth:   func(ctx context.Context) (bool, error) { return b.hasClients(ctx, c.ID) },
		Results: results{b: b, conn: c.ID},
		Signals: ssf.SCIMEvents(),
	}
}

// hasClients reports whether a connection may be opened by OAuth now.
func (b *Bridge) hasClients(ctx context.Context, id access.ConnectionID) (bool, error) {
	var clients []store.SCIMClient
	err := b.store.View(ctx, func(v *store.View) (err error) { clients, err = v.SCIMClients(id); return err })
	now, trust := b.now(), b.trust[id]
	return slices.ContainsFunc(clients, func(c store.SCIMClient) bool {
		return c.Live() && (!trust.Empty() || slices.ContainsFunc(c.Secrets, func(s store.ClientSecret) bool { return s.LiveAt(now) }))
	}), err
}

// offers are the grants under a connection's ceiling, for its identity provider to
// show and assign. What a person is assigned is kept in their document; what they are
// given, rules decide.
func offers(of access.Catalogue, ceiling []access.Grant) []scim.Offer {
	var all []scim.Offer
	for _, g := range access.Grants() {
		if slices.Contains(ceiling, g) {
			all = append(all, scim.Offer{Value: string(g), Display: of.PublicName(g), Type: "Access", Description: of.PublicDescription(g)})
		}
	}
	return all
}

// DemandedACR lists the kinds of sign-in that grants demand now, sorted.
func (b *Bridge) DemandedACR() []string { return b.catalogue().ACRValues() }

// catalogue is what grants are called now. Names decide nothing: if the policy cannot be
// read at the moment, the guide's do.
func (b *Bridge) catalogue() access.Catalogue {
	p, err := b.policyNow(context.Background())
	if err != nil {
		return access.Catalogue{}
	}
	return p.Catalogue()
}

// patchStatus is the status of a PATCH that is answered so; 0 leaves it to the dialect.
func patchStatus(e access.Echo) int {
	switch e {
	case access.EchoResource:
		return http.StatusOK
	case access.EchoVersion:
		return http.StatusNoContent
	}
	return 0
}

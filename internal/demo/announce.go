package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// Announcement is the one JSON object that `drawbridge demo --json` prints first.
type Announcement struct {
	Issuer      string                `json:"issuer"`
	MeURL       string                `json:"me_url"`
	APIURL      string                `json:"api_url"`
	AdminToken  string                `json:"admin_token"`
	AppURL      string                `json:"app_url"`
	Connections []AnnouncedConnection `json:"connections"`
	Clients     []AnnouncedClient     `json:"clients"`
}

// AnnouncedConnection is one connection and its identity provider.
type AnnouncedConnection struct {
	ID        string   `json:"id"`
	IdP       string   `json:"idp"` // "entra" or "okta"; of a provider that the demo does not play, as configured
	SCIMURL   string   `json:"scim_url"`
	SCIMToken string   `json:"scim_token"`
	IdPIssuer string   `json:"idp_issuer"`
	People    []string `json:"people"` // who can sign in now, by what the sample's rules give
}

// AnnouncedClient is one registered application.
type AnnouncedClient struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RedirectURI  string `json:"redirect_uri"`
}

// Announce says where everything is. The secrets in it are the demo's own and are
// meant to be printed.
func (s *Servers) Announce(w Wiring, adminToken secret.String) Announcement {
	a := Announcement{
		Issuer: s.BridgeURL(), MeURL: s.BridgeURL() + "/me/", APIURL: s.BridgeURL() + "/api/v1",
		AdminToken: adminToken.Reveal(), AppURL: s.AppURL(),
		Clients: []AnnouncedClient{{ClientID: w.ClientID, ClientSecret: w.ClientSecret.Reveal(), RedirectURI: s.AppRedirectURI()}},
	}
	for _, i := range s.idps {
		a.Connections = append(a.Connections, AnnouncedConnection{
			ID: i.spec.ID, IdP: i.Vendor(), SCIMURL: s.SCIMURL(i.spec.ID), SCIMToken: w.SCIMTokens[i.spec.ID].Reveal(),
			IdPIssuer: i.Issuer(), People: i.people(),
		})
	}
	return a
}

// people lists who can sign in through the provider, in the order of the sample.
func (i *idp) people() []string {
	out := []string{}
	for _, m := range i.spec.members() {
		if p, ok := i.Directory().Find(m.email(i.spec.domain())); ok && p.Active && !m.refused {
			out = append(out, p.UserName)
		}
	}
	return out
}

// Holds says what a person holds under the configuration that runs, in a few words,
// and whether they can sign in.
type Holds func(connection, person string) (words string, mayEnter bool)

// Banner writes what a person needs: where to click, who to sign in as, what to
// try. holds is nil for the sample organisation, whose people have words of their own.
func (s *Servers) Banner(w io.Writer, r oidctest.Report, holds Holds) error {
	var b strings.Builder
	kept := "nothing is kept"
	if s.opts.Data != "" {
		kept = "kept in " + s.opts.Data
	}
	fmt.Fprintf(&b, "drawbridge demo: everything on this machine, %s\n\n", kept)
	fmt.Fprintf(&b, "  Fleet Web    %-26s the sample application: start here\n", s.AppURL())
	fmt.Fprintf(&b, "  bridge       %-26s your own page is %s/me/\n", s.BridgeURL(), s.BridgeURL())
	for _, i := range s.idps {
		fmt.Fprintf(&b, "  %-12s %-26s identity provider of %s, %d people\n", i.Vendor()+"-like", i.at.url(), i.Name(), len(i.Directory().People()))
	}
	fmt.Fprintf(&b, "\nSent by SCIM: %d new people and %d new groups in %d requests, %.1f s.\n", r.PeopleCreated, r.GroupsCreated, r.Requests, r.Took.Seconds())
	if s.Moved {
		b.WriteString("The addresses of the last run were taken, so people must sign in again.\n")
	}
	b.WriteString("\nSign in at Fleet Web with one of these addresses; there are no passwords:\n")
	var guests []string // who can sign in
	for _, i := range s.idps {
		for _, m := range i.spec.members() {
			person, words, enters := m.email(i.spec.domain()), m.try, !m.refused
			if holds != nil {
				words, enters = holds(i.spec.ID, person)
			}
			if enters {
				guests = append(guests, person)
			}
			fmt.Fprintf(&b, "  %-24s %s\n", person, words)
		}
	}
	s.tries(&b, guests, holds == nil)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Servers) tries(b *strings.Builder, guests []string, sample bool) {
	if len(guests) == 0 {
		fmt.Fprintf(b, "\nNobody can sign in under this configuration: `%s explain` says why for each.\n\nStop with Ctrl-C.\n", s.opts.Command)
		return
	}
	person, look := guests[0], "and look at what you hold"
	for _, i := range s.idps {
		if sample && i.spec.ID == "southern-entra" {
			person, look = i.spec.members()[0].email(i.spec.domain()), "switch grant and look at what changed"
		}
	}
	data := ""
	if s.opts.Data != "" {
		data = " --data " + s.opts.Data
	}
	fmt.Fprintf(b, "\nTry:\n")
	fmt.Fprintf(b, "  1  open %s, sign in as %s, %s\n", s.AppURL(), person, look)
	fmt.Fprintf(b, "  2  in another terminal: %s explain%s %s\n", s.opts.Command, data, person)
	fmt.Fprintf(b, "  3  in another terminal: %s demo disable%s %s\n", s.opts.Command, data, person)
	fmt.Fprintf(b, "     then load Fleet Web again: the access ended with the identity provider's own request\n")
	fmt.Fprintf(b, "  4  open %s: the identity provider's people, groups, and what it sent\n", s.idps[0].at.url())
	fmt.Fprintf(b, "  5  act as somebody from the command line: %s demo token%s %s --out my.token,\n", s.opts.Command, data, decider(guests))
	fmt.Fprintf(b, "     then add --token-file my.token to request, case or review (the token lives for minutes)\n")
	fmt.Fprintf(b, "\nStop with Ctrl-C.\n")
}

// decider is somebody who may sign in: the sample's service owner, where there is one.
func decider(guests []string) string {
	if slices.Contains(guests, "uma@lantern.example") {
		return "uma@lantern.example"
	}
	return guests[0]
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/demo"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// fleetWeb is the sample application's client id.
const fleetWeb = "fleet-web"

// demoSecrets are what a demo's own identity providers and application need to
// know. With --data they are kept, readable by their owner alone, so that a restart
// cuts nobody off; the bridge itself keeps digests only.
type demoSecrets struct {
	ClientSecret string            `json:"client_secret"`
	SCIMTokens   map[string]string `json:"scim_tokens"` // by connection
}

const demoSecretsFile = "demo-secrets.json"

// readDemoSecrets reads the secrets of an earlier run, or makes those of a first.
func readDemoSecrets(folder string) (demoSecrets, error) {
	s := demoSecrets{ClientSecret: rand.Text() + rand.Text(), SCIMTokens: map[string]string{}}
	body, err := os.ReadFile(filepath.Join(folder, demoSecretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	return s, err
}

func (s demoSecrets) write(folder string) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, demoSecretsFile)
	if err := os.WriteFile(path+".new", body, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (s demoSecrets) wiring() demo.Wiring {
	w := demo.Wiring{SCIMTokens: map[string]secret.String{}, ClientID: fleetWeb, ClientSecret: secret.New(s.ClientSecret)}
	for id, token := range s.SCIMTokens {
		w.SCIMTokens[id] = secret.New(token)
	}
	return w
}

// demoNote marks the tokens that a demo made for its own identity providers, and
// demoTokenLife is longer than what doctor warns of.
const (
	demoNote      = "demo"
	demoTokenLife = 90 * 24 * time.Hour
)

// demoTokens makes a SCIM token for every connection that has none which is live.
func (a *app) demoTokens(ctx context.Context, s *demoSecrets) error {
	rows, err := a.bridge.Connections(ctx)
	if err != nil {
		return err
	}
	for _, c := range a.cfg.Connections {
		at := slices.IndexFunc(rows, func(r bridge.ConnectionView) bool { return r.ID == c.ID })
		if at < 0 || livesOn(rows[at], s.SCIMTokens[string(c.ID)]) {
			continue
		}
		token, _, err := a.bridge.CreateSCIMToken(ctx, c.ID, demoNote, demoTokenLife)
		if err != nil {
			return err
		}
		s.SCIMTokens[string(c.ID)] = token.Reveal()
	}
	return nil
}

// livesOn reports whether a token of an earlier run still opens the connection.
func livesOn(c bridge.ConnectionView, token string) bool {
	publicID, _, err := credential.ParseSCIMToken(token)
	if err != nil {
		return false
	}
	for _, t := range c.Tokens {
		if t.PublicID == publicID {
			return t.Revoked.IsZero() && time.Until(t.Expires) > endsSoon
		}
	}
	return false
}

// announcement adds the other applications and the connections with identity providers
// of their own, and leaves only those people who can sign in as things stand.
func (a *app) announcement(ctx context.Context, d *demoRun, said demo.Announcement) demo.Announcement {
	for i := range said.Connections {
		c := &said.Connections[i]
		c.People = slices.DeleteFunc(c.People, func(person string) bool { return !a.maySignIn(ctx, person, c.ID) })
	}
	for _, c := range d.others {
		said.Connections = append(said.Connections, demo.AnnouncedConnection{ID: string(c.ID), IdP: c.IdP, SCIMURL: d.servers.SCIMURL(string(c.ID)),
			SCIMToken: d.secrets.SCIMTokens[string(c.ID)], IdPIssuer: c.SignIn.Issuer, People: []string{}})
	}
	for _, c := range a.cfg.Clients {
		if c.ID == fleetWeb || len(c.RedirectURIs) == 0 {
			continue
		}
		said.Clients = append(said.Clients, demo.AnnouncedClient{ClientID: string(c.ID), ClientSecret: c.Secret.Reveal(), RedirectURI: c.RedirectURIs[0]})
	}
	return said
}

// holds says what the demo's people hold under a configuration of the caller's own;
// nil for the sample organisation.
func (d *demoRun) holds(ctx context.Context, a *app) demo.Holds {
	if d.sample {
		return nil
	}
	return func(connection, person string) (string, bool) {
		found, err := a.bridge.Explain(ctx, person, access.ConnectionID(connection))
		if err != nil || len(found) == 0 {
			return "not known to the bridge", false
		}
		e := found[0]
		if e.Refusal != "" {
			return "cannot sign in: " + strings.ReplaceAll(e.Refusal, "_", " "), false
		}
		var all []string
		for _, h := range e.Holds {
			all = append(all, h.Is)
		}
		return strings.Join(all, ", "), true
	}
}

func (a *app) maySignIn(ctx context.Context, person, connection string) bool {
	found, err := a.bridge.Explain(ctx, person, access.ConnectionID(connection))
	return err == nil && slices.ContainsFunc(found, func(e bridge.Explanation) bool { return e.Refusal == "" })
}

package oidctest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/idp"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// SCIM is where the identity provider sends its people.
type SCIM struct {
	BaseURL string // up to and with the connection, without a slash at the end
	Token   secret.String
}

// Config describes one identity provider. The zero fields that say so have a
// default; the others are needed.
type Config struct {
	Name         string // what its pages call it, e.g. "Banksia Freight"
	ID           string // short and unique among those of one host: part of its cookie's name
	BaseURL      string // its own origin, e.g. http://127.0.0.1:9101
	TenantID     string // Entra only: the directory's GUID
	ClientID     string // the bridge, as its relying party
	ClientSecret secret.String
	// ClientKeysURI is where the bridge publishes its keys: it then proves itself by
	// assertions (private_key_jwt) and has no secret.
	ClientKeysURI string
	RedirectURIs  []string // compared byte for byte
	// PostLogoutRedirectURIs may be returned to after end_session, byte for byte.
	PostLogoutRedirectURIs []string
	SCIM                   SCIM
	Directory              *Directory
	Fleet                  Fleet            // default: DefaultFleet
	Now                    func() time.Time // default: time.Now
	HTTP                   *http.Client     // default: 30 s for an answer, no redirects
	// EntraFlag puts ?aadOptscim062020 on the tenant URL: lower-case operations,
	// real booleans, RFC removal of members.
	EntraFlag bool
	// OktaPUT is a custom Okta app: PUT for every change, groups too.
	OktaPUT bool
}

// IdP is an in-process identity provider. Its methods are safe for concurrent use.
type IdP struct {
	cfg    Config
	vendor string
	manner idp.Manner
	speak  func(idp.Sender) idp.Dialect
	log    record
	sign   *provider

	mu    sync.Mutex        // guards the rest
	scim  SCIM              // as Connect set it last
	links map[string]string // object id → the bridge's id
}

// Connect sets where it sends its people, from the next request on: what an
// administrator types in when the bridge has made a token.
func (i *IdP) Connect(s SCIM) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s.BaseURL = strings.TrimSuffix(s.BaseURL, "/")
	i.scim = s
}

// NewEntra is an identity provider that behaves as Microsoft Entra ID does.
func NewEntra(cfg Config) (*IdP, error) {
	if cfg.TenantID == "" {
		return nil, errors.New("oidctest: Entra needs a tenant id")
	}
	return newIdP(cfg, "entra", idp.EntraManner(cfg.EntraFlag), func(s idp.Sender) idp.Dialect {
		return idp.Entra(s, cfg.EntraFlag, cfg.Fleet)
	})
}

// NewOkta is an identity provider that behaves as Okta does.
func NewOkta(cfg Config) (*IdP, error) {
	return newIdP(cfg, "okta", idp.OktaManner(), func(s idp.Sender) idp.Dialect { return idp.Okta(s, cfg.OktaPUT, cfg.Fleet) })
}

func newIdP(cfg Config, vendor string, manner idp.Manner, speak func(idp.Sender) idp.Dialect) (*IdP, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	i := &IdP{cfg: cfg, vendor: vendor, manner: manner, speak: speak, links: map[string]string{}}
	i.Connect(cfg.SCIM)
	var err error
	if i.sign, err = newProvider(i); err != nil {
		return nil, err
	}
	return i, nil
}

func (c Config) check() error {
	var errs []error
	for _, f := range []struct {
		name  string
		empty bool
	}{
		{"Name", c.Name == ""}, {"ID", c.ID == ""}, {"BaseURL", c.BaseURL == ""}, {"ClientID", c.ClientID == ""},
		{"ClientSecret", c.ClientSecret.Empty() == (c.ClientKeysURI == "")}, {"Directory", c.Directory == nil},
	} {
		if f.empty {
			errs = append(errs, fmt.Errorf("oidctest: Config.%s is needed", f.name))
		}
	}
	return errors.Join(errs...)
}

// Vendor is "entra" or "okta".
func (i *IdP) Vendor() string { return i.vendor }

// Name is what its pages call it.
func (i *IdP) Name() string { return i.cfg.Name }

// Directory is its people and groups.
func (i *IdP) Directory() *Directory { return i.cfg.Directory }

// Exchanges are the last SCIM requests it sent, oldest first, at most 200.
func (i *IdP) Exchanges() []Exchange { return i.log.all() }

// RemoteID is the id that the bridge gave to a person or group, "" before it was sent.
func (i *IdP) RemoteID(objectID string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.links[objectID]
}

func (i *IdP) link(objectID, id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id == "" {
		delete(i.links, objectID)
		return
	}
	i.links[objectID] = id
}

// members gives those of the object ids that the bridge knows: a vendor drops
// people out of its scope without a word.
func (i *IdP) members(objectIDs []string) []idp.Member {
	var out []idp.Member
	for _, oid := range objectIDs {
		p, ok := i.cfg.Directory.Find(oid)
		if id := i.RemoteID(oid); ok && id != "" {
			out = append(out, idp.Member{ID: id, Display: p.UserName})
		}
	}
	return out
}

// Report counts what a cycle did.
type Report struct {
	PeopleCreated, PeopleUpdated, PeopleUnchanged, PeopleSkipped int
	GroupsCreated, GroupsUpdated, GroupsUnchanged                int
	Memberships                                                  int // sent, whether or not they were new
	Requests                                                     int
	Took                                                         time.Duration
}

func (r *Report) person(o idp.Outcome) {
	*[]*int{&r.PeopleUnchanged, &r.PeopleCreated, &r.PeopleUpdated, &r.PeopleSkipped}[o]++
}

func (r *Report) group(o idp.Outcome) {
	*[]*int{&r.GroupsUnchanged, &r.GroupsCreated, &r.GroupsUpdated, &r.GroupsUnchanged}[o]++
}

// SyncAll runs the vendor's initial cycle: the probe, every person matched by a
// filter and created or updated, every group likewise, then the members. It goes
// on after a failed object, as the vendors do, and returns all failures joined.
func (i *IdP) SyncAll(ctx context.Context) (Report, error) {
	d := i.converse("initial cycle")
	var r Report
	if err := d.Probe(ctx); err != nil {
		return r, fmt.Errorf("%s: the connection test failed: %w", i.cfg.Name, err)
	}
	started := i.cfg.Now()
	err := errors.Join(i.syncPeople(ctx, d, &r), i.syncGroups(ctx, d, &r))
	r.Requests, r.Took = len(d.sent), i.cfg.Now().Sub(started)
	return r, err
}

func (i *IdP) syncPeople(ctx context.Context, d idp.Dialect, r *Report) error {
	var errs []error
	for _, p := range i.cfg.Directory.People() {
		id, did, err := d.PushPerson(ctx, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.UserName, err))
			continue
		}
		i.link(p.ObjectID, id)
		r.person(did)
	}
	return errors.Join(errs...)
}

func (i *IdP) syncGroups(ctx context.Context, d idp.Dialect, r *Report) error {
	var errs []error
	for _, g := range i.cfg.Directory.Groups() {
		members := i.members(g.Members)
		id, did, err := d.PushGroup(ctx, g, members)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.Name, err))
			continue
		}
		i.link(g.ObjectID, id)
		r.group(did)
		r.Memberships += len(members)
	}
	return errors.Join(errs...)
}

// Disable makes a person inactive, by object id, user name or e-mail address, and
// sends the vendor's deactivation. It returns the requests it sent.
func (i *IdP) Disable(ctx context.Context, person string) ([]Exchange, error) {
	return i.UpdatePerson(ctx, "disable", person, func(p *Person) { p.Active = false })
}

// Enable makes a person active again, on the same id.
func (i *IdP) Enable(ctx context.Context, person string) ([]Exchange, error) {
	return i.UpdatePerson(ctx, "enable", person, func(p *Person) { p.Active = true })
}

// UpdatePerson edits a person in the directory and sends the difference. why is
// what the log shows.
func (i *IdP) UpdatePerson(ctx context.Context, why, person string, edit func(*Person)) ([]Exchange, error) {
	before, after, err := i.cfg.Directory.change(person, edit)
	if err != nil {
		return nil, err
	}
	c := i.converse(why + " " + after.UserName)
	if id := i.RemoteID(after.ObjectID); id != "" {
		err = c.UpdatePerson(ctx, id, before, after)
		return c.sent, err
	}
	id, _, err := c.PushPerson(ctx, after)
	if err == nil {
		i.link(after.ObjectID, id)
	}
	return c.sent, err
}

// AddPerson takes a new person into the directory and sends it.
func (i *IdP) AddPerson(ctx context.Context, p Person) ([]Exchange, error) {
	if err := i.cfg.Directory.addPerson(p); err != nil {
		return nil, err
	}
	c := i.converse("add " + p.UserName)
	id, _, err := c.PushPerson(ctx, p)
	if err == nil {
		i.link(p.ObjectID, id)
	}
	return c.sent, err
}

// Delete removes a person for good: Entra sends the deactivation and then DELETE,
// Okta never sends DELETE.
func (i *IdP) Delete(ctx context.Context, person string) ([]Exchange, error) {
	p, ok := i.cfg.Directory.Find(person)
	if !ok {
		return nil, fmt.Errorf("oidctest: nobody called %q is in the directory", person)
	}
	i.cfg.Directory.removePerson(p.ObjectID)
	c := i.converse("delete " + p.UserName)
	id := i.RemoteID(p.ObjectID)
	if id == "" {
		return nil, nil
	}
	i.link(p.ObjectID, "")
	err := c.DeletePerson(ctx, id, p)
	return c.sent, err
}

// Plus adds two reports of cycles that ran side by side: the longer time counts.
func (r Report) Plus(o Report) Report {
	return Report{
		PeopleCreated: r.PeopleCreated + o.PeopleCreated, PeopleUpdated: r.PeopleUpdated + o.PeopleUpdated,
		PeopleUnchanged: r.PeopleUnchanged + o.PeopleUnchanged, PeopleSkipped: r.PeopleSkipped + o.PeopleSkipped,
		GroupsCreated: r.GroupsCreated + o.GroupsCreated, GroupsUpdated: r.GroupsUpdated + o.GroupsUpdated,
		GroupsUnchanged: r.GroupsUnchanged + o.GroupsUnchanged, Memberships: r.Memberships + o.Memberships,
		Requests: r.Requests + o.Requests, Took: max(r.Took, o.Took),
	}
}

package drive

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// The most that one drive may ask of a server and of its own machine.
const (
	MaxPeople      = 1_000_000
	MaxGroups      = 10_000
	MaxMemberships = 10_000_000
	MaxConcurrency = 256
	MaxRound       = 1_000
	MaxTimeout     = 12 * time.Hour
)

// entraFlag is what an administrator appends to the tenant URL in Entra to have
// standard operations.
const entraFlag = "aadOptscim062020"

// The vendors that are spoken.
const (
	VendorEntra = "entra"
	VendorOkta  = "okta"
)

// Cycle is what an identity provider goes about.
type Cycle string

// The cycles.
const (
	Initial     Cycle = "initial"     // everybody and every group
	Incremental Cycle = "incremental" // a share of people and memberships changes
	Restore     Cycle = "restore"     // a share of people goes and comes back, and must keep id and memberships
	Cleanup     Cycle = "cleanup"     // all that the other cycles made is deleted
)

// Cycles lists them in the order of their use.
func Cycles() []Cycle { return []Cycle{Initial, Incremental, Restore, Cleanup} }

// Options say whom to be, and how much to send where. URL, Token and People are
// needed.
type Options struct {
	Vendor string // VendorEntra or VendorOkta
	URL    string // the SCIM base URL, as an administrator would type it in there
	Token  secret.String
	Cycle  Cycle // "": Initial

	People, Groups, Memberships int
	Seed                        int      // another seed, other people: 0 to 999,999
	GroupNames                  []string // of the first groups, so that they feed rules; the others have made-up names
	Share                       int      // percent that Incremental and Restore change; 0: 5
	Round                       int      // how many incremental cycles the directory has seen, this one included
	Bulk                        bool     // send Initial in bulk requests (RFC 7644 section 3.7), which no vendor does

	Concurrency    int           // requests at a time; 0: 16
	Timeout        time.Duration // of the whole drive; 0: 30 minutes
	RequestTimeout time.Duration // of one request; 0: 30 s
	Backoff        time.Duration // before the first repetition, doubled for each further one; 0: 500 ms

	// IOwnThisServer allows another machine than this one, by https alone.
	IOwnThisServer bool
	Now            func() time.Time // nil: time.Now
}

func (o Options) withDefaults() Options {
	if o.Cycle == "" {
		o.Cycle = Initial
	}
	if o.Cycle == Incremental && o.Round == 0 {
		o.Round = 1
	}
	set(&o.Share, 5)
	set(&o.Concurrency, 16)
	set(&o.Timeout, 30*time.Minute)
	set(&o.RequestTimeout, 30*time.Second)
	set(&o.Backoff, 500*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func set[T int | time.Duration](v *T, or T) {
	if *v == 0 {
		*v = or
	}
}

// check says all that is wrong at once.
func (o Options) check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	within := func(what string, n, least, most int) {
		wrong(n < least || n > most, "%s is %d: between %d and %d is possible", what, n, least, most)
	}
	wrong(o.Vendor != VendorEntra && o.Vendor != VendorOkta, "%q is no identity provider that can be acted: entra and okta are", o.Vendor)
	wrong(!slices.Contains(Cycles(), o.Cycle), "there is no cycle %q: initial, incremental, restore and cleanup are", o.Cycle)
	wrong(o.Token.Empty(), "the token is empty")
	within("people", o.People, 1, MaxPeople)
	within("groups", o.Groups, 0, MaxGroups)
	within("memberships", o.Memberships, 0, MaxMemberships)
	wrong(o.Memberships > o.People*o.Groups, "%d memberships do not fit %d people in %d groups", o.Memberships, o.People, o.Groups)
	within("seed", o.Seed, 0, 999_999)
	within("share", o.Share, 1, 100)
	within("round", o.Round, 0, MaxRound)
	within("concurrency", o.Concurrency, 1, MaxConcurrency)
	wrong(o.Timeout < 0 || o.Timeout > MaxTimeout, "the timeout is %s: up to %s is possible", o.Timeout, MaxTimeout)
	wrong(o.Bulk && o.Cycle != Initial, "bulk requests are for the initial cycle alone")
	wrong(o.Cycle == Initial && o.Round > 0, "an initial cycle has no round: incremental cycles come after it")
	errs = append(errs, o.checkNames(), o.checkURL())
	return errors.Join(errs...)
}

func (o Options) checkNames() error {
	if len(o.GroupNames) > o.Groups {
		return fmt.Errorf("%d group names are more than %d groups", len(o.GroupNames), o.Groups)
	}
	seen := map[string]bool{}
	for _, name := range o.GroupNames {
		const longest = 256
		if name == "" || len(name) > longest || seen[name] {
			return fmt.Errorf("the group name %.40q is empty, too long or there twice", name)
		}
		seen[name] = true
	}
	return nil
}

func (o Options) checkURL() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return fmt.Errorf("the address cannot be read: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%q is no SCIM base URL: it begins with http:// or https:// and a host", o.URL)
	case u.User != nil || u.Fragment != "":
		return errors.New("a SCIM base URL holds no password and no fragment")
	case u.RawQuery != "" && (o.Vendor != VendorEntra || u.RawQuery != entraFlag):
		return fmt.Errorf("a SCIM base URL has no query, except for Entra's ?%s", entraFlag)
	case onLoopback(u.Hostname()):
		return nil
	case !o.IOwnThisServer:
		return fmt.Errorf("%s is not this machine: to load another server, own it and say so with --i-own-this-server", u.Hostname())
	case u.Scheme != "https":
		return fmt.Errorf("%s is not this machine: the token goes there by https or not at all", u.Hostname())
	}
	return nil
}

// onLoopback takes the name localhost at its word; the dialer looks at the address.
func onLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// target is the base URL without its query, and whether Entra's flag was on it.
func (o Options) target() (base string, flag bool) {
	base, query, _ := strings.Cut(o.URL, "?")
	return strings.TrimSuffix(base, "/"), query == entraFlag
}

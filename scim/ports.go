package scim

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/admission"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// Gate turns a credential into the one directory it opens. The connection in the
// path must be the credential's own; anything else is an Error with status 401
// that says the same for a wrong token, another connection's and none.
type Gate interface {
	Open(ctx context.Context, c Caller) (Directory, error)
}

// Caller is who asks, in their own words: nothing of it is true yet but From.
type Caller struct {
	Connection string     // of the path
	Bearer     string     // the credential
	From       netip.Addr // Config.ClientAddr; the zero Addr lies in no network
}

// Directory is one connection's people and groups.
type Directory struct {
	Types         schema.Types // what they are made of; the zero Types are the standard ones
	Users, Groups Collection
	Cursors       Cursors
	Offers        func() []Offer                      // what its people may be given; nil: nothing is offered
	OAuth         func(context.Context) (bool, error) // whether access tokens of OAuth clients open it, too; nil: they do not

	// Together runs fn with a directory whose writes are kept by one commit: each
	// call is undone by itself if it fails, all of them if fn does, and nothing is
	// kept before Together returns nil. fn may run again. On the directory that fn
	// gets, Together makes several calls all or nothing; it is for writes that want
	// no Relations, since reads see what was kept before.
	Together func(ctx context.Context, fn func(Directory) error) error

	// Results keeps what became of requests that are answered with 202; nil: none is.
	Results Results
	Signals []string // the URIs of the signals that are made of what happens here (RFC 9967); with Results

	Credential string // names the credential that opened it; never its secret

	IdP      string // whose dialect is spoken here (a name of scim/dialect); "" is other
	Strict   bool   // refuse what the RFC forbids instead of reading what was meant
	RawToken bool   // accept Authorization without the Bearer scheme, also where the dialect does not

	Rate admission.Rate // how much it may ask; zero: Config.Rate

	// What a successful PATCH that names no attributes is answered with: 200 and the
	// resource, or 204 and its version. 0: what the dialect says.
	PatchUserStatus, PatchGroupStatus int
}

// Cursors seals the places where a client stands in this connection's lists. bound
// describes the list: what was sealed for one opens for no other, nor for any of
// another connection's. A cursor is made of RFC 3986's unreserved characters.
type Cursors interface {
	Seal(place []byte, bound string) (cursor string)
	Open(cursor, bound string) (place []byte, err error)
}

// Collection is what the front asks of the people, or of the groups, of one
// connection. Each call is one transaction, or a part of one (Directory.Together); a
// group's members are read after it, a page at a time, and may be younger than its
// version. Errors are *Error (see errors.go) or a parser's own.
type Collection interface {
	Reader
	Create(ctx context.Context, in Input) (Resource, error)
	Replace(ctx context.Context, id string, m Match, in Input) (Resource, error)
	Patch(ctx context.Context, id string, m Match, p patch.Plan, w Want) (Resource, error)
	Delete(ctx context.Context, id string, m Match) (*traffic.Effect, error)
	// NewID makes an id for Input: who refers to a resource may be read before it is there.
	NewID() string
}

// Reader is what the front asks of resources that are shown.
type Reader interface {
	Get(ctx context.Context, id string, w Want) (Resource, error)
	List(ctx context.Context, q Query) (Page, error)
}

// Input is a whole resource as the client sent it, checked against its schema.
type Input struct {
	ID         string        // for Create, of NewID; "": Create makes one
	Doc        schema.Object // without relations
	Members    []string      // a group's member ids, without repeats, in request order
	HasMembers bool          // the request named members; a Replace without them keeps those there are
	HasActive  bool          // the request named active; a Create without it means true, a Replace keeps it
	Want       Want          // what the answer will show
}

// Want says which relations the answer will show, so that nobody reads a hundred
// thousand members to throw them away.
type Want struct{ Relations bool }

// Match is If-Match and If-None-Match: the zero Match matches anything.
type Match struct {
	Versions []int64 // any of these; empty and not Any: unconditional. -1 stands for a tag that is not ours
	Any      bool    // "*"

	Unless    []int64 // If-None-Match: none of these
	UnlessAny bool    // "*": no version at all
}

// Unconditional reports whether a resource may be changed at any version.
func (m Match) Unconditional() bool {
	return len(m.Versions)+len(m.Unless) == 0 && !m.UnlessAny
}

// Allows reports whether a resource at that version may be changed.
func (m Match) Allows(version int64) bool {
	if m.UnlessAny || slices.Contains(m.Unless, version) {
		return false
	}
	return m.Any || len(m.Versions) == 0 || slices.Contains(m.Versions, version)
}

// Resource is a user or group as stored, or something offered.
type Resource struct {
	ID           string
	Version      int64 // ETag W/"<n>"
	Created      time.Time
	LastModified time.Time
	Doc          []byte // canonical JSON object without id, meta, schemas and relations; externalId is part of it
	// Relations streams a group's members, or a user's groups; nil if not wanted.
	// It is read at most once, after the call that returned the resource.
	Relations iter.Seq2[Relation, error]
	// Notes are the leniencies that a Patch relied on and that only what was stored could
	// tell (patch.Plan.ApplyNoting).
	Notes schema.Notes
	// Later reads the resource when its turn in a list comes; then nothing else is
	// set. It is how a page of many large documents is not held at once. A failure
	// then, also because the resource has gone, cuts the answer off.
	Later func() (Resource, error)
	// Effect is what the write that returned the resource did; nil if nobody says, and
	// for reads. Nothing is answered by it: it is for who looks at the traffic.
	Effect *traffic.Effect
}

// Relation is one member of a group, or one group of a user.
type Relation struct {
	ID      string
	Display string
}

// Query is a list request after parsing: of a page by its number, or of one of a walk.
type Query struct {
	Filter filter.Expr  // nil: all
	Sort   *filter.Sort // nil: oldest first
	Start  int          // 1-based; not of a walk
	Count  int          // 0: totals only; at least 1 in a walk
	Walk   bool         // the page begins behind After, whatever has come or gone since
	After  []byte       // Page.Next of the page before; nil: the first page
	Want   Want
	Base   string // what addresses in the answer begin with, up to the collection: a filter may ask for them
}

// Page is a list answer.
type Page struct {
	Total     int // of all that match; not told in a walk
	Compared  int // rows that were compared with the filter, or sorted, because no index serves it
	Resources []Resource
	Next      []byte // of a walk: where the next page begins; nil: there is none
}

package scim

import (
	"context"
	"iter"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Gate turns a credential into the one directory it opens. The connection in the
// path must be the credential's own; anything else is an Error with status 401
// that says the same for a wrong token, another connection's and none.
type Gate interface {
	Open(ctx context.Context, connection, bearer string) (Directory, error)
}

// Directory is one connection's people and groups.
type Directory struct {
	Users, Groups Collection
	Strict        bool // refuse what the RFC forbids instead of reading what was meant
	RawToken      bool // accept Authorization without the Bearer scheme
}

// Collection is what the front asks of the people, or of the groups, of one
// connection. Each call is one transaction; errors are *Error (see errors.go).
type Collection interface {
	Create(ctx context.Context, doc schema.Object) (Resource, error)
	Get(ctx context.Context, id string, w Want) (Resource, error)
	Replace(ctx context.Context, id string, m Match, doc schema.Object) (Resource, error)
	Patch(ctx context.Context, id string, m Match, p patch.Plan, w Want) (Resource, error)
	Delete(ctx context.Context, id string, m Match) error
	List(ctx context.Context, q Query) (Page, error)
}

// Want says which relations the answer will show, so that nobody reads a hundred
// thousand members to throw them away.
type Want struct{ Relations bool }

// Match is If-Match: the zero Match matches anything.
type Match struct {
	Versions []int64 // any of these; empty and not Any: unconditional
	Any      bool    // "*"
}

// Resource is a user or group as stored.
type Resource struct {
	ID           string
	Version      int64 // ETag W/"<n>"
	Created      time.Time
	LastModified time.Time
	Doc          []byte // canonical JSON object without id, meta, schemas and relations
	// Members streams a group's members, Groups a user's groups; nil if not wanted.
	Relations iter.Seq2[Relation, error]
}

// Relation is one member of a group, or one group of a user.
type Relation struct {
	ID      string
	Display string
}

// Query is a list request after parsing.
type Query struct {
	Filter filter.Expr // nil: all
	Start  int         // 1-based
	Count  int         // 0: totals only
	Want   Want
}

// Page is a list answer.
type Page struct {
	Total     int
	Resources []Resource
}

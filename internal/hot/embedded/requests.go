package embedded

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// requests are the authorization requests under way.
type requests struct {
	mu      sync.Mutex // guards what follows
	shelf   *shelf[string, *hot.AuthRequest]
	byState map[upstreamState]string // to the request's id
}

type upstreamState struct {
	connection access.ConnectionID
	state      string
}

func stateOf(u hot.Upstream) upstreamState { return upstreamState{u.Connection, u.State} }

// reserve is the part, one in so many, that requests without a leg keep of what is full:
// of the shelf, or of what it holds for their network. A leg costs an attacker no more than a request does; without
// the reserve, a shelf full of legs would push each newcomer out with the next one.
const reserve = 8

func newRequests(count, bytes int) *requests {
	r := &requests{byState: map[upstreamState]string{}}
	r.shelf = newShelf[string](bounds{count: count, bytes: bytes, reserve: reserve}, func(a *hot.AuthRequest) { delete(r.byState, stateOf(a.Upstream)) })
	return r
}

// PutAuthRequest implements hot.Engine.
func (r *requests) PutAuthRequest(_ context.Context, a hot.AuthRequest) error {
	const op = "embedded.PutAuthRequest"
	if err := a.Check(op); err != nil {
		return err
	}
	own := ownRequest(a)
	own.Upstream, own.Legs = hot.Upstream{}, 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shelf.sweep(a.Created)
	return r.shelf.put(op, a.From, a.ID, &own, requestBytes(own), a.Expires, spare)
}

// AuthRequest implements hot.Engine.
func (r *requests) AuthRequest(_ context.Context, id string, now time.Time) (hot.AuthRequest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.liveLocked("embedded.AuthRequest", id, now)
	if err != nil {
		return hot.AuthRequest{}, err
	}
	return ownRequest(*e.value), nil
}

// BindUpstream implements hot.Engine.
func (r *requests) BindUpstream(_ context.Context, id string, u hot.Upstream, now time.Time) error {
	const op = "embedded.BindUpstream"
	if err := u.Check(op); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.liveLocked(op, id, now)
	if err != nil {
		return err
	}
	if holder, taken := r.byState[stateOf(u)]; taken && holder != id {
		return hot.StateTaken(op)
	}
	if e.value.Legs >= hot.MaxLegs {
		return hot.TooManyLegs(op)
	}
	delete(r.byState, stateOf(e.value.Upstream))
	e.value.Upstream = u
	e.value.Legs++
	r.byState[stateOf(u)] = id
	r.shelf.resize(e, requestBytes(*e.value))
	r.shelf.move(e, held) // and it stays: who is back from the provider may be choosing a grant
	return nil
}

// TakeUpstream implements hot.Engine.
func (r *requests) TakeUpstream(_ context.Context, c access.ConnectionID, state string, now time.Time) (hot.AuthRequest, error) {
	const op = "embedded.TakeUpstream"
	r.mu.Lock()
	defer r.mu.Unlock()
	key := upstreamState{c, state}
	id, waits := r.byState[key]
	if !waits {
		return hot.AuthRequest{}, hot.NotUnderWay(op)
	}
	e, err := r.liveLocked(op, id, now)
	if err != nil {
		return hot.AuthRequest{}, err
	}
	found := ownRequest(*e.value)
	delete(r.byState, key)
	e.value.Upstream = hot.Upstream{}
	r.shelf.resize(e, requestBytes(*e.value))
	return found, nil
}

func (r *requests) liveLocked(op, id string, now time.Time) (*slot[string, *hot.AuthRequest], error) {
	e, ok := r.shelf.get(id)
	if !ok || !now.Before(e.value.Expires) {
		return nil, hot.NotUnderWay(op)
	}
	return e, nil
}

// ownRequest shares no memory with a.
func ownRequest(a hot.AuthRequest) hot.AuthRequest {
	for _, list := range []*[]string{&a.OAuthScopes, &a.Prompt, &a.Resources, &a.ACRValues, &a.UILocales} {
		*list = slices.Clone(*list)
	}
	a.Claims = slices.Clone(a.Claims)
	return a
}

// requestBytes estimates what a request holds: its texts, and a fixed part for the
// struct, the maps, the lists and the heaps.
func requestBytes(a hot.AuthRequest) int {
	n := 1280 + texts(a.OAuthScopes) + texts(a.Prompt) + texts(a.Resources) + texts(a.ACRValues) + texts(a.UILocales) + len(a.Claims) + len(a.ID)*3 + len(a.From)*2
	for _, s := range []string{string(a.Client), a.RedirectURI, a.State, a.Nonce, a.CodeChallenge, a.DPoPKey, string(a.Grant),
		a.LoginHint, string(a.Connection), string(a.Upstream.Connection), a.Upstream.State, a.Upstream.Nonce, a.Upstream.CodeVerifier, string(a.Upstream.Grant), a.Upstream.ACRValues} {
		n += len(s)
	}
	return n
}

func texts(list []string) int {
	n := 0
	for _, s := range list {
		n += 16 + len(s)
	}
	return n
}

package store

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Holder is an assignment with whose it is.
type Holder struct {
	access.Assignment
	Connection access.ConnectionID
	Key        PersonKey
	Decided    int64 // how many permits that live and limits that bind the person has
	UserName   string
	Name       string
	Counts     bool // the person is active and decided: what is stored is what they hold
}

// Seat is a set of assignments of one grant that an index has together, in the order in
// which they were given: those at a scope, or those of a connection. Each was given by
// rules under one ceiling, or by people.
type Seat struct {
	Grant      access.Grant        `json:"g"`
	Scope      access.ScopeID      `json:"s,omitempty"`
	Connection access.ConnectionID `json:"c,omitempty"`
	Ceiling    access.ScopeID      `json:"l,omitempty"` // "": given by people
}

// SeatsAt are the seats at a scope for these grants.
func (v *View) SeatsAt(scope access.ScopeID, grants []access.Grant) ([]Seat, error) {
	ceilings, err := list(v, "store.SeatsAt", scanScopeID, `select ancestor from scope_ancestors where scope = $1 order by ancestor`, string(scope))
	if err != nil {
		return nil, err
	}
	var seats []Seat
	for _, g := range grants {
		for _, ceiling := range append(ceilings, "") {
			seats = append(seats, Seat{Grant: g, Scope: scope, Ceiling: ceiling})
		}
	}
	return seats, nil
}

// SeatsOf are the seats of a connection for a grant.
func (v *View) SeatsOf(conn access.ConnectionID, g access.Grant) ([]Seat, error) {
	key, err := v.connectionKey(conn)
	if err != nil {
		return nil, err
	}
	ceilings, err := list(v, "store.SeatsOf", scanScopeID, `select scope from ceilings where conn = $1 and grant_kind = $2 order by scope`, key, string(g))
	if err != nil {
		return nil, err
	}
	var seats []Seat
	for _, ceiling := range append(ceilings, "") {
		seats = append(seats, Seat{Grant: g, Connection: conn, Ceiling: ceiling})
	}
	return seats, nil
}

func scanScopeID(r Row) (id access.ScopeID, err error) { return id, r.Scan(&id) }

// where is the condition that finds a seat, with its arguments.
func (s Seat) where(v *View) (string, []any, error) {
	under, args := `a.ceiling_scope is null`, []any{string(s.Grant)}
	if s.Ceiling != "" {
		under, args = `a.ceiling_scope = $2`, append(args, string(s.Ceiling))
	}
	place := "$" + strconv.Itoa(len(args)+1)
	if s.Connection == "" {
		return `a.grant_kind = $1 and ` + under + ` and a.scope = ` + place, append(args, string(s.Scope)), nil
	}
	key, err := v.connectionKey(s.Connection)
	return `a.grant_kind = $1 and ` + under + ` and a.conn = ` + place, append(args, key), err
}

// Held narrows what is listed of a seat: what is not over at that instant, of one
// connection, or of all.
type Held struct {
	Now        time.Time
	Connection access.ConnectionID
	Begun      bool // what begins later is left out
}

func (h Held) narrowed(v *View, where string, args []any) (string, []any, error) {
	args = append(args, ms(h.Now))
	where += ` and (a.until = 0 or a.until > $` + strconv.Itoa(len(args)) + `)`
	if h.Begun {
		where += ` and a.not_before <= $` + strconv.Itoa(len(args))
	}
	if h.Connection == "" {
		return where, args, nil
	}
	key, err := v.connectionKey(h.Connection)
	args = append(args, key)
	return where + ` and a.conn = $` + strconv.Itoa(len(args)), args, err
}

// CountHolders is how many assignments of a seat there are at each scope.
func (v *View) CountHolders(s Seat, h Held) (map[access.ScopeID]int64, error) {
	where, args, err := s.where(v)
	if err != nil {
		return nil, err
	}
	if where, args, err = h.narrowed(v, where, args); err != nil {
		return nil, err
	}
	found := map[access.ScopeID]int64{}
	return found, v.each("store.CountHolders", func(r Row) error {
		var scope access.ScopeID
		var n int64
		err := r.Scan(&scope, &n)
		found[scope] = n
		return err
	}, `select a.scope, count(*) from assignments a where `+where+` group by a.scope`, args...)
}

// Holders lists the assignments of a seat behind a key, which is where the next page
// begins.
func (v *View) Holders(s Seat, h Held, after int64, limit int) (all []Holder, last int64, err error) {
	where, args, err := s.where(v)
	if err != nil {
		return nil, 0, err
	}
	if where, args, err = h.narrowed(v, where, args); err != nil {
		return nil, 0, err
	}
	args = append(args, after, limit, ms(h.Now))
	n := len(args)
	err = v.each("store.Holders", func(r Row) error {
		var one Holder
		var notBefore, until, used int64
		var sources []byte
		err := r.Scan(&last, &one.ID, &one.Grant, &one.Scope, &one.Flags.Events, &one.Flags.Video, &one.Standing, &notBefore, &until, &used, &sources,
			&one.Connection, &one.Key, &one.Decided, &one.Person, &one.UserName, &one.Name, &one.Counts)
		if err != nil {
			return err
		}
		one.NotBefore, one.Until, one.LastUsed = at(notBefore), at(until), at(used)
		all = append(all, one)
		return json.Unmarshal(sources, &all[len(all)-1].Sources)
	}, `select a.key, a.id, a.grant_kind, a.scope, a.events, a.video, a.standing, a.not_before, a.until, a.last_used_at, a.sources, c.id, p.key, p.decided, p.id, p.user_name, p.display_name,
		c.active and p.active and p.policy > 0 and p.policy >= c.decided_from and (p.valid_until = 0 or p.valid_until > $`+strconv.Itoa(n)+`) and not (`+fencedSQL+`) and `+backedSQL+`
		from assignments a cross join people p cross join connections c
		where `+where+` and a.key > $`+strconv.Itoa(n-2)+` and p.key = a.person and c.key = a.conn order by a.key limit $`+strconv.Itoa(n-1), args...)
	return all, last, err
}

// DecidedOf is what people decided about holders of whom they did, without their
// certifications.
func (v *View) DecidedOf(holders []Holder) (map[PersonKey]access.Decided, error) {
	found, some := map[PersonKey]*access.Decided{}, map[access.ConnectionID][]PersonKey{}
	for _, h := range holders {
		if h.Decided > 0 && found[h.Key] == nil {
			found[h.Key] = &access.Decided{}
			some[h.Connection] = append(some[h.Connection], h.Key)
		}
	}
	for id, keys := range some {
		conn, err := v.connectionKey(id)
		if err != nil {
			return nil, err
		}
		err = v.decided(`in (`+v.engine.Dialect().Keys("$2")+`)`, func(k PersonKey) *access.Decided { return found[k] }, conn, jsonList(keys))
		if err != nil {
			return nil, err
		}
	}
	out := make(map[PersonKey]access.Decided, len(found))
	for k, d := range found {
		out[k] = *d
	}
	return out, nil
}

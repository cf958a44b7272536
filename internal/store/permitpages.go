package store

import (
	"cmp"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// PermitList says which permits are listed, those that ended included. The first of For,
// Case and Scopes that is set chooses the index.
type PermitList struct {
	For    *request.Party
	Case   access.CaseID
	Scopes []access.ScopeID // at one of these; nil: at any
	Live   bool             // with Scopes: those that have not ended
}

// PermitPage lists permits, the newest first, before an id ("": from the newest on): at
// most n.
func (v *View) PermitPage(l PermitList, before access.PermitID, n int) ([]PermitRow, error) {
	const op = "store.PermitPage"
	from := cmp.Or(string(before), beyond)
	page := func(where string, args ...any) ([]PermitRow, error) {
		return list(v, op, scanPermitRow, permitRows+where+` t.id < $1 order by t.id desc limit $2`, append([]any{from, n}, args...)...)
	}
	switch {
	case l.For != nil:
		return page(`t.conn = (select key from connections where id = $3) and t.person_id = $4 and`, string(l.For.Connection), string(l.For.Person))
	case l.Case != "":
		return page(`t.case_id = $3 and t.case_id <> '' and`, string(l.Case))
	case l.Scopes == nil:
		return page(``)
	}
	newest, here := ``, ``
	if l.Live {
		newest, here = ` and r.ended_at = 0`, `t.ended_at = 0 and `
	}
	return newestAt(v, op, `permits r`, newest, atScopes{l.Scopes, from, n}, func(s access.ScopeID) ([]PermitRow, error) {
		return page(`t.scope = $3 and `+here, string(s))
	}, func(p PermitRow) string { return string(p.ID) })
}

package store

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// ScopeMove is a scope that lies under another now: what covered it before, and what does.
type ScopeMove struct {
	Scope    access.ScopeID
	Was, Now []access.ScopeID // all above it
}

// stillRun are the reviews of a scope that have not ended.
const stillRun = ` from review_places p join reviews rv on rv.id = p.review where p.scope = $1 and rv.state <> 'ended'`

// MoveReviewScopes counts what is under review in reviews that have not ended where it lies
// from now on, and notes that their cards are to be placed anew. All scopes that move in a
// transaction are given at once. It takes a few statements for each, however much is
// under review.
func (tx *Tx) MoveReviewScopes(moves []ScopeMove) error {
	const op = "store.MoveReviewScopes"
	moves = slices.Clone(moves)
	slices.SortStableFunc(moves, func(a, b ScopeMove) int { return -cmp.Compare(len(a.Was), len(b.Was)) })
	for _, m := range moves { // the innermost first: what moves with another is counted with it no more
		for _, above := range m.Was {
			_, err := tx.exec(op, `update review_places set
				items = items - (select p.items from review_places p where p.scope = $1 and p.review = review_places.review),
				undecided = undecided - (select p.undecided from review_places p where p.scope = $1 and p.review = review_places.review)
				where scope = $2 and review in (select p.review`+stillRun+`)`, string(m.Scope), string(above))
			if err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(moves, func(a, b ScopeMove) int { return cmp.Compare(len(a.Now), len(b.Now)) })
	for _, m := range moves { // the outermost first: what moves into another is added to all above it
		for _, above := range m.Now {
			_, err := tx.exec(op, `insert into review_places (scope, review, items, undecided) select cast($2 as text), p.review, p.items, p.undecided`+stillRun+`
				on conflict (scope, review) do update set items = review_places.items + excluded.items, undecided = review_places.undecided + excluded.undecided`,
				string(m.Scope), string(above))
			if err != nil {
				return err
			}
		}
	}
	return tx.noteReviewMoves(op, moves)
}

// noteReviewMoves leaves nothing where nothing lies any more, and notes whose cards are to
// be placed anew.
func (tx *Tx) noteReviewMoves(op string, moves []ScopeMove) error {
	for _, m := range moves {
		for _, above := range m.Was {
			if _, err := tx.exec(op, `delete from review_places where scope = $1 and items = 0`, string(above)); err != nil {
				return err
			}
		}
		_, err := tx.exec(op, `insert into review_moves (review, mark) select p.review, ''`+stillRun+` on conflict (review) do update set mark = ''`, string(m.Scope))
		if err != nil {
			return err
		}
	}
	return nil
}

// ReviewMove is a review of which the cards are being placed anew.
type ReviewMove struct {
	Review access.ReviewID
	After  ItemPlace // behind which its items are looked at next
}

func scanReviewMove(r Row) (m ReviewMove, err error) {
	var mark []byte
	if err = r.Scan(&m.Review, &mark); err != nil || len(mark) == 0 {
		return m, err
	}
	return m, json.Unmarshal(mark, &m.After)
}

// ReviewMoves are the reviews of which cards are to be placed anew: at most n.
func (v *View) ReviewMoves(n int) ([]ReviewMove, error) {
	return list(v, "store.ReviewMoves", scanReviewMove, `select review, mark from review_moves where review > '' order by review limit $1`, n)
}

// ReviewMove is how far the cards of a review are placed anew; moving is false once they
// all lie where their items do.
func (v *View) ReviewMove(id access.ReviewID) (m ReviewMove, moving bool, err error) {
	all, err := list(v, "store.ReviewMove", scanReviewMove, `select review, mark from review_moves where review = $1`, string(id))
	if err != nil || len(all) == 0 {
		return m, false, err
	}
	return all[0], true, nil
}

// PutReviewMove writes how far the cards of a review are placed anew; done: all are.
func (tx *Tx) PutReviewMove(m ReviewMove, done bool) error {
	const op = "store.PutReviewMove"
	if done {
		_, err := tx.exec(op, `delete from review_moves where review = $1`, string(m.Review))
		return err
	}
	mark, err := json.Marshal(m.After)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	_, err = tx.exec(op, `update review_moves set mark = $2 where review = $1`, string(m.Review), string(mark))
	return err
}

// PlaceReviewItems places what a person has under review, and their cards, where it lies
// now: covering says what covers a scope, that scope included; nil: it is not known, and
// the item stays where it is. The counts of places are not touched (MoveReviewScopes).
func (tx *Tx) PlaceReviewItems(id access.ReviewID, conn access.ConnectionID, person access.PersonID, covering func(access.ScopeID) []access.ScopeID) error {
	const op = "store.PlaceReviewItems"
	items, err := tx.ReviewItemsOf(id, conn, person)
	if err != nil {
		return err
	}
	var touched []access.ScopeID
	for n, i := range items {
		next := covering(i.Scope)
		if next == nil || slices.Equal(next, i.Placed) {
			continue
		}
		_, err := tx.exec(op, `update review_items set placed = $6 where review = $1 and conn = $2 and person = $3 and grant_kind = $4 and scope = $5`,
			string(id), string(conn), string(person), string(i.Grant), string(i.Scope), joinScopes(next))
		if err != nil {
			return err
		}
		touched = append(append(touched, i.Placed...), next...)
		items[n].Placed = next
	}
	slices.Sort(touched)
	for _, scope := range slices.Compact(touched) {
		var t tally
		for _, i := range items {
			if slices.Contains(i.Placed, scope) {
				t = t.with(i)
			}
		}
		if err := tx.setCard(op, id, cardKey{scope, conn, person}, t); err != nil {
			return err
		}
	}
	return nil
}

// setCard writes what a person has under review at or below a scope.
func (tx *Tx) setCard(op string, id access.ReviewID, k cardKey, t tally) error {
	if t.items == 0 {
		_, err := tx.exec(op, `delete from review_cards where review = $1 and scope = $2 and conn = $3 and person = $4`, string(id), string(k.scope), string(k.conn), string(k.person))
		return err
	}
	_, err := tx.exec(op, `insert into review_cards (review, scope, rank, conn, person, items, undecided) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (review, scope, conn, person) do update set items = excluded.items, undecided = excluded.undecided, rank = excluded.rank`,
		string(id), string(k.scope), t.rank, string(k.conn), string(k.person), t.items, t.undecided)
	return err
}

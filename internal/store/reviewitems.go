package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
)

// cardKey is a card: what a person has under review at or below a scope.
type cardKey struct {
	scope  access.ScopeID
	conn   access.ConnectionID
	person access.PersonID
}

// tally is how many items something has, how many of them are undecided, and the rank of
// the riskiest.
type tally struct{ items, undecided, rank int64 }

func (t tally) with(i review.Item) tally {
	rank := i.Rank()
	if t.items == 0 || rank < t.rank {
		t.rank = rank
	}
	t.items++
	if i.Answer.Verdict == review.Undecided {
		t.undecided++
	}
	return t
}

// AddReviewItems puts items under review that are not yet, and gives each its id. It says
// how many there were: whoever gathers the same twice changes nothing.
func (tx *Tx) AddReviewItems(id access.ReviewID, items []review.Item) (added int, err error) {
	r, err := tx.Review(id)
	if err != nil {
		return 0, err
	}
	cards, places := map[cardKey]tally{}, map[access.ScopeID]tally{}
	var gone int64
	for _, i := range items {
		i.ID = strconv.FormatInt(r.Counts.Items+int64(added)+1, 10)
		isNew, err := tx.addReviewItem(id, i)
		if err != nil {
			return added, err
		}
		if !isNew {
			continue
		}
		added++
		if i.Answer.Verdict == review.Gone {
			gone++
		}
		for _, s := range i.Placed {
			k := cardKey{s, i.Connection, i.Person}
			cards[k], places[s] = cards[k].with(i), places[s].with(i)
		}
	}
	if added == 0 {
		return 0, nil
	}
	if err := tx.addToCards(id, cards, places); err != nil {
		return added, err
	}
	_, err = tx.exec("store.AddReviewItems", `update reviews set items = items + $2, undecided = undecided + $3, gone = gone + $4 where id = $1`,
		string(id), added, int64(added)-gone, gone)
	return added, err
}

func (tx *Tx) addReviewItem(id access.ReviewID, i review.Item) (isNew bool, err error) {
	const op = "store.AddReviewItems"
	shown, err := json.Marshal(i.Held)
	if err != nil {
		return false, fault.Wrap(fault.Internal, op, err)
	}
	answer, err := answerText(op, i.Answer)
	if err != nil {
		return false, err
	}
	n, err := tx.exec(op, `insert into review_items (review, conn, person, grant_kind, scope, id, placed, rank, shown, decision, decided)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (review, conn, person, grant_kind, scope) do nothing`,
		string(id), string(i.Connection), string(i.Person), string(i.Grant), string(i.Scope), i.ID, joinScopes(i.Placed), i.Rank(), string(shown), string(i.Answer.Verdict), answer)
	return n > 0, err
}

func answerText(op string, a review.Answer) (string, error) {
	if a.Verdict == review.Undecided {
		return "", nil
	}
	text, err := json.Marshal(a)
	return string(text), fault.Wrap(fault.Internal, op, err)
}

func joinScopes(ids []access.ScopeID) string {
	var all []string
	for _, id := range ids {
		all = append(all, string(id))
	}
	return strings.Join(all, " ")
}

func splitScopes(text string) (ids []access.ScopeID) {
	for _, id := range strings.Fields(text) {
		ids = append(ids, access.ScopeID(id))
	}
	return ids
}

// addToCards counts new items where they belong, in one order, whoever else does so.
func (tx *Tx) addToCards(id access.ReviewID, cards map[cardKey]tally, places map[access.ScopeID]tally) error {
	const op = "store.AddReviewItems"
	order := slices.SortedFunc(maps.Keys(cards), func(a, b cardKey) int {
		return strings.Compare(string(a.scope)+"\x00"+string(a.conn)+"\x00"+string(a.person), string(b.scope)+"\x00"+string(b.conn)+"\x00"+string(b.person))
	})
	for _, k := range order {
		t := cards[k]
		_, err := tx.exec(op, `insert into review_cards (review, scope, rank, conn, person, items, undecided) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (review, scope, conn, person) do update set items = review_cards.items + excluded.items, undecided = review_cards.undecided + excluded.undecided,
				rank = case when excluded.rank < review_cards.rank then excluded.rank else review_cards.rank end`,
			string(id), string(k.scope), t.rank, string(k.conn), string(k.person), t.items, t.undecided)
		if err != nil {
			return err
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(places)) {
		_, err := tx.exec(op, `insert into review_places (scope, review, items, undecided) values ($1, $2, $3, $4)
			on conflict (scope, review) do update set items = review_places.items + excluded.items, undecided = review_places.undecided + excluded.undecided`,
			string(scope), string(id), places[scope].items, places[scope].undecided)
		if err != nil {
			return err
		}
	}
	return nil
}

// AnswerReviewItem writes down what became of an item. fault.Stale if somebody has decided
// it already, or there is none.
func (tx *Tx) AnswerReviewItem(i review.Item, a review.Answer) error {
	const op = "store.AnswerReviewItem"
	text, err := answerText(op, a)
	if err != nil {
		return err
	}
	n, err := tx.exec(op, `update review_items set decision = $2, decided = $3
		where review = $1 and conn = $4 and person = $5 and grant_kind = $6 and scope = $7 and decision = ''`,
		string(i.Review), string(a.Verdict), text, string(i.Connection), string(i.Person), string(i.Grant), string(i.Scope))
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "item %s of %s has been decided already", i.ID, i.Review)
	}
	if err != nil {
		return err
	}
	return tx.countAnswer(op, i, a.Verdict)
}

func (tx *Tx) countAnswer(op string, i review.Item, v review.Verdict) error {
	column := map[review.Verdict]string{review.Keep: "kept", review.Remove: "removed", review.Lower: "lowered", review.Gone: "gone", review.Unanswered: "lapsed"}[v]
	if column == "" {
		return fault.New(fault.Internal, op, "%q is no answer", v)
	}
	if _, err := tx.exec(op, `update reviews set undecided = undecided - 1, `+column+` = `+column+` + 1 where id = $1`, string(i.Review)); err != nil {
		return err
	}
	for _, s := range slices.Sorted(slices.Values(i.Placed)) {
		_, err := tx.exec(op, `update review_cards set undecided = undecided - 1 where review = $1 and scope = $2 and conn = $3 and person = $4`,
			string(i.Review), string(s), string(i.Connection), string(i.Person))
		if err != nil {
			return err
		}
		if _, err := tx.exec(op, `update review_places set undecided = undecided - 1 where scope = $1 and review = $2`, string(s), string(i.Review)); err != nil {
			return err
		}
	}
	return nil
}

const itemColumns = `i.review, i.id, i.placed, i.shown, i.decided`

func scanItem(r Row) (i review.Item, err error) {
	var placed string
	var shown, answer []byte
	if err = r.Scan(&i.Review, &i.ID, &placed, &shown, &answer); err != nil {
		return i, err
	}
	i.Placed = splitScopes(placed)
	if err = json.Unmarshal(shown, &i.Held); err != nil || len(answer) == 0 {
		return i, err
	}
	return i, json.Unmarshal(answer, &i.Answer)
}

// ReviewItem is one item of a review; fault.NotFound if there is none.
func (v *View) ReviewItem(id access.ReviewID, item string) (review.Item, error) {
	i, err := scanItem(v.q.QueryRow(`select `+itemColumns+` from review_items i where i.review = $1 and i.id = $2`, string(id), item))
	return i, v.found(err, "store.ReviewItem", "item")
}

// ReviewItemsOf lists all that a person has under review.
func (v *View) ReviewItemsOf(id access.ReviewID, conn access.ConnectionID, person access.PersonID) ([]review.Item, error) {
	return list(v, "store.ReviewItemsOf", scanItem, `select `+itemColumns+` from review_items i where i.review = $1 and i.conn = $2 and i.person = $3 order by i.grant_kind, i.scope`,
		string(id), string(conn), string(person))
}

// ItemPlace is where a page of items ended; zero: before the first.
type ItemPlace struct {
	Connection access.ConnectionID `json:"c"`
	Person     access.PersonID     `json:"p"`
	Grant      access.Grant        `json:"g"`
	Scope      access.ScopeID      `json:"s"`
}

// PlaceOf is the place behind an item.
func PlaceOf(i review.Item) ItemPlace { return ItemPlace{i.Connection, i.Person, i.Grant, i.Scope} }

// ReviewItems lists items of a review behind a place: at most n.
func (v *View) ReviewItems(id access.ReviewID, after ItemPlace, n int) ([]review.Item, error) {
	return list(v, "store.ReviewItems", scanItem, `select `+itemColumns+` from review_items i
		where i.review = $1 and (i.conn, i.person, i.grant_kind, i.scope) > ($2, $3, $4, $5) order by i.conn, i.person, i.grant_kind, i.scope limit $6`,
		string(id), string(after.Connection), string(after.Person), string(after.Grant), string(after.Scope), n)
}

// UndecidedItems lists items that nobody has decided: at most n.
func (v *View) UndecidedItems(id access.ReviewID, n int) ([]review.Item, error) {
	return list(v, "store.UndecidedItems", scanItem, `select `+itemColumns+` from review_items i where i.review = $1 and i.decision = ''
		order by i.conn, i.person limit $2`, string(id), n)
}

// Card is what a person has under review at or below a scope.
type Card struct {
	Connection access.ConnectionID
	Person     access.PersonID
	Rank       int64 // of the riskiest item: see review.Held.Rank
	Items      int64
	Undecided  int64
}

// CardPlace is where a page of cards ended; zero: before the first.
type CardPlace struct {
	Rank       int64               `json:"r"`
	Connection access.ConnectionID `json:"c"`
	Person     access.PersonID     `json:"p"`
}

// ReviewCards lists the cards of a review at a scope, the riskiest first, behind a place:
// at most n. open leaves out those on which everything has its answer.
func (v *View) ReviewCards(id access.ReviewID, scope access.ScopeID, after CardPlace, open bool, n int) ([]Card, error) {
	which := ""
	if open {
		which = ` and d.undecided > 0`
	}
	return list(v, "store.ReviewCards", func(r Row) (c Card, err error) {
		return c, r.Scan(&c.Connection, &c.Person, &c.Rank, &c.Items, &c.Undecided)
	}, `select d.conn, d.person, d.rank, d.items, d.undecided from review_cards d
		where d.review = $1 and d.scope = $2 and (d.rank, d.conn, d.person) > ($3, $4, $5)`+which+` order by d.rank, d.conn, d.person limit $6`,
		string(id), string(scope), after.Rank, string(after.Connection), string(after.Person), n)
}

// ReviewAt is how much of a review lies at or below a scope, as it was gathered.
func (v *View) ReviewAt(id access.ReviewID, scope access.ScopeID) (c review.Counts, err error) {
	err = v.each("store.ReviewAt", func(r Row) error { return r.Scan(&c.Items, &c.Open) },
		`select items, undecided from review_places where scope = $1 and review = $2`, string(scope), string(id))
	return c, err
}

// LastReviewed is the latest answer by a person about something that somebody holds; nil:
// nobody ever looked at it.
func (v *View) LastReviewed(conn access.ConnectionID, person access.PersonID, grant access.Grant, scope access.ScopeID) (last *review.Item, err error) {
	err = v.each("store.LastReviewed", func(r Row) error {
		i, err := scanItem(r)
		last = &i
		return err
	}, `select `+itemColumns+` from review_items i where i.conn = $1 and i.person = $2 and i.grant_kind = $3 and i.scope = $4 and i.decision in ('keep', 'lower', 'remove')
		order by i.review desc limit 1`, string(conn), string(person), string(grant), string(scope))
	return last, err
}

// CountSame is how many assignments of a grant there are at a scope, up to a number.
func (v *View) CountSame(grant access.Grant, scope access.ScopeID, most int64) (n int64, err error) {
	seats, err := v.SeatsAt(scope, []access.Grant{grant})
	for _, s := range seats {
		if err != nil || n >= most {
			break
		}
		where, args, err := s.where(v)
		if err != nil {
			return n, err
		}
		var some int64
		err = v.q.QueryRow(`select count(*) from (select 1 from assignments a where `+where+` limit $`+strconv.Itoa(len(args)+1)+`) c`, append(args, most-n)...).Scan(&some)
		if err != nil {
			return n, v.failed(err, "store.CountSame")
		}
		n += some
	}
	return n, err
}

// PermitsOfCase lists all that was ever permitted for a case, what has ended included, of
// all connections, the oldest first, behind an id: at most n.
func (v *View) PermitsOfCase(id access.CaseID, after access.PermitID, n int) ([]PermitRow, error) {
	return list(v, "store.PermitsOfCase", scanPermitRow, permitRows+`t.case_id = $1 and t.case_id <> '' and t.id > $2 order by t.id limit $3`, string(id), string(after), n)
}

// PermitsAmong lists all that was ever permitted to people of a connection, what has ended
// included, person by person, behind a permit of one of them: at most n.
func (v *View) PermitsAmong(conn access.ConnectionID, person access.PersonID, after access.PermitID, n int) ([]PermitRow, error) {
	key, err := v.connectionKey(conn)
	if err != nil {
		return nil, err
	}
	return list(v, "store.PermitsAmong", scanPermitRow, permitRows+`t.conn = $1 and (t.person_id, t.id) > ($2, $3) order by t.person_id, t.id limit $4`, key, string(person), string(after), n)
}

package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// ref names one thing that a transaction changed, never what it is now.
type ref struct {
	Kind       refKind             `json:"k"`
	Connection access.ConnectionID `json:"c,omitempty"`
	ID         string              `json:"i,omitempty"` // of a person, a session, a family, a token or a SCIM client
	Client     access.ClientID     `json:"a,omitempty"` // of a client, or a family's
}

type refKind string

const (
	refPerson     refKind = "person"
	refSession    refKind = "session"
	refFamily     refKind = "family"
	refForget     refKind = "forget" // a family, for good
	refHost       refKind = "host"
	refPolicy     refKind = "policy"
	refConnection refKind = "connection"
	refVoid       refKind = "void"  // the decisions of a connection, by a policy
	refFence      refKind = "fence" // one was laid or lifted in a connection
	refClient     refKind = "client"
	refToken      refKind = "token"
	refSCIMClient refKind = "scim_client"
	refAll        refKind = "all" // more than one piece of news may name
)

// wide reports whether the ref is to something that is read as one value.
func (r ref) wide() bool {
	switch r.Kind {
	case refPerson, refSession, refFamily, refForget:
		return false
	}
	return true
}

// narrow is what applications are told of a change of what is not wide.
func (r ref) narrow() []changeRef {
	switch r.Kind {
	case refPerson:
		return []changeRef{{kind: ChangedPerson, person: personRef{r.Connection, access.PersonID(r.ID)}}}
	case refSession:
		return []changeRef{{kind: ChangedSession, session: session.ID(r.ID)}}
	case refFamily:
		return []changeRef{{kind: ChangedFamily, family: r.ID, client: r.Client}}
	}
	return nil
}

// told is what applications are told of news.
func (r ref) told() []changeRef {
	switch r.Kind {
	case refHost, refPolicy:
		return []changeRef{{kind: ChangedHost, undecided: r.Kind == refPolicy}}
	case refConnection, refVoid, refFence:
		return []changeRef{{kind: ChangedConnection, person: personRef{connection: r.Connection}, undecided: r.Kind != refConnection}}
	case refClient:
		return []changeRef{{kind: ChangedClient, client: r.Client}}
	}
	return r.narrow()
}

// maxRefs is how much one piece of news names. What changes more is news that everything may
// have changed.
const maxRefs = 4000

// NewsKept is how long news are kept: longer than an access token lives, and than anybody
// waits for them.
const NewsKept = 15 * time.Minute

// News is what one transaction has changed of what nodes remember.
type News struct {
	ID   int64     `json:"id"`
	Refs []byte    `json:"refs"` // which things, never what they are now
	At   time.Time `json:"at"`   // when it was written, by the database's clock
	txid int64
}

// tell writes what the transaction has changed, for the other nodes. What is new was
// remembered by nobody.
func (tx *Tx) tell() error {
	if planted.Bug(planted.NewsForgotten) || !tx.shared || tx.lost != nil {
		return nil
	}
	refs := make([]ref, 0, len(tx.touched))
	seen := make(map[ref]bool, len(tx.touched))
	for _, t := range tx.touched {
		if !seen[t.ref] && !tx.born[t.ref] {
			seen[t.ref] = true
			refs = append(refs, t.ref)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	if len(refs) > maxRefs {
		refs = []ref{{Kind: refAll}}
	}
	text, err := json.Marshal(refs)
	if err != nil {
		return fault.Wrap(fault.Internal, "store.tell", err)
	}
	d := tx.engine.Dialect()
	id, err := tx.q.Insert(`insert into news (txid, refs, at) values (`+d.Transaction+`, $1, `+d.Now+`)`, string(text))
	tx.news = News{ID: id, Refs: text}
	return tx.failed(err, "store.tell")
}

// isNew says that this transaction has made what is named: no node remembers it, since none
// keeps that somebody is not there.
func (tx *Tx) isNew(r ref) {
	if tx.born == nil {
		tx.born = map[ref]bool{}
	}
	tx.born[r] = true
}

// newsPage is how many pieces of news are read at once.
const newsPage = 1000

func scanNews(r Row) (n News, err error) {
	var refs string
	var when int64
	err = r.Scan(&n.ID, &n.txid, &refs, &when)
	n.Refs, n.At = []byte(refs), at(when)
	return n, err
}

const newsColumns = `select id, txid, refs, at from news where `

// newsSince lists what is new after a position, and the position behind it. More says that there
// may be more. Not whole: some of it is kept no longer.
func (v *View) newsSince(after Position) (all []News, now Position, more, whole bool, err error) {
	const op = "store.NewsSince"
	if now, err = v.position(); err != nil {
		return nil, now, false, false, err
	}
	var trimmed int64
	if err := v.q.QueryRow(`select coalesce(max(below), 0) from news_trimmed`).Scan(&trimmed); err != nil {
		return nil, now, false, false, v.failed(err, op)
	}
	if !after.sameHistory(now) || after.lowest() < trimmed || after.next > now.next {
		return nil, now, false, false, nil
	}
	if len(after.open) > 0 {
		all, err = list(v, op, scanNews, newsColumns+`txid in (`+v.engine.Dialect().Keys("$1")+`) order by txid, id`, jsonList(after.open))
		if err != nil {
			return nil, now, false, false, err
		}
	}
	later, err := list(v, op, scanNews, newsColumns+`txid >= $1 order by txid, id limit $2`, after.next, newsPage)
	if err != nil || len(later) < newsPage {
		return append(all, later...), now, false, true, err
	}
	last := later[len(later)-1].txid // perhaps not all of it
	if cut := slices.IndexFunc(later, func(n News) bool { return n.txid == last }); cut > 0 {
		later = later[:cut]
		return append(all, later...), now.upTo(later[cut-1].txid), true, true, nil
	}
	later, err = list(v, op, scanNews, newsColumns+`txid = $1 order by txid, id`, last)
	return append(all, later...), now.upTo(last), true, true, err
}

// TrimNews forgets news older than NewsKept by the database's clock that everybody who polls has
// seen, and old witnesses of transactions. It says whether there may be more.
func (tx *Tx) TrimNews() (more bool, err error) {
	const op = "store.TrimNews"
	witnesses, err := tx.trimWitnesses()
	if err != nil {
		return false, err
	}
	below, more, err := tx.oldNews(op)
	if err != nil {
		return false, err
	}
	if below == 0 {
		return witnesses, nil
	}
	if _, err := tx.exec(op, `delete from news where txid < $1`, below); err != nil {
		return false, err
	}
	_, err = tx.exec(op, `insert into news_trimmed (one, below) values (1, $1) on conflict (one) do update set below = $1 where news_trimmed.below < $1`, below)
	return witnesses || more, err
}

// oldNews is the transaction below which news are old and everybody who polls has seen them; 0:
// there are none. More says that a page was not enough to tell.
func (tx *Tx) oldNews(op string) (below int64, more bool, err error) {
	now, err := tx.position()
	if err != nil {
		return 0, false, err
	}
	read := 0
	err = tx.each(op, func(r Row) error {
		var txid int64
		var old bool
		if err := r.Scan(&txid, &old); err != nil {
			return err
		}
		if read++; old && txid < now.lowest() {
			below = txid + 1
		}
		return nil
	}, `select txid, at < `+tx.engine.Dialect().Now+` - $1 from news order by txid, id limit $2`, NewsKept.Milliseconds(), newsPage)
	return below, read == newsPage, err
}

// WitnessesKept is how long the witnesses of transactions are kept: much longer than anybody asks
// what has become of a commit.
const WitnessesKept = time.Hour

// trimWitnesses forgets those older than WitnessesKept by the database's clock.
func (tx *Tx) trimWitnesses() (more bool, err error) {
	const op = "store.TrimNews"
	var now int64 // read first: no index serves a comparison with a clock that runs
	if err := tx.q.QueryRow(`select ` + tx.engine.Dialect().Now).Scan(&now); err != nil {
		return false, tx.failed(err, op)
	}
	n, err := tx.exec(op, `delete from commits where token in (select token from commits where at < $1 order by at limit $2)`, now-WitnessesKept.Milliseconds(), newsPage)
	return n == newsPage, err
}

// hear drops what news name. It says whether something wide is to be read again, which is wanted then.
func (w *window) hear(refs []ref) (wide bool) {
	if len(refs) == 0 {
		return false
	}
	for _, r := range refs {
		switch r.Kind {
		case refAll:
			w.people.clear()
			w.sessions.clear()
		default:
			w.drop(r)
		}
		if r.wide() {
			w.wanted.add(r)
			wide = true
		}
	}
	w.changes.wake()
	return wide
}

// Hear applies news that other nodes told of. What is wide is read again before it returns.
func (s *Store) Hear(ctx context.Context, news ...News) error { return s.apply(ctx, news) }

func refsOf(touched []touch) []ref {
	refs := make([]ref, len(touched))
	for i, t := range touched {
		refs[i] = t.ref
	}
	return refs
}

package store

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// Position is a place in the news: which transactions had ended when somebody looked.
// Transactions are not numbered in the order in which they end, so it names those that
// had not ended yet. The zero Position is before everything.
//
// It means something within its history only: when PostgreSQL crashes, or another server takes
// over, the numbers of transactions that nobody had been promised are given out again, and what they
// then do would look as if it had been seen. A history is the random id in the table history
// together with the run of the server. That table is unlogged: every recovery from a crash, and
// every promotion of a standby, empties it before anybody is let in, as PostgreSQL's manual promises; and
// a server that was started otherwise is another run. So two positions of one history were read from
// one server that has never been anything but up in between. Nobody has to notice: whoever finds no id
// puts one in.
type Position struct {
	history string  // empty: unknown, and no other position is of the same
	next    int64   // of none from this number on was anything seen
	open    []int64 // those below it that had not ended, in order
}

// sameHistory reports whether the numbers of both mean the same.
func (p Position) sameHistory(as Position) bool {
	if planted.Bug(planted.HistoryForgotten) {
		as.history = p.history
	}
	return p.history != "" && p.history == as.history
}

// maxOpen is how many open transactions the text of a Position names. Beyond it, some news are
// read twice.
const maxOpen = 40

// String is the form that ParsePosition reads.
func (p Position) String() string {
	if len(p.open) > maxOpen {
		p = Position{history: p.history, next: p.open[0]}
	}
	parts := []string{strconv.FormatInt(p.next, 10)}
	for _, x := range p.open {
		parts = append(parts, strconv.FormatInt(x, 10))
	}
	return p.history + "." + strings.Join(parts, "-")
}

var historyText = regexp.MustCompile(`^[a-z0-9_]{1,80}$`)

// ParsePosition reads what String made.
func ParsePosition(text string) (Position, bool) {
	history, rest, _ := strings.Cut(text, ".")
	parts := strings.Split(rest, "-")
	if !historyText.MatchString(history) || len(parts) > maxOpen+1 {
		return Position{}, false
	}
	numbers := make([]int64, len(parts))
	for i, part := range parts {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return Position{}, false
		}
		numbers[i] = n
	}
	p := Position{history: history, next: numbers[0], open: numbers[1:]}
	return p, slices.IsSorted(p.open) && (len(p.open) == 0 || p.open[len(p.open)-1] < p.next)
}

// lowest is the number below which everything was seen.
func (p Position) lowest() int64 {
	if len(p.open) > 0 {
		return p.open[0]
	}
	return p.next
}

// covers reports whether what a transaction has committed was seen.
func (p Position) covers(txid int64) bool {
	_, open := slices.BinarySearch(p.open, txid)
	return txid < p.next && !open
}

// upTo is the position p without what lies behind a transaction.
func (p Position) upTo(txid int64) Position {
	i, _ := slices.BinarySearch(p.open, txid+1)
	return Position{history: p.history, next: txid + 1, open: p.open[:i]}
}

// snapshotOf reads a snapshot as the engines write it: lowest:next:open,open.
func snapshotOf(text string) (p Position, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return p, fault.New(fault.Internal, "store.snapshot", "a snapshot is written %q", text)
	}
	if p.next, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return p, fault.Wrap(fault.Internal, "store.snapshot", err)
	}
	for _, x := range strings.FieldsFunc(parts[2], func(r rune) bool { return r == ',' }) {
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			return p, fault.Wrap(fault.Internal, "store.snapshot", err)
		}
		p.open = append(p.open, n)
	}
	slices.Sort(p.open)
	return p, nil
}

// position is what this transaction's snapshot sees.
func (v *View) position() (Position, error) {
	const op = "store.position"
	d := v.engine.Dialect()
	var text, history, run string
	err := v.q.QueryRow(`select `+d.Snapshot+`, coalesce((select id from history where one = 1), ''), `+d.Run).Scan(&text, &history, &run)
	if err != nil {
		return Position{}, v.failed(err, op)
	}
	p, err := snapshotOf(text)
	if history != "" {
		p.history = history + run
	}
	return p, err
}

// beginHistory gives the numbers of transactions from now on a name, if they have none.
func (s *Store) beginHistory(ctx context.Context) error {
	return s.aside(ctx, true, func(q Querier) error {
		_, err := q.Exec(`insert into history (one, id) values (1, $1) on conflict (one) do nothing`, credential.NewID("his"))
		return err
	})
}

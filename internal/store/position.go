package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Position is a place in the news: which transactions had ended when somebody looked.
// Transactions are not numbered in the order in which they end, so it names those that
// had not ended yet. The zero Position is before everything.
type Position struct {
	next int64   // of none from this number on was anything seen
	open []int64 // those below it that had not ended, in order
}

// maxOpen is how many open transactions the text of a Position names. Beyond it, some news are
// read twice.
const maxOpen = 40

// String is the form that ParsePosition reads.
func (p Position) String() string {
	if len(p.open) > maxOpen {
		p = Position{next: p.open[0]}
	}
	parts := []string{strconv.FormatInt(p.next, 10)}
	for _, x := range p.open {
		parts = append(parts, strconv.FormatInt(x, 10))
	}
	return strings.Join(parts, "-")
}

// ParsePosition reads what String made.
func ParsePosition(text string) (Position, bool) {
	parts := strings.Split(text, "-")
	if len(parts) > maxOpen+1 {
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
	p := Position{next: numbers[0], open: numbers[1:]}
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
	return Position{next: txid + 1, open: p.open[:i]}
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
	var text string
	if err := v.q.QueryRow(`select ` + v.engine.Dialect().Snapshot).Scan(&text); err != nil {
		return Position{}, v.failed(err, "store.position")
	}
	return snapshotOf(text)
}

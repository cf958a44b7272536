package hot

import (
	"context"
	"time"
)

// Entry is one line of a feed, in whatever form those who use the feed have agreed on: at most
// MaxEntry bytes. It repeats what the store has committed, and decides nothing.
type Entry []byte

// MaxEntry is how many bytes an entry may have.
const MaxEntry = 64 << 10

// Offset is a place in a feed; one in the news of the store is a store.Position. It is after all
// entries with numbers up to Number, in one incarnation of the data that the feed lies in. The zero
// Offset is in no feed.
type Offset struct {
	Incarnation string
	Number      int64
}

// Feed tells the nodes of a deployment something within milliseconds, in one order: what a commit has
// changed, or who has heard of it. A reader resumes exactly where it was, on whatever connection; one that
// cannot is told so.
//
// That Next has nothing is confirmed by the server that this node speaks to, and by no other: cut
// off together with a primary that has been replaced, a node reads an empty feed. So the feed makes
// commits fast; that a node may go on accepting is for the lease in the store to say.
type Feed interface {
	// Publish adds entries, all or none. After an error nobody knows whether it was done: readers
	// must bear to be told twice. fault.Limited for an entry that is larger than MaxEntry.
	Publish(ctx context.Context, entries ...Entry) error
	// End gives the offset behind everything that was published: take it, read the store, and
	// then follow from it.
	End(ctx context.Context) (Offset, error)
	// Next gives entries after an offset, in order, and the offset behind them. It waits for
	// the first for as long as it may, 0 not at all; none, without an error, says that there were
	// none when it returned. fault.Stale says that there is a gap: entries were trimmed, or the
	// feed is of another incarnation. Then take End, read the store, and go on from there.
	// fault.Unavailable says that nobody knows; the offset is as good as it was.
	Next(ctx context.Context, after Offset, wait time.Duration) ([]Entry, Offset, error)
}

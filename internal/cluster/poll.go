package cluster

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// polls polls until ctx ends.
func (n *Node) polls(ctx context.Context) {
	failing := false
	for {
		next := time.NewTimer(lease.Every)
		select {
		case <-next.C:
		case <-n.again:
		case <-ctx.Done():
		}
		next.Stop()
		if ctx.Err() != nil {
			return
		}
		err := n.poll(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			n.cfg.Observe("cluster.poll", err) // once, until it works again
		}
		failing = err != nil
	}
}

func (n *Node) pollNow() {
	select {
	case n.again <- struct{}{}:
	default: // it will be
	}
}

// poll renews the lease: it says that this node is there, in a transaction of its own, and only
// then reads what others have changed. So whoever commits and then does not find this poll in the registry
// can be sure that the poll finds the commit.
func (n *Node) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	sent := n.now()
	owed := n.takeOwed()
	known, err := n.cfg.Store.Beat(ctx, n.row())
	if err == nil && !known { // it was away for so long that it was forgotten
		again := n.row()
		again.Hot = "" // whoever is running is refused by nobody
		err = n.cfg.Store.Register(ctx, again)
	}
	var found store.Followed
	if err == nil {
		found, err = n.cfg.Store.Follow(ctx)
	}
	if err == nil {
		n.renew(sent)
		n.found(found)
		n.know(owed)
	}
	if found.Standby { // whatever it has told before may have been of the past, too
		n.lapse()
	}
	if n.cfg.Polled != nil {
		n.cfg.Polled(n.now().Mono-sent.Mono, found, err)
	}
	return err
}

func (n *Node) found(f store.Followed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.News > 0 {
		n.last = f
	}
}

func (n *Node) takeOwed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	owed := n.owed
	n.owed = nil
	return owed
}

// tidies looks at the registry now and then, so that it is known who has gone, and removes what
// nobody needs any more. Each node does: it is little, and news must not pile up where the work that one
// node does stands still.
func (n *Node) tidies(ctx context.Context) {
	tidied := n.now().Mono
	for pause(ctx, lease.Life) {
		if _, err := n.peers(ctx); err != nil {
			continue // the poll says so
		}
		if now := n.now().Mono; now-tidied >= tidyEvery {
			tidied = now
			if err := n.tidy(ctx, now); err != nil && ctx.Err() == nil {
				n.cfg.Observe("cluster.tidy", err)
			}
		}
	}
}

// tidy forgets old news, and nodes that this one has not seen to poll for as long: by its own
// clock, since the database's may be set, and whoever is forgotten is waited for by nobody.
func (n *Node) tidy(ctx context.Context, now time.Duration) error {
	n.mu.Lock()
	gone := n.seen.Gone(now, store.NewsKept)
	n.mu.Unlock()
	for _, p := range gone {
		if err := n.cfg.Store.Forget(ctx, p.Node, p.Beat); err != nil {
			return err
		}
	}
	for more := true; more && ctx.Err() == nil; {
		err := n.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) { more, err = tx.TrimNews(); return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// peers are the other nodes that may believe what they remember, as of now.
func (n *Node) peers(ctx context.Context) ([]string, error) {
	began := n.now().Mono
	all, err := n.cfg.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	others := make([]lease.Peer, 0, len(all))
	for _, o := range all {
		if o.ID != n.id {
			others = append(others, lease.Peer{Node: o.ID, Beat: o.Beat, Age: o.BeatAge})
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen.Live(others, began, n.now().Mono), nil
}

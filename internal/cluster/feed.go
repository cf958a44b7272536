package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// message is an entry of the feed: news that a node has committed, or which news it has applied.
// Whoever waits names the wait: after a failover of the directory ids of news may be given out
// again, and what was said of one must not count for another.
type message struct {
	From string      `json:"from"`
	News *store.News `json:"news,omitempty"` // without Refs: too large, to be read in the directory
	Asks string      `json:"asks,omitempty"` // with News: the wait
	Know []string    `json:"know,omitempty"` // the waits whose news this node has applied
}

const (
	publishTime = time.Second
	listenTime  = time.Second
	// together is how many entries are published at once, and how much news one entry acknowledges.
	together = 64
)

// announce tells the others of a commit, for which somebody here waits.
func (n *Node) announce(news store.News, wait string) {
	if len(news.Refs) > hot.MaxEntry/2 {
		news.Refs = nil
	}
	n.send(message{From: n.id, News: &news, Asks: wait})
}

// know tells the others that this node has applied the news that they wait for.
func (n *Node) know(waits []string) {
	for len(waits) > 0 {
		some := waits[:min(together, len(waits))]
		waits = waits[len(some):]
		n.send(message{From: n.id, Know: some})
	}
}

// send queues a message; what does not fit is not sent: whoever waits for it waits for a lease.
func (n *Node) send(m message) {
	if n.cfg.Feed == nil {
		return
	}
	text, err := json.Marshal(m)
	if err != nil {
		n.cfg.Observe("cluster.send", err)
		return
	}
	select {
	case n.out <- text:
	default:
	}
}

// publishes publishes what is queued until ctx ends.
func (n *Node) publishes(ctx context.Context) {
	failing := false
	for {
		var batch []hot.Entry
		select {
		case e := <-n.out:
			batch = append(batch, e)
		case <-ctx.Done():
			return
		}
		for len(batch) < together && len(n.out) > 0 {
			batch = append(batch, <-n.out)
		}
		bounded, cancel := context.WithTimeout(ctx, publishTime)
		err := n.cfg.Feed.Publish(bounded, batch...)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			n.cfg.Observe("cluster.publish", err)
		}
		failing = err != nil
	}
}

// listens follows the feed until ctx ends. What it misses, a poll finds.
func (n *Node) listens(ctx context.Context) {
	var at hot.Offset
	failing := false
	for ctx.Err() == nil {
		next, err := n.listen(ctx, at)
		if at = next; err != nil {
			n.hearing("")
		} else if at.Incarnation != "" {
			n.hearing(at.Incarnation)
		}
		if err != nil && !failing && ctx.Err() == nil {
			n.cfg.Observe("cluster.listen", err)
		}
		if failing = err != nil; failing {
			pause(ctx, lease.Every)
		}
	}
}

func (n *Node) listen(ctx context.Context, at hot.Offset) (hot.Offset, error) {
	bounded, cancel := context.WithTimeout(ctx, 2*listenTime)
	defer cancel()
	if at == (hot.Offset{}) {
		return n.cfg.Feed.End(bounded)
	}
	entries, next, err := n.cfg.Feed.Next(bounded, at, listenTime)
	if fault.Is(err, fault.Stale) { // there is a gap; the directory has no gaps
		n.pollNow()
		return hot.Offset{}, nil
	}
	if err != nil {
		return at, err
	}
	if planted.Bug(planted.LeaseRenewedByFeed) {
		n.renew(n.now())
	}
	return next, n.take(bounded, entries)
}

// take applies what others say, and says so.
func (n *Node) take(ctx context.Context, entries []hot.Entry) error {
	news, waits, large := n.sort(entries)
	n.owe(large)
	if len(news) == 0 {
		return nil
	}
	if planted.Bug(planted.AcknowledgedUnapplied) {
		n.know(waits)
		pause(ctx, lease.Every)
	}
	if err := n.cfg.Store.Hear(ctx, news...); err != nil {
		return err
	}
	n.know(waits)
	return nil
}

// sort passes on who knows of this node's news, and gives the news of others with who waits for
// them; of what was too large for the feed, only who waits.
func (n *Node) sort(entries []hot.Entry) (news []store.News, waits, large []string) {
	for _, e := range entries {
		var m message
		if err := json.Unmarshal(e, &m); err != nil || m.From == "" {
			continue // of a later version, perhaps
		}
		switch {
		case m.From == n.id:
		case m.News != nil && len(m.News.Refs) == 0:
			large = append(large, m.Asks)
		case m.News != nil:
			news, waits = append(news, *m.News), append(waits, m.Asks)
		}
		n.acknowledged(m)
	}
	return news, waits, large
}

// owe lets a poll that begins from now on acknowledge news: it finds them in the directory.
func (n *Node) owe(waits []string) {
	if len(waits) == 0 {
		return
	}
	n.mu.Lock()
	n.owed = append(n.owed, waits...)
	n.mu.Unlock()
	n.pollNow()
}

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
type message struct {
	From string      `json:"from"`
	News *store.News `json:"news,omitempty"` // without Refs: too large, to be read in the directory
	Know []int64     `json:"know,omitempty"`
}

const (
	publishTime = time.Second
	listenTime  = time.Second
	// together is how many entries are published at once, and how much news one entry acknowledges.
	together = 64
)

// announce tells the others of a commit of this node.
func (n *Node) announce(news store.News) {
	if len(news.Refs) > hot.MaxEntry/2 {
		news.Refs = nil
	}
	n.send(message{From: n.id, News: &news})
}

// know tells the others that this node has applied news.
func (n *Node) know(ids []int64) {
	for len(ids) > 0 {
		some := ids[:min(together, len(ids))]
		ids = ids[len(some):]
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
		_, err := n.cfg.Feed.Publish(bounded, batch...)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			n.cfg.Observe("cluster.publish", err)
		}
		failing = err != nil
	}
}

// listens follows the feed until ctx ends. What it misses, a poll finds.
func (n *Node) listens(ctx context.Context) {
	var at hot.Position
	failing := false
	for ctx.Err() == nil {
		next, err := n.listen(ctx, at)
		at = next
		if err != nil && !failing && ctx.Err() == nil {
			n.cfg.Observe("cluster.listen", err)
		}
		if failing = err != nil; failing {
			pause(ctx, lease.Every)
		}
	}
}

func (n *Node) listen(ctx context.Context, at hot.Position) (hot.Position, error) {
	bounded, cancel := context.WithTimeout(ctx, 2*listenTime)
	defer cancel()
	if at == (hot.Position{}) {
		return n.cfg.Feed.End(bounded)
	}
	entries, next, err := n.cfg.Feed.Next(bounded, at, listenTime)
	if fault.Is(err, fault.Stale) { // there is a gap; the directory has no gaps
		n.pollNow()
		return hot.Position{}, nil
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
	news, large := n.sort(entries)
	n.owe(large)
	if len(news) == 0 {
		return nil
	}
	known := make([]int64, len(news))
	for i, x := range news {
		known[i] = x.ID
	}
	if planted.Bug(planted.AcknowledgedUnapplied) {
		n.know(known)
		pause(ctx, lease.Every)
	}
	if err := n.cfg.Store.Hear(ctx, news...); err != nil {
		return err
	}
	n.know(known)
	return nil
}

// sort passes on who knows of this node's news, and gives the news of others; of what was too
// large for the feed, the ids.
func (n *Node) sort(entries []hot.Entry) (news []store.News, large []int64) {
	for _, e := range entries {
		var m message
		if err := json.Unmarshal(e, &m); err != nil || m.From == "" {
			continue // of a later version, perhaps
		}
		switch {
		case m.From == n.id:
		case m.News != nil && len(m.News.Refs) == 0:
			large = append(large, m.News.ID)
		case m.News != nil:
			news = append(news, *m.News)
		}
		n.acknowledged(m)
	}
	return news, large
}

// owe lets a poll that begins from now on acknowledge news: it finds them in the directory.
func (n *Node) owe(ids []int64) {
	if len(ids) == 0 {
		return
	}
	n.mu.Lock()
	n.owed = append(n.owed, ids...)
	n.mu.Unlock()
	n.pollNow()
}

//go:build lanes

package redis

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/hottest"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// slots of the three primaries.
var slots = [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}}

// cluster starts three primaries that share the slots.
func cluster(t *testing.T) []*server {
	t.Helper()
	var nodes []*server
	for n, part := range slots {
		s := clustered(t)
		s.do("CLUSTER", "ADDSLOTSRANGE", part[0], part[1])
		s.do("CLUSTER", "SET-CONFIG-EPOCH", n+1)
		nodes = append(nodes, s)
	}
	for _, s := range nodes[1:] {
		s.meet(nodes[0])
	}
	for _, s := range nodes {
		eventually(t, "the Cluster agrees", func() bool { return s.knows("cluster_known_nodes:3") })
	}
	return nodes
}

// clustered starts a node of a Cluster that has no slots.
func clustered(t *testing.T) *server {
	t.Helper()
	return start(t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(port(t)), "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")
}

func (s *server) meet(o *server) {
	s.t.Helper()
	host, number, _ := strings.Cut(o.Address(), ":")
	bus := o.Settings[3]
	s.do("CLUSTER", "MEET", host, number, bus)
}

func (s *server) knows(what string) bool {
	info := fmt.Sprint(s.do("CLUSTER", "INFO"))
	return strings.Contains(info, what) && strings.Contains(info, "cluster_state:ok")
}

func whereAll(nodes []*server) Server {
	w := Server{Cluster: true, Password: secret.New(password), Timeout: 2 * time.Second}
	for _, s := range nodes {
		w.Addresses = append(w.Addresses, s.Address())
	}
	return w
}

// What one script touches lies in one slot: a Cluster refuses anything else (CROSSSLOT).
func TestContractOnACluster(t *testing.T) {
	nodes := cluster(t)
	c := nodes[0].Client()
	defer c.Close() //nolint:errcheck // a client of the test
	if err := c.MGet(t.Context(), "{a}", "{b}", "{c}", "{d}").Err(); err == nil || !strings.Contains(err.Error(), "CROSSSLOT") {
		t.Fatalf("this is no Cluster: %v", err)
	}
	hottest.Run(t, func(t *testing.T) hot.Engine { return engine(t, whereAll(nodes), Limits{}) })
	for n, s := range nodes {
		if size := s.do("DBSIZE").(int64); size < 500 {
			t.Errorf("primary %d has %d keys: the load is not shared", n, size)
		}
	}
}

// A primary that dies and comes back empty takes with it what lay there, and nothing else.
func TestAPrimaryThatComesBackEmptyTakesItsPartAlone(t *testing.T) {
	nodes := cluster(t)
	e := engine(t, whereAll(nodes), Limits{})
	for n := range 60 {
		ok(t, e.PutFamily(t.Context(), familyOf(fmt.Sprint("fam_", n), fmt.Sprint("ses_", n))))
		d, g := codeOf(100 + n)
		ok(t, e.PutCode(t.Context(), d, g, at(0)))
		if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1)); outcome != hot.OK || err != nil {
			t.Fatalf("%d, %v", outcome, err)
		}
	}
	nodes[1].Kill()
	nodes[1].launch()
	eventually(t, "the primary is back", func() bool { return nodes[0].knows("cluster_size:3") && nodes[1].knows("cluster_size:3") })
	kept, lost := 0, 0
	for n := range 60 {
		id, outcome := fmt.Sprint("fam_", n), hot.Unknown
		eventually(t, "the client calls it again", func() (answered bool) {
			var err error
			_, outcome, err = e.Rotate(t.Context(), rotationOf(id, 1))
			return err == nil
		})
		if outcome == hot.OK {
			kept++
		} else {
			lost++
		}
		d, _ := codeOf(100 + n)
		if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1)); outcome == hot.OK {
			t.Errorf("a code was redeemed twice (%v)", err)
		}
	}
	if kept < 25 || lost < 5 {
		t.Errorf("%d families are left, %d are lost", kept, lost)
	}
}

// A primary that says nothing costs those whose records lie there a moment, and then nothing; the
// others notice nothing of it.
func TestASilentPrimaryLeavesTheOthers(t *testing.T) {
	nodes := cluster(t)
	where := whereAll(nodes)
	where.Timeout = 0
	e := engine(t, where, Limits{})
	for n := range 60 {
		putFamily(t, e, fmt.Sprint("fam_", n))
	}
	round := func() (good, refused int, worst time.Duration) {
		for n := range 60 {
			began := time.Now()
			_, err := e.Family(t.Context(), fmt.Sprint("fam_", n), at(0))
			worst = max(worst, time.Since(began))
			switch {
			case err == nil:
				good++
			case fault.Is(err, fault.Unavailable):
				refused++
			}
		}
		return good, refused, worst
	}
	nodes[1].freeze(t)
	for n := range 2 {
		began := time.Now()
		good, refused, worst := round()
		took := time.Since(began)
		t.Logf("round %d: %d answered, %d refused, in %s, none in more than %s", n, good, refused, took, worst)
		if good < 25 || refused < 5 || good+refused != 60 || worst > time.Second || took > 6*time.Second {
			t.Errorf("round %d: %d answered, %d refused, in %s, one in %s", n, good, refused, took, worst)
		}
	}
	if err := nodes[1].Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is there again", func() bool { good, _, _ := round(); return good == 60 })
}

// A replica that had not heard of the last changes becomes a primary.
func TestAStaleReplicaOfAClusterRevivesNothing(t *testing.T) {
	nodes := cluster(t)
	replica := clustered(t)
	replica.meet(nodes[0])
	eventually(t, "the Cluster knows the replica", func() bool { return replica.knows("cluster_known_nodes:4") && nodes[0].knows("cluster_known_nodes:4") })
	replica.do("CLUSTER", "REPLICATE", nodes[0].do("CLUSTER", "MYID"))
	eventually(t, "the replica has all", replica.linked)
	e := engine(t, whereAll(nodes), Limits{})
	mine := ofNode(t, e, nodes[0])
	for _, n := range mine {
		d, g := codeOf(n)
		ok(t, e.PutCode(t.Context(), d, g, at(0)))
	}
	first, _ := codeOf(mine[0])
	before := nodes[0].has(t, e, kindCode, codeID(first))
	cut(nodes[0], replica)
	for _, n := range mine {
		d, _ := codeOf(n)
		if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1)); outcome != hot.OK || err != nil {
			t.Fatalf("%d, %v", outcome, err)
		}
	}
	nodes[0].Kill()
	eventually(t, "the replica is a primary", func() bool {
		c := replica.Client()
		defer c.Close() //nolint:errcheck // a client of the test
		_ = c.Do(t.Context(), "CLUSTER", "FAILOVER", "TAKEOVER").Err()
		return strings.Contains(fmt.Sprint(replica.do("INFO", "replication")), "role:master")
	})
	if replica.has(t, e, kindCode, codeID(first)) != before {
		t.Fatal("the replica is not stale")
	}
	again := func(node *Engine) {
		for _, n := range mine {
			d, _ := codeOf(n)
			if _, outcome, err := node.ConsumeCode(t.Context(), d, owner, at(1)); outcome == hot.OK {
				t.Errorf("code %d was redeemed twice (%v)", n, err)
			}
		}
	}
	eventually(t, "the client has found it", func() bool {
		d, _ := codeOf(mine[0])
		_, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1))
		return err == nil || outcome == hot.OK
	})
	again(e)
	again(engine(t, whereAll(append(nodes[1:], replica)), Limits{}))
}

// ofNode are some codes whose records lie with a primary.
func ofNode(t *testing.T, e *Engine, s *server) (mine []int) {
	t.Helper()
	for n := 0; len(mine) < 10; n++ {
		d, _ := codeOf(n)
		p, _ := nameOf(kindCode, codeID(d))
		if slot := s.do("CLUSTER", "KEYSLOT", e.tag(p)).(int64); slot <= int64(slots[0][1]) {
			mine = append(mine, n)
		}
	}
	return mine
}

// The feed is one key with one number: it lies in one slot.
func TestTheFeedOfACluster(t *testing.T) {
	e := engine(t, whereAll(cluster(t)), Limits{})
	f := e.Feed("news")
	from, err := f.End(t.Context())
	ok(t, err)
	want := hot.Entry("of a person")
	ok(t, f.Publish(t.Context(), want))
	got, _, err := f.Next(t.Context(), from, time.Second)
	ok(t, err)
	if len(got) != 1 || string(got[0]) != string(want) {
		t.Errorf("the feed has %+v", got)
	}
}

//go:build lanes

package torture

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// hurting is how long a link is bad in most runs.
func hurting() time.Duration { return pick(2500*time.Millisecond, 8*time.Second) }

// victim is one of the nodes, as the seed says.
func (r *run) victim() *node {
	return r.nodes[rand.New(rand.NewPCG(r.seed, 0)).IntN(len(r.nodes))]
}

// bad makes links of one node bad for a while.
func bad(do func(*node)) func(*run) {
	return func(r *run) {
		v := r.victim()
		do(v)
		r.pass(hurting())
		v.database.heal()
		v.hot.heal()
	}
}

// badForAll makes links of all nodes bad for a while.
func badForAll(do func(*node)) func(*run) {
	return func(r *run) {
		for _, d := range r.nodes {
			do(d)
		}
		r.pass(hurting())
		for _, d := range r.nodes {
			d.database.heal()
			d.hot.heal()
		}
	}
}

// links are the nemeses of what connects nodes with the servers.
func links() []nemesis {
	return []nemesis{
		{name: "node cut from PostgreSQL", inShort: true, hurt: bad(func(d *node) { d.database.cut() })},
		{name: "node cut from Redis", hurt: bad(func(d *node) { d.hot.cut() })},
		{name: "node cut from everything", hurt: bad(func(d *node) {
			d.database.cut()
			d.hot.cut()
		})},
		{name: "every node cut from Redis", hurt: badForAll(func(d *node) { d.hot.cut() })},
		{name: "every node cut from PostgreSQL", hurt: badForAll(func(d *node) { d.database.cut() })},
		{name: "PostgreSQL hears nothing from a node", hurt: bad(func(d *node) { d.database.mute() })},
		{name: "a node hears nothing from PostgreSQL", inShort: true, hurt: bad(func(d *node) { d.database.deaf() })},
		{name: "Redis hears nothing from a node", hurt: bad(func(d *node) { d.hot.mute() })},
		{name: "a node hears nothing from Redis", hurt: bad(func(d *node) { d.hot.deaf() })},
		{name: "half-open to PostgreSQL", hurt: bad(func(d *node) { d.database.halfOpen() })},
		{name: "half-open to Redis", inShort: true, hurt: bad(func(d *node) { d.hot.halfOpen() })},
		{name: "slow PostgreSQL", hurt: badForAll(func(d *node) { d.database.slow(60, 50) })},
		{name: "one slow PostgreSQL, slower than a lease", hurt: bad(func(d *node) { d.database.slow(1200, 300) })},
		{name: "slow Redis", hurt: badForAll(func(d *node) { d.hot.slow(120, 100) })},
		{name: "resets to PostgreSQL", hurt: bad(func(d *node) { d.database.reset(150) })},
		{name: "resets to Redis", hurt: bad(func(d *node) { d.hot.reset(150) })},
	}
}

// skewed sets one node's wall clock for a while.
func skewed(off time.Duration) func(*run) {
	return func(r *run) {
		v := r.victim()
		v.set(off)
		r.pass(hurting())
		v.set(0)
	}
}

// processes are the nemeses of nodes.
func processes() []nemesis {
	return []nemesis{
		{name: "nothing", inShort: true, hurt: func(r *run) { r.pass(pick(1500*time.Millisecond, 10*time.Second)) }},
		{name: "node paused", inShort: true, hurt: func(r *run) {
			v := r.victim()
			v.pause()
			r.pass(pick(3*time.Second, 30*time.Second))
			v.proceed()
		}},
		{name: "nodes that stutter", hurt: func(r *run) {
			rng := rand.New(rand.NewPCG(r.seed, 1))
			for range pick(4, 16) {
				v := r.nodes[rng.IntN(len(r.nodes))]
				v.pause()
				r.pass(time.Duration(300+rng.IntN(1300)) * time.Millisecond)
				v.proceed()
				r.pass(time.Duration(rng.IntN(400)) * time.Millisecond)
			}
		}},
		{name: "node killed", inShort: true, hurt: func(r *run) {
			v := r.victim()
			v.Kill()
			r.pass(time.Second)
			v.again()
		}},
		{name: "node that stands still to collect garbage", hurt: func(r *run) {
			v := r.victim()
			v.Kill()
			v.env = []string{"GODEBUG=gcstoptheworld=2", "LANES_GARBAGE=" + filepath.Join(v.dir, garbage)}
			v.again()
			v.collect(2 * time.Second)
			r.pass(pick(6*time.Second, 20*time.Second))
			v.collected()
			v.Kill()
			v.env = nil
			v.again()
		}},
		{name: "a clock an hour ahead", skewed: true, hurt: skewed(time.Hour)},
		{name: "a clock an hour behind", skewed: true, inShort: true, hurt: skewed(-time.Hour)},
		{name: "identity providers that hang up", impatient: 30 * time.Millisecond, hurt: func(r *run) { r.pass(hurting()) }},
		{name: "identity providers that hang up while a node is cut from Redis", impatient: 30 * time.Millisecond, hurt: bad(func(d *node) { d.hot.cut() })},
		{name: "identity providers that hang up while a node is half-open to Redis", inShort: true, impatient: 60 * time.Millisecond, hurt: bad(func(d *node) { d.hot.halfOpen() })},
	}
}

// caches are the nemeses of Redis.
func caches() []nemesis {
	return []nemesis{
		{name: "Redis killed and empty", inShort: true, loses: true, hurt: func(r *run) {
			r.redis.Kill()
			r.pass(pick(700*time.Millisecond, 5*time.Second))
			r.redis.anew()
		}},
		{name: "Redis restarted from an old snapshot", inShort: true, loses: true, hurt: func(r *run) {
			r.redis.keep()
			r.pass(pick(1500*time.Millisecond, 8*time.Second))
			r.redis.back()
		}},
		{name: "Redis fails over to a stale replica", loses: true, hurt: func(r *run) {
			stale := r.redis.replica(memory(r.world.t, "replica"))
			stale.do("REPLICAOF", "NO", "ONE")
			r.pass(pick(1500*time.Millisecond, 8*time.Second))
			r.redis.Kill()
			r.redis = stale
			for _, d := range r.nodes {
				d.hot.to(fmt.Sprint("127.0.0.1:", stale.Port))
			}
		}},
		{name: "Redis evicts", loses: true, hurt: func(r *run) {
			r.redis.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
			r.redis.do("CONFIG", "SET", "maxmemory", "4mb")
			junk := strings.Repeat("x", 64<<10)
			for n := range pick(200, 800) {
				r.redis.do("SET", fmt.Sprint("junk:", n), junk)
				r.pass(10 * time.Millisecond)
			}
			r.redis.do("CONFIG", "SET", "maxmemory", "0")
			r.redis.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
			for n := range pick(200, 800) {
				r.redis.do("DEL", fmt.Sprint("junk:", n))
			}
		}},
	}
}

// databases are the nemeses of PostgreSQL.
func databases() []nemesis {
	return []nemesis{
		{name: "PostgreSQL restarts", hurt: func(r *run) { r.postgres.restart(syscall.SIGINT) }},
		{name: "PostgreSQL crashes", inShort: true, hurt: func(r *run) { r.postgres.restart(syscall.SIGQUIT) }},
		{name: "PostgreSQL fails over", hurt: func(r *run) {
			next := r.postgres.standby(memory(r.world.t, "standby"))
			r.pass(time.Second)
			r.postgres.Kill()
			next.promote()
			r.postgres = next
			for _, d := range r.nodes {
				d.database.to(fmt.Sprint("127.0.0.1:", next.Port))
			}
		}},
	}
}

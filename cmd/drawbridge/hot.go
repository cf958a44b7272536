package main

import (
	"context"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/hot/embedded"
	"github.com/drawbridge-id/drawbridge/internal/hot/redis"
	"github.com/drawbridge-id/drawbridge/internal/httpserver"
)

// openHot opens the engine of what is short-lived: Redis where the configuration names one, else
// the node's own.
func (a *app) openHot(ctx context.Context) error {
	if a.cfg.Hot.Redis == nil {
		own, err := embedded.Open(ctx, filepath.Join(a.cfg.Server.Data, "hot.db"), embedded.Limits{})
		if err != nil {
			return err
		}
		a.hot = own
		return nil
	}
	shared, err := redis.Open(ctx, redis.Config{Server: *a.cfg.Hot.Redis, Key: a.ring.HotKey(),
		Observe: func(op string, err error) { a.log.Warn("hot store", zap.String("op", op), zap.Error(err)) }})
	if err != nil {
		return err
	}
	a.hot = shared
	if err := a.hotAnswers(ctx); err != nil {
		a.log.Warn("Redis does not answer: nobody can sign in or refresh a token until it does", zap.Error(err))
	}
	return nil
}

// hotAnswers asks a Redis whether it is there; the node's own engine always is.
func (a *app) hotAnswers(ctx context.Context) error {
	if shared, ok := a.hot.(*redis.Engine); ok {
		return shared.Answers(ctx)
	}
	return nil
}

// newHotMetrics count what came of questions to Redis.
func newHotMetrics(e *redis.Engine) []prometheus.Collector {
	counted := func(outcome string, of func(redis.Counts) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "drawbridge_hot_questions_total", Help: "Questions to Redis, by what came of them.",
			ConstLabels: prometheus.Labels{"outcome": outcome}}, func() float64 { return float64(of(e.Counts())) })
	}
	return []prometheus.Collector{
		counted("answered", func(c redis.Counts) int64 { return c.Answered }),
		counted("unanswered", func(c redis.Counts) int64 { return c.Unanswered }),
		counted("spared", func(c redis.Counts) int64 { return c.Spared }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "drawbridge_hot_begun_anew_total", Help: "Parts of Redis whose data was lost, restored or carried to another run."},
			func() float64 { return float64(e.Counts().Anew) }),
	}
}

// checks are what /readyz asks.
func (a *app) checks() []httpserver.Check {
	all := []httpserver.Check{{Name: "store", Run: a.storeAnswers}, {Name: "policy", Run: a.policyApplied}, a.drain.Check()}
	if a.node != nil {
		all = append(all, httpserver.Check{Name: "node", Run: a.node.Ready, Beside: true})
	}
	if a.cfg.Hot.Redis != nil {
		all = append(all, httpserver.Check{Name: "hot", Run: a.hotAnswers, Beside: true})
	}
	return all
}

// onRedis puts a Redis into a configuration, if an address is given.
func onRedis(cfg *config.Config, address string) error {
	if address == "" {
		return nil
	}
	s, err := redis.Parse(address)
	if err != nil {
		return err
	}
	cfg.Hot.Redis = &s
	return s.Sound()
}

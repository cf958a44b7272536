package main

import (
	"context"
	"path/filepath"

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
	return nil
}

// checks are what /readyz asks.
func (a *app) checks() []httpserver.Check {
	all := []httpserver.Check{{Name: "store", Run: a.storeAnswers}, {Name: "policy", Run: a.policyApplied}, a.drain.Check()}
	if shared, ok := a.hot.(*redis.Engine); ok { // one of the node's own is always there
		all = append(all, httpserver.Check{Name: "hot", Run: shared.Answers})
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

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

// What Redis is waited for. The defaults suit values that load in milliseconds
// and a Redis with CPUs of its own. Here a load adds up rows for as long as half
// a second, and the embedded Redis shares its CPUs with just that.
const (
	redisRead  = 250 * time.Millisecond
	redisWrite = 500 * time.Millisecond
)

// openTiers opens the cache on the Redis that the environment names, else on an
// embedded one.
func openTiers(o options, log *slog.Logger, stdout io.Writer) (*tiercache.Tiers, func() error, error) {
	cfg, err := tiercache.FromEnv()
	if err != nil {
		return nil, nil, err
	}
	stop := func() {}
	if cfg.Redis == nil {
		if cfg.Redis, stop, err = embeddedRedis(stdout); err != nil {
			return nil, nil, err
		}
	}
	shut := func() error {
		defer stop()
		return cfg.Redis.Close()
	}
	cfg.Prefix, cfg.Logger, cfg.SummaryEvery = o.prefix, log, 50
	cfg.OutageStaleness = o.outage
	cfg.ReadTimeout, cfg.WriteTimeout = redisRead, redisWrite
	tiers, err := tiercache.Open(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, shut())
	}
	return tiers, func() error { return errors.Join(tiers.Close(), shut()) }, nil
}

// embeddedRedis starts a Redis inside this process, so that both tiers are
// there on a machine without one. It listens on loopback, and a second instance
// started with the REDIS_URL printed joins it.
func embeddedRedis(stdout io.Writer) (client redis.UniversalClient, stop func(), err error) {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true) // without it nothing ever expires
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, nil, fmt.Errorf("embedded redis: %w", err)
	}
	fmt.Fprintf(stdout, "REDIS_URL=redis://%s/0\n", m.Addr())
	return redis.NewClient(&redis.Options{Addr: m.Addr()}), m.Close, nil
}

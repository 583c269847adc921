package rivals

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

// errNotHit is what a hit's loader returns, which must not run.
var errNotHit = errors.New("loaded what memory was known to have")

// openTiercache measures a hit with a loader that captures nothing, so that what
// it costs is the library's alone.
func openTiercache(env Env) (*Cache, error) {
	return ofTiers(env, false, env.Source.Load, func(p *Profile) int64 { return p.ID })
}

// openTiercacheCapturing has the key in the loader, as most services will: Go
// puts such a func on the heap before the call.
func openTiercacheCapturing(env Env) (*Cache, error) {
	return ofTiers(env, true, env.Source.Load, func(p *Profile) int64 { return p.ID })
}

// openTiercacheByValue copies a struct out of the cache at each hit.
func openTiercacheByValue(env Env) (*Cache, error) {
	load := func(ctx context.Context, key string) (Profile, error) {
		p, err := env.Source.Load(ctx, key)
		if err != nil {
			return Profile{}, err
		}
		return *p, nil
	}
	return ofTiers(env, false, load, func(p Profile) int64 { return p.ID })
}

// troubles says why answers came from elsewhere: each failure of Redis, and what the
// library warns of.
type troubles struct{ slog.Handler }

func (troubles) Enabled(_ context.Context, l slog.Level) bool {
	return l == slog.LevelDebug || l >= slog.LevelWarn
}

var logger = slog.New(troubles{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})})

func ofTiers[T any](env Env, capturing bool, load func(context.Context, string) (T, error), id func(T) int64) (*Cache, error) {
	client := redis.NewClient(&redis.Options{Addr: env.Addr})
	tiers, err := tiercache.Open(tiercache.Config{Redis: client, Prefix: "tc:", Logger: logger})
	if err != nil {
		return nil, err
	}
	c, err := tiercache.New(tiers, tiercache.Options[T]{Name: "users", TTL: ttl})
	if err != nil {
		return nil, err
	}
	answer := func(v T, err error) (int64, error) {
		if err != nil {
			return 0, err
		}
		return id(v), nil
	}
	fresh := tiercache.Fresh()
	all := &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			return answer(c.GetOrLoad(ctx, key, func(ctx context.Context) (T, error) { return load(ctx, key) }))
		},
		Fresh: func(ctx context.Context, key string) (int64, error) {
			return answer(c.GetOrLoad(ctx, key, func(ctx context.Context) (T, error) { return load(ctx, key) }, fresh))
		},
		NotMemory: func() int64 { s := c.Stats(); return s.Operations - s.MemoryHits },
		NotRedis:  func() int64 { s := c.Stats(); return s.Operations - s.RedisHits },
		Close:     func() error { _ = client.Close(); return tiers.Close() },
	}
	if !capturing {
		var none T
		refuse := func(context.Context) (T, error) { return none, errNotHit }
		all.Hit = func(ctx context.Context, key string) (int64, error) { return answer(c.GetOrLoad(ctx, key, refuse)) }
	}
	if pointers, ok := any(c).(*tiercache.Cache[*Profile]); ok {
		withMany(all, pointers, env)
	}
	return all, nil
}

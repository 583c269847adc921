package rivals

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

func openTiercache(env Env) (*Cache, error) {
	return ofTiers(env, tiercache.Options[*Profile]{}, env.Source.Load, func(p *Profile) int64 { return p.ID })
}

// openTiercacheByValue copies a struct of 136 bytes out of the cache at each hit.
func openTiercacheByValue(env Env) (*Cache, error) {
	load := func(ctx context.Context, key string) (Profile, error) {
		p, err := env.Source.Load(ctx, key)
		if err != nil {
			return Profile{}, err
		}
		return *p, nil
	}
	return ofTiers(env, tiercache.Options[Profile]{}, load, func(p Profile) int64 { return p.ID })
}

func ofTiers[T any](env Env, opts tiercache.Options[T], load func(context.Context, string) (T, error), id func(T) int64) (*Cache, error) {
	client := redis.NewClient(&redis.Options{Addr: env.Addr})
	tiers, err := tiercache.Open(tiercache.Config{Redis: client, Prefix: "tc:"})
	if err != nil {
		return nil, err
	}
	opts.Name, opts.TTL = "users", ttl
	c, err := tiercache.New(tiers, opts)
	if err != nil {
		return nil, err
	}
	fresh := tiercache.Fresh()
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			v, err := c.GetOrLoad(ctx, key, func(ctx context.Context) (T, error) { return load(ctx, key) })
			if err != nil {
				return 0, err
			}
			return id(v), nil
		},
		Fresh: func(ctx context.Context, key string) (int64, error) {
			v, err := c.GetOrLoad(ctx, key, func(ctx context.Context) (T, error) { return load(ctx, key) }, fresh)
			if err != nil {
				return 0, err
			}
			return id(v), nil
		},
		// What is new in Redis is not served by memory until its own echo was heard.
		Settled: func(pass func() error) (bool, error) {
			before := c.Stats()
			err := pass()
			after := c.Stats()
			return after.MemoryHits-before.MemoryHits == after.Operations-before.Operations, err
		},
		Close: func() error { _ = client.Close(); return tiers.Close() },
	}, nil
}

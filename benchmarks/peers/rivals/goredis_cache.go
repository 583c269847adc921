package rivals

import (
	"context"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
)

func openGoRedisCache(env Env) (*Cache, error) {
	client := redis.NewClient(&redis.Options{Addr: env.Addr})
	c := cache.New(&cache.Options{Redis: client, LocalCache: cache.NewTinyLFU(capacity, ttl)})
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			var p Profile
			err := c.Once(&cache.Item{
				Ctx: ctx, Key: key, Value: &p, TTL: ttl,
				Do: func(*cache.Item) (any, error) { return env.Source.Load(ctx, key) },
			})
			return p.ID, err
		},
		Fresh: func(ctx context.Context, key string) (int64, error) {
			var p Profile
			err := c.GetSkippingLocalCache(ctx, key, &p)
			return p.ID, err
		},
		Close: client.Close,
	}, nil
}

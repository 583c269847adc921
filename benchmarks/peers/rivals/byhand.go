package rivals

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// openByHand is what services write who know the parts: memory, else one of the
// process asks Redis, else it loads and stores in both.
func openByHand(env Env) (*Cache, error) {
	memory, err := newRistretto()
	if err != nil {
		return nil, err
	}
	remote := jsonIn{redis.NewClient(&redis.Options{Addr: env.Addr}), env.Source}
	var group singleflight.Group
	var asked atomic.Int64
	past := func(ctx context.Context, key string) (*Profile, error) {
		v, err, _ := group.Do(key, func() (any, error) {
			asked.Add(1)
			p, err := remote.getOrLoad(ctx, key)
			if err == nil {
				memory.SetWithTTL(key, p, 1, ttl)
			}
			return p, err
		})
		if err != nil {
			return nil, err
		}
		return v.(*Profile), nil
	}
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			if p, ok := memory.Get(key); ok {
				return p.ID, nil
			}
			return idOf(past(ctx, key))
		},
		Fresh:     func(ctx context.Context, key string) (int64, error) { return idOf(past(ctx, key)) },
		NotMemory: asked.Load,
		Close:     func() error { memory.Close(); return remote.client.Close() },
	}, nil
}

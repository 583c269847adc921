package rivals

import (
	"context"

	"github.com/viccon/sturdyc"
)

// openSturdyc has no Redis: what its README puts behind it is written by hand.
// Its goroutine cannot be stopped.
func openSturdyc(env Env) (*Cache, error) {
	c := sturdyc.New[*Profile](capacity, 10, ttl, 10)
	one := c.BatchKeyFn("many")
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			return idOf(c.GetOrFetch(ctx, key, func(ctx context.Context) (*Profile, error) { return env.Source.Load(ctx, key) }))
		},
		Many: func(ctx context.Context, keys []string) (int, error) {
			all, err := c.GetOrFetchBatch(ctx, keys, one, env.Source.LoadMany)
			return count(keys, all, err)
		},
		Close: func() error { return nil },
	}, nil
}

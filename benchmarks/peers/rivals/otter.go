package rivals

import (
	"context"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
)

func newOtter() (*otter.Cache[string, *Profile], error) {
	return otter.New(&otter.Options[string, *Profile]{
		MaximumSize:      capacity,
		ExpiryCalculator: otter.ExpiryWriting[string, *Profile](ttl),
		StatsRecorder:    stats.NewCounter(),
	})
}

func openOtter(env Env) (*Cache, error) {
	c, err := newOtter()
	if err != nil {
		return nil, err
	}
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			if p, ok := c.GetIfPresent(key); ok {
				return p.ID, nil
			}
			p, err := env.Source.Load(ctx, key)
			if err == nil {
				c.Set(key, p)
			}
			return idOf(p, err)
		},
		Close: func() error { c.StopAllGoroutines(); return nil },
	}, nil
}

func openOtterLoading(env Env) (*Cache, error) {
	c, err := newOtter()
	if err != nil {
		return nil, err
	}
	one := otter.LoaderFunc[string, *Profile](env.Source.Load)
	many := otter.BulkLoaderFunc[string, *Profile](env.Source.LoadMany)
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) { return idOf(c.Get(ctx, key, one)) },
		Many: func(ctx context.Context, keys []string) (int, error) {
			all, err := c.BulkGet(ctx, keys, many)
			return count(keys, all, err)
		},
		Close: func() error { c.StopAllGoroutines(); return nil },
	}, nil
}

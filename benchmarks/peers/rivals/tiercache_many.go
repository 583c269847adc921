package rivals

import (
	"context"

	"github.com/tiercache/tiercache"
)

// withMany adds what a cache of pointers has for many keys.
func withMany(all *Cache, c *tiercache.Cache[*Profile], env Env) {
	fresh := tiercache.Fresh()
	all.Many = func(ctx context.Context, keys []string) (int, error) {
		found, err := c.GetMany(ctx, keys)
		return count(keys, found, err)
	}
	all.ManyFresh = func(ctx context.Context, keys []string) (int, error) {
		found, err := c.GetOrLoadMany(ctx, keys, env.Source.LoadMany, fresh)
		return count(keys, found, err)
	}
}

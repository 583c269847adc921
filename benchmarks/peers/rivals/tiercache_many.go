package rivals

import (
	"context"

	"github.com/tiercache/tiercache"
)

// manyOf is what a Cache has for many keys.
type manyOf[T any] interface {
	GetMany(ctx context.Context, keys []string) (map[string]T, error)
	GetOrLoadMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]T, error), opts ...tiercache.CallOption) (map[string]T, error)
}

// withMany adds what a cache of pointers has for many keys.
func withMany(all *Cache, cache any, env Env) {
	c, ok := cache.(manyOf[*Profile])
	if !ok {
		return
	}
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

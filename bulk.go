package tiercache

import (
	"context"
	"slices"

	"github.com/tiercache/tiercache/internal/engine"
	"github.com/tiercache/tiercache/internal/errs"
)

// KeyErrors is what went wrong with each key of a call for many: errors.Is and errors.As
// look through all of them. A loader of many keys may return it beside the values that it
// has. What the map of either lacks does not exist.
type KeyErrors = errs.Keys

// GetMany returns the values that memory or Redis has for keys, a hundred of them read
// in one round trip to each master. A key that neither has a value for is not in the map.
//
// The map is never nil if the error is a KeyErrors: then it has what the other keys
// have. Otherwise the error is ErrClosed, or that of a bad key, and Redis was not read.
func (c *Cache[T]) GetMany(ctx context.Context, keys []string) (map[string]T, error) {
	return c.many(ctx, keys, nil, engine.Call{})
}

// GetOrLoadMany returns the values of keys: from memory, from Redis, or by one call of
// load, with exactly those keys that nobody else is loading, in this process or in
// another that shares the Redis. Those of the others are waited for meanwhile. Each key
// is stored, shared and guarded as by a GetOrLoad of its own, and counts as one.
//
// load's map has the keys that load was called with, and not the ids in them. What it
// lacks is absent, as if it were ErrNotFound, and not in the result; an absence is no error. What it has beyond the keys that it was asked for is ignored: an
// invalidation of such a key during the load would have gone unnoticed. load's error is
// that of every key it was called with; or it returns its map, not nil, and a KeyErrors
// for the keys that failed. The context of load is that of GetOrLoad's: it ends when
// nobody waits for any of its keys any more. Previous finds nothing there.
//
// load may be called again, for a key that another process was to load and did not.
// Values that are about to expire may be loaded in the background, in one more call.
// More than a thousand keys are loaded a thousand at a time.
//
// WithTTL, WithTags and Fresh are for every key, and Also is an error. The map and the
// error are those of GetMany; with the end of ctx the keys without an answer have its
// error.
func (c *Cache[T]) GetOrLoadMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]T, error), opts ...CallOption) (map[string]T, error) {
	if load == nil {
		return nil, errNoLoader
	}
	return c.many(ctx, keys, c.untypedMany(load), callOf(opts))
}

func (c *Cache[T]) untypedMany(load func(context.Context, []string) (map[string]T, error)) engine.ManyLoader {
	return func(ctx context.Context, keys []string) (map[string]any, error) {
		values, err := load(ctx, slices.Clone(keys)) // which are his
		if values == nil {
			return nil, err
		}
		out := make(map[string]any, len(keys))
		for _, k := range keys {
			if v, ok := values[k]; ok {
				out[k] = c.stored(&v)
			}
		}
		return out, err
	}
}

func (c *Cache[T]) many(ctx context.Context, keys []string, load engine.ManyLoader, call engine.Call) (map[string]T, error) {
	if err := c.c.CheckMany(ctx, call); err != nil {
		return nil, err
	}
	out := make(map[string]T, len(keys))
	put := func(key string, stored any) bool {
		before := len(out)
		out[key] = c.out(stored)
		return len(out) > before
	}
	left, early := c.c.HitMany(keys, call.Fresh, load != nil, put)
	if len(early) > 0 {
		c.c.RefreshMany(ctx, early, load, call)
	}
	if len(left) == 0 {
		return out, nil
	}
	return out, c.c.LoadMany(ctx, left, load, call, put)
}

// SetMany is Set for each of values, side by side. A bad key is an error before
// anything is stored; a KeyErrors says which keys were not, and the others were.
func (c *Cache[T]) SetMany(ctx context.Context, values map[string]T, opts ...CallOption) error {
	call := callOf(opts)
	if err := c.c.CheckMany(ctx, call); err != nil {
		return err
	}
	stored := make(map[string]any, len(values))
	for k, v := range values {
		if c.clone != nil {
			v = c.clone(v)
		}
		stored[k] = c.stored(&v)
	}
	return c.c.SetMany(ctx, stored, call)
}

package tiercache

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/tiercache/tiercache/internal/engine"
)

// Cache is a typed view of Tiers. Make one for each kind of value, once. Safe
// for concurrent use.
type Cache[T any] struct {
	c      *engine.Cache
	clone  func(T) T // nil: values are shared
	direct bool      // a T is stored as it is, see stored.go
}

// New makes a Cache. Options that make no sense, and a Name that is taken, are
// errors.
func New[T any](tiers *Tiers, opts Options[T]) (*Cache[T], error) {
	o, err := opts.checked()
	if err != nil {
		return nil, err
	}
	if tiers == nil {
		return nil, errors.New("tiercache: New needs Tiers, not nil")
	}
	cache := &Cache[T]{clone: o.Clone, direct: direct[T]()}
	codec := o.codecOf()
	spec := engine.Spec{
		Name:        o.Name,
		Type:        reflect.TypeFor[T](),
		KeyPrefix:   o.KeyPrefix,
		TTL:         o.TTL,
		MemoryTTL:   o.MemoryTTL,
		NegativeTTL: o.NegativeTTL,
		MemoryOnly:  o.MemoryOnly,
		LoadTimeout: o.LoadTimeout,
		StaleFor:    o.StaleFor,
		SoftTimeout: o.SoftTimeout,
		ServeStale:  o.ServeStale,
		Jitter:      o.Jitter,
		NotFound:    o.NotFound,

		Schema:        o.schemaOf(),
		Compressor:    o.Compressor,
		CompressAbove: o.CompressAbove,
		Encode:        func(dst []byte, v any) ([]byte, error) { return codec.Append(dst, valueOf[T](v)) },
		Decode:        cache.decoder(codec),
	}
	if o.TTLOf != nil {
		spec.TTLOf = func(v any) time.Duration { return o.TTLOf(valueOf[T](v)) }
	}
	if o.Tags != nil {
		spec.Tags = func(v any) []string { return o.Tags(valueOf[T](v)) }
	}
	if o.Cost != nil {
		spec.Cost = func(v any) int64 { return o.Cost(valueOf[T](v)) }
	}
	if cache.c, err = tiers.eng.NewCache(spec); err != nil {
		return nil, err
	}
	return cache, nil
}

// GetOrLoad returns the value of key: from memory, from Redis, or by load. Of
// all who ask at the same time, in all processes that share the Redis, one runs
// its load and the others wait for it, each until its own ctx ends.
//
// load's context has the values of ctx and not its end: it ends when nobody
// waits any more, at Options.LoadTimeout, and at Close. load's error is returned
// as it is; ErrNotFound, and what Options.NotFound recognises, is cached.
//
// A value that is asked for shortly before it expires may be loaded anew in the
// background, so load may run after this call has returned.
func (c *Cache[T]) GetOrLoad(ctx context.Context, key string, load func(context.Context) (T, error), opts ...CallOption) (T, error) {
	if load == nil {
		return c.none(errNoLoader)
	}
	if !fresh(opts) {
		if f := c.c.Hit(key, true); f.OK() {
			if f.Early() {
				c.c.Refresh(ctx, key, c.untyped(load), callOf(opts), f)
			}
			if f.Absent() {
				return c.none(c.c.Absence())
			}
			return c.out(f.Value), nil
		}
	}
	v, err := c.c.Load(ctx, key, c.untyped(load), callOf(opts))
	if err != nil {
		return c.none(err)
	}
	return c.out(v), nil
}

func (c *Cache[T]) untyped(load func(context.Context) (T, error)) engine.Loader {
	return func(ctx context.Context) (any, error) {
		v, err := load(ctx)
		if err != nil {
			return nil, err
		}
		return c.stored(&v), nil
	}
}

// Get returns the value that memory or Redis has for key. ok is false if
// neither has one, and if they know that there is none. The error is ErrClosed,
// that of ctx, or that of a bad key; trouble with Redis is a miss.
func (c *Cache[T]) Get(ctx context.Context, key string) (value T, ok bool, err error) {
	if f := c.c.Hit(key, false); f.OK() {
		if f.Absent() {
			return value, false, nil
		}
		return c.out(f.Value), true, nil
	}
	v, ok, err := c.c.Get(ctx, key, engine.Call{})
	if !ok {
		return value, false, err
	}
	return c.out(v), true, nil
}

// Refresh runs load, whatever memory and Redis have, and stores what it gives in the
// place of that, unless somebody invalidates meanwhile. Calls in this process that
// come before it begins share it. What is there stays if load fails, and its error is
// returned.
func (c *Cache[T]) Refresh(ctx context.Context, key string, load func(context.Context) (T, error), opts ...CallOption) (T, error) {
	if load == nil {
		return c.none(errNoLoader)
	}
	call := callOf(opts)
	call.Load = true
	v, err := c.c.Load(ctx, key, c.untyped(load), call)
	if err != nil {
		return c.none(err)
	}
	return c.out(v), nil
}

// Set stores v, which the caller knows to be the newest value of key. A load
// that began before cannot overwrite it, nor can a Set overtaken by an
// Invalidate undo that. If Redis cannot be reached before ctx ends it becomes an
// invalidation, see Report.Queued, and memory has v. The error is that of a bad key, of the
// codec, or ErrClosed.
func (c *Cache[T]) Set(ctx context.Context, key string, v T, opts ...CallOption) error {
	if c.clone != nil {
		v = c.clone(v)
	}
	return c.c.Set(ctx, key, c.stored(&v), callOf(opts))
}

// Stats of this cache since it was made.
func (c *Cache[T]) Stats() CacheStats { return cacheStats(c.c.Name(), c.c.Counts()) }

// out is a stored value as a caller gets it.
func (c *Cache[T]) out(stored any) T {
	v := valueOf[T](stored)
	if c.clone != nil {
		v = c.clone(v)
	}
	return v
}

func (c *Cache[T]) none(err error) (zero T, _ error) { return zero, err }

// fresh tells whether one of opts is Fresh: a hit in memory asks for no more.
func fresh(opts []CallOption) bool {
	for i := range opts {
		if opts[i].fresh {
			return true
		}
	}
	return false
}

func callOf(opts []CallOption) (call engine.Call) {
	for _, o := range opts {
		call.Also = append(call.Also, o.also...)
		call.Tags = append(call.Tags, o.tags...)
		if o.ttl > 0 {
			call.TTL = min(o.ttl, engine.Forever)
		}
		call.Fresh = call.Fresh || o.fresh
	}
	return call
}

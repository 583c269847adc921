package tiercache

import (
	"context"
	"reflect"
	"time"

	"github.com/tiercache/tiercache/internal/engine"
)

// Entry is a value and where it was found.
type Entry[T any] struct {
	Value T
	Age   time.Duration // since its load ended, in whatever process; to the millisecond if it is from Redis
	Stale bool          // past its TTL, or made old by Tiers.Expire
	Tier  string        // where it was found: "memory" or "redis"
}

// Lookup is what memory, or else Redis, has for key, also if it is past its TTL and
// Options.StaleFor still keeps it. ok is false if there is nothing, and for an
// absence. It never loads. The errors are those of Get.
func (c *Cache[T]) Lookup(ctx context.Context, key string) (e Entry[T], ok bool, err error) {
	s, ok, err := c.c.Lookup(ctx, key)
	if !ok {
		return e, false, err
	}
	return entryOf(s, c.out(s.Value)), true, nil
}

// Previous is what a load is about to replace, if there is something that may still
// be served: call it with the loader's own context. A loader that finds it unchanged
// at the source, by its version or an ETag, returns ErrNotModified. Do not change the
// value. To a cache of another type than T there is none.
func Previous[T any](ctx context.Context) (e Entry[T], ok bool) {
	s, ok := engine.Previous(ctx, reflect.TypeFor[T]())
	if !ok {
		return e, false
	}
	return entryOf(s, valueOf[T](s.Value)), true
}

func entryOf[T any](s engine.Seen, v T) Entry[T] {
	e := Entry[T]{Value: v, Age: s.Age, Stale: s.Stale, Tier: "redis"}
	if s.Memory {
		e.Tier = "memory"
	}
	return e
}

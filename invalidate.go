package tiercache

import (
	"context"

	"github.com/tiercache/tiercache/internal/engine"
)

// Target is what an invalidation names: Key or Pattern.
type Target struct{ t engine.Target }

// Key names one key.
func Key(key string) Target { return Target{engine.Target{Text: key}} }

// Pattern names every key, of any cache, that a glob pattern matches by Redis's
// own rules: * any bytes, ? one byte, [a-z] and [^a-z] one of a set, \ escapes.
// "/" has no special role. A pattern that is a literal and one * at its end is
// the fastest.
func Pattern(pattern string) Target { return Target{engine.Target{Text: pattern, Pattern: true}} }

// Report says what an invalidation did.
type Report struct {
	// Keys is the number of values, and of loads that were under way, removed
	// from Redis.
	Keys int64

	// Queued tells that Redis could not be reached for some of it. This process
	// keeps that in a journal, believes nothing of it that Redis says meanwhile,
	// and sends it as soon as it can; other nodes may serve the old value until
	// then.
	Queued bool
}

// Invalidate makes every read in this process that starts after it returned see
// what the source had when it was called, or newer. Call it after the commit.
// Its error is a bad target, and then nothing was done, or ErrClosed. The end of
// ctx ends the waiting, never the deed: the rest is queued.
func (t *Tiers) Invalidate(ctx context.Context, targets ...Target) (Report, error) {
	list := make([]engine.Target, len(targets))
	for i, g := range targets {
		list[i] = g.t
	}
	r, err := t.eng.Invalidate(ctx, list)
	return Report(r), err
}

// Delete invalidates keys: Tiers.Invalidate without its Report.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	return c.c.Delete(ctx, keys)
}

// InvalidatePattern invalidates the keys that the pattern matches; see Pattern.
// Those of other caches are not spared.
func (c *Cache[T]) InvalidatePattern(ctx context.Context, pattern string) (Report, error) {
	r, err := c.c.InvalidatePattern(ctx, pattern)
	return Report(r), err
}

// Clear invalidates everything this cache has stored, and nothing of another's.
// In Redis it looks at every key that begins with Prefix and KeyPrefix.
func (c *Cache[T]) Clear(ctx context.Context) error {
	_, err := c.c.Clear(ctx)
	return err
}

package tiercache

import (
	"context"

	"github.com/tiercache/tiercache/internal/engine"
	"github.com/tiercache/tiercache/internal/journal"
)

// Target is what an invalidation names: Key, Tag or Pattern.
type Target struct{ t engine.Target }

// Key names one key.
func Key(key string) Target { return Target{engine.Target{Kind: journal.Key, Text: key}} }

// Tag names every value, of any cache, that has the tag: see Options.Tags and
// WithTags. Its cost does not depend on how many there are.
func Tag(tag string) Target { return Target{engine.Target{Kind: journal.Tag, Text: tag}} }

// Pattern names every key, of any cache, that a glob pattern matches by Redis's
// own rules: * any bytes, ? one byte, [a-z] and [^a-z] one of a set, \ escapes.
// "/" has no special role. Redis is scanned for it, whatever it matches; a pattern
// that is a cache's KeyPrefix and "*" runs as that cache's Clear.
func Pattern(pattern string) Target {
	return Target{engine.Target{Kind: journal.Pattern, Text: pattern}}
}

// Progress calls f while the keys of a pattern are removed, each time with their
// number so far; never at the same time, and not at all for a key or a tag. Close waits
// for the removal, and so for f: let it return, and not call Close.
func (t Target) Progress(f func(removed int64)) Target {
	t.t.Progress = f
	return t
}

// Report says what an invalidation did.
type Report struct {
	// Keys is the number of values, and of loads that were under way, removed
	// from Redis. What a tag or Clear voids is not counted.
	Keys int64

	// Queued tells that Redis could not be reached for some of it. This process
	// keeps that in a journal, believes nothing of it that Redis says meanwhile,
	// and sends it as soon as it can; other nodes may serve the old value until
	// then.
	Queued bool
}

// Invalidate makes every read in this process that starts after it returned, and
// every read elsewhere that starts longer than Config.StalenessBound after it
// returned with nothing queued, see what the source had when it was called, or
// newer. Call it after the commit. Its error is a bad target, and then nothing was done, or ErrClosed. The end of
// ctx ends the waiting, never the deed: the rest is queued.
func (t *Tiers) Invalidate(ctx context.Context, targets ...Target) (Report, error) {
	r, err := t.eng.Invalidate(ctx, inner(targets))
	return Report(r), err
}

// Expire makes what the targets name old: the next read loads it anew. Other than
// after Invalidate an old value may stand in for one that cannot be loaded, where
// that is allowed. What carries a tag is invalidated.
func (t *Tiers) Expire(ctx context.Context, targets ...Target) (Report, error) {
	r, err := t.eng.Expire(ctx, inner(targets))
	return Report(r), err
}

// Mutate runs fn, which changes the source, between two steps that make the
// targets, keys and tags, safe from a crash: before it Redis is told that they are
// about to change, after it they are invalidated. In between loads of them store
// nothing. A process that dies between its commit and its invalidation so leaves
// uncached reads for at most 30 seconds and never an old value.
//
// fn's ctx ends one second before that, or with ctx. If Redis cannot be told, fn
// is not run and the error wraps ErrNotMarked. Else it is fn's own, and the targets
// are invalidated whatever it is, also if fn panics.
func (t *Tiers) Mutate(ctx context.Context, fn func(context.Context) error, targets ...Target) (Report, error) {
	r, err := t.eng.Mutate(ctx, fn, inner(targets), false)
	return Report(r), err
}

// MutateAnyway is Mutate for a change that must not wait for Redis: if it cannot be
// told before, fn is run all the same, and what it changes is invalidated, or
// queued. If the Tiers are closed before that, the error is fn's own, or wraps ErrClosed
// and says that Redis was not told.
func (t *Tiers) MutateAnyway(ctx context.Context, fn func(context.Context) error, targets ...Target) (Report, error) {
	r, err := t.eng.Mutate(ctx, fn, inner(targets), true)
	return Report(r), err
}

// Clear invalidates everything that is stored under Config.Prefix, also by other
// services' caches. It takes no scan; what it voids in Redis goes when it expires or
// is overwritten.
func (t *Tiers) Clear(ctx context.Context) (Report, error) {
	r, err := t.eng.Clear(ctx)
	return Report(r), err
}

func inner(targets []Target) []engine.Target {
	list := make([]engine.Target, len(targets))
	for i, g := range targets {
		list[i] = g.t
	}
	return list
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

// Clear invalidates everything that caches of this Name have stored, in every
// process, and nothing of another's. It takes no scan; what it voids in Redis goes
// when it expires or is overwritten.
func (c *Cache[T]) Clear(ctx context.Context) error {
	_, err := c.c.Clear(ctx)
	return err
}

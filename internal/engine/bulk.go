package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tiercache/tiercache/internal/batch"
	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/memory"
)

// Many keys go the way of one key, side by side: memory, then Redis for all that it
// lacks at once, then a load each. What is left for the loads is one flight for each
// key, with its own lease and its own guards; only the loader is called once for all
// that this call leads, see package batch.

// ManyLoader gives the values of many keys, see batch.Loader.
type ManyLoader = batch.Loader[any]

var errAlso = errors.New("tiercache: Also is for a call with one key, and this has many")

// CheckMany refuses a call for many keys that cannot be.
func (c *Cache) CheckMany(ctx context.Context, call Call) error {
	switch {
	case ctx == nil:
		return errNilContext
	case c.eng.closed.Load():
		return errs.ErrClosed
	case len(call.Also) > 0:
		return errAlso
	}
	return checkTags(call.Tags)
}

// Early is a key whose value is to be refreshed.
type Early struct {
	key   string
	found Found
}

// HitMany is Hit for many keys. found is called with each value and its key, and says
// whether the key is new to it. The keys that memory cannot answer are left, each once;
// early are those whose values the caller is to have refreshed. Fresh: memory is not
// asked.
func (c *Cache) HitMany(keys []string, fresh, loads bool, found func(key string, value any) bool) (left []string, early []Early) {
	var others map[string]struct{} // keys without a value
	for i, key := range keys {
		if others != nil {
			if _, again := others[key]; again {
				continue
			}
		}
		var f Found
		hash, at := memory.Hash(key), int64(0)
		if !fresh {
			at = now()
			f = c.find(hash, key, at, loads)
		}
		if f.early != nil {
			early = append(early, Early{key, f})
		}
		if f.OK() && !f.Absent() {
			if found(key, f.Value) {
				c.countHit(hash, at, f.how)
			}
			continue
		}
		if others == nil {
			others = make(map[string]struct{}, len(keys)-i)
		}
		others[key] = struct{}{}
		if f.OK() {
			c.countHit(hash, at, f.how)
		} else {
			if left == nil {
				left = make([]string, 0, len(keys)-i)
			}
			left = append(left, key)
		}
	}
	return left, early
}

// RefreshMany loads anew what was found early, in the background.
func (c *Cache) RefreshMany(ctx context.Context, early []Early, load ManyLoader, call Call) {
	keys := make([]string, len(early))
	for i, e := range early {
		keys[i] = e.key
	}
	parts := c.batch(ctx, keys, load, nil)
	for i := range parts {
		call := call
		call.part = &parts[i]
		c.Refresh(ctx, keys[i], call.part.load, call, early[i].found)
	}
}

// batch makes a batch of loads of keys. Its loader has no Previous: that is one key's.
func (c *Cache) batch(ctx context.Context, keys []string, load ManyLoader, slots chan struct{}) []part {
	of := batch.New(WithoutPrevious(ctx), keys, load, func(delta int) {
		// The first is before the end of a load that waits for this one, so Close
		// does not miss it.
		c.eng.loaders.Add(delta)
		c.eng.running.Add(int64(delta))
	})
	parts := make([]part, len(of))
	for i := range of {
		parts[i].of, parts[i].slots = &of[i], slots
	}
	return parts
}

// WithoutPrevious is ctx for a loader of several keys.
func WithoutPrevious(ctx context.Context) context.Context {
	return context.WithValue(ctx, previousKey{}, previous{})
}

// one is a key of many that memory has not answered.
type one struct {
	key, rkey string
	hash      uint64
	v         validity
	at        int // of its reply, -1: Redis is not asked
	failed    bool
	opened    opened
	tags      []*tag
	seen      *outcome // of the read, if that has not answered
	answered  bool     // by the read, with value or absence
	absent    bool
	value     any
	out       *outcome
	err       error
}

// LoadMany answers for keys, each of which is there once and not in memory, as Load
// does for one. found is called with each value and its key. The error is that of a
// key that cannot be, or errs.Keys; a key that does not exist has not failed. With a nil
// load nothing is loaded.
func (c *Cache) LoadMany(ctx context.Context, keys []string, load ManyLoader, call Call, found func(key string, value any) bool) error {
	for _, k := range keys {
		if err := c.checkKey(k); err != nil {
			return err
		}
	}
	began := now()
	ones := make([]one, len(keys))
	for i, k := range keys {
		if ones[i].key = k; len(k) > longestKey {
			c.counts.tooLarge.Add(1)
		}
	}
	switch {
	case c.eng.remote == nil || call.Load:
	case c.spec.MemoryOnly:
		c.againMany(ctx, ones)
	default:
		ones = c.readMany(ctx, ones, call, began, found)
	}
	c.settleMany(ctx, ones, load, call, began)
	failed := make(errs.Keys)
	for i := range ones {
		switch o := &ones[i]; {
		case o.err != nil:
			failed[o.key] = o.err
		case call.warm && o.out.lost:
			failed[o.key] = errLost
		case o.out.absent || o.out.err == nil && o.out.source == nowhere:
		case o.out.err != nil:
			failed[o.key] = o.out.err
		default:
			found(o.key, o.out.value)
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// MostTogether is how many keys are loaded by one call of a loader, at the most. Each
// takes three goroutines meanwhile, and LoadTimeout runs for the first while the last
// takes its lease.
const MostTogether = 1000

// settleMany is settle for each of ones.
func (c *Cache) settleMany(ctx context.Context, ones []one, load ManyLoader, call Call, began int64) {
	if load == nil {
		for i := range ones {
			if o := &ones[i]; o.err == nil {
				var why cause
				o.out, o.err = c.settle(ctx, o.key, nil, call, began, o.seen, &why)
				c.tally(o.out, o.key, o.err, now()-began, why)
			}
		}
		return
	}
	for some := range slices.Chunk(ones, MostTogether) {
		c.settleSome(ctx, some, load, call, began)
	}
}

// settleSome settles the keys side by side: each joins the flight of its key, or leads
// it, before it waits.
func (c *Cache) settleSome(ctx context.Context, ones []one, load ManyLoader, call Call, began int64) {
	keys := make([]string, len(ones))
	for i := range ones {
		keys[i] = ones[i].key
	}
	parts := c.batch(ctx, keys, load, make(chan struct{}, mostBusy))
	var wg sync.WaitGroup
	for i := range ones {
		o, part := &ones[i], &parts[i]
		if o.err != nil {
			part.end()
			continue
		}
		if part.resume(ctx); ctx.Err() != nil {
			part.end()
			o.err = ctx.Err()
			if !call.warm {
				c.tally(nil, o.key, o.err, now()-began, unexplained)
			}
			continue
		}
		wg.Go(func() {
			call := call
			call.part = part
			var why cause
			o.out, o.err = c.settle(ctx, o.key, part.load, call, began, o.seen, &why)
			if !call.warm {
				c.tally(o.out, o.key, o.err, now()-began, why)
			}
		})
	}
	wg.Wait()
}

// SetMany is Set for each of values. The error is that of a key that cannot be, and then
// nothing is set, or errs.Keys.
func (c *Cache) SetMany(ctx context.Context, values map[string]any, call Call) error {
	keys := make([]string, 0, len(values))
	for k := range values {
		if err := c.checkKey(k); err != nil {
			return err
		}
		keys = append(keys, k)
	}
	most := mostBusy
	if c.eng.remote == nil { // there is nothing to wait for, and neighbours in a shard would undo each other
		most = 1
	}
	failed := make(errs.Keys)
	for i, err := range inParallel(len(keys), most, func(i int) error { return c.Set(ctx, keys[i], values[keys[i]], call) }) {
		if err != nil {
			failed[keys[i]] = err
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

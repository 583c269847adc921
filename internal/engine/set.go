package engine

import (
	"context"

	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/memory"
)

// Set stores a value that the caller knows to be the newest. In Redis it is two
// steps, seize and fill: the first kills whatever value or lease stands, the
// second writes only under the lease of the first. So a first step that arrives
// late merely deletes, and a late second one is refused (model set, -DPLAIN_SET).
//
// Set does not fail because Redis does, or because ctx ends: then it is an
// invalidation in the journal, and memory has the value.
func (c *Cache) Set(ctx context.Context, key string, value any, call Call) error {
	ctx, end, err := c.eng.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := c.checkKeys(key, call.Also); err != nil {
		return err
	}
	l := loaded{value: value}
	if err := flight.Recovering(func() error { return c.prepare(&l, call) }); err != nil {
		return err
	}
	keys := append([]string{key}, others(key, call.Also)...)
	if l.ttl <= 0 { // not to be stored, and what is there is old
		for _, k := range keys {
			c.eng.invalidateKeys(ctx, []string{k})
		}
		return nil
	}
	for _, k := range keys {
		c.setOne(ctx, k, l)
	}
	return nil
}

func (c *Cache) setOne(ctx context.Context, key string, l loaded) {
	e := c.eng
	moved := e.drop(key) // what comes from here on does not wait for an older load
	h := hold{key: key, hash: memory.Hash(key), rkey: e.prefix + key, v: e.sample(memory.Hash(key))}
	it := c.item(h.hash, key, l.value, false, l.size, c.memoryLife(l.ttl), h.v)
	if e.remote == nil {
		e.replace(it, moved)
		return
	}
	stored, err := c.seizeAndFill(ctx, h, l)
	switch {
	case err != nil:
		c.counts.errors.Add(1)
		e.journal.AddKey(key) // before memory: a reader that finds no item finds the entry
		wake(e.queued)
		e.replace(it, moved)
	case stored:
		e.replace(it, moved)
	default: // somebody invalidated between the two steps, and was later
		c.counts.fillsRefused.Add(1)
		e.drop(key)
	}
}

func (c *Cache) seizeAndFill(ctx context.Context, h hold, l loaded) (bool, error) {
	stamp, err := c.eng.remote.Stamp(ctx, h.rkey)
	if err != nil {
		return false, err
	}
	h.lease = c.newLease(stamp)
	if err := c.eng.remote.Seize(ctx, h.rkey, h.lease, leaseTime); err != nil {
		return false, err
	}
	return c.fill(ctx, h, l)
}

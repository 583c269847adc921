package engine

import (
	"context"
	"errors"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/journal"
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
	switch {
	case ctx == nil:
		return errNilContext
	case c.eng.closed.Load():
		return errs.ErrClosed
	}
	if err := c.check(key, call); err != nil {
		return err
	}
	l := loaded{value: value}
	// The user's functions come first: Close waits for what is between begin and end.
	if err := flight.Recovering(func() error { return c.prepare(&l, key, call) }); err != nil {
		return err
	}
	ctx, end, err := c.eng.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	keys := append([]string{key}, others(key, call.Also)...)
	if l.ttl <= 0 { // not to be stored, and what is there is old
		c.eng.invalidateKeys(ctx, keys)
		for _, k := range keys {
			c.eng.ghosts.note(memory.Hash(k), unstored, never)
		}
		return nil
	}
	for _, k := range keys {
		c.setOne(ctx, k, &l, c.allTags(k, call.Tags, l.names))
	}
	return nil
}

func (c *Cache) setOne(ctx context.Context, key string, l *loaded, tags []*tag) {
	e := c.eng
	if len(key) > longestKey {
		c.counts.tooLarge.Add(1)
		return
	}
	e.drop(key) // what comes from here on does not wait for an older load
	h := hold{key: key, hash: memory.Hash(key), rkey: e.prefix + key}
	h.v = c.sample(h.hash, key)
	if e.remote == nil || c.spec.MemoryOnly {
		c.setAlone(ctx, h, *l, tags)
		return
	}
	gens, err := e.obtain(ctx, tags, c.servedFor(l.ttl), nil)
	stored := false
	if err == nil {
		stored, err = c.seizeAndFill(ctx, &h, l, gens)
	}
	if err == nil {
		err = e.publish(ctx, newsKey, key)
	}
	life := c.memoryLife(l.ttl)
	switch {
	case errors.Is(err, errMarked):
		e.invalidateKeys(ctx, []string{key})
	case err != nil:
		c.counts.errors.Add(1)
		e.queue(journal.Key, key) // before memory: a reader that finds no item finds the entry
		if gens, ok := e.localGens(tags, h.v); ok {
			it := c.item(h.hash, key, *l, now(), life, h.v, gens, false)
			it.Meta.born = now()
			e.replace(it, h.v)
		}
	case stored:
		if gens, ok := e.present(ctx, gens); ok {
			e.replace(c.filledItem(h, *l, life, gens), h.v)
			return
		}
		e.drop(key)
	default: // somebody invalidated between the two steps, and was later
		e.drop(key)
		c.refuse(new(outcome), h.hash)
	}
}

// setAlone is setOne without Redis to store the value. Others are told that theirs
// is old.
func (c *Cache) setAlone(ctx context.Context, h hold, l loaded, tags []*tag) {
	e := c.eng
	if e.remote != nil {
		e.invalidateKeys(ctx, []string{h.key})
		h.v = c.sample(h.hash, h.key)
	}
	heard := e.remote != nil && c.useRedis(h.key)
	var gens []*gen
	ok := false
	if !heard {
		gens, ok = e.localGens(tags, h.v)
	} else if known, err := e.obtain(ctx, tags, c.servedFor(l.ttl), nil); err == nil {
		gens, ok = e.present(ctx, known)
	}
	if !ok {
		return // the next read loads
	}
	it := c.item(h.hash, h.key, l, now(), c.memoryLife(l.ttl), h.v, gens, heard)
	it.Meta.born = now()
	e.replace(it, h.v)
}

func (c *Cache) seizeAndFill(ctx context.Context, h *hold, l *loaded, gens []*gen) (bool, error) {
	stamp, err := c.eng.remote.Stamp(ctx, h.rkey)
	if err != nil {
		return false, err
	}
	lease := c.newLease(stamp)
	*h = underLease(h.key, h.hash, h.rkey, lease, h.v)
	seized, err := c.eng.remote.Seize(ctx, h.rkey, lease, leaseTime)
	if err != nil || !seized {
		return false, err
	}
	h.v = c.eng.again(h.v, h.hash, h.rkey)
	filled, err := c.fill(ctx, *h, l, gens)
	if err != nil {
		c.abandon(h.rkey, h.stands)
	}
	return filled, err
}

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/memory"
)

// loadAlone loads without Redis: it is not there, it is out of use, or an
// invalidation of the key waits in the journal. Memory keeps the value.
func (c *Cache) loadAlone(ctx context.Context, out *outcome, hash uint64, key string, load Loader, call Call, old *outcome) {
	holds := []hold{{key: key, hash: hash, v: out.v}}
	for _, k := range others(key, call.Also) {
		h := memory.Hash(k)
		holds = append(holds, hold{key: k, hash: h, v: c.sample(h, k)})
	}
	l, ok := c.run(ctx, out, key, load, call, old, nil)
	out.standing = out.err == nil || out.absent
	out.tags = c.allTags(key, call.Tags, l.names)
	if !ok {
		c.unstored(ctx, out, hash, key, old)
		return
	}
	for _, h := range holds {
		gens, ok := c.eng.localGens(c.allTags(h.key, call.Tags, l.names), h.v)
		if !ok || !c.keepAlone(h, l, gens, out.loadBegan) {
			c.refuse(out, h.hash)
		}
	}
	out.lost = out.lost || c.voided(out, key) || c.mightFill(key)
}

// voided tells whether a pattern that was issued meanwhile voids what memory keeps.
func (c *Cache) voided(out *outcome, key string) bool {
	return c.eng.patterns.table.Load().voids(out.v.seq, key)
}

// mightFill tells whether what Redis does not have counts for nothing, and could be
// stored there.
func (c *Cache) mightFill(key string) bool {
	return !c.spec.MemoryOnly && c.eng.useRedis(key) && c.eng.remote.Writable(c.eng.prefix+key)
}

// loadHere loads for a memory-only cache. Its values have the generations that
// Redis knows, and that is how others invalidate their tags.
func (c *Cache) loadHere(ctx context.Context, out *outcome, hash uint64, key string, load Loader, call Call, old *outcome) {
	holds := []hold{{key: key, hash: hash, v: out.v}}
	for _, k := range others(key, call.Also) {
		h := memory.Hash(k)
		holds = append(holds, hold{key: k, hash: h, v: c.sample(h, k)})
	}
	b, err := c.obtainBefore(ctx, holds, call)
	if err == nil {
		err = c.unmarked(ctx, holds)
	}
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, errMarked) {
			c.counts.errors.Add(1)
			c.loadAlone(ctx, out, hash, key, load, call, old)
			return
		}
		c.loadUnstored(ctx, out, key, load, call, old)
		return
	}
	l, ok := c.run(ctx, out, key, load, call, old, nil)
	out.standing = out.err == nil || out.absent
	out.tags = c.allTags(key, call.Tags, l.names)
	if !ok {
		c.unstored(ctx, out, hash, key, old)
		return
	}
	if err := c.obtainAfter(ctx, &b, l); err != nil {
		c.refuse(out, hash)
		return
	}
	for i, h := range holds {
		gens, ok := c.eng.present(ctx, b.of(i))
		if !ok || !c.keepAlone(h, l, gens, out.loadBegan) {
			c.refuse(out, h.hash)
		}
	}
	out.lost = out.lost || c.voided(out, key)
}

// unmarked is errMarked if a Mutate of one of the keys is under way. One that begins
// after this look tells so, and the value is not kept.
func (c *Cache) unmarked(ctx context.Context, holds []hold) error {
	keys := make([]string, len(holds))
	for i, h := range holds {
		keys[i] = c.eng.prefix + h.key
	}
	heads, err := c.eng.remote.Heads(ctx, keys)
	if err != nil {
		return err
	}
	for _, head := range heads {
		if envelope.IsMarker(head.Raw) && !ablate.Out(ablate.MarkerKept) {
			return errMarked
		}
	}
	return nil
}

// loadUnstored loads while a Mutate of the key is under way: whatever the load
// finds, the source may have something newer, so nobody keeps it.
func (c *Cache) loadUnstored(ctx context.Context, out *outcome, key string, load Loader, call Call, old *outcome) {
	if load != nil {
		c.run(ctx, out, key, load, call, old, nil)
		out.lost = out.err == nil || out.absent
	}
	out.standing = false
}

// unstored makes memory serve old for a while, if the load that was to replace it has
// failed; else old is not the answer any more.
func (c *Cache) unstored(ctx context.Context, out *outcome, hash uint64, key string, old *outcome) {
	if out.err != nil && !out.absent {
		c.tired(hash, key, old, c.rest(ctx, out))
	} else if old != nil {
		c.eng.discard(hash, key)
	}
	c.eng.ghosts.note(hash, unstored, never)
}

// loadHeld loads for holds, the asked key's first.
func (c *Cache) loadHeld(ctx context.Context, out *outcome, holds []hold, load Loader, call Call, old *outcome) {
	first := holds[0]
	b, err := c.obtainBefore(ctx, holds, call)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			c.letGo(holds)
			out.err = context.Cause(ctx)
		case errors.Is(err, errMarked):
			c.backOut(ctx, holds, 0)
			c.loadUnstored(ctx, out, first.key, load, call, old)
		default:
			c.counts.errors.Add(1)
			c.letGo(holds)
			c.loadAlone(ctx, out, first.hash, first.key, load, call, old)
		}
		return
	}
	l, ok := c.run(ctx, out, first.key, load, call, old, holds)
	out.tags = c.allTags(first.key, call.Tags, l.names)
	if out.err != nil && !out.absent {
		c.backOut(ctx, holds, c.rest(ctx, out))
		c.unstored(ctx, out, first.hash, first.key, old)
		return
	}
	if ok && l.ttl > 0 {
		if err = c.obtainAfter(ctx, &b, l); err != nil {
			l.ttl = 0
			c.refuse(out, first.hash)
		}
	}
	if !ok || l.ttl <= 0 {
		// The answer of release is the judge of a value that is not stored, as
		// that of fill is of one that is.
		if len(l.names) == 0 { // of its own tags it says nothing: its age decides
			out.filledAt = now()
		}
		out.gens = b.of(0)
		out.standing = c.release(ctx, holds) && err == nil
		c.unstored(ctx, out, first.hash, first.key, old)
		c.endTurns(holds)
		return
	}
	for i, h := range holds {
		gens, standing, err := c.fillOne(ctx, out, h, &l, b.of(i))
		if i == 0 {
			out.gens, out.standing = gens, standing
		}
		if err != nil { // nobody waits for more than one budget
			c.endTurns(holds[:i])
			c.letGo(holds[i:])
			return
		}
	}
	c.endTurns(holds)
}

// letGo gives holds back, without waiting for it.
func (c *Cache) letGo(holds []hold) {
	for _, h := range holds {
		if h.old == nil {
			c.abandon(h.rkey, h.stands)
		}
	}
	c.endTurns(holds)
}

// endTurns gives turns back, without waiting for it.
func (c *Cache) endTurns(holds []hold) {
	for _, h := range holds {
		if h.old != nil {
			c.later(func(ctx context.Context) { _ = c.eng.remote.EndTurn(ctx, h.rkey, 0) })
		}
	}
}

// fillOne fills one key, and keeps the value in memory if Redis has it.
func (c *Cache) fillOne(ctx context.Context, out *outcome, h hold, l *loaded, gens []*gen) (_ []*gen, standing bool, _ error) {
	// What the server tells from here on may be of this fill: see confirm.go.
	h.v = c.eng.again(h.v, h.hash, h.rkey)
	if out.filledAt == 0 {
		out.filledAt = now()
	}
	filled, err := c.fill(ctx, h, l, gens)
	switch {
	case err != nil: // it may have been filled, or not: then nobody waits for the lease
		c.counts.errors.Add(1)
		c.keepAlone(h, *l, gens, out.loadBegan)
		out.lost = c.mightFill(h.key)
		return gens, false, err
	case !filled:
		c.refuse(out, h.hash)
		return gens, false, nil
	}
	gens, standing = c.eng.present(ctx, gens)
	out.lost = out.lost || !standing
	if life := c.memoryLife(l.ttl); standing && life > 0 {
		c.eng.keep(c.filledItem(h, *l, life, gens), h.v)
	}
	return gens, standing, nil
}

// refuse counts a value that is not stored, since somebody has invalidated meanwhile.
func (c *Cache) refuse(out *outcome, hash uint64) {
	out.lost = true
	c.counts.fillsRefused.Add(1)
	c.eng.ghosts.note(hash, unstored, never)
}

// run calls the loader on a goroutine of its own, so that one which ignores its
// context holds nobody up, and prepares what it gave. While it runs, holds are kept.
// The loader is shown old, if there is one. False: out has the error, or the value
// cannot be stored.
func (c *Cache) run(ctx context.Context, out *outcome, key string, load Loader, call Call, old *outcome, holds []hold) (loaded, bool) {
	if cause := context.Cause(ctx); cause != nil {
		out.err = cause
		return loaded{}, false
	}
	c.counts.loads.Add(1)
	if call.warm {
		c.counts.warmed.Add(1)
	}
	began := now()
	out.source, out.loadBegan = fromLoader, began

	lctx, cancel := context.WithTimeout(ctx, c.spec.LoadTimeout)
	defer cancel()
	lctx = context.WithValue(lctx, previousKey{}, previous{c, old}) // nil too: a load within a load has its own
	type result struct {
		loaded
		err, encode error
		crashed     bool // panic or Goexit
	}
	got := make(chan result, 1)
	var r result
	c.eng.loaders.Add(1)
	c.eng.running.Add(1)
	flight.Go(func() (result, error) {
		var r result
		r.value, r.err = load(lctx)
		r.took = time.Duration(now() - began)
		if old != nil && !old.absent && errors.Is(r.err, errs.ErrNotModified) && !ofMany(r.err) {
			c.counts.unmodified.Add(1)
			r.value, r.err = old.value, nil
			r.same, r.payload, r.encoded = true, old.payload, old.encoded
		}
		if r.crashed = r.err == errs.ErrGoexit || isPanic(r.err); r.crashed { // of many keys' loader
			return r, nil
		} else if r.absent = r.err != nil && c.isAbsent(r.err); r.absent {
			r.ttl = c.jittered(max(0, c.spec.NegativeTTL))
			return r, nil
		} else if r.err != nil {
			return r, nil
		}
		r.encode = c.prepare(&r.loaded, key, call)
		return r, nil
	}, func(r result, err error) {
		if err != nil {
			r.err, r.crashed = err, true
		}
		got <- r
		c.eng.running.Add(-1)
		c.eng.loaders.Done()
	})

	var ticks <-chan time.Time
	var timer *time.Timer
	if len(holds) > 0 {
		timer = time.NewTimer(nextKeep(holds))
		defer timer.Stop()
		ticks = timer.C
	}
	for waiting := true; waiting; {
		select {
		case r = <-got:
			waiting = false
		case <-ticks:
			c.keepHolding(ctx, holds)
			timer.Reset(nextKeep(holds))
		case <-lctx.Done():
			r.err = lctx.Err()
			waiting = false
		}
	}
	// What a loader says once its context has ended is about that; which of the
	// two is noticed first must not matter.
	if r.err != nil && !r.absent && !r.crashed && lctx.Err() != nil {
		if r.err = context.Cause(ctx); r.err == nil {
			r.err = &errs.LoadTimeout{Key: key, After: c.spec.LoadTimeout}
		}
	}
	c.counts.loading.Add(time.Duration(now() - began))
	out.value, out.absent, out.err = r.value, r.absent, r.err
	if r.err != nil && !r.absent {
		c.counts.loadErrors.Add(1)
		return loaded{}, false
	}
	if r.encode != nil {
		c.counts.errors.Add(1)
		c.encodeFailed.Do(func() {
			c.eng.log.Error("tiercache: a value cannot be encoded, so it is not cached", "cache", c.spec.Name, "error", r.encode)
		})
		return loaded{names: r.names}, false
	}
	return r.loaded, true
}

func isPanic(err error) bool { _, ok := err.(*errs.Panic); return ok }

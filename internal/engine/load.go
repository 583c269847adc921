package engine

import (
	"context"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/memory"
)

// hold is one key that a load will fill, and everything that could make its
// value old, sampled before the load.
type hold struct {
	key   string
	hash  uint64
	rkey  string
	lease []byte // nil: memory only
	v     validity
}

// loaded is a value made ready to be stored.
type loaded struct {
	value   any
	absent  bool
	payload []byte
	size    int64
	ttl     time.Duration // <= 0: not stored
	took    time.Duration
}

// loadAlone loads without Redis: it is not there, it is out of use, or an
// invalidation of the key waits in the journal. Memory keeps the value.
func (c *Cache) loadAlone(ctx context.Context, out *outcome, hash uint64, key string, load Loader, call Call) {
	if load == nil {
		return
	}
	holds := []hold{{key: key, hash: hash, v: out.v}}
	for _, k := range others(key, call.Also) {
		h := memory.Hash(k)
		holds = append(holds, hold{key: k, hash: h, v: c.eng.sample(h)})
	}
	l, ok := c.run(ctx, out, key, load, call, nil)
	out.standing = out.err == nil || out.absent
	if !ok {
		return
	}
	for _, h := range holds {
		if !c.keepLoaded(h, l) {
			c.counts.fillsRefused.Add(1)
		}
	}
}

// loadLeased loads under the leases of holds, the asked key's first.
func (c *Cache) loadLeased(ctx context.Context, out *outcome, holds []hold, load Loader, call Call) {
	l, ok := c.run(ctx, out, holds[0].key, load, call, func() {
		var wg sync.WaitGroup
		for _, h := range holds {
			wg.Go(func() {
				if _, err := c.eng.remote.Renew(ctx, h.rkey, h.lease, leaseTime); err != nil && ctx.Err() == nil {
					c.counts.errors.Add(1)
				}
			})
		}
		wg.Wait()
	})
	if !ok || l.ttl <= 0 {
		// The answer of release is the judge of a value that is not stored, as
		// that of fill is of one that is.
		out.standing = c.release(ctx, holds)
		return
	}
	for i, h := range holds {
		filled, err := c.fill(ctx, h, l)
		switch {
		case err != nil: // it may have been filled: memory serves what it has
			c.counts.errors.Add(1)
			c.keepLoaded(h, l)
		case filled:
			c.keepLoaded(h, l)
		default:
			c.counts.fillsRefused.Add(1)
		}
		if i == 0 {
			out.standing = filled
		}
	}
}

// holdAlso takes the leases of further keys of the value, each tried once:
// waiting for them could deadlock with a load that holds them and asks for ours
// (model also, -DWAIT_ALL). What stands there is left alone.
func (c *Cache) holdAlso(ctx context.Context, first hold, also []string) []hold {
	holds := []hold{first}
	for _, k := range others(first.key, also) {
		h := hold{key: k, hash: memory.Hash(k), rkey: c.eng.prefix + k}
		h.v = c.eng.sample(h.hash)
		if !c.eng.useRedis(k) {
			continue
		}
		stamp, err := c.eng.remote.Stamp(ctx, h.rkey)
		var won bool
		if err == nil {
			h.lease = c.newLease(stamp)
			won, _, err = c.eng.remote.Acquire(ctx, h.rkey, h.lease, nil, leaseTime)
		}
		switch {
		case err != nil && h.lease != nil:
			c.counts.errors.Add(1)
			c.abandon(ctx, h.rkey, h.lease)
		case err != nil:
			c.counts.errors.Add(1)
		case won:
			holds = append(holds, h)
		}
	}
	return holds
}

// others is also without key and without repetitions.
func others(key string, also []string) []string {
	var out []string
next:
	for _, k := range also {
		if k == key {
			continue
		}
		for _, o := range out {
			if o == k {
				continue next
			}
		}
		out = append(out, k)
	}
	return out
}

// run calls the loader on a goroutine of its own, so that one which ignores its
// context holds nobody up, and prepares what it gave. tick is called while it
// runs, often enough to keep leases alive. False: out has the error, or the
// value cannot be stored.
func (c *Cache) run(ctx context.Context, out *outcome, key string, load Loader, call Call, tick func()) (loaded, bool) {
	if cause := context.Cause(ctx); cause != nil {
		out.err = cause
		return loaded{}, false
	}
	c.counts.loads.Add(1)
	began := now()
	out.source, out.loadBegan = fromLoader, began

	lctx, cancel := context.WithTimeout(ctx, c.spec.LoadTimeout)
	defer cancel()
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
		if r.err != nil {
			r.absent = c.isAbsent(r.err)
			if r.absent {
				r.ttl = c.jittered(max(0, c.spec.NegativeTTL))
			}
			return r, nil
		}
		r.encode = c.prepare(&r.loaded, call)
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
	if tick != nil {
		t := time.NewTicker(leaseTime / 3)
		defer t.Stop()
		ticks = t.C
	}
	for waiting := true; waiting; {
		select {
		case r = <-got:
			waiting = false
		case <-ticks:
			tick()
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
		return loaded{}, false
	}
	return r.loaded, true
}

// prepare encodes a value and says how long it lives.
func (c *Cache) prepare(l *loaded, call Call) (err error) {
	ttl := c.spec.TTL
	if call.TTL > 0 {
		ttl = call.TTL
	}
	if c.spec.TTLOf != nil {
		ttl = c.spec.TTLOf(l.value)
	}
	if ttl < shortest {
		return nil
	}
	l.ttl = c.jittered(ttl)
	if c.eng.remote != nil || c.spec.Cost == nil {
		if l.payload, err = c.spec.Encode(nil, l.value); err != nil {
			l.ttl = 0
			return err
		}
	}
	l.size = c.size(l.value, false, len(l.payload))
	return nil
}

// fill writes the value under the lease. It is done even if nobody waits any
// more: the load is paid for, and its lease must not stand for nothing.
func (c *Cache) fill(ctx context.Context, h hold, l loaded) (bool, error) {
	head, _, err := envelope.Open(h.rkey, h.lease)
	if err != nil {
		panic("bug: engine: a lease that does not open: " + err.Error())
	}
	head.Kind = envelope.Value
	if l.absent {
		head.Kind = envelope.Absent
	}
	created := c.eng.remote.Now(h.rkey)
	raw := envelope.Seal(h.rkey, head, envelope.Body{
		Schema:     c.schema,
		Created:    created,
		FreshUntil: created.Add(l.ttl),
		LoadTime:   l.took,
		Payload:    l.payload,
	})
	return c.eng.remote.Fill(context.WithoutCancel(ctx), h.rkey, h.lease, raw, l.ttl)
}

// abandon removes a lease whose acquire failed, if it was taken for all that:
// nobody else knows its token, and it would keep others waiting.
func (c *Cache) abandon(ctx context.Context, rkey string, lease []byte) {
	_, _ = c.eng.remote.Release(context.WithoutCancel(ctx), rkey, lease)
}

// release gives leases back; true if the first still stood.
func (c *Cache) release(ctx context.Context, holds []hold) (stood bool) {
	for i, h := range holds {
		ok, err := c.eng.remote.Release(context.WithoutCancel(ctx), h.rkey, h.lease)
		if err != nil {
			c.counts.errors.Add(1)
		}
		if i == 0 {
			stood = ok
		}
	}
	return stood
}

// keepLoaded is false if the value was voided while it was loaded.
func (c *Cache) keepLoaded(h hold, l loaded) bool {
	life := c.memoryLife(l.ttl)
	return life <= 0 || c.eng.keep(c.item(h.hash, h.key, l.value, l.absent, l.size, life, h.v), h.v)
}

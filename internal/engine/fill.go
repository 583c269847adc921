package engine

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/remote"
)

// hold is one key that a load will fill, and everything that could make its
// value old, sampled before the load.
type hold struct {
	key  string
	hash uint64
	rkey string
	v    validity

	// stands is what has to stand in Redis for the value to be written: a lease, or
	// the head of old. head is that of what is written. Memory only: empty.
	stands []byte
	head   envelope.Head
	old    *outcome // what may be served until it is replaced; nil: there is a lease
	lasts  int64    // until when that stands by itself
}

// underLease is a hold by a lease, whose token the value keeps.
func underLease(key string, hash uint64, rkey string, lease []byte, v validity) hold {
	head, ok := envelope.OpenHead(lease)
	if !ok {
		panic("bug: engine: a lease that does not open")
	}
	return hold{key: key, hash: hash, rkey: rkey, v: v, stands: lease, head: head, lasts: now() + int64(leaseTime)}
}

// over is a hold by the value that stands. What replaces it has another token:
//
//	A, B: see X | A: fills | B: must not
func (c *Cache) over(hash uint64, key string, old *outcome, v validity) hold {
	head, ok := envelope.OpenHead(old.raw)
	if !ok {
		panic("bug: engine: a value that does not open")
	}
	head.Token = envelope.NewToken()
	stands := old.raw[:envelope.HeadLen]
	if ablate.Out(ablate.RefreshFence) {
		stands = stands[:1]
	}
	lasts := later(old.readAt, old.fresh)
	if !old.absent && c.spec.StaleFor > 0 {
		lasts = later(lasts, c.spec.StaleFor)
	}
	return hold{key: key, hash: hash, rkey: c.eng.prefix + key, v: v, stands: stands, head: head, old: old, lasts: lasts}
}

// loaded is a value made ready to be stored.
type loaded struct {
	value   any
	absent  bool
	same    bool // as the old one, says the loader
	payload []byte
	encoded int    // how long the payload was before it was compressed
	room    []byte // ends with the payload, behind room for the front; nil: there is none
	size    int64
	ttl     time.Duration // <= 0: not stored
	took    time.Duration
	age     time.Duration // since it was loaded
	names   []string      // its own tags
}

// holdAlso takes holds of further keys of the value: a lease each, tried once, as
// waiting for them could deadlock with a load that holds them and asks for ours
// (model also, -DWAIT_ALL); or what stands there, if what the first key has is replaced too.
// What is another's is left alone.
func (c *Cache) holdAlso(ctx context.Context, first hold, call Call) []hold {
	holds := []hold{first}
	over := first.old != nil || call.Load
	for _, k := range others(first.key, call.Also) {
		hash := memory.Hash(k)
		v := c.sample(hash, k)
		if !c.eng.useRedis(k) {
			continue
		}
		h, ok, err := c.holdOne(ctx, k, hash, v, over)
		if ok {
			holds = append(holds, h)
		}
		if err != nil && !errors.Is(err, remote.ErrUnavailable) { // the others may cost a budget each
			break
		}
	}
	return holds
}

func (c *Cache) holdOne(ctx context.Context, key string, hash uint64, v validity, over bool) (h hold, ok bool, err error) {
	rkey := c.eng.prefix + key
	if over {
		reply, err := c.eng.remote.Get(ctx, rkey)
		if err != nil {
			c.counts.errors.Add(1)
			return h, false, err
		}
		out := &outcome{v: v}
		switch c.judge(ctx, out, key, rkey, reply) {
		case usable:
			return c.over(hash, key, out, v), true, nil
		case stale:
			return c.over(hash, key, out.fallback, v), true, nil
		case outlived:
			return c.over(hash, key, out.outlived, v), true, nil
		}
	}
	stamp, err := c.eng.remote.Stamp(ctx, rkey)
	if err != nil {
		c.counts.errors.Add(1)
		return h, false, err
	}
	lease := c.newLease(stamp)
	won, _, err := c.eng.remote.Acquire(ctx, rkey, lease, nil, leaseTime)
	if err != nil {
		c.counts.errors.Add(1)
		c.abandon(rkey, lease)
	}
	return underLease(key, hash, rkey, lease, v), won && err == nil, err
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

// fill writes the value if what is held still stands. It is done even if nobody
// waits any more: the load is paid for, and its lease must not stand for nothing.
func (c *Cache) fill(ctx context.Context, h hold, l *loaded, gens []*gen) (bool, error) {
	head := h.head
	head.Kind = envelope.Value
	if l.absent {
		head.Kind = envelope.Absent
	}
	created := c.eng.remote.Now(h.rkey)
	tags := make([]envelope.Tag, len(gens))
	for i, g := range gens {
		tags[i].Nonce = g.nonce
		if i >= clearTags { // those of Clear are known by their place
			tags[i].Name = g.of.name[len(userTag("")):]
		}
	}
	body := envelope.Body{
		Schema:     c.schema,
		Created:    created,
		FreshUntil: created.Add(l.ttl),
		LoadTime:   l.took,
		Tags:       tags,
		Payload:    l.payload,
	}
	life := l.ttl
	if !l.absent {
		life = c.servedFor(l.ttl)
	}
	ctx = context.WithoutCancel(ctx)
	if l.same && h.old != nil && !h.old.absent && bytes.Equal(h.old.payload, l.payload) {
		if front, ok := envelope.Renew(h.rkey, h.old.raw, head, body); ok {
			return c.eng.remote.Extend(ctx, h.rkey, h.stands, front, life)
		}
	}
	raw, err := l.seal(h.rkey, head, body)
	if err != nil {
		return false, err
	}
	return c.eng.remote.Fill(ctx, h.rkey, h.stands, raw, life)
}

// seal makes the envelope of a key. The first is made where the payload is, each
// further one is a copy. Two keys in one room would be:
//
//	fill k1: given up at its deadline, its bytes wait to be written | fill k2: writes
//	over them | what comes to Redis under k1 is k2's
func (l *loaded) seal(rkey string, head envelope.Head, body envelope.Body) ([]byte, error) {
	room := l.room
	l.room = nil
	return envelope.Seal(rkey, head, body, room)
}

// release gives leases back, and removes what is old, since the source has said
// something else that is not stored; true if the first still stood.
func (c *Cache) release(ctx context.Context, holds []hold) (stood bool) {
	for i, h := range holds {
		ok, err := c.eng.remote.Release(context.WithoutCancel(ctx), h.rkey, h.stands)
		if err != nil {
			c.counts.errors.Add(1)
		}
		if i == 0 {
			stood = ok
		}
	}
	return stood
}

// backOut ends holds whose load has failed: what is old stays, and rests.
func (c *Cache) backOut(ctx context.Context, holds []hold, rest time.Duration) {
	var wg sync.WaitGroup
	for _, h := range holds {
		wg.Go(func() {
			if h.old == nil {
				c.release(ctx, []hold{h})
			} else if err := c.eng.remote.EndTurn(context.WithoutCancel(ctx), h.rkey, rest); err != nil {
				c.counts.errors.Add(1)
			}
		})
	}
	wg.Wait()
}

// keepMargin is how long before a value ends in Redis its refresh makes it last.
const keepMargin = 50 * time.Millisecond

// nextKeep is how long it may take until keepHolding is due.
func nextKeep(holds []hold) time.Duration {
	next := leaseTime / 3
	for _, h := range holds {
		next = min(next, time.Duration(h.lasts-now())-keepMargin)
	}
	return max(0, next)
}

// keepHolding makes leases and turns last while a load runs, and what is to be
// replaced, so that it is still there to be written over: whoever reads it then
// waits, and does not load too (verdict outlived).
func (c *Cache) keepHolding(ctx context.Context, holds []hold) {
	var wg sync.WaitGroup
	for i := range holds {
		wg.Go(func() {
			h := &holds[i]
			var err error
			if h.old != nil {
				err = c.eng.remote.KeepTurn(ctx, h.rkey, leaseTime)
			}
			if at := now(); err == nil && (h.old == nil || h.lasts-at < int64(leaseTime/3+keepMargin)) {
				_, err = c.eng.remote.Renew(ctx, h.rkey, h.stands, leaseTime)
				h.lasts = at + int64(leaseTime) // or somebody has taken it away
			} else if err != nil {
				h.lasts = max(h.lasts, at+int64(leaseTime)/2) // not at once again
			}
			if err != nil && ctx.Err() == nil {
				c.counts.errors.Add(1)
			}
		})
	}
	wg.Wait()
}

func (c *Cache) filledItem(h hold, l loaded, life time.Duration, gens []*gen) *item {
	it := c.item(h.hash, h.key, l, now(), life, h.v, gens, true)
	it.Meta.token, it.Meta.own = h.head.Token, now()+ownFor
	return it
}

// keepAlone inserts what Redis does not have; false if it was voided while it was
// loaded. It is an entry of an outage, or if nothing is ever in Redis, of a cache
// whose invalidations the control channel carries.
func (c *Cache) keepAlone(h hold, l loaded, gens []*gen, began int64) bool {
	e := c.eng
	life := c.memoryLife(l.ttl)
	if life <= 0 {
		e.discard(h.hash, h.key)
		e.ghosts.note(h.hash, unstored, never)
		return true
	}
	it := c.item(h.hash, h.key, l, now(), life, h.v, gens, c.spec.MemoryOnly && c.useRedis(h.key))
	it.Meta.born = began
	return e.keep(it, h.v)
}

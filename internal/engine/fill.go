package engine

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/internal/envelope"
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
	names   []string // its own tags
}

// holdAlso takes the leases of further keys of the value, each tried once:
// waiting for them could deadlock with a load that holds them and asks for ours
// (model also, -DWAIT_ALL). What stands there is left alone.
func (c *Cache) holdAlso(ctx context.Context, first hold, also []string) []hold {
	holds := []hold{first}
	for _, k := range others(first.key, also) {
		h := hold{key: k, hash: memory.Hash(k), rkey: c.eng.prefix + k}
		h.v = c.sample(h.hash, k)
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

// fill writes the value under the lease. It is done even if nobody waits any
// more: the load is paid for, and its lease must not stand for nothing.
func (c *Cache) fill(ctx context.Context, h hold, l loaded, gens []*gen) (bool, error) {
	head, ok := envelope.OpenHead(h.lease)
	if !ok {
		panic("bug: engine: a lease that does not open")
	}
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
	raw, err := envelope.Seal(h.rkey, head, envelope.Body{
		Schema:     c.schema,
		Created:    created,
		FreshUntil: created.Add(l.ttl),
		LoadTime:   l.took,
		Tags:       tags,
		Payload:    l.payload,
	})
	if err != nil {
		return false, err
	}
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

func (c *Cache) filledItem(h hold, l loaded, life time.Duration, gens []*gen) *item {
	it := c.item(h.hash, h.key, l.value, l.absent, l.size, life, h.v, gens)
	head, _ := envelope.OpenHead(h.lease)
	it.Meta.heard, it.Meta.token, it.Meta.own = true, head.Token, now()+ownFor
	return it
}

// keepAlone inserts what Redis does not have; false if it was voided while it was
// loaded. It is an entry of an outage, or if nothing is ever in Redis, of a cache
// whose invalidations the control channel carries.
func (c *Cache) keepAlone(h hold, l loaded, gens []*gen, began int64) bool {
	e := c.eng
	life := c.memoryLife(l.ttl)
	if life <= 0 {
		return true
	}
	it := c.item(h.hash, h.key, l.value, l.absent, l.size, life, h.v, gens)
	it.Meta.born = began
	it.Meta.heard = c.spec.MemoryOnly && c.useRedis(h.key)
	return e.keep(it, h.v)
}

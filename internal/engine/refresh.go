package engine

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/remote"
)

// A value that may still be served is replaced under the token that it was filled
// with: whoever invalidates it, expires it or sets another takes that away (model
// refresh). So no lease is needed, and none may be taken: it would kill the value.
// A turn, a key beside it, keeps the rest of the fleet from loading meanwhile, and
// for a while after a load that failed. It decides nothing.

const (
	mostRefreshes = 64 // in the background, at a time
	// The window before expiry in which a reader may refresh is so many times as
	// long as the load: longer before, the chance is one in ten million.
	windows = 16
	// What is loaded in no time still has to be asked for and written.
	refreshMargin = 10 * time.Millisecond
)

// earliest is how long before its expiry a value may be refreshed.
func (c *Cache) earliest(took time.Duration) time.Duration {
	return windows * (max(0, took) + min(refreshMargin, c.spec.TTL/100))
}

// renews draws whether the reader of an item at that time is the one to refresh it:
// the closer to expiry, and the longer its load takes, the likelier. So one does
// with high probability before it expires if it is read often, and rarely two do
// (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede
// Prevention, VLDB 2015; with a beta of 1).
func (c *Cache) renews(it *item, at int64) bool {
	m := &it.Meta
	load := float64(m.fresh-m.early) / windows
	if load*rand.ExpFloat64() < float64(m.fresh-at) {
		return false
	}
	not := m.renewal.Load()
	return not <= at && m.renewal.CompareAndSwap(not, math.MaxInt64)
}

// Refresh loads what f found anew, in the background.
func (c *Cache) Refresh(ctx context.Context, key string, load Loader, call Call, f Found) {
	if ctx == nil {
		call.part.end()
		return
	}
	again := func(after time.Duration) { f.early.Meta.renewal.Store(now() + int64(after)) }
	if c.eng.refreshes.Add(1) > mostRefreshes {
		c.eng.refreshes.Add(-1)
		c.counts.dropped.Add(1)
		call.part.end()
		again(refreshMargin)
		return
	}
	hash := memory.Hash(key)
	if !c.loads[hash%groups].Start(ctx, key, func(ctx context.Context, out *outcome) {
		defer c.eng.refreshes.Add(-1)
		defer call.part.end()
		c.refresh(ctx, out, hash, key, load, call, f.early)
		if out.loadBegan != 0 {
			c.counts.refreshes.Add(1)
		}
		// Whatever replaced the item has a time of its own.
		switch out.err {
		case nil, errAgain:
			again(refreshMargin)
		default: // there may be no more than the time of a load left
			again(min(leastRest, max(refreshMargin, f.early.Meta.took)))
		}
	}) {
		c.eng.refreshes.Add(-1) // it is being loaded
		call.part.end()
		again(refreshMargin)
	}
}

// refresh is the body of a flight for which nobody waits, or who came later.
func (c *Cache) refresh(ctx context.Context, out *outcome, hash uint64, key string, load Loader, call Call, it *item) {
	e, rkey := c.eng, c.eng.prefix+key
	out.v, out.readAt = c.sample(hash, key), now()
	old := c.kept(it, out.readAt)
	if !c.useRedis(key) || c.spec.MemoryOnly {
		if c.useRedis(key) {
			c.loadHere(ctx, out, hash, key, load, call, old)
		} else {
			c.loadAlone(ctx, out, hash, key, load, call, old)
		}
		return
	}
	if !e.remote.Writable(rkey) {
		out.err = errAgain
		return
	}
	reply, err := e.remote.Get(ctx, rkey)
	if err != nil {
		c.counts.errors.Add(1)
		out.err = errAgain
		return
	}
	switch c.judge(ctx, out, key, rkey, reply) {
	case usable:
		// Another has loaded it, or only memory's own time for it is over.
		if out.token != it.Meta.token || out.fresh > time.Duration(it.Meta.fresh-it.Meta.early) {
			c.remember(hash, key, out, 0)
			return
		}
		is := *out
		old = &is
		*out = outcome{v: old.v, readAt: old.readAt}
	case stale:
		old, out.fallback = out.fallback, nil
	case outlived:
		old, out.outlived = out.outlived, nil
	default:
		out.err = errAgain // the next reader loads it, if there is one
		return
	}
	if mine, _ := c.takeTurn(ctx, rkey, false); !mine {
		out.err = errAgain
		return
	}
	c.loadOver(ctx, out, hash, key, load, call, old)
}

// takeTurn tells whether this process is to load in the place of what stands under
// rkey. If not, somebody else does, or somebody's load has failed and for so long none
// is tried. Whoever waited long enough does not ask.
func (c *Cache) takeTurn(ctx context.Context, rkey string, waited bool) (mine bool, rest time.Duration) {
	if waited || !c.eng.remote.Writable(rkey) {
		return true, 0
	}
	turn, rest, err := c.eng.remote.TakeTurn(ctx, rkey, leaseTime)
	if err != nil { // it decides nothing
		c.counts.errors.Add(1)
	}
	return err != nil || turn == remote.Mine, rest
}

// taken tells whether somebody refreshes what stands under rkey.
func (c *Cache) taken(ctx context.Context, rkey string, waited bool) bool {
	if waited {
		return false
	}
	taken, err := c.eng.remote.TurnTaken(ctx, rkey)
	if err != nil {
		c.counts.errors.Add(1)
	}
	return taken
}

// loadOver loads in the place of old, which stands in Redis.
func (c *Cache) loadOver(ctx context.Context, out *outcome, hash uint64, key string, load Loader, call Call, old *outcome) {
	first := c.over(hash, key, old, out.v)
	if call.Load { // whoever has the turn: others need not load beside this
		if err := c.eng.remote.KeepTurn(ctx, first.rkey, leaseTime); err != nil {
			c.counts.errors.Add(1)
		}
	}
	c.loadHeld(ctx, out, c.holdAlso(ctx, first, call), load, call, old)
}

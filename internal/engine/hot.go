package engine

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/memory"
)

// HotKey is a key that is read often, and its share of what memory answers.
type HotKey struct {
	Cache, Key string
	Share      float64
}

// Hot are the n hottest keys that memory has.
func (e *Engine) Hot(n int) []HotKey {
	items := e.mem.Hot(n)
	keys := make([]HotKey, len(items))
	for i, is := range items {
		keys[i] = HotKey{is.Item.Meta.owner.spec.Name, is.Item.Key, is.Share}
	}
	return keys
}

// What is hot here is handed to the processes that start later: a list of keys in Redis
// for each cache. It decides nothing. Whoever reads it reads the values, as any reader
// does, and believes of them what a reader believes.

const (
	handOverEvery = time.Minute    // half as long to one and a half times
	handOverLife  = 24 * time.Hour // of a list
	handOverGrace = time.Second    // for all that Close hands over
	mostGlanced   = 1 << 16        // items that are looked at for what is not hot, and yet in memory
)

func (e *Engine) handOverOften() {
	for {
		timer := time.NewTimer(handOverEvery/2 + rand.N(handOverEvery))
		select {
		case <-e.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		e.handOver(e.ctx)
	}
}

// handOver leaves the list of each cache that was read since the last time. What the
// list had before comes after what is hot here: it may be hot elsewhere, or was here
// before a night without readers. Of two processes that do so at the same time one
// is not heard, until it does so again. One call at a time.
func (e *Engine) handOver(ctx context.Context) {
	var read []*Cache
	for _, c := range *e.caches.Load() {
		if !c.spec.MemoryOnly && c.counts.hits.Count() != c.handedOver {
			read = append(read, c)
		}
	}
	if len(read) == 0 {
		return
	}
	lists := make(map[*Cache]*hotList, len(read))
	for _, c := range read {
		lists[c] = new(hotList)
	}
	for _, is := range e.mem.Hot(memory.MostHot) {
		if l := lists[is.Item.Meta.owner]; l != nil {
			l.add(is.Item.Key)
		}
	}
	for _, c := range read {
		before, err := e.hotKeys(ctx, c)
		if err != nil {
			delete(lists, c)
			continue
		}
		for _, key := range before {
			lists[c].add(key)
		}
	}
	e.addTheRest(lists)
	for _, c := range read {
		l := lists[c]
		if l == nil || len(l.has) == 0 {
			continue
		}
		n := c.counts.hits.Count()
		if e.remote.SetHotList(ctx, c.spec.Name, []byte(l.text.String()), handOverLife) == nil {
			c.handedOver = n
		}
	}
}

// addTheRest adds what is in memory and was not read lately: it has been kept there as
// worth its place.
func (e *Engine) addTheRest(lists map[*Cache]*hotList) {
	left := mostGlanced
	e.mem.Each(func(it *item) bool {
		if l := lists[it.Meta.owner]; l != nil {
			l.add(it.Key)
		}
		left--
		return left > 0
	})
}

// hotKeys are those that were handed over of a cache.
func (e *Engine) hotKeys(ctx context.Context, c *Cache) ([]string, error) {
	text, err := e.remote.HotList(ctx, c.spec.Name, mostHotSize+1)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	keys, err := readHotList(string(text))
	if err != nil { // somebody else's, or of another version
		e.log.Warn("tiercache: the list of hot keys is not understood", "cache", c.spec.Name)
	}
	return keys, nil
}

const (
	warmHearing = 3 * time.Second // longest wait for the hearing of Redis
	warmBatch   = 100             // keys that are read at a time: one round trip
)

// Warm fills memory with what was handed over, from Redis, the hottest of each cache
// first, up to seven eighths of the budget. Nothing that Redis does is an error.
func (e *Engine) Warm(caller context.Context) error {
	switch {
	case caller == nil:
		return errNilContext
	case e.closed.Load():
		return errs.ErrClosed
	case caller.Err() != nil:
		return caller.Err()
	case e.remote == nil:
		return nil
	}
	ctx, cancel := context.WithCancel(caller)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	began := now()
	// What is read while Redis is not heard counts no more as soon as it is.
	if !e.remote.AwaitHearing(ctx, warmHearing) {
		if ctx.Err() == nil {
			e.log.Warn("tiercache: memory starts cold, since nothing is heard of Redis")
		}
		return e.endOfWarm(caller)
	}
	keys := make(map[*Cache][]string)
	for _, c := range *e.caches.Load() {
		if c.spec.MemoryOnly {
			continue
		}
		some, err := e.hotKeys(ctx, c)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("tiercache: the list of hot keys was not read", "cache", c.spec.Name, "error", err)
		}
		if len(some) > 0 {
			keys[c] = some
		}
	}
	filled := 0
	for len(keys) > 0 {
		for c, left := range keys {
			if ctx.Err() != nil || e.mem.Bytes() >= e.warmBytes {
				clear(keys)
				break
			}
			n := min(len(left), warmBatch)
			filled += c.fillMany(ctx, left[:n])
			if keys[c] = left[n:]; n == len(left) {
				delete(keys, c)
			}
		}
	}
	if filled > 0 {
		e.log.Info("tiercache: memory was warmed", "keys", filled, "took", time.Duration(now()-began))
	}
	return e.endOfWarm(caller)
}

func (e *Engine) endOfWarm(caller context.Context) error {
	if e.closed.Load() {
		return errs.ErrClosed
	}
	return caller.Err()
}

// fillMany has memory filled with what Redis has under keys, and returns how many of
// them it had that memory lacked. It is no operation of anybody.
func (c *Cache) fillMany(ctx context.Context, keys []string) int {
	ones := make([]one, 0, len(keys))
	for _, key := range keys {
		if c.checkKey(key) == nil && len(key) <= longestKey && c.fresh(memory.Hash(key), key) == nil {
			ones = append(ones, one{key: key})
		}
	}
	if len(ones) == 0 {
		return 0
	}
	left := c.readMany(ctx, ones, Call{warm: true}, now(), func(string, any) bool { return true })
	return len(ones) - len(left)
}

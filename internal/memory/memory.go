// Package memory is the memory tier: a bounded map of items in this process.
//
// Ristretto does the eviction, and no other package imports it. Used bare, its
// Set is not visible when it returns, two quick Sets keep the first value, a
// deleted value can be served again, an update ignores the budget, and Close
// may overlap nothing. [Cache] has none of this:
//
//   - Set is visible to every Get that starts after it returned, the last Set of
//     a key wins, and a Set that was refused leaves nothing of that key behind;
//   - after Delete returned no Get returns the item;
//   - keys are compared, so two keys of one hash cannot be taken for each other:
//     the later one has the place and the other is a miss;
//   - costs are bytes, overhead included, and their sum stays within the budget;
//   - Close may come at any time, any number of times.
//
// # Concurrency
//
// Everything is safe for concurrent use. Ristretto is written by one goroutine
// at a time, in batches, see settle.go. Until a change has arrived there it
// stands in the overlay of its stripe, where Get looks first: that makes it
// visible at once, without anybody waiting for ristretto's worker, which costs
// two changes of goroutine, as much as half a round trip to a local Redis.
//
// Lock order: settling, then a stripe. Ristretto calls back (see account)
// without knowing of either: nothing called back takes one.
//
// # Time
//
// Get does not read the clock: whoever asks compares [Item.Deadline] with a time
// it has read anyhow. Ristretto's own TTL would cost a time.Now on each Get. What
// is past its deadline is freed by a sweep, see sweep.go.
package memory

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

var seed = maphash.MakeSeed()

// Hash returns the hash of a key. It holds for the life of the process and
// means nothing to another one.
func Hash(key string) uint64 { return maphash.String(seed, key) }

// Item is what is stored under a key. Once given to Set it is shared with every
// reader and its fields are not written any more; what changes later belongs
// behind atomics in Meta. An Item is given to Set once.
type Item[M any] struct {
	Key  string
	Hash uint64 // Hash(Key)

	// Size is what Meta refers to, in bytes: payload, tags, anything that is
	// kept alive by it. Not negative. The key and the Item itself are added.
	Size int64

	// Deadline is a time of the clock given to New, in nanoseconds, after which
	// the item may be freed; 0 is never. Get returns it until then and after.
	Deadline int64

	Meta M
}

// Cache is a set of items that together cost no more than a budget.
type Cache[M any] struct {
	r        *ristretto.Cache[uint64, *Item[M]]
	now      func() int64
	maxBytes int64
	overhead int64 // of one item, beside key and Size

	stripes  [stripes]stripe[M]
	settling sync.Mutex // held by whoever writes to ristretto
	dirty    atomic.Bool
	wake     chan struct{} // dirty became true

	gate  gate
	close sync.Once
	stop  chan struct{} // closed to end the goroutines
	wg    sync.WaitGroup

	// What ristretto holds, or has been handed and not answered for.
	items, bytes atomic.Int64
	evictions    atomic.Int64
}

// New returns a cache whose items cost at most maxBytes together. The process
// needs more than that: 3 to 6 % for the counters of the policy, and 400 KiB.
// now is a monotonic clock in nanoseconds, that of the deadlines. A maxBytes
// below 1 or a missing clock is an error. The cache has goroutines until Close.
func New[M any](maxBytes int64, now func() int64) (*Cache[M], error) {
	if maxBytes <= 0 {
		return nil, fmt.Errorf("memory: maxBytes is %d, want at least 1", maxBytes)
	}
	if now == nil {
		return nil, errors.New("memory: now is nil")
	}
	c := &Cache[M]{
		now:      now,
		maxBytes: maxBytes,
		overhead: overhead[M](),
		wake:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
	}
	r, err := ristretto.NewCache(&ristretto.Config[uint64, *Item[M]]{
		NumCounters:        counters(maxBytes),
		MaxCost:            maxBytes,
		BufferItems:        64,
		IgnoreInternalCost: true,
		// No boxing of keys, and no second hash: Get compares the keys.
		KeyToHash: func(h uint64) (uint64, uint64) { return h, 0 },
		OnEvict:   c.onEvict,
		OnExit:    c.onExit,
		// Nothing is stored with a TTL, so its sweep has nothing to look for.
		TtlTickerDurationInSec: 24 * 60 * 60,
	})
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	c.r = r
	c.wg.Go(c.sweep)
	c.wg.Go(c.settle)
	return c, nil
}

// Get returns the item of a key, nil if there is none. It neither allocates nor
// reads the clock; the item may be past its deadline. pick is any number that is
// not the same for all callers at a time, best a random one: the caller has one
// anyhow.
func (c *Cache[M]) Get(hash uint64, key string, pick uint32) *Item[M] {
	at, open := c.gate.enter(pick)
	if !open {
		return nil
	}
	it := c.get(hash)
	c.gate.leave(at)
	if it == nil || it.Key != key {
		return nil
	}
	return it
}

// get looks into the overlay, then into ristretto. A change that this look at
// the overlay does not find, because it has just been settled, is in ristretto.
func (c *Cache[M]) get(hash uint64) *Item[M] {
	s := &c.stripes[hash%stripes]
	if s.n.Load() != 0 {
		s.mu.Lock()
		at := s.findLocked(hash)
		if at >= 0 {
			it := s.pending[at].it
			s.mu.Unlock()
			return it
		}
		s.mu.Unlock()
	}
	it, _ := c.r.Get(hash)
	return it
}

// Set stores an item in the place of any other of its key. The policy may find
// it less worth keeping than the others: then it goes soon, as if evicted, and
// nothing older comes back. False says that it is larger than the budget, or
// that the cache is closed: then nothing is stored for the key.
func (c *Cache[M]) Set(it *Item[M]) bool {
	if it.Size < 0 {
		panic(fmt.Sprintf("bug: memory: an item of %d bytes", it.Size))
	}
	at, open := c.gate.enter(uint32(it.Hash))
	if !open {
		return false
	}
	defer c.gate.leave(at)
	// Not left to ristretto: it takes an update of any size, and the sum of the
	// cost could overflow.
	if it.Size > c.maxBytes-c.overhead-int64(len(it.Key)) {
		c.change(it.Hash, nil)
		return false
	}
	c.change(it.Hash, it)
	return true
}

// Delete removes the item of a key and says whether there was one. An item of
// another key with the same hash stays.
func (c *Cache[M]) Delete(hash uint64, key string) bool {
	at, open := c.gate.enter(uint32(hash))
	if !open {
		return false
	}
	defer c.gate.leave(at)
	return c.changeIf(hash, nil, func(it *Item[M]) bool { return it != nil && it.Key == key })
}

// Close frees everything and ends the goroutines before it returns. Afterwards
// Get finds nothing, and Set and Delete do nothing. Closing again is allowed,
// and waits for a Close that is under way.
func (c *Cache[M]) Close() {
	c.close.Do(func() {
		close(c.stop)
		c.wg.Wait()
		c.gate.shut()
		c.r.Close()
		for i := range c.stripes {
			c.stripes[i].pending = nil
		}
	})
}

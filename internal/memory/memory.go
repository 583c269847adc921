// Package memory is the memory tier: a bounded map of items in this process.
//
// A table of our own has the items, see index.go, and is all that a Get looks at;
// a [Policy] decides which of them are worth their place. Ristretto is the policy,
// and no other package imports it. Used bare, its Set is not visible when it
// returns, two quick Sets keep the first value, a deleted value can be served
// again, an update ignores the budget, Close may overlap nothing, and a Get takes
// a lock and a buffer from a pool. [Cache] has none of this:
//
//   - Set is visible to every Get that starts after it returned, the last Set of
//     a key wins, and a Set that was refused leaves nothing of that key behind;
//   - after Delete returned no Get returns the item;
//   - keys are compared, so two keys of one hash cannot be taken for each other:
//     the later one has the place and the other is a miss;
//   - costs are bytes, overhead included, and their sum stays within the budget, or with
//     what the policy is yet to hear of an eighth above it, and an item for each caller;
//   - Get takes no lock and writes nothing;
//   - Close may come at any time, any number of times.
//
// # Concurrency
//
// Everything is safe for concurrent use. The policy is told of changes and of
// reads by one goroutine at a time, in batches, see settle.go: nobody waits for
// its worker, which costs two changes of goroutine, as much as half a round trip
// to a local Redis.
//
// Lock order: settling, then a stripe.
//
// # Time
//
// Get does not read the clock: whoever asks compares [Item.Deadline] with a time
// it has read anyhow. What is past its deadline is freed by a sweep, see sweep.go.
package memory

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

var seed = maphash.MakeSeed()

// Hash returns the hash of a key. It holds for the life of the process and
// means nothing to another one.
func Hash(key string) uint64 { return maphash.String(seed, key) }

// Item is what is stored under a key. Once given to Set it is shared with every
// reader and its fields are not written any more; what changes later belongs
// behind atomics in Meta. An Item is given to Set once.
type Item[M any] struct {
	Hash uint64 // Hash(Key)
	Key  string
	Meta M // here, since a hit reads it, and of what follows mostly nothing

	// Deadline is a time of the clock given to New, in nanoseconds, after which
	// the item may be freed; 0 is never. Get returns it until then and after.
	Deadline int64

	// Size is what Meta refers to, in bytes: payload, tags, anything that is
	// kept alive by it. Not negative. The key and the Item itself are added.
	Size int64
}

// Config of a Cache.
type Config[M any] struct {
	// MaxBytes is what the items may cost together, at least 1. The process needs
	// more than that: the counters of the policy, see counters, 450 KiB, and up to
	// 600 KiB for what is counted of hot items.
	MaxBytes int64
	// Now is a monotonic clock in nanoseconds, that of the deadlines.
	Now func() int64
	// Policy makes the policy; nil: ristretto.
	Policy Make
	// Account is on whose account an item goes, one of NewAccount; nil: on nobody's.
	Account func(*M) *Account
	// Left is told of each item that goes, and of none that another takes the place of;
	// nil: nobody is. The item is still found, and nothing takes its place until Left
	// returns: locks are held, and no method but Get and Each may be called.
	Left func(*Item[M], Leaving)
}

// Leaving is how an item went.
type Leaving uint8

const (
	Removed Leaving = iota // by Delete, Discard, or a Set of what is too large
	Swept                  // past its deadline
	NoRoom                 // the policy had no place for it
)

// Cache is a set of items that together cost no more than a budget.
type Cache[M any] struct {
	now      func() int64
	maxBytes int64
	overhead int64 // of one item, beside key and Size

	stripes  [stripes]stripe[M]
	settling sync.Mutex // held by whoever tells the policy something; guards the next nine
	reads    []*Reads
	hashes   []uint64 // room for those that were read
	runs     []run    // and for how they were
	batch    []Change // and for what the policy is told
	accounts []*Account
	hot      sketch
	policy   Policy
	fit      int64 // items that the policy was made for
	make     Make  // constant
	dirty    atomic.Bool
	wake     chan struct{} // dirty became true

	gate  gate
	close sync.Once
	stop  chan struct{} // closed to end the goroutines
	wg    sync.WaitGroup

	all       Account // of what is in the tables
	accountOf func(*M) *Account
	left      func(*Item[M], Leaving)
}

// New returns an empty cache, which has goroutines until Close. A MaxBytes below 1 or
// a missing clock is an error.
func New[M any](cfg Config[M]) (*Cache[M], error) {
	if cfg.MaxBytes <= 0 {
		return nil, fmt.Errorf("memory: maxBytes is %d, want at least 1", cfg.MaxBytes)
	}
	if cfg.Now == nil {
		return nil, errors.New("memory: now is nil")
	}
	c := &Cache[M]{
		now:      cfg.Now,
		maxBytes: cfg.MaxBytes,
		overhead: overhead[M](),
		wake:     make(chan struct{}, 1),
		stop:     make(chan struct{}),

		accountOf: cfg.Account,
		left:      cfg.Left,
	}
	dead := deadItems[M]()
	for i := range c.stripes {
		c.stripes[i].table.Store(newTable[M](smallest))
		c.stripes[i].dead = dead[min(i, 1)]
	}
	if c.make = cfg.Policy; c.make == nil {
		c.make = newRistretto
	}
	c.fit = cfg.MaxBytes / usualCost
	var err error
	if c.policy, err = c.make(c.maxBytes, c.fit); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	c.wg.Go(c.sweep)
	c.wg.Go(c.settle)
	return c, nil
}

// Get returns the item of a key, nil if there is none. It neither allocates nor
// reads the clock; the item may be past its deadline. That the policy is to know
// of the read is the caller's to note, see [Reads].
func (c *Cache[M]) Get(hash uint64, key string) *Item[M] {
	it := c.stripe(hash).table.Load().find(hash)
	if it == nil || it.Key != key {
		return nil
	}
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
	// Not left to the policy: it may take an update of any size, and the sum of
	// the cost could overflow.
	if it.Size > c.maxBytes-c.overhead-int64(len(it.Key)) {
		c.change(it.Hash, nil, Removed, always)
		return false
	}
	c.change(it.Hash, it, Removed, always)
	return true
}

func always[M any](*Item[M]) bool { return true }

// Delete removes the item of a key and says whether there was one. An item of
// another key with the same hash stays.
func (c *Cache[M]) Delete(hash uint64, key string) bool {
	at, open := c.gate.enter(uint32(hash))
	if !open {
		return false
	}
	defer c.gate.leave(at)
	return c.change(hash, nil, Removed, func(it *Item[M]) bool { return it != nil && it.Key == key })
}

// Discard removes this very item, and says whether it was still stored: what
// took its place stays.
func (c *Cache[M]) Discard(it *Item[M]) bool { return c.discard(it, Removed) }

func (c *Cache[M]) discard(it *Item[M], how Leaving) bool {
	at, open := c.gate.enter(uint32(it.Hash))
	if !open {
		return false
	}
	defer c.gate.leave(at)
	return c.change(it.Hash, nil, how, func(got *Item[M]) bool { return got == it })
}

// Each shows every item to visit until it returns false. An item that was stored
// before the call and still is when it ends is shown; one that comes or goes
// meanwhile may be. Nothing is shown once the cache is closed. No lock is held.
func (c *Cache[M]) Each(visit func(*Item[M]) (more bool)) {
	for i := range c.stripes {
		// What is stored now is in this table, and stays there until it goes: one
		// that takes its place begins with what this one has.
		t := c.stripes[i].table.Load()
		for at := range t.slots {
			it := t.slots[at].item.Load()
			if it != nil && it != c.stripes[i].dead && (c.stopped() || !visit(it)) {
				return
			}
		}
	}
}

// Close frees everything and ends the goroutines before it returns. Afterwards
// Get finds nothing, and Set and Delete do nothing. Closing again is allowed,
// and waits for a Close that is under way.
func (c *Cache[M]) Close() {
	c.close.Do(func() {
		close(c.stop)
		c.wg.Wait()
		c.gate.shut()
		c.policy.Close()
		for i := range c.stripes {
			s := &c.stripes[i]
			s.mu.Lock()
			s.pending = nil
			s.table.Store(newTable[M](smallest))
			s.mu.Unlock()
		}
		c.all.empty()
		c.settling.Lock()
		defer c.settling.Unlock()
		for _, a := range c.accounts {
			a.empty()
		}
	})
}

func (c *Cache[M]) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

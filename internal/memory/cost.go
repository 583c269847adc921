package memory

import (
	"unsafe"

	"github.com/dgraph-io/ristretto/v2"
)

// perEntry is what ristretto needs for an entry beside the item: a slot in the
// map of the store (key and 48 bytes) and one in the map of the policy (16
// bytes), at the fill of Go's maps: 108 to 172 bytes, measured over 50,000 to
// 250,000 items, see TestTheCostOfAnItemIsTheMemoryItTakes.
const perEntry = 150

// overhead is what an item costs beside its key and Size.
func overhead[M any]() int64 {
	return perEntry + int64(unsafe.Sizeof(Item[M]{}))
}

func (c *Cache[M]) cost(it *Item[M]) int64 {
	return c.overhead + int64(len(it.Key)) + it.Size
}

// counters is how many counters of past use the policy has: 10 for each item
// that fits if items cost 1 KiB. Ristretto rounds up to a power of two and needs
// 3 to 6 bytes for each, so 3 to 6 % of the budget. With smaller items there are
// fewer counters for each and the policy is less exact, at no cost in memory.
// From a budget of 13 GiB on their number stays the same, about 600 MB.
func counters(maxBytes int64) int64 {
	const least, most = 1 << 10, 1 << 27
	return min(max(least, maxBytes/1024*10), most)
}

// The account of what is stored. Ristretto counts only with Metrics on, which
// makes a Get slower by a fifth.
//
// An item enters before it is handed over, since it may be evicted before Set
// returns, and exits when ristretto lets go of it, which it tells exactly once:
// refused, overwritten, deleted, evicted, or cleared by Close. Only a Set that
// answers false is not told.

func (c *Cache[M]) enters(it *Item[M]) {
	c.items.Add(1)
	c.bytes.Add(c.cost(it))
}

// onExit is told nil for a removal that found nothing.
func (c *Cache[M]) onExit(it *Item[M]) {
	if it == nil {
		return
	}
	c.items.Add(-1)
	c.bytes.Add(-c.cost(it))
}

// onEvict is called for victims of the policy and for all that Close clears.
func (c *Cache[M]) onEvict(e *ristretto.Item[*Item[M]]) {
	if e.Value != nil && !c.gate.closed.Load() {
		c.evictions.Add(1)
	}
}

// Len returns the number of items, those past their deadline and not yet freed
// included.
func (c *Cache[M]) Len() int {
	c.settleNow()
	return int(c.items.Load())
}

// Bytes returns what they cost together, at most the budget given to New but for
// items that are on their way in or out.
func (c *Cache[M]) Bytes() int64 {
	c.settleNow()
	return c.bytes.Load()
}

// settleNow brings the account up to date, if the cache is open.
func (c *Cache[M]) settleNow() {
	if at, open := c.gate.enter(0); open {
		c.settleAll()
		c.gate.leave(at)
	}
}

// Evictions returns how many items had to go to make room for others. Deleted,
// overwritten, refused and expired ones do not count.
func (c *Cache[M]) Evictions() int64 { return c.evictions.Load() }

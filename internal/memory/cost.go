package memory

import "unsafe"

// perEntry is what an entry needs beside the item: 16 to 32 bytes in the table, and
// in ristretto a slot in the map of the store (key and 48 bytes) and one in the map of
// the policy (16 bytes), at the fill of Go's maps: together 120 to 190 bytes, measured
// over 50,000 to 250,000 items, see TestTheCostOfAnItemIsTheMemoryItTakes.
const perEntry = 150

// overhead is what an item costs beside its key and Size.
func overhead[M any]() int64 {
	return perEntry + int64(unsafe.Sizeof(Item[M]{}))
}

func (c *Cache[M]) cost(it *Item[M]) int64 {
	return c.overhead + int64(len(it.Key)) + it.Size
}

// account counts an item in or out of what is stored.
func (c *Cache[M]) account(it *Item[M], sign int64) {
	c.items.Add(sign)
	c.bytes.Add(sign * c.cost(it))
}

// Len returns the number of items, those past their deadline and not yet freed
// included.
func (c *Cache[M]) Len() int {
	c.settleNow()
	return int(c.items.Load())
}

// Bytes returns what they cost together, at most the budget given to New but for
// items that the policy has not been told of.
func (c *Cache[M]) Bytes() int64 {
	c.settleNow()
	return c.bytes.Load()
}

// settleNow has the policy decide about all that is stored, if the cache is open.
func (c *Cache[M]) settleNow() {
	if at, open := c.gate.enter(0); open {
		c.settleAll()
		c.gate.leave(at)
	}
}

// Evictions returns how many items had to go to make room for others. Deleted,
// overwritten, refused and expired ones do not count.
func (c *Cache[M]) Evictions() int64 { return c.evictions.Load() }

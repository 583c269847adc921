package memory

import "unsafe"

// perEntry is what an entry needs beside the item: 16 to 32 bytes in the table, and
// in ristretto a slot in the map of the store (key and 40 bytes) and one in the map of
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

// Settle has the policy decide about all that is stored, if the cache is open.
func (c *Cache[M]) Settle() {
	if at, open := c.gate.enter(0); open {
		c.settleAll()
		c.gate.leave(at)
	}
}

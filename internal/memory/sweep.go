package memory

import "time"

const (
	sweepEvery = 5 * time.Second
	// sweepShare bounds what sweeping costs a cache so large that one pass is
	// long: for each second of it, at least so many seconds until the next.
	sweepShare = 100
)

// sweep frees what is past its deadline, until Close.
//
// Every item is looked at in each pass, 20–50 ns each. Buckets of deadlines
// would look only at what is due, but an item that was overwritten or evicted
// has to leave its bucket, or a key with a TTL of a day that is set each second
// is noted 86,400 times: lists through all items, a lock more in each Set, and
// 32 bytes more for each item.
func (c *Cache[M]) sweep() {
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	var due []*Item[M]
	for {
		select {
		case <-c.stop:
			return
		case <-timer.C:
		}
		start := c.now()
		due = c.expired(start, due[:0])
		c.free(due)
		clear(due) // or it keeps alive what was freed
		timer.Reset(max(sweepEvery, sweepShare*time.Duration(c.now()-start)))
	}
}

// expired appends the items whose deadline is past to due.
func (c *Cache[M]) expired(now int64, due []*Item[M]) []*Item[M] {
	c.Each(func(it *Item[M]) (more bool) {
		if it.Deadline != 0 && it.Deadline < now {
			due = append(due, it)
		}
		return true
	})
	return due
}

// free removes those of the items that are still stored: meanwhile a key may
// have been set again.
func (c *Cache[M]) free(due []*Item[M]) {
	for _, it := range due {
		if c.stopped() {
			return
		}
		c.discard(it, Swept)
	}
}

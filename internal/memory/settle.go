package memory

import "time"

const (
	// settleAfter lets changes and reads gather: one wait for the policy serves all.
	settleAfter = time.Millisecond

	// mostPending is how many changes of a stripe may wait. Whoever would add one
	// tells the policy first, so that items which it may refuse take no more than so
	// much room, and a batch stays under the 32,768 entries of ristretto's buffer:
	// past that it drops a Set, or silently the cost of an update.
	mostPending = 8
)

// due has the policy told before long.
func (c *Cache[M]) due() {
	if !c.dirty.Load() && c.dirty.CompareAndSwap(false, true) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// settle tells the policy until Close.
func (c *Cache[M]) settle() {
	timer := time.NewTimer(settleAfter)
	defer timer.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.wake:
		}
		timer.Reset(settleAfter)
		select {
		case <-c.stop:
			return
		case <-timer.C:
		}
		// Cleared before the look: what comes after it wakes again.
		c.dirty.Store(false)
		c.settleAll()
	}
}

// settleAll tells the policy of what was read, and then of what waits in the
// stripes, once. A hash is told with the item that the table has by then; if that
// changes meanwhile, the hash waits again.
func (c *Cache[M]) settleAll() {
	c.settling.Lock()
	defer c.settling.Unlock()
	reads := c.collectLocked()
	var batch []Change[M]
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.Lock()
		t := s.table.Load()
		for _, hash := range s.pending {
			ch := Change[M]{Hash: hash, Item: t.find(hash)}
			if ch.Item != nil {
				ch.Cost = c.cost(ch.Item)
				reads = append(reads, hash) // somebody asked for it, or it would not be here
			}
			batch = append(batch, ch)
		}
		s.pending = s.pending[:0]
		s.mu.Unlock()
	}
	if len(reads) > 0 {
		c.policy.Touch(reads)
	}
	if len(batch) > 0 {
		c.policy.Apply(batch)
	}
}

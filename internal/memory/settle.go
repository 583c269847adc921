package memory

import "time"

const (
	// settleAfter lets changes and reads gather: one wait for the policy serves all.
	settleAfter = time.Millisecond

	// mostPending is how many changes of a stripe may wait. Whoever would add one
	// tells the policy first, so that items which it may refuse take no more than so
	// much room, and a batch stays under the 32,768 entries of ristretto's buffer:
	// past that it drops a Set, or silently the cost of an update.
	mostPending = 16

	// mostOver is the part of the budget by which items may go over it before the
	// policy is told. Whoever stores the one too many does that, so that for each
	// caller no more than one comes on top.
	mostOver = 8
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
// stripes, once. A hash is told with what its item costs by then; if that changes
// meanwhile, the hash waits again.
func (c *Cache[M]) settleAll() {
	c.settling.Lock()
	defer c.settling.Unlock()
	c.settleLocked()
	c.refitLocked()
}

func (c *Cache[M]) settleLocked() {
	reads, batch := c.collectLocked(), c.batch[:0]
	for i := range c.stripes {
		s := &c.stripes[i]
		s.mu.Lock()
		t := s.table.Load()
		for _, hash := range s.pending {
			ch := Change{Hash: hash}
			if it := t.find(hash); it != nil {
				ch.Cost = c.cost(it)
			}
			batch = append(batch, ch)
		}
		s.pending = s.pending[:0]
		s.mu.Unlock()
	}
	c.batch = batch
	if len(reads) > 0 {
		c.policy.Touch(reads)
	}
	if len(batch) > 0 {
		c.applyLocked(batch)
	}
}

// applyLocked tells the policy, and takes out what has lost its place by it.
func (c *Cache[M]) applyLocked(batch []Change) {
	for _, l := range c.policy.Apply(batch) {
		c.lose(l)
	}
}

// usualCost is what an item is expected to cost before there are any.
const usualCost = 1 << 10

// refitLocked makes the policy anew if far more or fewer items fit than it was made
// for, which shows once the budget is half used. What it had counted is lost: with
// so few items gone by then, that was little.
func (c *Cache[M]) refitLocked() {
	items, bytes := c.all.items.Load(), c.all.bytes.Load()
	if bytes < c.maxBytes/2 || items < 100 {
		return
	}
	fit := int64(float64(c.maxBytes) / float64(bytes) * float64(items))
	if fit < c.fit*3/2 && fit > c.fit/4 {
		return
	}
	next, err := c.make(c.maxBytes, fit)
	if err != nil { // it could be made once
		panic("bug: memory: " + err.Error())
	}
	c.policy.Close()
	c.policy, c.fit = next, fit
	var batch []Change
	c.Each(func(it *Item[M]) bool {
		batch = append(batch, Change{Hash: it.Hash, Cost: c.cost(it)})
		if len(batch) == stripes*mostPending {
			c.applyLocked(batch)
			batch = batch[:0]
		}
		return true
	})
	c.applyLocked(batch)
}

package memory

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	stripes = 256

	// settleAfter lets changes gather: one wait for ristretto's worker serves all.
	settleAfter = time.Millisecond

	// overlayLimit is how many changes of a stripe may wait. Whoever would add one
	// settles first, so that the overlays stay small, and a batch of all of them
	// stays under the 32,768 entries of ristretto's set buffer: past that it drops
	// a Set, or silently the cost of an update.
	overlayLimit = 16
)

// change is what is to stand under a hash: an item, or nil for nothing.
type change[M any] struct {
	hash uint64
	it   *Item[M]
}

// stripe has the changes to keys of some hashes that ristretto has not seen yet,
// one for a hash.
type stripe[M any] struct {
	// n is len(pending), for a Get that needs no lock if there is none. It is
	// raised before the change that makes it so returns.
	n atomic.Int32

	// mu guards pending, and orders the changes of one hash.
	mu      sync.Mutex
	pending []change[M] // few: a search from end to end is the fastest
	_       [24]byte
}

// findLocked returns the place of a hash in pending, -1 if it has none.
func (s *stripe[M]) findLocked(hash uint64) int {
	for i := range s.pending {
		if s.pending[i].hash == hash {
			return i
		}
	}
	return -1
}

func (s *stripe[M]) putLocked(at int, p change[M]) {
	if at >= 0 {
		s.pending[at] = p
		return
	}
	s.pending = append(s.pending, p)
	s.n.Store(int32(len(s.pending)))
}

// settled takes a change out, unless a later one stands in its place: that is
// another pointer, and waits for its own batch. Two deletions are alike: the
// second may go with the first.
func (s *stripe[M]) settled(p change[M]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.findLocked(p.hash)
	if at < 0 || s.pending[at].it != p.it {
		return
	}
	last := len(s.pending) - 1
	s.pending[at] = s.pending[last]
	s.pending[last] = change[M]{}
	s.pending = s.pending[:last]
	s.n.Store(int32(last))
}

// change puts it, or a deletion, in the place of what is stored under hash.
func (c *Cache[M]) change(hash uint64, it *Item[M]) {
	c.changeIf(hash, it, func(*Item[M]) bool { return true })
}

// changeIf does so if what is stored, nil for nothing, is as wanted, and says so.
func (c *Cache[M]) changeIf(hash uint64, it *Item[M], wanted func(*Item[M]) bool) bool {
	s := &c.stripes[hash%stripes]
	s.mu.Lock()
	at := s.findLocked(hash)
	for at < 0 && len(s.pending) >= overlayLimit {
		s.mu.Unlock()
		c.settleAll()
		s.mu.Lock()
		at = s.findLocked(hash)
	}
	var old *Item[M]
	if at >= 0 {
		old = s.pending[at].it
	} else {
		old, _ = c.r.Get(hash)
	}
	if !wanted(old) {
		s.mu.Unlock()
		return false
	}
	s.putLocked(at, change[M]{hash, it})
	s.mu.Unlock()
	if !c.dirty.Load() && c.dirty.CompareAndSwap(false, true) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// settle brings changes to ristretto until Close.
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

// settleAll brings what waits in the overlays to ristretto, once. One writer,
// one change of a hash in a batch, and a wait after each batch leave none of
// ristretto's ways to lose, keep or bring back something:
//
//   - a new key is never set twice before the policy has seen it, where the first
//     would stay;
//   - a deletion never stands in the buffer behind a Set of its key, which would
//     be seen for a moment;
//   - the buffer has room.
func (c *Cache[M]) settleAll() {
	c.settling.Lock()
	defer c.settling.Unlock()
	var batch []change[M]
	for i := range c.stripes {
		s := &c.stripes[i]
		if s.n.Load() == 0 {
			continue
		}
		s.mu.Lock()
		batch = append(batch, s.pending...)
		s.mu.Unlock()
	}
	if len(batch) == 0 {
		return
	}
	for _, p := range batch {
		c.apply(p.hash, p.it)
	}
	c.r.Wait()
	for _, p := range batch {
		if p.it != nil {
			c.confirm(p.it)
		}
	}
	for _, p := range batch {
		c.stripes[p.hash%stripes].settled(p)
	}
}

func (c *Cache[M]) apply(hash uint64, it *Item[M]) {
	if it == nil {
		c.r.Del(hash)
		return
	}
	c.enters(it)
	if !c.r.Set(hash, it, c.cost(it)) {
		c.onExit(it)
	}
}

// confirm sees to it that ristretto has the item, or nothing under its hash.
// Set's own answer says little: it is true for an item that the policy refuses,
// and for an update of an item that is being evicted at that moment, which takes
// the new one along.
//
// Ristretto makes room for a new key, never for an update: keys that are there
// and grow would pass the budget and stay. So the one that passed it comes in
// again as a new key. The overlay still has it meanwhile.
func (c *Cache[M]) confirm(it *Item[M]) {
	got, _ := c.r.Get(it.Hash)
	if got == it && c.r.RemainingCost() < 0 {
		c.r.Del(it.Hash)
		c.apply(it.Hash, it)
		c.r.Wait()
		got, _ = c.r.Get(it.Hash)
	}
	if got != nil && got != it {
		c.r.Del(it.Hash)
		c.r.Wait()
	}
}
